//! What an application decides: handlers, gates, lists, keeps, the peer book, and how it ends.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use core::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use std::sync::Arc;

use common::{ECHO, check_echo, config, echo, echo_server, listener, within};
use sanswarm_tokio::{
    CloseRule, Denied, Event, Events, Gate, Node, Open, OpenStreamError, PeerInfo, ProtocolName, Source, Stream,
    Subject, Visit,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn name(text: &str) -> ProtocolName {
    ProtocolName::try_from(text).unwrap()
}

/// A handler that says one word.
fn say(word: &'static str) -> impl Fn(Stream) -> core::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
    move |mut stream| {
        Box::pin(async move {
            let _ = stream.write_all(word.as_bytes()).await;
            let _ = stream.shutdown().await;
        })
    }
}

async fn hear(node: &Node, peer: &PeerInfo, name: ProtocolName) -> Result<String, OpenStreamError> {
    let mut stream = node.open_stream(name, peer.clone()).await?;
    let mut word = String::new();
    // A stream that is reset says nothing.
    let _ = stream.read_to_string(&mut word).await;
    Ok(word)
}

/// The rule by which the next connection ends.
async fn rule(events: &mut Events) -> Option<CloseRule> {
    loop {
        if let Event::Disconnected { rule, .. } = events.next().await.unwrap() {
            return rule;
        }
    }
}

#[tokio::test]
async fn handlers_are_for_names_and_predicates() {
    within(async {
        let (bob, info) = listener().await;
        let (one, two, odd) = (name("/one"), name("/two"), name("/odd/1.0.0"));
        let both = bob.set_stream_handler([one.clone(), two.clone()], say("both"));
        let some = bob.set_stream_handler_where(|name| name.as_str().starts_with("/odd/"), say("odd"));
        let any = bob.set_stream_handler_where(|_| true, say("any"));
        // Asked of a new node each time, which knows nothing of before.
        let ask = |name: &ProtocolName| {
            let (name, info) = (name.clone(), info.clone());
            async move { hear(&Node::with_new_identity(), &info, name).await }
        };
        for (name, word) in [(&one, "both"), (&two, "both"), (&odd, "odd"), (&name("/else"), "any")] {
            assert_eq!(ask(name).await.unwrap(), word, "{name:?}");
        }
        let first = bob.set_stream_handler(one.clone(), say("one"));
        assert_eq!((ask(&one).await.unwrap(), ask(&two).await.unwrap()), ("one".to_owned(), "both".to_owned()));
        assert!(bob.remove_stream_handler(both) && !bob.remove_stream_handler(both));
        assert_eq!((ask(&one).await.unwrap(), ask(&two).await.unwrap()), ("one".to_owned(), "any".to_owned()));
        for handler in [first, some, any] {
            assert!(bob.remove_stream_handler(handler));
        }
        assert_eq!(ask(&odd).await.unwrap_err().code(), "protocol-refused");
        // One whose names have all been given to others is no more.
        let old = bob.set_stream_handler(one.clone(), say("old"));
        bob.set_stream_handler(one.clone(), say("new"));
        assert!(!bob.remove_stream_handler(old));
        assert_eq!(ask(&one).await.unwrap(), "new");
    })
    .await;
}

#[tokio::test]
async fn a_gate_is_asked_at_each_stage() {
    within(async {
        let (bob, info) = listener().await;
        bob.set_stream_handler(ECHO, say("in"));
        let shut = |stage: &'static str| {
            Gate::new(move |visit| {
                let asked = match visit {
                    Visit::Dial { .. } => "dial",
                    Visit::Accept { .. } => "accept",
                    Visit::Secured { .. } => "secured",
                    Visit::Stream { .. } => "stream",
                    _ => "other",
                };
                if asked == stage { Err("shut") } else { Ok(()) }
            })
        };
        let alice = Node::with_new_identity();
        alice.set_gate(shut("dial")).await;
        let error = hear(&alice, &info, ECHO).await.unwrap_err();
        assert!(error.code() == "gate" && error.to_string().contains("shut"), "{error}");
        for stage in ["accept", "secured", "stream", "none"] {
            bob.set_gate(shut(stage)).await;
            let heard = hear(&Node::with_new_identity(), &info, ECHO).await;
            match stage {
                "stream" => assert_eq!(heard.unwrap_or_default(), ""),
                "none" => assert_eq!(heard.unwrap(), "in"),
                _ => assert!(heard.as_ref().map_or(true, String::is_empty), "{stage}: {heard:?}"),
            }
        }
    })
    .await;
}

#[tokio::test]
async fn lists_keep_peers_and_networks_out() {
    within(async {
        let (bob, info) = echo_server().await;
        let alice = Node::with_new_identity();
        alice.connect(info.clone()).await.unwrap();
        let mut events = alice.events();
        let them = Subject::Peer(bob.id());
        assert_eq!((alice.block(them).await, alice.block(them).await), (Ok(true), Ok(false)));
        assert_eq!(rule(&mut events).await, Some(CloseRule::Denied(Denied::Blocked)));
        assert_eq!(alice.connect(info.clone()).await.unwrap_err().code(), "blocked");
        assert!(alice.unblock(them).await && !alice.unblock(them).await);
        alice.connect(info.clone()).await.unwrap();
        alice.disconnect(bob.id()).await;

        let elsewhere = Subject::Net { ip: "10.0.0.0".parse().unwrap(), bits: 8 };
        assert_eq!(alice.allow(elsewhere).await, Ok(true));
        assert_eq!(alice.connect(info.clone()).await.unwrap_err().code(), "blocked");
        assert!(alice.disallow(elsewhere).await && !alice.disallow(elsewhere).await);
        alice.connect(info).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_keep_holds_a_connection_until_it_is_dropped() {
    within(async {
        let (_bob, info) = echo_server().await;
        let mut config = config(30);
        config.swarm.idle = Some(Duration::from_millis(200));
        config.swarm.keeps = 2;
        let alice = Node::new(config).unwrap();
        let mut events = alice.events();
        let keep = alice.keep(info.id).await.unwrap();
        let other = alice.keep(info.id).await.unwrap();
        assert_eq!(alice.keep(info.id).await.err(), Some(Denied::Limit { name: "keeps", value: 2 }));
        alice.connect(info.clone()).await.unwrap();
        drop(other);
        assert!(tokio::time::timeout(Duration::from_millis(600), rule(&mut events)).await.is_err(), "{keep:?}");
        drop(keep);
        assert!(matches!(rule(&mut events).await, Some(CloseRule::Idle { .. })));
        // One that nobody has received holds nothing.
        for _ in 0..10 {
            let _ = tokio::time::timeout(Duration::ZERO, alice.keep(info.id)).await;
        }
        let (_one, _two) = (alice.keep(info.id).await.unwrap(), alice.keep(info.id).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_keep_does_not_keep_the_node() {
    within(async {
        let (bob, info) = echo_server().await;
        let alice = Node::with_new_identity();
        alice.connect(info).await.unwrap();
        let mut events = bob.events();
        let keep = alice.keep(bob.id()).await.unwrap();
        drop(alice);
        rule(&mut events).await;
        drop(keep);
    })
    .await;
}

#[tokio::test]
async fn the_protected_are_not_trimmed() {
    within(async {
        let (bob, info) = {
            let mut config = config(31);
            (config.swarm.high_water, config.swarm.low_water) = (2, 1);
            config.swarm.trim_grace = Duration::from_millis(100);
            common::listener_on(Node::new(config).unwrap(), "/ip4/127.0.0.1/tcp/0").await
        };
        let mut events = bob.events();
        let peers: Vec<_> = (0..3).map(|_| Node::with_new_identity()).collect();
        bob.protect(peers[0].id(), true).await.unwrap();
        for peer in &peers {
            peer.connect(info.clone()).await.unwrap();
        }
        for _ in 0..2 {
            assert!(matches!(rule(&mut events).await, Some(CloseRule::Trimmed { low_water: 1 })));
        }
        assert!(bob.stats(peers[0].id()).await.is_some(), "idle for longest");
        bob.protect(peers[0].id(), false).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_is_known_of_a_peer_is_enough_to_dial_it_and_outlives_the_node() {
    within(async {
        let (bob, info) = echo_server().await;
        let (id, address) = (bob.id(), info.addrs[0].clone());
        let alice = Node::with_new_identity();
        assert_eq!(alice.connect(id).await.unwrap_err().code(), "no-addresses");
        assert!(alice.add_address(id, address.clone(), None).await);
        assert!(!alice.add_address(id, "/ip4/0.0.0.0/tcp/1".parse().unwrap(), None).await);
        check_echo(alice.open_stream(ECHO, id).await.unwrap(), 1000, 3).await;
        alice.identify(id).await.unwrap();
        assert!(alice.known_protocols(id).await.contains(&"/echo/1.0.0".to_owned()));
        let known = alice.addresses(id).await;
        assert!(known.iter().any(|(known, _)| *known == address), "{known:?}");
        let bytes = alice.snapshot().await;
        alice.shutdown(Duration::from_secs(1)).await;
        assert_eq!(
            (alice.addresses(id).await, alice.snapshot().await, alice.restore(vec![1]).await),
            (vec![], vec![], Ok(0))
        );

        let again = Node::with_new_identity();
        assert!(again.restore(vec![0xff]).await.is_err());
        assert_eq!(again.restore(bytes).await, Ok(1));
        assert_eq!(again.known_peers().await, [id]);
        assert!(again.addresses(id).await.iter().any(|(_, known)| known.source == Source::Application));
        check_echo(again.open_stream(ECHO, id).await.unwrap(), 1000, 4).await;
        again.disconnect(id).await;
        assert!(again.forget(id).await && !again.forget(id).await);
        assert_eq!(again.known_peers().await, []);
    })
    .await;
}

#[tokio::test]
async fn known_only_offers_nothing_that_is_not_listed() {
    within(async {
        let (bob, info) = echo_server().await;
        let alice = Node::with_new_identity();
        let open = |name: ProtocolName| alice.open_stream_with(name, info.clone(), Open::KnownOnly);
        let error = open(name("/other")).await.unwrap_err();
        assert_eq!(error.code(), "not-listed", "{error}");
        check_echo(open(ECHO).await.unwrap(), 1000, 5).await;
        assert!(bob.stats(alice.id()).await.is_some());
    })
    .await;
}

#[tokio::test]
async fn shutdown_waits_for_streams_and_says_what_it_cut() {
    within(async {
        let (bob, info) = listener().await;
        let served = Arc::new(AtomicUsize::new(0));
        let count = served.clone();
        bob.set_stream_handler(ECHO, move |stream| {
            let count = count.clone();
            async move {
                echo(stream).await;
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let nodes: Vec<_> = (0..3).map(|_| Node::with_new_identity()).collect();
        let mut short = nodes[0].open_stream(ECHO, info.clone()).await.unwrap();
        let mut long = nodes[1].open_stream(ECHO, info.clone()).await.unwrap();
        nodes[2].connect(info.clone()).await.unwrap();
        for stream in [&mut short, &mut long] {
            stream.write_all(b"x").await.unwrap();
            stream.read_exact(&mut [0]).await.unwrap();
        }
        let mut idle = nodes[2].events();
        let mut events = bob.events();
        let start = tokio::time::Instant::now();
        let end = {
            let bob = bob.clone();
            tokio::spawn(async move { bob.shutdown(Duration::from_millis(1500)).await })
        };
        // Who has no stream goes at once; who has one goes with it; who comes is refused.
        rule(&mut idle).await;
        assert!(start.elapsed() < Duration::from_millis(1200));
        assert_eq!(Node::with_new_identity().connect(info.clone()).await.unwrap_err().code(), "connect");
        assert!(bob.open_stream(ECHO, nodes[1].id()).await.is_err());
        check_echo(short, 100_000, 6).await;
        assert_eq!(end.await.unwrap(), 1);
        assert!(start.elapsed() >= Duration::from_millis(1500), "the last one keeps its stream until then");
        assert!(long.read_bytes().await.is_err());
        assert_eq!(served.load(Ordering::Relaxed), 2);
        let mut rules = Vec::new();
        while let Ok(event) = events.next().await {
            match event {
                Event::Disconnected { rule, .. } => rules.extend(rule),
                Event::ShutDown { cut } => assert_eq!(cut, 1),
                _ => {}
            }
        }
        assert_eq!(rules, [CloseRule::Shutdown, CloseRule::Shutdown, CloseRule::Cut]);
    })
    .await;
}

#[tokio::test]
async fn shutdown_is_over_with_the_last_stream() {
    within(async {
        let (_bob, info) = echo_server().await;
        let alice = Node::with_new_identity();
        check_echo(alice.open_stream(ECHO, info).await.unwrap(), 1000, 7).await;
        let start = tokio::time::Instant::now();
        assert_eq!(alice.shutdown(Duration::from_secs(20)).await, 0);
        assert!(start.elapsed() < Duration::from_millis(900), "{:?}", start.elapsed());
    })
    .await;
}

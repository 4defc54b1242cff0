//! What an application decides: handlers, gates, lists, keeps, the peer book, and how it ends.

#![allow(clippy::unwrap_used)] // clippy sees helpers outside of #[test] as no tests

mod common;

use core::time::Duration;
use std::{
    io::{Read, Write},
    time::Instant,
};

use common::{ECHO, SECOND, echo, eventually, listen_on, round_trip, server, start, within};
use sanswarm_std::{
    CloseRule, Denied, Event, Events, Gate, Node, Open, OpenStreamError, PeerInfo, ProtocolName, Source, Stream,
    Subject, Visit, new_config,
};

const HERE: &str = "/ip4/127.0.0.1/tcp/0";

fn name(text: &str) -> ProtocolName {
    ProtocolName::try_from(text).unwrap()
}

fn fresh() -> Node {
    Node::with_new_identity().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "real time is what is tested")]
fn now() -> Instant {
    Instant::now()
}

/// A handler that says one word.
fn say(word: &'static str) -> impl Fn(Stream) + Send + Sync + 'static {
    move |stream| {
        let _ = (&stream).write_all(word.as_bytes());
        let _ = stream.finish();
    }
}

fn hear(node: &Node, peer: &PeerInfo, name: ProtocolName) -> Result<String, OpenStreamError> {
    let stream = node.open_stream(name, peer.clone())?;
    let mut word = String::new();
    // A stream that is reset says nothing.
    let _ = (&stream).read_to_string(&mut word);
    Ok(word)
}

/// The rule by which the next connection ends, if one does within `time`.
fn rule(events: &Events, time: Duration) -> Option<CloseRule> {
    loop {
        if let Event::Disconnected { rule, .. } = events.recv_timeout(time)? {
            return rule;
        }
    }
}

#[test]
fn handlers_are_for_names_and_predicates() {
    within(|| {
        let bob = fresh();
        let info = listen_on(&bob, HERE);
        let (one, two, odd) = (name("/one"), name("/two"), name("/odd/1.0.0"));
        let both = bob.set_stream_handler([one.clone(), two.clone()], say("both"));
        let some = bob.set_stream_handler_where(|name| name.as_str().starts_with("/odd/"), say("odd"));
        let any = bob.set_stream_handler_where(|_| true, say("any"));
        // Asked of a new node each time, which knows nothing of before.
        let ask = |name: &ProtocolName| hear(&fresh(), &info, name.clone());
        for (name, word) in [(&one, "both"), (&two, "both"), (&odd, "odd"), (&name("/else"), "any")] {
            assert_eq!(ask(name).unwrap(), word, "{name:?}");
        }
        let first = bob.set_stream_handler(one.clone(), say("one"));
        assert_eq!((ask(&one).unwrap(), ask(&two).unwrap()), ("one".to_owned(), "both".to_owned()));
        assert!(bob.remove_stream_handler(both) && !bob.remove_stream_handler(both));
        assert_eq!((ask(&one).unwrap(), ask(&two).unwrap()), ("one".to_owned(), "any".to_owned()));
        for handler in [first, some, any] {
            assert!(bob.remove_stream_handler(handler));
        }
        assert_eq!(ask(&odd).unwrap_err().code(), "protocol-refused");
        // One whose names have all been given to others is no more.
        let old = bob.set_stream_handler(one.clone(), say("old"));
        bob.set_stream_handler(one.clone(), say("new"));
        assert!(!bob.remove_stream_handler(old));
        assert_eq!(ask(&one).unwrap(), "new");
    });
}

#[test]
fn a_gate_is_asked_at_each_stage() {
    within(|| {
        let bob = fresh();
        let info = listen_on(&bob, HERE);
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
        let alice = fresh();
        alice.set_gate(shut("dial"));
        let error = hear(&alice, &info, ECHO).unwrap_err();
        assert!(error.code() == "gate" && error.to_string().contains("shut"), "{error}");
        for stage in ["accept", "secured", "stream"] {
            bob.set_gate(shut(stage));
            let heard = hear(&fresh(), &info, ECHO);
            assert!(heard.as_ref().map_or(true, String::is_empty), "{stage}: {heard:?}");
        }
        bob.set_gate(shut("none"));
        assert_eq!(hear(&fresh(), &info, ECHO).unwrap(), "in");
    });
}

#[test]
fn lists_keep_peers_and_networks_out() {
    within(|| {
        let (bob, info) = server(HERE);
        let alice = fresh();
        alice.connect(info.clone()).unwrap();
        let events = alice.events();
        let them = Subject::Peer(bob.id());
        assert_eq!((alice.block(them), alice.block(them)), (Ok(true), Ok(false)));
        assert_eq!(rule(&events, 5 * SECOND), Some(CloseRule::Denied(Denied::Blocked)));
        assert_eq!(alice.connect(info.clone()).unwrap_err().code(), "blocked");
        assert!(alice.unblock(them) && !alice.unblock(them));
        alice.connect(info.clone()).unwrap();
        alice.disconnect(bob.id());

        let elsewhere = Subject::Net { ip: "10.0.0.0".parse().unwrap(), bits: 8 };
        assert_eq!(alice.allow(elsewhere), Ok(true));
        assert_eq!(alice.connect(info.clone()).unwrap_err().code(), "blocked");
        assert!(alice.disallow(elsewhere) && !alice.disallow(elsewhere));
        alice.connect(info).unwrap();
    });
}

#[test]
fn a_keep_holds_a_connection_until_it_is_dropped() {
    within(|| {
        let (_bob, info) = server(HERE);
        let mut config = new_config().unwrap();
        config.swarm.idle = Some(Duration::from_millis(200));
        config.swarm.keeps = 2;
        let alice = Node::new(config).unwrap();
        let events = alice.events();
        let keep = alice.keep(info.id).unwrap();
        let other = alice.keep(info.id).unwrap();
        assert_eq!(alice.keep(info.id).err(), Some(Denied::Limit { name: "keeps", value: 2 }));
        alice.connect(info.clone()).unwrap();
        drop(other);
        assert_eq!(rule(&events, Duration::from_millis(600)), None, "{keep:?}");
        assert_eq!(keep.peer(), info.id);
        drop(keep);
        assert!(matches!(rule(&events, 5 * SECOND), Some(CloseRule::Idle { .. })));
    });
}

#[test]
fn the_protected_are_not_trimmed() {
    within(|| {
        let mut config = new_config().unwrap();
        (config.swarm.high_water, config.swarm.low_water) = (2, 1);
        config.swarm.trim_grace = Duration::from_millis(100);
        let bob = Node::new(config).unwrap();
        let info = listen_on(&bob, HERE);
        let events = bob.events();
        let peers = [(); 3].map(|()| fresh());
        bob.protect(peers[0].id(), true).unwrap();
        for peer in &peers {
            peer.connect(info.clone()).unwrap();
        }
        for _ in 0..2 {
            assert!(matches!(rule(&events, 5 * SECOND), Some(CloseRule::Trimmed { low_water: 1 })));
        }
        assert!(bob.stats(peers[0].id()).is_some(), "idle for longest");
        bob.protect(peers[0].id(), false).unwrap();
    });
}

#[test]
fn what_is_known_of_a_peer_is_enough_to_dial_it_and_outlives_the_node() {
    within(|| {
        let (bob, info) = server(HERE);
        let (id, address) = (bob.id(), info.addrs[0].clone());
        let alice = fresh();
        assert_eq!(alice.connect(id).unwrap_err().code(), "no-addresses");
        assert!(alice.add_address(id, address.clone(), None));
        assert!(!alice.add_address(id, "/ip4/0.0.0.0/tcp/1".parse().unwrap(), None));
        round_trip(&alice.open_stream(ECHO, id).unwrap(), 1000, 3);
        alice.identify(id).unwrap();
        assert!(alice.known_protocols(id).contains(&"/echo/1.0.0".to_owned()));
        assert!(alice.addresses(id).iter().any(|(known, _)| *known == address));
        let bytes = alice.snapshot();
        alice.shutdown(SECOND);
        assert_eq!((alice.addresses(id), alice.snapshot(), alice.restore(vec![1])), (vec![], vec![], Ok(0)));

        let again = fresh();
        assert!(again.restore(vec![0xff]).is_err());
        assert_eq!(again.restore(bytes), Ok(1));
        assert_eq!(again.known_peers(), [id]);
        assert!(again.addresses(id).iter().any(|(_, known)| known.source == Source::Application));
        round_trip(&again.open_stream(ECHO, id).unwrap(), 1000, 4);
        again.identify(id).unwrap(); // so that it tells nothing any more
        again.disconnect(id);
        assert!(again.forget(id) && !again.forget(id));
        assert_eq!(again.known_peers(), []);
    });
}

#[test]
fn known_only_offers_nothing_that_is_not_listed() {
    within(|| {
        let (_bob, info) = server(HERE);
        let alice = fresh();
        let open = |name: ProtocolName| alice.open_stream_with(name, info.clone(), Open::KnownOnly);
        let error = open(name("/other")).unwrap_err();
        assert_eq!(error.code(), "not-listed", "{error}");
        round_trip(&open(ECHO).unwrap(), 1000, 5);
    });
}

#[test]
fn shutdown_waits_for_streams_and_says_what_it_cut() {
    within(|| {
        let bob = fresh();
        bob.set_stream_handler(ECHO, echo);
        let info = listen_on(&bob, HERE);
        let nodes = [(); 3].map(|()| fresh());
        let short = nodes[0].open_stream(ECHO, info.clone()).unwrap();
        let long = nodes[1].open_stream(ECHO, info.clone()).unwrap();
        nodes[2].connect(info.clone()).unwrap();
        eventually("bob knows of all", || bob.counters().unwrap().connections.open == 3);
        for mut stream in [&short, &long] {
            stream.write_all(b"x").unwrap();
            stream.read_exact(&mut [0]).unwrap();
        }
        let (idle, events) = (nodes[2].events(), bob.events());
        let begin = now();
        let ending = bob.clone();
        let end = start(move || ending.shutdown(Duration::from_secs(3)));
        // Who has no stream goes at once; who has one goes with it; who comes is refused.
        while !matches!(idle.recv_timeout(5 * SECOND).unwrap(), Event::Disconnected { .. }) {}
        assert!(begin.elapsed() < Duration::from_millis(2500));
        assert_eq!(fresh().connect(info).unwrap_err().code(), "connect");
        assert!(bob.open_stream(ECHO, nodes[1].id()).is_err());
        round_trip(&short, 100_000, 6);
        drop(short);
        assert_eq!(end.join().unwrap(), 1);
        assert!(begin.elapsed() >= Duration::from_secs(3), "the last one keeps its stream until then");
        assert!((&long).read(&mut [0]).is_err());
        let mut rules = Vec::new();
        for event in events {
            match event {
                Event::Disconnected { rule, .. } => rules.extend(rule),
                Event::ShutDown { cut } => assert_eq!(cut, 1),
                _ => {}
            }
        }
        assert_eq!(rules, [CloseRule::Shutdown, CloseRule::Shutdown, CloseRule::Cut]);
    });
}

#[test]
fn shutdown_is_over_with_the_last_stream() {
    within(|| {
        let (_bob, info) = server(HERE);
        let alice = fresh();
        round_trip(&alice.open_stream(ECHO, info).unwrap(), 1000, 7);
        let begin = now();
        assert_eq!(alice.shutdown(15 * SECOND), 0);
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    });
}

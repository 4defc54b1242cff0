//! Why connections stay and go, who may come in, and what is dialled at all: the swarm's rules through whole nodes.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{A, B, ECHO, Net, address, config, millis, peer, secs};
use sanswarm::{
    Action, Answer, CloseReason, CloseRule, Config, Denied, Event, Gate, Node, PeerInfo, Question, StreamId, Subject,
    TransportError, Visit,
};

/// A network of two, the first of them with another configuration.
fn with(change: impl FnOnce(&mut Config)) -> Net {
    let mut ours = config(1);
    change(&mut ours);
    Net::with(vec![ours, config(2)])
}

/// The rule by which each connection of a user ended.
fn rules(net: &Net, user: usize) -> Vec<Option<CloseRule>> {
    let rule = |event: &Event| match event {
        Event::Disconnected { rule, .. } => Some(*rule),
        _ => None,
    };
    net.users[user].events.iter().filter_map(rule).collect()
}

fn echo(net: &mut Net) -> StreamId {
    let request = net.open(ECHO);
    net.run();
    net.users[A].stream(request)
}

#[test]
fn a_stream_or_a_keep_holds_a_connection_and_then_it_idles() {
    let mut net = with(|config| config.swarm.idle = Some(secs(5)));
    let stream = echo(&mut net);
    net.pass(secs(60));
    assert_eq!(rules(&net, A), [], "a stream is open");
    net.send_all(A, stream, b"bye");
    net.run();
    let keep = net.users[A].node.keep(peer(2)).unwrap();
    net.pass(secs(60));
    assert_eq!(rules(&net, A), [], "somebody keeps it");
    assert!(net.users[A].node.release(net.now, keep));
    net.pass(millis(4_900));
    assert_eq!(rules(&net, A), []);
    net.pass(millis(200));
    assert_eq!(rules(&net, A), [Some(CloseRule::Idle { after: secs(5) })]);
    assert_eq!(rules(&net, B), [None], "they know only that we closed it");
    let is_remote = |e: &Event| matches!(e, Event::Disconnected { reason: Ok(CloseReason::Remote(_)), .. });
    assert_eq!(net.users[B].count(is_remote), 1);
}

#[test]
fn an_open_request_begins_the_idle_time_anew() {
    let mut net = with(|config| config.swarm.idle = Some(secs(5)));
    net.connect();
    net.pass(millis(4_999));
    net.latency = secs(1);
    let request = net.open(ECHO);
    net.pass(secs(4));
    assert!(net.users[A].opened(request).is_some());
    assert_eq!(rules(&net, A), []);
}

#[test]
fn nodes_that_dial_each_other_settle_on_one_connection_and_cut_no_stream() {
    let mut doubles = 0;
    for latency in [1, 20, 150] {
        for step in -8_i64..=8 {
            let mut net = Net::new(2);
            net.users[A].node.set_stream_handler(ECHO);
            net.latency = millis(latency);
            let skew = millis(step.unsigned_abs() * latency / 2);
            let (first, second) = if step < 0 { (A, B) } else { (B, A) };
            let ask = |net: &mut Net, from: usize| {
                let (info, now) = (net.users[1 - from].info(), net.now);
                net.users[from].node.open_stream(now, ECHO, info)
            };
            let one = ask(&mut net, first);
            net.pass(skew);
            let two = ask(&mut net, second);
            net.pass(secs(30));
            let at = format!("latency {latency}, skew {step}");
            doubles += usize::from(net.pipes.len() > 1);
            let streams = [(first, one), (second, two)].map(|(user, request)| (user, net.users[user].stream(request)));
            for (user, stream) in streams {
                net.send_all(user, stream, b"still there");
            }
            net.pass(secs(5));
            for (user, stream) in streams {
                assert_eq!(net.users[user].got[&stream], b"still there", "{at}");
            }
            net.pass(secs(30));
            let left = [A, B].map(|user| net.users[user].node.connections(&peer(2 - user as u8)).count());
            assert_eq!(left, [1, 1], "{at}");
            let is_cut = |e: &Event| matches!(e, Event::Reset { .. } | Event::OpenFailed { .. });
            assert_eq!([A, B].map(|user| net.users[user].count(is_cut)), [0, 0], "{at}");
            let closed: Vec<_> = [A, B].into_iter().flat_map(|user| rules(&net, user)).flatten().collect();
            assert_eq!(closed, vec![CloseRule::Surplus; net.pipes.len() - 1], "{at}");
        }
    }
    assert!(doubles > 20, "the grid holds the case that it is about: {doubles}");
}

#[test]
fn the_gate_is_asked_about_streams_and_about_peers() {
    let mut net = Net::new(2);
    net.users[B].node.set_gate(Gate::new(|visit| match visit {
        Visit::Stream { protocol: "/echo/1.0.0", .. } => Err("no echo today"),
        _ => Ok(()),
    }));
    let request = net.open(ECHO);
    net.run();
    assert_eq!(net.users[A].failure(request).code(), "stream-reset");
    assert!(net.users[B].inbound().is_empty());

    let mut net = Net::new(2);
    net.users[A].node.set_gate(Gate::new(|visit| match visit {
        Visit::Dial { .. } => Err("not there"),
        _ => Ok(()),
    }));
    let request = net.open(ECHO);
    net.run();
    assert_eq!(net.users[A].failure(request).code(), "gate");
    assert!(net.users[A].failure(request).to_string().contains("not there"));
}

#[test]
fn who_is_blocked_is_cut_off_and_not_dialled() {
    let (mut net, ..) = Net::connected();
    let now = net.now;
    assert_eq!(net.users[A].node.block(now, Subject::Peer(peer(2))), Ok(true));
    net.run();
    assert_eq!(rules(&net, A), [Some(CloseRule::Denied(Denied::Blocked))]);
    let request = net.open(ECHO);
    net.run();
    assert_eq!(net.users[A].failure(request).code(), "blocked");
}

#[test]
fn shutdown_waits_for_streams_and_tells_what_it_cut() {
    for finish in [true, false] {
        let mut net = Net::new(2);
        let stream = echo(&mut net);
        let now = net.now;
        net.users[A].node.shutdown(now, secs(10));
        net.run();
        assert_eq!(rules(&net, A), [], "a stream is open");
        let refused = net.open(ECHO);
        net.run();
        assert_eq!(net.users[A].failure(refused).code(), "shutting-down");
        let now = net.now;
        let secret = net.secret();
        let accepted = net.users[A].node.handle_accepted(now, address(0), address(5), secret);
        assert_eq!(accepted.err(), Some(Denied::ShuttingDown));
        if finish {
            net.send_all(A, stream, b"last words");
        }
        net.pass(secs(9));
        assert_eq!(rules(&net, A).len(), usize::from(finish));
        net.pass(secs(9));
        assert_eq!(rules(&net, A), [Some(if finish { CloseRule::Shutdown } else { CloseRule::Cut })]);
        let events = &net.users[A].events;
        assert_eq!(events.last(), Some(&Event::ShutDown { cut: usize::from(!finish) }));
        if finish {
            assert_eq!(net.users[A].got[&stream], b"last words");
        }
    }
}

#[test]
fn shutdown_is_over_with_the_last_stream() {
    let mut net = Net::new(2);
    let request = net.open(ECHO);
    net.run();
    let stream = net.users[A].stream(request);
    net.send_all(A, stream, b"x");
    net.run();
    // The control has not been told that there is no stream any more: that comes a second late otherwise.
    let now = net.now;
    net.users[A].node.shutdown(now, secs(10));
    net.run();
    assert_eq!(net.users[A].events.last(), Some(&Event::ShutDown { cut: 0 }));
}

#[test]
fn addresses_of_loopback_are_told_on_this_host_only() {
    let mut net = Net::new(2);
    let far: sanswarm::Multiaddr = "/ip4/20.0.0.1/tcp/1".parse().unwrap();
    net.users[B].node.handle_listening(far.clone());
    net.users[B].node.handle_listening(address(1));
    net.connect();
    assert_eq!(net.users[A].identified()[0].listen_addrs, [far.clone(), address(1)]);
    net.users[A].node.disconnect(net.now, peer(2));
    net.run();
    net.users[A].address = "/ip4/20.0.0.2/tcp/9".parse().unwrap();
    net.connect();
    assert_eq!(net.users[A].identified()[1].listen_addrs, core::slice::from_ref(&far));
    net.users[B].node.set_stream_handler(common::CHAT);
    net.run();
    assert_eq!(net.users[A].node.info(&peer(2)).unwrap().listen_addrs, [far], "pushed");
}

#[test]
fn an_unspecified_address_is_not_told_to_anybody() {
    let mut net = Net::new(2);
    let any: sanswarm::Multiaddr = "/ip4/0.0.0.0/tcp/4001".parse().unwrap();
    net.users[B].node.handle_listening(any.clone());
    net.connect();
    assert!(net.users[A].identified()[0].listen_addrs.is_empty());
    net.users[B].node.handle_interfaces(&["10.0.0.7".parse().unwrap()]);
    net.run();
    let told = net.users[A].node.info(&peer(2)).unwrap().listen_addrs.clone();
    assert_eq!(told, ["/ip4/10.0.0.7/tcp/4001".parse().unwrap()]);
    let request = net.open_at(peer(9), vec![any]);
    net.run();
    assert_eq!(net.users[A].failure(request).code(), "unroutable");
}

#[test]
fn what_failed_rests_and_can_be_forgiven() {
    let mut net = Net::new(1);
    let ask = |net: &mut Net| {
        let request = net.open_at(peer(9), vec![address(6)]);
        net.run();
        net.users[A].failure(request).code()
    };
    assert_eq!(ask(&mut net), "connect");
    assert_eq!(ask(&mut net), "back-off");
    net.users[A].node.forgive(Some(peer(9)), &[address(6)]);
    assert_eq!(ask(&mut net), "connect");
    net.pass(secs(2));
    assert_eq!(ask(&mut net), "connect", "the first rest is over");
    assert_eq!(net.dials.len(), 3);
}

#[test]
fn names_are_asked_for_where_the_driver_answers() {
    let mut node = Node::new(config(1)).unwrap();
    node.set_resolves(true);
    let now = sanswarm::Instant::ZERO;
    let addrs = vec!["/dnsaddr/peers.example".parse().unwrap(), "/dns4/gone.example/tcp/1".parse().unwrap()];
    let request = node.open_stream(now, ECHO, PeerInfo { id: peer(2), addrs });
    let Some(Action::Resolve { resolve, question }) = node.poll_action() else { panic!() };
    assert_eq!(question, Question::Texts("_dnsaddr.peers.example".to_owned()));
    let Some(Action::Resolve { resolve: gone, .. }) = node.poll_action() else { panic!() };
    let texts = [3, 2].map(|id| format!("dnsaddr=/ip4/1.2.3.{id}/tcp/1/p2p/{}", peer(id)));
    node.handle_resolved(now, resolve, Ok(Answer::Texts(texts.to_vec())));
    node.handle_resolved(now, gone, Err(TransportError::NotFound));
    let Some(Action::Dial { conn, address }) = node.poll_action() else { panic!() };
    assert_eq!(address, "/ip4/1.2.3.2/tcp/1".parse().unwrap(), "the other is another peer's");
    node.handle_dial_failed(now, conn, TransportError::Refused);
    let Some(Event::OpenFailed { request: failed, error }) = node.poll_event(now) else { panic!() };
    assert_eq!(failed, request);
    let text = error.to_string();
    assert!(text.contains("/dns4/gone.example/tcp/1: resolve: the name was not resolved"), "{text}");
    assert!(text.contains("/ip4/1.2.3.2/tcp/1: connect: connection refused"), "{text}");
}

#[test]
fn what_nobody_reads_counts_against_the_memory_of_all() {
    let mut narrow = config(2);
    narrow.swarm.memory = 340 << 10;
    let mut net = Net::with(vec![config(1), narrow, config(3)]);
    let stream = echo(&mut net);
    net.users[B].reads = false;
    net.send_all(A, stream, &vec![7; 250 << 10]);
    net.run();
    let theirs = net.users[B].inbound()[0];
    let ask = |net: &mut Net| {
        let (info, now) = (net.users[B].info(), net.now);
        net.users[2].node.forgive(Some(info.id), &info.addrs);
        net.users[2].node.connect(now, info);
        net.run();
    };
    ask(&mut net);
    assert_eq!(net.denied, [Denied::Limit { name: "memory", value: 340 << 10 }]);
    net.users[B].reads = true;
    let now = net.now;
    net.users[B].take_in(now, theirs);
    net.run();
    assert_eq!(net.users[B].got[&theirs].len(), 250 << 10);
    net.pass(secs(2));
    ask(&mut net);
    assert_eq!(net.denied.len(), 1, "it has been read, and what went back has gone");
    assert!(net.users[2].node.connections(&peer(2)).next().is_some());
}

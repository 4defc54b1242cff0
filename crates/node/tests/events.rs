//! What is told, in what order, and how often: connections, identify, ping.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{A, B, CHAT, ECHO, Hand, Net, address, config, keypair, millis, peer, secs};
use sanswarm::{CloseRule, Event, IdentifyError, Multiaddr, PingError, RefusalCause};
use sanswarm_identify as identify;

const IDENTIFY: &str = "/ipfs/id/1.0.0";
const PING: &str = "/ipfs/ping/1.0.0";

fn is_ready(event: &Event) -> bool {
    matches!(event, Event::PeerReady { .. })
}

fn pings(net: &Net) -> Vec<Result<core::time::Duration, PingError>> {
    let result = |event: &Event| match event {
        Event::Ping { result, .. } => Some(result.clone()),
        _ => None,
    };
    net.users[A].events.iter().filter_map(result).collect()
}

fn ready(net: &Net) -> &Result<sanswarm::Info, IdentifyError> {
    let found = net.users[A].events.iter().find_map(|event| match event {
        Event::PeerReady { identify, .. } => Some(identify),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("{:?}", net.users[A].events))
}

fn says(info: &identify::Info) -> Option<Vec<u8>> {
    Some(info.encode(&identify::Limits::default()))
}

#[test]
fn connected_comes_first_and_peer_ready_once_at_both_ends() {
    let (net, _, _) = Net::connected();
    for user in &net.users {
        assert!(matches!(user.events[0], Event::Connected { .. }), "{:?}", user.events);
        assert_eq!(user.count(is_ready), 1);
        assert_eq!(user.count(|e| matches!(e, Event::Connected { .. })), 1);
    }
}

#[test]
fn connected_comes_before_an_inbound_stream_even_if_both_arrive_at_once() {
    let mut net = Net::new(2);
    net.latency = millis(10);
    let info = net.users[B].info();
    net.users[A].node.open_stream_with(net.now, ECHO, info, sanswarm::Open::Lazy);
    net.run();
    let b = &net.users[B];
    let opened = b.position(|e| matches!(e, Event::Opened { .. })).unwrap();
    assert!(b.position(|e| matches!(e, Event::Connected { .. })).unwrap() < opened, "{:?}", b.events);
}

#[test]
fn identify_names_the_network_and_the_program_and_what_is_handled() {
    let (net, _, _) = Net::connected();
    let info = net.users[A].node.info(&peer(2)).unwrap();
    assert_eq!(info.protocol_version.as_deref(), Some("ipfs/0.1.0"));
    assert_eq!(info.agent.as_deref(), Some(concat!("sanswarm/", env!("CARGO_PKG_VERSION"))));
    let mut names = info.protocols.clone();
    names.sort();
    assert_eq!(names, ["/echo/1.0.0", "/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0", "/ipfs/ping/1.0.0"]);
}

#[test]
fn identify_tells_the_address_that_the_peer_is_seen_at() {
    let (net, _, _) = Net::connected();
    assert_eq!(net.users[A].node.info(&peer(2)).unwrap().observed_addr, Some(address(0)));
    assert_eq!(net.users[B].node.info(&peer(1)).unwrap().observed_addr, Some(address(1)));
}

#[test]
fn a_peer_that_never_answers_identify_is_ready_at_the_timeout_and_no_sooner() {
    let mut net = Net::new(1);
    net.connect_hand(|| Hand::serves(&[IDENTIFY], None, false));
    assert_eq!(net.users[A].count(is_ready), 0);
    net.pass(millis(4999));
    assert_eq!(net.users[A].count(is_ready), 0);
    net.pass(millis(1));
    assert_eq!(ready(&net), &Err(IdentifyError::Timeout));
    net.pass(secs(60));
    assert_eq!(net.users[A].count(is_ready), 1);
    let asked = net.hand().served().streams(IDENTIFY)[0];
    let was_reset = |e: &_| matches!(e, sanswarm_connection::Event::Reset { stream } if *stream == asked);
    assert!(net.hand().served().events.iter().any(was_reset), "nobody waits on that stream any more");
}

#[test]
fn a_peer_without_identify_is_ready_with_the_refusal() {
    let mut net = Net::new(1);
    net.connect_hand(|| Hand::serves(&[PING], None, false));
    let Err(IdentifyError::Refused(refusal)) = ready(&net) else { panic!("{:?}", ready(&net)) };
    assert_eq!(refusal.cause, RefusalCause::NotSupported);
}

#[test]
fn an_identify_message_that_cannot_be_read_is_an_error() {
    let mut net = Net::new(1);
    net.connect_hand(|| Hand::serves(&[IDENTIFY], Some(vec![3, 0xff, 0xff, 0xff]), false));
    assert_eq!(ready(&net), &Err(IdentifyError::Message(identify::Error::Malformed)));
}

#[test]
fn an_identify_message_longer_than_the_limit_is_an_error() {
    let mut net = Net::new(1);
    net.connect_hand(|| Hand::serves(&[IDENTIFY], Some(vec![0xff; 5]), false));
    assert_eq!(ready(&net), &Err(IdentifyError::Message(identify::Error::MessageTooLong { limit: 8192 })));
}

#[test]
fn a_wrong_key_in_identify_is_an_error_and_nothing_of_it_is_kept() {
    let mut net = Net::new(1);
    let claim = || identify::Info {
        public_key: Some(keypair(5).public().encode_protobuf().into()),
        protocols: vec!["/echo/1.0.0".to_owned()],
        ..Default::default()
    };
    net.connect_hand(move || Hand::serves(&[IDENTIFY], says(&claim()), false));
    assert_eq!(ready(&net), &Err(IdentifyError::WrongKey));
    assert_eq!(net.users[A].node.info(&peer(9)), None);
}

#[test]
fn addresses_in_identify_that_cannot_be_read_are_left_out() {
    let mut net = Net::new(1);
    let good: Multiaddr = address(3);
    let info = identify::Info {
        listen_addrs: vec![vec![0xff, 0xff, 0xff].into(), good.to_vec().into()],
        ..Default::default()
    };
    net.connect_hand(move || Hand::serves(&[IDENTIFY], says(&info), false));
    assert_eq!(ready(&net).as_ref().unwrap().listen_addrs, [good]);
}

#[test]
fn a_new_handler_reaches_connected_peers() {
    let (mut net, _, b) = Net::connected();
    net.users[A].node.set_stream_handler(CHAT);
    net.run();
    let changed = net.users[B].events.last().unwrap();
    let Event::PeerChanged { peer: p, conn, info } = changed else { panic!("{changed:?}") };
    assert_eq!((*p, *conn), (peer(1), b));
    assert!(info.protocols.iter().any(|name| name == "/chat/1.0.0"));
    assert_eq!(info.agent, net.users[A].node.info(&peer(2)).unwrap().agent, "what was not said stays or is the same");
    assert_eq!(net.users[B].node.info(&peer(1)), Some(info));
}

#[test]
fn many_changes_at_once_are_told_in_order_and_the_last_word_is_right() {
    let (mut net, _, _) = Net::connected();
    net.latency = millis(20);
    for round in 0..30 {
        let handler = net.users[A].node.set_stream_handler(CHAT);
        net.round();
        if round % 3 == 0 {
            net.users[A].node.remove_stream_handler(handler);
        }
        net.round();
    }
    net.users[A].node.set_stream_handler([CHAT, ECHO]);
    net.run();
    let info = net.users[B].node.info(&peer(1)).unwrap();
    assert!(info.protocols.iter().any(|name| name == "/chat/1.0.0"));
    assert!(info.protocols.iter().any(|name| name == "/echo/1.0.0"));
    let changes = net.users[B].count(|e| matches!(e, Event::PeerChanged { .. }));
    assert!((1..=61).contains(&changes), "{changes}");
}

#[test]
fn a_handler_set_while_identify_is_under_way_is_told_too() {
    // Whatever the moment: at each step of the connection's first messages.
    for steps in 0..40 {
        let mut net = Net::new(2);
        net.latency = millis(10);
        let (info, now) = (net.users[B].info(), net.now);
        net.users[A].node.connect(now, info);
        for _ in 0..steps {
            net.pass(millis(2));
        }
        net.users[B].node.set_stream_handler(CHAT);
        net.run();
        let info = net.users[A].node.info(&peer(2)).expect("connected");
        assert!(info.protocols.iter().any(|name| name == "/chat/1.0.0"), "after {steps} steps: {:?}", info.protocols);
    }
}

#[test]
fn a_removed_handler_is_told_and_new_streams_are_refused() {
    let (mut net, _, _) = Net::connected();
    let handler = net.users[B].node.set_stream_handler(CHAT);
    net.run();
    assert!(net.users[B].node.remove_stream_handler(handler));
    assert!(!net.users[B].node.remove_stream_handler(handler), "it is gone");
    net.run();
    let known = &net.users[A].node.info(&peer(2)).unwrap().protocols;
    assert!(!known.iter().any(|name| name == "/chat/1.0.0"), "{known:?}");
    let request = net.open(CHAT);
    net.run();
    assert_eq!(net.users[A].failure(request).code(), "protocol-refused");
}

#[test]
fn streams_of_a_removed_handler_go_on() {
    let (mut net, _, _) = Net::connected();
    let handler = net.users[B].node.set_stream_handler(CHAT);
    let request = net.open(CHAT);
    net.run();
    let stream = net.users[A].stream(request);
    net.users[B].node.remove_stream_handler(handler);
    net.send_all(A, stream, b"still here");
    net.run();
    assert_eq!(net.users[A].got[&stream], b"still here");
}

#[test]
fn a_ping_tells_the_round_trip_in_virtual_time() {
    let (mut net, conn, _) = Net::connected();
    net.latency = millis(30);
    assert!(net.users[A].node.ping(&peer(2)));
    net.run();
    // The stream is new: one round trip to agree on it does not count.
    assert!(net.users[A].has(&Event::Ping { peer: peer(2), conn, result: Ok(millis(60)) }), "{:?}", pings(&net));
    assert!(net.users[A].node.ping(&peer(2)));
    net.run();
    assert_eq!(pings(&net), [Ok(millis(60)), Ok(millis(60))]);
    assert!(!net.users[A].node.ping(&peer(3)), "not connected");
}

/// Found by the simulator: after one partition at the wrong moment a dead connection was never pinged again.
#[test]
fn a_ping_without_an_agreement_in_time_is_not_the_last() {
    let mut one = config(1);
    one.ping_interval = Some(secs(20));
    let mut net = Net::with(vec![one, config(2)]);
    net.connect();
    net.latency = secs(12);
    net.pass(secs(35));
    let [Err(PingError::Refused(refusal))] = &pings(&net)[..] else { panic!("{:?}", pings(&net)) };
    assert_eq!(refusal.cause, RefusalCause::Timeout(secs(10)));
    net.latency = millis(1);
    net.pass(secs(40));
    assert!(pings(&net)[1..].contains(&Ok(millis(2))), "{:?}", pings(&net));
}

/// A host that is no more, or a line that was cut without a word: nothing tells but silence.
#[test]
fn a_peer_from_whom_nothing_comes_during_two_pings_is_given_up() {
    let mut with = config(1);
    with.ping_interval = Some(secs(15));
    let mut net = Net::with(vec![with, config(2)]);
    let (conn, _) = net.connect();
    net.pass(secs(16));
    assert_eq!(pings(&net), [Ok(millis(0))]);
    net.latency = secs(1000);
    net.pass(secs(38)); // pings at 30 and 45
    assert_eq!(net.users[A].disconnected(conn).len(), 0);
    net.pass(secs(3));
    let timed_out = |ping: &Result<_, _>| {
        matches!(ping, Err(PingError::Echo(sanswarm_ping::Error::Timeout { .. }) | PingError::Refused(_)))
    };
    assert!(pings(&net)[1..3].iter().all(timed_out), "{:?}", pings(&net));
    let ended: Vec<_> = net.users[A].disconnected(conn);
    assert!(matches!(ended[..], [Event::Disconnected { rule: Some(CloseRule::Silent), .. }]), "{ended:?}");
}

#[test]
fn a_second_ping_while_one_is_under_way_is_told_to_be_busy() {
    let (mut net, _, _) = Net::connected();
    net.users[A].node.ping(&peer(2));
    net.users[A].node.ping(&peer(2));
    net.run();
    let mut results = pings(&net);
    results.sort_by_key(Result::is_ok);
    assert_eq!(results, [Err(PingError::Busy), Ok(millis(0))]);
}

#[test]
fn connections_are_pinged_at_their_interval() {
    let mut with = config(1);
    with.ping_interval = Some(secs(15));
    let mut net = Net::with(vec![with, config(2)]);
    net.connect();
    net.pass(secs(14));
    assert_eq!(pings(&net).len(), 0);
    net.pass(secs(1));
    assert_eq!(pings(&net).len(), 1);
    net.pass(secs(150));
    assert_eq!(pings(&net).len(), 11);
    assert!(pings(&net).iter().all(Result::is_ok));
    assert_eq!(net.users[A].count(|e| matches!(e, Event::Disconnected { .. })), 0);
}

#[test]
fn an_idle_connection_without_pings_needs_no_timer() {
    let (mut net, _, _) = Net::connected();
    net.pass(secs(1)); // what was counted is told
    for user in &net.users {
        assert_eq!(user.node.poll_timeout(), None);
    }
}

#[test]
fn a_ping_without_an_echo_times_out_and_the_next_one_has_a_new_stream() {
    let mut net = Net::new(1);
    net.connect_hand(|| Hand::serves(&[PING], None, false));
    net.users[A].node.ping(&peer(9));
    net.pass(millis(9999));
    assert_eq!(pings(&net), []);
    net.pass(millis(1));
    let [Err(PingError::Echo(error))] = &pings(&net)[..] else { panic!("{:?}", pings(&net)) };
    assert!(matches!(error, sanswarm_ping::Error::Timeout { .. }));
    net.hand().served().pongs = true;
    net.users[A].node.ping(&peer(9));
    net.run();
    assert_eq!(pings(&net)[1], Ok(millis(0)));
    assert_eq!(net.hand().served().streams(PING).len(), 2);
}

#[test]
fn a_peer_that_refuses_ping_is_asked_once() {
    let mut with = config(1);
    with.ping_interval = Some(secs(15));
    let mut net = Net::with(vec![with]);
    net.connect_hand(|| Hand::serves(&[IDENTIFY], None, false));
    net.pass(secs(200));
    let [Err(PingError::Refused(refusal))] = &pings(&net)[..] else { panic!("{:?}", pings(&net)) };
    assert_eq!(refusal.cause, RefusalCause::NotSupported);
}

#[test]
fn a_ping_under_way_when_the_connection_ends_is_answered() {
    let (mut net, _, _) = Net::connected();
    net.latency = millis(50);
    net.users[A].node.ping(&peer(2));
    net.pass(millis(10));
    net.cut(0);
    net.run();
    assert_eq!(pings(&net), [Err(PingError::Closed)]);
    let last = net.users[A].events.last().unwrap();
    assert!(matches!(last, Event::Disconnected { .. }), "{last:?}");
}

#[test]
fn an_inbound_connection_that_fails_is_told_with_its_cause() {
    let mut net = Net::new(1);
    let (now, secret) = (net.now, net.secret());
    let conn = net.users[A].node.handle_accepted(now, address(0), address(5), secret).unwrap();
    net.users[A]
        .node
        .handle_input(conn, b"GET / HTTP/1.1\r\nHost: localhost:4001\r\nUser-Agent: curl/8.0.1\r\nAccept: */*\r\n\r\n");
    net.run();
    let [Event::AcceptFailed { address: from, error }] = &net.users[A].events[..] else {
        panic!("{:?}", net.users[A].events)
    };
    assert_eq!((from, error.code()), (&address(5), "negotiation"));
}

#[test]
fn a_silent_inbound_connection_ends_at_its_deadline() {
    let mut net = Net::new(1);
    let (now, secret) = (net.now, net.secret());
    net.users[A].node.handle_accepted(now, address(0), address(5), secret).unwrap();
    net.pass(millis(14_999));
    assert!(net.users[A].events.is_empty());
    net.pass(millis(1));
    let failed = |e: &Event| matches!(e, Event::AcceptFailed { error, .. } if error.code() == "timeout");
    assert_eq!(net.users[A].count(failed), 1);
    net.pass(secs(60));
    assert_eq!(net.users[A].events.len(), 1);
    assert_eq!(net.users[A].node.poll_timeout(), None, "nothing is left");
}

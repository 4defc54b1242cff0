//! How connections and streams end, and what their names are good for afterwards.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{A, B, ECHO, Hand, Net, Place, address, config, millis, pattern, peer, secs};
use sanswarm::{CloseReason, ConnectionError, Denied, Event, Goodbye, ReadError, Stage, WriteError};

const IDENTIFY: &str = "/ipfs/id/1.0.0";

fn reason(event: &Event) -> &Result<CloseReason, ConnectionError> {
    match event {
        Event::Disconnected { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn close_delivers_what_was_written() {
    let (mut net, a, b) = Net::connected();
    net.latency = millis(20);
    let request = net.open(ECHO);
    net.run();
    let (stream, now) = (net.users[A].stream(request), net.now);
    let data = pattern(40_000);
    assert_eq!(net.users[A].node.write(now, stream, &data), Ok(data.len()));
    assert!(net.users[A].node.close(now, a));
    assert!(!net.users[A].node.close(now, a), "it is closing already");
    net.run();
    let theirs = net.users[B].inbound()[0];
    assert!(net.users[B].got[&theirs] == data);
    assert_eq!(net.users[A].disconnected(a).len(), 1);
    assert_eq!(reason(net.users[A].disconnected(a)[0]), &Ok(CloseReason::Local));
    let lost = ConnectionError::Eof { stage: Stage::Streams, streams: 1, offered: vec![] };
    assert_eq!(reason(net.users[B].disconnected(b)[0]), &Err(lost), "a stream was open there");
}

#[test]
fn finish_and_then_close_delivers_the_end_too() {
    let (mut net, a, _) = Net::connected();
    let request = net.open(ECHO);
    net.run();
    let (stream, now) = (net.users[A].stream(request), net.now);
    net.users[A].node.write(now, stream, b"all of it").unwrap();
    net.users[A].node.finish(stream).unwrap();
    net.users[A].node.close(now, a);
    net.run();
    let theirs = net.users[B].inbound()[0];
    assert_eq!(net.users[B].got[&theirs], b"all of it");
    assert!(net.users[B].ended.contains(&theirs));
}

#[test]
fn a_remote_close_without_streams_is_no_error() {
    let (mut net, a, b) = Net::connected();
    let now = net.now;
    net.users[A].node.close(now, a);
    net.run();
    assert_eq!(reason(net.users[B].disconnected(b)[0]), &Ok(CloseReason::Remote(Goodbye::GoAway)));
    for user in &net.users {
        assert_eq!(user.node.poll_timeout(), None, "nothing is left");
        assert_eq!(user.count(|e| matches!(e, Event::Disconnected { .. })), 1);
    }
    assert_eq!(net.users[A].node.info(&peer(2)), None, "forgotten with the connection");
}

#[test]
fn the_stream_for_pings_does_not_make_a_remote_close_an_error() {
    let (mut net, a, b) = Net::connected();
    net.users[A].node.ping(&peer(2));
    net.users[B].node.ping(&peer(1));
    net.run();
    let now = net.now;
    net.users[A].node.close(now, a);
    net.run();
    assert_eq!(reason(net.users[A].disconnected(a)[0]), &Ok(CloseReason::Local));
    assert_eq!(reason(net.users[B].disconnected(b)[0]), &Ok(CloseReason::Remote(Goodbye::Eof)));
}

#[test]
fn disconnect_closes_all_connections_of_one_peer_only() {
    let mut net = Net::new(3);
    net.connect();
    let (now, info) = (net.now, net.users[A].info());
    // A second connection to the same peer, made by the other side on a pipe of its own.
    let (ours, theirs) = (net.secret(), net.secret());
    let b = net.users[B].node.swarm().add_pipe(now, address(1), address(0)).unwrap();
    let a = net.users[A].node.swarm().add_pipe(now, address(0), address(1)).unwrap();
    net.users[B].node.swarm().upgrade_connection(now, b, sanswarm::Role::Dialer, theirs).unwrap();
    net.users[A].node.swarm().upgrade_connection(now, a, sanswarm::Role::Listener, ours).unwrap();
    net.join(a, b);
    net.users[2].node.connect(now, info);
    net.run();
    assert_eq!(net.users[A].node.connections(&peer(2)).count(), 2);
    assert_eq!(net.users[A].node.disconnect(now, peer(2)), 2);
    net.run();
    assert_eq!(net.users[A].count(|e| matches!(e, Event::Disconnected { peer: p, .. } if *p == peer(2))), 2);
    assert_eq!(net.users[A].node.connections(&peer(3)).count(), 1);
    assert_eq!(net.users[A].node.disconnect(now, peer(2)), 0);
}

#[test]
fn close_all_ends_connections_and_requests_and_dials_nothing_more() {
    let mut net = Net::new(3);
    net.connect();
    let (now, info) = (net.now, net.users[A].info());
    net.users[2].node.connect(now, info);
    net.run();
    net.places.insert(address(7), Place::Hole);
    net.places.insert(address(8), Place::Hand(Box::new(Hand::silent)));
    let waiting =
        [net.open_at(peer(9), vec![address(7), address(6)]), net.open_at(peer(8), vec![address(8), address(7)])];
    net.run();
    let dials = net.dials.len();
    assert_eq!(net.users[A].node.close_all(now), 2);
    net.pass(secs(60));
    assert_eq!(net.dials.len(), dials);
    for request in waiting {
        assert_eq!(net.users[A].failure(request).code(), "cancelled");
    }
    assert_eq!(net.users[A].count(|e| matches!(e, Event::Disconnected { .. })), 2);
    assert_eq!(net.users[A].node.poll_timeout(), None);
    assert_eq!(net.users[A].node.poll_action(), None);
}

#[test]
fn a_goodbye_that_nobody_takes_ends_after_its_limit() {
    let (mut net, a, _) = Net::connected();
    net.room = 0;
    let now = net.now;
    net.users[A].node.close(now, a);
    net.pass(millis(999));
    assert!(net.users[A].node.stats(a).is_some(), "it still tries");
    net.pass(millis(1));
    assert!(net.users[A].node.stats(a).is_none());
    assert_eq!(net.users[A].disconnected(a).len(), 1);
}

#[test]
fn stale_names_give_typed_errors_on_every_call() {
    let (mut net, a, _) = Net::connected();
    let request = net.open(ECHO);
    net.run();
    let (stream, now) = (net.users[A].stream(request), net.now);
    net.users[A].node.close(now, a);
    net.run();
    let node = &mut net.users[A].node;
    assert_eq!(node.read(stream), Err(ReadError::Gone));
    assert_eq!(node.write(now, stream, b"x"), Err(WriteError::Gone));
    assert_eq!(node.finish(stream), Err(WriteError::Gone));
    assert_eq!(node.reset(stream), Err(WriteError::Gone));
    assert_eq!(node.stop(stream), Err(WriteError::Gone));
    assert!(!node.close(now, a) && node.stats(a).is_none() && !node.wants_input(a) && node.recv_buf(a).is_none());
    assert!(!node.cancel(now, request) && !node.ping(&peer(2)) && node.disconnect(now, peer(2)) == 0);
    assert!(!node.handle_dialed(now, a, [1; 32]));
    node.handle_dial_failed(now, a, sanswarm::TransportError::Refused);
    assert_eq!(node.handle_input(a, b"late"), 4, "dropped");
    node.handle_eof(a);
    node.handle_broken(a);
    node.sent(a, 7);
    node.wake(a);
    assert!(node.ready(a).is_empty());
    assert!(node.swarm().upgrade_connection(now, a, sanswarm::Role::Dialer, [1; 32]).is_err());
    assert_eq!(node.poll_event(now), None);
    assert_eq!((node.poll_action(), node.poll_transmit()), (None, None));
}

#[test]
fn names_of_another_connection_are_unknown() {
    let mut net = Net::new(3);
    net.connect();
    let request = net.open(ECHO);
    net.run();
    let mut stream = net.users[A].stream(request);
    let info = net.users[2].info();
    let now = net.now;
    net.users[A].node.connect(now, info);
    net.run();
    stream.conn = net.users[A].conns()[1];
    assert_eq!(net.users[A].node.write(now, stream, b"x"), Err(WriteError::Gone));
}

#[test]
fn a_dial_that_fails_after_it_was_connected_is_ignored() {
    let (mut net, a, _) = Net::connected();
    let now = net.now;
    net.users[A].node.handle_dial_failed(now, a, sanswarm::TransportError::Reset);
    net.run();
    assert_eq!(net.users[A].node.connections(&peer(2)).collect::<Vec<_>>(), [a]);
    net.users[A].node.close(now, a);
    net.run();
    assert_eq!(net.users[A].disconnected(a).len(), 1);
}

#[test]
fn a_broken_socket_ends_the_connection_at_once_without_a_goodbye() {
    let (mut net, a, b) = Net::connected();
    let request = net.open(ECHO);
    net.run();
    let (stream, now) = (net.users[A].stream(request), net.now);
    net.users[A].node.write(now, stream, &pattern(5000)).unwrap();
    net.cut(0);
    net.run();
    for (user, conn) in [(A, a), (B, b)] {
        let lost = ConnectionError::Eof { stage: Stage::Streams, streams: 1, offered: vec![] };
        assert_eq!(net.users[user].disconnected(conn).len(), 1);
        assert_eq!(reason(net.users[user].disconnected(conn)[0]), &Err(lost));
        assert!(net.users[user].node.stats(conn).is_none(), "gone in no time");
    }
}

#[test]
fn a_broken_socket_in_the_middle_of_an_upgrade_goes_to_the_report() {
    let mut net = Net::new(1);
    net.places.insert(address(7), Place::Hand(Box::new(Hand::silent)));
    let request = net.open_at(peer(9), vec![address(7)]);
    net.run();
    net.cut(0);
    net.run();
    assert_eq!(net.users[A].attempt(request).code(), "eof");
    assert_eq!(net.users[A].node.poll_timeout(), None);
}

#[test]
fn what_had_arrived_before_the_end_is_still_read() {
    let (mut net, _, b) = Net::connected();
    let request = net.open(ECHO);
    net.run();
    let (stream, now) = (net.users[A].stream(request), net.now);
    net.users[A].node.write(now, stream, b"last words").unwrap();
    net.users[A].poll(now);
    let ready = net.users[A].node.ready(stream.conn).to_vec();
    net.users[B].node.handle_input(b, &ready);
    net.users[B].node.handle_eof(b);
    net.run();
    assert_eq!(net.users[B].got[&net.users[B].inbound()[0]], b"last words");
}

#[test]
fn more_connections_than_the_limit_are_denied_by_its_name() {
    let mut with = config(2);
    with.swarm.established = 1;
    let mut net = Net::with(vec![config(1), with, config(3)]);
    net.connect();
    let (now, info) = (net.now, net.users[B].info());
    net.users[2].node.connect(now, info);
    net.run();
    assert_eq!(net.denied, [Denied::Limit { name: "established", value: 1 }]);
}

#[test]
fn more_handshakes_than_the_limit_are_denied_by_its_name() {
    let mut with = config(1);
    with.swarm.pending_inbound = 2;
    let mut net = Net::with(vec![with]);
    let now = net.now;
    let mut accept = || net.users[A].node.handle_accepted(now, address(0), address(5), [7; 32]);
    assert!(accept().is_ok() && accept().is_ok());
    assert_eq!(accept(), Err(Denied::Limit { name: "pending_inbound", value: 2 }));
}

#[test]
fn more_connections_of_one_peer_than_the_limit_are_closed_and_have_no_streams() {
    let mut with = config(2);
    with.swarm.established_per_peer = 1;
    let mut net = Net::with(vec![config(1), with]);
    net.users[B].node.set_stream_handler(ECHO);
    net.connect();
    let (now, ours, theirs) = (net.now, net.secret(), net.secret());
    let a = net.users[A].node.swarm().add_pipe(now, address(0), address(1)).unwrap();
    net.users[A].node.swarm().upgrade_connection(now, a, sanswarm::Role::Dialer, ours).unwrap();
    let b = net.users[B].node.handle_accepted(now, address(1), address(0), theirs).unwrap();
    net.join(a, b);
    net.run();
    assert_eq!(net.users[B].conns().len(), 1);
    let of_it = |e: &Event| matches!(e, Event::Opened { stream, .. } | Event::Readable { stream } if stream.conn == b);
    assert_eq!(net.users[B].count(of_it), 0);
    assert_eq!(net.users[A].disconnected(a).len(), 1, "the other end had it and hears the end");
    assert!(net.users[B].node.stats(b).is_none());
}

#[test]
fn a_dialler_that_is_over_its_own_limit_says_so_in_the_report() {
    let mut with = config(1);
    with.swarm.established = 1;
    let mut net = Net::with(vec![with, config(2), config(3)]);
    net.connect();
    let info = net.users[2].info();
    let request = net.open_at(info.id, info.addrs);
    net.run();
    assert_eq!(net.users[A].attempt(request).code(), "limit");
    assert_eq!(net.users[A].answers(request), 1);
}

#[test]
fn services_beyond_their_number_are_reset_and_harm_nothing_else() {
    use sanswarm_connection as connection;
    let mut net = Net::new(1);
    net.users[A].node.set_stream_handler(ECHO);
    net.connect_hand(|| Hand::serves(&[IDENTIFY], Some(vec![0]), false));
    let now = net.now;
    let ping: std::sync::Arc<[_]> = std::sync::Arc::new([sanswarm::ProtocolName::from_static("/ipfs/ping/1.0.0")]);
    let served = net.hand().served();
    let opened: Vec<_> =
        (0..30).map(|_| served.conn.open(now, ping.clone(), connection::Open::Wait).unwrap()).collect();
    let echo: std::sync::Arc<[_]> = std::sync::Arc::new([ECHO]);
    let other = served.conn.open(now, echo, connection::Open::Wait).unwrap();
    net.run();
    let events = &net.hand().served().events;
    let gone = |e: &&connection::Event| match e {
        connection::Event::Reset { stream } | connection::Event::Refused { stream, .. } => opened.contains(stream),
        _ => false,
    };
    assert_eq!(events.iter().filter(gone).count(), 30 - 16);
    assert!(events.iter().any(|e| matches!(e, connection::Event::Opened { stream, .. } if *stream == other)));
}

#[test]
fn an_idle_connection_holds_no_buffer() {
    let (mut net, a, _) = Net::connected();
    // `spare` would take memory; `plain` of an untouched buffer shows that there is none.
    assert!(net.users[A].node.recv_buf(a).unwrap().is_empty());
    assert!(net.users[A].node.ready(a).is_empty());
}

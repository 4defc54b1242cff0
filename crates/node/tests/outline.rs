//! The outline of libp2p, call by call.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{A, B, CHAT, ECHO, Net, address, pattern, peer};
use sanswarm::{Action, Event, Multiaddr, NoPeerId, PeerInfo, Role, Security, Transport, TransportSecurity};

#[test]
fn id_is_the_hash_of_the_public_key() {
    let net = Net::new(1);
    assert_eq!(net.users[A].node.id(), peer(1));
}

#[test]
fn open_stream_connects_first_and_the_handler_is_told_by_name() {
    let mut net = Net::new(2);
    let handler = net.users[B].node.set_stream_handler(CHAT);
    let request = net.open(CHAT);
    net.run();
    let stream = net.users[A].stream(request);
    assert!(net.users[A].has(&Event::Opened {
        handler: None,
        request: Some(request),
        stream,
        protocol: CHAT,
        peer: peer(2)
    }));
    let theirs = net.users[B].inbound()[0];
    assert!(net.users[B].has(&Event::Opened {
        handler: Some(handler),
        request: None,
        stream: theirs,
        protocol: CHAT,
        peer: peer(1)
    }));
    let a = net.users[A].conns();
    assert_eq!((a.len(), stream.conn), (1, a[0]));
}

#[test]
fn what_is_written_comes_back_from_an_echo() {
    let mut net = Net::new(2);
    let request = net.open(ECHO);
    net.run();
    let stream = net.users[A].stream(request);
    let data = pattern(1_000_000);
    net.send_all(A, stream, &data);
    net.run();
    assert!(net.users[A].got[&stream] == data);
    assert!(net.users[A].ended.contains(&stream));
}

#[test]
fn dial_tells_the_connection_and_then_the_stream_with_one_request() {
    let mut net = Net::new(2);
    let (info, now) = (net.users[B].info(), net.now);
    let request = net.users[A].node.swarm().dial(now, ECHO, info);
    net.run();
    let a = &net.users[A];
    let dialed = a.position(|e| matches!(e, Event::Dialed { request: r, .. } if *r == request)).unwrap();
    let connected = a.position(|e| matches!(e, Event::Connected { .. })).unwrap();
    let opened = a.position(|e| matches!(e, Event::Opened { request: Some(r), .. } if *r == request)).unwrap();
    assert!(connected < dialed && dialed < opened, "{:?}", a.events);
}

#[test]
fn connect_opens_no_stream() {
    let mut net = Net::new(2);
    let (info, now) = (net.users[B].info(), net.now);
    let request = net.users[A].node.connect(now, info);
    net.run();
    let conn = net.users[A].conns()[0];
    assert!(net.users[A].has(&Event::Dialed { request, conn, peer: peer(2) }));
    assert_eq!(net.users[A].count(|e| matches!(e, Event::Opened { .. })), 0);
}

#[test]
fn set_protocol_handler_is_set_stream_handler() {
    let mut net = Net::new(2);
    let handler = net.users[B].node.swarm().set_protocol_handler(CHAT);
    let request = net.open(CHAT);
    net.run();
    assert!(net.users[A].opened(request).is_some());
    assert_eq!(net.users[B].count(|e| matches!(e, Event::Opened { handler: Some(h), .. } if *h == handler)), 1);
}

#[test]
fn a_newer_handler_takes_a_name_over() {
    let mut net = Net::new(2);
    net.users[B].node.set_stream_handler(CHAT);
    let newer = net.users[B].node.set_stream_handler([CHAT, ECHO]);
    let request = net.open(CHAT);
    net.run();
    assert!(net.users[A].opened(request).is_some());
    assert_eq!(net.users[B].count(|e| matches!(e, Event::Opened { handler: Some(h), .. } if *h == newer)), 1);
}

fn memory() -> Transport {
    let matches = |address: &Multiaddr| address.to_string().starts_with("/memory/");
    Transport { matches, security: TransportSecurity::Secure }
}

#[test]
fn an_address_without_a_transport_is_not_dialled_until_there_is_one() {
    let mut net = Net::new(2);
    let memory_address: Multiaddr = "/memory/7".parse().unwrap();
    let request = net.open_at(peer(2), vec![memory_address.clone()]);
    net.run();
    assert_eq!(net.users[A].attempt(request).code(), "no-transport");
    assert!(net.dials.is_empty());
    net.users[A].node.swarm().add_transport(memory());
    net.places.insert(memory_address.clone(), common::Place::Hole);
    net.open_at(peer(2), vec![memory_address.clone()]);
    net.run();
    assert_eq!(net.dials, [(A, memory_address)]);
}

/// A pipe in memory between the first two nodes, dialled by the first, as each knows it.
fn memory_pipe(net: &mut Net, ours: sanswarm::PeerId, theirs: sanswarm::PeerId) -> sanswarm::OpenId {
    let to: Multiaddr = "/memory/7".parse().unwrap();
    let now = net.now;
    net.users[A].node.swarm().add_transport(memory());
    net.users[B].node.swarm().add_transport(memory());
    let whom = PeerInfo { id: theirs, addrs: vec![to.clone()] };
    let request = net.users[A].node.open_stream(now, ECHO, whom);
    let Some(Action::Dial { conn: a, address }) = net.users[A].node.poll_action() else { panic!() };
    assert_eq!(address, to);
    net.users[A].node.swarm().upgrade_to_multiplexer(now, a, peer(2), Role::Dialer).unwrap();
    let b = net.users[B].node.swarm().add_pipe(now, to.clone(), to).unwrap();
    net.users[B].node.swarm().upgrade_to_multiplexer(now, b, ours, Role::Listener).unwrap();
    net.join(a, b);
    net.run();
    request
}

#[test]
fn upgrade_to_multiplexer_makes_a_connection_of_a_secure_pipe() {
    let mut net = Net::new(2);
    let request = memory_pipe(&mut net, peer(1), peer(2));
    let stream = net.users[A].stream(request);
    net.send_all(A, stream, b"in memory");
    net.run();
    assert_eq!(net.users[A].got[&stream], b"in memory");
    assert_eq!(net.users[A].count(|e| matches!(e, Event::Connected { security: None, .. })), 1);
    assert_eq!(net.users[B].count(|e| matches!(e, Event::Connected { security: None, .. })), 1);
}

#[test]
fn a_secure_pipe_to_somebody_else_than_was_dialled_is_refused() {
    let mut net = Net::new(2);
    let request = memory_pipe(&mut net, peer(1), peer(5));
    let attempt = net.users[A].attempt(request);
    assert_eq!((attempt.stage(), attempt.code()), ("handshake", "wrong-peer"));
    assert!(net.users[A].conns().is_empty());
}

#[test]
fn a_request_that_is_cancelled_during_an_upgrade_by_hand_closes_its_pipe() {
    let mut net = Net::new(2);
    let to: Multiaddr = "/memory/7".parse().unwrap();
    let now = net.now;
    net.users[A].node.swarm().add_transport(memory());
    let request = net.open_at(peer(2), vec![to]);
    let Some(Action::Dial { conn, .. }) = net.users[A].node.poll_action() else { panic!() };
    net.users[A].node.swarm().upgrade_to_multiplexer(now, conn, peer(2), Role::Dialer).unwrap();
    net.join(conn, conn);
    assert!(net.users[A].node.cancel(now, request));
    net.pass(common::secs(3));
    assert_eq!(net.users[A].report(request).code(), "cancelled");
    assert!(net.users[A].node.stats(conn).is_none(), "the link is gone");
    assert!(net.abandoned.is_empty(), "it was connected");
}

#[test]
fn upgrade_connection_secures_and_muxes_a_raw_pipe_and_either_end_may_dial() {
    let mut net = Net::new(2);
    let (now, ours, theirs) = (net.now, net.secret(), net.secret());
    let a = net.users[A].node.swarm().add_pipe(now, address(0), address(1)).unwrap();
    let b = net.users[B].node.swarm().add_pipe(now, address(1), address(0)).unwrap();
    net.run();
    assert!(net.users[A].events.is_empty(), "nothing happens before the upgrade");
    net.users[A].node.swarm().upgrade_connection(now, a, Role::Dialer, ours).unwrap();
    net.users[B].node.swarm().upgrade_connection(now, b, Role::Listener, theirs).unwrap();
    net.join(a, b);
    net.run();
    let role_of = |user: &common::User| match user.events.first() {
        Some(Event::Connected { role, security, .. }) => (*role, *security),
        other => panic!("{other:?}"),
    };
    assert_eq!(role_of(&net.users[A]), (Role::Dialer, Some(Security::Noise)));
    assert_eq!(role_of(&net.users[B]), (Role::Listener, Some(Security::Noise)));
    let request = net.users[A].node.open_stream(now, ECHO, peer(2));
    net.run();
    assert!(net.users[A].opened(request).is_some());
}

#[test]
fn a_pipe_is_upgraded_once() {
    let mut net = Net::new(1);
    let (now, secret) = (net.now, net.secret());
    let node = &mut net.users[A].node;
    let pipe = node.swarm().add_pipe(now, address(0), address(1)).unwrap();
    node.swarm().upgrade_connection(now, pipe, Role::Dialer, secret).unwrap();
    assert_eq!(node.swarm().upgrade_connection(now, pipe, Role::Dialer, secret).unwrap_err().0, pipe);
    assert!(node.swarm().upgrade_to_multiplexer(now, pipe, peer(2), Role::Dialer).is_err());
}

#[test]
fn a_pipe_by_hand_that_fails_is_told_whatever_its_role() {
    for role in [Role::Dialer, Role::Listener] {
        let mut net = Net::new(1);
        let (now, secret) = (net.now, net.secret());
        let pipe = net.users[A].node.swarm().add_pipe(now, address(0), address(1)).unwrap();
        net.users[A].node.swarm().upgrade_connection(now, pipe, role, secret).unwrap();
        net.users[A].node.handle_eof(pipe);
        net.run();
        let failed = |e: &Event| matches!(e, Event::AcceptFailed { address: a, error } if *a == address(1) && error.code() == "eof");
        assert_eq!(net.users[A].count(failed), 1, "{role:?}: {:?}", net.users[A].events);
    }
}

#[test]
fn a_pipe_that_is_never_upgraded_is_closed_in_the_end() {
    let mut net = Net::new(1);
    let now = net.now;
    let pipe = net.users[A].node.swarm().add_pipe(now, address(0), address(1)).unwrap();
    let at = net.users[A].node.poll_timeout().unwrap().at;
    net.users[A].node.handle_timeout(at);
    assert!(net.users[A].node.poll_event(at).is_none());
    assert_eq!(net.users[A].node.poll_action(), Some(Action::Close { conn: pipe }));
}

#[test]
fn peer_info_is_read_from_an_address_that_ends_in_a_peer() {
    let plain = address(1);
    let full: Multiaddr = format!("{plain}/p2p/{}", peer(2)).parse().unwrap();
    let info = PeerInfo::try_from(full.clone()).unwrap();
    assert_eq!((info.id, &info.addrs[..]), (peer(2), &[full][..]));
    assert_eq!(PeerInfo::try_from(plain.clone()), Err(NoPeerId(plain)));
    let mut net = Net::new(2);
    let now = net.now;
    let request = net.users[A].node.open_stream(now, ECHO, info);
    net.run();
    assert!(net.users[A].opened(request).is_some());
    assert_eq!(net.dials, [(A, address(1))], "without the peer");
}

#[test]
fn listening_is_told_and_goes_into_what_identify_says() {
    let mut net = Net::new(2);
    net.users[B].node.listen(address(1)).unwrap();
    net.run();
    assert!(net.users[B].has(&Event::Listening { address: address(1) }));
    net.connect();
    assert_eq!(net.users[A].identified()[0].listen_addrs, [address(1)]);
    assert!(net.users[B].node.listen("/memory/1".parse().unwrap()).is_err());
    assert!(net.users[B].node.listen(address(1)).is_err(), "twice");
}

#[test]
fn a_listener_ends_by_command_and_identify_tells_it() {
    let mut net = Net::new(2);
    net.users[B].node.handle_listening(address(3));
    net.users[B].node.listen(address(1)).unwrap();
    net.run();
    net.connect();
    assert_eq!(net.users[A].identified()[0].listen_addrs, [address(1), address(3)]);
    let node = &mut net.users[B].node;
    assert!(!node.unlisten(&address(7)));
    assert!(node.unlisten(&address(1)));
    assert_eq!(node.poll_action(), Some(Action::Unlisten { address: address(1) }));
    node.handle_unlistened(&address(1), &[address(1)]);
    net.run();
    assert!(net.users[B].events.contains(&Event::Unlistened { address: address(1) }));
    assert_eq!(net.users[A].node.info(&peer(2)).unwrap().listen_addrs, [address(3)]);
    assert!(net.users[B].node.listen(address(1)).is_ok(), "and can begin again");
}

#[test]
fn a_failed_listener_is_told() {
    let mut net = Net::new(1);
    let node = &mut net.users[A].node;
    node.listen(address(0)).unwrap();
    node.handle_listen_failed(address(0), sanswarm::TransportError::AddressInUse);
    let expect = Event::ListenFailed { address: address(0), cause: sanswarm::TransportError::AddressInUse };
    assert_eq!(node.poll_event(net.now), Some(expect));
}

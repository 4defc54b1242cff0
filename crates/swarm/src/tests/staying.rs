//! Connections that come, stay and go; listeners.

use super::*;

fn limit<T>(name: &'static str, value: usize) -> Result<T, Denied> {
    Err(Denied::Limit { name, value })
}

#[test]
fn limits_refuse_and_name_themselves() {
    let mut swarm =
        swarm_with(Limits { established: 3, established_per_peer: 2, pending_inbound: 1, ..Limits::default() });
    let accept = |swarm: &mut Swarm| swarm.handle_accepted(ms(0), addr(0), addr(9));
    let conn = accept(&mut swarm).unwrap();
    assert_eq!(accept(&mut swarm), limit("pending_inbound", 1));
    swarm.handle_failed(ms(0), conn);
    assert!(swarm.events().is_empty(), "it never was a connection");
    swarm.inbound(2);
    swarm.inbound(2);
    let conn = accept(&mut swarm).unwrap();
    assert_eq!(swarm.handle_ready(ms(0), conn, peer(2)), limit("established_per_peer", 2));
    let reason = CloseReason::Denied(Denied::Limit { name: "established_per_peer", value: 2 });
    assert_eq!(swarm.actions(), [Action::Close { conn, reason }]);
    let dial = swarm.dial(ms(0), Some(peer(4)), &addrs([4]));
    let dialed = swarm.dialing()[0].0;
    let last = swarm.inbound(3);
    assert_eq!(accept(&mut swarm), limit("established", 3));
    swarm.events();
    assert_eq!(swarm.handle_ready(ms(0), dialed, peer(4)), limit("established", 3));
    let events = swarm.events();
    assert_eq!(cause(&events[0]), (dial, DialError::AllFailed));
    assert_eq!(failures(&events[0])[0].0, AttemptFailure::Limit { name: "established", value: 3 });
    swarm.handle_closed(ms(0), last);
    assert!(accept(&mut swarm).is_ok());
    swarm.check();
}

#[test]
fn a_closing_connection_is_no_more_used_and_still_counted() {
    let mut swarm = swarm_with(Limits { established: 1, ..Limits::default() });
    let conn = swarm.inbound(2);
    let reason = CloseReason::Requested;
    assert_eq!(swarm.connection(conn).map(|info| (info.peer, info.local.clone())), Some((peer(2), Some(addr(0)))));
    assert!(swarm.close(ms(1), conn, reason));
    assert!(!swarm.close(ms(1), conn, reason), "once only");
    assert_eq!(swarm.actions(), [Action::Close { conn, reason }]);
    assert!(!swarm.is_connected(&peer(2)));
    assert_eq!(swarm.handle_accepted(ms(1), addr(0), addr(3)), limit("established", 1));
    swarm.events();
    swarm.handle_closed(ms(2), conn);
    swarm.handle_closed(ms(2), conn);
    assert_eq!(swarm.events(), [Event::Disconnected { conn, peer: peer(2), reason: Some(reason) }]);
    assert!(swarm.is_clean());
}

#[test]
fn all_connections_of_a_peer_can_be_closed() {
    let mut swarm = swarm();
    let (a, b, other) = (swarm.inbound(2), swarm.inbound(2), swarm.inbound(3));
    assert_eq!(swarm.connections(&peer(2)).collect::<Vec<_>>(), [a, b]);
    assert_eq!(swarm.close_peer(ms(1), peer(2), CloseReason::Requested), 2);
    assert_eq!(swarm.close_peer(ms(1), peer(2), CloseReason::Requested), 0);
    assert_eq!(swarm.actions().len(), 2);
    assert!(swarm.is_connected(&peer(3)));
    assert!(swarm.connection(other).is_some());
}

#[test]
fn a_silent_dialer_is_closed() {
    let mut swarm = swarm();
    let conn = swarm.handle_accepted(ms(0), addr(0), addr(2)).unwrap();
    assert_eq!(swarm.poll_timeout().map(|d| d.at), Some(ms(15_000)));
    swarm.handle_timeout(ms(15_000));
    assert_eq!(swarm.actions(), [Action::Close { conn, reason: CloseReason::TimedOut }]);
    assert!(swarm.is_clean());
    assert_eq!(swarm.handle_ready(ms(15_001), conn, peer(2)), Err(Denied::Unknown));
}

#[test]
fn we_do_not_accept_ourselves() {
    let mut swarm = swarm();
    let conn = swarm.handle_accepted(ms(0), addr(0), addr(2)).unwrap();
    assert_eq!(swarm.handle_ready(ms(0), conn, peer(US)), Err(Denied::Ourselves));
    assert_eq!(swarm.actions(), [Action::Close { conn, reason: CloseReason::Denied(Denied::Ourselves) }]);
    assert!(swarm.is_clean());
}

#[test]
fn an_attempt_that_is_closed_by_hand_makes_way_for_the_next() {
    let mut swarm = swarm();
    swarm.dial(ms(0), Some(peer(2)), &addrs([1, 2]));
    let conn = swarm.dialing()[0].0;
    assert!(swarm.close(ms(1), conn, CloseReason::Requested));
    assert_eq!(swarm.poll_action(), Some(Action::Abandon { conn }));
    assert_eq!(swarm.dialing()[0].1, addr(2));
}

#[test]
fn facts_about_stale_connections_are_ignored() {
    let mut swarm = swarm();
    let conn = swarm.inbound(2);
    swarm.handle_closed(ms(1), conn);
    swarm.events();
    let new = swarm.inbound(3);
    assert_eq!(new.index(), conn.index(), "the slot is used again");
    swarm.events();
    swarm.handle_dialed(ms(2), conn);
    swarm.handle_dial_failed(ms(2), conn, REFUSED);
    swarm.handle_failed(ms(2), conn);
    swarm.handle_closed(ms(2), conn);
    assert_eq!(swarm.handle_ready(ms(2), conn, peer(2)), Err(Denied::Unknown));
    assert!(!swarm.close(ms(2), conn, CloseReason::Requested));
    assert_eq!(swarm.connection(conn), None);
    assert!(swarm.events().is_empty() && swarm.actions().is_empty());
    assert!(swarm.is_connected(&peer(3)));
}

#[test]
fn listening_is_asked_for_once_and_reported_for_each_address() {
    let mut swarm = swarm_with(Limits { listeners: 1, ..Limits::default() });
    let any: Multiaddr = "/ip4/0.0.0.0/tcp/0".parse().unwrap();
    assert_eq!(swarm.listen("/memory/1".parse().unwrap()), Err(ListenError::NoTransport));
    assert_eq!(swarm.listen(any.clone()), Ok(()));
    assert_eq!(swarm.listen(any.clone()), Err(ListenError::Duplicate));
    assert_eq!(swarm.listen(addr(1)), Err(ListenError::Limit { name: "listeners", value: 1 }));
    assert_eq!(swarm.actions(), [Action::Listen { address: any.clone() }]);
    for host in [1, 2, 1] {
        swarm.handle_listening(addr(host));
    }
    let bound: Vec<_> = addrs([1, 2]).into_iter().map(|address| Event::Listening { address }).collect();
    assert_eq!(swarm.events(), bound);
    assert_eq!(swarm.listeners().cloned().collect::<Vec<_>>(), addrs([1, 2]));
    let cause = TransportError::AddressInUse;
    swarm.handle_listen_failed(addr(9), cause);
    swarm.handle_listen_failed(any.clone(), cause);
    assert_eq!(swarm.events(), [Event::ListenFailed { address: any.clone(), cause }]);
    assert_eq!(swarm.listen(any), Ok(()));
}

#[test]
fn a_listener_ends_by_command_under_each_of_its_names() {
    let mut swarm = swarm();
    let any: Multiaddr = "/ip4/0.0.0.0/tcp/0".parse().unwrap();
    assert!(!swarm.unlisten(&any), "nothing is listened on");
    let unlisten = |address| [Action::Unlisten { address }];
    let ended = |all: &[Multiaddr]| -> Vec<_> {
        all.iter().map(|address| Event::Unlistened { address: address.clone() }).collect()
    };
    for name in [any.clone(), addr(2)] {
        swarm.listen(any.clone()).unwrap();
        swarm.actions();
        addrs([1, 2]).into_iter().for_each(|address| swarm.handle_listening(address));
        swarm.events();
        assert!(swarm.unlisten(&name));
        assert_eq!(swarm.actions(), unlisten(name));
        swarm.handle_unlistened(&any, &addrs([1, 2]));
        swarm.handle_unlistened(&any, &addrs([1, 2]));
        assert_eq!(swarm.events(), ended(&addrs([1, 2])), "once each");
        assert_eq!(swarm.listeners().count(), 0);
        assert!(!swarm.unlisten(&any));
    }
    // Given up before it was bound.
    swarm.listen(any.clone()).unwrap();
    assert!(swarm.unlisten(&any));
    assert_eq!(swarm.listen(any.clone()), Err(ListenError::Duplicate), "until it has ended");
    swarm.handle_unlistened(&any, &[]);
    assert_eq!(swarm.events(), ended(&[any]));
    swarm.handle_unlistened(&addr(9), &addrs([8]));
    assert!(swarm.events().is_empty(), "never heard of");
}

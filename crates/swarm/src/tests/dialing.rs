//! Dials: order, stagger, answers, reports.

use super::*;

#[test]
fn addresses_are_tried_in_order_and_staggered() {
    let mut swarm = swarm();
    swarm.dial(ms(0), Some(peer(2)), &addrs(1..=10));
    let mut hosts: Vec<_> = swarm.dialing().into_iter().map(|(_, address)| address).collect();
    assert_eq!(hosts, addrs([1]));
    for i in 1..8 {
        assert_eq!(swarm.poll_timeout().map(|d| d.at), Some(ms(250 * i)));
        swarm.handle_timeout(ms(250 * i - 1));
        assert_eq!(swarm.dialing(), [], "too early");
        swarm.handle_timeout(ms(250 * i));
        hosts.extend(swarm.dialing().into_iter().map(|(_, address)| address));
        swarm.check();
    }
    assert_eq!(hosts, addrs(1..=8));
    assert_eq!(swarm.poll_timeout().map(|d| d.at), Some(ms(15_000)), "eight at once is the most");
}

#[test]
fn a_failure_starts_the_next_at_once() {
    let mut swarm = swarm();
    swarm.dial(ms(0), Some(peer(2)), &addrs([1, 2, 3, 4]));
    let first = swarm.dialing()[0].0;
    swarm.handle_dial_failed(ms(10), first, REFUSED);
    assert_eq!(swarm.dialing()[0].1, addr(2));
    swarm.handle_timeout(ms(250));
    assert_eq!(swarm.dialing(), [], "250 ms from the second");
    swarm.handle_timeout(ms(260));
    assert_eq!(swarm.dialing()[0].1, addr(3));
}

#[test]
fn the_first_that_is_ready_wins_and_the_others_end() {
    let mut swarm = swarm();
    let dial = swarm.dial(ms(0), Some(peer(2)), &addrs([1, 2, 3, 4]));
    swarm.handle_timeout(ms(250));
    swarm.handle_timeout(ms(500));
    let conns: Vec<_> = swarm.dialing().into_iter().map(|(conn, _)| conn).collect();
    swarm.handle_dialed(ms(510), conns[0]);
    swarm.handle_dialed(ms(510), conns[1]);
    assert_eq!(swarm.handle_ready(ms(520), conns[1], peer(2)), Ok(()));
    let reason = CloseReason::Abandoned;
    assert_eq!(swarm.actions(), [Action::Close { conn: conns[0], reason }, Action::Abandon { conn: conns[2] }]);
    let (conn, address, role) = (conns[1], addr(2), sanswarm_wire::Role::Dialer);
    assert_eq!(
        swarm.events(),
        [Event::Connected { conn, peer: peer(2), role, address }, Event::Dialed { dial, conn, peer: peer(2) }]
    );
    assert_eq!(swarm.poll_timeout(), None);
    swarm.check();
    assert_eq!(swarm.handle_ready(ms(530), conns[0], peer(2)), Err(Denied::Unknown), "an abandoned one stays so");
    assert_eq!(swarm.connections(&peer(2)).collect::<Vec<_>>(), [conn]);
}

#[test]
fn a_dial_that_fails_reports_each_address() {
    let mut swarm = swarm();
    let named = |host: u8, id: u8| addr(host).with_p2p(peer(id)).unwrap();
    let mut list = addrs([1, 2, 3, 4, 5]);
    list.extend([addr(1), named(2, 2), named(6, 9), "/ip4/10.0.0.7/udp/1/quic-v1".parse().unwrap()]);
    let dial = swarm.dial(ms(0), Some(peer(2)), &list);
    let next = |swarm: &mut Swarm| swarm.dialing()[0].0;

    let conn = next(&mut swarm);
    swarm.handle_dial_failed(ms(1), conn, REFUSED);
    let conn = next(&mut swarm);
    swarm.handle_dialed(ms(2), conn);
    swarm.handle_failed(ms(5), conn);
    let conn = next(&mut swarm);
    swarm.handle_dialed(ms(6), conn);
    assert_eq!(swarm.handle_ready(ms(9), conn, peer(8)), Err(Denied::WrongPeer { expected: peer(2) }));
    let Some(Action::Close { reason: CloseReason::Denied(Denied::WrongPeer { .. }), .. }) = swarm.poll_action() else {
        panic!()
    };
    let conn = next(&mut swarm);
    assert_eq!(swarm.handle_ready(ms(10), conn, peer(US)), Err(Denied::Ourselves));
    assert!(matches!(swarm.poll_action(), Some(Action::Close { .. })));
    let conn = next(&mut swarm);
    assert!(swarm.events().is_empty());
    swarm.handle_timeout(ms(15_010));
    assert_eq!(swarm.actions(), [Action::Abandon { conn }]);

    let events = swarm.events();
    assert_eq!(cause(&events[0]), (dial, DialError::AllFailed));
    let (ms, zero) = (Duration::from_millis, Duration::ZERO);
    assert_eq!(
        failures(&events[0]),
        [
            (AttemptFailure::WrongPeerInAddress { expected: peer(2), got: peer(9) }, zero),
            (AttemptFailure::NoTransport, zero),
            (AttemptFailure::Transport(REFUSED), ms(1)),
            (AttemptFailure::Upgrade, ms(4)),
            (AttemptFailure::WrongPeer { expected: peer(2), got: peer(8) }, ms(4)),
            (AttemptFailure::Ourselves, ms(1)),
            (AttemptFailure::TimedOut, ms(15_000)),
        ]
    );
    assert!(swarm.is_clean());
}

#[test]
fn dials_to_one_peer_join_and_both_are_answered() {
    let mut swarm = swarm();
    let one = swarm.dial(ms(0), Some(peer(2)), &addrs([1]));
    let two = swarm.dial(ms(100), Some(peer(2)), &addrs([1, 2]));
    let three = swarm.dial(ms(100), Some(peer(2)), &[]);
    assert_eq!(swarm.dialing().len(), 1, "the same address once");
    swarm.handle_timeout(ms(250));
    let (conn, address) = swarm.dialing()[0].clone();
    assert_eq!(address, addr(2), "the address that the second brought");
    assert!(swarm.cancel(ms(300), two));
    assert_eq!(cause(&swarm.events()[0]), (two, DialError::Cancelled));
    assert_eq!(swarm.handle_ready(ms(400), conn, peer(2)), Ok(()));
    let answered: Vec<_> = swarm
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Dialed { dial, .. } => Some(dial),
            _ => None,
        })
        .collect();
    assert_eq!(answered, [one, three]);
}

#[test]
fn each_joined_dial_has_its_own_deadline() {
    let limits = Limits { attempt: Duration::from_secs(200), ..Limits::default() };
    let mut swarm = swarm_with(limits);
    let one = swarm.dial(ms(0), Some(peer(2)), &addrs([1, 2]));
    let two = swarm.dial(ms(50_000), Some(peer(2)), &[]);
    let limit = Duration::from_secs(60);
    swarm.handle_timeout(ms(60_000));
    let events = swarm.events();
    assert_eq!(cause(&events[0]), (one, DialError::TimedOut { limit }));
    assert_eq!(failures(&events[0])[0], (AttemptFailure::Abandoned, limit));
    assert_eq!(events.len(), 1);
    assert!(!swarm.actions().iter().any(|action| matches!(action, Action::Abandon { .. })), "the other goes on");
    swarm.handle_timeout(ms(110_000));
    assert_eq!(cause(&swarm.events()[0]), (two, DialError::TimedOut { limit }));
    assert_eq!(swarm.actions().len(), 2, "both attempts are abandoned");
    assert!(swarm.is_clean());
}

#[test]
fn cancel_ends_the_attempts_and_reports_all_addresses() {
    let mut swarm = swarm();
    let dial = swarm.dial(ms(0), None, &addrs([1, 2, 3]));
    let conn = swarm.dialing()[0].0;
    swarm.handle_dial_failed(ms(5), conn, REFUSED);
    let conn = swarm.dialing()[0].0;
    assert!(swarm.cancel(ms(7), dial));
    assert!(!swarm.cancel(ms(7), dial), "once only");
    assert_eq!(swarm.actions(), [Action::Abandon { conn }]);
    let events = swarm.events();
    assert_eq!((events.len(), cause(&events[0])), (1, (dial, DialError::Cancelled)));
    let ms = Duration::from_millis;
    assert_eq!(
        failures(&events[0]),
        [
            (AttemptFailure::Transport(REFUSED), ms(5)),
            (AttemptFailure::Abandoned, ms(2)),
            (AttemptFailure::Abandoned, ms(0))
        ]
    );
    assert!(swarm.is_clean());
}

#[test]
fn a_report_says_how_far_each_address_came() {
    let mut swarm = swarm();
    swarm.set_resolves(true);
    let list = [addr(1), addr(2), addr(3), "/dns4/a.b/tcp/1".parse().unwrap(), addr(4)];
    let dial = swarm.dial(ms(0), Some(peer(2)), &list);
    let conns: Vec<_> = core::iter::once(0)
        .chain([250, 500])
        .map(|at| {
            swarm.handle_timeout(ms(at));
            let dials = swarm.actions().into_iter().filter_map(|action| match action {
                Action::Dial { conn, .. } => Some(conn),
                _ => None,
            });
            dials.last().unwrap()
        })
        .collect();
    swarm.handle_dialed(ms(510), conns[0]);
    swarm.handle_failed(ms(520), conns[0]);
    swarm.handle_dialed(ms(530), conns[1]);
    swarm.cancel(ms(540), dial);
    let events = swarm.events();
    let Event::DialFailed { attempts, .. } = &events[0] else { panic!() };
    let all: Vec<_> = attempts.iter().map(|attempt| (attempt.failure, attempt.reached)).collect();
    let gone = AttemptFailure::Abandoned;
    assert_eq!(
        all,
        [
            (AttemptFailure::Upgrade, Reached::Upgrade),
            (gone, Reached::Upgrade),
            (gone, Reached::Connect),
            (gone, Reached::Connect),
            (gone, Reached::Resolve),
        ]
    );
}

#[test]
fn some_dials_are_answered_at_once() {
    let mut swarm = swarm_with(Limits { dials: 1, ..Limits::default() });
    let conn = swarm.inbound(3);
    swarm.inbound(3);
    swarm.events();
    let dial = swarm.dial(ms(0), Some(peer(3)), &[]);
    assert_eq!(swarm.events(), [Event::Dialed { dial, conn, peer: peer(3) }], "the oldest connection");
    let dial = swarm.dial(ms(0), Some(peer(US)), &addrs([1]));
    assert_eq!(cause(&swarm.events()[0]), (dial, DialError::Ourselves));
    let dial = swarm.dial(ms(0), None, &[addr(1).with_p2p(peer(US)).unwrap()]);
    assert_eq!(cause(&swarm.events()[0]), (dial, DialError::Ourselves));
    let dial = swarm.dial(ms(0), Some(peer(2)), &[]);
    assert_eq!(cause(&swarm.events()[0]), (dial, DialError::NoAddresses));
    let dial = swarm.dial(ms(0), Some(peer(2)), &["/ip4/1.2.3.4/udp/1".parse().unwrap()]);
    assert_eq!(cause(&swarm.events()[0]), (dial, DialError::AllFailed));
    swarm.dial(ms(0), Some(peer(2)), &addrs([1]));
    let dial = swarm.dial(ms(0), Some(peer(4)), &addrs([1]));
    assert_eq!(cause(&swarm.events()[0]), (dial, DialError::Limit { name: "dials", value: 1 }));
    swarm.check();
}

#[test]
fn a_dial_tries_a_bounded_number_of_addresses_and_says_so() {
    let mut swarm = swarm_with(Limits { addresses_per_dial: 2, ..Limits::default() });
    swarm.dial(ms(0), Some(peer(2)), &addrs(1..=9));
    for _ in 0..2 {
        let conn = swarm.dialing()[0].0;
        swarm.handle_dial_failed(ms(0), conn, REFUSED);
    }
    let events = swarm.events();
    let Event::DialFailed { attempts, .. } = &events[0] else { panic!() };
    assert_eq!(attempts.len(), 3);
    assert_eq!(attempts[0].failure, AttemptFailure::Limit { name: "addresses_per_dial", value: 2 });
    assert_eq!(attempts[0].address, addr(3));
}

#[test]
fn an_unnamed_dial_takes_whoever_answers() {
    let mut swarm = swarm();
    let dial = swarm.dial(ms(0), None, &addrs([1]));
    let conn = swarm.dialing()[0].0;
    assert_eq!(swarm.handle_ready(ms(1), conn, peer(7)), Ok(()));
    assert_eq!(swarm.events()[1], Event::Dialed { dial, conn, peer: peer(7) });
}

#[test]
fn attempts_of_all_dials_share_a_limit_and_wait_their_turn() {
    let mut swarm = swarm_with(Limits { pending_outbound: 2, ..Limits::default() });
    for id in 2..=5 {
        swarm.dial(ms(0), Some(peer(id)), &addrs([id]));
    }
    let first = swarm.dialing();
    assert_eq!(first.len(), 2);
    swarm.handle_dial_failed(ms(1), first[1].0, REFUSED);
    assert_eq!(swarm.dialing()[0].1, addr(4), "the one that waited longest");
    swarm.handle_ready(ms(2), first[0].0, peer(2)).unwrap();
    assert_eq!(swarm.dialing()[0].1, addr(5));
    swarm.check();
}

#[test]
fn an_inbound_connection_answers_but_spares_what_the_peer_may_have_chosen() {
    let mut swarm = swarm();
    let dial = swarm.dial(ms(0), Some(peer(2)), &addrs([1, 2, 3]));
    swarm.handle_timeout(ms(250));
    let conns: Vec<_> = swarm.dialing().into_iter().map(|(conn, _)| conn).collect();
    swarm.handle_dialed(ms(260), conns[0]);
    let conn = swarm.inbound(2);
    assert_eq!(swarm.events()[1], Event::Dialed { dial, conn, peer: peer(2) });
    assert_eq!(swarm.actions(), [Action::Abandon { conn: conns[1] }]);
    swarm.check();
    assert_eq!(swarm.handle_ready(ms(300), conns[0], peer(2)), Ok(()));
    assert_eq!(swarm.connections(&peer(2)).collect::<Vec<_>>(), [conns[0], conn], "of the smaller id's dial first");
    assert_eq!(swarm.events().len(), 1, "connected, and no second answer");
}

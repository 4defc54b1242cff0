//! What is counted, in numbers.

use super::*;

#[test]
fn accepted_connections_by_their_end() {
    let gate = Gate::new(|visit| match visit {
        Visit::Secured { peer: id, .. } if *id == peer(6) => Err("not today"),
        _ => Ok(()),
    });
    let limits = Limits { pending_inbound: 4, ..Limits::default() };
    let mut swarm = swarm_with(limits);
    swarm.set_gate(gate);
    let conns: Vec<_> = (2..6).map(|id| swarm.handle_accepted(ms(0), addr(0), addr(id)).unwrap()).collect();
    swarm.handle_accepted(ms(0), addr(0), addr(9)).unwrap_err();
    swarm.handle_ready(ms(1), conns[0], peer(2)).unwrap();
    swarm.handle_failed(ms(1), conns[1]);
    swarm.handle_failed(ms(1), conns[1]);
    assert_eq!([0, 1, 2].map(|i| swarm.is_pending(conns[i])), [false, false, true]);
    assert_eq!(swarm.handle_ready(ms(1), conns[2], peer(6)), Err(Denied::Gate { reason: "not today" }));
    assert_eq!(swarm.handle_ready(ms(1), conns[3], peer(US)), Err(Denied::Ourselves));
    let denied = DeniedCounters { limit: 1, gate: 1, ourselves: 1, ..DeniedCounters::default() };
    let expected =
        Counters { accepted: 4, accept_failed: 3, established_inbound: 1, denied, open: 1, ..Default::default() };
    assert_eq!((swarm.counters(), denied.sum()), (expected, 3));
    swarm.close(ms(2), conns[0], CloseReason::Requested);
    assert_eq!(swarm.counters(), expected, "it is closing");
    swarm.handle_closed(ms(3), conns[0]);
    assert_eq!(swarm.counters(), Counters { closed: 1, open: 0, ..expected });
    swarm.check();
}

#[test]
fn dials_and_attempts_by_their_end() {
    let limits = Limits { dial: Duration::from_secs(1), ..Limits::default() };
    let mut swarm = swarm_with(limits);
    swarm.set_resolves(true);
    // Refused at one address, then ready at the other; a second dial finds it.
    swarm.dial(ms(0), Some(peer(2)), &addrs([2, 3]));
    let conns = swarm.dialing();
    swarm.handle_dial_failed(ms(1), conns[0].0, REFUSED);
    let second = conns.get(1).cloned().unwrap_or_else(|| swarm.dialing()[0].clone()).0;
    swarm.handle_dialed(ms(2), second);
    swarm.handle_ready(ms(3), second, peer(2)).unwrap();
    swarm.dial(ms(4), Some(peer(2)), &[]);
    // The upgrade fails; another peer answers; the caller gives up; no name; no address.
    swarm.dial(ms(4), Some(peer(3)), &addrs([4]));
    let conn = swarm.dialing()[0].0;
    swarm.handle_dialed(ms(5), conn);
    swarm.handle_failed(ms(5), conn);
    swarm.dial(ms(6), Some(peer(4)), &addrs([5]));
    let conn = swarm.dialing()[0].0;
    swarm.handle_dialed(ms(6), conn);
    swarm.handle_ready(ms(6), conn, peer(9)).unwrap_err();
    swarm.actions();
    let dial = swarm.dial(ms(7), Some(peer(5)), &addrs([6]));
    swarm.cancel(ms(7), dial);
    swarm.actions();
    swarm.dial(ms(8), Some(peer(6)), &["/dns4/no.example/tcp/1".parse().unwrap()]);
    let resolve = swarm.actions().into_iter().find_map(|action| match action {
        Action::Resolve { resolve, .. } => Some(resolve),
        _ => None,
    });
    swarm.handle_resolved(ms(8), resolve.unwrap(), Err(TransportError::NotFound));
    swarm.dial(ms(9), Some(peer(7)), &[]);
    swarm.dial(ms(9), Some(peer(8)), &addrs([8]));
    let attempts =
        AttemptCounters { begun: 6, succeeded: 1, resolve: 1, connect: 1, upgrade: 1, denied: 1, abandoned: 1 };
    let dials =
        DialCounters { asked: 8, reused: 1, succeeded: 1, failed: 3, cancelled: 1, refused: 1, ..Default::default() };
    let counters = swarm.counters();
    assert_eq!((counters.attempts, counters.dials, dials.pending()), (attempts, dials, 1));
    assert_eq!((counters.established_outbound, counters.open, counters.pending_outbound), (1, 1, 1));
    assert_eq!(counters.denied, DeniedCounters { wrong_peer: 1, ..Default::default() });
    swarm.handle_timeout(ms(9) + limits.dial);
    assert_eq!(swarm.counters().dials, DialCounters { timed_out: 1, ..dials });
    swarm.check();
}

//! Why connections stay and why they go.

use super::*;

/// The connections that are to be closed now, with the reasons, and nothing else is to be done.
fn closing(swarm: &mut Swarm) -> Vec<(ConnId, CloseReason)> {
    let close = |action| match action {
        Action::Close { conn, reason } => (conn, reason),
        other => panic!("{other:?}"),
    };
    swarm.actions().into_iter().map(close).collect()
}

/// Lets time pass to the end, closing what is to be closed; gives when each went and why.
fn run(swarm: &mut Swarm, until: u64) -> Vec<(u64, ConnId, CloseReason)> {
    let mut all = Vec::new();
    while let Some(deadline) = swarm.poll_timeout().filter(|deadline| deadline.at <= ms(until)) {
        swarm.handle_timeout(deadline.at);
        swarm.check();
        for (conn, reason) in closing(swarm) {
            all.push((deadline.at.as_micros() / 1000, conn, reason));
            swarm.handle_closed(deadline.at, conn);
        }
    }
    all
}

fn idle(seconds: u64) -> Limits {
    Limits { idle: Some(Duration::from_secs(seconds)), ..Limits::default() }
}

#[test]
fn by_default_nothing_closes_by_itself() {
    let mut swarm = swarm();
    swarm.inbound(2);
    assert_eq!(swarm.poll_timeout(), None);
    assert_eq!(run(&mut swarm, u64::MAX / 1000), []);
}

#[test]
fn a_connection_without_a_stream_goes_after_the_idle_time() {
    let mut swarm = swarm_with(idle(5));
    let (a, b) = (swarm.inbound(2), swarm.inbound(3));
    swarm.handle_streams(ms(1000), a, 2);
    swarm.handle_streams(ms(2000), a, 1);
    swarm.handle_used(ms(2500), a);
    let reason = CloseReason::Idle { after: Duration::from_secs(5) };
    assert_eq!(run(&mut swarm, 60_000), [(5000, b, reason)], "the other has a stream");
    swarm.handle_streams(ms(70_000), a, 0);
    swarm.handle_used(ms(72_000), a);
    assert_eq!(run(&mut swarm, 90_000), [(77_000, a, reason)]);
    let reasons: Vec<_> = swarm
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Disconnected { reason, .. } => reason,
            _ => None,
        })
        .collect();
    assert_eq!(reasons, [reason, reason]);
    assert!(swarm.is_clean());
    swarm.handle_streams(ms(99_000), a, 0);
    swarm.handle_used(ms(99_000), a);
    assert!(swarm.is_clean(), "a stale id changes nothing");
}

#[test]
fn a_keep_holds_what_is_there_and_what_comes() {
    let mut swarm = swarm_with(Limits { keeps: 2, ..idle(5) });
    let one = swarm.keep(peer(2)).unwrap();
    let conn = swarm.inbound(2);
    let two = swarm.keep(peer(2)).unwrap();
    assert_eq!(swarm.keep(peer(3)), Err(Denied::Limit { name: "keeps", value: 2 }));
    assert_eq!(run(&mut swarm, 60_000), []);
    assert!(swarm.release(ms(60_000), one));
    assert!(!swarm.release(ms(60_000), one), "once");
    assert_eq!(run(&mut swarm, 80_000), [], "another one is left");
    assert!(swarm.release(ms(80_000), two));
    assert_eq!(run(&mut swarm, 99_000), [(85_000, conn, CloseReason::Idle { after: Duration::from_secs(5) })]);
    assert!(swarm.is_clean());
}

#[test]
fn trimming_takes_those_idle_for_longest_and_spares_the_protected_the_kept_and_the_used() {
    let limits =
        Limits { high_water: 6, low_water: 3, trim_grace: Duration::from_secs(1), protected: 1, ..Limits::default() };
    let mut swarm = swarm_with(limits);
    let conns: Vec<_> = (2..8).map(|id| swarm.inbound(id)).collect();
    swarm.protect(peer(2), true).unwrap();
    assert_eq!(swarm.protect(peer(3), true), Err(Denied::Limit { name: "protected", value: 1 }));
    let keep = swarm.keep(peer(3)).unwrap();
    swarm.handle_streams(ms(0), conns[2], 1);
    swarm.handle_used(ms(500), conns[3]);
    assert_eq!(closing(&mut swarm), [], "six is not too many");
    let last = swarm.handle_accepted(ms(900), addr(0), addr(8)).unwrap();
    swarm.handle_ready(ms(900), last, peer(8)).unwrap();
    let trimmed = CloseReason::Trimmed { low_water: 3 };
    let expected = [(1000, conns[4], trimmed), (1000, conns[5], trimmed), (1500, conns[3], trimmed)];
    assert_eq!(run(&mut swarm, 1899), expected);
    assert_eq!(run(&mut swarm, 9999), [(1900, last, trimmed)], "the youngest, since all others are spared");
    swarm.protect(peer(2), false).unwrap();
    swarm.release(ms(10_000), keep);
    assert_eq!(run(&mut swarm, 99_999), [], "three are few enough");
    swarm.check();
}

#[test]
fn by_default_trimming_begins_at_nine_tenths() {
    let mut swarm = swarm_with(Limits { established: 10, ..Limits::default() });
    (2..11).for_each(|id| _ = swarm.inbound(id));
    assert_eq!(run(&mut swarm, 99_999), [], "nine of ten");
    swarm.inbound(11);
    assert_eq!(run(&mut swarm, 99_999).len(), 2, "down to eight");
    let mut large = swarm_with(Limits { established: usize::MAX, ..Limits::default() });
    large.inbound(2);
    let mut small = swarm_with(Limits { established: 1, ..Limits::default() });
    small.inbound(2);
    assert_eq!(run(&mut small, 99_999), []);
}

#[test]
fn shutdown_waits_for_streams_until_its_deadline_and_tells_what_it_cut() {
    let mut swarm = swarm();
    let dial = swarm.dial(ms(0), Some(peer(9)), &addrs([9]));
    let dialled = swarm.dialing()[0].0;
    let pending = swarm.handle_accepted(ms(0), addr(0), addr(1)).unwrap();
    let [idle, short, long] = [2, 3, 4].map(|id| swarm.inbound(id));
    swarm.handle_streams(ms(0), short, 1);
    swarm.handle_streams(ms(0), long, 1);
    swarm.events();
    swarm.shutdown(ms(0), Duration::from_secs(5));
    swarm.shutdown(ms(0), Duration::from_secs(500));
    assert_eq!(cause(&swarm.events()[0]), (dial, DialError::ShuttingDown));
    let reason = CloseReason::Shutdown;
    let close = |conn| Action::Close { conn, reason };
    assert_eq!(swarm.actions(), [Action::Abandon { conn: dialled }, close(pending), close(idle)]);
    assert_eq!(swarm.handle_accepted(ms(1), addr(0), addr(1)), Err(Denied::ShuttingDown));
    assert_eq!(swarm.listen(addr(1)), Err(ListenError::ShuttingDown));
    let late = swarm.dial(ms(1), Some(peer(7)), &addrs([7]));
    assert_eq!(cause(&swarm.events()[0]), (late, DialError::ShuttingDown));

    swarm.handle_streams(ms(1000), short, 0);
    assert_eq!(swarm.actions(), [close(short)]);
    for conn in [idle, short] {
        swarm.handle_closed(ms(1100), conn);
    }
    assert_eq!(swarm.events().len(), 2);
    swarm.handle_timeout(ms(5000));
    assert_eq!(swarm.actions(), [Action::Close { conn: long, reason: CloseReason::Cut }]);
    swarm.handle_closed(ms(5100), long);
    assert_eq!(swarm.events().last(), Some(&Event::ShutDown { cut: 1 }));
    assert!(swarm.is_clean());
}

#[test]
fn shutdown_begins_nothing_for_a_dial_that_waits_for_the_place_of_another() {
    let mut swarm = swarm_with(Limits { pending_outbound: 1, ..Limits::default() });
    let first = swarm.dial(ms(0), Some(peer(8)), &addrs([8]));
    let waits = swarm.dial(ms(0), Some(peer(9)), &addrs([9]));
    let dialled = swarm.dialing()[0].0;
    swarm.shutdown(ms(0), Duration::from_secs(5));
    assert_eq!(swarm.actions(), [Action::Abandon { conn: dialled }]);
    let causes: Vec<_> = swarm.events().iter().take(2).map(cause).collect();
    assert_eq!(causes, [first, waits].map(|dial| (dial, DialError::ShuttingDown)));
    assert!(swarm.is_clean());
}

#[test]
fn shutdown_of_an_idle_node_is_over_at_once() {
    let mut swarm = swarm();
    swarm.shutdown(ms(0), Duration::from_secs(5));
    assert_eq!(swarm.events(), [Event::ShutDown { cut: 0 }]);
    swarm.handle_timeout(ms(9999));
    assert!(swarm.events().is_empty() && swarm.poll_timeout().is_none());
}

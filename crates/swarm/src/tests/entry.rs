//! Who may come in: limits under a flood, lists, the gate.

use sanswarm_wire::Role;

use super::*;

fn limit<T>(name: &'static str, value: usize) -> Result<T, Denied> {
    Err(Denied::Limit { name, value })
}

fn at(host: &str) -> Multiaddr {
    format!("/{}/{host}/tcp/1", if host.contains(':') { "ip6" } else { "ip4" }).parse().unwrap()
}

fn accept(swarm: &mut Swarm, host: &str) -> Result<ConnId, Denied> {
    swarm.handle_accepted(ms(0), addr(0), at(host))
}

#[test]
fn one_network_has_its_share() {
    let mut swarm = swarm_with(Limits { inbound_per_prefix: 2, ..Limits::default() });
    let a = accept(&mut swarm, "20.0.0.9").unwrap();
    let b = accept(&mut swarm, "20.0.0.9").unwrap();
    assert_eq!(accept(&mut swarm, "20.0.0.9"), limit("inbound_per_prefix", 2));
    assert_eq!(accept(&mut swarm, "::ffff:20.0.0.9"), limit("inbound_per_prefix", 2), "the same host");
    accept(&mut swarm, "20.0.0.8").unwrap();
    for host in ["2600:1:2:300::1", "2600:1:2:3ff::1"] {
        accept(&mut swarm, host).unwrap();
    }
    assert_eq!(accept(&mut swarm, "2600:1:2:3aa::9"), limit("inbound_per_prefix", 2), "56 bits");
    accept(&mut swarm, "2600:1:2:400::1").unwrap();
    swarm.handle_failed(ms(0), a);
    swarm.handle_ready(ms(0), b, peer(2)).unwrap();
    accept(&mut swarm, "20.0.0.9").unwrap();
    assert_eq!(accept(&mut swarm, "20.0.0.9"), limit("inbound_per_prefix", 2), "ready ones count");
    for _ in 0..5 {
        accept(&mut swarm, "127.0.0.1").unwrap();
    }
    swarm.check();
}

#[test]
fn a_flood_of_accepts_is_let_in_at_its_rate() {
    let limits = Limits { accepts_per_second: 10, established: 9999, pending_inbound: 9999, ..Limits::default() };
    let mut swarm = swarm_with(limits);
    let let_in = |swarm: &mut Swarm, from: u64, to: u64| {
        (from..to).filter(|at| swarm.handle_accepted(ms(*at), addr(0), at_loopback()).is_ok()).count()
    };
    assert_eq!(let_in(&mut swarm, 0, 10), 10, "a second's worth at once");
    assert_eq!(let_in(&mut swarm, 10, 10_010), 100, "then one each 100 ms");
    assert_eq!(swarm.handle_accepted(ms(10_010), addr(0), addr(1)), limit("accepts_per_second", 10));
    assert_eq!(let_in(&mut swarm, 60_000, 60_500), 14, "and what was not used is not saved for long");
    let mut closed = swarm_with(Limits { accepts_per_second: 0, ..Limits::default() });
    assert_eq!(accept(&mut closed, "20.0.0.1"), limit("accepts_per_second", 0));
}

#[test]
fn one_network_has_a_rate_of_its_own_and_is_forgotten_soon() {
    let limits = Limits { accepts_per_prefix: 4, established: 9999, pending_inbound: 9999, ..Limits::default() };
    let mut swarm = swarm_with(limits);
    let take = |swarm: &mut Swarm, time: u64, host: &str| {
        let conn = swarm.handle_accepted(ms(time), addr(0), at(host));
        conn.map(|conn| swarm.handle_failed(ms(time), conn))
    };
    for _ in 0..4 {
        take(&mut swarm, 0, "20.0.0.9").expect("a second's worth at once");
    }
    assert_eq!(take(&mut swarm, 249, "20.0.0.9"), limit("accepts_per_prefix", 4), "though none of them is left");
    take(&mut swarm, 249, "20.0.0.8").expect("another host");
    take(&mut swarm, 250, "20.0.0.9").expect("one each quarter of a second");
    assert_eq!(take(&mut swarm, 250, "20.0.0.9"), limit("accepts_per_prefix", 4));
    for _ in 0..9 {
        take(&mut swarm, 250, "127.0.0.1").expect("loopback is no network");
    }
    swarm.check();
    // Who has gone is remembered for no longer than his rate.
    for i in 0..2000_u64 {
        take(&mut swarm, 1000 + i * 10, &format!("21.0.{}.{}", i / 200, i % 200)).unwrap();
        assert!(swarm.counts.networks() <= 30, "{i}: {}", swarm.counts.networks());
    }
    let mut closed = swarm_with(Limits { accepts_per_prefix: 0, ..Limits::default() });
    assert_eq!(accept(&mut closed, "20.0.0.1"), limit("accepts_per_prefix", 0));
    accept(&mut closed, "127.0.0.1").unwrap();
    assert!(swarm.is_clean());
}

#[test]
fn without_memory_nothing_is_dialled() {
    let mut swarm = swarm_with(Limits { memory: 100 << 10, ..Limits::default() });
    let conn = swarm.inbound(3);
    swarm.handle_memory(conn, 30 << 10);
    swarm.events();
    let dial = swarm.dial(ms(0), Some(peer(2)), &addrs([1, 2]));
    let events = swarm.events();
    assert_eq!(cause(&events[0]), (dial, DialError::AllFailed));
    let none = AttemptFailure::Limit { name: "memory", value: 100 << 10 };
    assert_eq!(failures(&events[0]), [(none, Duration::ZERO); 2]);
    swarm.handle_memory(conn, 20 << 10);
    swarm.dial(ms(0), Some(peer(2)), &addrs([1, 2]));
    let first = swarm.dialing()[0].0;
    swarm.handle_timeout(ms(250));
    assert_eq!(swarm.dialing(), [], "there is room for one");
    swarm.handle_dial_failed(ms(300), first, REFUSED);
    let events = swarm.events();
    assert_eq!(
        failures(&events[0]),
        [(none, Duration::ZERO), (AttemptFailure::Transport(REFUSED), Duration::from_millis(300))]
    );
    assert!(swarm.handle_accepted(ms(300), addr(0), addr(9)).is_ok(), "a shortage is no fault of the peer's");
    swarm.check();
}

fn at_loopback() -> Multiaddr {
    at("127.0.0.1")
}

#[test]
fn inbound_and_outbound_have_limits_of_their_own() {
    let limits = Limits { established_inbound: 1, established_outbound: 1, ..Limits::default() };
    let mut swarm = swarm_with(limits);
    let (a, b) = (accept(&mut swarm, "20.0.0.1").unwrap(), accept(&mut swarm, "20.0.0.2").unwrap());
    swarm.handle_ready(ms(0), a, peer(2)).unwrap();
    assert_eq!(swarm.handle_ready(ms(0), b, peer(3)), limit("established_inbound", 1));
    assert_eq!(accept(&mut swarm, "20.0.0.3"), limit("established_inbound", 1));
    swarm.actions();
    for (id, expected) in [(4, Ok(())), (5, limit("established_outbound", 1))] {
        swarm.dial(ms(0), Some(peer(id)), &addrs([id]));
        let conn = swarm.dialing()[0].0;
        assert_eq!(swarm.handle_ready(ms(0), conn, peer(id)), expected);
        swarm.actions();
    }
    swarm.check();
}

#[test]
fn memory_has_a_budget() {
    let mut swarm = swarm_with(Limits { memory: 200 << 10, ..Limits::default() });
    let a = accept(&mut swarm, "20.0.0.1").unwrap();
    accept(&mut swarm, "20.0.0.2").unwrap();
    assert_eq!(accept(&mut swarm, "20.0.0.3"), limit("memory", 200 << 10));
    swarm.handle_ready(ms(0), a, peer(2)).unwrap();
    accept(&mut swarm, "20.0.0.3").expect("a ready one counts less");
    swarm.handle_memory(a, 150 << 10);
    swarm.check();
    assert_eq!(accept(&mut swarm, "20.0.0.4"), limit("memory", 200 << 10));
    swarm.handle_closed(ms(0), a);
    assert_eq!(accept(&mut swarm, "20.0.0.4"), limit("memory", 200 << 10), "two handshakes and no third");
    let b = accept(&mut swarm, "127.0.0.1").err();
    assert_eq!(b, Some(Denied::Limit { name: "memory", value: 200 << 10 }));
    swarm.handle_memory(a, usize::MAX);
    swarm.check();
    let mut swarm = super::swarm();
    (2..6)
        .map(|id| swarm.inbound(id))
        .collect::<Vec<_>>()
        .into_iter()
        .for_each(|conn| swarm.handle_memory(conn, usize::MAX));
    swarm.check();
    assert_eq!(accept(&mut swarm, "20.0.0.4"), limit("memory", 512 << 20));
}

#[test]
fn who_is_blocked_is_neither_let_in_nor_dialled() {
    let mut swarm = swarm();
    let conn = swarm.inbound(3);
    let net = Subject::Net { ip: "20.0.0.77".parse().unwrap(), bits: 24 };
    assert_eq!(swarm.block(ms(0), Subject::Peer(peer(3))), Ok(true));
    assert_eq!(swarm.block(ms(0), Subject::Peer(peer(3))), Ok(false));
    assert_eq!(swarm.actions(), [Action::Close { conn, reason: CloseReason::Denied(Denied::Blocked) }]);
    swarm.events();
    let dial = swarm.dial(ms(0), Some(peer(3)), &addrs([1]));
    assert_eq!(cause(&swarm.events()[0]), (dial, DialError::Blocked));
    let pending = accept(&mut swarm, "20.0.0.5").unwrap();
    assert_eq!(swarm.handle_ready(ms(0), pending, peer(3)), Err(Denied::Blocked));
    swarm.actions();

    assert_eq!(swarm.block(ms(0), net), Ok(true));
    assert_eq!(accept(&mut swarm, "20.0.0.5"), Err(Denied::Blocked));
    accept(&mut swarm, "20.0.1.5").unwrap();
    swarm.dial(ms(0), Some(peer(4)), &addrs([1]));
    assert_eq!(failures(&swarm.events()[0])[0].0, AttemptFailure::Blocked);
    assert!(swarm.unblock(Subject::Net { ip: "20.0.0.1".parse().unwrap(), bits: 24 }), "the same network");
    assert!(!swarm.unblock(net) && swarm.unblock(Subject::Peer(peer(3))));
    accept(&mut swarm, "20.0.0.5").unwrap();
}

#[test]
fn who_is_blocked_while_being_dialled_is_dialled_no_more() {
    let mut swarm = swarm();
    let one = swarm.dial(ms(0), Some(peer(2)), &addrs([1, 2]));
    let two = swarm.dial(ms(0), Some(peer(2)), &[]);
    let conn = swarm.dialing()[0].0;
    swarm.block(ms(10), Subject::Peer(peer(2))).unwrap();
    assert_eq!(swarm.actions(), [Action::Abandon { conn }]);
    let causes: Vec<_> = swarm.events().iter().map(cause).collect();
    assert_eq!(causes, [one, two].map(|dial| (dial, DialError::Blocked)));
    assert!(swarm.is_clean());

    swarm.dial(ms(20), Some(peer(3)), &addrs([1, 2, 3]));
    swarm.dialing();
    swarm.block(ms(30), Subject::Net { ip: "20.0.0.2".parse().unwrap(), bits: 32 }).unwrap();
    swarm.handle_timeout(ms(270));
    let (conn, address) = swarm.dialing()[0].clone();
    assert_eq!(address, addr(3), "what was not tried yet is left out");
    swarm.block(ms(280), Subject::Net { ip: "20.0.0.3".parse().unwrap(), bits: 32 }).unwrap();
    assert_eq!(swarm.handle_ready(ms(290), conn, peer(3)), Err(Denied::Blocked), "and what was is not let in");
}

#[test]
fn with_a_list_of_the_allowed_nobody_else_comes_in() {
    let mut swarm = swarm_with(Limits { listed: 4, ..Limits::default() });
    let net = |text: &str, bits| Subject::Net { ip: text.parse().unwrap(), bits };
    swarm.allow(net("20.0.0.0", 8)).unwrap();
    swarm.allow(net("2600::", 16)).unwrap();
    accept(&mut swarm, "20.9.9.9").unwrap();
    accept(&mut swarm, "2600::9").unwrap();
    assert_eq!(accept(&mut swarm, "21.9.9.9"), Err(Denied::Blocked));
    assert_eq!(accept(&mut swarm, "2601::9"), Err(Denied::Blocked));
    swarm.allow(Subject::Peer(peer(2))).unwrap();
    swarm.block(ms(0), net("20.9.0.0", 16)).unwrap();
    assert_eq!(accept(&mut swarm, "20.9.9.9"), Err(Denied::Blocked), "blocked all the same");
    assert_eq!(swarm.allow(Subject::Peer(peer(3))), limit("listed", 4));
    assert_eq!(swarm.block(ms(0), Subject::Peer(peer(3))), limit("listed", 4));
    let conn = accept(&mut swarm, "20.1.1.1").unwrap();
    assert_eq!(swarm.handle_ready(ms(0), conn, peer(3)), Err(Denied::Blocked));
    let conn = accept(&mut swarm, "20.1.1.1").unwrap();
    assert_eq!(swarm.handle_ready(ms(0), conn, peer(2)), Ok(()));
    assert!(swarm.disallow(Subject::Peer(peer(2))));
    let conn = accept(&mut swarm, "20.1.1.1").unwrap();
    assert_eq!(swarm.handle_ready(ms(0), conn, peer(3)), Ok(()), "no peer is named any more");
    // The widest and the narrowest of networks.
    let mut swarm = super::swarm();
    swarm.block(ms(0), net("1.2.3.4", 200)).unwrap();
    assert_eq!(accept(&mut swarm, "1.2.3.4"), Err(Denied::Blocked));
    accept(&mut swarm, "1.2.3.5").unwrap();
    swarm.block(ms(0), net("::", 0)).unwrap();
    assert_eq!(accept(&mut swarm, "2600::1"), Err(Denied::Blocked));
    accept(&mut swarm, "1.2.3.5").expect("IPv4 is another family");
}

#[test]
fn the_gate_is_asked_at_each_stage_and_its_reason_comes_back() {
    let mut swarm = swarm();
    swarm.set_gate(Gate::new(|visit| match visit {
        Visit::Dial { address, .. } if **address == addr(1) => Err("no dial"),
        Visit::Accept { remote, .. } if **remote == addr(2) => Err("no accept"),
        Visit::Secured { peer: id, role: Role::Listener, .. } if *id == peer(3) => Err("no peer"),
        Visit::Secured { role: Role::Dialer, .. } => Err("no dialled peer"),
        _ => Ok(()),
    }));
    swarm.dial(ms(0), Some(peer(4)), &addrs([1]));
    assert_eq!(failures(&swarm.events()[0])[0].0, AttemptFailure::Gate { reason: "no dial" });
    let denied = |reason| Err(Denied::Gate { reason });
    assert_eq!(swarm.handle_accepted(ms(0), addr(0), addr(2)), denied("no accept"));
    let conn = swarm.handle_accepted(ms(0), addr(0), addr(3)).unwrap();
    assert_eq!(swarm.handle_ready(ms(0), conn, peer(3)).map(|()| conn), denied("no peer"));
    swarm.actions();
    swarm.dial(ms(0), Some(peer(5)), &addrs([5]));
    let conn = swarm.dialing()[0].0;
    assert_eq!(swarm.handle_ready(ms(0), conn, peer(5)).map(|()| conn), denied("no dialled peer"));
    assert_eq!(failures(&swarm.events()[0])[0].0, AttemptFailure::Gate { reason: "no dialled peer" });
    assert!(swarm.gate.check(&Visit::Stream { peer: peer(2), protocol: "/x" }).is_ok());
}

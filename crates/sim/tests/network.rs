//! What hosts see of the network: TCP, faults, time.
#![allow(clippy::unwrap_used, reason = "a test")]

use core::time::Duration;
use std::collections::BTreeMap;

use sanswarm_sim::{
    App, Fault, Host, HostId, Hostile, Link, Network, Rule, Sockets, Violation, for_seeds,
    sanswarm::{Event, Instant, Multiaddr, OpenStreamError, PeerInfo, ProtocolName, ReadError, StreamId},
};

const ECHO: ProtocolName = ProtocolName::from_static("/echo/1.0.0");

/// Keeps all events with their times, and echoes.
#[derive(Default)]
struct Log {
    events: Vec<(Instant, Event)>,
    starts: usize,
    timers: Vec<(Instant, u64)>,
    got: BTreeMap<StreamId, Vec<u8>>,
}

impl App for Log {
    fn start(&mut self, host: &mut Host<'_>) {
        self.starts += 1;
        host.set_stream_handler(ECHO);
    }

    fn handle_timer(&mut self, host: &mut Host<'_>, timer: u64) {
        self.timers.push((host.now(), timer));
    }

    fn handle_event(&mut self, host: &mut Host<'_>, event: Event) {
        if let Event::Readable { stream } | Event::Finished { stream } = event {
            let is_theirs = self.events.iter().any(
                |(_, event)| matches!(event, Event::Opened { stream: opened, request: None, .. } if *opened == stream),
            );
            loop {
                match host.read(stream) {
                    Ok(Some(bytes)) => {
                        self.got.entry(stream).or_default().extend_from_slice(&bytes);
                        if is_theirs {
                            assert_eq!(host.write(stream, &bytes), Ok(bytes.len()), "small enough for the window");
                        }
                    }
                    Err(ReadError::Finished) if is_theirs => drop(host.finish(stream)),
                    _ => break,
                }
            }
        }
        self.events.push((host.now(), event));
    }
}

impl Log {
    fn find<R>(&self, pick: impl Fn(&Event) -> Option<R>) -> Option<(Instant, R)> {
        self.events.iter().find_map(|(at, event)| Some((*at, pick(event)?)))
    }

    fn failure(&self) -> Option<(Instant, OpenStreamError)> {
        self.find(|event| match event {
            Event::OpenFailed { error, .. } => Some(error.clone()),
            _ => None,
        })
    }

    fn stream(&self) -> StreamId {
        let opened = |event: &Event| match event {
            Event::Opened { stream, request: Some(_), .. } => Some(*stream),
            _ => None,
        };
        self.find(opened).unwrap().1
    }

    fn connected(&self) -> Option<Instant> {
        self.find(|event| matches!(event, Event::Connected { .. }).then_some(())).map(|(at, ())| at)
    }

    fn disconnected(&self) -> Option<Instant> {
        self.find(|event| matches!(event, Event::Disconnected { .. }).then_some(())).map(|(at, ())| at)
    }
}

const A: HostId = HostId::new(0);
const B: HostId = HostId::new(1);

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn two() -> Network<Log> {
    let mut net = Network::new(1);
    net.set_link(Link { jitter: Duration::ZERO, ..Link::of_latency(Duration::from_millis(50)) });
    net.add_host(Log::default());
    net.add_host(Log::default());
    net
}

fn connect(net: &mut Network<Log>) {
    let info = net.info_of(B);
    net.with(A, |_, host| host.connect(info)).unwrap();
}

fn connected() -> Network<Log> {
    let mut net = two();
    connect(&mut net);
    net.run_for(secs(1)).unwrap();
    assert!(net.app(A).connected().is_some() && net.app(B).connected().is_some());
    net
}

/// A stream from the first host to the second.
fn with_stream() -> (Network<Log>, StreamId) {
    let mut net = connected();
    let info = net.info_of(B);
    net.with(A, |_, host| host.open_stream(ECHO, info)).unwrap();
    net.run_for(secs(1)).unwrap();
    let stream = net.app(A).stream();
    (net, stream)
}

#[test]
fn a_connection_takes_its_round_trips_and_nothing_else() {
    let net = connected();
    let took = |at: Option<Instant>| at.unwrap().since(Instant::from_micros(1_000_000)).as_millis();
    // One round trip for the socket, one for the handshake.
    assert_eq!(took(net.app(A).connected()), 200);
    assert_eq!(took(net.app(B).connected()), 250);
}

#[test]
fn an_address_without_a_host_is_unreachable_and_a_dead_process_refuses() {
    let mut net = two();
    let nowhere: Multiaddr = "/ip4/192.0.2.1/tcp/1".parse().unwrap();
    let info = PeerInfo { id: net.info_of(B).id, addrs: vec![nowhere] };
    net.with(A, |_, host| host.connect(info)).unwrap();
    net.run_for(secs(1)).unwrap();
    assert!(net.app(A).failure().unwrap().1.to_string().contains("unreachable"));
    net.inject(&Fault::Crash { host: B, lasts: secs(10) });
    assert!(net.with(B, |_, _| ()).is_none(), "nobody is there");
    connect(&mut net);
    net.run_for(secs(5)).unwrap();
    let last = net.app(A).events.last().unwrap().1.clone();
    assert!(matches!(&last, Event::OpenFailed { error, .. } if error.to_string().contains("refused")), "{last:?}");
    net.run_for(secs(6)).unwrap();
    assert_eq!(net.app(B).starts, 2);
    connect(&mut net);
    net.run_for(secs(1)).unwrap();
    assert!(net.app(A).connected().is_some(), "the same identity again");
}

#[test]
fn a_dial_into_a_partition_ends_in_time() {
    let mut net = two();
    net.inject(&Fault::Partition { group: vec![A], lasts: secs(300) });
    connect(&mut net);
    net.run_for(secs(100)).unwrap();
    let (at, error) = net.app(A).failure().unwrap();
    assert_eq!(at.since(Instant::from_micros(1_000_000)), secs(20), "the attempt's limit: {error}");
}

#[test]
fn half_close_leaves_the_other_direction() {
    let (mut net, stream) = with_stream();
    net.with(A, |_, host| {
        assert_eq!(host.write(stream, b"hello"), Ok(5));
        host.finish(stream).unwrap();
    });
    net.run_for(secs(1)).unwrap();
    assert_eq!(net.app(A).got[&stream], b"hello");
    assert!(net.app(A).find(|event| matches!(event, Event::Finished { .. }).then_some(())).is_some());
    net.settle(secs(10)).unwrap();
}

#[test]
fn a_reset_socket_is_told_at_both_ends_and_its_cause_is_known() {
    let (mut net, _) = with_stream();
    net.inject(&Fault::Reset { host: A, nth: 0 });
    net.run_for(secs(1)).unwrap();
    assert!(net.app(A).disconnected().is_some() && net.app(B).disconnected().is_some());
}

#[test]
fn bytes_wait_out_a_partition_and_then_come() {
    for seed in 0..20 {
        let (mut net, stream) = with_stream();
        net.inject(&Fault::OneWay { from: A, to: B, lasts: secs(1 + seed) });
        net.with(A, |_, host| host.write(stream, b"late").unwrap());
        net.run_for(secs(1)).unwrap();
        assert!(!net.app(A).got.contains_key(&stream));
        net.run_for(secs(3 * seed + 3)).unwrap();
        assert_eq!(net.app(A).got[&stream], b"late", "{seed}");
    }
}

#[test]
fn after_a_power_loss_the_other_end_finds_out_by_its_next_ping() {
    let mut net = connected();
    net.inject(&Fault::PowerLoss { host: B, lasts: secs(2) });
    net.run_for(secs(4)).unwrap();
    assert!(net.app(A).disconnected().is_none(), "nobody has said a word");
    net.run_for(secs(40)).unwrap();
    assert!(net.app(A).disconnected().is_some());
}

#[test]
fn a_system_gives_up_on_who_does_not_answer() {
    let (mut net, stream) = with_stream();
    net.set_sockets(Sockets { give_up: secs(30), ..Sockets::default() });
    net.inject(&Fault::Partition { group: vec![B], lasts: secs(1000) });
    let before = net.now();
    net.with(A, |_, host| host.write(stream, b"?").unwrap());
    net.run_for(secs(60)).unwrap();
    let after = net.app(A).disconnected().unwrap().since(before);
    assert!((30..31).contains(&after.as_secs()), "{after:?}");
}

#[test]
fn a_slow_reader_loses_nothing() {
    let (mut net, stream) = with_stream();
    net.inject(&Fault::SlowReader { host: B, lasts: secs(5) });
    net.with(A, |_, host| assert_eq!(host.write(stream, &[7; 50_000]), Ok(50_000)));
    net.run_for(secs(4)).unwrap();
    assert!(net.app(B).got.is_empty());
    net.run_for(secs(3)).unwrap();
    assert_eq!(net.app(A).got[&stream], [7; 50_000]);
}

#[test]
fn a_frozen_host_takes_connections_and_answers_later() {
    let mut net = two();
    net.inject(&Fault::Freeze { host: B, lasts: secs(10) });
    connect(&mut net);
    net.run_for(secs(9)).unwrap();
    assert!(net.app(A).connected().is_none() && net.app(A).failure().is_none());
    net.run_for(secs(3)).unwrap();
    assert!(net.app(A).connected().is_some() && net.app(B).connected().is_some());
}

#[test]
fn a_clock_that_jumps_takes_its_timers_along() {
    let mut net = two();
    net.with(A, |_, host| host.after(secs(60), 7));
    let before = net.with(A, |_, host| host.now()).unwrap();
    net.run_for(secs(10)).unwrap();
    net.inject(&Fault::Skew { host: A, ahead: secs(45) });
    let now = net.with(A, |_, host| host.now()).unwrap();
    assert_eq!(now.since(before), secs(55));
    net.run_for(secs(100)).unwrap();
    assert_eq!(net.app(A).timers.len(), 1);
}

#[test]
fn a_changed_byte_ends_a_connection_and_is_never_read() {
    let (mut net, stream) = with_stream();
    net.inject(&Fault::Corrupt { host: A, nth: 0 });
    net.with(A, |_, host| host.write(stream, &[1; 1000]).unwrap());
    net.run_for(secs(5)).unwrap();
    assert!(net.app(B).got.is_empty());
    assert!(net.app(A).disconnected().is_some() && net.app(B).disconnected().is_some());
}

#[test]
fn a_full_socket_pushes_back_and_all_comes_through() {
    let mut net = two();
    net.set_sockets(Sockets { buffer_bytes: 1, cut_one_of: 1, ..Sockets::default() });
    net.set_link(Link {
        jitter: Duration::ZERO,
        bytes_per_second: None,
        ..Link::of_latency(Duration::from_micros(10))
    });
    connect(&mut net);
    net.run_for(secs(5)).unwrap();
    assert!(net.app(A).connected().is_some() && net.app(B).connected().is_some(), "one byte at a time");
}

#[test]
fn every_hostile_host_is_borne() {
    for (seed, kind) in Hostile::ALL.into_iter().enumerate() {
        let mut net = Network::new(seed as u64);
        let good = net.add_host(Log::default());
        let bad = net.add_hostile(kind, &[good], Log::default());
        let info = net.info_of(bad);
        net.with(good, |_, host| host.open_stream(ECHO, info)).unwrap();
        net.run_for(secs(120)).unwrap();
        assert!(net.app(good).failure().is_some(), "{kind:?}: {:?}", net.app(good).events);
        let sent = net.counts().wire_bytes;
        assert!(sent < 20_000_000, "{kind:?}: {sent} bytes went over the wires");
    }
}

#[test]
fn a_quiet_hour_costs_what_happens_in_it() {
    let mut net = two();
    net.run_for(secs(3600)).unwrap();
    assert!(net.counts().events < 10, "{:?}", net.counts());
}

#[test]
fn what_an_application_finds_ends_the_run() {
    let mut net = two();
    net.with(A, |_, host| host.fail("seven is odd"));
    let violation = net.run_for(secs(1)).unwrap_err();
    assert_eq!((violation.rule, violation.host), (Rule::User, Some(A)));
    assert_eq!(violation.to_string(), "user at host 0 after 1.000000 s: seven is odd");
    assert_eq!(net.run_for(secs(1)), Err(violation), "it stays so");
}

#[test]
fn what_never_comes_about_breaks_liveness() {
    let (mut net, stream) = with_stream();
    // The peer's application is asleep and reads nothing, whatever else heals.
    net.with(A, |_, host| {
        host.write(stream, b"x").unwrap();
        host.finish(stream).unwrap();
    });
    for n in 0..100 {
        net.schedule(secs(n), Fault::SlowReader { host: B, lasts: secs(3) });
    }
    let violation = net.settle(secs(20)).unwrap_err();
    assert_eq!(violation.rule, Rule::Liveness, "{violation}");
}

fn fails_at_three(net: &mut Network<()>) -> Result<(), Violation> {
    let host = net.add_host(());
    if net.seed() == 3 {
        net.with(host, |(), host| host.fail("three"));
    }
    net.run_for(secs(1))
}

#[test]
#[should_panic(expected = "three\nseed 3; to repeat: SANSWARM_SIM_SEED=3 cargo test a_failure_names")]
fn a_failure_names_its_seed() {
    for_seeds(0..5, fails_at_three);
}

#[test]
#[should_panic(expected = "two runs with one seed differ")]
fn a_test_with_a_secret_of_its_own_is_found_out() {
    let count = core::cell::Cell::new(0);
    for_seeds(0..1, |net: &mut Network<()>| {
        count.set(count.get() + 1);
        let host = net.add_host(());
        net.with(host, |(), host| host.note(&count.get().to_string()));
        net.run_for(secs(1))
    });
}

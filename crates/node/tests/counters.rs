//! What a node counts, in numbers, over scripted sessions.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{A, B, CHAT, ECHO, Hand, Net, Place, address, config, pattern, peer, secs};
use sanswarm::{
    AttemptCounters, Counters, DeniedCounters, EndedCounters, Instant, PeerInfo, ProtocolCounters, ProtocolName,
    RoundTrips, StageCounters, StreamCounters,
};

const PING: ProtocolName = ProtocolName::from_static("/ipfs/ping/1.0.0");
const IDENTIFY: ProtocolName = ProtocolName::from_static("/ipfs/id/1.0.0");

/// Nothing, but for this.
fn with<T: Default>(change: impl FnOnce(&mut T)) -> T {
    let mut counters = T::default();
    change(&mut counters);
    counters
}

fn counters(net: &Net, user: usize) -> Counters {
    net.users[user].node.counters()
}

/// Opened, accepted, bytes in, bytes out.
fn of(counters: &Counters, name: &ProtocolName) -> [u64; 4] {
    let ProtocolCounters { opened, accepted, bytes_in, bytes_out, .. } = counters.protocol(name).unwrap().clone();
    [opened, accepted, bytes_in, bytes_out]
}

fn streams(streams: &StreamCounters) -> [u64; 8] {
    let s = streams;
    [s.opened, s.accepted, s.refused, s.turned_away, s.finished, s.reset, s.reset_by_peer, s.cut]
}

fn took<const N: usize>(each: [u32; N]) -> RoundTrips {
    let mut all = RoundTrips::default();
    each.into_iter().for_each(|n| all.note(n));
    all
}

/// One connection; 40,000 bytes echoed, a refused stream, one that is reset, one left open, and a ping.
fn session() -> Net {
    let (mut net, _, _) = Net::connected();
    let echo = net.open(ECHO);
    net.run();
    let stream = net.users[A].stream(echo);
    net.send_all(A, stream, &pattern(40_000));
    net.open(CHAT);
    let [reset, _open] = [net.open([CHAT, ECHO]), net.open(ECHO)];
    net.run();
    let stream = net.users[A].stream(reset);
    net.users[A].node.reset(stream).unwrap();
    let id = net.users[B].node.id();
    net.users[A].node.ping(&id);
    net.run();
    net
}

#[test]
fn a_session_at_both_ends() {
    let net = session();
    let (a, b) = (counters(&net, A), counters(&net, B));
    assert_eq!((a.connections.established_outbound, a.connections.established_inbound), (1, 0));
    assert_eq!((b.connections.established_outbound, b.connections.established_inbound), (0, 1));
    assert_eq!((b.connections.accepted, a.connections.accepted, a.connections.open, b.connections.open), (1, 0, 1, 1));
    assert_eq!((a.dials.asked, a.dials.succeeded, a.dials.reused, b.dials.asked), (5, 1, 4, 0));
    assert_eq!(a.attempts, with(|a: &mut AttemptCounters| (a.begun, a.succeeded) = (1, 1)));
    // Identify both ways, ping, three of ours: by identify the name is known, so that payload need not wait.
    assert_eq!(streams(&a.streams), [5, 1, 1, 0, 3, 1, 0, 0]);
    assert_eq!(streams(&b.streams), [1, 5, 0, 1, 3, 0, 1, 0]);
    assert_eq!((a.streams.open(), b.streams.open()), (2, 2), "the stream for pings and the one left open");
    assert_eq!((of(&a, &ECHO), of(&b, &ECHO)), ([3, 0, 40_000, 40_000], [0, 3, 40_000, 40_000]));
    assert_eq!((of(&a, &PING), of(&b, &PING)), ([1, 0, 32, 32], [0, 1, 32, 32]));
    assert_eq!(of(&a, &CHAT), [0; 4], "it was refused");
    let ([opened, accepted, bytes_in, bytes_out], theirs) = (of(&a, &IDENTIFY), of(&b, &IDENTIFY));
    assert_eq!((opened, accepted, theirs), (1, 1, [1, 1, bytes_out, bytes_in]));
    assert!(bytes_in > 100 && bytes_out > 100);
    assert!(b.protocol(&CHAT).is_none() && b.protocols[0] == ProtocolCounters::default());
    assert_eq!((a.pings.answered, a.pings.failed, b.pings.answered), (1, 0, 0));
    assert_eq!(a.connections.round_trips.count(), 1);
    assert_eq!(a.streams.round_trips, took([0, 0, 0, 0, 1]));
}

#[test]
fn what_is_counted_stays_whatever_is_told_and_when() {
    let mut net = session();
    let before = [A, B].map(|user| counters(&net, user));
    net.pass(secs(3));
    assert_eq!([A, B].map(|user| counters(&net, user)), before, "told meanwhile, and nothing was lost or told twice");
    let (id, now) = (net.users[B].node.id(), net.now);
    net.users[A].node.disconnect(now, id);
    net.run();
    let [mut a, mut b] = before;
    (a.streams.cut, b.streams.cut) = (2, 2);
    (a.connections.open, b.connections.open) = (0, 0);
    let requested = with(|ended: &mut EndedCounters| ended.requested = 1);
    let error = with(|ended: &mut EndedCounters| ended.error = 1);
    (a.connections.ended, b.connections.ended) = (requested, error);
    assert_eq!([A, B].map(|user| counters(&net, user)), [a.clone(), b]);
    assert_eq!((a.streams.open(), requested.sum(), error.sum()), (0, 1, 1));
}

#[test]
fn failed_attempts_by_stage() {
    let mut net = Net::new(2);
    let hands: [fn() -> Hand; 4] = [Hand::http, Hand::other_security, Hand::other_muxer, Hand::closes_later];
    for (i, hand) in hands.into_iter().enumerate() {
        net.places.insert(address(10 + i), Place::Hand(Box::new(hand)));
        let now = net.now;
        net.users[A].node.connect(now, PeerInfo { id: peer(9), addrs: vec![address(10 + i)] });
        net.pass(secs(600));
    }
    let now = net.now;
    net.users[A].node.connect(now, PeerInfo { id: peer(9), addrs: vec![address(77)] });
    net.pass(secs(600));
    // Another peer than the one that is expected.
    let now = net.now;
    net.users[A].node.connect(now, PeerInfo { id: peer(8), addrs: vec![address(B)] });
    net.run();
    let a = counters(&net, A);
    let upgrade = with(|stages: &mut StageCounters| (stages.security, stages.handshake, stages.muxer) = (3, 1, 1));
    assert_eq!(a.attempts, with(|a: &mut AttemptCounters| (a.begun, a.connect, a.upgrade) = (6, 1, upgrade)));
    assert_eq!((a.dials.asked, a.dials.failed, upgrade.sum()), (6, 6, 5));
    assert_eq!((a.connections.round_trips, a.connections.open), (RoundTrips::default(), 0));
    let b = counters(&net, B).connections;
    assert_eq!((b.accepted, b.accept_failed.sum(), b.established_inbound), (1, 1, 0));
}

#[test]
fn who_is_not_let_in() {
    let mut configs = vec![config(1), config(2), config(3)];
    configs[B].swarm.established = 1;
    let mut net = Net::with(configs);
    net.connect();
    let (info, now) = (net.users[B].info(), net.now);
    net.users[2].node.connect(now, info);
    net.pass(secs(1));
    let b = counters(&net, B).connections;
    assert_eq!(b.denied, with(|denied: &mut DeniedCounters| denied.limit = 1));
    assert_eq!((b.accepted, b.established_inbound, b.accept_failed.sum(), b.open), (1, 1, 0, 1));
}

#[test]
fn a_stranger_adds_no_protocols() {
    let (mut net, _, _) = Net::connected();
    net.users[B].node.set_stream_handler_where(|name| name.as_str().starts_with("/any/"));
    let entries = counters(&net, B).protocols.len();
    for i in 0..300 {
        let request = net.open(ProtocolName::try_from(format!("/any/{i}")).unwrap());
        net.run();
        let stream = net.users[A].stream(request);
        net.send_all(A, stream, b"four");
        net.run();
    }
    let (a, b) = (counters(&net, A), counters(&net, B));
    let others = |counters: &Counters| {
        assert_eq!(counters.protocols[0].name, None);
        [counters.protocols[0].accepted + counters.protocols[0].opened, counters.protocols[0].bytes_in]
    };
    assert_eq!((b.protocols.len(), others(&b)), (entries, [300, 1200]));
    // Who opens them has an entry for each, up to a bound; then they are counted together.
    assert_eq!((a.protocols.len(), others(&a)), (128, [300 - (127 - 3), 4 * (300 - (127 - 3))]));
    assert_eq!(a.protocols.iter().map(|protocol| protocol.opened).sum::<u64>(), 301);
    assert_eq!(of(&a, &ProtocolName::from_static("/any/7")), [1, 0, 4, 4]);
    assert!(net.now > Instant::ZERO);
}

//! Any calls in any order: nothing panics, and what a stream carries arrives in order, once, and whole.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{DIALER, End, LISTENER, Pair, config_of, names, secs};
use proptest::prelude::*;
use sanswarm_connection::{
    Error, Event, Hangup, Limits, Muxer, Open, Security, StreamId,
    transcript::{ENTRIES_MAX, Entry, Level},
};

const NAMES: [&[&str]; 4] = [&["/a"], &["/none", "/a"], &["/none"], &["/a", "/b"]];

#[derive(Clone, Debug)]
enum Op {
    Open {
        lazy: bool,
        names: usize,
    },
    Write {
        stream: usize,
        len: usize,
    },
    Read {
        stream: usize,
    },
    Finish {
        stream: usize,
    },
    Reset {
        stream: usize,
    },
    Stop {
        stream: usize,
    },
    Poll,
    Flush,
    /// So many bytes of what is ready reach the other end.
    Deliver {
        len: usize,
    },
    Time {
        millis: u64,
    },
    /// Takes so many entries of the transcript.
    Transcript {
        entries: usize,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let stream = 0usize..12;
    prop_oneof![
        2 => (any::<bool>(), 0..NAMES.len()).prop_map(|(lazy, names)| Op::Open { lazy, names }),
        6 => (stream.clone(), prop_oneof![0usize..100, 0usize..300_000]).prop_map(|(stream, len)| Op::Write { stream, len }),
        4 => stream.clone().prop_map(|stream| Op::Read { stream }),
        1 => stream.clone().prop_map(|stream| Op::Finish { stream }),
        1 => stream.clone().prop_map(|stream| Op::Reset { stream }),
        1 => stream.prop_map(|stream| Op::Stop { stream }),
        6 => Just(Op::Poll),
        4 => Just(Op::Flush),
        8 => prop_oneof![0usize..40, 0usize..100_000].prop_map(|len| Op::Deliver { len }),
        1 => (0u64..4000).prop_map(|millis| Op::Time { millis }),
        1 => (0usize..50).prop_map(|entries| Op::Transcript { entries }),
    ]
}

fn muxer() -> impl Strategy<Value = Muxer> {
    let muxers = [
        Muxer::Yamux,
        #[cfg(feature = "mplex")]
        Muxer::Mplex,
    ];
    (0..muxers.len()).prop_map(move |n| muxers[n])
}

fn level() -> impl Strategy<Value = Level> {
    prop_oneof![Just(Level::Off), Just(Level::Negotiation), Just(Level::Frames)]
}

/// Limits with which time ends streams only.
fn slow() -> Limits {
    Limits { upgrade_timeout: secs(10_000), frame_timeout: secs(10_000), ..Limits::default() }
}

/// What one user knows.
#[derive(Default)]
struct User {
    /// All ids that it ever heard of, and some of the other's.
    ids: Vec<StreamId>,
    seen: usize,
    sent: BTreeMap<StreamId, (u8, usize)>,
    got: BTreeMap<StreamId, Vec<u8>>,
    finished: BTreeSet<StreamId>,
    /// Streams that were cut short, by this end or the other.
    broken: BTreeSet<StreamId>,
    /// It stopped reading something, which may have been anything.
    stopped: BTreeSet<StreamId>,
}

/// What goes wrong on the way from one end to the other.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The byte at this place is changed.
    Flip { who: usize, at: usize },
    /// The bytes end at this place.
    End { who: usize, at: usize },
}

struct World {
    pair: Pair,
    users: [User; 2],
    tags: u8,
    /// It may fail, or it does.
    fails: bool,
    fault: Option<Fault>,
    /// How much has passed from each end.
    passed: [usize; 2],
}

impl World {
    fn new(mut pair: Pair, levels: [Level; 2]) -> Self {
        pair.b.echoes = false;
        pair.a.conn.set_names(common::known(&["/a", "/b"]));
        pair.b.conn.set_names(common::known(&["/a", "/b"]));
        pair.a.conn.set_transcript(levels[0]);
        pair.b.conn.set_transcript(levels[1]);
        Self { pair, users: Default::default(), tags: 0, fails: false, fault: None, passed: [0; 2] }
    }

    fn end(&mut self, who: usize) -> (&mut End, &mut User) {
        let user = &mut self.users[who];
        (if who == 0 { &mut self.pair.a } else { &mut self.pair.b }, user)
    }

    fn apply(&mut self, who: usize, op: Op) {
        let at = self.pair.at;
        let tag = self.tags;
        let (end, user) = self.end(who);
        let pick = |stream: usize| user.ids.get(stream % user.ids.len().max(1)).copied();
        match op {
            Op::Open { lazy, names: n } => {
                let how = if lazy { Open::Lazy } else { Open::Wait };
                user.ids.extend(end.conn.open(at, names(NAMES[n]), how));
            }
            Op::Write { stream, len } => {
                let Some(id) = pick(stream) else { return };
                let (tag, sent) = *user.sent.entry(id).or_insert((tag, 0));
                let data: Vec<u8> = (sent..sent + len).map(|k| byte(tag, k)).collect();
                if let Ok(n) = end.conn.write(at, id, &data, &mut end.send) {
                    assert!(n <= len);
                    user.sent.insert(id, (tag, sent + n));
                }
                self.tags = self.tags.wrapping_add(1);
            }
            Op::Read { stream } => drop(pick(stream).map(|id| read(end, user, id))),
            Op::Finish { stream } => {
                let Some(id) = pick(stream) else { return };
                if end.conn.finish(id).is_ok() {
                    user.finished.insert(id);
                }
            }
            Op::Reset { stream } => {
                let Some(id) = pick(stream) else { return };
                if end.conn.reset(id).is_ok() {
                    user.broken.insert(id);
                    assert!(end.conn.reset(id).is_err() && end.conn.read(id).is_err(), "stale at once");
                }
            }
            Op::Stop { stream } => {
                let Some(id) = pick(stream) else { return };
                if end.conn.stop(id).is_ok() {
                    user.stopped.insert(id);
                }
            }
            Op::Poll => self.poll(who),
            Op::Flush => end.flush(at),
            Op::Deliver { len } => drop(self.deliver(who, len)),
            Op::Time { millis } => self.pair.pass(core::time::Duration::from_millis(millis)),
            Op::Transcript { entries } => {
                for _ in 0..entries {
                    let _ = end.conn.poll_transcript();
                }
            }
        }
    }

    fn poll(&mut self, who: usize) {
        let (at, fails) = (self.pair.at, self.fails);
        let (end, user) = self.end(who);
        let had_ended = end.error.is_some() || end.events.iter().any(|e| matches!(e, Event::Closed { .. }));
        let told = end.events.len();
        end.poll(at);
        assert!(!had_ended || end.events.len() == told, "nothing is told after the end");
        assert!(fails || end.error.is_none(), "{:?}", end.error);
        for event in &end.events[core::mem::replace(&mut user.seen, end.events.len())..] {
            match event {
                Event::Opened { stream, .. } if !user.ids.contains(stream) => user.ids.push(*stream),
                Event::Refused { stream, .. } | Event::Reset { stream } => drop(user.broken.insert(*stream)),
                _ => {}
            }
        }
        // Ids of the other end mean nothing here, or something else.
        let other: Vec<_> = self.users[1 - who].ids.last().copied().into_iter().collect();
        let ids = &mut self.users[who].ids;
        ids.extend(other.iter().filter(|id| !ids.contains(id)).copied().collect::<Vec<_>>());
    }

    fn deliver(&mut self, who: usize, len: usize) -> usize {
        let (from, to) =
            if who == 0 { (&mut self.pair.a, &mut self.pair.b) } else { (&mut self.pair.b, &mut self.pair.a) };
        let ready = from.send.ready();
        let mut bytes = ready[..len.min(ready.len())].to_vec();
        let passed = self.passed[who];
        match self.fault {
            Some(Fault::Flip { who: by, at }) if by == who => {
                let _ = at.checked_sub(passed).and_then(|at| bytes.get_mut(at)).map(|byte| *byte ^= 0x41);
            }
            Some(Fault::End { who: by, at }) if by == who && passed + bytes.len() >= at => {
                bytes.truncate(at - passed);
                let n = if to.recv.wants() { to.recv.feed(&bytes) } else { 0 };
                from.send.sent(n);
                self.passed[who] += n;
                if n == bytes.len() {
                    to.recv.set_eof();
                    self.fault = None;
                }
                return n;
            }
            _ => {}
        }
        let n = if to.recv.wants() { to.recv.feed(&bytes) } else { 0 };
        from.send.sent(n);
        self.passed[who] += n;
        n
    }

    /// Lets everything that is under way arrive, and reads it.
    fn finish(&mut self) {
        loop {
            let mut moved = 0;
            for who in [0, 1] {
                let at = self.pair.at;
                let seen = self.users[who].seen;
                self.poll(who);
                let (end, user) = self.end(who);
                for id in user.ids.clone() {
                    moved += read(end, user, id);
                }
                end.flush(at);
                moved += user.seen - seen;
                moved += self.deliver(who, usize::MAX);
            }
            if moved == 0 {
                return;
            }
        }
    }

    fn check(&self) {
        for who in [0, 1] {
            let (writer, reader) = (&self.users[who], &self.users[1 - who]);
            let mut arrived = BTreeMap::new();
            for (id, got) in &reader.got {
                let tag = got[0];
                assert!(got.iter().enumerate().all(|(k, b)| *b == byte(tag, k)), "in order and once");
                assert!(arrived.insert(tag, (id, got.len())).is_none(), "no payload on two streams");
            }
            for (id, (tag, sent)) in writer.sent.iter().filter(|(_, (_, sent))| *sent > 0) {
                if let Some((_, len)) = arrived.get(tag) {
                    assert!(len <= sent);
                }
                if !self.fails
                    && writer.finished.contains(id)
                    && !writer.broken.contains(id)
                    && reader.stopped.is_empty()
                {
                    let (theirs, len) = arrived.get(tag).expect("a finished stream arrives");
                    assert!(len == sent || reader.broken.contains(theirs), "whole: {len} of {sent}");
                }
            }
        }
    }
}

/// The byte at place `k` of what is sent under `tag`. The first is the tag.
fn byte(tag: u8, k: usize) -> u8 {
    tag.wrapping_add((k % 253) as u8)
}

fn read(end: &mut End, user: &mut User, id: StreamId) -> usize {
    let bytes = end.read_all(id);
    if !bytes.is_empty() {
        user.got.entry(id).or_default().extend_from_slice(&bytes);
    }
    bytes.len()
}

/// Two ends whose streams are over this muxer, or over yamux on a pipe that is secure already.
fn pair(security: Option<Security>, muxer: Muxer) -> Pair {
    let Some(security) = security else { return Pair::secured(&[], slow()) };
    let config = |seed| config_of(seed, vec![security], vec![muxer], slow());
    Pair::of_configs(config(DIALER), config(LISTENER))
}

/// `None` is a pipe that is secure already.
fn security() -> impl Strategy<Value = Option<Security>> {
    let all = [
        None,
        Some(Security::Noise),
        #[cfg(feature = "tls")]
        Some(Security::Tls),
        #[cfg(feature = "plaintext")]
        Some(Security::Plaintext),
    ];
    prop::sample::select(all.to_vec())
}

/// Two ends that come to nothing, and what comes of it at the dialer.
fn failing(which: u8) -> (Pair, fn(&Error) -> bool) {
    let config = |seed, muxers| config_of(seed, Security::defaults(), muxers, slow());
    let mut pair = Pair::of_configs(config(DIALER, vec![Muxer::Yamux]), config(LISTENER, vec![Muxer::Yamux]));
    match which {
        0 => {
            let (role, expected) = (sanswarm_wire::Role::Dialer, Some(common::peer(99)));
            let config = config(DIALER, vec![Muxer::Yamux]);
            pair.a = End::of(sanswarm_connection::Connection::new(common::now(), role, config, expected, [9; 32]));
            (pair, |error| matches!(error, Error::WrongPeer { .. }))
        }
        #[cfg(feature = "mplex")]
        1 => {
            let pair = Pair::of_configs(config(DIALER, vec![Muxer::Mplex]), config(LISTENER, vec![Muxer::Yamux]));
            (pair, |error| matches!(error, Error::NothingInCommon { .. }))
        }
        _ => {
            pair.a.recv.feed(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\r\n");
            (pair, |error| matches!(error, Error::Negotiation { .. }))
        }
    }
}

/// What is left of a transcript. It is bounded, whatever was said.
fn transcript(end: &mut End) -> Vec<Entry> {
    let entries: Vec<_> = core::iter::from_fn(|| end.conn.poll_transcript()).collect();
    assert!(entries.len() <= ENTRIES_MAX + 1);
    entries
}

proptest! {
    #[test]
    fn bytes_arrive_in_order_once_and_whole(
        early in any::<bool>(),
        security in security(),
        muxer in muxer(),
        levels in (level(), level()),
        ops in prop::collection::vec((0usize..2, op()), 0..120),
    ) {
        let mut world = World::new(pair(security, muxer), levels.into());
        if !early {
            world.pair.run();
        }
        for (who, op) in ops {
            world.apply(who, op);
        }
        world.finish();
        world.check();
        // The same calls on what has ended by time are as harmless.
        world.pair.pass(secs(100));
        world.finish();
        prop_assert_eq!((&world.pair.a.error, &world.pair.b.error), (&None, &None));
        transcript(&mut world.pair.a);
        transcript(&mut world.pair.b);
    }

    #[test]
    fn small_limits_bound_and_do_not_break(
        muxer in muxer(),
        level in level(),
        ops in prop::collection::vec((0usize..2, op()), 0..100),
    ) {
        let limits = Limits { streams: 3, negotiating: 1, ..slow() };
        let mut world = World::new(Pair::over(muxer, &[], limits), [level; 2]);
        for (who, op) in ops {
            world.apply(who, op);
            prop_assert!(world.pair.a.conn.stats().streams <= 3 && world.pair.b.conn.stats().streams <= 3);
        }
        world.finish();
        world.check();
    }

    /// The same events, payload and bytes on the wire, whoever listens in, and whether he takes what he hears or not.
    #[test]
    fn a_transcript_changes_nothing(
        secured in any::<bool>(),
        muxer in muxer(),
        levels in (level(), level()),
        fault in prop::option::of((0usize..2, 0usize..2000)),
        ops in prop::collection::vec((0usize..2, op()), 0..80),
    ) {
        let play = |levels: [Level; 2]| {
            let security = (!secured).then_some(Security::Noise);
            let mut world = World::new(pair(security, muxer), levels);
            (world.fails, world.fault) = (fault.is_some(), fault.map(|(who, at)| Fault::Flip { who, at }));
            for (who, op) in ops.iter().cloned() {
                world.apply(who, op);
            }
            world.finish();
            let [one, other] = world.users.map(|user| user.got);
            let Pair { a, b, .. } = world.pair;
            [(a, one), (b, other)].map(|(end, got)| {
                (end.events, end.error, got, end.send.total(), end.conn.stats())
            })
        };
        prop_assert_eq!(play(levels.into()), play([Level::Off; 2]));
    }

    #[test]
    fn any_calls_on_what_comes_to_nothing(
        which in 0u8..3,
        levels in (level(), level()),
        ops in prop::collection::vec((0usize..2, op()), 0..80),
    ) {
        let (pair, is_expected) = failing(which);
        let mut world = World::new(pair, levels.into());
        world.fails = true;
        for (who, op) in ops {
            world.apply(who, op);
        }
        world.finish();
        world.check();
        prop_assert!(world.users.iter().all(|user| user.got.is_empty()));
        prop_assert!(world.pair.a.error.as_ref().is_some_and(is_expected), "{:?}", world.pair.a.error);
        end(&mut world);
    }

    #[test]
    fn any_calls_on_what_breaks_somewhere(
        security in security(),
        muxer in muxer(),
        levels in (level(), level()),
        fault in (0usize..2, prop_oneof![0usize..600, 0usize..100_000], any::<bool>()),
        ops in prop::collection::vec((0usize..2, op()), 0..80),
    ) {
        let (who, at, flips) = fault;
        // Where nothing is sealed, a change is not noticed.
        let is_sealed = security.is_some_and(|security| security.name().as_str() != "/plaintext/2.0.0");
        let fault = if flips && is_sealed { Fault::Flip { who, at } } else { Fault::End { who, at } };
        let mut world = World::new(pair(security, muxer), levels.into());
        (world.fails, world.fault) = (true, Some(fault));
        for (who, op) in ops {
            world.apply(who, op);
        }
        world.finish();
        world.check();
        end(&mut world);
    }
}

/// Everything ends once the users close and the bytes end, and every call is harmless then.
fn end(world: &mut World) {
    world.fails = true;
    for _ in 0..2 {
        for end in [&mut world.pair.a, &mut world.pair.b] {
            end.conn.close(world.pair.at);
            end.recv.set_eof();
        }
        world.finish();
        world.pair.pass(secs(1));
    }
    for end in [&mut world.pair.a, &mut world.pair.b] {
        assert_eq!(end.hangup(), Hangup::Both);
        assert!(end.error.is_some() || end.events.iter().any(|e| matches!(e, Event::Closed { .. })));
        transcript(end);
    }
    for (n, op) in [Op::Open { lazy: true, names: 0 }, Op::Poll, Op::Flush].into_iter().enumerate() {
        world.apply(n % 2, op);
    }
    world.check();
}

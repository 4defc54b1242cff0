//! Any calls in any order: nothing panics, and what a stream carries arrives in order, once, and whole.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{End, Pair, names, secs};
use proptest::prelude::*;
use sanswarm_connection::{Event, Limits, Open, StreamId};

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
    ]
}

/// Limits with which time ends streams only.
fn slow() -> Limits {
    Limits { upgrade_timeout: secs(10_000), ..Limits::default() }
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

struct World {
    pair: Pair,
    users: [User; 2],
    tags: u8,
}

impl World {
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
        }
    }

    fn poll(&mut self, who: usize) {
        let at = self.pair.at;
        let (end, user) = self.end(who);
        end.poll(at);
        assert_eq!(end.error, None);
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
        let n = if to.recv.wants() { to.recv.feed(&ready[..len.min(ready.len())]) } else { 0 };
        from.send.sent(n);
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
                if writer.finished.contains(id) && !writer.broken.contains(id) && reader.stopped.is_empty() {
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

proptest! {
    #[test]
    fn bytes_arrive_in_order_once_and_whole(
        early in any::<bool>(),
        secured in any::<bool>(),
        ops in prop::collection::vec((0usize..2, op()), 0..120),
    ) {
        let speaks = &["/a", "/b"];
        let mut pair = if secured { Pair::secured(speaks, slow()) } else { Pair::with(speaks, slow(), slow()) };
        pair.b.echoes = false;
        pair.a.conn.set_names(common::known(&["/a", "/b"]));
        if !early {
            pair.run();
        }
        let mut world = World { pair, users: Default::default(), tags: 0 };
        for (who, op) in ops {
            world.apply(who, op);
        }
        world.finish();
        world.check();
        // The same calls on what has ended by time are as harmless.
        world.pair.pass(secs(100));
        world.finish();
        prop_assert_eq!((world.pair.a.error, world.pair.b.error), (None, None));
    }

    #[test]
    fn small_limits_bound_and_do_not_break(ops in prop::collection::vec((0usize..2, op()), 0..100)) {
        let limits = Limits { streams: 3, negotiating: 1, ..slow() };
        let mut pair = Pair::with(&["/a", "/b"], limits, limits);
        pair.b.echoes = false;
        pair.a.conn.set_names(common::known(&["/a", "/b"]));
        let mut world = World { pair, users: Default::default(), tags: 0 };
        for (who, op) in ops {
            world.apply(who, op);
            prop_assert!(world.pair.a.conn.stats().streams <= 3 && world.pair.b.conn.stats().streams <= 3);
        }
        world.finish();
        world.check();
    }
}

//! Commands and facts in any order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Op {
    Dial(Option<u8>, Vec<u8>),
    Cancel(usize),
    Dialed(usize),
    DialFailed(usize),
    Accepted(u8),
    Ready(usize, u8),
    Failed(usize),
    Closed(usize),
    Close(usize),
    ClosePeer(u8),
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let any_id = 0usize..1000;
    let id = 1u8..5;
    prop_oneof![
        4 => (prop::option::of(id.clone()), prop::collection::vec(0u8..8, 0..6)).prop_map(|(p, a)| Op::Dial(p, a)),
        1 => any_id.clone().prop_map(Op::Cancel),
        3 => any_id.clone().prop_map(Op::Dialed),
        3 => any_id.clone().prop_map(Op::DialFailed),
        2 => id.clone().prop_map(Op::Accepted),
        4 => (any_id.clone(), id.clone()).prop_map(|(c, p)| Op::Ready(c, p)),
        1 => any_id.clone().prop_map(Op::Failed),
        1 => any_id.clone().prop_map(Op::Closed),
        1 => any_id.prop_map(Op::Close),
        1 => id.prop_map(Op::ClosePeer),
        3 => (0u64..30_000).prop_map(Op::Wait),
    ]
}

/// A swarm, and what it said about each of its ids.
struct World {
    swarm: Swarm,
    now: u64,
    dials: Vec<DialId>,
    conns: Vec<ConnId>,
    open: BTreeSet<ConnId>,
    answers: BTreeMap<DialId, usize>,
    trace: Vec<String>,
}

impl World {
    fn new() -> Self {
        let swarm = swarm_with(Limits {
            established: 6,
            established_per_peer: 3,
            pending_inbound: 3,
            pending_outbound: 4,
            dials: 8,
            addresses_per_dial: 5,
            dials_per_peer: 2,
            ..Limits::default()
        });
        let (dials, conns, open, trace) = (Vec::new(), Vec::new(), BTreeSet::new(), Vec::new());
        Self { swarm, now: 0, dials, conns, open, answers: BTreeMap::new(), trace }
    }

    fn apply(&mut self, op: &Op) {
        let now = ms(self.now);
        let swarm = &mut self.swarm;
        // An index into what has been: most of it is stale.
        let conn = |i: usize| self.conns.iter().rev().nth(i % 12).copied();
        match op {
            Op::Dial(id, hosts) => {
                let list: Vec<_> = hosts
                    .iter()
                    .map(|host| match host {
                        6 => addr(1).with_p2p(peer(3)).unwrap(),
                        7 => "/memory/7".parse().unwrap(),
                        host => addr(*host),
                    })
                    .collect();
                self.dials.push(swarm.dial(now, id.map(peer), &list));
            }
            Op::Cancel(i) => {
                if let Some(dial) = self.dials.iter().rev().nth(i % 5) {
                    swarm.cancel(now, *dial);
                }
            }
            Op::Accepted(host) => self.conns.extend(swarm.handle_accepted(now, addr(0), addr(*host)).ok()),
            Op::ClosePeer(id) => {
                let had = swarm.connections(&peer(*id)).count();
                assert_eq!(swarm.close_peer(now, peer(*id), CloseReason::Requested), had);
            }
            Op::Wait(millis) => {
                self.now += millis;
                let now = ms(self.now);
                swarm.handle_timeout(now);
                assert!(swarm.poll_timeout().is_none_or(|deadline| deadline.at > now), "quiet once nothing is due");
            }
            Op::Dialed(i) => conn(*i).into_iter().for_each(|conn| swarm.handle_dialed(now, conn)),
            Op::DialFailed(i) => conn(*i).into_iter().for_each(|conn| swarm.handle_dial_failed(now, conn, REFUSED)),
            Op::Ready(i, id) => conn(*i).into_iter().for_each(|conn| {
                let is_ready = swarm.handle_ready(now, conn, peer(*id)).is_ok();
                assert!(!is_ready || swarm.connection(conn).is_some());
            }),
            Op::Failed(i) => conn(*i).into_iter().for_each(|conn| swarm.handle_failed(now, conn)),
            Op::Closed(i) => conn(*i).into_iter().for_each(|conn| swarm.handle_closed(now, conn)),
            Op::Close(i) => conn(*i).into_iter().for_each(|conn| {
                swarm.close(now, conn, CloseReason::Requested);
                assert!(!swarm.close(now, conn, CloseReason::Requested), "once only");
            }),
        }
        self.drain();
    }

    fn drain(&mut self) {
        for action in self.swarm.actions() {
            if let Action::Dial { conn, .. } = action {
                assert!(!self.conns.contains(&conn), "an id is never given twice");
                self.conns.push(conn);
            }
            self.trace.push(format!("{action:?}"));
        }
        for event in self.swarm.events() {
            self.trace.push(format!("{event:?}"));
            match event {
                Event::Dialed { dial, conn, peer } => {
                    assert!(self.open.contains(&conn), "answered by a connection that is there");
                    assert_eq!(self.swarm.connection(conn).map(|info| info.peer), Some(peer));
                    *self.answers.entry(dial).or_default() += 1;
                }
                Event::DialFailed { dial, .. } => *self.answers.entry(dial).or_default() += 1,
                Event::Connected { conn, peer, .. } => {
                    assert!(self.open.insert(conn));
                    assert_ne!(peer, super::peer(US));
                }
                Event::Disconnected { conn, .. } => assert!(self.open.remove(&conn)),
                Event::Listening { .. }
                | Event::Unlistened { .. }
                | Event::ListenFailed { .. }
                | Event::ShutDown { .. } => unreachable!(),
            }
        }
        self.swarm.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_dial_has_one_answer_and_nothing_is_left(ops in prop::collection::vec(op(), 0..120)) {
        let mut world = World::new();
        for op in &ops {
            world.apply(op);
        }
        // All deadlines pass, one after another, and all connections close.
        while let Some(deadline) = world.swarm.poll_timeout() {
            let millis = deadline.at.as_micros() / 1000;
            world.apply(&Op::Wait(millis.saturating_sub(world.now)));
        }
        for conn in world.open.clone() {
            world.swarm.handle_closed(ms(world.now), conn);
            world.drain();
        }
        prop_assert!(world.dials.iter().all(|dial| world.answers.get(dial) == Some(&1)), "{:?}", world.answers);
        prop_assert_eq!(world.answers.len(), world.dials.len());
        prop_assert!(world.swarm.is_clean());
    }

    #[test]
    fn the_same_inputs_give_the_same_actions(ops in prop::collection::vec(op(), 0..60)) {
        let run = || {
            let mut world = World::new();
            ops.iter().for_each(|op| world.apply(op));
            world.trace
        };
        prop_assert_eq!(run(), run());
    }
}

//! Whatever two users and the network do: no panic, one answer to each request, no byte lost, and rest in the end.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{CHAT, ECHO, Net, config, millis};
use proptest::prelude::*;
use sanswarm::{Event, Open, OpenId, ProtocolName, StreamId};

const NOBODY: ProtocolName = ProtocolName::from_static("/nobody/1.0.0");

#[derive(Clone, Debug)]
enum Op {
    Open { user: usize, name: usize, lazy: bool },
    Connect { user: usize },
    Cancel { user: usize, at: usize },
    Write { user: usize, at: usize, len: usize },
    Finish { user: usize, at: usize },
    Reset { user: usize, at: usize },
    Stop { user: usize, at: usize },
    Ping { user: usize },
    Handle { user: usize, on: bool },
    Close { user: usize, at: usize },
    CloseAll { user: usize },
    Cut { at: usize },
    Eof { at: usize },
    Pass { millis: u64 },
    Rounds { n: usize },
}

fn op() -> impl Strategy<Value = Op> {
    let user = 0usize..2;
    prop_oneof![
        6 => (user.clone(), 0usize..3, any::<bool>()).prop_map(|(user, name, lazy)| Op::Open { user, name, lazy }),
        1 => user.clone().prop_map(|user| Op::Connect { user }),
        1 => (user.clone(), 0usize..9).prop_map(|(user, at)| Op::Cancel { user, at }),
        8 => (user.clone(), 0usize..9, 1usize..300_000).prop_map(|(user, at, len)| Op::Write { user, at, len }),
        2 => (user.clone(), 0usize..9).prop_map(|(user, at)| Op::Finish { user, at }),
        1 => (user.clone(), 0usize..9).prop_map(|(user, at)| Op::Reset { user, at }),
        1 => (user.clone(), 0usize..9).prop_map(|(user, at)| Op::Stop { user, at }),
        1 => user.clone().prop_map(|user| Op::Ping { user }),
        1 => (user.clone(), any::<bool>()).prop_map(|(user, on)| Op::Handle { user, on }),
        1 => (user.clone(), 0usize..9).prop_map(|(user, at)| Op::Close { user, at }),
        1 => user.prop_map(|user| Op::CloseAll { user }),
        1 => (0usize..9).prop_map(|at| Op::Cut { at }),
        1 => (0usize..9).prop_map(|at| Op::Eof { at }),
        4 => (1u64..20_000).prop_map(|millis| Op::Pass { millis }),
        6 => (1usize..60).prop_map(|n| Op::Rounds { n }),
    ]
}

/// What the test knows beside the nodes.
#[derive(Default)]
struct Model {
    requests: [Vec<OpenId>; 2],
    connects: [Vec<OpenId>; 2],
    handlers: [Vec<sanswarm::HandlerId>; 2],
    sent: BTreeMap<(usize, StreamId), Vec<u8>>,
    /// Streams on which bytes may be lost: reset, stopped, or on a connection that ended.
    spoilt: BTreeSet<(usize, StreamId)>,
    counter: u8,
}

impl Model {
    /// A stream that this user has opened.
    fn pick(&self, net: &Net, user: usize, at: usize) -> Option<StreamId> {
        let open: Vec<_> = self.requests[user].iter().filter_map(|id| net.users[user].opened(*id)).collect();
        open.get(at % open.len().max(1)).copied()
    }

    fn apply(&mut self, net: &mut Net, op: Op) {
        let now = net.now;
        match op {
            Op::Open { user, name, lazy } => {
                let info = net.users[1 - user].info();
                let how = if lazy { Open::Lazy } else { Open::Wait };
                let names: Vec<_> = [ECHO, CHAT, NOBODY].into_iter().skip(name).collect();
                self.requests[user].push(net.users[user].node.open_stream_with(now, names, info, how));
            }
            Op::Connect { user } => {
                let info = net.users[1 - user].info();
                self.connects[user].push(net.users[user].node.connect(now, info));
            }
            Op::Cancel { user, at } => {
                if let Some(id) = self.requests[user].get(at) {
                    net.users[user].node.cancel(now, *id);
                }
            }
            Op::Write { user, at, len } => {
                let Some(id) = self.pick(net, user, at) else { return };
                self.counter = self.counter.wrapping_add(37);
                let data: Vec<u8> = (0..len).map(|i| (i as u8).wrapping_mul(31).wrapping_add(self.counter)).collect();
                if let Ok(n) = net.users[user].node.write(now, id, &data) {
                    self.sent.entry((user, id)).or_default().extend_from_slice(&data[..n]);
                }
            }
            Op::Finish { user, at } => drop(self.pick(net, user, at).map(|id| net.users[user].node.finish(id))),
            Op::Reset { user, at } => {
                let Some(id) = self.pick(net, user, at) else { return };
                self.spoilt.insert((user, id));
                let _ = net.users[user].node.reset(id);
            }
            Op::Stop { user, at } => {
                let Some(id) = self.pick(net, user, at) else { return };
                self.spoilt.insert((user, id));
                let _ = net.users[user].node.stop(id);
            }
            Op::Ping { user } => drop(net.users[user].node.ping(&common::peer(2 - user as u8))),
            Op::Handle { user, on: true } => self.handlers[user].push(net.users[user].node.set_stream_handler(CHAT)),
            Op::Handle { user, on: false } => {
                if let Some(id) = self.handlers[user].pop() {
                    net.users[user].node.remove_stream_handler(id);
                }
            }
            Op::Close { user, at } => {
                let conns = net.users[user].conns();
                if let Some(conn) = conns.get(at % conns.len().max(1)) {
                    net.users[user].node.close(now, *conn);
                }
            }
            Op::CloseAll { user } => drop(net.users[user].node.close_all(now)),
            Op::Cut { at } if !net.pipes.is_empty() => net.cut(at % net.pipes.len()),
            Op::Eof { at } if !net.pipes.is_empty() => {
                if let common::Tip::Node(user, conn) = net.pipes[at % net.pipes.len()].tips[0] {
                    net.users[user].node.handle_eof(conn);
                }
            }
            Op::Cut { .. } | Op::Eof { .. } => {}
            Op::Pass { millis: n } => net.pass(millis(n)),
            Op::Rounds { n } => drop((0..n).map(|_| net.round()).filter(|moved| *moved).count()),
        }
    }

    fn check(&self, net: &Net) {
        for user in 0..2 {
            let seen = &net.users[user];
            for id in &self.requests[user] {
                assert_eq!(seen.answers(*id), 1, "user {user}, {id:?}");
            }
            for id in &self.connects[user] {
                let answer = |e: &Event| match e {
                    Event::Dialed { request, .. } | Event::OpenFailed { request, .. } => request == id,
                    _ => false,
                };
                assert_eq!(seen.count(answer), 1, "user {user}, {id:?}");
            }
            for conn in seen.conns() {
                let first = |kind: &dyn Fn(&Event) -> bool| seen.position(kind);
                let connected = first(&|e| matches!(e, Event::Connected { conn: c, .. } if *c == conn)).unwrap();
                let ready = |e: &Event| matches!(e, Event::PeerReady { conn: c, .. } if *c == conn);
                assert!(seen.count(ready) <= 1 && seen.disconnected(conn).len() <= 1);
                let opened = first(&|e| matches!(e, Event::Opened { stream, .. } if stream.conn == conn));
                assert!(opened.is_none_or(|at| at > connected), "{:?}", seen.events);
                if seen.disconnected(conn).is_empty() {
                    assert_eq!(seen.count(ready), 1);
                }
            }
        }
        for ((user, id), sent) in &self.sent {
            let seen = &net.users[*user];
            let got = seen.got.get(id).map_or(&[][..], |got| &got[..]);
            assert!(sent.starts_with(got), "user {user}, {id:?}: what came back is what was sent");
            let lost = |e: &Event| match e {
                Event::Reset { stream } | Event::Refused { stream, .. } => stream == id,
                Event::Disconnected { conn, .. } => *conn == id.conn,
                _ => false,
            };
            if seen.count(lost) == 0 && !self.spoilt.contains(&(*user, *id)) {
                assert_eq!(got.len(), sent.len(), "user {user}, {id:?}: all of it");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn two_users_do_anything_at_any_time(
        ops in prop::collection::vec(op(), 1..60),
        latency in 0u64..80,
        chunk in prop_oneof![Just(usize::MAX), 200usize..5000],
        room in 1000usize..100_000,
        interval in prop::option::of(1u64..20),
    ) {
        let mut configs = vec![config(1), config(2)];
        for config in &mut configs {
            config.ping_interval = interval.map(common::secs);
        }
        let mut net = Net::with(configs);
        for user in &mut net.users {
            user.node.set_stream_handler(ECHO);
        }
        (net.latency, net.chunk, net.room) = (millis(latency), chunk, room);
        let mut model = Model::default();
        for op in ops {
            model.apply(&mut net, op);
        }
        net.pass(common::secs(120));
        model.check(&net);
        let now = net.now;
        for user in 0..2 {
            net.users[user].node.close_all(now);
        }
        net.pass(common::secs(30));
        for user in &mut net.users {
            let open = user.conns().into_iter().filter(|conn| user.node.stats(*conn).is_some()).count();
            prop_assert_eq!((open, user.node.poll_timeout()), (0, None), "it comes to rest");
            prop_assert_eq!(user.conns().iter().filter(|conn| user.disconnected(**conn).len() != 1).count(), 0);
        }
    }
}

//! How bytes go from socket to socket.

use core::{hash::Hasher, time::Duration};

use bytes::Bytes;

use super::{Due, Network};
use crate::{
    App,
    desk::PipeKey,
    pipe::{Ending, Item, Side, Tip},
};

/// When a lost segment is sent again for the first time.
const RESEND: Duration = Duration::from_millis(200);

impl<A: App> Network<A> {
    // ---- writing

    /// Takes what the end of a pipe has to send, as far as its socket has room.
    pub(super) fn flush(&mut self, key: PipeKey, side: Side) -> bool {
        let mut moved = false;
        loop {
            let Self { core, machines, pipes, .. } = self;
            let Some(pipe) = pipes.get_mut(key) else { return moved };
            let (end, flow) = (&mut pipe.ends[side], &mut pipe.flows[side]);
            let machine = &mut machines[end.host];
            let ready = match &end.tip {
                Tip::Node(conn) => {
                    let conn = *conn;
                    machine.node().map_or(&[][..], |node| node.ready(conn))
                }
                Tip::Script(script) => script.ready(),
                Tip::System | Tip::Gone => return moved,
            };
            if ready.is_empty() {
                return moved;
            }
            let room = core.sockets.buffer_bytes.saturating_sub(flow.outstanding);
            if room == 0 {
                flow.blocked = true;
                return moved;
            }
            let mut n = ready.len().min(room);
            if core.rng.chance(1, u64::from(core.sockets.cut_one_of)) {
                n = 1 + core.rng.index(n);
            }
            let bytes = Bytes::copy_from_slice(&ready[..n]);
            core.digest.write(&bytes);
            core.counts.wire_bytes += n as u64;
            match &mut end.tip {
                Tip::Node(conn) => {
                    let conn = *conn;
                    if let Some(node) = machine.node() {
                        node.sent(conn, n);
                    }
                }
                Tip::Script(script) => script.sent(n),
                Tip::System | Tip::Gone => {}
            }
            moved = true;
            self.push_item(key, side, Item::Data(bytes));
        }
    }

    /// Sends something on its way. Behind an end nothing goes but a reset.
    pub(super) fn push_item(&mut self, key: PipeKey, side: Side, mut item: Item) {
        let Self { core, pipes, .. } = self;
        let Some(pipe) = pipes.get_mut(key) else { return };
        let (from, to) = (pipe.ends[side].host, pipe.ends[1 - side].host);
        let flow = &mut pipe.flows[side];
        if (flow.shut && !matches!(item, Item::Rst)) || flow.reset {
            return;
        }
        let link = core.link(from, to);
        let mut at = flow.free_at.max(core.now);
        match &mut item {
            Item::Data(bytes) => {
                flow.outstanding += bytes.len();
                if let Some(rate) = link.bytes_per_second {
                    at = at + Duration::from_micros(bytes.len() as u64 * 1_000_000 / rate.max(1));
                }
                if core::mem::take(&mut flow.corrupt) {
                    let mut changed = bytes.to_vec();
                    let index = core.rng.index(changed.len());
                    changed[index] ^= 1 << core.rng.below(8);
                    *bytes = changed.into();
                }
            }
            Item::Fin => flow.shut = true,
            Item::Rst => (flow.shut, flow.reset) = (true, true),
        }
        flow.free_at = at;
        at = at + core.way(from, to);
        let mut resend = RESEND;
        while core.rng.chance(u64::from(link.lost_per_million.min(900_000)), 1_000_000) {
            at = at + resend;
            resend *= 2;
        }
        flow.last_at = flow.last_at.max(at);
        flow.queue.push_back((flow.last_at, item));
        if !flow.armed && !flow.stuck {
            flow.armed = true;
            core.agenda.put(flow.last_at, Due::Arrive(key, side));
        }
        if self.is_cut(to, from) {
            self.expect_answer(key, side);
        }
    }

    /// Has the writer's system break the connection if no answer comes.
    fn expect_answer(&mut self, key: PipeKey, side: Side) {
        let Some(pipe) = self.pipes.get_mut(key) else { return };
        if !core::mem::replace(&mut pipe.flows[side].giving_up, true) {
            let at = self.core.now + self.core.sockets.give_up;
            self.core.agenda.put(at, Due::GiveUp(key, side));
        }
    }

    pub(super) fn give_up(&mut self, key: PipeKey, side: Side) {
        let Some(pipe) = self.pipes.get_mut(key) else { return };
        let (from, to) = (pipe.ends[side].host, pipe.ends[1 - side].host);
        pipe.flows[side].giving_up = false;
        if self.is_cut(from, to) || self.is_cut(to, from) {
            self.break_end(key, side);
            self.pump(from);
            self.drop_if_over(key);
        }
    }

    /// Tells a blocked writer of room, when it can hear of it.
    pub(super) fn room_later(&mut self, key: PipeKey, side: Side) {
        let Some(pipe) = self.pipes.get(key) else { return };
        let (from, to) = (pipe.ends[side].host, pipe.ends[1 - side].host);
        if !self.is_cut(to, from) {
            let at = self.core.now + self.core.way(to, from);
            self.core.agenda.put(at, Due::Room(key, side));
        } // Else the healing tells it.
    }

    pub(super) fn room(&mut self, key: PipeKey, side: Side) {
        let Some(pipe) = self.pipes.get_mut(key) else { return };
        let host = pipe.ends[side].host;
        if self.machines[host].frozen_until > self.core.now {
            let at = self.machines[host].frozen_until;
            return self.core.agenda.put(at, Due::Room(key, side));
        }
        if core::mem::take(&mut pipe.flows[side].blocked) {
            if let Tip::Script(script) = &mut pipe.ends[side].tip {
                script.step();
            }
            self.flush(key, side);
            self.pump(host);
        }
    }

    // ---- arriving

    /// What is due of a flow arrives at the other end's system.
    pub(super) fn arrive(&mut self, key: PipeKey, side: Side) {
        let now = self.core.now;
        let Some(pipe) = self.pipes.get_mut(key) else { return };
        let (from, to) = (pipe.ends[side].host, pipe.ends[1 - side].host);
        if pipe.stalled_until > now {
            let at = pipe.stalled_until;
            return self.core.agenda.put(at, Due::Arrive(key, side));
        }
        pipe.flows[side].armed = false;
        if pipe.flows[side].queue.is_empty() {
            return;
        }
        if self.is_cut(from, to) {
            return self.lose(key, side);
        }
        let Some((is_known, is_gone)) = self.take_arrived(key, side) else { return };
        if !is_known {
            self.push_item(key, 1 - side, Item::Rst);
        }
        if is_gone {
            if self.pipes.get(key).is_some_and(|pipe| pipe.flows[side].blocked) {
                self.room_later(key, side);
            }
            return self.drop_if_over(key);
        }
        self.mark_readable(key, 1 - side);
        self.pump(to);
    }

    /// What arrives now does not: it is sent again when the way is free. A reset is not, nobody waits for its answer; whoever
    /// sends to its sender gets another.
    fn lose(&mut self, key: PipeKey, side: Side) {
        let Some(pipe) = self.pipes.get_mut(key) else { return };
        let flow = &mut pipe.flows[side];
        if let Some(at) = flow.queue.iter().position(|(_, item)| matches!(item, Item::Rst)) {
            flow.queue.remove(at);
            flow.reset = false;
        }
        if flow.queue.is_empty() {
            return self.drop_if_over(key);
        }
        flow.stuck = true;
        self.expect_answer(key, side);
    }

    /// Moves what is due into the buffer of the reader's system. Returns whether that knows the connection, and whether
    /// its process has left it.
    fn take_arrived(&mut self, key: PipeKey, side: Side) -> Option<(bool, bool)> {
        let now = self.core.now;
        let pipe = self.pipes.get_mut(key)?;
        let is_gone = pipe.ends[1 - side].tip.is_gone();
        let mut is_known = true;
        let flow = &mut pipe.flows[side];
        while flow.queue.front().is_some_and(|(at, _)| *at <= now) {
            let (_, item) = flow.queue.pop_front()?;
            self.core.digest.add((pipe.serial, side as u64));
            self.core.trace(pipe.ends[1 - side].host, || format!("pipe {}.{side} brings {item:?}", pipe.serial));
            match item {
                Item::Data(bytes) if is_gone => {
                    flow.outstanding -= bytes.len();
                    is_known = false;
                }
                Item::Data(bytes) => flow.unread.push_back(bytes),
                Item::Fin => drop(flow.end.get_or_insert(Ending::Fin)),
                Item::Rst => {
                    // Some systems hand over what had come before a reset, some do not.
                    if self.core.rng.chance(1, 2) {
                        flow.drop_unread();
                    }
                    (flow.end, flow.end_told) = (Some(Ending::Rst), false);
                }
            }
        }
        if let Some((at, _)) = flow.queue.front() {
            flow.armed = true;
            self.core.agenda.put(*at, Due::Arrive(key, side));
        }
        Some((is_known, is_gone))
    }

    // ---- reading

    pub(super) fn mark_readable(&mut self, key: PipeKey, side: Side) {
        if let Some(pipe) = self.pipes.get(key) {
            self.machines[pipe.ends[side].host].readable.push_back((key, side));
        }
    }

    /// Hands over what an end's system has, in pieces. Returns whether something came of it.
    pub(super) fn read(&mut self, key: PipeKey, side: Side) -> bool {
        let Self { core, machines, pipes, .. } = self;
        let Some(pipe) = pipes.get_mut(key) else { return false };
        let (end, flow) = (&mut pipe.ends[side], &mut pipe.flows[1 - side]);
        let machine = &mut machines[end.host];
        let is_cut = core.rng.chance(1, u64::from(core.sockets.cut_one_of));
        let (mut moved, mut is_wanted) = (0, true);
        while let Some(front) = flow.unread.front_mut() {
            let piece = if is_cut { 1 + core.rng.index(front.len()) } else { front.len() };
            let n = match &mut end.tip {
                Tip::Node(conn) => {
                    let conn = *conn;
                    machine.node().map_or(0, |node| node.handle_input(conn, &front[..piece]))
                }
                Tip::Script(script) if script.reads() => script.handle_input(&front[..piece]),
                Tip::Script(_) | Tip::System => 0,
                Tip::Gone => return false,
            };
            moved += n;
            if n < front.len() {
                is_wanted = n == piece;
                drop(front.split_to(n));
                break;
            }
            flow.unread.pop_front();
        }
        flow.outstanding -= moved;
        let host = end.host;
        if moved > 0 {
            if let Tip::Script(script) = &mut end.tip {
                script.step();
            }
        }
        let (left, blocked) = (!flow.unread.is_empty(), flow.blocked);
        if blocked && moved > 0 {
            self.room_later(key, 1 - side);
        }
        if left {
            let machine = &mut self.machines[host];
            if is_wanted {
                machine.readable.push_back((key, side));
            } else {
                machine.waiting.push((key, side));
            }
            return moved > 0;
        }
        self.read_end(key, side) || moved > 0
    }

    /// Tells an end that nothing more comes, once.
    fn read_end(&mut self, key: PipeKey, side: Side) -> bool {
        let Some(pipe) = self.pipes.get_mut(key) else { return false };
        let (end, flow) = (&mut pipe.ends[side], &mut pipe.flows[1 - side]);
        let (Some(ending), false) = (flow.end, flow.end_told) else { return false };
        match &end.tip {
            Tip::System | Tip::Gone => return false,
            Tip::Script(_) => {
                flow.end_told = true;
                self.close_end(key, side);
                return true;
            }
            Tip::Node(_) => {}
        }
        flow.end_told = true;
        let conn = end.tip.conn();
        let node = self.machines[end.host].node();
        if let (Some(conn), Some(node)) = (conn, node) {
            match ending {
                Ending::Fin => node.handle_eof(conn),
                Ending::Rst => node.handle_broken(conn),
            }
        }
        if ending == Ending::Rst {
            // Nothing more goes out, and nobody waits for it.
            pipe.flows[side].shut = true;
        }
        true
    }
}

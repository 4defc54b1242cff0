//! The adapter of a simulated host: the same calls that a driver with real sockets makes.

use sanswarm::{Action, Event, Instant};

use super::{Due, Network};
use crate::{
    App, Rule, Violation,
    book::{Cause, State},
    desk::{Kind, PipeKey, Power},
    pipe::{Side, Tip},
};

/// Rounds after which a host that finds no rest is at fault.
const ROUNDS_MAX: u32 = 1_000_000;

impl<A: App> Network<A> {
    /// Lets a host do all that it can do now.
    pub(super) fn pump(&mut self, index: usize) {
        let machine = &self.machines[index];
        if machine.power != Power::On || machine.frozen_until > self.core.now {
            return;
        }
        if machine.is_hostile() {
            return self.pump_hostile(index);
        }
        for round in 0.. {
            let mut moved = self.read_all(index);
            moved |= self.take_events(index);
            moved |= self.act(index);
            moved |= self.transmit(index);
            if self.core.violation.is_some() {
                return;
            }
            if !moved {
                break;
            }
            if round == ROUNDS_MAX {
                return self.violate(index, Rule::Late, "the node never comes to rest".to_owned());
            }
        }
        self.arm(index);
    }

    fn pump_hostile(&mut self, index: usize) {
        while let Some((key, side)) = self.machines[index].readable.pop_front() {
            self.read(key, side);
            let Some(pipe) = self.pipes.get_mut(key) else { continue };
            let Tip::Script(script) = &mut pipe.ends[side].tip else { continue };
            script.step();
            while self.flush(key, side) {
                if let Some(Tip::Script(script)) = self.pipes.get_mut(key).map(|pipe| &mut pipe.ends[side].tip) {
                    script.step();
                }
            }
            let Some(pipe) = self.pipes.get(key) else { continue };
            if matches!(&pipe.ends[side].tip, Tip::Script(script) if script.is_over()) {
                self.close_end(key, side);
            }
        }
        self.machines[index].waiting.clear();
    }

    /// Reads once from each socket that has something.
    fn read_all(&mut self, index: usize) -> bool {
        let Self { machines, pipes, .. } = self;
        let machine = &mut machines[index];
        if !machine.waiting.is_empty() {
            for (key, side) in core::mem::take(&mut machine.waiting) {
                let conn = pipes.get(key).and_then(|pipe| pipe.ends[side].tip.conn());
                let Some(conn) = conn else { continue };
                let wants = machine.node().is_some_and(|node| node.wants_input(conn));
                if wants {
                    machine.readable.push_back((key, side));
                } else {
                    machine.waiting.push((key, side));
                }
            }
        }
        let mut moved = false;
        for _ in 0..machine.readable.len() {
            let Some((key, side)) = self.machines[index].readable.pop_front() else { break };
            moved |= self.read(key, side);
        }
        moved
    }

    fn take_events(&mut self, index: usize) -> bool {
        let mut moved = false;
        while let Some(event) = self.next_event(index) {
            moved = true;
            self.note(index, &event);
            if self.core.violation.is_some() {
                break;
            }
            self.tell(index, event);
        }
        moved
    }

    fn next_event(&mut self, index: usize) -> Option<Event> {
        let machine = &mut self.machines[index];
        let local = machine.desk.clock.local(self.core.now);
        machine.node()?.poll_event(local)
    }

    fn act(&mut self, index: usize) -> bool {
        let mut moved = false;
        while let Some(action) = self.machines[index].node().and_then(|node| node.poll_action()) {
            moved = true;
            match action {
                Action::Dial { conn, address } => self.dial(index, conn, address),
                Action::Abandon { conn } => {
                    if let Some(tie) = self.machines[index].desk.conns.remove(&conn) {
                        let now = self.core.now;
                        self.machines[index].desk.troubled.insert(tie.other, now);
                    }
                }
                Action::Listen { address } => {
                    self.core.places.insert(address.clone(), index);
                    if let Some(node) = self.machines[index].node() {
                        node.handle_listening(address);
                    }
                }
                Action::Shutdown { conn } => {
                    let now = self.core.now;
                    let desk = &mut self.machines[index].desk;
                    let Some(tie) = desk.conns.get_mut(&conn) else { continue };
                    tie.is_shut = true;
                    let due = Due::Shut { host: index, epoch: desk.epoch, conn };
                    self.core.agenda.put(now + super::watch::SHUT_WITHIN, due);
                    let (pipe, was_connected) = (tie.pipe, desk.connected.contains_key(&conn));
                    if let Some((key, side)) = pipe {
                        if !was_connected {
                            self.blame_denied(key, side);
                        }
                        self.push_item(key, side, crate::pipe::Item::Fin);
                    }
                }
                Action::Close { conn } => {
                    let desk = &mut self.machines[index].desk;
                    let was_connected = desk.connected.contains_key(&conn);
                    let Some((key, side)) = desk.conns.remove(&conn).and_then(|tie| tie.pipe) else { continue };
                    if !was_connected {
                        self.blame_denied(key, side);
                    }
                    self.close_end(key, side);
                }
                _ => {}
            }
        }
        moved
    }

    /// A limit or the end of a dial has ended what never was a connection of the application's. If an upgrade failed
    /// instead, this end has been asked for the cause before.
    fn blame_denied(&mut self, key: PipeKey, side: Side) {
        if let Some(pipe) = self.pipes.get_mut(key).filter(|pipe| pipe.account.states[side] == State::Pending) {
            pipe.account.blame(Cause::Denied);
        }
    }

    fn transmit(&mut self, index: usize) -> bool {
        let mut moved = false;
        while let Some(conn) = self.machines[index].node().and_then(|node| node.poll_transmit()) {
            let Some(tie) = self.machines[index].desk.conns.get(&conn) else { continue };
            if let Some((key, side)) = tie.pipe {
                moved |= self.flush(key, side);
            }
        }
        moved
    }

    /// Puts the node's next deadline on the agenda, if no earlier one is.
    pub(super) fn arm(&mut self, index: usize) {
        let now = self.core.now;
        let machine = &mut self.machines[index];
        let Kind::Node(_, Some(node)) = &machine.kind else { return };
        let Some(deadline) = node.poll_timeout() else { return };
        let at: Instant = machine.desk.clock.global(deadline.at).max(now);
        if machine.timer_at.is_none_or(|armed| at < armed) {
            machine.timer_at = Some(at);
            self.core.agenda.put(at, Due::Timer(index));
        }
    }

    pub(super) fn violate(&mut self, index: usize, rule: Rule, text: String) {
        let at = self.core.now;
        let host = Some(super::HostId::new(index));
        self.core.violation.get_or_insert(Violation { at, host, rule, text });
    }
}

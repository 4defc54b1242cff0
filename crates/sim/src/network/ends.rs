//! How connections end: in good order, by a reset, or without a word.

use core::time::Duration;

use bytes::Bytes;

use super::{Due, Network};
use crate::{
    App,
    book::{Cause, State},
    desk::PipeKey,
    pipe::{Ending, Item, Pipe, Side, Tip},
};

impl<A: App> Network<A> {
    /// The socket of an end breaks: its process is told, and the other end is not.
    pub(super) fn break_end(&mut self, key: PipeKey, side: Side) {
        let Some(pipe) = self.pipes.get_mut(key) else { return };
        self.core.trace(pipe.ends[side].host, || format!("pipe {} breaks at end {side}", pipe.serial));
        pipe.flows[side].cut_off();
        let flow = &mut pipe.flows[1 - side];
        flow.drop_unread();
        (flow.end, flow.end_told) = (Some(Ending::Rst), false);
        self.mark_readable(key, side);
    }

    /// A process closes its socket. What it has not read is lost, and the other end hears so.
    pub(super) fn close_end(&mut self, key: PipeKey, side: Side) {
        let now = self.core.now;
        let Some(pipe) = self.pipes.get_mut(key) else { return };
        self.core.trace(pipe.ends[side].host, || format!("pipe {} is closed at end {side}", pipe.serial));
        pipe.ends[side].tip = Tip::Gone;
        let flow = &mut pipe.flows[1 - side];
        let (was_reset, unread) = (flow.end == Some(Ending::Rst), !flow.unread.is_empty());
        flow.drop_unread();
        let blocked = flow.blocked;
        if pipe.account.states[side] != State::Over {
            pipe.account.set(now, side, State::Over);
        }
        if !was_reset {
            self.push_item(key, side, if unread { Item::Rst } else { Item::Fin });
        }
        if blocked {
            self.room_later(key, 1 - side);
        }
        self.check_later(key);
        self.drop_if_over(key);
    }

    /// A process has died: its system resets what it had, if it can.
    pub(super) fn kill_end(&mut self, key: PipeKey, side: Side, says_so: bool) {
        let now = self.core.now;
        let Some(pipe) = self.pipes.get_mut(key) else { return };
        self.core.trace(pipe.ends[side].host, || format!("pipe {} is left at end {side}", pipe.serial));
        let was_gone = pipe.ends[side].tip.is_gone();
        pipe.ends[side].tip = Tip::Gone;
        pipe.account.blame(Cause::Fault);
        pipe.account.set(now, side, State::Over);
        pipe.flows[1 - side].drop_unread();
        if says_so && !was_gone {
            self.push_item(key, side, Item::Rst);
        } else if !says_so {
            pipe.flows[side].cut_off();
            // Once it is up again its system knows nothing of the connection, and says so when it is asked.
            (pipe.flows[side].shut, pipe.flows[side].reset) = (false, false);
        }
        self.check_later(key);
        self.drop_if_over(key);
    }

    /// Throws a pipe away that nobody has an end of.
    pub(super) fn drop_if_over(&mut self, key: PipeKey) {
        if !self.pipes.get(key).is_some_and(Pipe::is_over) {
            return;
        }
        let Some(pipe) = self.pipes.remove(key) else { return };
        let now = self.core.now;
        let [a, b] = [pipe.ends[0].host, pipe.ends[1].host];
        for (host, other) in [(a, b), (b, a)] {
            let machine = &mut self.machines[host];
            machine.pipes.remove(&key);
            if pipe.account.cause.is_some() {
                machine.desk.troubled.insert(other, now);
            }
        }
        self.core.record.pipe_closed(now, pipe.serial);
    }

    /// The way is free again: what was stuck is sent again, after `delay` at most.
    pub(super) fn unstick(&mut self, key: PipeKey, delay: Duration) {
        for side in 0..2 {
            let Some(pipe) = self.pipes.get(key) else { return };
            let (from, to) = (pipe.ends[side].host, pipe.ends[1 - side].host);
            let is_cut = self.is_cut(from, to);
            let at = self.core.now + self.core.rng.time(delay);
            let Some(pipe) = self.pipes.get_mut(key) else { return };
            let flow = &mut pipe.flows[side];
            if flow.stuck && !is_cut {
                flow.stuck = false;
                flow.queue.iter_mut().for_each(|(time, _)| *time = at.max(*time));
                flow.last_at = flow.last_at.max(at);
                if let Some((at, _)) = flow.queue.front() {
                    flow.armed = true;
                    self.core.agenda.put(*at, Due::Arrive(key, side));
                }
            }
            if flow.blocked {
                self.room_later(key, side);
            }
        }
    }
}

impl crate::pipe::Flow {
    /// What is on its way is lost, and nothing more comes.
    fn cut_off(&mut self) {
        self.shut = true;
        self.queue.clear();
        self.stuck = false;
        self.outstanding = self.unread.iter().map(Bytes::len).sum();
    }
}

//! How faults come and go.

use core::time::Duration;

use sanswarm::Instant;

use super::{Due, Network};
use crate::{
    App, Fault, HostId,
    book::Cause,
    desk::{Kind, PipeKey, Power},
    pipe::Item,
};

/// How long a system waits at most before it sends again what was lost for long.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// What packets do not come through.
#[derive(Debug)]
pub(crate) struct Cut {
    serial: u64,
    what: What,
    since: Instant,
}

#[derive(Debug)]
enum What {
    /// Between the hosts that are marked and the others.
    Group(Vec<bool>),
    OneWay(usize, usize),
}

/// A fault that is over.
#[derive(Debug)]
pub(crate) enum Ended {
    Cut(u64),
    Down(usize, Instant),
    Frozen(usize),
    Slow(usize),
}

impl<A: App> Network<A> {
    /// Has a fault happen now.
    pub fn inject(&mut self, fault: &Fault) {
        let known = |host: &HostId| host.index() < self.machines.len();
        if !fault.hosts().iter().all(known) {
            return;
        }
        let now = self.core.now;
        self.core.counts.faults += 1;
        self.core.digest.add((fault.name(), fault.lasts().as_micros() as u64));
        self.core.record.fault(now, fault);
        self.core.trace(fault.hosts().first().map_or(0, |host| host.index()), || format!("fault: {fault}"));
        match fault {
            Fault::Partition { group, lasts } => {
                let mut marked = vec![false; self.machines.len()];
                group.iter().for_each(|host| marked[host.index()] = true);
                self.cut(What::Group(marked), group, *lasts);
            }
            Fault::OneWay { from, to, lasts } => {
                self.cut(What::OneWay(from.index(), to.index()), &[*from, *to], *lasts);
            }
            Fault::Reset { host, nth } => self.reset(host.index(), *nth),
            Fault::Stall { host, nth, lasts } => {
                let Some(key) = self.nth_pipe(host.index(), *nth) else { return };
                self.disturb_pipe(key, now + *lasts);
                if let Some(pipe) = self.pipes.get_mut(key) {
                    pipe.stalled_until = pipe.stalled_until.max(now + *lasts);
                }
            }
            Fault::SlowReader { host, lasts } => {
                let machine = &mut self.machines[host.index()];
                machine.slow_until = machine.slow_until.max(now + *lasts);
                self.core.agenda.put(machine.slow_until, Due::End(Ended::Slow(host.index())));
            }
            Fault::Crash { host, lasts } => self.take_down(host.index(), Power::Dead, *lasts),
            Fault::PowerLoss { host, lasts } => self.take_down(host.index(), Power::Off, *lasts),
            Fault::Freeze { host, lasts } => {
                let until = now + *lasts;
                self.disturb(host.index(), until);
                let machine = &mut self.machines[host.index()];
                machine.frozen_until = machine.frozen_until.max(until);
                self.core.agenda.put(until, Due::End(Ended::Frozen(host.index())));
            }
            Fault::Skew { host, ahead } => {
                // Until the timers that now come early have had their consequences at the other end.
                self.disturb(host.index(), now + Duration::from_secs(5));
                self.set_clock_ahead(host.index(), *ahead);
            }
            Fault::Corrupt { host, nth } => {
                let Some(key) = self.nth_pipe(host.index(), *nth) else { return };
                self.disturb_pipe(key, now + Duration::from_secs(5));
                if let Some(pipe) = self.pipes.get_mut(key) {
                    let side = usize::from(pipe.ends[0].host != host.index());
                    pipe.flows[side].corrupt = true;
                }
            }
        }
    }

    fn set_clock_ahead(&mut self, index: usize, ahead: Duration) {
        let clock = &mut self.machines[index].desk.clock;
        clock.ahead += u64::try_from(ahead.as_micros()).unwrap_or(0);
        // What the node waits for comes sooner now.
        self.machines[index].timer_at = None;
        self.arm(index);
    }

    /// Whether no packet passes from one host to another.
    pub(super) fn is_cut(&self, from: usize, to: usize) -> bool {
        if self.machines[from].power == Power::Off || self.machines[to].power == Power::Off {
            return true;
        }
        self.core.cuts.iter().any(|cut| match &cut.what {
            What::Group(marked) => marked.get(from) != marked.get(to),
            What::OneWay(a, b) => (*a, *b) == (from, to),
        })
    }

    fn cut(&mut self, what: What, hosts: &[HostId], lasts: Duration) {
        let now = self.core.now;
        for host in hosts {
            self.disturb(host.index(), now + lasts + lasts.min(BACKOFF_MAX));
        }
        self.core.next_cut += 1;
        let serial = self.core.next_cut;
        self.core.cuts.push(Cut { serial, what, since: now });
        self.core.agenda.put(now + lasts, Due::End(Ended::Cut(serial)));
    }

    /// A fault meets a host until some time, and with it all its connections.
    fn disturb(&mut self, index: usize, until: Instant) {
        let machine = &mut self.machines[index];
        machine.desk.quiet_from = machine.desk.quiet_from.max(until);
        for key in &machine.pipes {
            if let Some(pipe) = self.pipes.get_mut(*key) {
                pipe.account.blame(Cause::Fault);
                pipe.account.quiet_from = pipe.account.quiet_from.max(until);
            }
        }
    }

    fn disturb_pipe(&mut self, key: PipeKey, until: Instant) {
        if let Some(pipe) = self.pipes.get_mut(key) {
            pipe.account.blame(Cause::Fault);
            pipe.account.quiet_from = pipe.account.quiet_from.max(until);
        }
    }

    fn nth_pipe(&self, index: usize, nth: usize) -> Option<PipeKey> {
        let pipes = &self.machines[index].pipes;
        pipes.iter().nth(nth % pipes.len().max(1)).copied()
    }

    fn reset(&mut self, index: usize, nth: usize) {
        let Some(key) = self.nth_pipe(index, nth) else { return };
        self.disturb_pipe(key, self.core.now);
        let Some(pipe) = self.pipes.get(key) else { return };
        let hosts = [pipe.ends[0].host, pipe.ends[1].host];
        for side in 0..2 {
            let is_system =
                self.pipes.get(key).is_some_and(|pipe| matches!(pipe.ends[side].tip, crate::pipe::Tip::System));
            if !is_system {
                self.break_end(key, side);
            } else {
                self.push_item(key, 1 - side, Item::Rst);
            }
        }
        hosts.iter().for_each(|host| self.pump(*host));
        self.drop_if_over(key);
    }

    fn take_down(&mut self, index: usize, power: Power, lasts: Duration) {
        let now = self.core.now;
        let machine = &mut self.machines[index];
        let Kind::Node(_, node) = &mut machine.kind else { return };
        if machine.power != Power::On {
            return;
        }
        *node = None;
        machine.power = power;
        machine.desk.forget();
        machine.held.clear();
        machine.backlog.clear();
        machine.readable.clear();
        machine.waiting.clear();
        machine.timer_at = None;
        let keys: Vec<_> = machine.pipes.iter().copied().collect();
        let backoff = if power == Power::Off { lasts.min(BACKOFF_MAX) } else { Duration::ZERO };
        self.disturb(index, now + lasts + backoff);
        for key in keys {
            for side in 0..2 {
                if self.pipes.get(key).is_some_and(|pipe| pipe.ends[side].host == index) {
                    self.kill_end(key, side, power == Power::Dead);
                }
            }
        }
        self.core.agenda.put(now + lasts, Due::End(Ended::Down(index, now)));
    }

    pub(super) fn end_fault(&mut self, ended: Ended) {
        let now = self.core.now;
        match ended {
            Ended::Cut(serial) => {
                let Some(at) = self.core.cuts.iter().position(|cut| cut.serial == serial) else { return };
                let cut = self.core.cuts.remove(at);
                self.core.trace(0, || "a cut is over".to_owned());
                let hosts: Vec<usize> = match &cut.what {
                    What::Group(marked) => (0..marked.len()).filter(|host| marked[*host]).collect(),
                    What::OneWay(from, to) => vec![*from, *to],
                };
                self.resend(&hosts, now.since(cut.since));
            }
            Ended::Down(index, since) => {
                if self.machines[index].power == Power::On {
                    return;
                }
                let was_off = self.machines[index].power == Power::Off;
                self.start(index);
                if was_off {
                    self.resend(&[index], now.since(since));
                }
            }
            Ended::Frozen(index) if self.machines[index].frozen_until <= now => {
                for key in core::mem::take(&mut self.machines[index].backlog) {
                    self.accept(key);
                }
                // The node's time has gone on without it.
                self.timer(index);
            }
            Ended::Slow(index) if self.machines[index].slow_until <= now => {
                while let Some(event) = self.machines[index].held.pop_front() {
                    self.tell(index, event);
                }
                self.pump(index);
            }
            Ended::Frozen(_) | Ended::Slow(_) => {}
        }
    }

    /// The systems of some hosts and of those that talk with them send again what was lost for a time.
    fn resend(&mut self, hosts: &[usize], lost_for: Duration) {
        let delay = lost_for.min(BACKOFF_MAX);
        for host in hosts {
            let keys: Vec<_> = self.machines[*host].pipes.iter().copied().collect();
            keys.into_iter().for_each(|key| self.unstick(key, delay));
        }
    }

    /// Ends all faults that last. What is on the agenda of scheduled ones still comes.
    pub fn heal(&mut self) {
        let now = self.core.now;
        for serial in self.core.cuts.iter().map(|cut| cut.serial).collect::<Vec<_>>() {
            self.end_fault(Ended::Cut(serial));
        }
        for index in 0..self.machines.len() {
            let machine = &mut self.machines[index];
            machine.frozen_until = machine.frozen_until.min(now);
            machine.slow_until = machine.slow_until.min(now);
            self.end_fault(Ended::Frozen(index));
            self.end_fault(Ended::Slow(index));
            self.end_fault(Ended::Down(index, now));
            for key in self.machines[index].pipes.iter().copied().collect::<Vec<_>>() {
                if let Some(pipe) = self.pipes.get_mut(key) {
                    pipe.stalled_until = pipe.stalled_until.min(now);
                }
            }
        }
    }
}

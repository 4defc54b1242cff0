//! How a swarm dials.

use core::time::Duration;

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_wire::{Instant, Key, Role};

use crate::{
    Action, Attempt, AttemptFailure, CloseReason, ConnId, DialError, DialId, Event, Swarm,
    address::split_peer,
    connection::{Conn, Pending},
    dial::{Dial, Plan},
    swarm::Losers,
    timer::Timer,
};

impl Swarm {
    /// Asks for a connection to a peer: one that is there, or the first that becomes ready of those tried in the order
    /// of the addresses. With `peer` unknown it is the peer that the first address with a trailing `/p2p/…` names; if
    /// there is none, whoever answers.
    ///
    /// Exactly one answer follows, [`Event::Dialed`] or [`Event::DialFailed`].
    pub fn dial(&mut self, now: Instant, peer: Option<PeerId>, addrs: &[Multiaddr]) -> DialId {
        let named = || addrs.iter().take(self.limits.addresses_per_dial).find_map(|address| split_peer(address).1);
        let peer = peer.or_else(named);
        let deadline = now + self.limits.dial;
        let dial = self.dials.insert(Dial { plan: None, deadline });
        if let Some(answer) = self.answer_at_once(DialId(dial), peer, addrs) {
            self.dials.remove(dial);
            self.events.push_back(answer);
            return DialId(dial);
        }
        let joined = peer.and_then(|peer| self.peers.get(&peer)?.plan);
        let plan = joined.unwrap_or_else(|| self.plans.insert(Plan::new(now, peer)));
        self.timers.set(deadline, Timer::Dial(dial));
        self.join(now, plan, dial, addrs);
        DialId(dial)
    }

    fn answer_at_once(&self, dial: DialId, peer: Option<PeerId>, addrs: &[Multiaddr]) -> Option<Event> {
        let known = peer.and_then(|peer| self.peers.get(&peer));
        let live = known.and_then(|known| known.conns.values().next());
        if let (Some(conn), Some(peer)) = (live, peer) {
            return Some(Event::Dialed { dial, conn: *conn, peer });
        }
        let limit = self.limits.dials;
        let cause = if peer == Some(self.local) {
            DialError::Ourselves
        } else if self.dials.len() > limit {
            DialError::Limit { name: "dials", value: limit }
        } else if addrs.is_empty() && known.is_none() {
            DialError::NoAddresses
        } else {
            return None;
        };
        Some(Event::DialFailed { dial, peer, cause, attempts: Vec::new() })
    }

    /// Gives a dial up: it is answered with [`DialError::Cancelled`]. Others that have joined it go on. Returns whether
    /// it had no answer yet.
    pub fn cancel(&mut self, now: Instant, dial: DialId) -> bool {
        let pending = self.dials.contains(dial.0);
        self.end_dial(now, dial.0, DialError::Cancelled);
        pending
    }

    /// Adds a dial and its addresses to a plan, and goes on with the plan.
    fn join(&mut self, now: Instant, key: Key, dial: Key, addrs: &[Multiaddr]) {
        self.add_addresses(key, addrs);
        if let Some(dial) = self.dials.get_mut(dial) {
            dial.plan = Some(key);
        }
        let Some(plan) = self.plans.get_mut(key) else { return };
        plan.dials.insert(dial);
        if let Some(peer) = plan.peer {
            self.peers.entry(peer).or_default().plan = Some(key);
        }
        if plan.active.is_empty() && plan.turn.is_none() {
            self.try_next(now, key);
        } else {
            self.arm(key);
        }
    }

    /// Sets when the next address of a plan is to be tried, if there is one and time is what it waits for.
    fn arm(&mut self, key: Key) {
        let Some(plan) = self.plans.get_mut(key) else { return };
        let is_full = plan.active.len() >= self.limits.dials_per_peer.max(1);
        if plan.untried.is_empty() || is_full || plan.stagger.is_some() || plan.turn.is_some() {
            return;
        }
        let at = plan.last + self.limits.stagger;
        plan.stagger = Some(at);
        self.timers.set(at, Timer::Stagger(key));
    }

    fn add_addresses(&mut self, key: Key, addrs: &[Multiaddr]) {
        let limit = self.limits.addresses_per_dial;
        for given in addrs {
            let (address, named) = split_peer(given);
            let security = self.security(&address);
            let Some(plan) = self.plans.get_mut(key) else { return };
            let wrong = plan.peer.zip(named).filter(|(expected, got)| expected != got);
            let known = if wrong.is_some() { given } else { &address };
            if plan.seen.contains(known) {
                continue;
            }
            if plan.seen.len() >= limit {
                if !plan.cut {
                    plan.cut = true;
                    plan.skip(address, AttemptFailure::Limit { name: "addresses_per_dial", value: limit });
                }
                return;
            }
            plan.seen.insert(known.clone());
            match (wrong, security) {
                (Some((expected, got)), _) => {
                    plan.skip(given.clone(), AttemptFailure::WrongPeerInAddress { expected, got });
                }
                (None, None) => plan.skip(address, AttemptFailure::NoTransport),
                (None, Some(security)) => plan.untried.push_back((address, security)),
            }
        }
    }

    /// Tries the next address of a plan, if there is one and there is room; without one and with no attempt under way
    /// the plan has failed.
    pub(crate) fn try_next(&mut self, now: Instant, key: Key) {
        let Some(plan) = self.plans.get_mut(key) else { return };
        if let Some(at) = plan.stagger.take() {
            self.timers.unset(at, Timer::Stagger(key));
        }
        if plan.untried.is_empty() && plan.active.is_empty() {
            return self.fail(key);
        }
        if plan.active.len() >= self.limits.dials_per_peer.max(1) || plan.turn.is_some() {
            return;
        }
        if self.pending_outbound >= self.limits.pending_outbound {
            if !plan.untried.is_empty() {
                let turn = self.next_serial();
                self.queue.insert(turn, key);
                if let Some(plan) = self.plans.get_mut(key) {
                    plan.turn = Some(turn);
                }
            }
            return;
        }
        let Some((address, security)) = plan.untried.pop_front() else { return };
        let (peer, deadline) = (plan.peer, now + self.limits.attempt);
        self.pending_outbound += 1;
        let conn = self.conns.insert(Conn::Pending(Pending {
            role: Role::Dialer,
            address: address.clone(),
            local: None,
            connected: false,
            plan: Some(key),
            expected: peer,
            since: now,
            deadline,
        }));
        plan.active.push(conn);
        plan.last = now;
        self.timers.set(deadline, Timer::Ready(conn));
        self.arm(key);
        self.actions.push_back(Action::Dial { conn: ConnId(conn), address, peer, security });
    }

    /// Lets plans go on that waited for room among all attempts.
    pub(crate) fn wake(&mut self, now: Instant) {
        while self.pending_outbound < self.limits.pending_outbound {
            let Some((_, key)) = self.queue.pop_first() else { return };
            if let Some(plan) = self.plans.get_mut(key) {
                plan.turn = None;
            }
            self.try_next(now, key);
        }
    }

    /// Takes a connection out of its plan's attempts.
    pub(crate) fn leave_plan(&mut self, key: Key, conn: ConnId) {
        if let Some(plan) = self.plans.get_mut(key) {
            plan.active.retain(|active| *active != conn.0);
        }
    }

    /// A connection answers all dials of a plan, if there is such a plan yet.
    pub(crate) fn answer(&mut self, key: Key, conn: ConnId, peer: PeerId, losers: Losers) {
        let Some(plan) = self.end_plan(key, losers) else { return };
        for dial in plan.dials {
            self.forget_dial(dial);
            self.events.push_back(Event::Dialed { dial: DialId(dial), conn, peer });
        }
    }

    /// All attempts of a plan have failed.
    fn fail(&mut self, key: Key) {
        let Some(plan) = self.end_plan(key, Losers::Close) else { return };
        for dial in plan.dials {
            self.forget_dial(dial);
            let (peer, attempts) = (plan.peer, plan.attempts.clone());
            self.events.push_back(Event::DialFailed {
                dial: DialId(dial),
                peer,
                cause: DialError::AllFailed,
                attempts,
            });
        }
    }

    /// Answers one dial with a failure of its own. Its plan ends with the last of its dials.
    pub(crate) fn end_dial(&mut self, now: Instant, dial: Key, cause: DialError) {
        let Some(key) = self.dials.get(dial).and_then(|dial| dial.plan) else { return };
        self.forget_dial(dial);
        let attempts = self.report(now, key);
        let Some(plan) = self.plans.get_mut(key) else { return };
        plan.dials.remove(&dial);
        let (peer, last) = (plan.peer, plan.dials.is_empty());
        self.events.push_back(Event::DialFailed { dial: DialId(dial), peer, cause, attempts });
        if last {
            self.end_plan(key, Losers::Close);
            self.wake(now);
        }
    }

    /// What became of each address of a plan so far.
    fn report(&self, now: Instant, key: Key) -> Vec<Attempt> {
        let Some(plan) = self.plans.get(key) else { return Vec::new() };
        let failure = AttemptFailure::Abandoned;
        let active = plan.active.iter().filter_map(|conn| match self.conns.get(*conn)? {
            Conn::Pending(pending) => {
                let (address, elapsed) = (pending.address.clone(), now.since(pending.since));
                Some(Attempt { conn: Some(ConnId(*conn)), address, failure, elapsed })
            }
            Conn::Ready(_) => None,
        });
        let untried = plan.untried.iter().map(|(address, _)| {
            let (address, elapsed) = (address.clone(), Duration::ZERO);
            Attempt { conn: None, address, failure, elapsed }
        });
        plan.attempts.iter().cloned().chain(active).chain(untried).collect()
    }

    fn forget_dial(&mut self, key: Key) {
        if let Some(dial) = self.dials.remove(key) {
            self.timers.unset(dial.deadline, Timer::Dial(key));
        }
    }

    /// Ends a plan and its attempts.
    fn end_plan(&mut self, key: Key, losers: Losers) -> Option<Plan> {
        let plan = self.plans.remove(key)?;
        if let Some(at) = plan.stagger {
            self.timers.unset(at, Timer::Stagger(key));
        }
        if let Some(turn) = plan.turn {
            self.queue.remove(&turn);
        }
        if let Some(id) = plan.peer {
            if let Some(peer) = self.peers.get_mut(&id) {
                peer.plan = None;
            }
            self.forget_idle_peer(id);
        }
        for conn in &plan.active {
            let Some(Conn::Pending(pending)) = self.conns.get_mut(*conn) else { continue };
            let (connected, deadline) = (pending.connected, pending.deadline);
            if connected && losers == Losers::Spare {
                pending.plan = None;
                continue;
            }
            self.conns.remove(*conn);
            self.timers.unset(deadline, Timer::Ready(*conn));
            self.count_pending_less(Role::Dialer);
            let conn = ConnId(*conn);
            let close = Action::Close { conn, reason: CloseReason::Abandoned };
            self.actions.push_back(if connected { close } else { Action::Abandon { conn } });
        }
        Some(plan)
    }
}

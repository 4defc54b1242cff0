//! How a swarm dials: what is asked for, and how it is answered.

use core::time::Duration;

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_wire::{Instant, Key};

use crate::{
    Action, Attempt, AttemptFailure, CloseReason, ConnId, DialError, DialId, Event, Reached, Swarm,
    address::split_peer,
    backoff::Resting,
    connection::Conn,
    dial::{Dial, Plan},
    swarm::Losers,
    timer::Timer,
};

impl Swarm {
    /// Asks for a connection to a peer: one that is there, or the first that becomes ready of those that the
    /// [`Ranker`](crate::Ranker) has tried. With `peer` unknown it is the peer that the first address with a trailing
    /// `/p2p/…` names; if there is none, whoever answers. Behind the addresses given come those that
    /// are remembered of the peer.
    ///
    /// Exactly one answer follows, [`Event::Dialed`] or [`Event::DialFailed`].
    pub fn dial(&mut self, now: Instant, peer: Option<PeerId>, addrs: &[Multiaddr]) -> DialId {
        let named = || addrs.iter().take(self.limits.addresses_per_dial).find_map(|address| split_peer(address).1);
        let peer = peer.or_else(named);
        let deadline = now + self.limits.dial;
        self.counters.dials.asked += 1;
        let dial = self.dials.insert(Dial { plan: None, deadline });
        if let Some(answer) = self.answer_at_once(now, DialId(dial), peer, addrs) {
            self.dials.remove(dial);
            match answer {
                Event::Dialed { conn, .. } => {
                    self.counters.dials.reused += 1;
                    self.handle_used(now, conn);
                }
                _ => self.counters.dials.refused += 1,
            }
            self.events.push_back(answer);
            return DialId(dial);
        }
        let joined = peer.and_then(|peer| self.peers.get(&peer)?.plan);
        let plan = joined.unwrap_or_else(|| self.plans.insert(Plan::new(now, peer)));
        self.timers.set(deadline, Timer::Dial(dial));
        self.join(now, plan, dial, addrs);
        DialId(dial)
    }

    fn answer_at_once(&self, now: Instant, dial: DialId, peer: Option<PeerId>, addrs: &[Multiaddr]) -> Option<Event> {
        let known = peer.and_then(|peer| self.peers.get(&peer));
        let live = known.and_then(|known| known.conns.values().next());
        if let (Some(conn), Some(peer), None) = (live, peer, &self.shutdown) {
            return Some(Event::Dialed { dial, conn: *conn, peer });
        }
        let limit = self.limits.dials;
        let cause = if self.shutdown.is_some() {
            DialError::ShuttingDown
        } else if peer == Some(self.local) {
            DialError::Ourselves
        } else if peer.is_some_and(|peer| self.lists.check_peer(peer).is_err()) {
            DialError::Blocked
        } else if self.dials.len() > limit {
            DialError::Limit { name: "dials", value: limit }
        } else if known.is_some_and(|known| known.plan.is_some()) {
            return None;
        } else if addrs.is_empty() && !peer.is_some_and(|peer| self.book.knows_address(now, &peer)) {
            DialError::NoAddresses
        } else if let Some(left) = self.peer_rests(now, peer, addrs) {
            DialError::BackOff { left }
        } else {
            return None;
        };
        Some(Event::DialFailed { dial, peer, cause, attempts: Vec::new() })
    }

    /// How long a peer still rests, unless an address is given that has not failed yet.
    fn peer_rests(&self, now: Instant, peer: Option<PeerId>, addrs: &[Multiaddr]) -> Option<Duration> {
        let (left, _) = self.backoffs.left(now, &Resting::Peer(peer?))?;
        let is_new = |address: &Multiaddr| self.backoffs.failures(&Resting::Address(peer, split_peer(address).0)) == 0;
        let has_new = addrs.iter().take(self.limits.addresses_per_dial).any(is_new);
        (!has_new).then_some(left)
    }

    /// Forgets what has failed about a peer at these addresses, so that the next dial tries them at once: for a user
    /// who says "again".
    pub fn forgive(&mut self, peer: Option<PeerId>, addrs: &[Multiaddr]) {
        if let Some(peer) = peer {
            self.backoffs.success(&Resting::Peer(peer));
        }
        for address in addrs.iter().take(self.limits.addresses_per_dial) {
            self.backoffs.success(&Resting::Address(peer, split_peer(address).0));
        }
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
        if let Some(dial) = self.dials.get_mut(dial) {
            dial.plan = Some(key);
        }
        let Some(plan) = self.plans.get_mut(key) else { return };
        plan.dials.insert(dial);
        if let Some(peer) = plan.peer {
            self.peers.entry(peer).or_default().plan = Some(key);
        }
        let peer = plan.peer;
        let known = peer.map(|peer| self.book.addresses(now, &peer)).unwrap_or_default();
        let known: Vec<_> = known.into_iter().map(|(address, _)| address.clone()).collect();
        self.add_addresses(now, key, addrs.iter().chain(&known));
    }

    /// A connection answers all dials of a plan, if there is such a plan yet.
    pub(crate) fn answer(&mut self, now: Instant, key: Key, conn: ConnId, peer: PeerId, losers: Losers) {
        let Some(plan) = self.end_plan(now, key, losers) else { return };
        for dial in plan.dials {
            self.forget_dial(dial);
            self.counters.dials.succeeded += 1;
            self.events.push_back(Event::Dialed { dial: DialId(dial), conn, peer });
        }
    }

    /// All attempts of a plan have failed.
    pub(crate) fn fail(&mut self, now: Instant, key: Key) {
        let Some(plan) = self.end_plan(now, key, Losers::Close) else { return };
        if plan.attempts.iter().any(|attempt| attempt.failure.is_fault()) {
            self.peer_failed(now, plan.peer);
        }
        for dial in plan.dials {
            self.forget_dial(dial);
            self.counters.dials.note(DialError::AllFailed);
            let (peer, attempts) = (plan.peer, plan.attempts.clone());
            self.events.push_back(Event::DialFailed {
                dial: DialId(dial),
                peer,
                cause: DialError::AllFailed,
                attempts,
            });
        }
    }

    fn peer_failed(&mut self, now: Instant, peer: Option<PeerId>) {
        if let Some(peer) = peer {
            let lot = self.lot();
            self.backoffs.fail(now, Resting::Peer(peer), &self.limits, lot);
        }
    }

    /// Answers one dial with a failure of its own. Its plan ends with the last of its dials.
    pub(crate) fn end_dial(&mut self, now: Instant, dial: Key, cause: DialError) {
        let Some(key) = self.dials.get(dial).and_then(|dial| dial.plan) else { return };
        self.forget_dial(dial);
        self.counters.dials.note(cause);
        let attempts = self.report(now, key);
        let Some(plan) = self.plans.get_mut(key) else { return };
        plan.dials.remove(&dial);
        let (peer, last) = (plan.peer, plan.dials.is_empty());
        self.events.push_back(Event::DialFailed { dial: DialId(dial), peer, cause, attempts });
        if last {
            if matches!(cause, DialError::TimedOut { .. }) {
                self.peer_failed(now, peer);
            }
            self.end_plan(now, key, Losers::Close);
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
                Some(Attempt { conn: Some(ConnId(*conn)), address, failure, reached: pending.reached(), elapsed })
            }
            Conn::Ready(_) => None,
        });
        let resolving = plan.resolving.iter().filter_map(|key| {
            let resolve = self.resolves.get(*key)?;
            let (address, elapsed) = (resolve.address.clone(), now.since(resolve.since));
            Some(Attempt { conn: None, address, failure, reached: Reached::Resolve, elapsed })
        });
        let untried = plan.untried.iter().map(|untried| {
            let (address, elapsed) = (untried.prospect.address.clone(), Duration::ZERO);
            Attempt { conn: None, address, failure, reached: Reached::Connect, elapsed }
        });
        plan.attempts.iter().cloned().chain(active).chain(resolving).chain(untried).collect()
    }

    fn forget_dial(&mut self, key: Key) {
        if let Some(dial) = self.dials.remove(key) {
            self.timers.unset(dial.deadline, Timer::Dial(key));
        }
    }

    /// Ends a plan, its attempts and its questions.
    fn end_plan(&mut self, now: Instant, key: Key, losers: Losers) -> Option<Plan> {
        let plan = self.plans.remove(key)?;
        if let Some(at) = plan.stagger {
            self.timers.unset(at, Timer::Stagger(key));
        }
        if let Some(turn) = plan.turn {
            self.queue.remove(&turn);
        }
        for key in &plan.resolving {
            if let Some(resolve) = self.resolves.remove(*key) {
                self.timers.unset(resolve.deadline, Timer::Resolve(*key));
            }
        }
        if let Some(id) = plan.peer {
            if let Some(peer) = self.peers.get_mut(&id) {
                peer.plan = None;
            }
            self.forget_idle_peer(id);
        }
        for conn in &plan.active {
            self.end_attempt(now, *conn, losers);
        }
        Some(plan)
    }

    /// Ends an attempt of a plan that is no more.
    fn end_attempt(&mut self, now: Instant, key: Key, losers: Losers) {
        match self.conns.get_mut(key) {
            Some(Conn::Pending(pending)) if pending.connected && losers == Losers::Spare => {
                pending.plan = None;
                return;
            }
            Some(Conn::Pending(_)) => {}
            _ => return,
        }
        let Some(Conn::Pending(pending)) = self.conns.remove(key) else { return };
        self.timers.unset(pending.deadline, Timer::Ready(key));
        self.count_pending_less(&pending, AttemptFailure::Abandoned);
        self.note_result(now, &pending, AttemptFailure::Abandoned);
        let conn = ConnId(key);
        let close = Action::Close { conn, reason: CloseReason::Abandoned };
        self.actions.push_back(if pending.connected { close } else { Action::Abandon { conn } });
    }
}

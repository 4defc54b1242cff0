//! How a swarm goes through the addresses of a plan.

use core::time::Duration;

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_wire::{Instant, Key, Role};

use crate::{
    Action, Answer, Attempt, AttemptFailure, ConnId, Denied, Kind, Network, Prospect, Prospects, Question, Ranker,
    Reach, Reached, ResolveId, Swarm, TransportError,
    address::split_peer,
    admission::PENDING_BYTES,
    backoff::Resting,
    connection::{Conn, Pending},
    dial::Untried,
    resolve::{self, Resolve},
    timer::Timer,
};

impl Swarm {
    /// Puts a ranker of the caller's in the place of ours, [`rank`](crate::rank). It sees what is dialled from now on.
    pub fn set_ranker(&mut self, ranker: Ranker) {
        self.ranker = ranker;
    }

    /// Says whether the driver answers [`Action::Resolve`]. If not, which is how it begins, an address with a name goes
    /// to the transport as it is.
    pub fn set_resolves(&mut self, resolves: bool) {
        self.driver_resolves = resolves;
    }

    /// Takes what was asked of the name service: what it answered, or why it did not.
    pub fn handle_resolved(&mut self, now: Instant, resolve: ResolveId, result: Result<Answer, TransportError>) {
        let Some(resolve) = self.end_resolve(resolve.0) else { return };
        let key = resolve.plan;
        let found = result.map(|answer| resolve::answered(&resolve, answer, self.limits.resolved_addresses));
        match found {
            Ok(found) if !found.is_empty() => {
                let is_chain = matches!(resolve::question(&resolve.address), Some(Question::Texts(_)));
                for (address, named) in found {
                    self.consider(now, key, address, named, resolve.depth + usize::from(is_chain));
                }
                self.rank(now, key);
            }
            failed => {
                let failure = AttemptFailure::Resolve(failed.err().unwrap_or(TransportError::NotFound));
                let elapsed = now.since(resolve.since);
                self.counters.attempts.resolve += 1;
                if failure.is_fault() {
                    self.backs_off(now, Resting::Address(resolve.peer, resolve.address.clone()));
                }
                if let Some(plan) = self.plans.get_mut(key) {
                    let (reached, address) = (Reached::Resolve, resolve.address);
                    plan.attempts.push(Attempt { conn: None, address, failure, reached, elapsed });
                }
            }
        }
        self.go_on(now, key);
    }

    fn end_resolve(&mut self, key: Key) -> Option<Resolve> {
        let resolve = self.resolves.remove(key)?;
        self.timers.unset(resolve.deadline, Timer::Resolve(key));
        if let Some(plan) = self.plans.get_mut(resolve.plan) {
            plan.resolving.retain(|other| *other != key);
        }
        Some(resolve)
    }

    /// Adds addresses to a plan and goes on with it.
    pub(crate) fn add_addresses<'a>(&mut self, now: Instant, key: Key, addrs: impl Iterator<Item = &'a Multiaddr>) {
        for given in addrs {
            let (address, named) = split_peer(given);
            if !self.consider(now, key, address, named, 0) {
                break;
            }
        }
        self.rank(now, key);
        self.go_on(now, key);
    }

    /// Goes on with a plan that has heard of something new.
    fn go_on(&mut self, now: Instant, key: Key) {
        match self.plans.get(key) {
            Some(plan) if plan.active.is_empty() && plan.turn.is_none() => self.try_next(now, key),
            _ => self.arm(key),
        }
    }

    /// Puts an address among those to be tried, asks for its name, or notes why not. Returns whether there is room for
    /// more.
    fn consider(&mut self, now: Instant, key: Key, address: Multiaddr, named: Option<PeerId>, depth: usize) -> bool {
        let limit = self.limits.addresses_per_dial;
        let Some(plan) = self.plans.get_mut(key) else { return false };
        let wrong = plan.peer.zip(named).filter(|(expected, got)| expected != got);
        // Of another peer it is another address.
        let known = match wrong {
            Some((_, got)) => address.clone().with_p2p(got).unwrap_or_else(|address| address),
            None => address.clone(),
        };
        if plan.seen.contains(&known) {
            return true;
        }
        if plan.seen.len() >= limit {
            if !plan.cut {
                plan.cut = true;
                plan.skip(address, AttemptFailure::Limit { name: "addresses_per_dial", value: limit });
            }
            return false;
        }
        plan.seen.insert(known.clone());
        if let Some((expected, got)) = wrong {
            plan.skip(known, AttemptFailure::WrongPeerInAddress { expected, got });
            return true;
        }
        let expected = plan.peer.or(named);
        if let Err(failure) = self.take_in(now, key, address.clone(), expected, depth) {
            if let Some(plan) = self.plans.get_mut(key) {
                plan.skip(address, failure);
            }
        }
        true
    }

    fn take_in(
        &mut self,
        now: Instant,
        key: Key,
        address: Multiaddr,
        expected: Option<PeerId>,
        depth: usize,
    ) -> Result<(), AttemptFailure> {
        let question = resolve::question(&address).filter(|_| self.driver_resolves);
        let security = self.security(&address);
        if question.is_none() && security.is_none() {
            return Err(AttemptFailure::NoTransport);
        }
        let kind = Kind::of(&address);
        let is_elsewhere = kind.reach == Reach::Private && !kind.relayed && self.network == Network::Public;
        if kind.reach == Reach::Unroutable || is_elsewhere {
            return Err(AttemptFailure::Unroutable { reach: kind.reach });
        }
        if self.listeners.is_bound(&address) {
            return Err(AttemptFailure::Ourselves);
        }
        match self.check_dial(expected, &address) {
            Err(Denied::Gate { reason }) => return Err(AttemptFailure::Gate { reason }),
            Err(_) => return Err(AttemptFailure::Blocked),
            Ok(()) => {}
        }
        let resting = Resting::Address(expected, address.clone());
        if let Some((left, failures)) = self.backoffs.left(now, &resting) {
            return Err(AttemptFailure::BackOff { left, failures });
        }
        if let Some(question) = question {
            return self.ask(now, key, address, expected, question, depth);
        }
        let failures = self.backoffs.failures(&resting);
        let worked = expected.is_some_and(|peer| self.book.has_worked(now, &peer, &address));
        let Some((plan, security)) = self.plans.get_mut(key).zip(security) else { return Ok(()) };
        let prospect = Prospect { address, kind, worked, failures };
        plan.untried.push_back(Untried { prospect, security, expected, gap: Duration::ZERO, probes: false });
        Ok(())
    }

    /// Has the driver ask for a name.
    fn ask(
        &mut self,
        now: Instant,
        plan: Key,
        address: Multiaddr,
        peer: Option<PeerId>,
        question: Question,
        depth: usize,
    ) -> Result<(), AttemptFailure> {
        let (resolves, levels) = (self.limits.resolves, self.limits.resolve_depth);
        if depth >= levels && matches!(question, Question::Texts(_)) {
            return Err(AttemptFailure::Limit { name: "resolve_depth", value: levels });
        }
        if self.resolves.len() >= resolves {
            return Err(AttemptFailure::Limit { name: "resolves", value: resolves });
        }
        let deadline = now + self.limits.resolve;
        let key = self.resolves.insert(Resolve { plan, address, peer, depth, since: now, deadline });
        self.timers.set(deadline, Timer::Resolve(key));
        if let Some(plan) = self.plans.get_mut(plan) {
            plan.resolving.push(key);
        }
        self.actions.push_back(Action::Resolve { resolve: ResolveId(key), question });
        Ok(())
    }

    /// Puts what a plan has not tried yet in order. What would go into a black hole is left out if there is another way.
    fn rank(&mut self, now: Instant, key: Key) {
        let seed = self.lot();
        let Some(plan) = self.plans.get_mut(key) else { return };
        let holes = &mut self.holes;
        let mut left: Vec<_> = plan.untried.drain(..).collect();
        if left.iter().any(|untried| !holes.is_hole(&untried.prospect.kind)) {
            for mut untried in core::mem::take(&mut left) {
                let is_hole = holes.is_hole(&untried.prospect.kind);
                untried.probes = untried.probes || (is_hole && holes.probes(&untried.prospect.kind));
                if is_hole && !untried.probes {
                    plan.skip(untried.prospect.address, AttemptFailure::BlackHole);
                } else {
                    left.push(untried);
                }
            }
        }
        let addresses: Vec<_> = left.iter().map(|untried| untried.prospect.clone()).collect();
        let starts = (self.ranker)(&Prospects {
            addresses: &addresses,
            network: self.network,
            now,
            seed,
            stagger: self.limits.stagger,
            lan_stagger: self.limits.lan_stagger,
        });
        let mut left: Vec<_> = left.into_iter().map(Some).collect();
        for start in starts {
            let Some(untried) = left.get_mut(start.index).and_then(Option::take) else { continue };
            plan.untried.push_back(Untried { gap: start.gap, ..untried });
        }
        for untried in left.into_iter().flatten() {
            plan.skip(untried.prospect.address, AttemptFailure::LeftOut);
        }
    }

    /// Sets when the next address of a plan is to be tried, if there is one and time is what it waits for.
    fn arm(&mut self, key: Key) {
        let Some(plan) = self.plans.get_mut(key) else { return };
        let is_full = plan.active.len() >= self.limits.dials_per_peer.max(1);
        if is_full || plan.stagger.is_some() || plan.turn.is_some() {
            return;
        }
        let Some(next) = plan.untried.front() else { return };
        let at = plan.last + next.gap;
        plan.stagger = Some(at);
        self.timers.set(at, Timer::Stagger(key));
    }

    /// Tries the next address of a plan and those that begin with it, as far as there is room. With nothing left to try
    /// or to wait for the plan has failed.
    pub(crate) fn try_next(&mut self, now: Instant, key: Key) {
        let Some(plan) = self.plans.get_mut(key) else { return };
        if let Some(at) = plan.stagger.take() {
            self.timers.unset(at, Timer::Stagger(key));
        }
        self.skip_hopeless(now, key);
        let Some(plan) = self.plans.get(key) else { return };
        if plan.untried.is_empty() && plan.active.is_empty() && plan.resolving.is_empty() {
            return self.fail(now, key);
        }
        while self.start_next(now, key) {
            self.skip_hopeless(now, key);
            let next = self.plans.get(key).and_then(|plan| plan.untried.front());
            if next.is_none_or(|next| !next.gap.is_zero()) {
                break;
            }
        }
        self.arm(key);
    }

    /// Leaves out what is next and has failed for another dial meanwhile, or was put on a list; or all, if there is no
    /// memory for it.
    fn skip_hopeless(&mut self, now: Instant, key: Key) {
        let shortage = self.check_memory(PENDING_BYTES).err();
        let Some(plan) = self.plans.get_mut(key) else { return };
        if let Some(Denied::Limit { name, value }) = shortage {
            for untried in core::mem::take(&mut plan.untried) {
                plan.skip(untried.prospect.address, AttemptFailure::Limit { name, value });
            }
        }
        while let Some(Untried { prospect, expected, .. }) = plan.untried.front() {
            let resting = Resting::Address(*expected, prospect.address.clone());
            let is_blocked = self.lists.check(*expected, &prospect.address).is_err();
            let failure = match self.backoffs.left(now, &resting) {
                _ if is_blocked => AttemptFailure::Blocked,
                Some((left, failures)) => AttemptFailure::BackOff { left, failures },
                None => return,
            };
            plan.untried.pop_front();
            if let Resting::Address(_, address) = resting {
                plan.skip(address, failure);
            }
        }
    }

    /// Begins one attempt of a plan. Returns whether it did.
    fn start_next(&mut self, now: Instant, key: Key) -> bool {
        let Some(plan) = self.plans.get_mut(key) else { return false };
        let is_full = plan.active.len() >= self.limits.dials_per_peer.max(1);
        if plan.untried.is_empty() || is_full || plan.turn.is_some() {
            return false;
        }
        if self.pending_outbound >= self.limits.pending_outbound {
            let turn = self.next_serial();
            self.queue.insert(turn, key);
            if let Some(plan) = self.plans.get_mut(key) {
                plan.turn = Some(turn);
            }
            return false;
        }
        let Some(Untried { prospect, security, expected, .. }) = plan.untried.pop_front() else { return false };
        let (address, deadline) = (prospect.address, now + self.limits.attempt);
        self.pending_outbound += 1;
        self.counters.attempts.begun += 1;
        self.counts.memory += PENDING_BYTES;
        let conn = self.conns.insert(Conn::Pending(Pending {
            role: Role::Dialer,
            address: address.clone(),
            local: None,
            connected: false,
            plan: Some(key),
            expected,
            since: now,
            deadline,
        }));
        plan.active.push(conn);
        plan.last = now;
        self.timers.set(deadline, Timer::Ready(conn));
        self.actions.push_back(Action::Dial { conn: ConnId(conn), address, peer: expected, security });
        true
    }

    /// Lets plans go on that waited for room among all attempts. While shutting down they end instead, and their ends must
    /// not make room for new attempts.
    pub(crate) fn wake(&mut self, now: Instant) {
        while self.shutdown.is_none() && self.pending_outbound < self.limits.pending_outbound {
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

    /// Learns from how an attempt ended.
    pub(crate) fn note_result(&mut self, now: Instant, pending: &Pending, failure: AttemptFailure) {
        if !pending.role.is_dialer() {
            return;
        }
        if !pending.connected {
            let answered = match failure {
                AttemptFailure::Transport(TransportError::Refused | TransportError::Reset) => Some(true),
                AttemptFailure::Transport(TransportError::TimedOut | TransportError::Unreachable)
                | AttemptFailure::TimedOut => Some(false),
                // Another address answered meanwhile, and this one had time to.
                AttemptFailure::Abandoned if now.since(pending.since) >= self.limits.stagger => Some(false),
                _ => None,
            };
            if let Some(answered) = answered {
                self.holes.note(&Kind::of(&pending.address), answered);
            }
        }
        if failure.is_fault() {
            if let Some(peer) = pending.expected {
                self.book.failed(peer, &pending.address);
            }
            self.backs_off(now, Resting::Address(pending.expected, pending.address.clone()));
        }
    }

    fn backs_off(&mut self, now: Instant, what: Resting) {
        let lot = self.lot();
        self.backoffs.fail(now, what, &self.limits, lot);
    }

    /// A random number (splitmix64), the next of this seed.
    pub(crate) const fn lot(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.seed;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}

//! The swarm: its facts, its connections, its time.

use core::{fmt, net::IpAddr};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_wire::{Deadline, Instant, Key, Role, Slab};

use crate::{
    Action, Attempt, AttemptFailure, CloseReason, ConnId, ConnInfo, Counters, Denied, DialError, Event, Kind, Limits,
    Network, Ranker, ResolveId, Security, Transport, TransportError,
    admission::{Counts, PENDING_BYTES, READY_BYTES},
    backoff::{Backoffs, Resting},
    book::Book,
    connection::{Conn, Peer, Pending, Rank, Ready},
    dial::{Dial, Plan},
    gate::{Gate, Lists},
    hashes::{Hashes, PeerMap},
    hole::Holes,
    listener::Listeners,
    plan,
    resolve::Resolve,
    staying::Shutdown,
    timer::{Timer, Timers},
};

/// Decides who to dial, in what order, and who may stay.
pub struct Swarm {
    pub(crate) local: PeerId,
    pub(crate) limits: Limits,
    pub(crate) transports: Vec<Transport>,
    pub(crate) listeners: Listeners,
    pub(crate) conns: Slab<Conn>,
    pub(crate) dials: Slab<Dial>,
    pub(crate) plans: Slab<Plan>,
    /// Questions to the name service that have no answer yet.
    pub(crate) resolves: Slab<Resolve>,
    pub(crate) driver_resolves: bool,
    pub(crate) ranker: Ranker,
    pub(crate) network: Network,
    pub(crate) interfaces: Vec<IpAddr>,
    pub(crate) backoffs: Backoffs,
    pub(crate) holes: Holes,
    pub(crate) seed: u64,
    pub(crate) gate: Gate,
    pub(crate) lists: Lists,
    pub(crate) counts: Counts,
    pub(crate) book: Book,
    /// Connections that are ready and not closing.
    pub(crate) live: usize,
    /// Those that may be trimmed, by when they became idle.
    pub(crate) idle: BTreeSet<(Instant, ConnId)>,
    pub(crate) is_trimming: bool,
    pub(crate) trim_timer: Option<Instant>,
    pub(crate) keeps: Slab<PeerId>,
    /// How many peers are protected.
    pub(crate) protected: usize,
    pub(crate) shutdown: Option<Shutdown>,
    /// Peers with a connection, a plan, a keep or protection.
    pub(crate) peers: PeerMap<Peer>,
    pub(crate) timers: Timers,
    /// Plans that wait for room among `pending_outbound`, in the order in which they came.
    pub(crate) queue: BTreeMap<u64, Key>,
    pub(crate) established: usize,
    pub(crate) pending_inbound: usize,
    pub(crate) pending_outbound: usize,
    pub(crate) counters: Counters,
    serial: u64,
    pub(crate) actions: VecDeque<Action>,
    pub(crate) events: VecDeque<Event>,
}

impl fmt::Debug for Swarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Swarm")
            .field("local", &self.local)
            .field("established", &self.established)
            .field("pending_inbound", &self.pending_inbound)
            .field("pending_outbound", &self.pending_outbound)
            .field("dials", &self.dials.len())
            .finish_non_exhaustive()
    }
}

impl Swarm {
    /// A swarm of the node `local`, without a transport: until one is added, no address can be dialled.
    pub fn new(local: PeerId, limits: Limits) -> Self {
        Self::seeded(local, limits, 0)
    }

    /// The same with a seed for the jitter of back-offs: a random number, so that not all nodes come back at once; a
    /// simulation gives a fixed one.
    pub fn seeded(local: PeerId, limits: Limits, seed: u64) -> Self {
        Self {
            local,
            limits,
            transports: Vec::new(),
            listeners: Listeners::default(),
            conns: Slab::new(),
            dials: Slab::new(),
            plans: Slab::new(),
            resolves: Slab::new(),
            driver_resolves: false,
            ranker: Arc::new(plan::rank),
            network: Network::default(),
            interfaces: Vec::new(),
            backoffs: Backoffs::default(),
            holes: Holes::default(),
            seed,
            gate: Gate::default(),
            lists: Lists::default(),
            counts: Counts::new(seed),
            book: Book::new(seed),
            live: 0,
            idle: BTreeSet::new(),
            is_trimming: false,
            trim_timer: None,
            keeps: Slab::new(),
            protected: 0,
            shutdown: None,
            peers: PeerMap::with_hasher(Hashes::new(seed)),
            timers: Timers::default(),
            queue: BTreeMap::new(),
            established: 0,
            pending_inbound: 0,
            pending_outbound: 0,
            counters: Counters::default(),
            serial: 0,
            actions: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Adds addresses that the driver can dial and listen on, behind those added before.
    pub fn add_transport(&mut self, transport: Transport) {
        self.transports.push(transport);
    }

    /// What a connection of this address needs before it is ready; `None` if no transport has such addresses.
    pub fn security(&self, address: &Multiaddr) -> Option<Security> {
        self.transports.iter().find(|transport| (transport.matches)(address)).map(|transport| transport.security)
    }

    /// Gives memory back that is of no use while nothing happens. A driver calls this before it waits, or never.
    pub fn shrink(&mut self) {
        self.actions.shrink_to_fit();
        self.events.shrink_to_fit();
    }

    /// The next thing the driver must do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next thing the layer above may want to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.timers.next()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Ready(key) => {
                    self.drop_pending(now, ConnId(key), AttemptFailure::TimedOut, CloseReason::TimedOut);
                }
                Timer::Dial(key) => self.end_dial(now, key, DialError::TimedOut { limit: self.limits.dial }),
                Timer::Stagger(key) => self.try_next(now, key),
                Timer::Idle(key) => self.idle_timeout(now, key),
                Timer::Trim => {
                    self.trim_timer = None;
                    self.trim(now);
                }
                Timer::Shutdown => self.cut(now),
                Timer::Resolve(key) => self.handle_resolved(now, ResolveId(key), Err(TransportError::TimedOut)),
            }
        }
    }

    /// The socket of an [`Action::Dial`] is connected; its upgrade begins.
    pub fn handle_dialed(&mut self, _now: Instant, conn: ConnId) {
        if let Some(Conn::Pending(pending @ Pending { connected: false, .. })) = self.conns.get_mut(conn.0) {
            pending.connected = true;
            self.holes.note(&Kind::of(&pending.address), true);
        }
    }

    /// The socket of an [`Action::Dial`] could not be connected.
    pub fn handle_dial_failed(&mut self, now: Instant, conn: ConnId, cause: TransportError) {
        self.gone(now, conn, AttemptFailure::Transport(cause));
    }

    /// A listener has accepted a socket; its upgrade begins.
    ///
    /// # Errors
    ///
    /// [`Denied`]: a limit, which is named, a list or the gate is against it. The caller drops the socket.
    pub fn handle_accepted(&mut self, now: Instant, local: Multiaddr, remote: Multiaddr) -> Result<ConnId, Denied> {
        self.check_accept(now, &local, &remote).inspect_err(|denied| self.counters.denied.note(*denied))?;
        self.counters.accepted += 1;
        self.counts.accepted(now, &remote, &self.limits);
        self.pending_inbound += 1;
        let deadline = now + self.limits.inbound_upgrade;
        let key = self.conns.insert(Conn::Pending(Pending {
            role: Role::Listener,
            address: remote,
            local: Some(local),
            connected: true,
            plan: None,
            expected: None,
            since: now,
            deadline,
        }));
        self.timers.set(deadline, Timer::Ready(key));
        Ok(ConnId(key))
    }

    /// Security and muxer are done, and `peer` is at the other end. The first such connection of a peer answers the
    /// dials to it.
    ///
    /// # Errors
    ///
    /// [`Denied`]: the connection may not stay, and is stale now. The caller closes it; an [`Action::Close`] says so
    /// too, unless the swarm has given the connection up before ([`Denied::Unknown`]).
    pub fn handle_ready(&mut self, now: Instant, conn: ConnId, peer: PeerId) -> Result<(), Denied> {
        let pending = match self.conns.get(conn.0) {
            Some(Conn::Pending(pending)) => pending,
            Some(Conn::Ready(Ready { closing: None, .. })) => return Ok(()),
            _ => return Err(Denied::Unknown),
        };
        if let Err(denied) = self.admit(pending, peer) {
            self.counters.denied.note(denied);
            self.actions.push_back(Action::Close { conn, reason: CloseReason::Denied(denied) });
            self.gone(now, conn, AttemptFailure::denied(denied, peer));
            return Err(denied);
        }
        let Some(Conn::Pending(pending)) = self.conns.get_mut(conn.0) else { return Err(Denied::Unknown) };
        let (plan, expected) = (pending.plan, pending.expected);
        let (role, address, deadline) = (pending.role, pending.address.clone(), pending.deadline);
        let info = ConnInfo { peer, role, address: address.clone(), local: pending.local.take() };
        self.counts.memory = self.counts.memory + READY_BYTES as u64 - PENDING_BYTES;
        self.counts.inbound += usize::from(!role.is_dialer());
        self.live += 1;
        self.timers.unset(deadline, Timer::Ready(conn.0));
        match role {
            Role::Dialer => self.pending_outbound -= 1,
            Role::Listener => self.pending_inbound -= 1,
        }
        self.established += 1;
        self.counters.established(role);
        if role.is_dialer() {
            self.book.worked(now, peer, &address, &self.limits);
            self.backoffs.success(&Resting::Address(expected, address.clone()));
        }
        self.backoffs.success(&Resting::Peer(peer));
        let serial = self.next_serial();
        let key = Rank::new(&self.local, &info, serial);
        if let Some(slot) = self.conns.get_mut(conn.0) {
            let (streams, idle_timer, memory, closing) = (0, None, READY_BYTES, None);
            *slot = Conn::Ready(Ready { info, key, streams, idle_since: now, idle_timer, memory, closing });
        }
        let entry = self.peers.entry(peer).or_default();
        entry.conns.insert(key, conn);
        let joined = entry.plan;
        self.events.push_back(Event::Connected { conn, peer, role, address });
        if let Some(plan) = plan {
            self.leave_plan(plan, conn);
            self.answer(now, plan, conn, peer, Losers::Close);
        }
        // Stale by now, if it was the plan above.
        if let Some(plan) = joined {
            self.answer(now, plan, conn, peer, Losers::Spare);
        }
        self.enter_idle(now, conn);
        self.compare(peer);
        self.trim(now);
        self.wake(now);
        Ok(())
    }

    /// A connection ended before it was ready: its upgrade failed.
    pub fn handle_failed(&mut self, now: Instant, conn: ConnId) {
        self.gone(now, conn, AttemptFailure::Upgrade);
    }

    /// A connection that was ready has closed. (One that never was counts as failed, and the other way round.)
    pub fn handle_closed(&mut self, now: Instant, conn: ConnId) {
        self.gone(now, conn, AttemptFailure::Upgrade);
    }

    /// Asks to close a connection. A ready one is no more among its peer's at once, and [`Event::Disconnected`] follows
    /// when it has closed. Returns whether there was something to close.
    pub fn close(&mut self, now: Instant, conn: ConnId, reason: CloseReason) -> bool {
        match self.conns.get_mut(conn.0) {
            Some(Conn::Ready(ready)) if ready.closing.is_none() => {
                ready.closing = Some(reason);
                let (peer, key) = (ready.info.peer, ready.key);
                self.live -= 1;
                self.leave_idle(conn);
                self.forget_conn(peer, key);
                self.actions.push_back(Action::Close { conn, reason });
                true
            }
            Some(Conn::Pending(_)) => {
                self.drop_pending(now, conn, AttemptFailure::Abandoned, reason);
                true
            }
            _ => false,
        }
    }

    /// Asks to close all ready connections of a peer and returns how many. Dials to it go on.
    pub fn close_peer(&mut self, now: Instant, peer: PeerId, reason: CloseReason) -> usize {
        let conns: Vec<_> = self.connections(&peer).collect();
        conns.into_iter().filter(|conn| self.close(now, *conn, reason)).count()
    }

    /// Why a connection is being closed, if the swarm has asked for it.
    pub fn closing(&self, conn: ConnId) -> Option<CloseReason> {
        match self.conns.get(conn.0)? {
            Conn::Ready(ready) => ready.closing,
            Conn::Pending(_) => None,
        }
    }

    /// The ready connections of a peer, the best first: direct before relayed ones, then those that the end with the smaller
    /// peer id has dialled, then the older ones. Both ends agree on the best where each has dialled one.
    pub fn connections(&self, peer: &PeerId) -> impl Iterator<Item = ConnId> + '_ {
        self.peers.get(peer).into_iter().flat_map(|peer| peer.conns.values().copied())
    }

    /// What is known of a connection that is ready or closing.
    pub fn connection(&self, conn: ConnId) -> Option<&ConnInfo> {
        match self.conns.get(conn.0)? {
            Conn::Ready(ready) => Some(&ready.info),
            Conn::Pending(_) => None,
        }
    }

    /// Whether a connection is dialing or upgrading.
    pub fn is_pending(&self, conn: ConnId) -> bool {
        matches!(self.conns.get(conn.0), Some(Conn::Pending(_)))
    }

    /// Whether there is a ready connection to a peer.
    pub fn is_connected(&self, peer: &PeerId) -> bool {
        self.connections(peer).next().is_some()
    }

    /// Has the driver end a connection that is not ready.
    pub(crate) fn drop_pending(&mut self, now: Instant, conn: ConnId, failure: AttemptFailure, reason: CloseReason) {
        let Some(Conn::Pending(pending)) = self.conns.get(conn.0) else { return };
        let connected = pending.connected;
        self.actions.push_back(if connected { Action::Close { conn, reason } } else { Action::Abandon { conn } });
        self.gone(now, conn, failure);
    }

    /// Forgets a connection that has ended.
    fn gone(&mut self, now: Instant, conn: ConnId, failure: AttemptFailure) {
        match self.conns.remove(conn.0) {
            None => return,
            Some(Conn::Ready(Ready { info, key, idle_since, idle_timer, memory, closing, .. })) => {
                self.established -= 1;
                self.counters.closed += 1;
                self.counts.memory -= memory as u64;
                if !info.role.is_dialer() {
                    self.counts.inbound -= 1;
                    self.counts.accepted_gone(&info.address);
                }
                if closing.is_none() {
                    self.live -= 1;
                }
                self.idle.remove(&(idle_since, conn));
                if let Some(at) = idle_timer {
                    self.timers.unset(at, Timer::Idle(conn.0));
                }
                self.forget_conn(info.peer, key);
                self.events.push_back(Event::Disconnected { conn, peer: info.peer, reason: closing });
            }
            Some(Conn::Pending(pending)) => {
                self.timers.unset(pending.deadline, Timer::Ready(conn.0));
                self.count_pending_less(&pending, failure);
                self.note_result(now, &pending, failure);
                if let Some(key) = pending.plan {
                    self.leave_plan(key, conn);
                    let elapsed = now.since(pending.since);
                    let (reached, address) = (pending.reached(), pending.address);
                    let attempt = Attempt { conn: Some(conn), address, failure, reached, elapsed };
                    if let Some(plan) = self.plans.get_mut(key) {
                        plan.attempts.push(attempt);
                    }
                    self.try_next(now, key);
                }
            }
        }
        self.wake(now);
        self.check_shut_down();
    }

    /// A pending connection is none any more.
    pub(crate) fn count_pending_less(&mut self, pending: &Pending, failure: AttemptFailure) {
        self.counters.pending_gone(pending, failure);
        self.counts.memory -= PENDING_BYTES;
        match pending.role {
            Role::Dialer => self.pending_outbound -= 1,
            Role::Listener => {
                self.pending_inbound -= 1;
                self.counts.accepted_gone(&pending.address);
            }
        }
    }

    fn forget_conn(&mut self, id: PeerId, key: Rank) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.conns.remove(&key);
            self.forget_idle_peer(id);
        }
    }

    pub(crate) fn forget_idle_peer(&mut self, id: PeerId) {
        let is_idle = |peer: &Peer| peer.conns.is_empty() && peer.plan.is_none() && peer.keeps == 0 && !peer.protected;
        if self.peers.get(&id).is_some_and(is_idle) {
            self.peers.remove(&id);
        }
    }

    pub(crate) const fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
}

/// What becomes of the other attempts of a plan that is answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Losers {
    /// All end.
    Close,
    /// Those that are upgrading go on: the peer, dialing us at the same time, may have chosen one of them.
    Spare,
}

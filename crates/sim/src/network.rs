//! The network: hosts, pipes, the agenda, and the loop that goes from event to event.

use ::core::{fmt, time::Duration};
use std::collections::{BTreeSet, VecDeque};

use sanswarm::{Config, Event, Instant, Multiaddr, Node, PeerId, PeerInfo};
use sanswarm_wire::Slab;

use crate::{
    App, Digest, Fault, Host, Hostile, Link, Record, Rng, Rule, Sockets, Violation,
    desk::{Desk, Kind, Machine, Power},
    pipe::Pipe,
};

mod connect;
mod core;
mod ends;
mod faults;
mod flow;
mod policy;
mod pump;
mod watch;

pub(crate) use self::core::{Core, Due, keypair};
pub use self::core::{Counts, Trace};

pub(crate) type Pipes = Slab<Pipe>;

/// A host of a network, by its number: 0 is the first that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(u32);

impl HostId {
    /// The host with this number.
    pub const fn new(index: usize) -> Self {
        Self(index as u32)
    }

    /// Its number.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A network of hosts under one seed: the same calls and the same seed are the same run, byte by byte.
///
/// Time is virtual and jumps from one event to the next, so that a quiet hour costs nothing. After each event the checkers
/// look at what it changed; the first law that is broken ends the run with a [`Violation`].
#[derive(Debug)]
pub struct Network<A> {
    pub(crate) core: Core,
    pub(crate) machines: Vec<Machine<A>>,
    pub(crate) pipes: Pipes,
    seed: u64,
}

impl<A: App> Network<A> {
    /// A network without hosts.
    pub fn new(seed: u64) -> Self {
        Self { core: Core::new(seed), machines: Vec::new(), pipes: Slab::new(), seed }
    }

    // ---- how it is built

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Sets the link between hosts that have none of their own.
    pub fn set_link(&mut self, link: Link) {
        self.core.link = link;
    }

    /// Sets the link from one host to another, for connections that begin from now on and bytes sent from now on.
    pub fn set_link_between(&mut self, from: HostId, to: HostId, link: Link) {
        self.core.links.insert((from.index(), to.index()), link);
    }

    /// Sets what systems do with sockets.
    pub fn set_sockets(&mut self, sockets: Sockets) {
        self.core.sockets = Sockets { buffer_bytes: sockets.buffer_bytes.max(1), ..sockets };
    }

    /// Records what happens, for [`record`](Self::record): at most `entries` of each kind.
    pub fn record_up_to(&mut self, entries: usize) {
        self.core.record.limit = entries;
    }

    /// Has everything that happens told to `trace`, for whoever looks for a fault. It costs much time.
    pub fn set_trace(&mut self, trace: Trace) {
        self.core.trace = Some(trace);
    }

    /// A configuration with an identity of its own for the next host: everything that is random in it is decided by the
    /// seed.
    pub fn config(&self) -> Config {
        let mut rng = Rng::new(self.seed ^ 0xc0_4f16 ^ (self.machines.len() as u64) << 20);
        let mut config = Config::new(keypair(&mut rng), rng.bytes32());
        config.seed = rng.next_u64();
        config
    }

    /// Adds a host with the defaults of a node. It listens on `/ip4/10.x.y.z/tcp/4001`, where x, y and z are its number.
    pub fn add_host(&mut self, app: A) -> HostId {
        let config = self.config();
        self.add_host_with(config, app)
    }

    /// Adds a host with this configuration. Made anew at each start: `noise_secret` and `seed`.
    pub fn add_host_with(&mut self, config: Config, app: A) -> HostId {
        let peer = config.keypair.public().to_peer_id();
        let desk = Desk::new(self.core.rng.fork(self.machines.len() as u64), Some(&config));
        let unread = config.connection.window_bytes_max.max(config.connection.window_bytes) as usize;
        // What is unread, what the sockets hold, and the send buffer of the node.
        let pending = unread + self.core.sockets.buffer_bytes + 256 * 1024;
        self.core.pending_bytes_max = self.core.pending_bytes_max.max(pending);
        let id = self.add(Kind::Node(Box::new(config), None), desk, peer, app);
        self.start(id.index());
        id
    }

    /// Adds a host that keeps no rules: it listens, and connects to the hosts of `targets`.
    pub fn add_hostile(&mut self, hostile: Hostile, targets: &[HostId], app: A) -> HostId {
        let keypair = self.config().keypair;
        let peer = keypair.public().to_peer_id();
        let desk = Desk::new(self.core.rng.fork(self.machines.len() as u64), None);
        let id = self.add(Kind::Hostile(hostile, Box::new(keypair)), desk, peer, app);
        let address = self.machines[id.index()].address.clone();
        self.core.places.insert(address, id.index());
        for target in targets {
            let at = self.core.now + self.core.rng.time(Duration::from_secs(10));
            self.core.agenda.put(at, Due::HostileDial { host: id.index(), target: target.index() });
        }
        id
    }

    fn add(&mut self, kind: Kind, desk: Desk, peer: PeerId, app: A) -> HostId {
        let index = self.machines.len();
        let [_, x, y, z] = (index as u32 + 1).to_be_bytes();
        let host: Multiaddr = ::core::net::Ipv4Addr::new(10, x, y, z).into();
        let address = host.with(sanswarm::multiaddr::Protocol::Tcp(4001));
        self.core.directory.push(PeerInfo { id: peer, addrs: vec![address.clone()] });
        self.core.peers.insert(peer, index);
        self.core.speaks.push(BTreeSet::new());
        self.machines.push(Machine {
            app,
            kind,
            address,
            power: Power::On,
            desk,
            pipes: BTreeSet::new(),
            readable: VecDeque::new(),
            waiting: Vec::new(),
            backlog: Vec::new(),
            held: VecDeque::new(),
            timer_at: None,
            frozen_until: Instant::ZERO,
            slow_until: Instant::ZERO,
        });
        HostId::new(index)
    }

    /// Sets how much too fast a host's clock is, in millionths, and how far it is ahead of the others.
    pub fn set_clock(&mut self, host: HostId, ahead: Duration, drift_per_million: u32) {
        if let Some(machine) = self.machines.get_mut(host.index()) {
            machine.desk.clock.ahead += u64::try_from(ahead.as_micros()).unwrap_or(u64::MAX / 4);
            machine.desk.clock.drift = drift_per_million;
            self.pump(host.index());
        }
    }

    /// Starts the process of a host, the first time or again.
    pub(crate) fn start(&mut self, index: usize) {
        let machine = &mut self.machines[index];
        machine.power = Power::On;
        let address = machine.address.clone();
        if let Kind::Node(config, node) = &mut machine.kind {
            config.noise_secret = machine.desk.rng.bytes32();
            config.seed = machine.desk.rng.next_u64();
            // Ed25519, which is what all simulated identities are, always signs; others fail as soon as they are tried.
            *node = Node::new((**config).clone()).ok().map(Box::new);
            if let Some(node) = node {
                let _ = node.listen(address);
            }
        }
        self.with_app(index, |app, host| app.start(host));
        self.pump(index);
    }

    // ---- how it is used

    /// How many hosts there are.
    pub fn len(&self) -> usize {
        self.machines.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.machines.is_empty()
    }

    /// All hosts.
    pub fn hosts(&self) -> impl Iterator<Item = HostId> + use<A> {
        (0..self.machines.len()).map(HostId::new)
    }

    /// The virtual time. A network starts at 1 s.
    pub fn now(&self) -> Instant {
        self.core.now
    }

    /// How to reach a host.
    ///
    /// # Panics
    /// If there is no such host.
    pub fn info_of(&self, host: HostId) -> PeerInfo {
        self.core.directory[host.index()].clone()
    }

    /// The application of a host.
    ///
    /// # Panics
    /// If there is no such host.
    pub fn app(&self, host: HostId) -> &A {
        &self.machines[host.index()].app
    }

    /// Lets a test act on a host as its application does. `None` while its process is dead.
    pub fn with<R>(&mut self, host: HostId, act: impl FnOnce(&mut A, &mut Host<'_>) -> R) -> Option<R> {
        let result = self.with_app(host.index(), act);
        self.pump(host.index());
        result
    }

    /// Counts of the run so far.
    pub fn counts(&self) -> Counts {
        self.core.counts
    }

    /// A digest of all that has happened so far.
    pub fn digest(&self) -> Digest {
        self.core.digest
    }

    /// What was recorded, see [`record_up_to`](Self::record_up_to).
    pub fn record(&self) -> &Record {
        &self.core.record
    }

    /// Has a fault happen when so much time has passed.
    pub fn schedule(&mut self, after: Duration, fault: Fault) {
        let at = self.core.now + after;
        self.core.agenda.put(at, Due::Fault(Box::new(fault)));
    }

    /// Lets time pass, with all that happens in it.
    ///
    /// # Errors
    /// The [`Violation`] that ended the run. It is sticky.
    pub fn run_for(&mut self, time: Duration) -> Result<(), Violation> {
        let end = self.core.now + time;
        while self.step(end)? {}
        self.core.now = self.core.now.max(end);
        self.result()
    }

    /// Stops all faults, then lets time pass until every application is [settled](App::is_settled), every stream that its
    /// writer has finished was read to its end, and every request has its answer; then until both ends of each
    /// connection agree.
    ///
    /// # Errors
    /// A [`Violation`] of [`Rule::Liveness`] if that takes longer than `within`; or another one.
    pub fn settle(&mut self, within: Duration) -> Result<(), Violation> {
        self.heal();
        self.core.is_settling = true;
        let end = self.core.now + within;
        loop {
            self.run_for(Duration::from_secs(1))?;
            let Some(text) = self.unsettled() else { return Ok(()) };
            if self.core.now >= end {
                self.core.violation = Some(Violation { at: self.core.now, host: None, rule: Rule::Liveness, text });
                return self.result();
            }
        }
    }

    /// Handles the next event, if there is one until `end`. Returns whether there was.
    ///
    /// # Errors
    /// The [`Violation`] that ended the run.
    pub fn step(&mut self, end: Instant) -> Result<bool, Violation> {
        self.result()?;
        let Some((at, due)) = self.core.agenda.next(end) else { return Ok(false) };
        self.core.now = self.core.now.max(at);
        self.core.counts.events += 1;
        self.core.digest.add(at.as_micros());
        self.handle(due);
        self.result().map(|()| true)
    }

    fn result(&self) -> Result<(), Violation> {
        self.core.violation.clone().map_or(Ok(()), Err)
    }

    fn handle(&mut self, due: Due) {
        match due {
            Due::Arrive(key, side) => self.arrive(key, side),
            Due::Room(key, side) => self.room(key, side),
            Due::GiveUp(key, side) => self.give_up(key, side),
            Due::Syn(syn) => self.syn(*syn),
            Due::DialFailed { host, epoch, conn, cause } => self.dial_failed(host, epoch, conn, cause),
            Due::Established(key, epoch, conn) => self.established(key, epoch, conn),
            Due::Accept(key) => self.accept(key),
            Due::Timer(host) => self.timer(host),
            Due::App { host, epoch, timer } => self.app_timer(host, epoch, timer),
            Due::Fault(fault) => self.inject(&fault),
            Due::End(ended) => self.end_fault(ended),
            Due::Check(key) => self.check(key),
            Due::Request { host, epoch, request } => self.check_request(host, epoch, request),
            Due::Shut { host, epoch, conn } => self.check_shut(host, epoch, conn),
            Due::HostileDial { host, target } => self.hostile_dial(host, target),
        }
    }

    fn timer(&mut self, index: usize) {
        let now = self.core.now;
        let machine = &mut self.machines[index];
        if machine.timer_at.is_some_and(|at| at <= now) {
            machine.timer_at = None;
        }
        if machine.power == Power::On && machine.frozen_until <= now {
            let local = machine.desk.clock.local(now);
            if let Some(node) = machine.node() {
                node.handle_timeout(local);
            }
            self.pump(index);
        }
    }

    fn app_timer(&mut self, index: usize, epoch: u32, timer: u64) {
        let machine = &self.machines[index];
        if machine.desk.epoch != epoch || machine.power != Power::On {
            return;
        }
        if machine.frozen_until > self.core.now {
            let at = machine.frozen_until;
            return self.core.agenda.put(at, Due::App { host: index, epoch, timer });
        }
        self.with_app(index, |app, host| app.handle_timer(host, timer));
        self.pump(index);
    }

    /// Calls the application of a host.
    pub(crate) fn with_app<R>(&mut self, index: usize, call: impl FnOnce(&mut A, &mut Host<'_>) -> R) -> Option<R> {
        let Self { core, machines, pipes, .. } = self;
        let machine = machines.get_mut(index)?;
        let Kind::Node(_, Some(node)) = &mut machine.kind else { return None };
        let now = machine.desk.clock.local(core.now);
        let mut host = Host { id: HostId::new(index), now, node, desk: &mut machine.desk, core, pipes };
        Some(call(&mut machine.app, &mut host))
    }

    /// Tells the application of an event, or keeps it for a slow reader.
    pub(crate) fn tell(&mut self, index: usize, event: Event) {
        let is_payload = matches!(event, Event::Readable { .. } | Event::Finished { .. } | Event::Reset { .. });
        let machine = &mut self.machines[index];
        if is_payload && machine.slow_until > self.core.now {
            return machine.held.push_back(event);
        }
        self.with_app(index, |app, host| app.handle_event(host, event));
    }
}

//! A swarm under commands and facts in any order, beside a plain model of what it must do: everything is a list that is
//! searched from end to end. Shared by the property test and by the fuzz target `swarm`.

mod judge;
mod rules;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_swarm::{
    Answer, CloseReason, ConnId, DialId, Identified, KeepId, Limits, ResolveId, Swarm, Transport, TransportError,
};
use sanswarm_wire::{Instant, Role};

pub(crate) const US: u8 = 1;

/// One step: what is done, and with what.
pub(crate) type Step = (u8, u8, u8);

pub(crate) fn peer(id: u8) -> PeerId {
    PeerId::from_bytes(&[0, 1, id]).expect("an identity hash")
}

pub(crate) fn address(host: u8) -> Multiaddr {
    let text = match host {
        0..=4 => format!("/ip4/20.0.0.{host}/tcp/1"),
        5 => "/ip6/2600::5/tcp/1".to_owned(),
        6 => "/ip4/10.0.0.6/tcp/1".to_owned(),
        7 => "/ip4/0.0.0.0/tcp/1".to_owned(),
        8 => "/memory/8".to_owned(),
        9 => "/dns4/nine.example/tcp/1".to_owned(),
        10 => "/dnsaddr/ten.example".to_owned(),
        _ => format!("/ip4/20.0.0.1/tcp/1/p2p/{}", peer(3)),
    };
    text.parse().expect("an address")
}

/// What the model knows of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Conn {
    id: ConnId,
    role: Role,
    address: Multiaddr,
    /// Of an attempt: who must be there.
    expected: Option<PeerId>,
    connected: bool,
    /// Once it is ready: who is there, and its place among all that became ready.
    ready: Option<(PeerId, usize)>,
    streams: usize,
    idle_since: Instant,
    closing: Option<CloseReason>,
    memory: usize,
}

pub(crate) struct World {
    swarm: Swarm,
    limits: Limits,
    now: Instant,
    /// Every name that was ever given, most of them stale.
    conns: Vec<ConnId>,
    dials: Vec<DialId>,
    resolves: Vec<ResolveId>,
    keeps: Vec<(KeepId, PeerId)>,
    alive: Vec<Conn>,
    became_ready: usize,
    answers: BTreeMap<DialId, usize>,
    protected: BTreeSet<PeerId>,
    pub(crate) rules: rules::Rules,
    /// How often in a row an address has failed for a peer, and when last.
    failures: BTreeMap<(Option<PeerId>, Multiaddr), (u32, Instant)>,
    shut: bool,
    told_shut: bool,
    /// All actions and events, to compare two runs.
    pub(crate) trace: Vec<String>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let limits = Limits {
            established: 7,
            established_inbound: 5,
            established_outbound: 5,
            established_per_peer: 3,
            pending_inbound: 3,
            pending_outbound: 4,
            inbound_per_prefix: 4,
            accepts_per_second: 8,
            accepts_per_prefix: 4,
            memory: 500 << 10,
            dials: 8,
            addresses_per_dial: 5,
            dials_per_peer: 2,
            resolves: 2,
            keeps: 3,
            protected: 2,
            listed: 3,
            listeners: 2,
            idle: Some(Duration::from_secs(40)),
            high_water: 5,
            low_water: 3,
            book_peers: 3,
            book_addresses: 3,
            ..Limits::default()
        };
        let mut swarm = Swarm::seeded(peer(US), limits, seed);
        swarm.add_transport(Transport::tcp());
        swarm.set_resolves(true);
        Self {
            swarm,
            limits,
            now: Instant::ZERO,
            conns: Vec::new(),
            dials: Vec::new(),
            resolves: Vec::new(),
            keeps: Vec::new(),
            alive: Vec::new(),
            became_ready: 0,
            answers: BTreeMap::new(),
            protected: BTreeSet::new(),
            rules: rules::Rules::default(),
            failures: BTreeMap::new(),
            shut: false,
            told_shut: false,
            trace: Vec::new(),
        }
    }

    /// One of the newest connections, dead or alive.
    fn conn(&self, i: u8) -> Option<ConnId> {
        self.conns.iter().rev().nth(usize::from(i) % 12).copied()
    }

    fn known(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.alive.iter_mut().find(|conn| conn.id == id)
    }

    pub(crate) fn step(&mut self, (op, a, b): Step) {
        let id = peer(1 + a % 5);
        match op % 26 {
            0 | 1 => self.dial((a % 6 != 0).then_some(id), b),
            2 => {
                if let Some(dial) = self.dials.iter().rev().nth(usize::from(a) % 5) {
                    let pending = !self.answers.contains_key(dial);
                    assert_eq!(self.swarm.cancel(self.now, *dial), pending, "a dial that has no answer yet");
                }
            }
            3 => self.conn(a).into_iter().for_each(|conn| self.dialed(conn)),
            4 => self.conn(a).into_iter().for_each(|conn| self.ends(conn, Swarm::handle_dial_failed_refused)),
            5 => self.accepted(a),
            6 | 7 => self.conn(a).into_iter().for_each(|conn| self.ready(conn, peer(1 + b % 5))),
            8 => self.conn(a).into_iter().for_each(|conn| self.ends(conn, Swarm::handle_failed)),
            9 => self.conn(a).into_iter().for_each(|conn| self.ends(conn, Swarm::handle_closed)),
            10 => self.conn(a).into_iter().for_each(|conn| self.close(conn)),
            11 => {
                let had = self.swarm.connections(&id).count();
                assert_eq!(self.swarm.close_peer(self.now, id, CloseReason::Requested), had);
            }
            12 | 13 => {
                self.wait(Duration::from_millis([1, 30, 250, 1000, 5000, 15_000, 20_000, 60_000][usize::from(a) % 8]));
            }
            14 => self.conn(a).into_iter().for_each(|conn| self.streams(conn, usize::from(b % 3))),
            15 => self.keep(id, b),
            16 => self.guard(id, b),
            17 => self.resolved(a, b),
            18 => self.rest(id, b),
            19 => self.list(id, b),
            20 => self.gate(b),
            21 => self.memory(a, b),
            22 => self.listen(a, b),
            23 => self.record(a, b),
            24 => self.conn(a).into_iter().for_each(|conn| self.used(conn)),
            _ => {
                if a % 16 == 0 {
                    self.shut = true;
                    self.swarm.shutdown(self.now, Duration::from_secs(30));
                }
            }
        }
        self.drain();
        self.compare();
    }

    fn dial(&mut self, id: Option<PeerId>, bits: u8) {
        let hosts: Vec<_> =
            (0..12).filter(|host| u32::from(bits).wrapping_mul(0x9e37_79b9) >> (31 - host) & 1 == 1).collect();
        let addrs: Vec<_> = hosts.into_iter().map(|host| address(host as u8)).collect();
        let dial = self.swarm.dial(self.now, id, &addrs);
        assert!(!self.dials.contains(&dial), "a name is never given twice");
        self.dials.push(dial);
    }

    fn dialed(&mut self, id: ConnId) {
        self.swarm.handle_dialed(self.now, id);
        if let Some(conn) = self.known(id) {
            conn.connected = true;
        }
    }

    fn accepted(&mut self, host: u8) {
        let remote = address(host % 6);
        let expected = self.judge_accept(&remote);
        if expected.is_ok() {
            self.rules.take(self.now, &remote);
        }
        let accepted = self.swarm.handle_accepted(self.now, address(0), remote.clone());
        assert_eq!(accepted.err(), expected.err());
        let Ok(id) = accepted else { return };
        assert!(!self.conns.contains(&id), "a name is never given twice");
        self.conns.push(id);
        self.alive.push(Conn {
            id,
            role: Role::Listener,
            address: remote,
            expected: None,
            connected: true,
            ready: None,
            streams: 0,
            idle_since: self.now,
            closing: None,
            memory: 80 << 10,
        });
    }

    fn ready(&mut self, id: ConnId, peer: PeerId) {
        let expected = self.judge_ready(id, peer);
        let is_new = self.known(id).is_some_and(|conn| conn.ready.is_none());
        if is_new && expected.is_ok() {
            self.became_ready += 1;
            let (serial, now) = (self.became_ready, self.now);
            if let Some(conn) = self.known(id) {
                (conn.ready, conn.idle_since, conn.memory) = (Some((peer, serial)), now, 20 << 10);
                let key = (conn.expected, conn.address.clone());
                self.failures.remove(&key);
            }
        } else if is_new && expected != Err(sanswarm_swarm::Denied::Unknown) {
            self.alive.retain(|conn| conn.id != id);
        }
        let is_ready = self.swarm.handle_ready(self.now, id, peer);
        assert_eq!(is_ready, expected);
    }

    /// A connection ends by itself.
    fn ends(&mut self, id: ConnId, how: fn(&mut Swarm, Instant, ConnId)) {
        if let Some(conn) = self.known(id).filter(|conn| conn.ready.is_none() && conn.role == Role::Dialer).cloned() {
            let failed = self.failures.entry((conn.expected, conn.address)).or_insert((0, Instant::ZERO));
            *failed = (failed.0 + 1, self.now);
        }
        let was_pending = self.known(id).is_some_and(|conn| conn.ready.is_none());
        if was_pending {
            self.alive.retain(|conn| conn.id != id);
        }
        how(&mut self.swarm, self.now, id);
    }

    fn close(&mut self, id: ConnId) {
        let expected = self.known(id).is_some_and(|conn| conn.closing.is_none());
        assert_eq!(self.swarm.close(self.now, id, CloseReason::Requested), expected);
        assert!(!self.swarm.close(self.now, id, CloseReason::Requested), "once only");
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        self.swarm.handle_timeout(self.now);
        let due = self.swarm.poll_timeout().filter(|deadline| deadline.at <= self.now);
        assert_eq!(due, None, "quiet once nothing is due");
    }

    fn streams(&mut self, id: ConnId, n: usize) {
        let now = self.now;
        if let Some(conn) = self.known(id).filter(|conn| conn.ready.is_some()) {
            if conn.streams > 0 && n == 0 {
                conn.idle_since = now;
            }
            conn.streams = n;
        }
        self.swarm.handle_streams(now, id, n);
        self.drain();
        assert_eq!(self.swarm.streams(id), self.known(id).map_or(0, |conn| conn.streams));
    }

    fn used(&mut self, id: ConnId) {
        let now = self.now;
        if let Some(conn) = self.known(id).filter(|conn| conn.ready.is_some() && conn.streams == 0) {
            conn.idle_since = now;
        }
        self.swarm.handle_used(now, id);
    }

    fn keep(&mut self, id: PeerId, b: u8) {
        if b.is_multiple_of(2) {
            let kept = self.swarm.keep(id);
            assert_eq!(kept.is_ok(), self.keeps.len() < self.limits.keeps);
            self.keeps.extend(kept.map(|keep| (keep, id)));
        } else if !self.keeps.is_empty() {
            let (keep, id) = self.keeps.remove(usize::from(b) % self.keeps.len());
            if self.keeps.iter().all(|(_, other)| *other != id) {
                let now = self.now;
                let is_of = |conn: &&mut Conn| conn.ready.is_some_and(|(peer, _)| peer == id) && conn.closing.is_none();
                self.alive
                    .iter_mut()
                    .filter(is_of)
                    .filter(|conn| conn.streams == 0)
                    .for_each(|conn| conn.idle_since = now);
            }
            assert!(self.swarm.release(self.now, keep));
            assert!(!self.swarm.release(self.now, keep), "once only");
        }
    }

    fn guard(&mut self, id: PeerId, b: u8) {
        match b % 2 {
            0 => {
                let done = self.swarm.protect(id, true);
                let fits = self.protected.contains(&id) || self.protected.len() < self.limits.protected;
                assert_eq!(done.is_ok(), fits);
                if fits {
                    self.protected.insert(id);
                }
            }
            _ => {
                self.swarm.protect(id, false).expect("less is always possible");
                self.protected.remove(&id);
            }
        }
    }

    fn resolved(&mut self, a: u8, b: u8) {
        let Some(id) = self.resolves.iter().rev().nth(usize::from(a) % 4).copied() else { return };
        let texts =
            |hosts: &[u8]| Answer::Texts(hosts.iter().map(|host| format!("dnsaddr={}", address(*host))).collect());
        let result = match b % 5 {
            0 => Err(TransportError::NotFound),
            1 => Ok(Answer::Ips(vec![[20, 0, 0, b].into(), [20, 0, 0, 1].into()])),
            2 => Ok(texts(&[1, 11, 7])),
            3 => Ok(texts(&[10, 9])),
            _ => Ok(texts(&(0..12).collect::<Vec<_>>())),
        };
        self.swarm.handle_resolved(self.now, id, result);
    }

    /// What leaves no trace in the model, but must do no harm.
    fn rest(&mut self, id: PeerId, b: u8) {
        let addrs = [address(b % 12), address(b / 12 % 12)];
        match b % 6 {
            0 => drop(self.swarm.add_address(self.now, id, &addrs[0], None)),
            1 => {
                let said =
                    Identified { addrs: &addrs, agent: Some("x"), record: Some(&[8, b]), ..Identified::default() };
                assert!(self.swarm.handle_identified(self.now, id, said).is_err(), "that is no record");
            }
            2 => {
                self.swarm.forgive(Some(id), &addrs);
                self.failures.clear();
            }
            3 => self.swarm.handle_interfaces(&[[10, 0, 0, b].into()]),
            4 => {
                let bytes = self.swarm.snapshot(self.now);
                let count = self.swarm.known_peers().count();
                assert_eq!(self.swarm.restore(self.now, &bytes), Ok(count));
            }
            _ => self.swarm.handle_interfaces(&[]),
        }
        assert!(self.swarm.known_peers().count() <= self.limits.book_peers);
        assert!(self.swarm.addresses(self.now, &id).len() <= self.limits.book_addresses);
    }

    /// All deadlines pass, one after another, all connections close; then nothing is left.
    pub(crate) fn finish(mut self) -> Vec<String> {
        for _ in 0..10_000 {
            let Some(deadline) = self.swarm.poll_timeout() else { break };
            self.wait(deadline.at.since(self.now));
            self.drain();
            self.compare();
            self.fail_dials();
        }
        assert_eq!(self.swarm.poll_timeout(), None, "timers without end");
        let all: Vec<_> = self.alive.iter().map(|conn| conn.id).collect();
        for id in all {
            self.ends(id, Swarm::handle_closed);
            self.drain();
        }
        self.compare();
        assert!(self.alive.is_empty());
        for dial in &self.dials {
            assert_eq!(self.answers.get(dial), Some(&1), "each dial has one answer");
        }
        assert_eq!(self.answers.len(), self.dials.len());
        assert_eq!(self.told_shut, self.shut);
        self.trace
    }

    /// Closes what is closing, so that the end comes.
    fn fail_dials(&mut self) {
        let closing: Vec<_> = self.alive.iter().filter(|conn| conn.closing.is_some()).map(|conn| conn.id).collect();
        for id in closing {
            self.ends(id, Swarm::handle_closed);
            self.drain();
        }
    }

    fn drain(&mut self) {
        while let Some(action) = self.swarm.poll_action() {
            self.trace.push(format!("{action:?}"));
            self.judge_action(action);
        }
        while let Some(event) = self.swarm.poll_event() {
            self.trace.push(format!("{event:?}"));
            self.judge_event(event);
        }
    }
}

/// A fact with a cause, in the shape of those without.
trait Refused {
    fn handle_dial_failed_refused(&mut self, now: Instant, conn: ConnId);
}

impl Refused for Swarm {
    fn handle_dial_failed_refused(&mut self, now: Instant, conn: ConnId) {
        self.handle_dial_failed(now, conn, TransportError::Refused);
    }
}

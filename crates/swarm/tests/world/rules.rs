//! Lists, the gate, rates, memory, listeners and signed records, as the model has them.

use std::collections::{BTreeMap, BTreeSet};

use libp2p_identity::{Keypair, PeerId};
use multiaddr::Multiaddr;
use sanswarm_swarm::{
    Denied, Gate, Identified, Kind, ListenError, PeerRecord, Reach, RecordError, Source, Subject, TransportError, Visit,
};
use sanswarm_wire::Instant;

use super::{World, address};

/// What a second's worth of accepts costs.
const SECOND: u64 = 1_000_000;

/// What is allowed, as far as it is no property of one connection.
#[derive(Default)]
pub(crate) struct Rules {
    blocked: BTreeSet<Subject>,
    allowed: BTreeSet<Subject>,
    /// What the gate is against; bits.
    closed: u8,
    /// What is left of a second's worth of accepts, and when that was: of all, and of each host.
    credits: BTreeMap<Option<Multiaddr>, (u64, Instant)>,
    wanted: BTreeSet<Multiaddr>,
    bound: BTreeSet<Multiaddr>,
    pub(super) asked_to_listen: BTreeSet<Multiaddr>,
    pub(super) told_to_listen: BTreeSet<Multiaddr>,
    pub(super) told_to_fail: BTreeSet<Multiaddr>,
    /// The newest record that was believed.
    seq: Option<u64>,
}

fn subject(id: PeerId, b: u8) -> Subject {
    match b % 4 {
        0 => Subject::Net { ip: [20, 0, 0, 4].into(), bits: 32 },
        1 => Subject::Net { ip: [20, 0, 0, 0].into(), bits: 31 },
        _ => Subject::Peer(id),
    }
}

/// What a gate with these bits says.
fn judge(closed: u8, visit: &Visit<'_>) -> Result<(), &'static str> {
    let is_against = match visit {
        Visit::Dial { address: to, .. } => closed & 1 != 0 && **to == address(2),
        Visit::Accept { remote, .. } => closed & 2 != 0 && **remote == address(3),
        Visit::Secured { role, .. } => closed & if role.is_dialer() { 4 } else { 8 } != 0,
        _ => false,
    };
    if is_against { Err("closed") } else { Ok(()) }
}

impl Rules {
    pub(super) fn blocks_peer(&self, id: PeerId) -> bool {
        let names_peers = self.allowed.iter().any(|subject| matches!(subject, Subject::Peer(_)));
        let subject = Subject::Peer(id);
        self.blocked.contains(&subject) || (names_peers && !self.allowed.contains(&subject))
    }

    pub(super) fn blocks_host(&self, at: &Multiaddr) -> bool {
        // The networks of the model: .4 alone, and .0 with .1.
        let is_in = |subject: &Subject| match subject {
            Subject::Net { bits: 32, .. } => *at == address(4),
            Subject::Net { .. } => *at == address(0) || *at == address(1),
            Subject::Peer(_) => false,
        };
        let is_ip = at.iter().next().is_some_and(|part| matches!(part.tag(), "ip4" | "ip6"));
        let names_hosts = self.allowed.iter().any(|subject| matches!(subject, Subject::Net { .. }));
        is_ip && (self.blocked.iter().any(is_in) || (names_hosts && !self.allowed.iter().any(is_in)))
    }

    pub(super) fn judge_gate(&self, visit: &Visit<'_>) -> Result<(), Denied> {
        judge(self.closed, visit).map_err(|reason| Denied::Gate { reason })
    }

    fn credit(&self, now: Instant, host: Option<&Multiaddr>) -> (u64, u64) {
        let rate = if host.is_some() { 4 } else { 8 };
        let (left, at) = self.credits.get(&host.cloned()).copied().unwrap_or((SECOND, now));
        ((left + now.since(at).as_micros() as u64).min(SECOND), SECOND / rate)
    }

    /// Whether one accept more is within the rate: of a host or of all.
    pub(super) fn has_credit(&self, now: Instant, host: Option<&Multiaddr>) -> bool {
        let (left, cost) = self.credit(now, host);
        left >= cost
    }

    pub(super) fn take(&mut self, now: Instant, host: &Multiaddr) {
        for host in [None, Some(host)] {
            let (left, cost) = self.credit(now, host);
            self.credits.insert(host.cloned(), (left - cost, now));
        }
    }
}

impl World {
    pub(super) fn list(&mut self, id: PeerId, b: u8) {
        let subject = subject(id, b / 4);
        let has_room = self.rules.blocked.len() + self.rules.allowed.len() < self.limits.listed;
        match b % 4 {
            0 => {
                let is_new = !self.rules.blocked.contains(&subject);
                if has_room {
                    self.rules.blocked.insert(subject);
                }
                let done = self.swarm.block(self.now, subject);
                assert_eq!(done.ok(), has_room.then_some(is_new));
            }
            1 => assert_eq!(self.swarm.unblock(subject), self.rules.blocked.remove(&subject)),
            2 => {
                let is_new = !self.rules.allowed.contains(&subject);
                if has_room {
                    self.rules.allowed.insert(subject);
                }
                assert_eq!(self.swarm.allow(subject).ok(), has_room.then_some(is_new));
            }
            _ => assert_eq!(self.swarm.disallow(subject), self.rules.allowed.remove(&subject)),
        }
    }

    pub(super) fn gate(&mut self, bits: u8) {
        // Open again as often as not.
        let closed = if bits < 128 { 0 } else { bits };
        self.rules.closed = closed;
        self.swarm.set_gate(Gate::new(move |visit| judge(closed, visit)));
    }

    pub(super) fn memory(&mut self, a: u8, b: u8) {
        let Some(id) = self.conn(a) else { return };
        let bytes = [0, 20 << 10, 100 << 10, 300 << 10, usize::MAX][usize::from(b) % 5];
        if let Some(conn) = self.known(id).filter(|conn| conn.ready.is_some()) {
            conn.memory = bytes.min(1 << 30);
        }
        self.swarm.handle_memory(id, bytes);
    }

    pub(super) fn listen(&mut self, a: u8, b: u8) {
        let at = address(a % 9);
        match b % 3 {
            0 => {
                let (rules, limit) = (&mut self.rules, self.limits.listeners);
                let expected = if self.shut {
                    Err(ListenError::ShuttingDown)
                } else if a % 9 == 8 {
                    Err(ListenError::NoTransport)
                } else if rules.wanted.contains(&at) {
                    Err(ListenError::Duplicate)
                } else if rules.wanted.len() >= limit {
                    Err(ListenError::Limit { name: "listeners", value: limit })
                } else {
                    rules.wanted.insert(at.clone());
                    rules.asked_to_listen.insert(at.clone());
                    Ok(())
                };
                assert_eq!(self.swarm.listen(at), expected);
            }
            1 => {
                if self.rules.bound.insert(at.clone()) {
                    self.rules.told_to_listen.insert(at.clone());
                }
                self.swarm.handle_listening(at);
            }
            _ => {
                if self.rules.wanted.remove(&at) | self.rules.bound.remove(&at) {
                    self.rules.told_to_fail.insert(at.clone());
                }
                self.swarm.handle_listen_failed(at, TransportError::AddressInUse);
            }
        }
        self.drain();
        let rules = &self.rules;
        let told = [&rules.asked_to_listen, &rules.told_to_listen, &rules.told_to_fail];
        assert!(told.iter().all(|told| told.is_empty()), "{told:?} was not heard of");
        assert_eq!(self.swarm.listeners().cloned().collect::<BTreeSet<_>>(), rules.bound);
        assert!(self.swarm.advertised().all(|address| Kind::of(&address).reach != Reach::Unroutable));
    }

    /// A peer with a key says where it is, in a record that it has signed.
    pub(super) fn record(&mut self, a: u8, b: u8) {
        let key = Keypair::ed25519_from_bytes([6; 32]).expect("32 bytes");
        let them = key.public().to_peer_id();
        if !self.swarm.known_peers().any(|known| known == them) {
            self.rules.seq = None; // It made way for others.
        }
        let (seq, addrs) = (u64::from(b % 8), [address(a % 4)]);
        let record = PeerRecord::seal(&key, seq, &addrs).expect("Ed25519 signs");
        let said = Identified { record: Some(&record), ..Identified::default() };
        let expected = match self.rules.seq.filter(|newest| *newest > seq) {
            Some(newest) => Err(RecordError::Old { newest }),
            None => Ok(()),
        };
        assert_eq!(self.swarm.handle_identified(self.now, them, said), expected);
        if expected.is_ok() {
            self.rules.seq = Some(seq);
            let known = self.swarm.addresses(self.now, &them);
            let is_there = known.iter().any(|(at, known)| *at == addrs[0] && known.source == Source::Signed);
            assert!(is_there || known.len() == self.limits.book_addresses, "{known:?}");
        }
        let wrong = self.swarm.handle_identified(self.now, super::peer(2), said);
        assert_eq!(wrong, Err(RecordError::WrongPeer { got: them }));
    }
}

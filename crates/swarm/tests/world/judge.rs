//! What the swarm must answer, and whether what it does is right.

use core::time::Duration;

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_swarm::{Action, CloseReason, ConnId, Denied, Event, Kind, Reach, Visit};
use sanswarm_wire::Role;

use super::{Conn, US, World, peer};

const fn limit(name: &'static str, value: usize) -> Result<(), Denied> {
    Err(Denied::Limit { name, value })
}

impl Conn {
    const fn is_live(&self) -> bool {
        self.ready.is_some() && self.closing.is_none()
    }

    fn is_of(&self, id: PeerId) -> bool {
        self.is_live() && self.ready.is_some_and(|(peer, _)| peer == id)
    }

    /// The smaller is the better.
    fn rank(&self) -> (bool, usize) {
        let (them, serial) = self.ready.expect("ready");
        let (dialer, listener) = if self.role == Role::Dialer { (peer(US), them) } else { (them, peer(US)) };
        (dialer > listener, serial)
    }
}

impl World {
    fn count(&self, is: impl Fn(&Conn) -> bool) -> usize {
        self.alive.iter().filter(|conn| is(conn)).count()
    }

    pub(super) fn judge_accept(&self, remote: &Multiaddr) -> Result<(), Denied> {
        let limits = &self.limits;
        let inbound = |conn: &Conn| conn.role == Role::Listener;
        let memory: usize = self.alive.iter().map(|conn| conn.memory).sum();
        // Each host of the model is a network of its own.
        let of_host = self.count(|conn| inbound(conn) && conn.address == *remote);
        if self.shut {
            Err(Denied::ShuttingDown)
        } else if self.count(|conn| conn.ready.is_some()) >= limits.established {
            limit("established", limits.established)
        } else if self.count(|conn| conn.ready.is_some() && inbound(conn)) >= limits.established_inbound {
            limit("established_inbound", limits.established_inbound)
        } else if self.count(|conn| conn.ready.is_none() && inbound(conn)) >= limits.pending_inbound {
            limit("pending_inbound", limits.pending_inbound)
        } else if of_host >= limits.inbound_per_prefix {
            limit("inbound_per_prefix", limits.inbound_per_prefix)
        } else if !self.rules.has_credit(self.now, Some(remote)) {
            limit("accepts_per_prefix", limits.accepts_per_prefix)
        } else if !self.rules.has_credit(self.now, None) {
            limit("accepts_per_second", limits.accepts_per_second)
        } else if memory + (80 << 10) > limits.memory {
            limit("memory", limits.memory)
        } else if self.rules.blocks_host(remote) {
            Err(Denied::Blocked)
        } else {
            self.rules.judge_gate(&Visit::Accept { local: &super::address(0), remote })
        }
    }

    pub(super) fn judge_ready(&self, id: ConnId, them: PeerId) -> Result<(), Denied> {
        let limits = &self.limits;
        let Some(conn) = self.alive.iter().find(|conn| conn.id == id) else { return Err(Denied::Unknown) };
        if conn.ready.is_some() {
            return if conn.closing.is_none() { Ok(()) } else { Err(Denied::Unknown) };
        }
        let ready = |role: Role| self.count(|conn| conn.ready.is_some() && conn.role == role);
        let (inbound, outbound) = (ready(Role::Listener), ready(Role::Dialer));
        if them == peer(US) {
            Err(Denied::Ourselves)
        } else if let Some(expected) = conn.expected.filter(|expected| *expected != them) {
            Err(Denied::WrongPeer { expected })
        } else if self.shut {
            Err(Denied::ShuttingDown)
        } else if inbound + outbound >= limits.established {
            limit("established", limits.established)
        } else if conn.role == Role::Listener && inbound >= limits.established_inbound {
            limit("established_inbound", limits.established_inbound)
        } else if conn.role == Role::Dialer && outbound >= limits.established_outbound {
            limit("established_outbound", limits.established_outbound)
        } else if self.count(|conn| conn.is_of(them)) >= limits.established_per_peer {
            limit("established_per_peer", limits.established_per_peer)
        } else if self.rules.blocks_peer(them) || self.rules.blocks_host(&conn.address) {
            Err(Denied::Blocked)
        } else {
            self.rules.judge_gate(&Visit::Secured { peer: them, role: conn.role, address: &conn.address })
        }
    }

    pub(super) fn judge_action(&mut self, action: Action) {
        match action {
            Action::Dial { conn, address, peer, .. } => self.judge_dial(conn, address, peer),
            Action::Abandon { conn } => {
                let known = self.known(conn).expect("abandoned once");
                assert!(known.ready.is_none() && !known.connected, "{known:?}");
                self.alive.retain(|known| known.id != conn);
            }
            Action::Close { conn, reason } => self.judge_close(conn, reason),
            Action::Resolve { resolve, .. } => {
                assert!(!self.resolves.contains(&resolve), "a name is never given twice");
                self.resolves.push(resolve);
            }
            Action::Listen { address } => assert!(self.rules.asked_to_listen.remove(&address)),
            other => panic!("{other:?}"),
        }
    }

    fn judge_dial(&mut self, id: ConnId, address: Multiaddr, expected: Option<PeerId>) {
        assert!(!self.conns.contains(&id), "a name is never given twice");
        assert!(!self.shut, "nothing new");
        assert_ne!(Kind::of(&address).reach, Reach::Unroutable);
        assert!(expected.is_none_or(|them| them != peer(US)));
        assert!(expected.is_none_or(|them| !self.rules.blocks_peer(them)), "{expected:?} is blocked");
        assert!(!self.rules.blocks_host(&address), "{address} is blocked");
        let memory: usize = self.alive.iter().map(|conn| conn.memory).sum();
        assert!(memory + (80 << 10) <= self.limits.memory, "{memory} bytes are held");
        if let Some((times, at)) = self.failures.get(&(expected, address.clone())) {
            // Three quarters of the rest at least.
            let rest = Duration::from_millis(750).saturating_mul(1 << (*times - 1).min(8));
            let rested = self.now.since(*at);
            assert!(rested >= rest.min(Duration::from_secs(225)), "{address} rests {rested:?} after {times} failures");
        }
        self.conns.push(id);
        self.alive.push(Conn {
            id,
            role: Role::Dialer,
            address,
            expected,
            connected: false,
            ready: None,
            streams: 0,
            idle_since: self.now,
            closing: None,
            memory: 80 << 10,
        });
        let pending = self.count(|conn| conn.ready.is_none() && conn.role == Role::Dialer);
        assert!(pending <= self.limits.pending_outbound, "{pending} attempts at once");
    }

    fn judge_close(&mut self, id: ConnId, reason: CloseReason) {
        let (now, limits) = (self.now, self.limits);
        let Some(conn) = self.alive.iter().find(|conn| conn.id == id).cloned() else {
            assert!(matches!(reason, CloseReason::Denied(_)), "closed once: {reason:?}");
            return;
        };
        let Some((them, _)) = conn.ready else {
            self.alive.retain(|conn| conn.id != id);
            assert!(conn.connected, "what is not connected is abandoned");
            return;
        };
        assert_eq!(conn.closing, None, "closed once");
        let idle = now.since(conn.idle_since);
        let is_kept = self.keeps.iter().any(|(_, id)| *id == them);
        let has_better = self.alive.iter().any(|other| other.is_of(them) && other.rank() < conn.rank());
        let is_free = conn.streams == 0;
        let is_right = match reason {
            CloseReason::Requested => true,
            CloseReason::Denied(Denied::Blocked) => true,
            CloseReason::Idle { after } => is_free && !is_kept && idle >= after && Some(after) == limits.idle,
            CloseReason::Surplus => is_free && conn.role == Role::Dialer && has_better && idle >= limits.surplus,
            CloseReason::Trimmed { .. } => {
                let live = self.count(Conn::is_live);
                let is_spared = is_kept || self.protected.contains(&them);
                is_free && !is_spared && live > limits.low_water && idle >= limits.trim_grace
            }
            CloseReason::Shutdown | CloseReason::Cut => self.shut,
            _ => false,
        };
        assert!(is_right, "{conn:?} closed by {reason:?} after {idle:?}");
        if let Some(conn) = self.known(id) {
            conn.closing = Some(reason);
        }
    }

    pub(super) fn judge_event(&mut self, event: Event) {
        match event {
            Event::Connected { conn, peer, .. } => {
                let known = self.known(conn).and_then(|conn| conn.ready);
                assert_eq!(known.map(|(id, _)| id), Some(peer));
            }
            Event::Disconnected { conn, peer, reason } => {
                let known = self.known(conn).expect("it was there").clone();
                assert_eq!((known.ready.map(|(id, _)| id), known.closing), (Some(peer), reason));
                self.alive.retain(|known| known.id != conn);
            }
            Event::Dialed { dial, conn, peer } => {
                let now = self.now;
                let known = self.known(conn).expect("answered by a connection that is there");
                assert!(known.is_of(peer));
                if known.streams == 0 {
                    known.idle_since = now;
                }
                *self.answers.entry(dial).or_default() += 1;
            }
            Event::DialFailed { dial, attempts, .. } => {
                assert!(attempts.len() <= self.limits.addresses_per_dial + 1);
                *self.answers.entry(dial).or_default() += 1;
            }
            Event::ShutDown { .. } => {
                assert!(self.shut && !core::mem::replace(&mut self.told_shut, true));
            }
            Event::Listening { address } => assert!(self.rules.told_to_listen.remove(&address), "{address}"),
            Event::ListenFailed { address, .. } => assert!(self.rules.told_to_fail.remove(&address), "{address}"),
            other => panic!("{other:?}"),
        }
    }

    /// What the swarm says is there is what the model says.
    pub(super) fn compare(&self) {
        for id in (1..=5).map(peer) {
            let mut expected: Vec<_> = self.alive.iter().filter(|conn| conn.is_of(id)).collect();
            expected.sort_by_key(|conn| conn.rank());
            let expected: Vec<_> = expected.into_iter().map(|conn| conn.id).collect();
            assert_eq!(self.swarm.connections(&id).collect::<Vec<_>>(), expected);
        }
        let Some(idle) = self.limits.idle else { return };
        for conn in self.alive.iter().filter(|conn| conn.is_live() && conn.streams == 0) {
            let is_kept = self.keeps.iter().any(|(_, id)| conn.is_of(*id));
            assert!(is_kept || self.now.since(conn.idle_since) <= idle || self.is_early(conn, idle), "{conn:?} stays");
        }
    }

    /// Whether no time has been told since the deadline.
    fn is_early(&self, conn: &Conn, idle: Duration) -> bool {
        self.swarm.poll_timeout().is_some_and(|deadline| deadline.at <= conn.idle_since + idle)
    }
}

//! Scenarios in virtual time.

mod book;
mod counters;
mod dialing;
mod entry;
mod lifetimes;
mod policy;
mod random;
mod simultaneous;
mod staying;

use core::time::Duration;

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_wire::Instant;

use crate::*;

pub(crate) const US: u8 = 1;
pub(crate) const REFUSED: TransportError = TransportError::Refused;

pub(crate) fn peer(id: u8) -> PeerId {
    PeerId::from_bytes(&[0, 1, id]).unwrap()
}

pub(crate) fn addr(host: u8) -> Multiaddr {
    format!("/ip4/20.0.0.{host}/tcp/4001").parse().unwrap()
}

pub(crate) fn addrs(hosts: impl IntoIterator<Item = u8>) -> Vec<Multiaddr> {
    hosts.into_iter().map(addr).collect()
}

pub(crate) fn ms(millis: u64) -> Instant {
    Instant::from_micros(millis * 1000)
}

pub(crate) fn swarm_with(limits: Limits) -> Swarm {
    let mut swarm = Swarm::new(peer(US), limits);
    swarm.add_transport(Transport::tcp());
    swarm
}

pub(crate) fn swarm() -> Swarm {
    swarm_with(Limits::default())
}

impl Swarm {
    pub(crate) fn actions(&mut self) -> Vec<Action> {
        core::iter::from_fn(|| self.poll_action()).collect()
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        core::iter::from_fn(|| self.poll_event()).collect()
    }

    /// The connections and hosts of the dials that are to be done now, and nothing else is.
    pub(crate) fn dialing(&mut self) -> Vec<(ConnId, Multiaddr)> {
        let dial = |action| match action {
            Action::Dial { conn, address, .. } => (conn, address),
            other => panic!("{other:?}"),
        };
        self.actions().into_iter().map(dial).collect()
    }

    /// An inbound connection that is ready.
    pub(crate) fn inbound(&mut self, id: u8) -> ConnId {
        let conn = self.handle_accepted(ms(0), addr(0), addr(id)).unwrap();
        self.handle_ready(ms(0), conn, peer(id)).unwrap();
        conn
    }

    /// What is counted agrees with what is there.
    pub(crate) fn check(&self) {
        let pending = |dialer: bool| {
            let of =
                |conn: &connection::Conn| matches!(conn, connection::Conn::Pending(p) if p.role.is_dialer() == dialer);
            self.conns.iter().filter(|(_, conn)| of(conn)).count()
        };
        assert_eq!((pending(true), pending(false)), (self.pending_outbound, self.pending_inbound));
        assert_eq!(self.conns.len(), self.pending_outbound + self.pending_inbound + self.established);
        assert!(self.pending_outbound <= self.limits.pending_outbound);
        assert!(self.pending_inbound <= self.limits.pending_inbound);
        assert!(self.established <= self.limits.established);
        assert!(self.resolves.len() <= self.limits.resolves);
        assert!(self.backoffs.len() <= self.limits.backoffs);
        for (_, plan) in self.plans.iter() {
            assert!(!plan.dials.is_empty());
            assert!(plan.active.len() <= self.limits.dials_per_peer.max(1));
            assert!(plan.attempts.len() <= self.limits.addresses_per_dial + 1);
            let waits = !plan.active.is_empty() || plan.turn.is_some() || !plan.resolving.is_empty();
            assert!(waits, "a plan that waits for nothing");
        }
        let mut of_peers = 0;
        #[expect(clippy::disallowed_methods, reason = "a sum")]
        for peer in self.peers.values() {
            of_peers += peer.conns.len();
            assert!(peer.conns.len() <= self.limits.established_per_peer);
            assert!(!peer.conns.is_empty() || peer.plan.is_some() || peer.keeps > 0 || peer.protected);
        }
        assert_eq!(of_peers, self.live);
        self.check_idle();
        self.check_counters();
    }

    /// Everything that was begun has ended in one way, or is there.
    fn check_counters(&self) {
        let counters = self.counters();
        let Counters { attempts, dials, .. } = counters;
        let ended = attempts.succeeded + attempts.connect + attempts.upgrade + attempts.denied + attempts.abandoned;
        assert_eq!(attempts.begun, ended + counters.pending_outbound);
        assert_eq!(attempts.succeeded, counters.established_outbound);
        let taken_in = counters.established_inbound + counters.accept_failed + counters.pending_inbound;
        assert_eq!(counters.accepted, taken_in);
        let established = counters.established_inbound + counters.established_outbound;
        assert_eq!(established, counters.closed + counters.open);
        assert_eq!((dials.pending(), counters.open), (self.dials.len() as u64, self.established as u64));
    }

    /// Those that may be trimmed are those that are idle and that nobody keeps or protects.
    fn check_idle(&self) {
        let (mut idle, mut inbound, mut memory) = (Vec::new(), 0, 0);
        for (key, conn) in self.conns.iter() {
            let connection::Conn::Ready(ready) = conn else {
                memory += admission::PENDING_BYTES;
                continue;
            };
            memory += ready.memory as u64;
            inbound += usize::from(!ready.info.role.is_dialer());
            let peer = self.peers.get(&ready.info.peer);
            let is_free = peer.is_some_and(|peer| peer.keeps == 0 && !peer.protected);
            if ready.closing.is_none() && ready.streams == 0 && is_free {
                idle.push((ready.idle_since, ConnId(key)));
            }
        }
        idle.sort_unstable();
        assert_eq!(idle, self.idle.iter().copied().collect::<Vec<_>>());
        assert_eq!((inbound, memory), (self.counts.inbound, self.counts.memory));
    }

    /// Whether nothing is left of anything.
    pub(crate) fn is_clean(&self) -> bool {
        self.conns.is_empty()
            && self.dials.is_empty()
            && self.plans.is_empty()
            && self.resolves.is_empty()
            && self.peers.is_empty()
            && self.queue.is_empty()
            && self.idle.is_empty()
            && self.live == 0
            && self.counts.is_clean()
            && self.timers.next().is_none()
    }
}

pub(crate) fn failures(event: &Event) -> Vec<(AttemptFailure, Duration)> {
    match event {
        Event::DialFailed { attempts, .. } => attempts.iter().map(|a| (a.failure, a.elapsed)).collect(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn cause(event: &Event) -> (DialId, DialError) {
    match event {
        Event::DialFailed { dial, cause, .. } => (*dial, *cause),
        other => panic!("{other:?}"),
    }
}

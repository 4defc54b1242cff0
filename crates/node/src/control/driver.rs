//! What the driver of a control calls: facts and messages in, actions and events out.

use multiaddr::Multiaddr;
use sanswarm_connection::Connection;
use sanswarm_swarm::{ConnId, Denied, TransportError};
use sanswarm_wire::{Deadline, Instant, Role};

use super::{Conn, Control, Upgrade, within::merge};
use crate::{
    Action, CloseReason, CloseRule, Event, Link, OpenStreamError, PingError, ToControl, ToLink,
    link::Setup,
    message::{ToControlKind, ToLinkKind},
};

impl Control {
    // ---- the driver's calls

    /// The socket of an [`Action::Dial`] is connected, and its bytes are not secure yet. `secret` is 32 random bytes that
    /// are used for nothing else. `None`: nobody waits for it any more; drop the socket.
    pub fn handle_dialed(&mut self, now: Instant, conn: ConnId, secret: [u8; 32]) -> Option<Link> {
        self.upgrade(now, conn, None, Upgrade::Raw(secret))
    }

    /// The socket of an [`Action::Dial`] could not be connected.
    pub fn handle_dial_failed(&mut self, now: Instant, conn: ConnId, cause: TransportError) {
        if self.conns.get(&conn).is_some_and(|conn| conn.has_link) {
            return; // It was connected: its link says how it ends.
        }
        self.conns.remove(&conn);
        self.swarm.handle_dial_failed(now, conn, cause);
        self.drain_swarm();
    }

    /// A listener has accepted a socket whose bytes are not secure yet. `secret` as in
    /// [`handle_dialed`](Self::handle_dialed).
    ///
    /// # Errors
    /// [`Denied`]: it may not stay; drop the socket.
    pub fn handle_accepted(
        &mut self,
        now: Instant,
        local: Multiaddr,
        remote: Multiaddr,
        secret: [u8; 32],
    ) -> Result<Link, Denied> {
        let conn = self.add_pipe(now, local, remote)?;
        self.upgrade(now, conn, None, Upgrade::Raw(secret)).ok_or(Denied::Unknown)
    }

    /// Takes a pipe in that somebody else has made, without starting anything on it.
    pub(crate) fn add_pipe(&mut self, now: Instant, local: Multiaddr, remote: Multiaddr) -> Result<ConnId, Denied> {
        let conn = self.swarm.handle_accepted(now, local, remote.clone())?;
        let role = Role::Listener;
        self.conns.insert(
            conn,
            Box::new(Conn { role, accepted: true, address: remote, expected: None, has_link: false, ready: None }),
        );
        Ok(conn)
    }

    /// Makes the link of a pipe. `None` if the pipe is unknown or has a link already.
    pub(crate) fn upgrade(&mut self, now: Instant, id: ConnId, role: Option<Role>, how: Upgrade) -> Option<Link> {
        let conn = self.conns.get_mut(&id).filter(|conn| !conn.has_link)?;
        conn.has_link = true;
        // A socket that was dialled is connected now.
        self.swarm.handle_dialed(now, id);
        conn.role = role.unwrap_or(conn.role);
        let role = conn.role;
        let config = self.connection.clone();
        let machine = match how {
            Upgrade::Raw(secret) => Connection::new(now, role, config, conn.expected, secret),
            Upgrade::Secure(peer) => Connection::secured(now, role, config, peer),
        };
        self.seed = self.seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        let setup = Setup {
            handlers: self.handlers.clone(),
            labels: self.labels.clone(),
            gate: self.gate.clone(),
            info: self.infos.of(&conn.address),
            observed: conn.address.to_vec().into(),
            ping_interval: self.config.ping_interval,
            ping_timeout: self.config.ping_timeout,
            identify_timeout: self.config.identify_timeout,
            seed: self.seed,
            transcript: self.config.transcript,
            budget: self.budget.clone(),
        };
        Some(Link::new(id, machine, setup))
    }

    /// An address is bound.
    pub fn handle_listening(&mut self, address: Multiaddr) {
        self.swarm.handle_listening(address);
        self.drain_swarm();
        self.rewrite_info();
    }

    /// An address cannot be listened on, or not any more.
    pub fn handle_listen_failed(&mut self, address: Multiaddr, cause: TransportError) {
        self.swarm.handle_listen_failed(address, cause);
        self.drain_swarm();
        self.rewrite_info();
    }

    /// A listener has ended by command. `wanted` is the address by which it was asked for, `bound` what had been bound.
    pub fn handle_unlistened(&mut self, wanted: &Multiaddr, bound: &[Multiaddr]) {
        self.swarm.handle_unlistened(wanted, bound);
        self.drain_swarm();
        self.rewrite_info();
    }

    /// A message from a link.
    pub fn handle_control(&mut self, now: Instant, id: ConnId, message: ToControl) {
        match message.0 {
            ToControlKind::Ready { peer, security, muxer, round_trips } => {
                self.tally.round_trips.note(round_trips);
                if let Some(conn) = self.conns.get_mut(&id) {
                    conn.ready = Some((peer, security, muxer));
                }
                if self.swarm.handle_ready(now, id, peer).is_err() {
                    self.to_links.push_back((id, ToLink(ToLinkKind::Close)));
                }
            }
            ToControlKind::Identified(identify) => {
                let Some(peer) = self.peer_of(id) else { return };
                if let Ok(info) = &identify {
                    self.remember(now, peer, info);
                    self.peers.insert(peer, Box::new(info.clone()));
                }
                self.events.push_back(Event::PeerReady { peer, conn: id, identify });
            }
            ToControlKind::Changed(change) => {
                let Some(peer) = self.peer_of(id) else { return };
                let info = self.peers.entry(peer).or_default();
                merge(info, change);
                let info = info.clone();
                self.remember(now, peer, &info);
                self.events.push_back(Event::PeerChanged { peer, conn: id, info: *info });
            }
            ToControlKind::Pong(result) => {
                match &result {
                    Ok(rtt) => self.tally.pings.answered(*rtt),
                    Err(PingError::Busy | PingError::Closed) => {}
                    Err(_) => self.tally.pings.failed += 1,
                }
                let Some(peer) = self.peer_of(id) else { return };
                self.events.push_back(Event::Ping { peer, conn: id, result });
            }
            ToControlKind::Silent => {
                self.swarm.close(now, id, CloseRule::Silent);
            }
            ToControlKind::Streams(streams) => self.swarm.handle_streams(now, id, streams),
            ToControlKind::Memory(bytes) => self.swarm.handle_memory(id, bytes),
            ToControlKind::Counters(counters) => return self.tally.add(&counters),
            ToControlKind::Closed(result) => self.closed(now, id, result),
        }
        self.drain_swarm();
    }

    /// Gives memory back that is of no use while nothing happens. A driver calls this before it waits, or never.
    pub fn shrink(&mut self) {
        self.to_links.shrink_to_fit();
        self.actions.shrink_to_fit();
        self.events.shrink_to_fit();
        self.swarm.shrink();
    }

    /// The next message for a link.
    pub fn poll_link(&mut self) -> Option<(ConnId, ToLink)> {
        self.to_links.pop_front()
    }

    /// A message could not be delivered: its link is gone.
    pub fn handle_undelivered(&mut self, message: ToLink) {
        if let ToLinkKind::Open { request, .. } = message.0 {
            let error = OpenStreamError::Closed(Ok(CloseReason::Local));
            self.events.push_back(Event::OpenFailed { request, error });
        }
    }

    /// The next thing the driver must do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next thing the user may want to know. Events of streams come from the links.
    pub fn poll_event(&mut self) -> Option<Event> {
        let end = |cut| Event::ShutDown { cut };
        self.events.pop_front().or_else(|| self.shut_down.take().map(end))
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.swarm.poll_timeout()
    }

    /// Says that time has passed. An early call does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.swarm.handle_timeout(now);
        self.drain_swarm();
    }
}

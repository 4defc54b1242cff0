//! How a control follows its swarm and its links.

use std::sync::Arc;

use bytes::Bytes;
use libp2p_identity::PeerId;
use sanswarm_connection as connection;
use sanswarm_identify as identify;
use sanswarm_swarm::{self as swarm, ConnId};
use sanswarm_wire::{Instant, Role};

use super::{Conn, Control, Infos, Request, is_loopback};
use crate::{
    Action, Attempt, AttemptCause, CloseReason, DialReport, Event, Info, OpenStreamError, ToLink, message::ToLinkKind,
};

/// How many errors of failed dials are kept for the report that is yet to come.
const FAILURES_MAX: usize = 256;

impl Control {
    // ---- within

    /// Whether the connection became ready and may stay, or stayed until now.
    pub(crate) fn is_admitted(&self, id: ConnId) -> bool {
        self.swarm.connection(id).is_some()
    }

    pub(super) fn peer_of(&self, id: ConnId) -> Option<PeerId> {
        self.swarm.connection(id).map(|info| info.peer)
    }

    pub(super) fn closed(&mut self, now: Instant, id: ConnId, result: Result<CloseReason, connection::Error>) {
        let Some(conn) = self.conns.remove(&id) else { return };
        if let (true, Err(error)) = (self.swarm.is_pending(id), &result) {
            self.tally.failed(conn.accepted, error.stage());
        }
        match (self.swarm.connection(id).is_some(), result) {
            (true, reason) => {
                let (peer, rule) = (self.peer_of(id), self.swarm.closing(id));
                self.tally.ended.note(rule, &reason);
                self.swarm.handle_closed(now, id);
                if let Some(peer) = peer {
                    if !self.swarm.is_connected(&peer) {
                        self.peers.remove(&peer);
                    }
                    self.drain_swarm();
                    self.events.push_back(Event::Disconnected { peer, conn: id, reason, rule });
                }
            }
            (false, Err(error)) if conn.accepted => {
                self.swarm.handle_failed(now, id);
                self.events.push_back(Event::AcceptFailed { address: conn.address, error });
            }
            (false, result) => {
                if let Err(error) = result {
                    if self.failures.len() == FAILURES_MAX {
                        self.failures.pop_front();
                    }
                    self.failures.push_back((id, error));
                }
                self.swarm.handle_failed(now, id);
            }
        }
    }

    /// Takes what the swarm has to say, and does what is ours.
    pub(super) fn drain_swarm(&mut self) {
        while let Some(event) = self.swarm.poll_event() {
            self.handle_swarm(event);
        }
        while let Some(action) = self.swarm.poll_action() {
            match action {
                swarm::Action::Dial { conn, address, peer, .. } => {
                    let role = Role::Dialer;
                    let (to, expected) = (address.clone(), peer);
                    let entry = Conn { role, accepted: false, address: to, expected, has_link: false, ready: None };
                    self.conns.insert(conn, Box::new(entry));
                    self.actions.push_back(Action::Dial { conn, address });
                }
                swarm::Action::Abandon { conn } => {
                    self.conns.remove(&conn);
                    self.actions.push_back(Action::Abandon { conn });
                }
                swarm::Action::Close { conn, .. } => {
                    if self.conns.get(&conn).is_some_and(|conn| conn.has_link) {
                        self.to_links.push_back((conn, ToLink(ToLinkKind::Close)));
                    } else {
                        self.conns.remove(&conn);
                        self.actions.push_back(Action::Close { conn });
                    }
                }
                swarm::Action::Resolve { resolve, question } => {
                    self.actions.push_back(Action::Resolve { resolve, question });
                }
                swarm::Action::Listen { address } => self.actions.push_back(Action::Listen { address }),
                swarm::Action::Unlisten { address } => self.actions.push_back(Action::Unlisten { address }),
                _ => {}
            }
        }
    }

    fn handle_swarm(&mut self, event: swarm::Event) {
        match event {
            swarm::Event::Connected { conn, peer, address, .. } => {
                let Some(known) = self.conns.get(&conn) else { return };
                let (role, Some((_, security, muxer))) = (known.role, known.ready) else { return };
                self.events.push_back(Event::Connected { peer, conn, role, address, security, muxer });
            }
            swarm::Event::Dialed { dial, conn, peer } => self.dialed(dial, conn, peer),
            swarm::Event::DialFailed { dial, peer, cause, attempts } => {
                let Some(request) = self.dials.remove(&dial) else { return };
                self.requests.remove(request.0);
                let attempts = attempts.into_iter().map(|attempt| self.attempt(attempt)).collect();
                let error = OpenStreamError::Dial(DialReport { peer, cause, attempts });
                self.events.push_back(Event::OpenFailed { request, error });
            }
            swarm::Event::ShutDown { cut } => self.shut_down = Some(cut),
            swarm::Event::Listening { address } => self.events.push_back(Event::Listening { address }),
            swarm::Event::Unlistened { address } => self.events.push_back(Event::Unlistened { address }),
            swarm::Event::ListenFailed { address, cause } => {
                self.events.push_back(Event::ListenFailed { address, cause });
            }
            // `closed` tells of it, with the reason that the link gave.
            _ => {}
        }
    }

    fn dialed(&mut self, dial: swarm::DialId, conn: ConnId, peer: PeerId) {
        let Some(request) = self.dials.remove(&dial) else { return };
        let Some(Request { protocols, how, tell_dialed, .. }) = self.requests.remove(request.0) else { return };
        if tell_dialed {
            self.events.push_back(Event::Dialed { request, conn, peer });
        }
        if let Some(protocols) = protocols {
            let labels = self.labels.clone();
            self.to_links.push_back((conn, ToLink(ToLinkKind::Open { request, protocols, how, labels })));
        }
    }

    /// Puts the error of the connection, which the swarm never saw, into the report.
    fn attempt(&self, attempt: swarm::Attempt) -> Attempt {
        let known = self.failures.iter().rev().find(|(conn, _)| Some(*conn) == attempt.conn);
        let cause = match known {
            Some((_, error)) => AttemptCause::Connection(error.clone()),
            None => AttemptCause::Dial(attempt.failure),
        };
        Attempt { address: attempt.address, cause, reached: attempt.reached, elapsed: attempt.elapsed }
    }

    /// Writes into the peer book what a peer said of itself. A record that is not believed is as good as none.
    pub(super) fn remember(&mut self, now: Instant, peer: PeerId, info: &Info) {
        let said = swarm::Identified {
            addrs: &info.listen_addrs,
            protocols: &info.protocols,
            agent: info.agent.as_deref(),
            record: info.signed_peer_record.as_deref(),
        };
        let _ = self.swarm.handle_identified(now, peer, said);
    }

    /// What we sign about where we listen, if that is configured and there is something to say.
    fn sign_record(&mut self) -> Option<Bytes> {
        let (near, far): (Vec<_>, Vec<_>) = self.swarm.advertised().partition(is_loopback);
        let addrs = if far.is_empty() { near } else { far };
        let seq = self.config.record_seq.as_mut().filter(|_| !addrs.is_empty())?;
        let record = swarm::PeerRecord::seal(&self.config.keypair, *seq, &addrs).ok()?;
        *seq += 1;
        Some(record.into())
    }

    /// Makes anew what identify says of us, and tells the links.
    pub(super) fn rewrite_info(&mut self) {
        let signed_peer_record = self.sign_record();
        let addrs = |near| self.swarm.advertised().filter(move |address| near || !is_loopback(address));
        let listed = |near| addrs(near).map(|address| address.to_vec().into()).collect();
        let far = identify::Info {
            public_key: Some(self.config.keypair.public().encode_protobuf().into()),
            listen_addrs: listed(false),
            protocols: self.handlers.protocols(),
            observed_addr: None,
            protocol_version: Some("ipfs/0.1.0".to_owned()),
            agent_version: Some(self.config.agent.clone()),
            signed_peer_record,
        };
        let near = identify::Info { listen_addrs: listed(true), ..far.clone() };
        self.infos = Infos { near: Arc::new(near), far: Arc::new(far) };
        for (id, conn) in &self.conns {
            if conn.has_link {
                let (handlers, info) = (self.handlers.clone(), self.infos.of(&conn.address));
                let labels = self.labels.clone();
                self.to_links.push_back((*id, ToLink(ToLinkKind::Handlers { handlers, labels, info })));
            }
        }
    }
}

/// Takes over what a push says; what it leaves out stays.
pub(super) fn merge(info: &mut Info, change: Info) {
    let Info { agent, protocol_version, protocols, listen_addrs, observed_addr, signed_peer_record } = change;
    info.agent = agent.or(info.agent.take());
    info.protocol_version = protocol_version.or(info.protocol_version.take());
    info.observed_addr = observed_addr.or(info.observed_addr.take());
    info.signed_peer_record = signed_peer_record.or(info.signed_peer_record.take());
    if !protocols.is_empty() {
        info.protocols = protocols;
    }
    if !listen_addrs.is_empty() {
        info.listen_addrs = listen_addrs;
    }
}

//! Ping and identify on a link.

use std::sync::Arc;

use sanswarm_connection as connection;
use sanswarm_identify as identify;
use sanswarm_multistream::ProtocolName;
use sanswarm_ping as ping;
use sanswarm_wire::Instant;

use super::{Link, SERVICES_MAX, SILENT_PINGS};
use crate::{
    IdentifyError, Info, Open, PingError,
    message::ToControlKind,
    service::{Kind, Outcome, Service},
};

impl Link {
    pub(super) fn start_service(
        &mut self,
        now: Instant,
        name: ProtocolName,
        service: Service,
    ) -> Option<connection::StreamId> {
        // Lazy: their first message says nothing that could be read as a proposal, and mostly there is none.
        let is_reader = matches!(service.kind, Kind::Listen { .. });
        let how = if is_reader { connection::Open::Lazy } else { connection::Open::Wait };
        let label = self.setup.labels.get(&name);
        let id = self.conn.open(now, Arc::new([name]), how).ok()?;
        self.conn.set_label(id, label);
        self.services.insert(id, Box::new(service));
        Some(id)
    }

    pub(super) fn service_opened(&mut self, now: Instant, id: connection::StreamId) {
        let payload = self.payload();
        if let Some(Kind::Ping(pinger)) = self.services.get_mut(&id).map(|service| &mut service.kind) {
            pinger.start(now, payload);
            self.ping_is_open = true;
        }
        self.due.push_back(id);
        self.read_service(now, id);
    }

    /// Starts a ping if none is under way.
    pub(super) fn start_ping(&mut self, now: Instant) -> bool {
        let started = self.try_ping(now);
        if started {
            self.received_before_ping = self.received;
        }
        started
    }

    fn try_ping(&mut self, now: Instant) -> bool {
        let payload = self.payload();
        match self.ping.and_then(|id| Some((id, &mut self.services.get_mut(&id)?.kind))) {
            Some(_) if !self.ping_is_open => false,
            Some((id, Kind::Ping(pinger))) => {
                let started = pinger.start(now, payload);
                self.due.push_back(id);
                started
            }
            _ if self.peer.is_none() || self.ended => false,
            _ => {
                let (name, service) = Service::ping(self.setup.ping_timeout);
                self.ping = self.start_service(now, name, service);
                self.ping_is_open = false;
                self.ping.is_some()
            }
        }
    }

    /// 32 bytes that nobody has sent before (splitmix64).
    fn payload(&mut self) -> [u8; 32] {
        let mut payload = [0; 32];
        for eight in payload.chunks_exact_mut(8) {
            self.setup.seed = self.setup.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut x = self.setup.seed;
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            eight.copy_from_slice(&(x ^ (x >> 31)).to_le_bytes());
        }
        payload
    }

    pub(super) fn read_service(&mut self, now: Instant, id: connection::StreamId) {
        while let Some(service) = self.services.get_mut(&id) {
            let outcome = service.read(now, id, &mut self.conn);
            if service.is_due() {
                self.due.push_back(id);
            }
            match outcome {
                None => return,
                Some(Outcome::Pong(rtt)) => self.tell(ToControlKind::Pong(Ok(rtt))),
                Some(Outcome::PingFailed(error)) => self.ping_failed(error),
                Some(Outcome::Info { info, push }) => {
                    if info.is_err() {
                        let _ = self.conn.reset(id);
                        self.services.remove(&id);
                    }
                    self.heard(now, info, push);
                    return;
                }
                Some(Outcome::Ended) => {
                    if self.services.get(&id).is_some_and(|service| service.is_over()) {
                        self.services.remove(&id);
                    }
                    return;
                }
            }
        }
    }

    pub(super) fn ping_failed(&mut self, error: PingError) {
        if let Some(id) = self.ping.take() {
            self.services.remove(&id);
            let _ = self.conn.reset(id);
            let timed_out = matches!(error, PingError::Echo(ping::Error::Timeout { .. }));
            self.tell(ToControlKind::Pong(Err(error)));
            if timed_out {
                self.check_silence();
            }
        }
    }

    /// A ping was not answered in time. If nothing else has come either, though we would have read it, and with the next ping it
    /// is the same, nobody is there any more.
    pub(super) fn check_silence(&mut self) {
        let is_silent = self.received == self.received_before_ping && !self.is_held();
        self.silent_pings = if is_silent { self.silent_pings.saturating_add(1) } else { 0 };
        if self.silent_pings == SILENT_PINGS {
            self.tell(ToControlKind::Silent);
        }
    }

    pub(super) fn service_gone(&mut self, now: Instant, id: connection::StreamId, service: &Service) {
        match service.kind {
            Kind::Ping(_) if self.ping == Some(id) => {
                self.ping = None;
                self.tell(ToControlKind::Pong(Err(PingError::Closed)));
            }
            Kind::Listen { push: false, .. } => self.identified(now, Err(IdentifyError::Closed)),
            _ => self.check_pushed(now, id),
        }
    }

    fn heard(&mut self, now: Instant, info: Result<identify::Info, identify::Error>, push: bool) {
        let info = match info {
            Ok(raw) if !self.is_key_of_peer(&raw) => Err(IdentifyError::WrongKey),
            Ok(raw) => Ok(Info::read(&raw)),
            Err(error) => Err(IdentifyError::Message(error)),
        };
        if let (Ok(info), true) = (&info, push) {
            // A push leaves out what has not changed.
            if !info.protocols.is_empty() {
                self.speaks = Some(info.protocols.iter().cloned().collect());
            }
            return self.tell(ToControlKind::Changed(info.clone()));
        }
        if !push {
            self.identified(now, info);
        }
    }

    fn is_key_of_peer(&self, raw: &identify::Info) -> bool {
        let Some(key) = &raw.public_key else { return true };
        libp2p_identity::PublicKey::try_decode_protobuf(key).is_ok_and(|key| Some(key.to_peer_id()) == self.peer)
    }

    /// Tells once what identify came to.
    pub(super) fn identified(&mut self, now: Instant, info: Result<Info, IdentifyError>) {
        if core::mem::replace(&mut self.identified, true) {
            return;
        }
        self.identify_until = None;
        if let Ok(info) = &info {
            self.speaks = Some(info.protocols.iter().cloned().collect());
        }
        self.tell(ToControlKind::Identified(info));
        for (request, protocols) in core::mem::take(&mut self.waiting) {
            self.open(now, request, &protocols, Open::KnownOnly);
        }
        // What has changed before we knew that it wants to hear of it.
        self.push(now);
    }

    /// Tells a peer that listens to pushes what has changed about us.
    pub(super) fn push(&mut self, now: Instant) {
        let is_wanted = self.speaks.as_ref().is_some_and(|speaks| speaks.contains(identify::PUSH_NAME));
        // One at a time, so that the peer hears the last word last.
        let has_room = self.services.len() < SERVICES_MAX;
        if is_wanted && has_room && self.push_due && self.push.is_none() && !self.ended {
            let (name, service) = Service::push(self.setup.info.encode(&Default::default()));
            self.push = self.start_service(now, name, service);
            self.push_due = false;
        }
    }

    /// If the push on this stream is over as far as we are concerned: what came up since is pushed next.
    pub(super) fn check_pushed(&mut self, now: Instant, id: connection::StreamId) {
        if self.push != Some(id) || self.services.get(&id).is_some_and(|service| service.is_due()) {
            return;
        }
        self.push = None;
        self.push(now);
    }
}

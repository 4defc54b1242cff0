//! What happens to the streams of a link.

use std::sync::Arc;

use sanswarm_connection::{self as connection, Direction, Goodbye, Stage};
use sanswarm_identify as identify;
use sanswarm_multistream::ProtocolName;
use sanswarm_swarm::Visit;
use sanswarm_wire::Instant;

use super::{Link, SERVICES_MAX, WAITING_MAX};
use crate::{
    CloseReason, Event, IdentifyError, Open, OpenId, OpenStreamError, PingError, Protocols, Refusal, RefusalCause,
    StreamId, ToControl,
    message::ToControlKind,
    service::{Kind, Service},
};

impl Link {
    pub(super) fn tell(&mut self, message: ToControlKind) {
        self.to_control.push_back(ToControl(message));
    }

    fn stream(&self, stream: connection::StreamId) -> StreamId {
        StreamId { conn: self.id, stream }
    }

    pub(super) fn handle_event(&mut self, now: Instant, event: connection::Event) {
        match event {
            connection::Event::Ready { peer, security, muxer } => {
                self.peer = Some(peer);
                let round_trips = self.conn.stats().ready.map_or(0, |mark| mark.round_trips);
                self.tell(ToControlKind::Ready { peer, security, muxer, round_trips });
                self.identify_until = Some(now + self.setup.identify_timeout);
                self.next_ping = self.setup.ping_interval.map(|interval| now + interval);
                let (name, service) = Service::identify();
                self.identify = self.start_service(now, name, service);
                if self.identify.is_none() {
                    self.identified(now, Err(IdentifyError::Closed));
                }
            }
            connection::Event::Opened { stream, protocol, direction } => {
                self.opened(now, stream, protocol, direction);
            }
            connection::Event::Refused { stream, refusal } => self.refused(now, stream, refusal),
            connection::Event::Readable { stream } if self.services.contains_key(&stream) => {
                self.read_service(now, stream);
            }
            connection::Event::Finished { stream } if self.services.contains_key(&stream) => {
                self.read_service(now, stream);
            }
            connection::Event::Writable { stream } if self.services.contains_key(&stream) => self.due.push_back(stream),
            connection::Event::Reset { stream } => {
                if let Some(service) = self.services.remove(&stream) {
                    self.service_gone(now, stream, &service);
                } else {
                    self.events.push_back(Event::Reset { stream: self.stream(stream) });
                }
            }
            connection::Event::Readable { stream } => {
                self.events.push_back(Event::Readable { stream: self.stream(stream) });
            }
            connection::Event::Writable { stream } => {
                self.events.push_back(Event::Writable { stream: self.stream(stream) });
            }
            connection::Event::Finished { stream } => {
                self.events.push_back(Event::Finished { stream: self.stream(stream) });
            }
            connection::Event::Closed { reason } => self.end(now, Ok(reason)),
            _ => {}
        }
    }

    pub(super) fn open(&mut self, now: Instant, request: OpenId, protocols: &Protocols, how: Open) {
        if how == Open::KnownOnly && !self.is_listed(protocols) && !self.ended {
            if !self.identified && self.waiting.len() < WAITING_MAX {
                return self.waiting.push((request, protocols.clone()));
            }
            let error = OpenStreamError::NotListed { offered: protocols.clone(), told: self.identified };
            return self.events.push_back(Event::OpenFailed { request, error });
        }
        let (names, how) = self.choose(protocols, how);
        let opened = self.conn.open(now, names.clone(), how);
        if let (Ok(id), [name]) = (opened, &names[..]) {
            // Its payload may go before the agreement.
            self.conn.set_label(id, self.setup.labels.get(name));
        }
        match opened {
            Ok(id) if how == connection::Open::Lazy && names.len() == 1 && self.peer.is_some() => {
                self.early.insert(id);
                self.tell_opened(id, Some(request), names[0].clone(), None);
            }
            Ok(id) => drop(self.requests.insert(id, request)),
            Err(error) => {
                self.events.push_back(Event::OpenFailed { request, error: OpenStreamError::Open(error) });
            }
        }
    }

    fn is_listed(&self, protocols: &Protocols) -> bool {
        let speaks = |name: &ProtocolName| self.speaks.as_ref().is_some_and(|speaks| speaks.contains(name.as_str()));
        protocols.0.iter().any(speaks)
    }

    /// With what the peer says that it speaks, only the first name that it lists is offered, and needs no waiting.
    fn choose(&self, protocols: &Protocols, how: Open) -> (Arc<[ProtocolName]>, connection::Open) {
        let listed =
            self.speaks.as_ref().and_then(|speaks| protocols.0.iter().find(|name| speaks.contains(name.as_str())));
        match listed {
            Some(name) => (Arc::new([name.clone()]), connection::Open::Lazy),
            None if how == Open::Lazy => (protocols.0.clone(), connection::Open::Lazy),
            None => (protocols.0.clone(), connection::Open::Wait),
        }
    }

    fn tell_opened(
        &mut self,
        id: connection::StreamId,
        request: Option<OpenId>,
        protocol: ProtocolName,
        handler: Option<crate::HandlerId>,
    ) {
        let Some(peer) = self.peer else { return };
        let stream = self.stream(id);
        self.events.push_back(Event::Opened { handler, request, stream, protocol, peer });
    }

    fn opened(&mut self, now: Instant, id: connection::StreamId, protocol: ProtocolName, direction: Direction) {
        if self.conn.label(id).is_none() {
            self.conn.set_label(id, self.setup.labels.get(&protocol));
        }
        if direction == Direction::Outbound {
            if self.services.contains_key(&id) {
                self.service_opened(now, id);
            } else if !self.early.remove(&id) {
                let request = self.requests.remove(&id);
                self.tell_opened(id, request, protocol, None);
            }
            return;
        }
        let (info, observed) = (&self.setup.info, &self.setup.observed);
        let own =
            || identify::Info { observed_addr: Some(observed.clone()), ..(**info).clone() }.encode(&Default::default());
        if let Some(service) = Service::inbound(&protocol, own) {
            if self.services.len() >= SERVICES_MAX {
                let _ = self.conn.reset(id);
                return;
            }
            self.services.insert(id, Box::new(service));
            self.due.push_back(id);
        } else if let Some(handler) = self.setup.handlers.get(&protocol).filter(|_| self.is_let_in(&protocol)) {
            self.tell_opened(id, None, protocol, Some(handler));
        } else {
            // Its handler was removed while the stream was negotiated, or the gate is against it.
            let _ = self.conn.reset(id);
        }
    }

    fn is_let_in(&self, protocol: &ProtocolName) -> bool {
        let visit = |peer| Visit::Stream { peer, protocol: protocol.as_str() };
        self.peer.is_some_and(|peer| self.setup.gate.check(&visit(peer)).is_ok())
    }

    fn refused(&mut self, now: Instant, id: connection::StreamId, mut refusal: Refusal) {
        refusal.remote = self.speaks.iter().flatten().cloned().collect();
        if let Some(service) = self.services.remove(&id) {
            match service.kind {
                Kind::Ping(_) => {
                    self.ping = None;
                    if refusal.cause == RefusalCause::NotSupported {
                        self.next_ping = None;
                    } // Else it may speak ping, and be silent now: the next ones tell.
                    let timed_out = matches!(refusal.cause, RefusalCause::Timeout(_));
                    self.tell(ToControlKind::Pong(Err(PingError::Refused(refusal))));
                    if timed_out {
                        self.check_silence();
                    }
                }
                Kind::Listen { push: false, .. } => self.identified(now, Err(IdentifyError::Refused(refusal))),
                _ => self.check_pushed(now, id),
            }
        } else if let Some(request) = self.requests.remove(&id) {
            self.events.push_back(Event::OpenFailed { request, error: OpenStreamError::Refused(refusal) });
        } else if self.early.remove(&id) {
            self.events.push_back(Event::Refused { stream: self.stream(id), refusal });
        }
    }

    pub(super) fn end(&mut self, now: Instant, mut result: Result<CloseReason, connection::Error>) {
        if core::mem::replace(&mut self.ended, true) {
            return;
        }
        // Streams of ours that nobody asked for, such as the one for pings, do not make an end of the input an error.
        if let Err(connection::Error::Eof { stage: Stage::Streams, streams, .. }) = result {
            if streams <= self.services.len() {
                result = Ok(CloseReason::Remote(Goodbye::Eof));
            }
        }
        for request in core::mem::take(&mut self.requests).into_values() {
            let error = OpenStreamError::Closed(result.clone());
            self.events.push_back(Event::OpenFailed { request, error });
        }
        for (request, _) in core::mem::take(&mut self.waiting) {
            let error = OpenStreamError::Closed(result.clone());
            self.events.push_back(Event::OpenFailed { request, error });
        }
        if self.ping.take().is_some() {
            self.tell(ToControlKind::Pong(Err(PingError::Closed)));
        }
        if self.peer.is_some() {
            self.identified(now, Err(IdentifyError::Closed));
        }
        self.services.clear();
        self.next_ping = None;
        self.end = Some(result);
    }
}

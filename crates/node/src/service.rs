//! The streams that a node serves and uses without being asked: ping and identify.

use core::{fmt, time::Duration};

use bytes::Bytes;
use sanswarm_connection::{Connection, ReadError, StreamId};
use sanswarm_identify as identify;
use sanswarm_multistream::ProtocolName;
use sanswarm_ping as ping;
use sanswarm_wire::{Instant, SendBuf};

use crate::Refusal;

const PING: ProtocolName = ProtocolName::from_static(ping::NAME);
const IDENTIFY: ProtocolName = ProtocolName::from_static(identify::NAME);
const PUSH: ProtocolName = ProtocolName::from_static(identify::PUSH_NAME);

/// The protocols that every node answers.
pub(crate) fn names() -> [ProtocolName; 3] {
    [PING, IDENTIFY, PUSH]
}

/// A protocol of ours on one stream.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) kind: Kind,
    /// What is to be sent and was not taken yet.
    out: Bytes,
    /// What was read and not used yet.
    unused: Bytes,
    /// Our side ends when `out` is empty.
    finish: bool,
    /// The peer's side has ended.
    ended: bool,
}

#[derive(Debug)]
pub(crate) enum Kind {
    /// We ask who they are; or they tell what has changed.
    Listen { reader: Box<identify::Reader>, push: bool },
    /// We say who we are.
    Tell,
    /// We ping.
    Ping(ping::Pinger),
    /// We are pinged.
    Pong(ping::Ponger),
}

/// What came of a service's input.
pub(crate) enum Outcome {
    /// The identify stream has ended: this is what it said.
    Info { info: Result<identify::Info, identify::Error>, push: bool },
    /// A ping was answered.
    Pong(Duration),
    /// The ping stream is of no more use.
    PingFailed(PingError),
    /// The peer ended the stream.
    Ended,
}

/// Why a ping has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PingError {
    /// The peer does not speak ping.
    Refused(Refusal),
    /// No echo in time, or a wrong one.
    Echo(ping::Error),
    /// The stream or the connection ended first.
    Closed,
    /// Another ping is under way on this connection, or no stream can be opened.
    Busy,
}

impl fmt::Display for PingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Echo(error) => error.fmt(f),
            Self::Closed => f.write_str("the ping stream ended"),
            Self::Busy => f.write_str("another ping is under way, or no stream can be opened"),
        }
    }
}

impl core::error::Error for PingError {}

impl Service {
    fn new(kind: Kind) -> Self {
        Self { kind, out: Bytes::new(), unused: Bytes::new(), finish: false, ended: false }
    }

    /// The service for a stream that the peer opened, if its protocol is one of ours. `info` is what we say of us.
    pub(crate) fn inbound(protocol: &ProtocolName, info: impl FnOnce() -> Vec<u8>) -> Option<Self> {
        Some(match protocol.as_str() {
            ping::NAME => Self::new(Kind::Pong(ping::Ponger::new())),
            identify::NAME => Self::tell(info()),
            identify::PUSH_NAME => Self::listen(true),
            _ => return None,
        })
    }

    pub(crate) fn identify() -> (ProtocolName, Self) {
        (IDENTIFY, Self::listen(false))
    }

    pub(crate) fn push(info: Vec<u8>) -> (ProtocolName, Self) {
        (PUSH, Self::tell(info))
    }

    pub(crate) fn ping(timeout: Duration) -> (ProtocolName, Self) {
        let pinger = ping::Pinger::new(ping::Config { timeout });
        (PING, Self::new(Kind::Ping(pinger)))
    }

    fn listen(push: bool) -> Self {
        let reader = Box::new(identify::Reader::new(identify::Limits::default()));
        Self::new(Kind::Listen { reader, push })
    }

    fn tell(info: Vec<u8>) -> Self {
        let mut service = Self::new(Kind::Tell);
        service.out = info.into();
        service.finish = true;
        service
    }

    /// Sends what is due. Returns false when the stream has no more use.
    pub(crate) fn send(&mut self, now: Instant, id: StreamId, conn: &mut Connection, send: &mut SendBuf) -> bool {
        if self.out.is_empty() {
            let mut out = Vec::new();
            match &mut self.kind {
                Kind::Ping(pinger) => pinger.encode(ping::PAYLOAD, &mut out),
                Kind::Pong(ponger) => ponger.encode(ping::PAYLOAD, &mut out),
                Kind::Listen { .. } | Kind::Tell => 0,
            };
            self.out = out.into();
        }
        if !self.out.is_empty() {
            let Ok(n) = conn.write(now, id, &self.out, send) else { return false };
            drop(self.out.split_to(n));
        }
        if self.finish && self.out.is_empty() {
            self.finish = false;
            return conn.finish(id).is_ok() && !self.ended;
        }
        true
    }

    /// Reads what has arrived. Gives an outcome where there is one; then the caller asks again.
    pub(crate) fn read(&mut self, now: Instant, id: StreamId, conn: &mut Connection) -> Option<Outcome> {
        loop {
            while !self.unused.is_empty() {
                let used = match self.take_input(now) {
                    Ok((used, None)) => used,
                    Ok((used, Some(outcome))) => {
                        drop(self.unused.split_to(used));
                        return Some(outcome);
                    }
                    Err(outcome) => return Some(outcome),
                };
                if used == 0 {
                    return None; // An echo is owed first.
                }
                drop(self.unused.split_to(used));
            }
            match conn.read(id) {
                Ok(Some(slice)) => self.unused = slice,
                Ok(None) | Err(ReadError::Gone | ReadError::Closed) => return None,
                Err(ReadError::Finished) => return Some(self.end()),
            }
        }
    }

    fn take_input(&mut self, now: Instant) -> Result<(usize, Option<Outcome>), Outcome> {
        match &mut self.kind {
            Kind::Ping(pinger) => match pinger.handle_input(now, &self.unused) {
                Ok((used, rtt)) => Ok((used, rtt.map(Outcome::Pong))),
                Err(error) => Err(Outcome::PingFailed(PingError::Echo(error))),
            },
            Kind::Pong(ponger) => Ok((ponger.handle_input(&self.unused), None)),
            Kind::Listen { reader, push } => match reader.handle_input(&self.unused) {
                Ok(used) => Ok((used, None)),
                Err(error) => Err(Outcome::Info { info: Err(error), push: *push }),
            },
            Kind::Tell => Ok((self.unused.len(), None)),
        }
    }

    fn end(&mut self) -> Outcome {
        // A teller may have ended before.
        self.finish = !matches!(self.kind, Kind::Tell) || self.finish;
        self.ended = true;
        match &mut self.kind {
            Kind::Listen { reader, push } => {
                let empty = identify::Reader::new(identify::Limits::default());
                let reader = core::mem::replace(&mut **reader, empty);
                Outcome::Info { info: reader.finish(), push: *push }
            }
            Kind::Ping(_) => Outcome::PingFailed(PingError::Closed),
            Kind::Tell | Kind::Pong(_) => Outcome::Ended,
        }
    }

    /// Whether both sides have ended.
    pub(crate) fn is_over(&self) -> bool {
        self.ended && !self.is_due()
    }

    /// Whether something is to be sent, or our side is to end.
    pub(crate) fn is_due(&self) -> bool {
        let owes = match &self.kind {
            Kind::Ping(pinger) => pinger.is_due(),
            Kind::Pong(ponger) => ponger.is_due(),
            Kind::Listen { .. } | Kind::Tell => false,
        };
        owes || self.finish || !self.out.is_empty()
    }
}

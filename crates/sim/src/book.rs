//! The books that checkers keep of connections and streams.

use core::{fmt, time::Duration};
use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use sanswarm::Instant;

use crate::{HostId, pipe::Side};

/// After what time without a disturbance both ends of a connection agree whether there is one, beside the time until the
/// next ping, which finds out that the other end has forgotten it: 10 s.
pub const AGREEMENT: Duration = Duration::from_secs(10);

/// A law that every run keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// What is read of a stream is what was written at its other end: no byte is lost, doubled, changed or out of order.
    Payload,
    /// A stream ends where its writer has finished it, behind all bytes, and is reset only by somebody.
    StreamEnd,
    /// Whatever ends or fails has a cause: an application, a fault, or a limit.
    Cause,
    /// Events come in order: `Connected` first, one answer to a request, no stream twice.
    Order,
    /// Both ends agree on a connection within [`AGREEMENT`].
    Agreement,
    /// Nothing takes longer than its limit.
    Late,
    /// What is held stays within the limits.
    Limit,
    /// After the last fault everything wanted comes about.
    Liveness,
    /// What the application itself checks.
    User,
}

impl Rule {
    /// A name for machines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Payload => "payload",
            Self::StreamEnd => "stream-end",
            Self::Cause => "cause",
            Self::Order => "order",
            Self::Agreement => "agreement",
            Self::Late => "late",
            Self::Limit => "limit",
            Self::Liveness => "liveness",
            Self::User => "user",
        }
    }
}

/// A law was broken: when, where, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The virtual time.
    pub at: Instant,
    /// The host that showed it, if one did.
    pub host: Option<HostId>,
    /// The law.
    pub rule: Rule,
    /// What happened.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.rule.name())?;
        if let Some(host) = self.host {
            write!(f, " at host {host}")?;
        }
        write!(f, " after {:.6} s: {}", self.at.as_micros() as f64 / 1e6, self.text)
    }
}

impl core::error::Error for Violation {}

/// Why a connection may end or fail to come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// An application closed it.
    App,
    /// A fault met it.
    Fault,
    /// A limit did not let it in, or a dial had no more use for it.
    Denied,
    /// Its ends have settled on another connection.
    Surplus,
    /// Nobody used it.
    Unused,
    /// Who is at the other end keeps no rules.
    Hostile,
}

/// What one end has of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Pending,
    Connected,
    Over,
}

/// What is known of a connection and its streams.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) opened_at: Instant,
    pub(crate) cause: Option<Cause>,
    pub(crate) states: [State; 2],
    /// When the state of each end has changed.
    pub(crate) since: [Instant; 2],
    /// When a fault has met it last, or will be over.
    pub(crate) quiet_from: Instant,
    /// By who opened it, and its id on the wire.
    pub(crate) streams: BTreeMap<StreamName, Pair>,
    /// A bit for each id that a stream has had, by who sees it and who opened it.
    seen: [[Vec<u64>; 2]; 2],
}

pub(crate) type StreamName = (Side, u64);

/// Both ends of a stream.
#[derive(Debug, Default)]
pub(crate) struct Pair {
    pub(crate) opened: [bool; 2],
    /// What end 0 writes, what end 1 writes.
    pub(crate) ways: [Way; 2],
    /// Which end has ended it by force.
    pub(crate) reset: [bool; 2],
    /// Which end has nothing to do with it any more.
    pub(crate) left: [bool; 2],
}

/// One direction of a stream.
#[derive(Debug, Default)]
pub(crate) struct Way {
    pub(crate) written: u64,
    pub(crate) read: u64,
    /// Written and not read.
    pending: VecDeque<Bytes>,
    pending_bytes: usize,
    pub(crate) finished: bool,
    pub(crate) end_seen: bool,
    /// The reader reads no more.
    pub(crate) stopped: bool,
}

impl Account {
    pub(crate) fn new(now: Instant, cause: Option<Cause>) -> Self {
        Self {
            opened_at: now,
            cause,
            states: [State::Pending; 2],
            since: [now; 2],
            quiet_from: now,
            streams: BTreeMap::new(),
            seen: Default::default(),
        }
    }

    /// Notes that a stream with this name is open at an end. Returns whether it is the first of that name.
    pub(crate) fn is_first(&mut self, side: Side, (opener, wire): StreamName) -> bool {
        // A connection does not last for so many streams.
        let Ok(at) = usize::try_from(wire / 64) else { return true };
        let seen = &mut self.seen[side][opener];
        if at >= seen.len().max(1 << 16) {
            return true;
        }
        seen.resize(seen.len().max(at + 1), 0);
        let bit = 1 << (wire % 64);
        let is_first = seen[at] & bit == 0;
        seen[at] |= bit;
        is_first
    }

    pub(crate) fn blame(&mut self, cause: Cause) {
        self.cause.get_or_insert(cause);
    }

    pub(crate) fn set(&mut self, now: Instant, side: Side, state: State) {
        self.states[side] = state;
        self.since[side] = now;
    }
}

impl Pair {
    /// Whether an end has something to do with it yet: to write, or to read.
    pub(crate) fn is_in_use(&self, side: Side) -> bool {
        let reads = &self.ways[1 - side];
        !(self.left[side] || self.ways[side].finished && (reads.end_seen || reads.stopped))
    }

    /// Whether something is still to come at an end that cares.
    pub(crate) fn is_pending(&self) -> bool {
        let open = self.opened == [true; 2] && self.reset == [false; 2];
        open && self.ways.iter().any(|way| way.finished && !way.end_seen && !way.stopped)
    }
}

impl Way {
    pub(crate) fn write(&mut self, data: &[u8]) {
        self.written += data.len() as u64;
        if !data.is_empty() && !self.stopped {
            self.pending.push_back(Bytes::copy_from_slice(data));
            self.pending_bytes += data.len();
        }
    }

    /// Bytes written and not read.
    pub(crate) fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// Compares what was read with what was written. Says where they differ.
    pub(crate) fn read(&mut self, mut data: &[u8]) -> Result<(), String> {
        while !data.is_empty() {
            let Some(front) = self.pending.front_mut() else {
                let extra = data.len();
                return Err(format!("{extra} bytes more were read than the {} written", self.written));
            };
            let n = front.len().min(data.len());
            if front[..n] != data[..n] {
                let at = front.iter().zip(data).position(|(a, b)| a != b).unwrap_or(0);
                let (got, put) = (data[at], front[at]);
                return Err(format!("byte {} is {got:#04x}, written was {put:#04x}", self.read + at as u64));
            }
            drop(front.split_to(n));
            if front.is_empty() {
                self.pending.pop_front();
            }
            self.read += n as u64;
            self.pending_bytes -= n;
            data = &data[n..];
        }
        Ok(())
    }

    /// The reader reads no more.
    pub(crate) fn stop(&mut self) {
        self.stopped = true;
        self.pending.clear();
        self.pending_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_first_once_at_each_end() {
        let mut account = Account::new(Instant::ZERO, None);
        for name in [(0, 1), (0, 3), (1, 3), (0, 900)] {
            assert!(account.is_first(0, name) && account.is_first(1, name));
            assert!(!account.is_first(0, name) && !account.is_first(1, name));
        }
        assert!(account.is_first(0, (0, u64::MAX)));
    }

    #[test]
    fn a_way_finds_each_kind_of_wrong_byte() {
        let written = || {
            let mut way = Way::default();
            way.write(b"hello ");
            way.write(b"world");
            way
        };
        let mut way = written();
        assert_eq!((way.read(b"hel"), way.read(b"lo wor"), way.pending_bytes()), (Ok(()), Ok(()), 2));
        assert_eq!(way.read(b"ld"), Ok(()));
        assert!(way.read(b"!").unwrap_err().contains("1 bytes more"));
        assert!(written().read(b"helo").unwrap_err().contains("byte 3"), "lost");
        assert!(written().read(b"hhello").unwrap_err().contains("byte 1"), "doubled");
        assert!(written().read(b"hello wolrd").unwrap_err().contains("byte 8"), "out of order");
    }
}

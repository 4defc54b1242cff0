//! A TCP connection: two flows of bytes between two ends.

use std::collections::VecDeque;

use bytes::Bytes;
use sanswarm::{ConnId, Instant};

use crate::{book::Account, script::Script};

/// Which end of a pipe: 0 has dialled, 1 was dialled.
pub(crate) type Side = usize;

/// A connection between two hosts' systems.
#[derive(Debug)]
pub(crate) struct Pipe {
    /// Never used again, for logs.
    pub(crate) serial: u64,
    pub(crate) ends: [End; 2],
    /// What end 0 sends, what end 1 sends.
    pub(crate) flows: [Flow; 2],
    /// Nothing arrives before.
    pub(crate) stalled_until: Instant,
    pub(crate) account: Account,
}

/// One end of a pipe.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) host: usize,
    pub(crate) tip: Tip,
}

/// Who has the socket.
#[derive(Debug)]
pub(crate) enum Tip {
    /// The system only: nobody has accepted it yet.
    System,
    Node(ConnId),
    Script(Box<Script>),
    /// Nobody: it is closed, or its host died.
    Gone,
}

impl Tip {
    pub(crate) fn conn(&self) -> Option<ConnId> {
        match self {
            Self::Node(conn) => Some(*conn),
            _ => None,
        }
    }

    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Gone)
    }
}

/// One direction.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// On the way, with the times of arrival.
    pub(crate) queue: VecDeque<(Instant, Item)>,
    /// Arrived and not read.
    pub(crate) unread: VecDeque<Bytes>,
    /// Bytes on the way and unread.
    pub(crate) outstanding: usize,
    /// When the line is free for the next segment.
    pub(crate) free_at: Instant,
    pub(crate) last_at: Instant,
    /// How it ended, once all before it was read.
    pub(crate) end: Option<Ending>,
    /// Whether the reader was told so.
    pub(crate) end_told: bool,
    /// The writer has said that it sends nothing more, or cannot.
    pub(crate) shut: bool,
    /// A reset was sent.
    pub(crate) reset: bool,
    /// The writer has more than there is room for.
    pub(crate) blocked: bool,
    /// An arrival is on the agenda.
    pub(crate) armed: bool,
    /// The first of the queue did not come through.
    pub(crate) stuck: bool,
    /// When the writer's system gives up is on the agenda.
    pub(crate) giving_up: bool,
    /// The next segment is changed on its way.
    pub(crate) corrupt: bool,
}

pub(crate) enum Item {
    Data(Bytes),
    Fin,
    Rst,
}

impl core::fmt::Debug for Item {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Data(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Fin => f.write_str("FIN"),
            Self::Rst => f.write_str("RST"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Fin,
    Rst,
}

impl Pipe {
    pub(crate) fn new(serial: u64, dialer: usize, listener: usize, account: Account) -> Self {
        let end = |host| End { host, tip: Tip::System };
        Self {
            serial,
            ends: [end(dialer), end(listener)],
            flows: Default::default(),
            stalled_until: Instant::ZERO,
            account,
        }
    }

    /// Whether nobody has an end of it, and nothing is on the way.
    pub(crate) fn is_over(&self) -> bool {
        self.ends.iter().all(|end| end.tip.is_gone()) && self.flows.iter().all(|flow| flow.queue.is_empty())
    }
}

impl Flow {
    /// Drops what was not read, and says how much.
    pub(crate) fn drop_unread(&mut self) {
        let bytes: usize = self.unread.drain(..).map(|slice| slice.len()).sum();
        self.outstanding -= bytes;
    }
}

//! Pipes between nodes: two lines of bytes, each with a latency.

use std::collections::VecDeque;

use sanswarm::{ConnId, Instant};

use super::Hand;

/// What is at an address. Nobody listens at those that are not listed.
pub(crate) enum Place {
    Node(usize),
    /// Packets vanish: the dial is never answered.
    Hole,
    Hand(Box<dyn Fn() -> Hand>),
}

/// Who is at one end of a pipe.
pub(crate) enum Tip {
    Node(usize, ConnId),
    Hand(Box<Hand>),
    Gone,
}

/// One direction of a pipe.
#[derive(Default)]
pub(crate) struct Line {
    pub(crate) queue: VecDeque<(Instant, Vec<u8>)>,
    pub(crate) queued: usize,
    pub(crate) end: Option<Instant>,
    pub(crate) end_told: bool,
    /// All bytes that ever went in.
    pub(crate) tap: Vec<u8>,
}

pub(crate) struct Pipe {
    /// The dialer's end, then the listener's.
    pub(crate) tips: [Tip; 2],
    /// From the dialer, then to it.
    pub(crate) lines: [Line; 2],
}

impl Tip {
    pub(crate) fn timeout(&self) -> Option<Instant> {
        match self {
            Self::Hand(hand) => hand.poll_timeout(),
            _ => None,
        }
    }
}

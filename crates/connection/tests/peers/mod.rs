//! Listeners as those of go, js, py and rust are, written by hand from what was seen of them. Of ours they use Noise and
//! nothing else.
#![allow(dead_code, unused_imports, reason = "each test file uses a part")]

mod mux;
mod select;
mod whole;

pub(crate) use mux::{DATA, Frame, Mux, SYN, WINDOW, frames};
pub(crate) use select::Select;
pub(crate) use whole::Peer;

/// What an implementation does with something that is no ordinary proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Odd {
    /// Answers `na` and waits for the next.
    Refuses,
    /// Breaks off.
    Fails,
    /// Says the same.
    Repeats,
}

/// When an implementation says that it has heard of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ack {
    /// By a `WINDOW_UPDATE` that gives so much credit, before anything else.
    First(u32),
    /// By a flag on its first bytes.
    WithData,
    /// Behind its whole answer.
    Late,
}

/// How one implementation listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) name: &'static str,
    /// It sends its header before it has heard anything.
    pub(crate) speaks_first: bool,
    /// It names its muxers in the handshake.
    pub(crate) names_muxers: bool,
    pub(crate) ack: Ack,
    /// It pings as soon as there is a muxer.
    pub(crate) pings: bool,
    /// The longest message that it reads.
    pub(crate) message_max: usize,
    pub(crate) empty_name: Odd,
    pub(crate) slashless_name: Odd,
    pub(crate) header_again: Odd,
    /// Whether it reads a length that takes more bytes than it needs.
    pub(crate) takes_long_lengths: bool,
    /// Whether white space at the end makes no difference.
    pub(crate) trims: bool,
}

pub(crate) const GO: Manner = Manner {
    name: "go",
    speaks_first: true,
    names_muxers: true,
    ack: Ack::First(0),
    pings: true,
    message_max: 1024,
    empty_name: Odd::Refuses,
    slashless_name: Odd::Refuses,
    header_again: Odd::Refuses,
    takes_long_lengths: false,
    trims: false,
};

pub(crate) const JS: Manner = Manner {
    name: "js",
    speaks_first: false,
    names_muxers: true,
    ack: Ack::First(16 * 1024 * 1024 - 256 * 1024),
    pings: true,
    message_max: 1024,
    empty_name: Odd::Refuses,
    slashless_name: Odd::Refuses,
    header_again: Odd::Repeats,
    takes_long_lengths: true,
    trims: true,
};

pub(crate) const PY: Manner = Manner {
    name: "py",
    speaks_first: true,
    names_muxers: false,
    ack: Ack::First(0),
    pings: false,
    message_max: usize::MAX,
    empty_name: Odd::Refuses,
    slashless_name: Odd::Refuses,
    header_again: Odd::Refuses,
    takes_long_lengths: true,
    trims: true,
};

pub(crate) const RUST: Manner = Manner {
    name: "rust",
    speaks_first: false,
    names_muxers: false,
    ack: Ack::WithData,
    pings: true,
    message_max: 16_383,
    empty_name: Odd::Fails,
    slashless_name: Odd::Fails,
    header_again: Odd::Fails,
    takes_long_lengths: false,
    trims: false,
};

/// As rust, and in no hurry to acknowledge a stream.
pub(crate) const LATE: Manner = Manner { name: "late", ack: Ack::Late, ..RUST };

pub(crate) const ALL: [Manner; 5] = [GO, JS, PY, RUST, LATE];

//! What the owner of a session decides.

use core::time::Duration;

use crate::window::{INITIAL_WINDOW_BYTES, MAX_WINDOW_BYTES};

/// How a session behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What a peer can make us hold.
    pub limits: Limits,
    /// How long a [ping](crate::Session::ping) may stay unanswered before the session fails. Default 10 s.
    pub ping_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { limits: Limits::default(), ping_timeout: Duration::from_secs(10) }
    }
}

/// Bounds on what a peer can make us hold. A bound of 0 counts as 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The receive window of a stream, in bytes: the most of its payload that may be unread. Default 256 KiB, which
    /// is also the least (the spec fixes the initial window); at most 16 MiB. Stops a peer that sends to a reader who
    /// does not read. A larger one is granted with SYN or ACK, or right behind.
    pub window_bytes: u32,
    /// Streams open at a time, counted for each direction. Default 1000. Stops a peer that opens streams without end:
    /// the excess gets RST. Opening more ourselves is an [`OpenError`](crate::OpenError).
    pub streams: usize,
    /// Streams of ours that the peer has not acknowledged. Default 256, as the spec says. More wait for their SYN, so
    /// that we are no burden to a slow peer.
    pub unacknowledged: usize,
    /// Streams of theirs that were not [accepted](crate::Session::accept) yet. Default 256. Stops a peer that opens
    /// streams faster than anyone looks at them: the excess gets RST.
    pub unaccepted: usize,
    /// RSTs that are owed. Default 256. Stops a peer that provokes replies and does not read them: the session is
    /// [held](crate::Session::is_held).
    pub control: usize,
    /// Answers to pings that are owed. Default 8. Stops a flood of pings in the same way.
    pub pongs: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            window_bytes: INITIAL_WINDOW_BYTES,
            streams: 1000,
            unacknowledged: 256,
            unaccepted: 256,
            control: 256,
            pongs: 8,
        }
    }
}

impl Limits {
    /// The same within the documented ranges.
    pub(crate) fn in_range(self) -> Self {
        Self {
            window_bytes: self.window_bytes.clamp(INITIAL_WINDOW_BYTES, MAX_WINDOW_BYTES),
            streams: self.streams.max(1),
            unacknowledged: self.unacknowledged.max(1),
            unaccepted: self.unaccepted.max(1),
            control: self.control.max(1),
            pongs: self.pongs.max(1),
        }
    }
}

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

/// Bounds on what a peer can make us hold. A count of 0 counts as 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The receive window that a stream starts with, in bytes: the most of its payload that may be unread. Default 256
    /// KiB, which is also the least (the spec fixes the initial window); at most 1 GiB. Stops a peer that sends to a
    /// reader who does not read. A larger one is granted with SYN or ACK, or right behind.
    pub window_bytes: u32,
    /// Up to what size, in bytes, the receive window of a stream grows while its reader keeps up and the window alone
    /// holds the peer back. Default 16 MiB, which fills 1 Gbit/s over 130 ms and is what go and js allow; at least
    /// `window_bytes`, at most 1 GiB. Stops a peer that has its payload read until the window is large, and then sends
    /// to a reader who has stopped.
    pub window_bytes_max: u32,
    /// What the receive windows of all streams together may grow beyond where they start, in bytes. Default 64 MiB; 0
    /// is no growth. A stream that ends gives its part back. Stops the same with many streams.
    pub session_window_bytes: usize,
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
            window_bytes_max: 16 * 1024 * 1024,
            session_window_bytes: 64 * 1024 * 1024,
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
        let window_bytes = self.window_bytes.clamp(INITIAL_WINDOW_BYTES, MAX_WINDOW_BYTES);
        Self {
            window_bytes,
            window_bytes_max: self.window_bytes_max.clamp(window_bytes, MAX_WINDOW_BYTES),
            session_window_bytes: self.session_window_bytes,
            streams: self.streams.max(1),
            unacknowledged: self.unacknowledged.max(1),
            unaccepted: self.unaccepted.max(1),
            control: self.control.max(1),
            pongs: self.pongs.max(1),
        }
    }
}

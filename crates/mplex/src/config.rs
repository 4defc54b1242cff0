//! What the owner of a session decides.

use core::time::Duration;

/// Bounds on what a peer can make us hold. Values out of a field's range count as its nearest end; the range of a count
/// begins at 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The body of one frame, in bytes. Default 1 MiB, as the spec's reference says. Stops a peer that announces more
    /// than anyone will read: such a head ends the session.
    pub message_bytes: u32,
    /// Payload of one stream that was told and not [consumed](crate::Session::consumed), in bytes. Default 1 MiB; at
    /// least 4 KiB, so that the longest message of a negotiation fits. Stops a peer that sends to a reader who does not
    /// read: at the bound the session is [held](crate::Session::is_held).
    pub stream_unread_bytes: u32,
    /// The same of all streams together, in bytes. Default 8 MiB; at least that of one stream. Stops a peer that spreads
    /// it over many streams.
    pub session_unread_bytes: usize,
    /// How long unread bytes may hold the session before the slowest stream is reset. Default 5 s, as in go. Stops a
    /// stream that nobody reads from ending all others: mplex has no other way to slow one down.
    pub stall: Duration,
    /// Streams at a time, counted for each direction. Default 1000. Stops a peer that opens streams without end: the
    /// excess is reset. Opening more ourselves is an [`OpenError`](crate::OpenError).
    pub streams: usize,
    /// Streams of theirs that were not [accepted](crate::Session::accept) yet. Default 256. Stops a peer that opens
    /// streams faster than anyone looks at them: the excess is reset.
    pub unaccepted: usize,
    /// Resets that are owed. Default 256. Stops a peer that provokes replies and does not read them: the session is
    /// [held](crate::Session::is_held) until they are sent.
    pub control: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 1024 * 1024,
            stream_unread_bytes: 1024 * 1024,
            session_unread_bytes: 8 * 1024 * 1024,
            stall: Duration::from_secs(5),
            streams: 1000,
            unaccepted: 256,
            control: 256,
        }
    }
}

impl Limits {
    /// Less could not hold the longest message of a negotiation.
    const UNREAD_MIN: u32 = 4 * 1024;

    /// The same within the documented ranges.
    pub(crate) fn in_range(self) -> Self {
        let stream_unread_bytes = self.stream_unread_bytes.max(Self::UNREAD_MIN);
        Self {
            message_bytes: self.message_bytes.max(1),
            stream_unread_bytes,
            session_unread_bytes: self.session_unread_bytes.max(stream_unread_bytes as usize),
            stall: self.stall,
            streams: self.streams.max(1),
            unaccepted: self.unaccepted.max(1),
            control: self.control.max(1),
        }
    }
}

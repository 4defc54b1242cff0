//! Bytes that were told and not consumed: their bounds, and what holds the session when they are reached.

use sanswarm_wire::{Instant, Ring};

use crate::{StreamId, session::Session};

/// The hold ends when this part of the bound is free, so that a reader who takes byte for byte does not move the session
/// byte for byte.
const RESUME_PART: usize = 16;

/// What unread bytes there are.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    /// Of all streams.
    pub(crate) total: usize,
    /// Streams with unread bytes. Who has been read from goes to the end: the first has waited for longest.
    pub(crate) readers: Ring,
    pub(crate) hold: Option<Hold>,
}

/// Payload is there that has no place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hold {
    /// The stream whose own bound is reached; `None` if it is that of the session.
    stream: Option<StreamId>,
    since: Instant,
}

impl Session {
    /// How many bytes more of a stream can be told.
    pub(crate) fn unread_room(&self, unread: u32) -> usize {
        let of_stream = (self.limits.stream_unread_bytes - unread) as usize;
        of_stream.min(self.limits.session_unread_bytes - self.unread.total)
    }

    /// Counts bytes that are told now.
    pub(crate) fn told(&mut self, id: StreamId, len: usize) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        stream.unread += len as u32;
        self.unread.total += len;
        self.unread.readers.push_back(id);
    }

    /// Stops the input: bytes of `id` are there that have no place.
    pub(crate) fn hold(&mut self, now: Instant, id: StreamId, unread: u32) {
        let is_full = unread >= self.limits.stream_unread_bytes;
        self.unread.hold = Some(Hold { stream: is_full.then_some(id), since: now });
    }

    /// Says that the application has read `bytes` more of a stream, which makes room for others. More than was told
    /// counts as all that was.
    pub fn consumed(&mut self, id: StreamId, bytes: usize) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        let n = bytes.min(stream.unread as usize);
        if n == 0 {
            return;
        }
        stream.unread -= n as u32;
        self.unread.total -= n;
        if stream.unread == 0 {
            self.unread.readers.remove(id);
            self.end_if_over(id);
        } else {
            self.unread.readers.move_back(id);
        }
        self.resume();
    }

    /// Ends the hold if there is room again, or nobody to hold for.
    pub(crate) fn resume(&mut self) {
        let Some(hold) = self.unread.hold else { return };
        let awaited = self.body.and_then(|body| self.streams.get(body.stream?)).filter(|stream| !stream.stopped);
        let (used, bound) = match (hold.stream, awaited) {
            (Some(_), Some(stream)) => (stream.unread as usize, self.limits.stream_unread_bytes as usize),
            (None, Some(_)) => (self.unread.total, self.limits.session_unread_bytes),
            (_, None) => (0, 0),
        };
        if used <= bound - bound / RESUME_PART {
            self.unread.hold = None;
        }
    }

    /// When unread bytes have held the session for too long.
    pub(crate) fn stalled_at(&self) -> Option<Instant> {
        Some(self.unread.hold?.since + self.limits.stall)
    }

    /// The stream to reset for a hold that has lasted too long: the one that is at its own bound, else the one that has
    /// waited to be read for longest.
    pub(crate) fn slowest(&self) -> Option<StreamId> {
        self.unread.hold?.stream.or_else(|| self.unread.readers.front())
    }

    /// The payload that was told and not [consumed](Self::consumed), of all streams, in bytes.
    pub fn unread(&self) -> usize {
        self.unread.total
    }
}

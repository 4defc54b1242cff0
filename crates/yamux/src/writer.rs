//! Payload on its way out, and the turns of those who wait.

use sanswarm_wire::{Instant, SendBuf, Turns, Wrote};

use crate::{
    StreamId,
    error::WriteError,
    frame::{HEADER_BYTES, Header, Kind},
    session::Session,
    stream::{Opening, Sending, Stream},
};

/// The most payload of one frame that we send, in bytes.
pub const FRAME_BYTES: usize = 16 * 1024;

/// The most that a stream writes in its turn while others wait, in bytes.
pub const TURN_BYTES: usize = Turns::TURN_BYTES;

impl Session {
    /// Writes payload of a stream, with what the stream still owes the peer (SYN or ACK), and returns how many bytes of
    /// `data` it took. Less than all means "not now": the window, the buffer or the turn is used up, or too many
    /// streams are unacknowledged. [`poll_writable`](Self::poll_writable) names the stream when it can go on.
    ///
    /// It stops where the buffer's open frame is full. A caller with a cipher seals that frame and calls again.
    pub fn write(&mut self, _now: Instant, id: StreamId, data: &[u8], send: &mut SendBuf) -> Result<usize, WriteError> {
        if self.failed.is_some() {
            return Err(WriteError::Closed);
        }
        let has_slot = self.has_slot();
        let stream = self.streams.get_mut(id).ok_or(WriteError::Unknown)?;
        if stream.sending != Sending::Open {
            return Err(WriteError::Finished);
        }
        if data.is_empty() {
            return Ok(0);
        }
        if stream.opening == Opening::Unaccepted {
            stream.opening = Opening::AckDue;
            self.unaccepted -= 1;
            self.due.push_back(id);
        }
        let opening = stream.opening;
        let want = data.len().min(allowed(stream, id, &self.writers, has_slot));
        let (taken, room) = append_frames(stream, &data[..want], send);
        if taken > 0 && opening == Opening::SynDue {
            self.unacknowledged += 1;
            self.opening.remove(id);
            if stream.credit_due {
                self.due.push_back(id); // no data frame can carry credit
            }
        } else if taken > 0 && opening == Opening::AckDue && !stream.credit_due {
            self.due.remove(id);
        }
        let end = if taken == data.len() {
            Wrote::All
        } else if is_blocked(stream, has_slot) {
            Wrote::Blocked
        } else {
            Wrote::Short
        };
        stream.parked = end == Wrote::Blocked;
        self.writers.saw_room(room > HEADER_BYTES);
        self.writers.wrote(id, &mut stream.turn, taken, end);
        Ok(taken)
    }

    /// How much of `data` a [`write`](Self::write) would take now, in bytes; 0 for a stream that cannot write.
    pub fn write_room(&self, id: StreamId, send: &SendBuf) -> usize {
        match self.streams.get(id) {
            Some(stream) if stream.sending == Sending::Open && self.failed.is_none() => {
                allowed(stream, id, &self.writers, self.has_slot()).min(payload_room(send))
            }
            _ => 0,
        }
    }

    /// The stream whose turn it is to write after a short write, when it can. Told once: the next is told when it has
    /// tried, or by the next [`poll_transmit`](Self::poll_transmit) if it has not. A stream that was told may use its
    /// turn later, too.
    pub fn poll_writable(&mut self) -> Option<StreamId> {
        if self.failed.is_some() {
            return None;
        }
        self.writers.poll(|id| Some(&mut self.streams.get_mut(id)?.turn))
    }

    /// Puts a stream in line for [`poll_writable`](Self::poll_writable), as a short write does: for a caller whose
    /// message must go whole and found too little room. A stream that cannot write is left alone.
    pub fn wait_writable(&mut self, id: StreamId) {
        let has_slot = self.has_slot();
        let Some(stream) = self.streams.get_mut(id).filter(|stream| stream.sending == Sending::Open) else { return };
        if self.failed.is_some() {
            return;
        }
        if is_blocked(stream, has_slot) {
            stream.parked = true;
            self.writers.wrote(id, &mut stream.turn, 0, Wrote::Blocked);
        } else {
            self.writers.wait(id, &mut stream.turn);
        }
    }

    /// Takes a stream that was told by [`poll_writable`](Self::poll_writable) and has nothing to write out of the line,
    /// so that the next is told at once. It keeps its turn.
    pub fn decline(&mut self, id: StreamId) {
        self.writers.leave(id);
    }

    /// Whether one more SYN may be sent: not too many are unacknowledged, and the peer takes new streams.
    pub(crate) fn has_slot(&self) -> bool {
        self.unacknowledged < self.config.limits.unacknowledged && !self.they_go_away
    }
}

/// Whether the stream could not write with any room.
fn is_blocked(stream: &Stream, has_slot: bool) -> bool {
    stream.send.left() == 0 || (stream.opening == Opening::SynDue && !has_slot)
}

/// What the stream may write, whatever the room.
fn allowed(stream: &Stream, id: StreamId, writers: &Turns, has_slot: bool) -> usize {
    if is_blocked(stream, has_slot) { 0 } else { stream.send.left().min(writers.allowed(id, stream.turn)) }
}

/// The payload that fits into the buffer beside its heads.
fn payload_room(send: &SendBuf) -> usize {
    const WHOLE: usize = HEADER_BYTES + FRAME_BYTES;
    let room = send.room();
    room / WHOLE * FRAME_BYTES + (room % WHOLE).saturating_sub(HEADER_BYTES)
}

/// Writes as many frames of `data` as there is room for. Returns how much it took, and the room that is left.
fn append_frames(stream: &mut Stream, data: &[u8], send: &mut SendBuf) -> (usize, usize) {
    let (mut taken, mut room) = (0, send.room());
    while taken < data.len() {
        let n = (data.len() - taken).min(FRAME_BYTES).min(room.saturating_sub(HEADER_BYTES));
        if n == 0 {
            break;
        }
        let header = Header { kind: Kind::Data, flags: stream.opening_flags(), stream: stream.wire, length: n as u32 };
        if !send.append_parts([&header.encode(), &data[taken..taken + n]]) {
            debug_assert!(false, "the room was there a moment ago");
            break;
        }
        stream.opened();
        taken += n;
        room = send.room();
    }
    stream.send.spend(taken);
    (taken, room)
}

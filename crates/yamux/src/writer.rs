//! Payload on its way out, and the turns of those who wait.

use sanswarm_wire::{Instant, SendBuf};

use crate::{
    StreamId,
    error::WriteError,
    frame::{HEADER_BYTES, Header, Kind},
    ring::Ring,
    session::Session,
    stream::{Opening, Sending, Stream},
};

/// The most payload of one frame that we send, in bytes.
pub const FRAME_BYTES: usize = 16 * 1024;

/// The most that a stream writes in its turn while others wait, in bytes.
pub const TURN_BYTES: usize = 16 * 1024;

/// The streams that got a short write and could write now if there was room and it was their turn.
#[derive(Debug)]
pub(crate) struct Writers {
    ring: Ring,
    /// The head that was told to write and has not tried since.
    told: Option<StreamId>,
    /// There was room when the buffer was last seen.
    has_room: bool,
}

impl Writers {
    pub(crate) fn new() -> Self {
        Self { ring: Ring::new(), told: None, has_room: false }
    }

    pub(crate) fn join(&mut self, id: StreamId) {
        self.ring.push_back(id);
    }

    pub(crate) fn leave(&mut self, id: StreamId) {
        self.ring.remove(id);
        self.tried(id);
    }

    pub(crate) fn release(&mut self) {
        self.ring.release();
    }

    pub(crate) fn saw(&mut self, send: &SendBuf) {
        self.has_room = send.room() > HEADER_BYTES;
    }

    fn tried(&mut self, id: StreamId) {
        if self.told == Some(id) {
            self.told = None;
        }
    }

    /// Whether anyone else waits.
    fn has_others(&self, id: StreamId) -> bool {
        self.ring.len() > usize::from(self.ring.contains(id))
    }
}

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
        if self.streams.get(id).ok_or(WriteError::Unknown)?.sending != Sending::Open {
            return Err(WriteError::Finished);
        }
        if data.is_empty() {
            return Ok(0);
        }
        self.accept(id);
        let others = self.writers.has_others(id);
        let has_slot = self.has_slot();
        let Some(stream) = self.streams.get_mut(id) else { return Err(WriteError::Unknown) };
        let was_new = stream.opening == Opening::SynDue;
        let want = data.len().min(allowed(stream, others, has_slot));
        let taken = append_frames(stream, &data[..want], send);
        if was_new && taken > 0 {
            self.unacknowledged += 1;
            self.opening.remove(id);
            self.mark_due(id); // for credit that no data frame can carry
        }
        self.writers.tried(id);
        self.writers.saw(send);
        self.end_write(id, taken, taken < data.len(), others, has_slot);
        Ok(taken)
    }

    /// How much of `data` a [`write`](Self::write) would take now, in bytes; 0 for a stream that cannot write.
    pub fn write_room(&self, id: StreamId, send: &SendBuf) -> usize {
        match self.streams.get(id) {
            Some(stream) if stream.sending == Sending::Open && self.failed.is_none() => {
                allowed(stream, self.writers.has_others(id), self.has_slot()).min(payload_room(send))
            }
            _ => 0,
        }
    }

    /// The stream whose turn it is to write after a short write, when it can. Told once: the next is told when it has
    /// tried, or by the next [`poll_transmit`](Self::poll_transmit) if it has not. A stream that was told may use its
    /// turn later, too.
    pub fn poll_writable(&mut self) -> Option<StreamId> {
        if self.failed.is_some() || !self.writers.has_room || self.writers.told.is_some() {
            return None;
        }
        let head = self.writers.ring.front()?;
        let stream = self.streams.get_mut(head)?;
        if stream.turn == 0 {
            stream.turn = TURN_BYTES as u16;
        }
        self.writers.told = Some(head);
        Some(head)
    }

    /// Puts a stream in line for [`poll_writable`](Self::poll_writable), as a short write does: for a caller whose
    /// message must go whole and found too little room. A stream that cannot write is left alone.
    pub fn wait_writable(&mut self, id: StreamId) {
        if self.failed.is_some() || self.streams.get(id).is_none_or(|stream| stream.sending != Sending::Open) {
            return;
        }
        let (others, has_slot) = (self.writers.has_others(id), self.has_slot());
        if let (true, Some(stream)) = (others, self.streams.get_mut(id)) {
            // What is left of its turn was too short: kept, it would hold up the others for ever.
            stream.turn = 0;
            self.writers.ring.move_back(id);
        }
        self.writers.tried(id);
        self.end_write(id, 0, true, others, has_slot);
    }

    /// Takes a stream that was told by [`poll_writable`](Self::poll_writable) and has nothing to write out of the line, so
    /// that the next is told at once. It keeps its turn.
    pub fn decline(&mut self, id: StreamId) {
        self.writers.leave(id);
    }

    /// Whether one more stream of ours may be unacknowledged.
    pub(crate) fn has_slot(&self) -> bool {
        self.unacknowledged < self.config.limits.unacknowledged
    }

    /// A head that was told and did not try goes to the end, so that nobody who lost interest holds up the others.
    /// The second time it leaves: it knows, and keeps its turn.
    pub(crate) fn pass_turn(&mut self) {
        let Some(id) = self.writers.told.take() else { return };
        let Some(stream) = self.streams.get_mut(id) else { return };
        if stream.silent {
            self.writers.ring.remove(id);
        } else {
            stream.silent = true;
            self.writers.ring.move_back(id);
        }
    }

    /// Decides where a stream waits after a write of `taken` bytes, if it has to.
    fn end_write(&mut self, id: StreamId, taken: usize, is_short: bool, others: bool, has_slot: bool) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        stream.silent = false;
        let had_turn = stream.turn > 0;
        if others {
            stream.turn = stream.turn.saturating_sub(u16::try_from(taken).unwrap_or(u16::MAX));
        }
        if !is_short {
            self.writers.leave(id);
        } else if stream.send.left() == 0 || (stream.opening == Opening::SynDue && !has_slot) {
            stream.parked = true;
            stream.turn = 0;
            self.writers.leave(id);
        } else if others && had_turn && stream.turn == 0 {
            self.writers.ring.move_back(id);
        } else {
            self.writers.join(id);
        }
    }
}

/// What the stream may write, whatever the room.
fn allowed(stream: &Stream, others: bool, has_slot: bool) -> usize {
    if stream.opening == Opening::SynDue && !has_slot {
        return 0;
    }
    let turn = if others { usize::from(stream.turn) } else { usize::MAX };
    stream.send.left().min(turn)
}

/// The payload that fits into the buffer beside its heads.
fn payload_room(send: &SendBuf) -> usize {
    const WHOLE: usize = HEADER_BYTES + FRAME_BYTES;
    let room = send.room();
    room / WHOLE * FRAME_BYTES + (room % WHOLE).saturating_sub(HEADER_BYTES)
}

/// Writes as many frames of `data` as there is room for.
fn append_frames(stream: &mut Stream, data: &[u8], send: &mut SendBuf) -> usize {
    let mut taken = 0;
    while taken < data.len() {
        let n = (data.len() - taken).min(FRAME_BYTES).min(send.room().saturating_sub(HEADER_BYTES));
        if n == 0 {
            break;
        }
        let header = Header { kind: Kind::Data, flags: stream.opening_flags(), stream: stream.wire, length: n as u32 };
        if !send.append(&header.encode()) || !send.append(&data[taken..taken + n]) {
            debug_assert!(false, "the room was there a moment ago");
            break;
        }
        stream.opened();
        taken += n;
    }
    stream.send.spend(taken);
    taken
}

//! Payload on its way out, and the turns of those who wait.

use sanswarm_wire::{Instant, SendBuf, Turns, Wrote};

use crate::{
    StreamId,
    error::WriteError,
    frame::{HEADER_BYTES, Header, Kind, id_len},
    session::Session,
    stream::{Opening, Sending, Stream},
};

/// The most payload of one frame that we send, in bytes. Peers wait for whole frames, and some keep a fixed number of
/// them a stream, so it is neither large nor small.
pub const FRAME_BYTES: usize = 16 * 1024;

/// The most that a stream writes in its turn while others wait, in bytes.
pub const TURN_BYTES: usize = Turns::TURN_BYTES;

impl Session {
    /// Writes payload of a stream, with its NewStream if that is due, and returns how many bytes of `data` it took. Less
    /// than all means "not now": the buffer or the turn is used up. [`poll_writable`](Self::poll_writable) names the
    /// stream when it can go on.
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
        let Some(stream) = self.streams.get_mut(id) else { return Err(WriteError::Unknown) };
        let want = data.len().min(self.writers.allowed(id, stream.turn)).min(payload_room(stream, send));
        append_frames(stream, &data[..want], send);
        self.writers.saw_room(has_room(send));
        let end = if want == data.len() { Wrote::All } else { Wrote::Short };
        self.writers.wrote(id, &mut stream.turn, want, end);
        if want > 0 {
            self.due.remove(id);
        }
        Ok(want)
    }

    /// How much of `data` a [`write`](Self::write) would take now, in bytes; 0 for a stream that cannot write.
    pub fn write_room(&self, id: StreamId, send: &SendBuf) -> usize {
        match self.streams.get(id) {
            Some(stream) if stream.sending == Sending::Open && self.failed.is_none() => {
                self.writers.allowed(id, stream.turn).min(payload_room(stream, send))
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
        if self.failed.is_some() {
            return;
        }
        if let Some(stream) = self.streams.get_mut(id).filter(|stream| stream.sending == Sending::Open) {
            self.writers.wait(id, &mut stream.turn);
        }
    }

    /// Takes a stream that was told by [`poll_writable`](Self::poll_writable) and has nothing to write out of the line, so
    /// that the next is told at once. It keeps its turn.
    pub fn decline(&mut self, id: StreamId) {
        self.writers.leave(id);
    }
}

/// Whether every stream could write something: who is told that it can must not find that it cannot.
pub(crate) fn has_room(send: &SendBuf) -> bool {
    // NewStream and the head of a byte, with the longest ids.
    const LEAST: usize = (9 + 1) + (9 + 1) + 1;
    send.room() >= LEAST
}

/// The payload that fits into the buffer beside its heads.
fn payload_room(stream: &Stream, send: &SendBuf) -> usize {
    let opening = if stream.opening == Opening::Due { stream.header(Kind::NewStream, 0).encoded_len() } else { 0 };
    let room = send.room().saturating_sub(opening);
    let whole = stream.header(Kind::Message, FRAME_BYTES as u32).encoded_len() + FRAME_BYTES;
    let rest = (room % whole).saturating_sub(id_len(stream.name.id()));
    // Less than a whole frame: with one byte of length a body of up to 127 bytes goes, with two of up to 16 KiB - 1.
    let part = rest.saturating_sub(1).min(0x7f).max(rest.saturating_sub(2).min(0x3fff));
    room / whole * FRAME_BYTES + part
}

/// Writes `data`, which fits, in frames.
fn append_frames(stream: &mut Stream, data: &[u8], send: &mut SendBuf) {
    let mut put = |header: Header, body: &[u8]| {
        let fits = send.append(header.encode(&mut [0; HEADER_BYTES])) && send.append(body);
        debug_assert!(fits, "the room was there a moment ago");
    };
    for body in data.chunks(FRAME_BYTES) {
        if stream.opening == Opening::Due {
            stream.settle();
            put(stream.header(Kind::NewStream, 0), &[]);
        }
        put(stream.header(Kind::Message, body.len() as u32), body);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::frame::ID_MAX;

    #[test]
    fn there_is_room_where_the_stream_that_needs_most_can_write() {
        let most = Stream::ours(ID_MAX);
        for room in 0..60 {
            let mut send = SendBuf::new(16 * 1024);
            assert!(send.append(&vec![0; send.room() - room]));
            assert_eq!(has_room(&send), payload_room(&most, &send) > 0, "{room}");
        }
    }
}

//! Where messages go on their way out.

use bytes::BufMut;
use sanswarm_multistream::{HEADER_LINE, append, append_behind, encode, encoded_len};
use sanswarm_wire::SendBuf;

/// Where messages go. Each is taken whole or not at all, and the answer says which.
pub(crate) trait Sink {
    /// Takes a message that was made ahead.
    fn line(&mut self, line: &[u8]) -> bool;

    /// Takes any other, by its text.
    fn text(&mut self, text: &[u8]) -> bool;

    /// Takes the header and a text behind it, both or none.
    fn greeting(&mut self, text: &[u8]) -> bool;
}

/// What a connection sends.
pub(crate) struct ToSend<'a> {
    out: &'a mut SendBuf,
    written: usize,
}

impl<'a> ToSend<'a> {
    pub(crate) fn new(out: &'a mut SendBuf) -> Self {
        Self { out, written: 0 }
    }

    pub(crate) fn written(&self) -> usize {
        self.written
    }
}

impl Sink for ToSend<'_> {
    #[inline]
    fn line(&mut self, line: &[u8]) -> bool {
        let fits = self.out.append(line);
        self.written += if fits { line.len() } else { 0 };
        fits
    }

    #[inline]
    fn text(&mut self, text: &[u8]) -> bool {
        let fits = append(text, self.out);
        self.written += if fits { encoded_len(text) } else { 0 };
        fits
    }

    #[inline]
    fn greeting(&mut self, text: &[u8]) -> bool {
        let fits = append_behind(HEADER_LINE, text, self.out);
        self.written += if fits { HEADER_LINE.len() + encoded_len(text) } else { 0 };
        fits
    }
}

/// Any buffer, up to some room.
pub(crate) struct ToBuffer<'a, B> {
    out: &'a mut B,
    room: usize,
    written: usize,
}

impl<'a, B: BufMut> ToBuffer<'a, B> {
    pub(crate) fn new(room: usize, out: &'a mut B) -> Self {
        Self { room: room.min(out.remaining_mut()), out, written: 0 }
    }

    pub(crate) fn written(&self) -> usize {
        self.written
    }

    fn take(&mut self, len: usize) -> bool {
        let fits = len <= self.room - self.written;
        self.written += if fits { len } else { 0 };
        fits
    }
}

impl<B: BufMut> Sink for ToBuffer<'_, B> {
    fn line(&mut self, line: &[u8]) -> bool {
        let fits = self.take(line.len());
        if fits {
            self.out.put_slice(line);
        }
        fits
    }

    fn text(&mut self, text: &[u8]) -> bool {
        let fits = self.take(encoded_len(text));
        if fits {
            encode(text, self.out);
        }
        fits
    }

    fn greeting(&mut self, text: &[u8]) -> bool {
        let fits = self.take(HEADER_LINE.len() + encoded_len(text));
        if fits {
            self.out.put_slice(HEADER_LINE);
            encode(text, self.out);
        }
        fits
    }
}

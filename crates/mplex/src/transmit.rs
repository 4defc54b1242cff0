//! Frames without payload on their way out.

use sanswarm_wire::{Instant, SendBuf};

use crate::{
    frame::{HEADER_BYTES, Header},
    session::Session,
    writer::has_room,
};

impl Session {
    /// Adds the frames that are due to `send`, as far as they fit, and returns how many bytes that was. What does not
    /// fit stays due. Payload is not waited for: it was added by [`write`](Self::write).
    pub fn poll_transmit(&mut self, _now: Instant, send: &mut SendBuf) -> usize {
        let mut frames = Frames { send, bytes: 0 };
        if self.failed.is_none() {
            self.writers.pass(|id| Some(&mut self.streams.get_mut(id)?.turn));
            self.transmit_resets(&mut frames);
            self.transmit_due(&mut frames);
        }
        let written = frames.bytes;
        self.writers.saw_room(has_room(send));
        written
    }

    fn transmit_resets(&mut self, frames: &mut Frames<'_>) {
        while let Some(&header) = self.resets.front() {
            if !frames.put(header) {
                return;
            }
            self.resets.pop_front();
        }
        self.resets = Default::default();
    }

    fn transmit_due(&mut self, frames: &mut Frames<'_>) {
        while let Some(id) = self.due.front() {
            let Some(stream) = self.streams.get_mut(id) else { return };
            while let Some(header) = stream.owed() {
                if !frames.put(header) {
                    return;
                }
                stream.settle();
            }
            self.due.remove(id);
            self.end_if_over(id);
        }
    }
}

/// Heads that go into the buffer.
struct Frames<'a> {
    send: &'a mut SendBuf,
    bytes: usize,
}

impl Frames<'_> {
    /// Adds one, if it fits.
    fn put(&mut self, header: Header) -> bool {
        let mut buffer = [0; HEADER_BYTES];
        let bytes = header.encode(&mut buffer);
        let fits = self.send.append(bytes);
        self.bytes += if fits { bytes.len() } else { 0 };
        fits
    }
}

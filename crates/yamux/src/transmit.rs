//! Frames without payload on their way out.

use alloc::collections::VecDeque;

use sanswarm_wire::{Instant, SendBuf};

use crate::{
    frame::{Flags, HEADER_BYTES, Header, Kind},
    session::Session,
};

/// The room for replies that an idle session keeps.
const KEPT_REPLIES: usize = 16;

impl Session {
    /// Adds the frames that are due to `send`, as far as they fit, and returns how many bytes that was. What does not
    /// fit stays due. Payload is not waited for: it was added by [`write`](Self::write).
    pub fn poll_transmit(&mut self, now: Instant, send: &mut SendBuf) -> usize {
        let mut frames = Frames { send, count: 0 };
        if self.failed.is_none() {
            self.writers.pass(|id| Some(&mut self.streams.get_mut(id)?.turn));
            self.transmit_pongs(&mut frames);
            self.transmit_ping(now, &mut frames);
            self.transmit_resets(&mut frames);
            self.transmit_opening(now, &mut frames);
            self.transmit_due(now, &mut frames);
            self.transmit_ping(now, &mut frames); // that credit has caused
        }
        self.transmit_goodbye(&mut frames);
        let written = frames.count * HEADER_BYTES;
        self.writers.saw_room(send.room() > HEADER_BYTES);
        written
    }

    fn transmit_pongs(&mut self, frames: &mut Frames<'_>) {
        while let Some(&value) = self.pings.owed.front() {
            if !frames.put(Header::session(Kind::Ping, Flags::ACK, value)) {
                return;
            }
            pop(&mut self.pings.owed);
        }
    }

    fn transmit_ping(&mut self, now: Instant, frames: &mut Frames<'_>) {
        if let Some(value) = self.pings.due()
            && frames.put(Header::session(Kind::Ping, Flags::SYN, value))
        {
            self.pings.sent(now);
        }
    }

    fn transmit_resets(&mut self, frames: &mut Frames<'_>) {
        while let Some(&stream) = self.resets.front() {
            if !frames.put(Header { kind: Kind::Data, flags: Flags::RST, stream, length: 0 }) {
                return;
            }
            pop(&mut self.resets);
        }
    }

    fn transmit_opening(&mut self, now: Instant, frames: &mut Frames<'_>) {
        while let Some(id) = self.opening.front()
            && self.has_slot()
        {
            if !frames.has_room() {
                return;
            }
            self.opening.remove(id);
            let Some(stream) = self.streams.get_mut(id) else { continue };
            if let Some(header) = stream.take_owed(now) {
                let fits = frames.put(header);
                debug_assert!(fits, "there was room for it");
            }
            self.unacknowledged += 1;
            if core::mem::take(&mut stream.parked) {
                self.writers.join(id);
            }
        }
    }

    fn transmit_due(&mut self, now: Instant, frames: &mut Frames<'_>) {
        while let Some(id) = self.due.front() {
            if !frames.has_room() {
                return;
            }
            self.due.remove(id);
            let Some(stream) = self.streams.get_mut(id) else { continue };
            if stream.has_reader() {
                self.growth.tune(now, &mut stream.recv, &mut self.pings);
            }
            if let Some(header) = stream.take_owed(now) {
                let fits = frames.put(header);
                debug_assert!(fits, "there was room for it");
            }
            if stream.is_over() {
                self.remove(id);
            }
        }
    }

    /// Some peers close on GoAway, so it comes last. All heads are of one length: where another did not fit, it does
    /// not either.
    fn transmit_goodbye(&mut self, frames: &mut Frames<'_>) {
        if let Some(code) = self.goodbye
            && frames.put(Header::session(Kind::GoAway, Flags::NONE, code.code()))
        {
            self.goodbye = None;
        }
    }
}

/// Takes the first of a queue out, which gives its memory back when it has become empty after a flood.
fn pop(queue: &mut VecDeque<u32>) {
    queue.pop_front();
    if queue.is_empty() && queue.capacity() > KEPT_REPLIES {
        *queue = VecDeque::new();
    }
}

/// Heads that go into the buffer.
struct Frames<'a> {
    send: &'a mut SendBuf,
    count: usize,
}

impl Frames<'_> {
    fn has_room(&self) -> bool {
        self.send.control_room() >= HEADER_BYTES
    }

    /// Adds one, if it fits.
    fn put(&mut self, header: Header) -> bool {
        let fits = self.send.append(&header.encode());
        self.count += usize::from(fits);
        fits
    }
}

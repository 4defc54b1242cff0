//! Frames without payload on their way out.

use sanswarm_wire::{Instant, SendBuf};

use crate::{
    frame::{Flags, HEADER_BYTES, Header, Kind},
    session::Session,
};

impl Session {
    /// Adds the frames that are due to `send`, as far as they fit, and returns how many bytes that was. What does not
    /// fit stays due. Payload is not waited for: it was added by [`write`](Self::write).
    pub fn poll_transmit(&mut self, now: Instant, send: &mut SendBuf) -> usize {
        let mut frames = Frames { send, count: 0 };
        if self.failed.is_none() {
            self.writers.pass(|id| Some(&mut self.streams.get_mut(id)?.turn));
            self.transmit_pings(now, &mut frames);
            self.transmit_resets(&mut frames);
            self.transmit_opening(&mut frames);
            self.transmit_due(&mut frames);
        }
        self.transmit_goodbye(&mut frames);
        let written = frames.count * HEADER_BYTES;
        self.writers.saw_room(send.room() > HEADER_BYTES);
        written
    }

    fn transmit_pings(&mut self, now: Instant, frames: &mut Frames<'_>) {
        while let Some(&value) = self.pings.owed.front() {
            if !frames.put(Header::session(Kind::Ping, Flags::ACK, value)) {
                return;
            }
            self.pings.owed.pop_front();
        }
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
            self.resets.pop_front();
        }
    }

    fn transmit_opening(&mut self, frames: &mut Frames<'_>) {
        while self.has_slot()
            && let Some(id) = self.opening.front()
        {
            let Some(stream) = self.streams.get_mut(id) else { return };
            if !stream.owed().is_some_and(|header| frames.put(header)) {
                return;
            }
            stream.settle();
            self.opening.remove(id);
            self.unacknowledged += 1;
            if core::mem::take(&mut stream.parked) {
                self.writers.join(id);
            }
        }
    }

    fn transmit_due(&mut self, frames: &mut Frames<'_>) {
        while let Some(id) = self.due.front() {
            let Some(stream) = self.streams.get_mut(id) else { return };
            if let Some(header) = stream.owed()
                && !frames.put(header)
            {
                return;
            }
            stream.settle();
            self.due.remove(id);
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

/// Heads that go into the buffer.
struct Frames<'a> {
    send: &'a mut SendBuf,
    count: usize,
}

impl Frames<'_> {
    /// Adds one, if it fits.
    fn put(&mut self, header: Header) -> bool {
        let fits = self.send.append(&header.encode());
        self.count += usize::from(fits);
        fits
    }
}

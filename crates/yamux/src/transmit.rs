//! Frames without payload on their way out.

use alloc::collections::VecDeque;

use sanswarm_wire::{Instant, SendBuf};

use crate::{
    StreamId,
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
            self.pings.owed.pop_front();
        }
        release(&mut self.pings.owed);
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
            self.resets.pop_front();
        }
        release(&mut self.resets);
    }

    fn transmit_opening(&mut self, now: Instant, frames: &mut Frames<'_>) {
        while self.has_slot()
            && let Some(id) = self.opening.front()
        {
            let Some(stream) = self.streams.get_mut(id) else { return };
            if !stream.owed().is_some_and(|header| frames.put(header)) {
                return;
            }
            stream.settle(now);
            self.opening.remove(id);
            self.unacknowledged += 1;
            if core::mem::take(&mut stream.parked) {
                self.writers.join(id);
            }
        }
    }

    fn transmit_due(&mut self, now: Instant, frames: &mut Frames<'_>) {
        while let Some(id) = self.due.front()
            && frames.has_room()
        {
            self.tune(now, id);
            let Some(stream) = self.streams.get_mut(id) else { return };
            if let Some(header) = stream.owed()
                && !frames.put(header)
            {
                return;
            }
            stream.settle(now);
            self.due.remove(id);
            if stream.is_over() {
                self.remove(id);
            }
        }
    }

    /// Enlarges the window of a stream that gets credit, if its reader and the peer are held up by it. To know, the time
    /// of a round trip is measured, by a ping behind the credit; where no half of a window is ever read there is none.
    fn tune(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id).filter(|stream| stream.has_reader()) else { return };
        let left = u32::try_from(self.growth_left).unwrap_or(u32::MAX);
        let max = stream.recv.size().saturating_add(left).min(self.config.limits.window_bytes_max);
        if max <= stream.recv.size() {
            return;
        }
        self.pings.measure(now);
        self.growth_left -= stream.recv.tune(now, self.pings.round_trip(), max) as usize;
        self.largest_window = self.largest_window.max(stream.recv.size());
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

/// Gives the memory of a queue back that has become empty after a flood.
fn release(queue: &mut VecDeque<u32>) {
    if queue.capacity() > KEPT_REPLIES {
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

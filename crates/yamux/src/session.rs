//! One end of a connection.

use alloc::collections::VecDeque;
use core::time::Duration;

use sanswarm_wire::{Deadline, Instant, Ring, Role, Turns};

use crate::{
    StreamId,
    config::Config,
    error::{Error, OpenError, UnknownStream},
    frame::GoAway,
    input::Body,
    ping::Pings,
    stream::{Opening, Sending, Stream, Streams},
    window::Growth,
};

/// What a session has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer opened a stream. [Accept](Session::accept) it or [reset](Session::reset) it.
    Opened {
        /// The new stream.
        stream: StreamId,
    },
    /// The next `len` bytes behind what was used are this stream's payload. The caller takes them off the input itself
    /// and then passes what follows.
    Data {
        /// Whose they are.
        stream: StreamId,
        /// How many bytes, at least 1: what is in hand of the frame.
        len: usize,
        /// Whether the peer finishes the stream with them; no [`Finished`](Self::Finished) follows then.
        last: bool,
    },
    /// The peer will send nothing more on this stream.
    Finished {
        /// The stream.
        stream: StreamId,
    },
    /// The peer reset this stream, which is unknown from here on.
    Reset {
        /// The stream.
        stream: StreamId,
    },
    /// The peer answered our ping.
    Pong {
        /// From the [`poll_transmit`](Session::poll_transmit) that wrote the ping to its answer.
        rtt: Duration,
    },
    /// The peer goes away: no stream can be opened from here on, open ones go on if the peer lets them. Those that it
    /// had not heard of are [reset](Self::Reset).
    GoAway {
        /// Why.
        code: GoAway,
    },
}

/// One end of a yamux connection. See the [crate](crate) for how to drive it.
#[derive(Debug)]
pub struct Session {
    pub(crate) config: Config,
    role: Role,
    pub(crate) streams: Streams,
    /// The id of the next stream of ours; `None` when all have been used.
    next: Option<u32>,
    pub(crate) inbound: usize,
    pub(crate) unacknowledged: usize,
    pub(crate) unaccepted: usize,
    pub(crate) growth: Growth,
    /// Streams whose SYN is due.
    pub(crate) opening: Ring,
    /// Streams that may owe a frame without payload, and whose SYN was sent.
    pub(crate) due: Ring,
    pub(crate) writers: Turns,
    /// Wire ids that are owed RST.
    pub(crate) resets: VecDeque<u32>,
    pub(crate) pings: Pings,
    /// What is left of the frame that is being received.
    pub(crate) body: Body,
    pub(crate) goodbye: Option<GoAway>,
    pub(crate) we_go_away: bool,
    pub(crate) they_go_away: bool,
    pub(crate) failed: Option<Error>,
}

impl Session {
    /// A session of the connection's `role`: dialers have odd ids, listeners even ones. Sends nothing by itself.
    pub fn new(role: Role, config: Config) -> Self {
        let limits = config.limits.in_range();
        Self {
            growth: Growth::new(&limits),
            config: Config { limits, ..config },
            role,
            streams: Streams::default(),
            next: Some(if role.is_dialer() { 1 } else { 2 }),
            inbound: 0,
            unacknowledged: 0,
            unaccepted: 0,
            opening: Ring::new(),
            due: Ring::new(),
            writers: Turns::new(),
            resets: VecDeque::new(),
            pings: Pings::default(),
            body: Body::default(),
            goodbye: None,
            we_go_away: false,
            they_go_away: false,
            failed: None,
        }
    }

    // ---- streams

    /// Opens a stream, which can be written at once: its SYN goes with the first data, or with the next
    /// [`poll_transmit`](Self::poll_transmit) if there is none. While too many streams are unacknowledged, both wait.
    pub fn open(&mut self) -> Result<StreamId, OpenError> {
        if self.failed.is_some() {
            return Err(OpenError::Closed);
        }
        if self.we_go_away || self.they_go_away {
            return Err(OpenError::GoingAway);
        }
        let limits = &self.config.limits;
        if self.streams.len() - self.inbound >= limits.streams {
            return Err(OpenError::Limit { name: "streams", value: limits.streams });
        }
        let wire = self.next.ok_or(OpenError::Exhausted)?;
        self.next = wire.checked_add(2);
        let id = self.streams.insert(Stream::new(wire, Opening::SynDue, limits.window_bytes));
        self.opening.push_back(id);
        Ok(id)
    }

    /// Accepts a stream of the peer: ACK goes with the first data, or with the next
    /// [`poll_transmit`](Self::poll_transmit). Writing or finishing accepts too. Does nothing for other streams.
    pub fn accept(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(id)
            && stream.opening == Opening::Unaccepted
        {
            stream.opening = Opening::AckDue;
            self.unaccepted -= 1;
            self.due.push_back(id);
        }
    }

    /// Says that the application has read `bytes` more of a stream, so that the peer may get credit: a window update is
    /// due when half of the window has been read. More than arrived counts as all that arrived.
    pub fn consumed(&mut self, id: StreamId, bytes: usize) {
        if let Some(stream) = self.streams.get_mut(id) {
            stream.recv.consume(bytes);
            if stream.recv.is_due() {
                stream.credit_due = true;
                self.mark_due(id);
            }
        }
    }

    /// Says that we shall write no more on a stream; reading goes on. FIN follows all that was written, by
    /// [`poll_transmit`](Self::poll_transmit). Doing it again changes nothing.
    pub fn finish(&mut self, id: StreamId) -> Result<(), UnknownStream> {
        let stream = self.streams.get_mut(id).ok_or(UnknownStream)?;
        if stream.sending != Sending::Open {
            return Ok(());
        }
        stream.sending = Sending::FinDue;
        stream.parked = false;
        if stream.opening == Opening::Unaccepted {
            stream.opening = Opening::AckDue;
            self.unaccepted -= 1;
        }
        if stream.opening != Opening::SynDue {
            self.due.push_back(id);
        }
        self.writers.leave(id);
        Ok(())
    }

    /// Ends a stream in both directions and forgets it. RST follows all that was written; a peer that has never heard
    /// of the stream gets none.
    pub fn reset(&mut self, id: StreamId) -> Result<(), UnknownStream> {
        let (wire, opening) = self.remove(id).ok_or(UnknownStream)?;
        if opening != Opening::SynDue {
            self.resets.push_back(wire);
        }
        Ok(())
    }

    /// Says that we shall read no more of a stream; writing goes on. yamux cannot tell the peer: what still comes is
    /// dropped and its credit given back, and so is the credit of what was not read. [`Event::Finished`] still comes.
    pub fn stop(&mut self, id: StreamId) -> Result<(), UnknownStream> {
        self.streams.get_mut(id).ok_or(UnknownStream)?.stopped = true;
        self.consumed(id, usize::MAX);
        Ok(())
    }

    // ---- the session

    /// Queues GoAway, behind what the streams owe. No stream can be opened from here on: the peer's get RST. Open ones
    /// go on. After a fatal error it does nothing, since the session has queued its own.
    pub fn go_away(&mut self, code: GoAway) {
        if self.failed.is_none() {
            self.we_go_away = true;
            self.goodbye = Some(code);
        }
    }

    /// Queues a ping, unless one is outstanding: returns whether it did.
    pub fn ping(&mut self, now: Instant) -> bool {
        self.failed.is_none() && self.pings.ask(now)
    }

    /// When the outstanding ping is overdue.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        if self.failed.is_some() {
            return None;
        }
        let asked = self.pings.asked()?;
        Some(Deadline { at: asked + self.config.ping_timeout, why: "yamux ping" })
    }

    /// Fails with [`Error::PingTimeout`] if a ping is overdue. Early calls do nothing; on a failed session it returns
    /// the error again.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        match self.poll_timeout() {
            Some(deadline) if now >= deadline.at => {
                Err(self.fail(Error::PingTimeout { limit: self.config.ping_timeout }))
            }
            _ => Ok(()),
        }
    }

    // ---- what it is like

    /// The streams that are live: open in at least one direction.
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// Whether no stream is live.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether no stream is live, nothing is due and no ping is outstanding: the connection could be closed.
    pub fn is_idle(&self) -> bool {
        self.is_empty()
            && self.body.is_over()
            && self.resets.is_empty()
            && self.goodbye.is_none()
            && self.pings.owed.is_empty()
            && self.pings.asked().is_none()
    }

    /// Whether so many replies wait to be sent that [`handle_input`](Self::handle_input) uses no further frame. The
    /// driver stops reading until [`poll_transmit`](Self::poll_transmit) has sent some.
    pub fn is_held(&self) -> bool {
        let limits = &self.config.limits;
        self.failed.is_none() && (self.resets.len() >= limits.control || self.pings.owed.len() >= limits.pongs)
    }

    /// The receive window of a stream, in bytes: how much of its payload may be unread. It grows while the reader keeps
    /// up and the window holds the peer back.
    pub fn recv_window(&self, id: StreamId) -> Option<u32> {
        Some(self.streams.get(id)?.recv.size())
    }

    /// The time of a round trip, once a ping has been answered. Longer ones count by and by, shorter ones at once.
    pub fn round_trip(&self) -> Option<Duration> {
        self.pings.round_trip()
    }

    /// The heap memory that the session holds, in bytes. It is small while no stream is live.
    pub fn heap_bytes(&self) -> usize {
        self.streams.heap_bytes()
            + self.opening.heap_bytes()
            + self.due.heap_bytes()
            + self.writers.heap_bytes()
            + (self.resets.capacity() + self.pings.owed.capacity()) * size_of::<u32>()
    }

    /// The stream's id on the wire, for logs.
    pub fn wire_id(&self, id: StreamId) -> Option<u32> {
        Some(self.streams.get(id)?.wire)
    }

    // ---- within

    /// Whether `wire` is an id that this end gives out.
    pub(crate) fn is_ours(&self, wire: u32) -> bool {
        (wire % 2 == 1) == self.role.is_dialer()
    }

    /// Queues the stream for [`poll_transmit`](Self::poll_transmit). Before its SYN it waits in the other queue.
    pub(crate) fn mark_due(&mut self, id: StreamId) {
        if self.streams.get(id).is_some_and(|stream| stream.opening != Opening::SynDue) {
            self.due.push_back(id);
        }
    }

    /// Forgets a stream: it leaves every queue, and each count that it was in exactly once. Returns its id on the wire,
    /// and how far its opening had come.
    pub(crate) fn remove(&mut self, id: StreamId) -> Option<(u32, Opening)> {
        let stream = self.streams.remove(id)?;
        self.opening.remove(id);
        self.due.remove(id);
        self.writers.leave(id);
        match stream.opening {
            Opening::AwaitsAck => self.unacknowledged -= 1,
            Opening::Unaccepted => self.unaccepted -= 1,
            _ => {}
        }
        if !self.is_ours(stream.wire) {
            self.inbound -= 1;
        }
        self.growth.give_back(stream.recv.size() - self.config.limits.window_bytes);
        if self.streams.len() == 0 {
            self.opening.release();
            self.due.release();
            self.writers.release();
        }
        Some((stream.wire, stream.opening))
    }

    /// Ends the session: from here on only the goodbye is sent.
    #[cold]
    pub(crate) fn fail(&mut self, error: Error) -> Error {
        self.failed = Some(error);
        self.goodbye = Some(error.code());
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_run_out_and_do_not_wrap() {
        for (role, last) in [(Role::Dialer, u32::MAX), (Role::Listener, u32::MAX - 1)] {
            let mut session = Session::new(role, Config::default());
            session.next = Some(last);
            let id = session.open().unwrap();
            assert_eq!(session.wire_id(id), Some(last));
            assert_eq!(session.open(), Err(OpenError::Exhausted));
        }
    }
}

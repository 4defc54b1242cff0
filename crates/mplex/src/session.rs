//! One end of a connection.

use alloc::collections::VecDeque;

use sanswarm_wire::{Deadline, Instant, Ring, Role, Turns};

use crate::{
    StreamId,
    config::Limits,
    error::{Error, OpenError, UnknownStream},
    frame::{Header, ID_MAX, Kind},
    input::Body,
    stream::{Opening, Sending, Stream, Streams},
    unread::Unread,
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
    /// and then passes what follows. They count as unread until they are [consumed](Session::consumed).
    Data {
        /// Whose they are.
        stream: StreamId,
        /// How many bytes, at least 1: what is in hand of the frame and has a place.
        len: usize,
        /// Whether the peer finishes the stream with them. Never in mplex, where the end is a frame of its own.
        last: bool,
    },
    /// The peer will send nothing more on this stream.
    Finished {
        /// The stream.
        stream: StreamId,
    },
    /// This stream is unknown from here on: the peer reset it, or it was the slowest when unread bytes had held the
    /// session for too long. What was not read of it is lost.
    Reset {
        /// The stream.
        stream: StreamId,
    },
}

/// One end of an mplex connection. See the [crate](crate) for how to drive it.
#[derive(Debug)]
pub struct Session {
    pub(crate) limits: Limits,
    pub(crate) streams: Streams,
    /// The id of the next stream of ours; beyond [`ID_MAX`] when all have been used.
    next: u64,
    pub(crate) inbound: usize,
    pub(crate) unaccepted: usize,
    /// Streams that may owe a frame without payload.
    pub(crate) due: Ring,
    pub(crate) writers: Turns,
    /// Resets that are owed.
    pub(crate) resets: VecDeque<Header>,
    /// What is left of the frame that is being received.
    pub(crate) body: Option<Body>,
    pub(crate) unread: Unread,
    /// The stream that was reset for being slow, until that is told.
    pub(crate) stalled: Option<StreamId>,
    pub(crate) going_away: bool,
    pub(crate) failed: Option<Error>,
}

impl Session {
    /// A session of the connection's `role`: dialers give out odd ids, listeners even ones. Sends nothing by itself.
    pub fn new(role: Role, limits: Limits) -> Self {
        Self {
            limits: limits.in_range(),
            streams: Streams::default(),
            next: u64::from(role.is_dialer()),
            inbound: 0,
            unaccepted: 0,
            due: Ring::new(),
            writers: Turns::new(),
            resets: VecDeque::new(),
            body: None,
            unread: Unread::default(),
            stalled: None,
            going_away: false,
            failed: None,
        }
    }

    // ---- streams

    /// Opens a stream, which can be written at once: its NewStream goes with the first data, or with the next
    /// [`poll_transmit`](Self::poll_transmit) if there is none.
    pub fn open(&mut self) -> Result<StreamId, OpenError> {
        if self.failed.is_some() {
            return Err(OpenError::Closed);
        }
        if self.going_away {
            return Err(OpenError::GoingAway);
        }
        let value = self.limits.streams;
        if self.streams.len() - self.inbound >= value {
            return Err(OpenError::Limit { name: "streams", value });
        }
        if self.next > ID_MAX {
            return Err(OpenError::Exhausted);
        }
        let id = self.streams.insert(Stream::ours(self.next));
        self.next += 2;
        self.due.push_back(id);
        Ok(id)
    }

    /// Accepts a stream of the peer, so that it does not count as [unaccepted](Limits::unaccepted) any more. The peer is
    /// not told: mplex has no frame for it. Writing or finishing accepts too. Does nothing for other streams.
    pub fn accept(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(id)
            && stream.opening == Opening::Unaccepted
        {
            stream.opening = Opening::Done;
            self.unaccepted -= 1;
        }
    }

    /// Says that we shall write no more on a stream; reading goes on. Close follows all that was written, by
    /// [`poll_transmit`](Self::poll_transmit). Doing it again changes nothing.
    pub fn finish(&mut self, id: StreamId) -> Result<(), UnknownStream> {
        self.accept(id);
        let stream = self.streams.get_mut(id).ok_or(UnknownStream)?;
        if stream.sending == Sending::Open {
            stream.sending = Sending::CloseDue;
            self.writers.leave(id);
            self.due.push_back(id);
        }
        Ok(())
    }

    /// Ends a stream in both directions and forgets it, with what was not read of it. Reset follows all that was
    /// written; a peer that has never heard of the stream, or has forgotten it, gets none.
    pub fn reset(&mut self, id: StreamId) -> Result<(), UnknownStream> {
        let stream = self.remove(id).ok_or(UnknownStream)?;
        if stream.opening != Opening::Due && !stream.is_over() {
            self.resets.push_back(stream.header(Kind::Reset, 0));
        }
        Ok(())
    }

    /// Says that we shall read no more of a stream; writing goes on. mplex cannot tell the peer: what still comes is
    /// dropped, and what was not read does not count any more. [`Event::Finished`] still comes.
    pub fn stop(&mut self, id: StreamId) -> Result<(), UnknownStream> {
        self.streams.get_mut(id).ok_or(UnknownStream)?.stopped = true;
        self.consumed(id, usize::MAX);
        self.resume();
        Ok(())
    }

    // ---- the session

    /// Says that we take no new streams and open none: those of the peer are reset. Open ones go on. The peer is not
    /// told: mplex has no frame for it.
    pub fn go_away(&mut self) {
        self.going_away = true;
    }

    /// When unread bytes will have [held](Self::is_held) the session for too long.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        if self.failed.is_some() {
            return None;
        }
        Some(Deadline { at: self.stalled_at()?, why: "mplex stall" })
    }

    /// If unread bytes have held the session for [`Limits::stall`], resets the slowest stream, which ends the hold: the
    /// one that is at its own bound, else the one that has waited to be read for longest. The next
    /// [`handle_input`](Self::handle_input) tells which. Early calls do nothing; on a failed session it returns the error
    /// again.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.stalled_at().is_some_and(|at| now >= at)
            && let Some(id) = self.slowest()
        {
            self.stalled = self.reset(id).is_ok().then_some(id);
            self.unread.hold = None;
        }
        Ok(())
    }

    // ---- what it is like

    /// The streams that are live: open in at least one direction, or with unread bytes.
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// Whether no stream is live.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether no stream is live and nothing is due or left to tell: the connection could be closed.
    pub fn is_idle(&self) -> bool {
        self.is_empty() && self.body.is_none() && self.resets.is_empty() && self.stalled.is_none()
    }

    /// Whether [`handle_input`](Self::handle_input) uses no further input. Either payload is there that has no place: the
    /// driver stops reading until enough was [consumed](Self::consumed), or the time of
    /// [`poll_timeout`](Self::poll_timeout) has come. Or so many resets wait to be sent: until
    /// [`poll_transmit`](Self::poll_transmit) has sent some. A held session still sends.
    pub fn is_held(&self) -> bool {
        self.failed.is_none() && (self.unread.hold.is_some() || self.resets.len() >= self.limits.control)
    }

    /// The stream's id on the wire, for logs. Each end gives out its own: two streams may have the same.
    pub fn wire_id(&self, id: StreamId) -> Option<u64> {
        Some(self.streams.get(id)?.name.id())
    }

    // ---- within

    /// Forgets a stream: it leaves every queue, and each count that it was in exactly once.
    pub(crate) fn remove(&mut self, id: StreamId) -> Option<Stream> {
        let stream = self.streams.remove(id)?;
        self.due.remove(id);
        self.writers.leave(id);
        self.unread.readers.remove(id);
        self.unread.total -= stream.unread as usize;
        self.unaccepted -= usize::from(stream.opening == Opening::Unaccepted);
        self.inbound -= usize::from(!stream.name.is_ours());
        if self.streams.len() == 0 {
            self.due.release();
            self.writers.release();
            self.unread.readers.release();
        }
        self.resume();
        Some(stream)
    }

    /// Forgets a stream that both ends have finished, as soon as it has been read. Until then its bytes count.
    pub(crate) fn end_if_over(&mut self, id: StreamId) {
        match self.streams.get(id) {
            Some(stream) if stream.is_over() && stream.unread == 0 => drop(self.remove(id)),
            Some(stream) if stream.is_over() => self.streams.detach(id),
            _ => {}
        }
    }

    /// Ends the session: from here on nothing is sent.
    pub(crate) fn fail(&mut self, error: Error) -> Error {
        self.failed = Some(error);
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_run_out_and_do_not_wrap() {
        for (role, last) in [(Role::Dialer, ID_MAX), (Role::Listener, ID_MAX - 1)] {
            let mut session = Session::new(role, Limits::default());
            session.next = last;
            let id = session.open().unwrap();
            assert_eq!(session.wire_id(id), Some(last));
            assert_eq!(session.open(), Err(OpenError::Exhausted));
        }
    }
}

//! The streams of a connection, over its muxer.

use core::num::NonZeroU8;
use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use sanswarm_multistream::ProtocolName;
use sanswarm_multistream_select::{Mode, Names};
use sanswarm_wire::{Deadline, Instant, RecvBuf, SendBuf, Slab};

use crate::{
    Direction, Error, Event, Limits, Open, OpenError, ReadError, RefusalCause, StreamId, WriteError,
    counters::{End, Tally},
    deadlines::Deadlines,
    events::Events,
    session::{MuxEvent, MuxId, Session},
    stream::{State, Stream},
    transcript::Transcript,
};

mod negotiation;

#[derive(Debug)]
pub(crate) struct Streams {
    limits: Limits,
    names: Arc<Names>,
    session: Option<Session>,
    table: Slab<Stream>,
    /// By the slot of the muxer's id: the last stream that had it. The muxer uses a slot again once it has forgotten the
    /// stream in it, which may be before the user has read it to its end.
    by_mux: Vec<Option<StreamId>>,
    /// Outbound streams opened before there is a muxer.
    early: VecDeque<StreamId>,
    /// Inbound streams that wait for their turn to negotiate.
    waiting: VecDeque<StreamId>,
    /// Inbound streams that negotiate.
    negotiating: usize,
    /// Streams that owe negotiation messages.
    due: VecDeque<StreamId>,
    deadlines: Deadlines,
    going_away: bool,
    /// The connection has ended: what is cleared away now was counted.
    is_over: bool,
    scratch: Vec<u8>,
    /// Bytes in all inboxes.
    unread: usize,
    pub(crate) tally: Tally,
    pub(crate) transcript: Transcript,
}

impl Streams {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            names: Arc::new(Names::default()),
            session: None,
            table: Slab::new(),
            by_mux: Vec::new(),
            early: VecDeque::new(),
            waiting: VecDeque::new(),
            negotiating: 0,
            due: VecDeque::new(),
            deadlines: Deadlines::default(),
            going_away: false,
            is_over: false,
            scratch: Vec::new(),
            unread: 0,
            tally: Tally::default(),
            transcript: Transcript::default(),
        }
    }

    pub(crate) fn set_names(&mut self, names: Arc<Names>) {
        self.names = names;
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn unread(&self) -> usize {
        self.unread
    }

    pub(crate) fn wire_id(&self, id: StreamId) -> Option<u64> {
        self.session.as_ref()?.wire_id(self.table.get(id)?.mux?)
    }

    /// Streams that are not over at both ends. Of the others the user has only not read all.
    pub(crate) fn running(&self) -> usize {
        let is_over = |s: &Stream| s.is_open() && s.remote_finished && s.finished && !s.finish_due;
        self.table.iter().filter(|(_, stream)| !is_over(stream)).count()
    }

    pub(crate) fn has_session(&self) -> bool {
        self.session.is_some()
    }

    pub(crate) fn session_mut(&mut self) -> Option<&mut Session> {
        self.session.as_mut()
    }

    /// Takes the muxer into use and opens what was asked for before.
    pub(crate) fn start(&mut self, session: Session, events: &mut Events) {
        self.session = Some(session);
        while let Some(id) = self.early.pop_front() {
            if self.attach(id).is_err() {
                self.fail(id, RefusalCause::Reset, events);
            }
        }
    }

    /// Whether the peer has said good-bye and nothing is left to do.
    pub(crate) fn is_drained(&self) -> bool {
        self.going_away && self.table.is_empty()
    }

    /// Whether there is input that must wait until replies have been sent.
    pub(crate) fn is_held(&self) -> bool {
        self.session.as_ref().is_some_and(Session::is_held)
    }

    // ---- commands

    pub(crate) fn open(&mut self, now: Instant, names: Arc<[ProtocolName]>, how: Open) -> Result<StreamId, OpenError> {
        if names.is_empty() {
            return Err(OpenError::NoName);
        }
        if self.going_away {
            return Err(OpenError::GoingAway);
        }
        if self.table.len() >= self.limits.streams {
            return Err(OpenError::Limit { name: "streams", value: self.limits.streams });
        }
        let mode = match how {
            Open::Wait => Mode::Wait,
            Open::Lazy => Mode::Lazy,
        };
        let mut deadline = now + self.limits.negotiation_timeout;
        if self.session.is_none() {
            deadline = deadline + self.limits.upgrade_timeout;
        }
        let id = self.table.insert(Stream::outbound(names, mode, deadline));
        if self.session.is_none() {
            self.early.push_back(id);
        } else if let Err(error) = self.attach(id) {
            self.table.remove(id);
            return Err(error);
        }
        self.deadlines.insert(deadline, id);
        Ok(id)
    }

    /// Gives an outbound stream its place in the muxer.
    fn attach(&mut self, id: StreamId) -> Result<(), OpenError> {
        let (Some(session), Some(stream)) = (&mut self.session, self.table.get_mut(id)) else { return Ok(()) };
        let mux = session.open()?;
        stream.mux = Some(mux);
        stream.start(&self.names, Instant::ZERO);
        self.bind(mux, id);
        self.mark_due(id);
        Ok(())
    }

    pub(crate) fn read(&mut self, id: StreamId) -> Result<Option<Bytes>, ReadError> {
        let stream = self.table.get_mut(id).ok_or(ReadError::Gone)?;
        if !stream.is_open() {
            return Ok(None);
        }
        if let Some(slice) = stream.inbox.pop() {
            self.unread -= slice.len();
            if let (Some(session), Some(mux)) = (&mut self.session, stream.mux) {
                session.consumed(mux, slice.len());
            }
            return Ok(Some(slice));
        }
        stream.told = false;
        if !stream.remote_finished {
            return Ok(None);
        }
        stream.stopped = true;
        self.retire(id);
        Err(ReadError::Finished)
    }

    /// How many bytes of payload the stream would take now. 0 where it cannot write yet.
    pub(crate) fn write_room(&self, id: StreamId, send: &SendBuf) -> usize {
        match (self.table.get(id), &self.session) {
            (Some(stream), Some(session)) if stream.takes_payload() => {
                stream.mux.map_or(0, |mux| session.write_room(mux, send))
            }
            _ => 0,
        }
    }

    /// Whether the stream exists and may still be written to. First sends what the stream owes before payload.
    pub(crate) fn prepare_write(&mut self, now: Instant, id: StreamId, send: &mut SendBuf) -> Result<(), WriteError> {
        let stream = self.table.get_mut(id).ok_or(WriteError::Gone)?;
        if stream.finished {
            return Err(WriteError::Finished);
        }
        if stream.is_due {
            self.send_negotiation(now, id, send);
        }
        Ok(())
    }

    /// Writes payload after [`prepare_write`](Self::prepare_write). What does not fit makes `Writable` owed.
    pub(crate) fn write(&mut self, now: Instant, id: StreamId, data: &[u8], send: &mut SendBuf) -> usize {
        let Some(stream) = self.table.get_mut(id) else { return 0 };
        let mut n = 0;
        if let (true, Some(session), Some(mux)) = (stream.takes_payload(), &mut self.session, stream.mux) {
            n = session.write(now, mux, data, send);
        }
        stream.data_sent |= n > 0;
        stream.wants_write = n < data.len();
        if n > 0 {
            self.tally.sent(stream.label, n);
        }
        n
    }

    pub(crate) fn finish(&mut self, id: StreamId) -> Result<(), WriteError> {
        let stream = self.table.get_mut(id).ok_or(WriteError::Gone)?;
        if stream.finished {
            return Err(WriteError::Finished);
        }
        stream.finished = true;
        stream.finish_due = true;
        stream.wants_write = false;
        self.finish_if_due(id);
        Ok(())
    }

    /// Tells the muxer of a finish as soon as nothing of ours is to come before it.
    fn finish_if_due(&mut self, id: StreamId) {
        let Some(stream) = self.table.get_mut(id) else { return };
        if let (true, true, Some(session), Some(mux)) =
            (stream.finish_due, stream.takes_payload(), &mut self.session, stream.mux)
        {
            stream.finish_due = false;
            session.finish(mux);
            if stream.remote_finished && matches!(stream.state, State::Refusing(_)) {
                self.count_end(false, Direction::Inbound, End::Finished);
                return self.remove(id, false);
            }
            self.retire(id);
        }
    }

    pub(crate) fn reset(&mut self, id: StreamId) -> Result<(), WriteError> {
        let stream = self.table.get(id).ok_or(WriteError::Gone)?;
        self.count_end(stream.is_open(), stream.direction, End::Reset);
        self.remove(id, true);
        Ok(())
    }

    pub(crate) fn stop(&mut self, id: StreamId) -> Result<(), WriteError> {
        let stream = self.table.get_mut(id).ok_or(WriteError::Gone)?;
        stream.stopped = true;
        if stream.is_open() {
            self.discard(id);
        }
        self.retire(id);
        Ok(())
    }

    /// Counts a stream's payload under a label from now on, and what has arrived behind the agreement. Once.
    pub(crate) fn set_label(&mut self, id: StreamId, label: NonZeroU8) {
        let Some(stream) = self.table.get_mut(id) else { return };
        if stream.label.is_none() && stream.is_open() {
            self.tally.labelled(label, stream.direction, stream.inbox.len());
        }
        stream.label.get_or_insert(label);
    }

    pub(crate) fn label(&self, id: StreamId) -> Option<NonZeroU8> {
        self.table.get(id)?.label
    }

    // ---- input

    /// Uses the next head of the input, and the payload behind it. `Ok(false)` means that more input is needed.
    pub(crate) fn step(&mut self, now: Instant, recv: &mut RecvBuf, events: &mut Events) -> Result<bool, Error> {
        self.admit(now, events);
        let Some(session) = &mut self.session else { return Ok(false) };
        let (used, event) = session.handle_input(now, recv.plain())?;
        recv.hold(session.is_held());
        self.transcript.received_frames(&recv.plain()[..used]);
        recv.consume(used);
        match event {
            None => return Ok(used > 0),
            Some(MuxEvent::Opened(mux)) => self.opened(mux),
            Some(MuxEvent::Data { id, len, last }) => {
                self.transcript.received_body(len);
                self.received(id, recv, len, last, events);
            }
            Some(MuxEvent::Finished(mux)) => self.received(mux, recv, 0, true, events),
            Some(MuxEvent::Reset(mux)) => {
                if let Some(id) = self.of_mux(mux) {
                    self.fail(id, RefusalCause::Reset, events);
                }
            }
            Some(MuxEvent::GoAway(0)) => self.going_away = true,
            Some(MuxEvent::GoAway(code)) => return Err(Error::GoneAway { code }),
            Some(MuxEvent::Other) => {}
        }
        Ok(true)
    }

    fn opened(&mut self, mux: MuxId) {
        if self.table.len() >= self.limits.streams {
            // The peer's open streams are bounded by the muxer too; this bounds what of them is unread here.
            if let Some(session) = &mut self.session {
                session.reset(mux);
            }
            return self.count_end(false, Direction::Inbound, End::Reset);
        }
        let id = self.table.insert(Stream::inbound(mux));
        self.bind(mux, id);
        self.waiting.push_back(id);
    }

    /// The next `len` bytes are a stream's, which ends with them if they are the `last`.
    fn received(&mut self, mux: MuxId, recv: &mut RecvBuf, len: usize, last: bool, events: &mut Events) {
        let id = self.of_mux(mux);
        let Some((id, stream)) = id.and_then(|id| Some((id, self.table.get_mut(id)?))) else {
            return recv.consume(len);
        };
        stream.remote_finished |= last;
        if stream.is_open() {
            self.tally.received(stream.label, len.min(recv.plain().len()));
        }
        // What a user will not read is dropped, but not the other side's part of a negotiation.
        if stream.stopped && !matches!(stream.state, State::Negotiating(_)) {
            recv.consume(len);
            if let Some(session) = &mut self.session {
                session.consumed(mux, len);
            }
        } else {
            self.unread += len.min(recv.plain().len());
            stream.inbox.push_from(recv, len);
        }
        match stream.state {
            State::Waiting(_) => {}
            State::Negotiating(_) => self.negotiate(id, events),
            State::Open(_) => self.announce(id, last, events),
            State::Refusing(_) if last && !stream.finish_due => {
                self.count_end(false, Direction::Inbound, End::Finished);
                self.remove(id, false);
            }
            State::Refusing(_) => {}
        }
    }

    /// Tells of payload and of the end, once each.
    fn announce(&mut self, id: StreamId, last: bool, events: &mut Events) {
        let Some(stream) = self.table.get_mut(id) else { return };
        if !stream.inbox.is_empty() && !stream.told {
            stream.told = true;
            events.push_back(Event::Readable { stream: id });
        }
        if last {
            if !stream.stopped {
                events.push_back(Event::Finished { stream: id });
            }
            self.retire(id);
        }
    }

    /// Drops what is unread of a stream that nobody reads any more.
    fn discard(&mut self, id: StreamId) {
        let Some(stream) = self.table.get_mut(id) else { return };
        if let (Some(session), Some(mux)) = (&mut self.session, stream.mux) {
            session.consumed(mux, stream.inbox.len());
            session.stop(mux);
        }
        self.unread -= stream.inbox.len();
        stream.inbox.consume(usize::MAX);
    }

    // ---- ends

    /// The connection ends, and all streams with it.
    pub(crate) fn end(&mut self) {
        if !core::mem::replace(&mut self.is_over, true) {
            self.tally.cut(self.table.iter().filter(|(_, stream)| stream.is_open()).count());
        }
    }

    /// Counts how a stream ends, unless it ended with the connection.
    fn count_end(&mut self, is_open: bool, direction: Direction, end: End) {
        match is_open {
            _ if self.is_over => {}
            true => self.tally.ended(end),
            false => self.tally.failed(direction),
        }
    }

    /// Ends a stream by force, and says so to its user, if it has one yet.
    fn fail(&mut self, id: StreamId, cause: RefusalCause, events: &mut Events) {
        let Some(stream) = self.table.get(id) else { return };
        if stream.is_open() {
            events.push_back(Event::Reset { stream: id });
        } else if stream.direction == Direction::Outbound {
            events.push_back(Event::Refused { stream: id, refusal: stream.refusal(cause) });
        }
        self.count_end(stream.is_open(), stream.direction, End::ResetByPeer);
        self.remove(id, true);
    }

    /// Forgets a stream that both sides have finished and whose end the user has seen.
    fn retire(&mut self, id: StreamId) {
        let Some(stream) = self.table.get(id) else { return };
        let done = stream.remote_finished && stream.stopped && stream.finished && !stream.finish_due;
        if done && stream.is_open() {
            self.count_end(true, stream.direction, End::Finished);
            self.remove(id, false);
        }
    }

    fn remove(&mut self, id: StreamId, reset: bool) {
        let Some(stream) = self.table.remove(id) else { return };
        self.unread -= stream.inbox.len();
        if stream.deadline().is_some() {
            self.deadline_is_over();
        }
        if stream.direction == Direction::Inbound && matches!(stream.state, State::Negotiating(_) | State::Refusing(_))
        {
            self.negotiating -= 1;
        }
        if let Some(mux) = stream.mux {
            // The muxer may have forgotten the stream before we do, and have given its slot to another.
            if let Some(entry) = self.by_mux.get_mut(mux.index()).filter(|entry| **entry == Some(id)) {
                *entry = None;
            }
            if let (true, Some(session)) = (reset, &mut self.session) {
                session.reset(mux);
            }
        }
    }

    // ---- output

    /// Adds what streams owe: negotiation messages, then the muxer's own frames.
    pub(crate) fn poll_transmit(&mut self, now: Instant, send: &mut SendBuf) -> usize {
        let mut n = 0;
        for _ in 0..self.due.len() {
            let Some(id) = self.due.pop_front() else { break };
            n += self.send_negotiation(now, id, send);
        }
        n + self.session.as_mut().map_or(0, |session| session.poll_transmit(now, send))
    }

    /// Whether a stream owes a negotiation message.
    pub(crate) fn is_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Passes on whose turn it is to write.
    pub(crate) fn poll_writable(&mut self, events: &mut Events) {
        while let Some(mux) = self.session.as_mut().and_then(Session::poll_writable) {
            let mut has_use = false;
            if let Some(id) = self.of_mux(mux) {
                self.mark_due(id);
                has_use = self.writable(id, events) || self.table.get(id).is_some_and(|stream| stream.is_due);
            }
            // A head that knows already, and has not written, must not keep those behind it from being told.
            if let (false, Some(session)) = (has_use, &mut self.session) {
                session.decline(mux);
            }
        }
    }

    /// Tells a stream that wants to write that it can. Returns whether it did.
    fn writable(&mut self, id: StreamId, events: &mut Events) -> bool {
        let Some(stream) = self.table.get_mut(id) else { return false };
        let tell = stream.wants_write && matches!(stream.state, State::Open(_)) | stream.takes_payload();
        if tell {
            stream.wants_write = false;
            events.push_back(Event::Writable { stream: id });
        }
        tell
    }

    // ---- time

    pub(crate) fn poll_timeout(&self) -> Option<Deadline> {
        let negotiation = self.deadlines.first().map(|at| Deadline { at, why: "negotiation of a stream" });
        Deadline::sooner(negotiation, self.session.as_ref().and_then(Session::poll_timeout))
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, events: &mut Events) -> Result<(), Error> {
        while let Some(id) = self.deadlines.pop(now) {
            self.fail(id, RefusalCause::Timeout(self.limits.negotiation_timeout), events);
        }
        self.admit(now, events);
        self.session.as_mut().map_or(Ok(()), |session| session.handle_timeout(now))
    }

    /// A stream whose negotiation had a deadline negotiates no more.
    fn deadline_is_over(&mut self) {
        let table = &self.table;
        self.deadlines.remove(|at, id| table.get(id).and_then(Stream::deadline) == Some(at));
    }

    fn bind(&mut self, mux: MuxId, id: StreamId) {
        if self.by_mux.len() <= mux.index() {
            self.by_mux.resize(mux.index() + 1, None);
        }
        self.by_mux[mux.index()] = Some(id);
    }

    fn of_mux(&self, mux: MuxId) -> Option<StreamId> {
        let id = (*self.by_mux.get(mux.index())?)?;
        (self.table.get(id)?.mux == Some(mux)).then_some(id)
    }
}

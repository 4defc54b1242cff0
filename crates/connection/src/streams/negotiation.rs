//! The negotiation of each stream.

use sanswarm_multistream::{MESSAGE_BYTES_MAX, ProtocolName};
use sanswarm_multistream_select::{self as select, Outcome};
use sanswarm_wire::{Instant, SendBuf};

use super::Streams;
use crate::{
    Direction, Event, RefusalCause, StreamId,
    events::Events,
    stream::{State, Stream},
    transcript::{Layer, StreamNumber},
};

/// The longest message of a negotiation with its length.
const MESSAGE_MAX: usize = MESSAGE_BYTES_MAX + 2;

impl Streams {
    /// Lets waiting inbound streams negotiate while there is room for them.
    pub(super) fn admit(&mut self, now: Instant, events: &mut Events) {
        while self.negotiating < self.limits.negotiating {
            let Some(id) = self.waiting.pop_front() else { return };
            let Some(stream) = self.table.get_mut(id) else { continue };
            let deadline = now + self.limits.negotiation_timeout;
            stream.start(&self.names, deadline);
            self.negotiating += 1;
            self.deadlines.insert(deadline, id);
            if let (Some(session), Some(mux)) = (&mut self.session, stream.mux) {
                session.accept(mux);
            }
            self.negotiate(id, events);
        }
    }

    /// Feeds a negotiating stream what has arrived for it.
    pub(super) fn negotiate(&mut self, id: StreamId, events: &mut Events) {
        let number = self.number(id);
        let Some(stream) = self.table.get_mut(id) else { return };
        let dialer = stream.direction;
        let (mut outcome, mut total) = (Ok(None), 0);
        while let State::Negotiating(negotiation) = &mut stream.state {
            let input = stream.inbox.peek(MESSAGE_MAX);
            let used = match negotiation.negotiator.handle_input(input) {
                Ok((used, agreed)) => {
                    outcome = Ok(agreed);
                    used
                }
                Err(error) => {
                    outcome = Err(error);
                    0
                }
            };
            let seen = if outcome.is_err() { input } else { &input[..used] };
            self.transcript.stream_lines(Direction::Inbound, dialer, Layer::Stream, number, seen);
            stream.inbox.consume(used);
            self.unread -= used;
            total += used;
            if used == 0 || matches!(outcome, Ok(Some(_))) {
                break;
            }
        }
        if let (Some(session), Some(mux)) = (&mut self.session, stream.mux) {
            session.consumed(mux, total);
        }
        let ended = stream.remote_finished;
        self.mark_due(id);
        match outcome {
            Ok(Some(Outcome::Agreed(name))) => self.agreed(id, name, events),
            // A list is an answer to a query only, and a stream is none.
            Ok(Some(Outcome::Refused | Outcome::Listed(_))) => self.fail(id, RefusalCause::NotSupported, events),
            Ok(None) if ended => self.ended_early(id, events),
            Ok(None) => {}
            Err(error) => self.misspoken(id, error, events),
        }
    }

    fn agreed(&mut self, id: StreamId, protocol: ProtocolName, events: &mut Events) {
        let Some(stream) = self.table.get_mut(id) else { return };
        let State::Negotiating(negotiation) = core::mem::replace(&mut stream.state, State::Open(None)) else { return };
        // Each name that was proposed has cost one, unless payload did not wait for the answer.
        let is_lazy = negotiation.negotiator.lazy().is_some();
        let round_trips = if is_lazy { 0 } else { negotiation.negotiator.offered().len() as u32 };
        self.tally.agreed(stream.direction, round_trips);
        if let Some(label) = stream.label {
            self.tally.labelled(label, stream.direction, stream.inbox.len());
        }
        if negotiation.negotiator.is_due() {
            stream.state = State::Open(Some(negotiation));
        }
        let (direction, last, wants_write) = (stream.direction, stream.remote_finished, stream.wants_write);
        if stream.stopped {
            self.discard(id);
        }
        self.deadline_is_over();
        events.push_back(Event::Opened { stream: id, protocol, direction });
        self.finish_if_due(id);
        self.announce(id, last, events);
        if wants_write {
            self.writable(id, events);
        }
        if direction == Direction::Inbound {
            self.negotiating -= 1;
        }
    }

    /// The peer has finished before it agreed, or before it proposed what we speak.
    fn ended_early(&mut self, id: StreamId, events: &mut Events) {
        let Some(negotiation) = self.table.get_mut(id).and_then(Stream::negotiation) else { return };
        let error = negotiation.negotiator.handle_eof();
        self.misspoken(id, error, events);
    }

    /// A stream's negotiation broke. Behind a refusal of ours that is a lazy dialer's payload, or its end, which is no
    /// fault: it shall still hear the refusal.
    fn misspoken(&mut self, id: StreamId, error: select::Error, events: &mut Events) {
        let Some(stream) = self.table.get_mut(id) else { return };
        let inbound = stream.direction == Direction::Inbound;
        let refused = stream.negotiation().is_some_and(|n| n.negotiator.refused().is_some());
        if !(inbound && refused) {
            return self.fail(id, RefusalCause::Negotiation(error), events);
        }
        if let State::Negotiating(negotiation) = core::mem::replace(&mut stream.state, State::Open(None)) {
            stream.state = State::Refusing(negotiation);
        }
        stream.stopped = true;
        stream.finished = true;
        stream.finish_due = true;
        self.discard(id);
        self.finish_if_due(id);
    }

    /// Sends what a stream owes of its negotiation, in whole messages.
    pub(super) fn send_negotiation(&mut self, now: Instant, id: StreamId, send: &mut SendBuf) -> usize {
        let number = self.number(id);
        let (Some(stream), Some(session)) = (self.table.get_mut(id), &mut self.session) else { return 0 };
        let (true, Some(mux)) = (stream.is_due, stream.mux) else { return 0 };
        stream.is_due = false;
        let Some(negotiation) = stream.negotiation() else { return 0 };
        let room = session.write_room(mux, send);
        self.scratch.clear();
        negotiation.negotiator.encode(room, &mut self.scratch);
        let still_due = negotiation.negotiator.is_due();
        let n = session.write(now, mux, &self.scratch, send);
        self.transcript.sent_frames(send);
        let dialer = stream.direction;
        self.transcript.stream_lines(Direction::Outbound, dialer, Layer::Stream, number, &self.scratch);
        if still_due {
            session.wait_writable(mux);
            return n;
        }
        if matches!(stream.state, State::Open(_)) {
            stream.state = State::Open(None);
        }
        if stream.wants_write && stream.takes_payload() {
            session.wait_writable(mux);
        }
        self.finish_if_due(id);
        n
    }

    /// The stream's number on the wire, for the transcript if there is one.
    fn number(&self, id: StreamId) -> Option<StreamNumber> {
        if !self.transcript.is_on() {
            return None;
        }
        Some(StreamNumber { number: self.wire_id(id)?, opener: self.table.get(id)?.direction })
    }

    pub(super) fn mark_due(&mut self, id: StreamId) {
        let Some(stream) = self.table.get_mut(id) else { return };
        if !stream.is_due && stream.negotiation().is_some_and(|n| n.negotiator.is_due()) {
            stream.is_due = true;
            self.due.push_back(id);
        }
    }
}

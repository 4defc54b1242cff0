//! What the peer sends.

use sanswarm_wire::Instant;

use crate::{
    StreamId,
    error::Error,
    frame::{Header, Kind},
    session::{Event, Session},
    stream::Stream,
};

/// What is left of a frame whose head was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body {
    /// Whose payload it is; `None` if it is to be dropped.
    pub(crate) stream: Option<StreamId>,
    left: u32,
}

impl Session {
    /// Reads heads of frames, up to the first event, and returns how many bytes it used. It uses nothing of a head that
    /// is not whole. Payload that concerns the caller is never used but told by [`Event::Data`]. After an event the
    /// caller calls again, with what follows, until there is none: even without input, since a
    /// [timeout](Self::handle_timeout) can have left one.
    pub fn handle_input(&mut self, now: Instant, plain: &[u8]) -> Result<(usize, Option<Event>), Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if let Some(stream) = self.stalled.take() {
            return Ok((0, Some(Event::Reset { stream })));
        }
        let mut used = 0;
        loop {
            let rest = &plain[used..];
            let (n, event) = if let Some(body) = self.body {
                let Some(progress) = self.handle_body(now, body, rest.len()) else { break };
                progress
            } else if self.is_held() {
                break;
            } else {
                let decoded = Header::decode(rest, self.limits.message_bytes).map_err(|error| self.fail(error))?;
                let Some((header, n)) = decoded else { break };
                (n, self.handle_header(header).map_err(|error| self.fail(error))?)
            };
            used += n;
            if event.is_some() {
                return Ok((used, event));
            }
        }
        Ok((used, None))
    }

    /// Goes on with a body of which `in_hand` bytes or more are there. `None`: nothing can be done now.
    fn handle_body(&mut self, now: Instant, body: Body, in_hand: usize) -> Option<(usize, Option<Event>)> {
        let in_hand = in_hand.min(body.left as usize);
        if in_hand == 0 || self.unread.hold.is_some() {
            return None;
        }
        // The stream may have been reset or stopped since the head was read.
        let wanted = body.stream.and_then(|id| Some((id, self.streams.get(id).filter(|stream| !stream.stopped)?)));
        let Some((id, &Stream { unread, .. })) = wanted else {
            self.body_used(body, in_hand);
            return Some((in_hand, None));
        };
        let len = in_hand.min(self.unread_room(unread));
        if len == 0 {
            self.hold(now, id, unread);
            return None;
        }
        self.told(id, len);
        self.body_used(body, len);
        Some((0, Some(Event::Data { stream: id, len, last: false })))
    }

    fn body_used(&mut self, body: Body, n: usize) {
        let left = body.left - n as u32;
        self.body = (left > 0).then_some(Body { left, ..body });
    }

    fn handle_header(&mut self, header: Header) -> Result<Option<Event>, Error> {
        let known = self.streams.by_header(header);
        let mut body = Body { stream: None, left: header.length };
        let event = match (header.kind, known) {
            (Kind::NewStream, Some(_)) => return Err(Error::AlreadyOpen { id: header.id }),
            (Kind::NewStream, None) => self.handle_new(header),
            (Kind::Message, Some(id)) => {
                // What comes behind Close is dropped.
                body.stream = self.streams.get(id).filter(|stream| !stream.received).map(|_| id);
                None
            }
            (Kind::Close, Some(stream)) => self.handle_close(stream),
            (Kind::Reset, Some(stream)) => self.remove(stream).map(|_| Event::Reset { stream }),
            (_, None) => None,
        };
        self.body = (body.left > 0).then_some(body);
        Ok(event)
    }

    fn handle_new(&mut self, header: Header) -> Option<Event> {
        let limits = &self.limits;
        if self.going_away || self.inbound >= limits.streams || self.unaccepted >= limits.unaccepted {
            self.resets.push_back(Header::bare(Kind::Reset, false, header.id));
            return None;
        }
        self.inbound += 1;
        self.unaccepted += 1;
        Some(Event::Opened { stream: self.streams.insert(Stream::theirs(header.id)) })
    }

    fn handle_close(&mut self, id: StreamId) -> Option<Event> {
        let stream = self.streams.get_mut(id)?;
        let is_first = !core::mem::replace(&mut stream.received, true);
        self.end_if_over(id);
        is_first.then_some(Event::Finished { stream: id })
    }
}

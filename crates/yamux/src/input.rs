//! What the peer sends.

use sanswarm_wire::Instant;

use crate::{
    StreamId,
    error::Error,
    frame::{Flags, GoAway, HEADER_BYTES, Header, Kind},
    session::{Event, Session},
    stream::{Opening, Receiving, Sending, Stream},
};

/// What is left of a frame whose head was read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Body {
    /// Whose it is; `None` if it is to be dropped.
    stream: Option<StreamId>,
    left: u32,
    /// The stream finishes with it.
    fin: bool,
}

impl Body {
    /// A body that is dropped.
    fn dropped(left: u32) -> Self {
        Self { stream: None, left, fin: false }
    }

    /// Whether nothing is left.
    pub(crate) fn is_over(&self) -> bool {
        self.left == 0 && !self.fin
    }
}

impl Session {
    /// Reads heads of frames, up to the first event, and returns how many bytes it used. It uses nothing of a head that
    /// is not whole. Payload that concerns the caller is never used but told by [`Event::Data`]. After an event the
    /// caller calls again, with what follows, until there is none: even without input, since one frame can hold two.
    pub fn handle_input(&mut self, now: Instant, plain: &[u8]) -> Result<(usize, Option<Event>), Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if let Some(stream) = self.refused_stream() {
            return Ok((0, Some(Event::Reset { stream })));
        }
        let mut used = 0;
        loop {
            let rest = &plain[used..];
            let (n, event) = if self.body.is_over() {
                let Some(head) = rest.first_chunk().filter(|_| !self.is_held()) else { break };
                let event = Header::decode(head).and_then(|header| self.handle_header(now, header));
                (HEADER_BYTES, event.map_err(|error| self.fail(error))?)
            } else {
                let Some(progress) = self.handle_body(rest.len()) else { break };
                progress
            };
            used += n;
            if event.is_some() {
                return Ok((used, event));
            }
        }
        Ok((used, None))
    }

    /// A stream of ours whose SYN had not been sent when the peer went away: it never will be.
    fn refused_stream(&mut self) -> Option<StreamId> {
        if !self.they_go_away {
            return None;
        }
        let id = self.opening.front()?;
        self.remove(id)?;
        Some(id)
    }

    /// Goes on with the body, of which `in_hand` bytes or more are there. `None`: nothing can be done before more come.
    fn handle_body(&mut self, in_hand: usize) -> Option<(usize, Option<Event>)> {
        let len = in_hand.min(self.body.left as usize);
        if len == 0 && self.body.left > 0 {
            return None;
        }
        self.body.left -= len as u32;
        let last = self.body.left == 0 && core::mem::take(&mut self.body.fin);
        // The stream may have been reset or stopped since the head was read.
        let Some((stream, stopped)) = self.body.stream.and_then(|id| Some((id, self.streams.get(id)?.stopped))) else {
            return Some((len, None));
        };
        if last {
            self.finish_receiving(stream);
        }
        Some(if len > 0 && !stopped {
            (0, Some(Event::Data { stream, len, last }))
        } else {
            (len, last.then_some(Event::Finished { stream }))
        })
    }

    fn finish_receiving(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(id) {
            stream.receiving = Receiving::FinTold;
            if stream.is_over() {
                self.remove(id);
            }
        }
    }

    fn handle_header(&mut self, now: Instant, header: Header) -> Result<Option<Event>, Error> {
        match header.kind {
            Kind::Data | Kind::WindowUpdate if header.stream == 0 => Err(Error::StreamZero),
            Kind::Data | Kind::WindowUpdate => {
                let known = self.streams.by_wire(header.stream);
                if header.flags.has(Flags::RST) {
                    return self.handle_rst(known, header);
                }
                if header.flags.has(Flags::SYN) {
                    return self.handle_syn(known, header);
                }
                match known {
                    Some(id) => self.handle_frame(id, header),
                    None => self.drop_body(header),
                }?;
                Ok(None)
            }
            Kind::Ping => Ok(self.handle_ping(now, header)),
            Kind::GoAway => {
                self.they_go_away = true;
                Ok(Some(Event::GoAway { code: GoAway::from_code(header.length) }))
            }
        }
    }

    fn handle_rst(&mut self, known: Option<StreamId>, header: Header) -> Result<Option<Event>, Error> {
        self.drop_body(header)?;
        Ok(known.and_then(|stream| self.remove(stream).map(|_| Event::Reset { stream })))
    }

    fn handle_syn(&mut self, known: Option<StreamId>, header: Header) -> Result<Option<Event>, Error> {
        let id = header.stream;
        if self.is_ours(id) {
            return Err(Error::WrongParity { id });
        }
        if known.is_some() {
            return Err(Error::AlreadyOpen { id });
        }
        // The whole frame is judged before there is any state of it.
        let mut stream = Stream::new(id, Opening::Unaccepted, self.config.limits.window_bytes);
        match header.kind {
            Kind::Data => stream.recv.receive(header.length)?,
            _ => stream.send.add(header.length)?,
        }
        if self.refuses_streams() {
            self.resets.push_back(id);
            self.drop_body(header)?;
            return Ok(None);
        }
        let fin = header.flags.has(Flags::FIN);
        if fin {
            stream.receiving = Receiving::FinSeen;
        }
        let stream = self.streams.insert(stream);
        self.inbound += 1;
        self.unaccepted += 1;
        self.body = Body { stream: Some(stream), left: header.body(), fin };
        Ok(Some(Event::Opened { stream }))
    }

    fn refuses_streams(&self) -> bool {
        let limits = &self.config.limits;
        self.we_go_away || self.inbound >= limits.streams || self.unaccepted >= limits.unaccepted
    }

    /// A data frame or window update for a stream that is known.
    fn handle_frame(&mut self, id: StreamId, header: Header) -> Result<(), Error> {
        let Some(stream) = self.streams.get_mut(id) else { return Ok(()) };
        match header.kind {
            Kind::Data => stream.recv.receive(header.length)?,
            _ => stream.send.add(header.length)?,
        }
        if header.flags.has(Flags::ACK) && stream.opening == Opening::AwaitsAck {
            stream.opening = Opening::Done;
            self.unacknowledged -= 1;
        }
        if stream.parked && stream.send.left() > 0 && stream.sending == Sending::Open {
            stream.parked = false;
            self.writers.join(id);
        }
        if stream.receiving != Receiving::Open {
            self.body = Body::dropped(header.body());
            return Ok(());
        }
        let fin = header.flags.has(Flags::FIN);
        if fin {
            stream.receiving = Receiving::FinSeen;
        } else if stream.stopped {
            stream.recv.consume(header.body() as usize);
            if stream.recv.is_due() {
                stream.credit_due = true;
                self.due.push_back(id);
            }
        }
        self.body = Body { stream: Some(id), left: header.body(), fin };
        Ok(())
    }

    /// The body of a frame that concerns nobody is dropped, if a peer that follows its windows can have sent it.
    fn drop_body(&mut self, header: Header) -> Result<(), Error> {
        let (length, limit) = (header.body(), self.growth.largest());
        if length > limit {
            return Err(Error::BodyTooLong { length, limit });
        }
        self.body = Body::dropped(length);
        Ok(())
    }

    /// A ping that neither asks nor answers, or an answer to nothing, is ignored.
    fn handle_ping(&mut self, now: Instant, header: Header) -> Option<Event> {
        if header.flags.has(Flags::SYN) {
            self.pings.owed.push_back(header.length);
            None
        } else if header.flags.has(Flags::ACK) {
            self.pings.answered(now, header.length).map(|rtt| Event::Pong { rtt })
        } else {
            None
        }
    }
}

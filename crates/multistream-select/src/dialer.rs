//! The end that proposes.

use alloc::sync::Arc;

use sanswarm_multistream::{HEADER, HEADER_LINE, NA, ProtocolName, decode};

use crate::{
    Error, Limits, Outcome, Seen,
    negotiator::{Message, header},
};

#[derive(Clone, Debug)]
pub(crate) struct Dialer {
    names: Arc<[ProtocolName]>,
    lazy: bool,
    header_sent: bool,
    pub(crate) header_seen: bool,
    /// `names[..proposed]` have been written.
    proposed: usize,
    /// The name that the next answer is about. An answer that comes before its proposal was written counts too, or
    /// the result would depend on who polls when; the proposal is still sent.
    turn: usize,
}

impl Dialer {
    pub(crate) fn new(names: Arc<[ProtocolName]>, lazy: bool) -> Self {
        let lazy = lazy && names.len() == 1;
        Self { names, lazy, header_sent: false, header_seen: false, proposed: 0, turn: 0 }
    }

    pub(crate) fn handle_input(&mut self, input: &[u8], limits: &Limits) -> Result<(usize, Option<Outcome>), Error> {
        if self.names.is_empty() {
            return Ok((0, Some(Outcome::Refused)));
        }
        let mut used = 0;
        if !self.header_seen {
            used = header(input, limits)?;
            if used == 0 {
                return Ok((0, None));
            }
            self.header_seen = true;
        }
        while let Some(name) = self.names.get(self.turn) {
            let Some(line) = decode(&input[used..], limits.message_bytes)? else { return Ok((used, None)) };
            used += line.used;
            if line.text == name.as_bytes() {
                return Ok((used, Some(Outcome::Agreed(name.clone()))));
            }
            if line.text != NA.as_bytes() {
                return Err(unexpected(line.text));
            }
            self.turn += 1;
        }
        Ok((used, Some(Outcome::Refused)))
    }

    /// The next message to be sent.
    pub(crate) fn due(&self) -> Option<Message<'_>> {
        if !self.header_sent {
            return if self.names.is_empty() { None } else { Some(Message::Line(HEADER_LINE)) };
        }
        if self.proposed > self.turn {
            None
        } else {
            self.names.get(self.proposed).map(|name| Message::Text(name.as_bytes()))
        }
    }

    /// Says that what was due has been written.
    pub(crate) fn wrote(&mut self) {
        if self.header_sent {
            self.proposed += 1;
        } else {
            self.header_sent = true;
        }
    }

    pub(crate) fn lazy(&self) -> Option<&ProtocolName> {
        if self.lazy { self.offered().first() } else { None }
    }

    pub(crate) fn offered(&self) -> &[ProtocolName] {
        &self.names[..self.proposed]
    }

    pub(crate) fn was_refused(&self) -> bool {
        self.turn > 0
    }
}

#[cold]
fn unexpected(text: &[u8]) -> Error {
    if text == HEADER.as_bytes() { Error::SecondHeader } else { Error::Unexpected { seen: Seen::new(text) } }
}

//! The end that answers.

use alloc::sync::Arc;

use sanswarm_multistream::{HEADER_LINE, NA_LINE, decode};

use crate::{
    Error, Greeting, Limits, Names, Outcome, Seen,
    negotiator::{Message, header},
};

#[derive(Clone, Debug)]
pub(crate) struct Listener {
    names: Arc<Names>,
    header_due: bool,
    header_sent: bool,
    header_seen: bool,
    proposals: u32,
    /// Refusals to be sent.
    na_due: u32,
    /// The agreed name's place in `names`, while its echo is to be sent.
    echo_due: Option<usize>,
    refused: Option<Seen>,
}

impl Listener {
    pub(crate) fn new(names: Arc<Names>, greeting: Greeting) -> Self {
        Self {
            names,
            header_due: greeting == Greeting::AtOnce,
            header_sent: false,
            header_seen: false,
            proposals: 0,
            na_due: 0,
            echo_due: None,
            refused: None,
        }
    }

    pub(crate) fn handle_input(&mut self, input: &[u8], limits: &Limits) -> Result<(usize, Option<Outcome>), Error> {
        let mut used = 0;
        if !self.header_seen {
            used = header(input, limits)?;
            if used == 0 {
                return Ok((0, None));
            }
            self.header_seen = true;
            // Not with the first answer only: some dialers (py) wait for our header before they propose.
            self.header_due = !self.header_sent;
        }
        loop {
            let line = match decode(&input[used..], limits.message_bytes) {
                Ok(Some(line)) => line,
                Ok(None) => return Ok((used, None)),
                Err(_) if self.refused.is_some() => return Err(Error::Refused),
                Err(error) => return Err(Error::Line(error)),
            };
            used += line.used;
            if self.proposals >= limits.proposals {
                return Err(Error::TooManyProposals { limit: limits.proposals });
            }
            self.proposals += 1;
            self.echo_due = self.names.find(line.text);
            if let Some(name) = self.echo_due.and_then(|index| self.names.at(index)) {
                return Ok((used, Some(Outcome::Agreed(name.clone()))));
            }
            self.na_due += 1;
            self.refused = Some(Seen::new(line.text));
        }
    }

    /// The next message to be sent.
    pub(crate) fn due(&self) -> Option<Message<'_>> {
        if self.header_due {
            Some(Message::Line(HEADER_LINE))
        } else if self.na_due > 0 {
            Some(Message::Line(NA_LINE))
        } else {
            self.names.at(self.echo_due?).map(|name| Message::Text(name.as_bytes()))
        }
    }

    /// Says that what was due has been written.
    pub(crate) fn wrote(&mut self) {
        if self.header_due {
            (self.header_due, self.header_sent) = (false, true);
        } else if self.na_due > 0 {
            self.na_due -= 1;
        } else {
            self.echo_due = None;
        }
    }

    pub(crate) fn refused(&self) -> Option<&Seen> {
        self.refused.as_ref()
    }
}

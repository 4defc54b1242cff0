//! The end that answers.

use alloc::sync::Arc;

use sanswarm_multistream::{HEADER_LINE, LS, NA_LINE, decode};

use crate::{
    Error, Greeting, Limits, Names, Outcome, Seen,
    names::Found,
    negotiator::{Message, header},
};

#[derive(Clone, Debug)]
pub(crate) struct Listener {
    names: Arc<Names>,
    header_due: bool,
    header_sent: bool,
    pub(crate) header_seen: bool,
    /// The list has been asked for: it is told once, so that few bytes cannot ask for many again and again.
    list_asked: bool,
    list_due: bool,
    proposals: u32,
    /// The bytes of all proposals.
    bytes: usize,
    /// Refusals to be sent, and how many of them come behind the list.
    na_due: u32,
    na_behind_list: u32,
    /// The agreed name, while its echo is to be sent.
    echo_due: Option<Found>,
    refused: Option<Seen>,
}

impl Listener {
    pub(crate) fn new(names: Arc<Names>, greeting: Greeting) -> Self {
        Self {
            names,
            header_due: greeting == Greeting::AtOnce,
            header_sent: false,
            header_seen: false,
            list_asked: false,
            list_due: false,
            proposals: 0,
            bytes: 0,
            na_due: 0,
            na_behind_list: 0,
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
            self.count(line.used, limits)?;
            if let Some(found) = self.names.find(line.text) {
                let outcome = self.names.name(&found).map(|name| Outcome::Agreed(name.clone()));
                self.echo_due = Some(found);
                return Ok((used, outcome));
            }
            self.refuse(line.text);
        }
    }

    /// Counts a proposal of `bytes`.
    fn count(&mut self, bytes: usize, limits: &Limits) -> Result<(), Error> {
        if self.proposals >= limits.proposals {
            return Err(Error::TooManyProposals { limit: limits.proposals });
        }
        self.proposals += 1;
        self.bytes += bytes;
        if self.bytes > limits.total_bytes {
            return Err(Error::TooManyBytes { limit: limits.total_bytes });
        }
        Ok(())
    }

    /// Answers what is no name of ours.
    fn refuse(&mut self, text: &[u8]) {
        if text == LS.as_bytes() && !self.list_asked && self.names.list().is_some() {
            (self.list_asked, self.list_due) = (true, true);
            return;
        }
        self.na_due += 1;
        self.na_behind_list += u32::from(self.list_due);
        self.refused = Some(Seen::new(text));
    }

    /// The next message to be sent.
    #[inline]
    pub(crate) fn due(&self) -> Option<Message<'_>> {
        if self.header_due {
            return Some(Message::Line(HEADER_LINE));
        }
        if self.na_due > self.na_behind_list {
            return Some(Message::Line(NA_LINE));
        }
        if self.list_due {
            return self.names.list().map(Message::Line);
        }
        self.names.name(self.echo_due.as_ref()?).map(|name| Message::Text(name.as_bytes()))
    }

    /// Says that what was due has been written.
    pub(crate) fn wrote(&mut self) {
        if self.header_due {
            (self.header_due, self.header_sent) = (false, true);
        } else if self.na_due > self.na_behind_list {
            self.na_due -= 1;
        } else if self.list_due {
            (self.list_due, self.na_behind_list) = (false, 0);
        } else {
            self.echo_due = None;
        }
    }

    pub(crate) fn refused(&self) -> Option<&Seen> {
        self.refused.as_ref()
    }
}

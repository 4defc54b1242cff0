//! The end that answers.

use alloc::sync::Arc;

use sanswarm_multistream::{HEADER_LINE, LS, NA_LINE, ProtocolName, decode};

use crate::{Error, Greeting, Limits, Names, Outcome, Seen, negotiator::header, sink::Sink};

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
    /// The agreed name, while its echo is to be sent: by its place in `names`, or as the predicate saw it.
    known_due: Option<u32>,
    matched_due: Option<ProtocolName>,
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
            known_due: None,
            matched_due: None,
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
            if let Some(index) = self.names.index(line.text) {
                self.known_due = Some(index);
                return Ok((used, self.names.known(index).map(|name| Outcome::Agreed(name.clone()))));
            }
            if let Some(name) = self.names.matched(line.text) {
                self.matched_due = Some(name.clone());
                return Ok((used, Some(Outcome::Agreed(name))));
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
        self.refused.get_or_insert(Seen::NOTHING).set(text);
    }

    pub(crate) fn is_due(&self) -> bool {
        self.header_due || self.na_due > 0 || self.list_due || self.echo().is_some()
    }

    /// Writes what is due: the header, the refusals around the list, the echo.
    pub(crate) fn transmit(&mut self, sink: &mut impl Sink) {
        let refuses = self.na_due > 0 || self.list_due;
        if self.header_due {
            let together = !refuses && self.echo().is_some_and(|echo| sink.greeting(echo));
            if !together && !sink.line(HEADER_LINE) {
                return;
            }
            (self.header_due, self.header_sent) = (false, true);
            if together {
                return self.echoed();
            }
        }
        if refuses && !self.transmit_refusals(sink) {
            return;
        }
        if self.echo().is_some_and(|echo| sink.text(echo)) {
            self.echoed();
        }
    }

    fn echo(&self) -> Option<&[u8]> {
        let name = match self.known_due {
            Some(index) => self.names.known(index),
            None => self.matched_due.as_ref(),
        };
        name.map(ProtocolName::as_bytes)
    }

    fn echoed(&mut self) {
        (self.known_due, self.matched_due) = (None, None);
    }

    /// Returns whether all went.
    fn transmit_refusals(&mut self, sink: &mut impl Sink) -> bool {
        while self.na_due > self.na_behind_list {
            if !sink.line(NA_LINE) {
                return false;
            }
            self.na_due -= 1;
        }
        if self.list_due {
            if !self.names.list().is_none_or(|list| sink.line(list)) {
                return false;
            }
            (self.list_due, self.na_behind_list) = (false, 0);
            return self.transmit_refusals(sink);
        }
        true
    }

    pub(crate) fn refused(&self) -> Option<&Seen> {
        self.refused.as_ref()
    }
}

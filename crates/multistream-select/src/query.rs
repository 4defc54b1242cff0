//! The end that asks what there is.

use sanswarm_multistream::{HEADER_LINE, LS, NA, decode};

use crate::{Error, Limits, Outcome, Seen, list::decode_list, negotiator::header, sink::Sink};

#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    header_sent: bool,
    asked: bool,
    pub(crate) header_seen: bool,
}

impl Query {
    /// A query where the headers have been exchanged.
    pub(crate) fn within() -> Self {
        Self { header_sent: true, asked: false, header_seen: true }
    }

    pub(crate) fn handle_input(&mut self, input: &[u8], limits: &Limits) -> Result<(usize, Option<Outcome>), Error> {
        let mut used = 0;
        if !self.header_seen {
            used = header(input, limits)?;
            if used == 0 {
                return Ok((0, None));
            }
            self.header_seen = true;
        }
        let Some(line) = decode(&input[used..], limits.list_bytes)? else { return Ok((used, None)) };
        used += line.used;
        if line.text == NA.as_bytes() {
            return Ok((used, Some(Outcome::Refused)));
        }
        match decode_list(line.text) {
            Some(names) => Ok((used, Some(Outcome::Listed(names)))),
            None => Err(Error::NoList { seen: Seen::new(line.text) }),
        }
    }

    pub(crate) fn is_due(&self) -> bool {
        !self.asked
    }

    pub(crate) fn transmit(&mut self, sink: &mut impl Sink) {
        self.header_sent = self.header_sent || sink.line(HEADER_LINE);
        self.asked = self.asked || (self.header_sent && sink.text(LS.as_bytes()));
    }
}

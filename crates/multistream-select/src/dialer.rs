//! The end that proposes.

use alloc::{sync::Arc, vec::Vec};

use sanswarm_multistream::{HEADER, HEADER_LINE, NA, ProtocolName, decode};

use crate::{Error, Limits, Outcome, Seen, negotiator::header, sink::Sink};

/// What a dialer proposes, the best name first. One name is kept in place: it needs no allocation to begin with, and no
/// count of who shares it.
#[derive(Clone, Debug)]
pub struct Offer(Names);

#[derive(Clone, Debug)]
enum Names {
    One([ProtocolName; 1]),
    Many(Arc<[ProtocolName]>),
}

impl Offer {
    /// The names, the best first; none perhaps.
    #[inline]
    pub fn names(&self) -> &[ProtocolName] {
        match &self.0 {
            Names::One(name) => name,
            Names::Many(names) => names,
        }
    }
}

impl From<ProtocolName> for Offer {
    fn from(name: ProtocolName) -> Self {
        Self(Names::One([name]))
    }
}

impl From<Arc<[ProtocolName]>> for Offer {
    fn from(names: Arc<[ProtocolName]>) -> Self {
        Self(Names::Many(names))
    }
}

impl<const N: usize> From<Arc<[ProtocolName; N]>> for Offer {
    fn from(names: Arc<[ProtocolName; N]>) -> Self {
        Self(Names::Many(names))
    }
}

impl From<Vec<ProtocolName>> for Offer {
    fn from(names: Vec<ProtocolName>) -> Self {
        names.as_slice().into()
    }
}

impl From<&[ProtocolName]> for Offer {
    fn from(names: &[ProtocolName]) -> Self {
        match names {
            [name] => name.clone().into(),
            names => Self(Names::Many(names.into())),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Dialer {
    offer: Offer,
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
    pub(crate) fn new(offer: Offer, lazy: bool) -> Self {
        let lazy = lazy && offer.names().len() == 1;
        Self { offer, lazy, header_sent: false, header_seen: false, proposed: 0, turn: 0 }
    }

    pub(crate) fn handle_input(&mut self, input: &[u8], limits: &Limits) -> Result<(usize, Option<Outcome>), Error> {
        if self.names().is_empty() {
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
        while let Some(name) = self.names().get(self.turn) {
            let Some(line) = decode(&input[used..], limits.message_bytes)? else { return Ok((used, None)) };
            used += line.used;
            if name.is(line.text) {
                return Ok((used, Some(Outcome::Agreed(name.clone()))));
            }
            if line.text != NA.as_bytes() {
                return Err(unexpected(line.text));
            }
            self.turn += 1;
        }
        Ok((used, Some(Outcome::Refused)))
    }

    pub(crate) fn is_due(&self) -> bool {
        let has_next = self.names().get(self.proposed).is_some();
        has_next && (!self.header_sent || self.proposed <= self.turn)
    }

    /// Writes what is due: the header once, and each proposal when its turn has come.
    pub(crate) fn transmit(&mut self, sink: &mut impl Sink) {
        if !self.header_sent {
            let Some(first) = self.names().first() else { return };
            if sink.greeting(first.as_bytes()) {
                self.proposed = 1;
            } else if !sink.line(HEADER_LINE) {
                return;
            }
            self.header_sent = true;
        }
        while self.proposed <= self.turn
            && let Some(name) = self.names().get(self.proposed)
        {
            if !sink.text(name.as_bytes()) {
                return;
            }
            self.proposed += 1;
        }
    }

    pub(crate) fn lazy(&self) -> Option<&ProtocolName> {
        if self.lazy { self.offered().first() } else { None }
    }

    fn names(&self) -> &[ProtocolName] {
        self.offer.names()
    }

    pub(crate) fn offered(&self) -> &[ProtocolName] {
        &self.names()[..self.proposed]
    }

    pub(crate) fn was_refused(&self) -> bool {
        self.turn > 0
    }
}

#[cold]
fn unexpected(text: &[u8]) -> Error {
    if text == HEADER.as_bytes() { Error::SecondHeader } else { Error::Unexpected { seen: Seen::new(text) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_is_kept_in_place() {
        const ONE: ProtocolName = ProtocolName::from_static("/one");
        const TWO: ProtocolName = ProtocolName::from_static("/two");
        assert!(matches!(Offer::from(ONE).0, Names::One(_)));
        assert!(matches!(Offer::from(Vec::from([ONE])).0, Names::One(_)));
        assert!(matches!(Offer::from(&[ONE, TWO][..]).0, Names::Many(_)));
        let shared: Arc<[ProtocolName]> = Arc::new([ONE, TWO]);
        for offer in [Offer::from(shared), Offer::from(Arc::new([ONE, TWO])), Offer::from(Vec::from([ONE, TWO]))] {
            assert_eq!(offer.names(), [ONE, TWO]);
        }
        assert_eq!(Offer::from(ONE).names(), [ONE]);
        assert!(Offer::from(Vec::new()).names().is_empty());
    }
}

//! Messages of the handshake that come behind it (RFC 8446, section 4.6).

use sanswarm_wire::Role;

use crate::Error;

const NEW_SESSION_TICKET: u8 = 4;
const KEY_UPDATE: u8 = 24;

/// Our own change of keys, as an answer or since they are used up: the peer need not change its own.
pub(crate) const UPDATE: [u8; 5] = [KEY_UPDATE, 0, 0, 1, 0];

/// Where a reader of such messages stands: they may be in any pieces. Tickets are skipped, so nothing is kept.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    head: [u8; 4],
    /// How much of the head is here.
    have: usize,
    /// What is left of the message's body.
    left: usize,
}

/// A change of the peer's keys.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Update {
    /// Whether it wants us to change ours.
    pub(crate) asks: bool,
}

impl Messages {
    /// Whether a message is incomplete, which only its own rest may follow.
    pub(crate) fn is_partial(&self) -> bool {
        self.have > 0
    }

    /// Reads the content of one record.
    pub(crate) fn read(&mut self, role: Role, mut input: &[u8]) -> Result<Option<Update>, Error> {
        if input.is_empty() {
            return Err(Error::Unexpected); // 5.1: no empty fragments
        }
        while let Some((&byte, rest)) = input.split_first() {
            if self.have < self.head.len() {
                self.head[self.have] = byte;
                self.have += 1;
                input = rest;
                if self.have == self.head.len() {
                    self.begin(role)?;
                }
                continue;
            }
            if self.head[0] == KEY_UPDATE {
                // 5.1: it must end its record, since what follows has other keys.
                let asks = match byte {
                    0 | 1 if rest.is_empty() => byte == 1,
                    0 | 1 => return Err(Error::Unexpected),
                    _ => return Err(Error::Malformed),
                };
                self.have = 0;
                return Ok(Some(Update { asks }));
            }
            let skipped = self.left.min(input.len());
            self.left -= skipped;
            input = &input[skipped..];
            if self.left == 0 {
                self.have = 0;
            }
        }
        Ok(None)
    }

    fn begin(&mut self, role: Role) -> Result<(), Error> {
        let [kind, high, middle, low] = self.head;
        self.left = u32::from_be_bytes([0, high, middle, low]) as usize;
        match (kind, self.left) {
            (KEY_UPDATE, 1) => Ok(()),
            // We resume nothing, but who listens may give tickets.
            (NEW_SESSION_TICKET, 1..) if role.is_dialer() => Ok(()),
            (KEY_UPDATE | NEW_SESSION_TICKET, _) if role.is_dialer() || kind == KEY_UPDATE => Err(Error::Malformed),
            _ => Err(Error::Unexpected),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TICKET: [u8; 9] = [4, 0, 0, 5, 1, 2, 3, 4, 5];

    fn read(role: Role, records: &[&[u8]]) -> Result<Vec<Option<Update>>, Error> {
        let mut messages = Messages::default();
        records.iter().map(|record| messages.read(role, record)).collect()
    }

    #[test]
    fn tickets_are_skipped_and_updates_are_told() {
        let both = [&TICKET[..], &TICKET, &[24, 0, 0, 1, 1]].concat();
        assert_eq!(read(Role::Dialer, &[&both]), Ok(vec![Some(Update { asks: true })]));
        assert_eq!(read(Role::Dialer, &[&TICKET[..3], &TICKET[3..7], &TICKET[7..]]), Ok(vec![None, None, None]));
        assert_eq!(read(Role::Listener, &[&UPDATE[..4], &UPDATE[4..]]), Ok(vec![None, Some(Update { asks: false })]));
    }

    #[test]
    fn what_may_not_come_is_refused() {
        for (role, record, error) in [
            (Role::Listener, &TICKET[..], Error::Unexpected),
            (Role::Dialer, &[], Error::Unexpected),
            (Role::Dialer, &[13, 0, 0, 1], Error::Unexpected), // CertificateRequest
            (Role::Listener, &[1, 0, 0, 1], Error::Unexpected), // ClientHello
            (Role::Listener, &[24, 0, 0, 2], Error::Malformed),
            (Role::Listener, &[24, 0, 0, 0], Error::Malformed),
            (Role::Dialer, &[4, 0, 0, 0], Error::Malformed),
            (Role::Listener, &[24, 0, 0, 1, 2], Error::Malformed),
            (Role::Listener, &[24, 0, 0, 1, 0, 24], Error::Unexpected),
        ] {
            assert_eq!(read(role, &[record]), Err(error), "{record:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(count in 1usize..5, cuts in prop::collection::vec(1usize..12, 1..20)) {
            let all = [TICKET.repeat(count), UPDATE.to_vec()].concat();
            let (mut messages, mut rest, mut told) = (Messages::default(), &all[..], Vec::new());
            for cut in cuts.into_iter().cycle() {
                let (piece, behind) = rest.split_at(cut.min(rest.len()));
                told.extend(messages.read(Role::Dialer, piece).unwrap());
                rest = behind;
                if rest.is_empty() { break }
            }
            prop_assert_eq!(told, vec![Update { asks: false }]);
            prop_assert!(!messages.is_partial());
        }
    }
}

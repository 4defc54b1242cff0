//! multistream-select as a listener of some manner has it.

use super::{Manner, Odd};

pub(crate) const HEADER: &[u8] = b"\x13/multistream/1.0.0\n";
const NA: &[u8] = b"\x03na\n";

#[derive(Clone, Debug)]
pub(crate) struct Select {
    manner: Manner,
    knows: &'static [&'static str],
    hand: Vec<u8>,
    heard_header: bool,
    said_header: bool,
    pub(crate) agreed: Option<String>,
    pub(crate) failed: bool,
    pub(crate) refused: usize,
}

impl Select {
    pub(crate) fn new(manner: Manner, knows: &'static [&'static str]) -> Self {
        let (heard_header, said_header) = (false, false);
        Self { manner, knows, hand: Vec::new(), heard_header, said_header, agreed: None, failed: false, refused: 0 }
    }

    /// What it says unasked.
    pub(crate) fn greet(&mut self) -> Vec<u8> {
        if !self.manner.speaks_first || core::mem::replace(&mut self.said_header, true) {
            return Vec::new();
        }
        HEADER.to_vec()
    }

    /// Reads on until there is an agreement or a fault, and gives its answers.
    pub(crate) fn handle(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.hand.extend_from_slice(bytes);
        let mut out = Vec::new();
        while self.agreed.is_none() && !self.failed {
            let Some(message) = self.message() else { break };
            if !core::mem::replace(&mut self.said_header, true) {
                out.extend_from_slice(HEADER);
            }
            self.answer(&message, &mut out);
        }
        out
    }

    /// What came behind the agreement.
    pub(crate) fn take_rest(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.hand)
    }

    /// The next message without its end of line.
    fn message(&mut self) -> Option<Vec<u8>> {
        let (mut len, mut head) = (0usize, 0);
        loop {
            let byte = *self.hand.get(head)?;
            len |= usize::from(byte & 0x7f).checked_shl(7 * head as u32).unwrap_or(usize::MAX);
            head += 1;
            if byte & 0x80 == 0 {
                if byte == 0 && head > 1 && !self.manner.takes_long_lengths {
                    return self.fail();
                }
                break;
            }
            if head > 8 {
                return self.fail();
            }
        }
        if len == 0 || len > self.manner.message_max {
            return self.fail();
        }
        let text = self.hand.get(head..head.checked_add(len)?)?.to_vec();
        self.hand.drain(..head + len);
        match text.split_last() {
            Some((b'\n', text)) => Some(text.to_vec()),
            _ => self.fail(),
        }
    }

    fn fail(&mut self) -> Option<Vec<u8>> {
        self.failed = true;
        None
    }

    fn answer(&mut self, message: &[u8], out: &mut Vec<u8>) {
        let message = if self.manner.trims { message.trim_ascii_end() } else { message };
        let is_header = message == &HEADER[1..19];
        if is_header && self.heard_header {
            self.odd(self.manner.header_again, HEADER, out);
        } else if is_header {
            self.heard_header = true;
        } else if !self.heard_header {
            self.failed = true;
        } else if let Some(name) = self.knows.iter().find(|name| name.as_bytes() == message) {
            self.agreed = Some((*name).to_owned());
            out.push(name.len() as u8 + 1);
            out.extend_from_slice(name.as_bytes());
            out.push(b'\n');
        } else if message.is_empty() {
            self.odd(self.manner.empty_name, b"", out);
        } else if message[0] != b'/' {
            self.odd(self.manner.slashless_name, b"", out);
        } else {
            self.odd(Odd::Refuses, b"", out);
        }
    }

    fn odd(&mut self, odd: Odd, again: &[u8], out: &mut Vec<u8>) {
        match odd {
            Odd::Refuses => {
                self.refused += 1;
                out.extend_from_slice(NA);
            }
            Odd::Fails => self.failed = true,
            Odd::Repeats => out.extend_from_slice(again),
        }
    }
}

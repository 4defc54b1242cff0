//! The negotiation once more, as plain as can be: whole input, no states, no care for time.

use sanswarm_multistream::{self as multistream, HEADER, HEADER_LINE, NA, NA_LINE, ProtocolName};
use sanswarm_multistream_select::{Error, Greeting, Limits, Seen};

use crate::transcript;

/// The line at the front of `input`: its text and the bytes that it took.
pub fn line(input: &[u8], limit: usize) -> Result<Option<(&[u8], usize)>, multistream::Error> {
    let (mut len, mut head) = (0u128, 0);
    loop {
        let Some(&byte) = input.get(head) else { return Ok(None) };
        len |= u128::from(byte & 0x7f) << (7 * head);
        head += 1;
        if byte < 0x80 {
            if byte == 0 && head > 1 {
                return Err(multistream::Error::NotMinimal);
            }
            break;
        }
        // A length with one more byte is at least this.
        if head == 9 || 1u128 << (7 * head) > limit as u128 {
            return Err(multistream::Error::TooLong { limit });
        }
    }
    if len > limit as u128 {
        return Err(multistream::Error::TooLong { limit });
    }
    if len == 0 {
        return Err(multistream::Error::ZeroLength);
    }
    let used = head as u128 + len;
    if used > input.len() as u128 {
        return Ok(None);
    }
    let used = used as usize;
    if input[used - 1] != b'\n' { Err(multistream::Error::NoNewline) } else { Ok(Some((&input[head..used - 1], used))) }
}

/// How it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The input ended first.
    Open,
    /// Agreed on this name.
    Agreed(ProtocolName),
    /// A dialer's names are all refused.
    Refused,
    /// A fault, or a refusal that shows as one.
    Failed(Fault),
}

/// Those of [`Error`] that input brings about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    Line(multistream::Error),
    NoHeader(Vec<u8>),
    SecondHeader,
    Unexpected(Vec<u8>),
    TooManyProposals(u32),
    Refused,
}

impl Fault {
    /// Whether `error` says the same.
    pub fn is(&self, error: &Error) -> bool {
        match (self, error) {
            (Self::Line(a), Error::Line(b)) => a == b,
            (Self::NoHeader(text), Error::NoHeader { seen }) => same(text, seen),
            (Self::Unexpected(text), Error::Unexpected { seen }) => same(text, seen),
            (Self::TooManyProposals(a), Error::TooManyProposals { limit }) => a == limit,
            (Self::SecondHeader, Error::SecondHeader) | (Self::Refused, Error::Refused) => true,
            _ => false,
        }
    }
}

/// Whether `seen` is the front of `text`.
pub fn same(text: &[u8], seen: &Seen) -> bool {
    seen.as_bytes() == &text[..text.len().min(Seen::BYTES_MAX)] && seen.is_cut() == (text.len() > Seen::BYTES_MAX)
}

/// What one end makes of a whole input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// How it ends.
    pub end: End,
    /// The bytes used; meaningless after a fault.
    pub used: usize,
    /// All that may be sent. A dialer that was refused or has failed may have sent less.
    pub sent: Vec<u8>,
    /// The proposals that a dialer may have made, or that a listener has answered.
    pub proposals: usize,
    /// A listener's last refusal.
    pub refused: Option<Vec<u8>>,
    /// What an end of the input means.
    pub eof: Option<Error>,
}

fn effective(limits: &Limits) -> usize {
    limits.message_bytes.max(HEADER.len() + 1)
}

/// Reads lines with one limit.
struct Lines<'a> {
    input: &'a [u8],
    used: usize,
    limit: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Result<Option<&'a [u8]>, multistream::Error> {
        let Some((text, used)) = line(&self.input[self.used..], self.limit)? else { return Ok(None) };
        self.used += used;
        Ok(Some(text))
    }

    /// The header: else how it ends.
    fn header(&mut self) -> Result<(), End> {
        match self.next() {
            Ok(Some(text)) if text == HEADER.as_bytes() => Ok(()),
            Ok(Some(text)) => Err(End::Failed(Fault::NoHeader(text.to_vec()))),
            Ok(None) => Err(End::Open),
            Err(error) => Err(End::Failed(Fault::Line(error))),
        }
    }
}

/// A dialer of `names`.
pub fn dialer(names: &[ProtocolName], limits: &Limits, input: &[u8]) -> Expected {
    let mut lines = Lines { input, used: 0, limit: effective(limits) };
    let mut turn = 0;
    let end = if names.is_empty() { End::Refused } else { dialog(names, &mut lines, &mut turn) };
    let (mut sent, proposals) = (Vec::new(), names.len().min(turn + 1));
    if !names.is_empty() {
        sent.extend(HEADER_LINE);
    }
    for name in &names[..proposals] {
        transcript::line(name.as_bytes(), &mut sent);
    }
    let eof = eof(&end, turn > 0, lines.used < input.len());
    Expected { end, used: lines.used, sent, proposals, refused: None, eof }
}

fn dialog(names: &[ProtocolName], lines: &mut Lines<'_>, turn: &mut usize) -> End {
    if let Err(end) = lines.header() {
        return end;
    }
    for name in names {
        let text = match lines.next() {
            Ok(Some(text)) => text,
            Ok(None) => return End::Open,
            Err(error) => return End::Failed(Fault::Line(error)),
        };
        if text == name.as_bytes() {
            return End::Agreed(name.clone());
        }
        if text == HEADER.as_bytes() {
            return End::Failed(Fault::SecondHeader);
        }
        if text != NA.as_bytes() {
            return End::Failed(Fault::Unexpected(text.to_vec()));
        }
        *turn += 1;
    }
    End::Refused
}

/// A listener that knows `names`.
pub fn listener(names: &[ProtocolName], greeting: Greeting, limits: &Limits, input: &[u8]) -> Expected {
    let mut lines = Lines { input, used: 0, limit: effective(limits) };
    let (mut proposals, mut refused) = (0, None);
    let header = lines.header();
    let mut sent = if header.is_ok() || greeting == Greeting::AtOnce { HEADER_LINE.to_vec() } else { Vec::new() };
    let mut answer = || loop {
        let text = match lines.next() {
            Ok(Some(text)) => text,
            Ok(None) => return End::Open,
            Err(_) if refused.is_some() => return End::Failed(Fault::Refused),
            Err(error) => return End::Failed(Fault::Line(error)),
        };
        if proposals >= limits.proposals as usize {
            return End::Failed(Fault::TooManyProposals(limits.proposals));
        }
        proposals += 1;
        if let Some(name) = names.iter().find(|name| name.as_bytes() == text) {
            transcript::line(text, &mut sent);
            return End::Agreed(name.clone());
        }
        sent.extend(NA_LINE);
        refused = Some(text.to_vec());
    };
    let end = header.map_or_else(|end| end, |()| answer());
    let eof = eof(&end, refused.is_some(), lines.used < input.len());
    Expected { end, used: lines.used, sent, proposals, refused, eof }
}

/// `None`: the error of before again.
fn eof(end: &End, refused: bool, partial: bool) -> Option<Error> {
    match end {
        End::Failed(_) => None,
        End::Agreed(_) => Some(Error::Agreed),
        End::Refused => Some(Error::Refused),
        End::Open if refused => Some(Error::Refused),
        End::Open if partial => Some(Error::EofInMessage),
        End::Open => Some(Error::Eof),
    }
}

//! The negotiation once more, as plain as can be: whole input, no states, no care for time.

use sanswarm_multistream::{self as multistream, HEADER, HEADER_LINE, LS, NA, NA_LINE, ProtocolName};
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
    /// A dialer's names are all refused, or a list is.
    Refused,
    /// A query has its list.
    Listed(Vec<ProtocolName>),
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
    TooManyBytes(usize),
    NoList(Vec<u8>),
    Refused,
}

impl Fault {
    /// Whether `error` says the same.
    pub fn is(&self, error: &Error) -> bool {
        match (self, error) {
            (Self::Line(a), Error::Line(b)) => a == b,
            (Self::NoHeader(text), Error::NoHeader { seen }) => same(text, seen),
            (Self::Unexpected(text), Error::Unexpected { seen }) => same(text, seen),
            (Self::NoList(text), Error::NoList { seen }) => same(text, seen),
            (Self::TooManyBytes(a), Error::TooManyBytes { limit }) => a == limit,
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

/// What a listener knows.
#[derive(Clone, Debug)]
pub struct Known {
    /// The set, in any order.
    pub names: Vec<ProtocolName>,
    /// Whether it accepts what [`matches`] accepts besides.
    pub predicate: bool,
    /// Whether it tells its list.
    pub list: bool,
}

/// The predicate of all cases.
pub fn matches(name: &str) -> bool {
    name.starts_with("/noise") || name.len().is_multiple_of(3)
}

impl Known {
    fn find(&self, text: &[u8]) -> Option<ProtocolName> {
        let known = self.names.iter().find(|name| name.as_bytes() == text);
        known.cloned().or_else(|| self.asks(text).filter(|name| matches(name.as_str())))
    }

    /// The name that the predicate is asked about, if it is.
    pub fn asks(&self, text: &[u8]) -> Option<ProtocolName> {
        let name = ProtocolName::try_from(core::str::from_utf8(text).ok()?).ok()?;
        (self.predicate && !self.names.contains(&name)).then_some(name)
    }

    /// The answer to `ls`, if it is not `na`.
    pub fn list(&self) -> Option<Vec<u8>> {
        let mut names: Vec<_> = self.names.iter().map(ProtocolName::as_bytes).collect();
        names.sort_unstable();
        names.dedup();
        let (mut text, mut message) = (Vec::new(), Vec::new());
        names.iter().for_each(|name| transcript::line(name, &mut text));
        transcript::line(&text, &mut message);
        (self.list && message.len() <= 16 * 1024 - 64).then_some(message)
    }
}

/// A listener that knows `known`.
pub fn listener(known: &Known, greeting: Greeting, limits: &Limits, input: &[u8]) -> Expected {
    let mut lines = Lines { input, used: 0, limit: effective(limits) };
    let (mut proposals, mut refused, mut list) = (0, None, known.list());
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
        if lines.used - HEADER_LINE.len() > limits.total_bytes {
            return End::Failed(Fault::TooManyBytes(limits.total_bytes));
        }
        proposals += 1;
        if let Some(name) = known.find(text) {
            transcript::line(text, &mut sent);
            return End::Agreed(name);
        }
        match list.take_if(|_| text == LS.as_bytes()) {
            Some(list) => sent.extend(list),
            None => {
                sent.extend(NA_LINE);
                refused = Some(text.to_vec());
            }
        }
    };
    let end = header.map_or_else(|end| end, |()| answer());
    let eof = eof(&end, refused.is_some(), lines.used < input.len());
    Expected { end, used: lines.used, sent, proposals, refused, eof }
}

/// A dialer that asks for a list.
pub fn query(limits: &Limits, input: &[u8]) -> Expected {
    let mut lines = Lines { input, used: 0, limit: effective(limits) };
    let end = lines.header().map_or_else(
        |end| end,
        |()| {
            lines.limit = limits.list_bytes;
            match lines.next() {
                Ok(None) => End::Open,
                Ok(Some(text)) if text == NA.as_bytes() => End::Refused,
                Ok(Some(text)) => list(text).map_or_else(|| End::Failed(Fault::NoList(text.to_vec())), End::Listed),
                Err(error) => End::Failed(Fault::Line(error)),
            }
        },
    );
    let sent = [HEADER_LINE, b"\x03ls\n"].concat();
    let eof = eof(&end, false, lines.used < input.len());
    Expected { end, used: lines.used, sent, proposals: 0, refused: None, eof }
}

/// The names in a list: lines, if it is made of them and does not begin like a name; else names that end in newlines.
fn list(text: &[u8]) -> Option<Vec<ProtocolName>> {
    let like_a_name = text.starts_with(b"/") && !text.starts_with(b"//");
    let (mut texts, mut at) = (Vec::new(), 0);
    while let Ok(Some((inner, used))) = line(&text[at..], text.len()) {
        texts.push(inner);
        at += used;
    }
    if like_a_name || at < text.len() {
        texts = text.split_inclusive(|byte| *byte == b'\n').map(|text| &text[..text.len() - 1]).collect();
        if !text.ends_with(b"\n") {
            return None;
        }
    }
    Some(texts.into_iter().filter_map(|text| ProtocolName::try_from(core::str::from_utf8(text).ok()?).ok()).collect())
}

/// `None`: the error of before again.
fn eof(end: &End, refused: bool, partial: bool) -> Option<Error> {
    match end {
        End::Failed(_) => None,
        End::Agreed(_) => Some(Error::Agreed),
        End::Listed(_) => Some(Error::Agreed),
        End::Refused => Some(Error::Refused),
        End::Open if refused => Some(Error::Refused),
        End::Open if partial => Some(Error::EofInMessage),
        End::Open => Some(Error::Eof),
    }
}

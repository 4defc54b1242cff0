//! This negotiator beside the registry's `multistream-select` (rust-libp2p): one transcript, two verdicts.

use std::{
    cell::RefCell,
    io,
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use futures::{AsyncRead, AsyncWrite};
use multistream_select::{NegotiationError, Version, dialer_select_proto, listener_select_proto};
use sanswarm_multistream::{Error as LineError, HEADER, LS, NA, ProtocolName};
use sanswarm_multistream_select::{Error, Greeting, Limits, Mode, Names, Negotiator, Outcome};

use crate::{
    Input,
    reference::{self, Known},
    transcript,
};

/// The longest message that the other side reads, in bytes with its newline.
pub const THEIR_BYTES_MAX: usize = 16_383;

/// What one side makes of a whole transcript and the end behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Agreed on this name; the transcript was used up to here.
    Agreed(String, usize),
    /// Nothing was agreed upon, and it is nobody's fault: refused, or ended between messages.
    Unagreed,
    /// The peer is at fault.
    Fault,
}

/// A verdict without its particulars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Agreed,
    Unagreed,
    Fault,
}

impl Verdict {
    fn kind(&self) -> Kind {
        match self {
            Self::Agreed(..) => Kind::Agreed,
            Self::Unagreed => Kind::Unagreed,
            Self::Fault => Kind::Fault,
        }
    }
}

/// A message, or the end, that the two sides take differently. The kinds are the verdicts if nothing follows: who goes
/// on after the message says `Unagreed`, or `Agreed` if that was it.
#[derive(Debug)]
pub struct Difference {
    pub what: &'static str,
    /// Why ours is as it is.
    pub why: &'static str,
    pub ours: &'static [Kind],
    pub theirs: &'static [Kind],
}

use Kind::{Agreed, Fault, Unagreed};

/// Either end: the limits differ.
pub const LONG_MESSAGE: Difference = Difference {
    what: "a message of 1025 to 16383 bytes",
    why: "go and js read 1024, so no name is longer; refused from the length alone, it need not be kept",
    ours: &[Fault, Unagreed],
    theirs: &[Agreed, Unagreed, Fault],
};
/// Listener.
pub const MANY_PROPOSALS: Difference = Difference {
    what: "more than 1000 proposals",
    why: "a dialer that proposes for ever is stopped; theirs leaves that to a time limit",
    ours: &[Fault],
    theirs: &[Agreed, Unagreed, Fault],
};
/// Listener.
pub const EMPTY_NAME: Difference = Difference {
    what: "an empty name is proposed",
    why: "go, js and smoldot answer na; theirs reads an empty list, which is no proposal",
    ours: &[Unagreed],
    theirs: &[Fault],
};
/// Listener.
pub const NO_NAME: Difference = Difference {
    what: "a proposal without a slash in front, with a newline inside, or that is a list",
    why: "any string is a name to the spec; go, js and smoldot answer na, or know the name. Theirs tries it as a list",
    ours: &[Unagreed, Agreed],
    theirs: &[Fault, Unagreed],
};
/// Listener.
pub const NOT_UTF8: Difference = Difference {
    what: "a proposal that is not UTF-8",
    why: "it is unknown, whatever it is: go answers na too",
    ours: &[Unagreed],
    theirs: &[Fault],
};
/// Listener.
pub const HEADER_PROPOSED: Difference = Difference {
    what: "the header comes again, to a listener",
    why: "go and py answer na; where negotiations nest it is a name. Theirs takes it as a fault",
    ours: &[Unagreed, Agreed],
    theirs: &[Fault],
};
/// Listener.
pub const NA_PROPOSED: Difference = Difference {
    what: "na is proposed",
    why: "it is unknown: go and js answer na too",
    ours: &[Unagreed],
    theirs: &[Fault],
};
/// Listener.
pub const LIST_UNTOLD: Difference = Difference {
    what: "ls, where ours tells no list, or has told it",
    why: "the list is optional, off by default, and told once, so that few bytes do not ask for many without end",
    ours: &[Unagreed],
    theirs: &[Unagreed],
};
/// Listener.
pub const LONG_LIST: Difference = Difference {
    what: "ls, where the list is longer than a message may be",
    why: "who cannot tell it answers na; theirs fails",
    ours: &[Unagreed],
    theirs: &[Unagreed, Fault],
};
/// Listener.
pub const BEHIND_REFUSAL: Difference = Difference {
    what: "bytes that are no message, behind a refusal",
    why: "that is a lazy dialer's payload, whatever it looks like; theirs says so of some payloads, ours of all",
    ours: &[Unagreed],
    theirs: &[Unagreed, Fault],
};
/// Listener.
pub const END_BEHIND_LIST: Difference = Difference {
    what: "an end inside a message, after a refusal and then a list",
    why: "the refusal stands, whatever was told since",
    ours: &[Unagreed],
    theirs: &[Fault],
};
/// Dialer.
pub const NO_HEADER: Difference = Difference {
    what: "an answer without a header before it",
    why: "the spec wants the header first; go, js and smoldot refuse it too",
    ours: &[Fault],
    theirs: &[Agreed, Unagreed],
};
/// Dialer.
pub const HEADER_TWICE: Difference = Difference {
    what: "the header comes again, to a dialer",
    why: "it is no answer; theirs skips any number of them. Where negotiations nest it is the name in turn",
    ours: &[Fault, Agreed],
    theirs: &[Unagreed],
};
/// Dialer.
pub const END_BEHIND_NA: Difference = Difference {
    what: "an end inside a message, after a refusal, to a dialer",
    why: "that the listener refused says more than where it ended",
    ours: &[Unagreed],
    theirs: &[Fault],
};
/// Dialer.
pub const NAME_WITHOUT_SLASH: Difference = Difference {
    what: "a dialer's own name has no slash in front",
    why: "any string is a name to the spec; theirs refuses to propose it",
    ours: &[Agreed, Unagreed, Fault],
    theirs: &[Fault],
};
/// Dialer of one name, lazily.
pub const LAZY_ANSWER: Difference = Difference {
    what: "an answer to a lazy dialer that is neither the name nor na, or comes without a header",
    why: "lazy or not, the same answer is the same fault; theirs calls all of them a failed negotiation",
    ours: &[Fault],
    theirs: &[Unagreed, Fault],
};
/// Dialer of one name, lazily.
pub const LAZY_END: Difference = Difference {
    what: "an end between messages, to a lazy dialer",
    why: "lazy or not, an end there is no fault; theirs makes it an I/O error if the dialer was lazy",
    ours: &[Unagreed],
    theirs: &[Fault],
};

/// All of them.
pub const DIFFERENCES: [&Difference; 17] = [
    &LONG_MESSAGE,
    &MANY_PROPOSALS,
    &EMPTY_NAME,
    &NO_NAME,
    &NOT_UTF8,
    &HEADER_PROPOSED,
    &NA_PROPOSED,
    &LIST_UNTOLD,
    &LONG_LIST,
    &BEHIND_REFUSAL,
    &END_BEHIND_LIST,
    &NO_HEADER,
    &HEADER_TWICE,
    &END_BEHIND_NA,
    &NAME_WITHOUT_SLASH,
    &LAZY_ANSWER,
    &LAZY_END,
];

/// Which end the two sides are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A dialer, lazy perhaps, if it has one name.
    Dialer { lazy: bool },
    /// A listener; ours may tell a list.
    Listener { list: bool },
}

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    pub end: End,
    /// Sorted and without doubles for a listener, so that the lists are the same.
    pub names: Vec<ProtocolName>,
    pub limits: Limits,
    pub transcript: Vec<u8>,
}

impl Case {
    /// Compares; gives the difference that was met, if one was. Then it has been checked that both sides take it as
    /// documented, and what follows it is not compared.
    pub fn compare(&self) -> Option<&'static Difference> {
        let (ours, our_bytes) = self.ours(&self.transcript);
        let (theirs, their_bytes) = self.theirs(&self.transcript);
        let Some((difference, cut)) = self.difference() else {
            assert_eq!(ours, theirs, "ours, theirs");
            assert_eq!(our_bytes, their_bytes, "bytes sent: ours, theirs");
            return None;
        };
        let sides = [
            (ours, self.ours(&self.transcript[..cut]).0, difference.ours),
            (theirs, self.theirs(&self.transcript[..cut]).0, difference.theirs),
        ];
        for (whole, cut, documented) in sides {
            assert!(documented.contains(&cut.kind()), "{cut:?} of {difference:?}");
            assert!(cut == Verdict::Unagreed || whole == cut, "{cut:?} becomes {whole:?}");
        }
        Some(difference)
    }

    fn ours(&self, transcript: &[u8]) -> (Verdict, Vec<u8>) {
        let negotiator = match self.end {
            End::Dialer { lazy } => {
                let mode = if lazy { Mode::Lazy } else { Mode::Wait };
                Negotiator::dialer(self.names.clone(), mode)
            }
            End::Listener { list } => {
                let names = Names::new(self.names.iter().cloned());
                let names = if list { names.with_list() } else { names };
                Negotiator::listener(Arc::new(names), Greeting::WithReply)
            }
        };
        let negotiator = negotiator.with_limits(self.limits);
        // Byte by byte, so that what is due goes out between messages, as it does where there is a network.
        let (verdict, sent) = fed(negotiator.clone(), transcript, 1);
        assert_eq!(fed(negotiator, transcript, usize::MAX).0, verdict, "pieces matter");
        (verdict, sent)
    }

    fn theirs(&self, transcript: &[u8]) -> (Verdict, Vec<u8>) {
        let pipe = Pipe(Rc::new(RefCell::new(Ends { input: transcript.to_vec(), used: 0, output: Vec::new() })));
        let names = self.names.iter().map(|name| name.as_str().to_string());
        let result = match self.end {
            End::Dialer { lazy } => {
                let version = if lazy && self.names.len() == 1 { Version::V1Lazy } else { Version::V1 };
                run(async {
                    let (name, stream) = dialer_select_proto(pipe.clone(), names, version).await?;
                    stream.complete().await.map(|_| name)
                })
            }
            End::Listener { .. } => {
                run(async { listener_select_proto(pipe.clone(), names).await.map(|(name, _)| name) })
            }
        };
        let ends = pipe.0.borrow();
        let verdict = match result {
            Ok(name) => Verdict::Agreed(name, ends.used),
            Err(NegotiationError::Failed) => Verdict::Unagreed,
            Err(NegotiationError::ProtocolError(_)) => Verdict::Fault,
        };
        (verdict, ends.output.clone())
    }

    /// The first message that the two take differently, and where it ends.
    fn difference(&self) -> Option<(&'static Difference, usize)> {
        match self.end {
            End::Dialer { lazy } => self.dialer_difference(lazy && self.names.len() == 1),
            End::Listener { list } => self.listener_difference(list),
        }
    }

    /// The message at the front of what is behind `at`: its text and where it ends. As theirs reads it; where only ours
    /// finds it too long, that is the difference.
    fn message(&self, at: usize) -> Result<Read<'_>, (&'static Difference, usize)> {
        let rest = &self.transcript[at..];
        let ours = reference::line(rest, self.limits.message_bytes);
        let theirs = reference::line(rest, THEIR_BYTES_MAX);
        match (ours, theirs) {
            (_, Err(_)) => Ok(Read::Broken),
            (Err(LineError::TooLong { .. }), theirs) => {
                Err((&LONG_MESSAGE, at + theirs.ok().flatten().map_or(rest.len(), |(_, used)| used)))
            }
            (_, Ok(None)) => Ok(if rest.is_empty() { Read::End } else { Read::Part }),
            (_, Ok(Some((text, used)))) => Ok(Read::Text(text, at + used)),
        }
    }

    fn dialer_difference(&self, lazy: bool) -> Option<(&'static Difference, usize)> {
        let all = self.transcript.len();
        let (mut at, mut header_seen, mut turn) = (0, false, 0);
        while let Some(name) = self.names.get(turn) {
            if !self.can_propose(turn) {
                return Some((&NAME_WITHOUT_SLASH, all));
            }
            let (text, end) = match self.message(at) {
                Err(difference) => return Some(difference),
                Ok(Read::Broken) => return None,
                Ok(Read::Part) => return (turn > 0).then_some((&END_BEHIND_NA, all)),
                Ok(Read::End) => return lazy.then_some((&LAZY_END, all)),
                Ok(Read::Text(text, end)) => (text, end),
            };
            at = end;
            let (is_header, is_na) = (text == HEADER.as_bytes(), text == NA.as_bytes());
            let answers = is_na && !lazy || text == name.as_bytes();
            match (header_seen, is_header) {
                (false, true) => header_seen = true,
                // To theirs the header is never the name in turn.
                (true, true) => return Some((&HEADER_TWICE, end)),
                (false, false) if is_na && answers && !self.can_propose(turn + 1) => {
                    return Some((&NAME_WITHOUT_SLASH, all));
                }
                (false, false) if answers => return Some((&NO_HEADER, end)),
                (false, false) => return lazy.then_some((&LAZY_ANSWER, end)),
                (true, false) if is_na => turn += 1,
                (true, false) if text == name.as_bytes() => return None,
                (true, false) => return lazy.then_some((&LAZY_ANSWER, end)),
            }
        }
        None
    }

    /// Whether theirs proposes the name at this place, if there is one.
    fn can_propose(&self, turn: usize) -> bool {
        self.names.get(turn).is_none_or(|name| name.as_str().starts_with('/'))
    }

    fn listener_difference(&self, list: bool) -> Option<(&'static Difference, usize)> {
        let all = self.transcript.len();
        let (mut at, mut proposals) = (0, 0);
        let (mut header_seen, mut refused, mut refused_last, mut told) = (false, false, false, false);
        let known = Known { names: self.names.clone(), predicate: false, list: true };
        let is_long = known.list().is_none();
        loop {
            let (text, end) = match self.message(at) {
                Err(difference) => return Some(difference),
                Ok(Read::Broken) => return refused.then_some((&BEHIND_REFUSAL, all)),
                Ok(Read::Part) => return (refused && !refused_last).then_some((&END_BEHIND_LIST, all)),
                Ok(Read::End) => return None,
                Ok(Read::Text(text, end)) => (text, end),
            };
            at = end;
            if !header_seen {
                if text != HEADER.as_bytes() {
                    return None;
                }
                header_seen = true;
                continue;
            }
            if proposals >= self.limits.proposals {
                return Some((&MANY_PROPOSALS, end));
            }
            proposals += 1;
            let is_known = self.names.iter().any(|name| name.as_bytes() == text);
            if text == LS.as_bytes() && list && !told && !is_long {
                (told, refused_last) = (true, false);
                continue;
            }
            let difference = match text {
                _ if text == HEADER.as_bytes() => &HEADER_PROPOSED,
                _ if text == NA.as_bytes() => &NA_PROPOSED,
                _ if text == LS.as_bytes() && is_long => &LONG_LIST,
                _ if text == LS.as_bytes() => &LIST_UNTOLD,
                b"" => &EMPTY_NAME,
                [b'/', rest @ ..] if !rest.contains(&b'\n') => match core::str::from_utf8(rest) {
                    Ok(_) if is_known => return None,
                    Ok(_) => {
                        (refused, refused_last) = (true, true);
                        continue;
                    }
                    Err(_) => &NOT_UTF8,
                },
                _ => &NO_NAME,
            };
            return Some((difference, end));
        }
    }
}

enum Read<'a> {
    Text(&'a [u8], usize),
    /// The transcript ends inside a message.
    Part,
    /// It ends.
    End,
    /// No message can be read.
    Broken,
}

fn fed(mut negotiator: Negotiator, transcript: &[u8], piece: usize) -> (Verdict, Vec<u8>) {
    let (mut used, mut seen, mut sent) = (0, 0usize, Vec::new());
    let result = loop {
        negotiator.encode(usize::MAX, &mut sent);
        seen = transcript.len().min(seen.saturating_add(piece));
        match negotiator.handle_input(&transcript[used..seen]) {
            Ok((n, outcome)) => {
                used += n;
                if let Some(outcome) = outcome {
                    break Ok(outcome);
                }
            }
            Err(error) => break Err(error),
        }
        if seen == transcript.len() {
            negotiator.encode(usize::MAX, &mut sent);
            break Err(negotiator.handle_eof());
        }
    };
    negotiator.encode(usize::MAX, &mut sent);
    let verdict = match result {
        Ok(Outcome::Agreed(name)) => Verdict::Agreed(name.as_str().to_string(), used),
        Ok(Outcome::Refused) | Err(Error::Refused | Error::Eof) => Verdict::Unagreed,
        Ok(Outcome::Listed(_)) => panic!("nobody has asked"),
        Err(_) => Verdict::Fault,
    };
    (verdict, sent)
}

/// Theirs never waits: its input is all there, and its output takes everything.
fn run<T>(future: impl Future<Output = Result<T, NegotiationError>>) -> Result<T, NegotiationError> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("theirs waits for nothing"),
    }
}

#[derive(Debug)]
struct Ends {
    input: Vec<u8>,
    used: usize,
    output: Vec<u8>,
}

/// A stream in memory that others may look into.
#[derive(Clone, Debug)]
struct Pipe(Rc<RefCell<Ends>>);

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut ends = self.0.borrow_mut();
        let n = buf.len().min(ends.input.len() - ends.used);
        buf[..n].copy_from_slice(&ends.input[ends.used..ends.used + n]);
        ends.used += n;
        Poll::Ready(Ok(n))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().output.extend(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Case {
    /// Reads a case: a byte of flags (1: a listener, 2: lazy, 4: a list, 8: our limits as wide as theirs), names
    /// (`Input::names`), then the transcript (`transcript::read`).
    pub fn read(data: &[u8]) -> Self {
        let mut input = Input::new(data);
        let flags = input.byte();
        let mut names = input.names();
        let end = if flags & 1 == 0 {
            End::Dialer { lazy: flags & 2 != 0 }
        } else {
            let list = flags & 4 != 0;
            // Theirs lists in the order given, and leaves out what has no slash.
            names.sort();
            names.dedup();
            names.retain(|name| !list || name.as_str().starts_with('/'));
            End::Listener { list }
        };
        let wide = Limits { message_bytes: THEIR_BYTES_MAX, proposals: u32::MAX, ..Limits::default() };
        let limits = if flags & 8 == 0 { Limits::default() } else { wide };
        let transcript = transcript::read(&mut input, &names);
        Self { end, names, limits, transcript }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_in_a_seed_and_most_seeds_have_none() {
        let mut met: Vec<&str> = Vec::new();
        let mut same = 0;
        for entry in std::fs::read_dir("seeds/negotiation_differential").expect("seeds") {
            let data = std::fs::read(entry.expect("an entry").path()).expect("a seed");
            match Case::read(&data).compare() {
                Some(difference) => met.push(difference.what),
                None => same += 1,
            }
        }
        for difference in DIFFERENCES {
            assert!(met.contains(&difference.what), "no seed shows: {}", difference.what);
        }
        assert!(same >= 8, "{same} seeds without a difference");
    }
}

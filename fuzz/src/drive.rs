//! One negotiator, fed in pieces, with what must hold at every call.

use sanswarm_multistream::ProtocolName;
use sanswarm_multistream_select::{Error, Limits, Negotiator, Outcome, State};
use sanswarm_wire::SendBuf;

use crate::{
    Pieces,
    reference::{self, End, Expected},
};

/// How input comes, and when what is due is taken.
#[derive(Clone, Copy, Debug)]
pub enum How {
    /// All at once; nothing is taken before.
    Whole,
    /// Byte by byte; everything is taken before each.
    Bytes,
    /// In sizes that follow from the seed; now and then some of what is due is taken, in any of the ways there are.
    Pieces(u8),
}

/// A negotiator that is being driven.
pub struct Driver<'a> {
    negotiator: Negotiator,
    end: Side<'a>,
    /// The most that may stay unused, in bytes.
    unused_max: usize,
    sent: Vec<u8>,
    /// The lines in `sent`.
    lines: usize,
    used: usize,
    buffer: SendBuf,
}

/// Which end it is.
#[derive(Clone, Copy, Debug)]
pub enum Side<'a> {
    /// One that proposes these names, and whether it is lazy.
    Dialer(&'a [ProtocolName], bool),
    /// One that asks for a list.
    Query,
    /// One that answers.
    Listener,
}

/// What came of it.
#[derive(Debug)]
pub struct Run {
    pub result: Result<Option<Outcome>, Error>,
    pub used: usize,
    pub sent: Vec<u8>,
    pub eof: Error,
}

/// A message of our own never takes more, a list neither, so that the smallest buffer has room for it.
const LINE_BYTES_MAX: usize = 16 * 1024 - 64;

/// Behind that many bytes, byte by byte says nothing new and is slow.
const BYTEWISE: usize = 512;

/// The smallest buffer.
const SEND_BYTES: usize = 16 * 1024;

impl<'a> Driver<'a> {
    /// Drives `negotiator`, which is this `end`.
    pub fn new(negotiator: Negotiator, end: Side<'a>, limits: &Limits) -> Self {
        let message = match end {
            Side::Query => limits.message_bytes.max(limits.list_bytes),
            Side::Dialer(..) | Side::Listener => limits.message_bytes,
        };
        // One message less a byte: its length takes at most 10 bytes.
        let unused_max = message.max(19).saturating_add(9);
        Self { negotiator, end, unused_max, sent: Vec::new(), lines: 0, used: 0, buffer: SendBuf::new(SEND_BYTES) }
    }

    /// Feeds `input` until it decides or ends, then ends it.
    pub fn run(mut self, input: &[u8], how: How) -> Run {
        let result = self.feed(input, how);
        self.stays(&result, input);
        while self.negotiator.is_due() {
            self.take(LINE_BYTES_MAX, false);
        }
        assert_eq!(self.take(usize::MAX, false), 0, "nothing is due, but something is sent");
        self.look();
        if let Side::Dialer(names, _) = self.end {
            assert!(names.starts_with(self.negotiator.offered()));
        }
        let eof = self.negotiator.handle_eof();
        assert_eq!(self.negotiator.handle_eof(), eof, "it changes its mind about the end");
        if let Err(error) = result {
            assert_eq!(eof, error, "the end hides the error");
        }
        Run { result, used: self.used, sent: self.sent, eof }
    }

    fn feed(&mut self, input: &[u8], how: How) -> Result<Option<Outcome>, Error> {
        let mut pieces = Pieces::new(if let How::Pieces(seed) = how { seed } else { 0 });
        let mut seen = 0;
        loop {
            let piece = match how {
                How::Whole => input.len(),
                How::Bytes => {
                    self.take(usize::MAX, false);
                    if seen < BYTEWISE { 1 } else { 61 }
                }
                How::Pieces(_) => {
                    if pieces.number().is_multiple_of(2) {
                        self.take(pieces.size(), pieces.number().is_multiple_of(8));
                    }
                    pieces.size()
                }
            };
            seen = input.len().min(seen + piece);
            let result = self.call(&input[self.used..seen]);
            self.state(&result);
            let outcome = result?;
            if outcome.is_some() || seen == input.len() {
                return Ok(outcome);
            }
        }
    }

    /// One call with more input, and one without, which must do nothing: so the calls are as many as the pieces.
    fn call(&mut self, offered: &[u8]) -> Result<Option<Outcome>, Error> {
        let (used, outcome) = self.negotiator.handle_input(offered)?;
        assert!(used <= offered.len(), "used more than was given");
        self.used += used;
        if outcome.is_none() {
            let rest = &offered[used..];
            assert!(rest.len() <= self.unused_max, "the caller has to keep {} bytes", rest.len());
            assert_eq!(self.negotiator.handle_input(rest), Ok((0, None)), "it could have used more");
        }
        self.look();
        Ok(outcome)
    }

    /// What was decided stays, whatever comes.
    fn stays(&mut self, result: &Result<Option<Outcome>, Error>, input: &[u8]) {
        let stays = match result {
            Err(error) => Err(*error),
            Ok(_) => Ok((0, None)),
        };
        for more in [&input[self.used..], &[], b"\x13/multistream/1.0.0\n\x03na\n", b"\x00"] {
            if matches!(result, Ok(None)) && more != &input[self.used..] {
                continue;
            }
            assert_eq!(self.negotiator.handle_input(more), stays, "it changes its mind");
        }
    }

    /// Takes what is due into `room` bytes, by either way, and checks that it is whole lines.
    fn take(&mut self, room: usize, buffered: bool) -> usize {
        let (before, due) = (self.sent.len(), self.negotiator.is_due());
        let n = if buffered {
            let filled = SEND_BYTES.saturating_sub(room);
            assert!(self.buffer.append(&[0; SEND_BYTES][..filled]));
            let n = self.negotiator.poll_transmit(&mut self.buffer);
            self.sent.extend(&self.buffer.ready()[filled..]);
            self.buffer.sent(usize::MAX);
            n
        } else {
            self.negotiator.encode(room, &mut self.sent)
        };
        assert_eq!(self.sent.len(), before + n, "it says what it has written");
        assert!(n <= room, "more than there is room for");
        assert!(n == 0 || due, "sent, but was not due");
        assert!(n > 0 || !due || room < LINE_BYTES_MAX, "due, but not sent");
        let mut at = before;
        while let Some((_, used)) = reference::line(&self.sent[at..], usize::MAX).expect("lines are well-formed") {
            at += used;
            self.lines += 1;
        }
        assert_eq!(at, self.sent.len(), "a message in part");
        self.look();
        n
    }

    /// What it says of itself agrees with what it has sent.
    fn look(&self) {
        let (offered, lazy) = (self.negotiator.offered(), self.negotiator.lazy());
        let Side::Dialer(names, is_lazy) = self.end else {
            assert!(offered.is_empty() && lazy.is_none());
            assert!(matches!(self.end, Side::Listener) || self.negotiator.refused().is_none());
            return;
        };
        assert_eq!(offered.len(), self.lines.saturating_sub(1));
        let goes_on = matches!(self.negotiator.state(), State::WantsHeader | State::WantsAnswer | State::Agreed);
        let expected = names.first().filter(|_| is_lazy && self.lines == 2 && goes_on);
        assert_eq!(lazy, expected, "lazy: with one name, once it is proposed, until a refusal or an error");
        assert!(self.negotiator.refused().is_none());
    }

    /// Its state agrees with what it returned.
    fn state(&self, result: &Result<Option<Outcome>, Error>) {
        let open = match self.end {
            _ if self.used == 0 => State::WantsHeader,
            Side::Dialer(..) => State::WantsAnswer,
            Side::Query => State::WantsList,
            Side::Listener if self.negotiator.refused().is_some() => State::WantsAnother,
            Side::Listener => State::WantsProposal,
        };
        let state = match result {
            Ok(None) => open,
            Ok(Some(Outcome::Agreed(_))) => State::Agreed,
            Ok(Some(Outcome::Refused)) => State::Refused,
            Ok(Some(Outcome::Listed(_))) => State::Listed,
            Err(_) => State::Failed,
        };
        assert_eq!(self.negotiator.state(), state);
    }
}

/// Compares with the reference.
pub fn check(run: &Run, expected: &Expected, end: Side<'_>) {
    match (&expected.end, &run.result) {
        (End::Open, Ok(None)) | (End::Refused, Ok(Some(Outcome::Refused))) => {}
        (End::Agreed(a), Ok(Some(Outcome::Agreed(b)))) if a == b => {}
        (End::Listed(a), Ok(Some(Outcome::Listed(b)))) if a == b => {}
        (End::Failed(fault), Err(error)) if fault.is(error) => {}
        (end, result) => panic!("{result:?}, not {end:?}"),
    }
    if let Some(eof) = &expected.eof {
        assert_eq!(run.used, expected.used, "bytes used");
        assert_eq!(&run.eof, eof, "the end of the input");
    }
    // Who has nothing more to ask says nothing more.
    let is_over = match expected.end {
        End::Refused | End::Failed(_) => true,
        End::Listed(_) => matches!(end, Side::Query),
        End::Open | End::Agreed(_) => false,
    };
    if is_over && !matches!(end, Side::Listener) {
        assert!(expected.sent.starts_with(&run.sent), "bytes sent");
    } else {
        assert_eq!(run.sent, expected.sent, "bytes sent");
    }
}

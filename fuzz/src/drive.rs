//! One negotiator, fed in pieces, with what must hold at every call.

use sanswarm_multistream::ProtocolName;
use sanswarm_multistream_select::{Error, Limits, Negotiator, Outcome};
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
    /// A dialer's names and whether it is lazy.
    dials: Option<(&'a [ProtocolName], bool)>,
    /// The most that may stay unused, in bytes.
    unused_max: usize,
    sent: Vec<u8>,
    used: usize,
}

/// What came of it.
#[derive(Debug)]
pub struct Run {
    pub result: Result<Option<Outcome>, Error>,
    pub used: usize,
    pub sent: Vec<u8>,
    pub eof: Error,
}

/// A line of our own never takes more.
const LINE_BYTES_MAX: usize = ProtocolName::BYTES_MAX + 3;

impl<'a> Driver<'a> {
    /// Drives a dialer of `names`, which may be `lazy`.
    pub fn dialer(negotiator: Negotiator, names: &'a [ProtocolName], lazy: bool, limits: &Limits) -> Self {
        Self::new(negotiator, Some((names, lazy && names.len() == 1)), limits)
    }

    /// Drives a listener.
    pub fn listener(negotiator: Negotiator, limits: &Limits) -> Self {
        Self::new(negotiator, None, limits)
    }

    fn new(negotiator: Negotiator, dials: Option<(&'a [ProtocolName], bool)>, limits: &Limits) -> Self {
        // One message less a byte: its length takes at most 10 bytes.
        let unused_max = limits.message_bytes.max(19).saturating_add(9);
        Self { negotiator, dials, unused_max, sent: Vec::new(), used: 0 }
    }

    /// Feeds `input` until it decides or ends, then ends it.
    pub fn run(mut self, input: &[u8], how: How) -> Run {
        let result = self.feed(input, how);
        self.stays(&result, input);
        while self.negotiator.is_due() {
            self.take(LINE_BYTES_MAX, false);
        }
        assert_eq!(self.take(usize::MAX, false), 0, "nothing is due, but something is sent");
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
                    1
                }
                How::Pieces(_) => {
                    if pieces.number() % 2 == 0 {
                        self.take(pieces.size(), pieces.number() % 2 == 0);
                    }
                    pieces.size()
                }
            };
            seen = input.len().min(seen + piece);
            let outcome = self.call(&input[self.used..seen])?;
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
            let mut send = SendBuf::new(16 * 1024);
            let filled = send.control_room().saturating_sub(room);
            assert!(send.append(&vec![0; filled]));
            let n = self.negotiator.poll_transmit(&mut send);
            self.sent.extend(&send.ready()[filled..]);
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
        }
        assert_eq!(at, self.sent.len(), "a message in part");
        self.look();
        n
    }

    /// What it says of itself agrees with what it has sent.
    fn look(&self) {
        let Some((names, lazy)) = self.dials else {
            assert!(self.negotiator.offered().is_empty() && self.negotiator.lazy().is_none());
            return;
        };
        let (mut lines, mut at) = (0, 0);
        while let Ok(Some((_, used))) = reference::line(&self.sent[at..], usize::MAX) {
            (lines, at) = (lines + 1, at + used);
        }
        assert_eq!(self.negotiator.offered(), &names[..usize::saturating_sub(lines, 1)]);
        if let Some(name) = self.negotiator.lazy() {
            assert!(lazy && lines == 2 && *name == names[0], "lazy before its proposal, or with a choice");
        }
        assert!(self.negotiator.refused().is_none());
    }
}

/// Compares with the reference.
pub fn check(run: &Run, expected: &Expected, is_dialer: bool) {
    match (&expected.end, &run.result) {
        (End::Open, Ok(None)) | (End::Refused, Ok(Some(Outcome::Refused))) => {}
        (End::Agreed(a), Ok(Some(Outcome::Agreed(b)))) if a == b => {}
        (End::Failed(fault), Err(error)) if fault.is(error) => {}
        (end, result) => panic!("{result:?}, not {end:?}"),
    }
    if let Some(eof) = &expected.eof {
        assert_eq!(run.used, expected.used, "bytes used");
        assert_eq!(&run.eof, eof, "the end of the input");
    }
    // Who has nothing more to ask says nothing more.
    if is_dialer && matches!(expected.end, End::Refused | End::Failed(_)) {
        assert!(expected.sent.starts_with(&run.sent), "bytes sent");
    } else {
        assert_eq!(run.sent, expected.sent, "bytes sent");
    }
}

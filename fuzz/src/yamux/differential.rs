//! This session beside the registry's `yamux` (rust-libp2p's): the same frames in, the same verdict, events and
//! payload.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use futures::{AsyncRead, AsyncWrite};
use sanswarm_wire::{Instant, Role, SendBuf};
use sanswarm_yamux::{Config, Event, HEADER_BYTES, INITIAL_WINDOW_BYTES, Limits, Session, StreamId};
use yamux::Mode;

use super::{ACK, DATA, GO_AWAY, Head, PING, RST, Reference, SYN, Told, WINDOW_UPDATE, frame, tell};
use crate::Input;

/// The streams that both sides allow.
const STREAMS_MAX: usize = 16;

/// The longest body that theirs reads, in bytes.
const THEIR_BODY_MAX: u32 = 1024 * 1024;

/// How a session is, after a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    GoesOn,
    /// The peer has gone away.
    Gone,
    /// The peer was at fault.
    Failed,
}

use Verdict::{Failed, GoesOn};

/// A frame that the two sides take differently.
#[derive(Debug)]
pub struct Difference {
    pub what: &'static str,
    /// Why ours is as it is.
    pub why: &'static str,
    pub ours: &'static [Verdict],
    pub theirs: &'static [Verdict],
}

pub const STREAM_ZERO: Difference = Difference {
    what: "data or a window update of stream 0",
    why: "stream 0 is the session; theirs drops such frames, and as a client takes 0 for a stream of the server",
    ours: &[Failed],
    theirs: &[GoesOn, Failed],
};
pub const LONG_BODY: Difference = Difference {
    what: "a body of more than 256 KiB for a stream that is unknown or reset",
    why: "no window of ours can have allowed it; theirs reads and drops up to 1 MiB",
    ours: &[Failed],
    theirs: &[GoesOn],
};
pub const TOO_MANY_STREAMS: Difference = Difference {
    what: "more streams than the limit",
    why: "the excess is reset, as go and js do; theirs ends the session, and counts those of both ends",
    ours: &[GoesOn],
    theirs: &[Failed],
};
pub const PONG_UNASKED: Difference = Difference {
    what: "an answer to a ping that was not sent",
    why: "it harms nobody, and go ignores it too; theirs ends the session, unless it is the answer to its own ping",
    ours: &[GoesOn],
    theirs: &[Failed, GoesOn],
};
pub const PING_WITHOUT_FLAGS: Difference = Difference {
    what: "a ping that neither asks nor answers",
    why: "the spec has SYN for a question; theirs answers whatever is no answer",
    ours: &[GoesOn],
    theirs: &[GoesOn],
};
pub const PING_OF_A_STREAM: Difference = Difference {
    what: "a ping with the id of a stream that is unknown",
    why: "a ping concerns the session whatever its id; theirs ignores it",
    ours: &[GoesOn],
    theirs: &[GoesOn],
};

/// All of them.
pub const DIFFERENCES: [&Difference; 6] =
    [&STREAM_ZERO, &LONG_BODY, &TOO_MANY_STREAMS, &PONG_UNASKED, &PING_WITHOUT_FLAGS, &PING_OF_A_STREAM];

/// What a frame brought about.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    verdict: Verdict,
    told: Vec<Told>,
    pongs: Vec<u32>,
}

/// Compares the two on a case; gives the difference that was met, if one was. Then it has been checked that both take
/// it as documented, and what follows it is not compared.
///
/// A case is a byte of flags (1: both are dialers, else listeners) and operations by their first byte modulo 16: 0 to
/// 11 a frame (`yamux::frame`), 12 open, 13 finish, 14 reset (the place of the stream each), 15 bytes as they are, up
/// to the end.
pub fn compare(data: &[u8]) -> Option<&'static Difference> {
    let mut input = Input::new(data);
    let role = if input.byte() & 1 == 1 { Role::Dialer } else { Role::Listener };
    let (mut ours, mut theirs) = (Ours::new(role), Theirs::new(role));
    for _ in 0..300 {
        let op = input.maybe()?;
        let bytes = match op % 16 {
            0..12 => frame(&mut input),
            12 => {
                if theirs.streams.len() < STREAMS_MAX {
                    ours.open();
                    theirs.open();
                }
                continue;
            }
            13 | 14 => {
                let Some(place) = usize::from(input.byte()).checked_rem(theirs.streams.len()) else { continue };
                let Some(&id) = theirs.streams.keys().nth(place) else { continue };
                ours.end(id, op % 16 == 13);
                theirs.end(id, op % 16 == 13);
                continue;
            }
            _ => input.rest().to_vec(),
        };
        let mut rest = &bytes[..];
        while let Some(head) = Head::read(rest) {
            let whole = HEADER_BYTES + head.body();
            if whole > rest.len() && head.length <= THEIR_BODY_MAX {
                break; // Theirs waits for the whole frame.
            }
            let (one, more) = rest.split_at(whole.min(rest.len()));
            rest = more;
            let difference = difference(&ours.reference, head, theirs.streams.len());
            let (a, b) = (ours.receive(one), theirs.receive(head, one));
            if let Some(difference) = difference {
                assert!(difference.ours.contains(&a.verdict), "{head:?}: {a:?}, but {difference:?}");
                assert!(difference.theirs.contains(&b.verdict), "{head:?}: {b:?}, but {difference:?}");
                return Some(difference);
            }
            assert_eq!(a, b, "ours, theirs, of {head:?}");
            if a.verdict != GoesOn {
                return None;
            }
        }
    }
    None
}

fn difference(reference: &Reference, head: Head, their_streams: usize) -> Option<&'static Difference> {
    if head.version != 0 {
        return None;
    }
    let id = head.stream;
    let is_known = reference.streams.contains_key(&id);
    let (opens, resets) = (head.has(SYN) && !head.has(RST), head.has(RST));
    match head.kind {
        PING if head.has(ACK) => Some(&PONG_UNASKED),
        PING if !head.has(SYN) => Some(&PING_WITHOUT_FLAGS),
        PING => (id != 0 && !is_known).then_some(&PING_OF_A_STREAM),
        // To a listener theirs refuses it: 0 is even.
        DATA | WINDOW_UPDATE if id == 0 => (!opens || reference.is_ours(1)).then_some(&STREAM_ZERO),
        DATA if head.length > THEIR_BODY_MAX => None,
        DATA if head.length > INITIAL_WINDOW_BYTES => (resets || !opens && !is_known).then_some(&LONG_BODY),
        DATA | WINDOW_UPDATE if opens && !is_known && !reference.is_ours(id) => {
            let fits = head.kind == DATA || head.length <= u32::MAX - INITIAL_WINDOW_BYTES;
            // Theirs counts before it looks at credit.
            (their_streams >= STREAMS_MAX && fits).then_some(&TOO_MANY_STREAMS)
        }
        _ => None,
    }
}

struct Ours {
    session: Session,
    reference: Reference,
    keys: BTreeMap<u32, StreamId>,
    send: SendBuf,
}

impl Ours {
    fn new(role: Role) -> Self {
        let limits =
            Limits { streams: STREAMS_MAX, session_window_bytes: 0, unacknowledged: 1000, ..Limits::default() };
        let session = Session::new(role, Config { limits: limits.clone(), ..Config::default() });
        Self { session, reference: Reference::new(role, limits), keys: BTreeMap::new(), send: SendBuf::default() }
    }

    fn open(&mut self) {
        let key = self.session.open().expect("there are few");
        let id = self.session.wire_id(key).expect("it is open");
        self.keys.insert(id, key);
        self.reference.opened(id);
        self.transmit();
    }

    fn end(&mut self, id: u32, finish: bool) {
        let key = self.keys[&id];
        if finish {
            let _ = self.session.finish(key);
            if let Some(stream) = self.reference.streams.get_mut(&id) {
                stream.fin_sent = true;
                self.reference.forget_if_over(id);
            }
        } else {
            let _ = self.session.reset(key);
            self.reference.streams.remove(&id);
        }
        self.transmit();
    }

    fn transmit(&mut self) -> Vec<u32> {
        while self.session.poll_transmit(Instant::ZERO, &mut self.send) > 0 {}
        let pongs = super::heads(self.send.ready()).into_iter().filter(|head| head.kind == PING);
        let pongs = pongs.map(|head| head.length).collect();
        self.send.sent(usize::MAX);
        pongs
    }

    fn receive(&mut self, mut bytes: &[u8]) -> Outcome {
        // For what is known when the next frame comes; what it says is compared elsewhere.
        let _ = self.reference.receive(bytes);
        let (mut told, mut verdict) = (Vec::new(), GoesOn);
        loop {
            let (used, event) = match self.session.handle_input(Instant::ZERO, bytes) {
                Ok((used, Some(event))) => (used, event),
                Ok((_, None)) => break,
                Err(_) => {
                    verdict = Failed;
                    break;
                }
            };
            bytes = &bytes[used..];
            let id = |stream| *self.keys.iter().find(|(_, key)| **key == stream).expect("it is known").0;
            match event {
                Event::Opened { stream } => {
                    let id = self.session.wire_id(stream).expect("it is open");
                    self.keys.insert(id, stream);
                    self.session.accept(stream);
                    told.push(Told::Opened(id));
                }
                Event::Data { stream, len, last } => {
                    let (payload, rest) = bytes.split_at(len);
                    bytes = rest;
                    tell(&mut told, id(stream), payload);
                    self.session.consumed(stream, len);
                    if let Some(mirror) = self.reference.streams.get_mut(&id(stream)) {
                        mirror.consume(len);
                    }
                    if last {
                        told.push(Told::Finished(id(stream)));
                    }
                }
                Event::Finished { stream } => told.push(Told::Finished(id(stream))),
                Event::Reset { stream } => told.push(Told::Reset(id(stream))),
                Event::Pong { .. } => panic!("nobody has asked"),
                Event::GoAway { .. } => verdict = Verdict::Gone,
            }
        }
        for stream in self.reference.streams.values_mut().filter(|stream| stream.read >= INITIAL_WINDOW_BYTES / 2) {
            stream.open += core::mem::take(&mut stream.read);
        }
        Outcome { verdict, told, pongs: self.transmit() }
    }
}

/// A stream of theirs, and whether its end was read.
struct Handle {
    stream: yamux::Stream,
    ended: bool,
}

struct Theirs {
    connection: yamux::Connection<Pipe>,
    pipe: Pipe,
    streams: BTreeMap<u32, Handle>,
    buffer: Vec<u8>,
}

impl Theirs {
    fn new(role: Role) -> Self {
        let mut config = yamux::Config::default();
        config.set_max_num_streams(STREAMS_MAX);
        // No window grows beyond where it starts: by how much is each side's own affair.
        config.set_max_connection_receive_window(Some(STREAMS_MAX * INITIAL_WINDOW_BYTES as usize));
        let pipe = Pipe::default();
        let mode = if role.is_dialer() { Mode::Client } else { Mode::Server };
        let connection = yamux::Connection::new(pipe.clone(), config, mode);
        Self { connection, pipe, streams: BTreeMap::new(), buffer: vec![0; 300 * 1024] }
    }

    fn open(&mut self) {
        match self.connection.poll_new_outbound(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(stream)) => {
                self.streams.insert(stream.id().val(), Handle { stream, ended: false });
            }
            other => panic!("{other:?}"),
        }
    }

    fn end(&mut self, id: u32, finish: bool) {
        let mut context = Context::from_waker(Waker::noop());
        match self.streams.get_mut(&id) {
            Some(handle) if finish => {
                let _ = Pin::new(&mut handle.stream).poll_close(&mut context);
            }
            _ => drop(self.streams.remove(&id)),
        }
        let (mut told, _) = self.poll();
        assert_eq!(core::mem::take(&mut told), []);
        self.forget();
    }

    /// Those that are over are dropped, so that theirs forgets them as ours does.
    fn forget(&mut self) {
        self.streams.retain(|_, handle| !handle.stream.is_closed());
        self.poll();
    }

    fn receive(&mut self, head: Head, bytes: &[u8]) -> Outcome {
        self.pipe.0.borrow_mut().input.extend(bytes);
        let before = self.pipe.0.borrow().output.len();
        let (mut told, mut verdict) = self.poll();
        if head.has(RST) && head.kind <= WINDOW_UPDATE && self.streams.contains_key(&head.stream) {
            told.retain(|told| *told != Told::Finished(head.stream));
            told.push(Told::Reset(head.stream));
        }
        self.forget();
        let pipe = self.pipe.0.borrow();
        let mut pongs = Vec::new();
        let mut sent = &pipe.output[before..];
        while let Some(head) = Head::read(sent) {
            sent = &sent[HEADER_BYTES + head.body()..];
            match head.kind {
                PING if head.has(ACK) => pongs.push(head.length),
                // It says so, and goes on.
                GO_AWAY => verdict = Failed,
                _ => {}
            }
        }
        if verdict == Failed {
            told.clear();
        }
        Outcome { verdict, told, pongs }
    }

    /// All that can happen.
    fn poll(&mut self) -> (Vec<Told>, Verdict) {
        let mut context = Context::from_waker(Waker::noop());
        // All that is unread at once, or credit would come in other pieces than ours.
        let buffer = &mut self.buffer[..];
        let (mut told, mut verdict) = (Vec::new(), GoesOn);
        for _ in 0..3 {
            loop {
                match self.connection.poll_next_inbound(&mut context) {
                    Poll::Ready(Some(Ok(stream))) => {
                        let id = stream.id().val();
                        told.push(Told::Opened(id));
                        self.streams.insert(id, Handle { stream, ended: false });
                    }
                    Poll::Ready(Some(Err(_))) => {
                        verdict = Failed;
                        break;
                    }
                    Poll::Ready(None) => {
                        verdict = if verdict == Failed { Failed } else { Verdict::Gone };
                        break;
                    }
                    Poll::Pending => break,
                }
            }
            if verdict != GoesOn {
                return (told, verdict);
            }
            for (id, handle) in &mut self.streams {
                while !handle.ended {
                    match Pin::new(&mut handle.stream).poll_read(&mut context, buffer) {
                        Poll::Ready(Ok(0)) => {
                            handle.ended = true;
                            told.push(Told::Finished(*id));
                        }
                        Poll::Ready(Ok(n)) => tell(&mut told, *id, &buffer[..n]),
                        Poll::Ready(Err(error)) => panic!("{error}"),
                        Poll::Pending => break,
                    }
                }
            }
        }
        (told, verdict)
    }
}

#[derive(Debug, Default)]
struct Ends {
    input: VecDeque<u8>,
    output: Vec<u8>,
}

/// A transport in memory, whose end never comes.
#[derive(Clone, Debug, Default)]
struct Pipe(Rc<RefCell<Ends>>);

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        match io::Read::read(&mut self.0.borrow_mut().input, buf) {
            Ok(0) => Poll::Pending,
            result => Poll::Ready(result),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_in_a_seed_and_most_seeds_have_none() {
        let mut met: Vec<&str> = Vec::new();
        let mut same = 0;
        for entry in std::fs::read_dir("seeds/yamux_differential").expect("seeds") {
            match compare(&std::fs::read(entry.expect("an entry").path()).expect("a seed")) {
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

//! What was said on a connection, layer by layer, decrypted: for people who ask why it failed.

use core::fmt;
use std::collections::VecDeque;

use libp2p_identity::PeerId;
use sanswarm_wire::{Instant, SendBuf};

use crate::{CloseReason, Direction, Error, Muxer, Security};

mod frames;
mod lines;

use frames::Frames;

/// How many entries wait for [`poll_transcript`](crate::Connection::poll_transcript). Further ones are counted, not kept.
pub const ENTRIES_MAX: usize = 1024;

/// How much a connection writes down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Nothing, at no cost.
    #[default]
    Off,
    /// Negotiations, the handshake, who the peer is, and the end.
    Negotiation,
    /// Also the frames of the secure channel and of the muxer: their heads, never their payload.
    Frames,
}

/// One thing that was said. There are no secrets in it: neither keys that are not public, nor payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Instant,
    /// How many changes of direction there had been, as in [`Stats::round_trips`](crate::Stats::round_trips).
    pub round_trips: u32,
    /// Whether we have sent it (outbound) or the peer (inbound).
    pub direction: Direction,
    /// The layer that it belongs to.
    pub layer: Layer,
    /// The stream that it belongs to, as the muxer numbers it.
    pub stream: Option<StreamNumber>,
    /// What it was.
    pub what: What,
    /// The bytes that it took in its layer. 0 where nothing was sent for it.
    pub bytes: usize,
}

/// The layers of a connection, from the socket up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Layer {
    /// The negotiation of a security protocol.
    Security,
    /// The security handshake.
    Handshake,
    /// The frames of the secure channel.
    Channel,
    /// The negotiation of a muxer.
    Muxer,
    /// The frames of the muxer.
    Session,
    /// The negotiation of one stream.
    Stream,
    /// The connection as a whole.
    Connection,
}

impl Layer {
    /// Its name, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Security => "security",
            Self::Handshake => "handshake",
            Self::Channel => "channel",
            Self::Muxer => "muxer",
            Self::Session => "session",
            Self::Stream => "stream",
            Self::Connection => "connection",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A stream's name on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamNumber {
    /// The muxer's number. In mplex both ends count from 0.
    pub number: u64,
    /// Who opened it.
    pub opener: Direction,
}

/// What was said.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// multistream-select: the header.
    Header,
    /// multistream-select: the dialer proposes a protocol.
    Proposal(String),
    /// multistream-select: the listener agrees to it.
    Agreement(String),
    /// multistream-select: the listener does not speak the last proposal (`na`).
    NotAvailable,
    /// multistream-select: the dialer asks for a list (`ls`).
    ListRequest,
    /// multistream-select: the answer to it.
    List(Vec<String>),
    /// Bytes where a message of multistream-select was due, which are none.
    NoMessage,
    /// Messages of the security handshake in one direction; the first is number 1.
    Handshake {
        /// Which turn of the two ends it is.
        turn: u8,
    },
    /// The peer has proved who it is.
    Identity(PeerId),
    /// The muxers that the peer names in the handshake.
    Muxers(Vec<String>),
    /// A frame of the secure channel: so many bytes of plaintext.
    Sealed(usize),
    /// A frame of yamux.
    Yamux(YamuxFrame),
    /// A frame of mplex.
    Mplex(MplexFrame),
    /// Bytes where a head of a muxer's frame was due, which are none.
    NoFrame,
    /// Security and muxer are agreed on.
    Ready(Option<Security>, Muxer),
    /// The connection ended.
    Ended(Result<CloseReason, Error>),
    /// So many entries were not kept, because nobody took those before them.
    Lost(u64),
}

/// The head of a yamux frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct YamuxFrame {
    /// `DATA`, `WINDOW_UPDATE`, `PING` or `GO_AWAY`.
    pub kind: &'static str,
    /// SYN 1, ACK 2, FIN 4, RST 8, and what the peer sets beyond.
    pub flags: u16,
    /// The bytes of data, the credit, the ping's value, or the code.
    pub length: u32,
}

/// The head of an mplex frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MplexFrame {
    /// `NEW_STREAM`, `MESSAGE`, `CLOSE` or `RESET`.
    pub kind: &'static str,
    /// The bytes of its body.
    pub length: u32,
}

impl What {
    /// A name for machines that stays the same over versions.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Proposal(_) => "proposal",
            Self::Agreement(_) => "agreement",
            Self::NotAvailable => "na",
            Self::ListRequest => "ls",
            Self::List(_) => "list",
            Self::NoMessage => "no-message",
            Self::Handshake { .. } => "handshake",
            Self::Identity(_) => "identity",
            Self::Muxers(_) => "muxers",
            Self::Sealed(_) => "sealed",
            Self::Yamux(_) => "yamux",
            Self::Mplex(_) => "mplex",
            Self::NoFrame => "no-frame",
            Self::Ready(..) => "ready",
            Self::Ended(_) => "ended",
            Self::Lost(_) => "lost",
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str("header"),
            Self::Proposal(name) => write!(f, "proposes {name}"),
            Self::Agreement(name) => write!(f, "agrees to {name}"),
            Self::NotAvailable => f.write_str("na: does not speak it"),
            Self::ListRequest => f.write_str("ls: asks for a list"),
            Self::List(names) => write!(f, "speaks {}", names.join(", ")),
            Self::NoMessage => f.write_str("bytes that are no message"),
            Self::Handshake { turn } => write!(f, "handshake, turn {turn}"),
            Self::Identity(peer) => write!(f, "is {peer}"),
            Self::Muxers(names) => write!(f, "offers {}", names.join(", ")),
            Self::Sealed(bytes) => write!(f, "frame of {bytes} bytes"),
            Self::Yamux(frame) => frame.fmt(f),
            Self::Mplex(MplexFrame { kind, length: 0 }) => f.write_str(kind),
            Self::Mplex(MplexFrame { kind, length }) => write!(f, "{kind} {length} bytes"),
            Self::NoFrame => f.write_str("bytes that are no frame"),
            Self::Ready(Some(security), muxer) => write!(f, "ready: {security}, {muxer}"),
            Self::Ready(None, muxer) => write!(f, "ready: {muxer}"),
            Self::Ended(Ok(reason)) => write!(f, "ended: {reason}"),
            Self::Ended(Err(error)) => write!(f, "failed: {error}"),
            Self::Lost(entries) => write!(f, "{entries} entries were lost"),
        }
    }
}

impl fmt::Display for YamuxFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)?;
        for (bit, name) in ["SYN", "ACK", "FIN", "RST"].iter().enumerate() {
            if self.flags & 1 << bit != 0 {
                write!(f, " {name}")?;
            }
        }
        match self.kind {
            "DATA" => write!(f, " {} bytes", self.length),
            "WINDOW_UPDATE" => write!(f, " +{}", self.length),
            _ => write!(f, " {}", self.length),
        }
    }
}

/// Where a connection writes its transcript, if it has one.
#[derive(Debug, Default)]
pub(crate) struct Transcript(Option<Box<Book>>);

#[derive(Debug)]
struct Book {
    level: Level,
    now: Instant,
    round_trips: u32,
    entries: VecDeque<Entry>,
    lost: u64,
    /// What was appended to the send buffer before this has been looked at.
    mark: u64,
    inbound: Frames,
    outbound: Frames,
    /// Turns of the handshake so far, and whose the last was.
    turn: (u8, Option<Direction>),
}

impl Transcript {
    pub(crate) fn set_level(&mut self, level: Level) {
        match (&mut self.0, level) {
            (book, Level::Off) => *book = None,
            (Some(book), level) => book.level = level,
            (book, level) => *book = Some(Box::new(Book::new(level))),
        }
    }

    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn poll(&mut self) -> Option<Entry> {
        let book = self.0.as_mut()?;
        let entry = book.entries.pop_front();
        if entry.is_none() && book.lost > 0 {
            let what = What::Lost(core::mem::take(&mut book.lost));
            return Some(book.entry(Direction::Inbound, Layer::Connection, None, what, 0));
        }
        entry
    }

    /// Says when what follows happens.
    #[inline]
    pub(crate) fn at(&mut self, now: Instant, round_trips: u32) {
        if let Some(book) = &mut self.0 {
            (book.now, book.round_trips) = (now, round_trips);
        }
    }

    /// Writes down what is made only if somebody wants it.
    #[inline]
    pub(crate) fn tell(&mut self, direction: Direction, layer: Layer, bytes: usize, what: impl FnOnce() -> What) {
        if let Some(book) = &mut self.0 {
            book.push(direction, layer, None, what(), bytes);
        }
    }

    /// Messages of multistream-select that `direction` has sent, whole ones.
    #[inline]
    pub(crate) fn lines(&mut self, direction: Direction, dialer: Direction, layer: Layer, bytes: &[u8]) {
        self.stream_lines(direction, dialer, layer, None, bytes);
    }

    /// The same within a stream.
    #[inline]
    pub(crate) fn stream_lines(
        &mut self,
        direction: Direction,
        dialer: Direction,
        layer: Layer,
        stream: Option<StreamNumber>,
        bytes: &[u8],
    ) {
        if let Some(book) = &mut self.0 {
            for (what, used) in lines::read(bytes, direction == dialer) {
                book.push(direction, layer, stream, what, used);
            }
        }
    }

    /// Bytes of the handshake.
    #[inline]
    pub(crate) fn handshake(&mut self, direction: Direction, bytes: usize) {
        let Some(book) = self.0.as_mut().filter(|_| bytes > 0) else { return };
        if book.turn.1 != Some(direction) {
            book.turn = (book.turn.0.saturating_add(1), Some(direction));
        }
        book.push(direction, Layer::Handshake, None, What::Handshake { turn: book.turn.0 }, bytes);
    }

    /// A frame of the secure channel: its plaintext, and all of it.
    #[inline]
    pub(crate) fn sealed(&mut self, direction: Direction, plain: usize, bytes: usize) {
        if let Some(book) = self.0.as_mut().filter(|book| book.level >= Level::Frames && bytes > 0) {
            book.push(direction, Layer::Channel, None, What::Sealed(plain), bytes);
        }
    }

    /// What we have appended since the last look, as messages of a negotiation.
    pub(crate) fn sent_lines(&mut self, dialer: Direction, layer: Layer, send: &SendBuf) {
        let Some(book) = &mut self.0 else { return };
        let (bytes, mark) = send.appended(book.mark);
        book.mark = mark;
        let bytes = bytes.to_vec();
        self.lines(Direction::Outbound, dialer, layer, &bytes);
    }

    /// What we have appended since the last look was written down otherwise.
    pub(crate) fn skip_sent(&mut self, send: &SendBuf) {
        if let Some(book) = &mut self.0 {
            book.mark = send.appended(book.mark).1;
        }
    }

    /// Which muxer's frames follow.
    pub(crate) fn start_frames(&mut self, muxer: Muxer, dialer: Direction) {
        if let Some(book) = &mut self.0 {
            book.inbound = Frames::of(muxer, Direction::Inbound, dialer);
            book.outbound = Frames::of(muxer, Direction::Outbound, dialer);
        }
    }

    /// What we have appended since the last look, as frames of the muxer.
    #[inline]
    pub(crate) fn sent_frames(&mut self, send: &SendBuf) {
        if let Some(book) = &mut self.0 {
            let (bytes, mark) = send.appended(book.mark);
            book.mark = mark;
            let mut frames = core::mem::take(&mut book.outbound);
            frames.read(bytes, |stream, what, used| {
                book.push_frame(Direction::Outbound, stream, what, used);
            });
            book.outbound = frames;
        }
    }

    /// What the muxer has used of the input: heads, and bodies that it drops.
    #[inline]
    pub(crate) fn received_frames(&mut self, bytes: &[u8]) {
        if let Some(book) = &mut self.0 {
            let mut frames = core::mem::take(&mut book.inbound);
            frames.read(bytes, |stream, what, used| {
                book.push_frame(Direction::Inbound, stream, what, used);
            });
            book.inbound = frames;
        }
    }

    /// So many bytes of a frame's body were taken from the input.
    #[inline]
    pub(crate) fn received_body(&mut self, len: usize) {
        if let Some(book) = &mut self.0 {
            book.inbound.skip(len);
        }
    }
}

impl Book {
    fn new(level: Level) -> Self {
        Self {
            level,
            now: Instant::ZERO,
            round_trips: 0,
            entries: VecDeque::new(),
            lost: 0,
            mark: 0,
            inbound: Frames::default(),
            outbound: Frames::default(),
            turn: (0, None),
        }
    }

    fn entry(
        &self,
        direction: Direction,
        layer: Layer,
        stream: Option<StreamNumber>,
        what: What,
        bytes: usize,
    ) -> Entry {
        Entry { at: self.now, round_trips: self.round_trips, direction, layer, stream, what, bytes }
    }

    fn push(&mut self, direction: Direction, layer: Layer, stream: Option<StreamNumber>, what: What, bytes: usize) {
        if self.entries.len() >= ENTRIES_MAX || self.lost > 0 {
            self.lost += 1;
            return;
        }
        let entry = self.entry(direction, layer, stream, what, bytes);
        self.entries.push_back(entry);
    }

    fn push_frame(&mut self, direction: Direction, stream: Option<StreamNumber>, what: What, bytes: usize) {
        if self.level >= Level::Frames {
            self.push(direction, Layer::Session, stream, what, bytes);
        }
    }
}

//! yamux once more, as plain as can be: heads, and what one end makes of them.

pub mod differential;

use std::{collections::BTreeMap, fmt};

use sanswarm_wire::Role;
use sanswarm_yamux::{Error, HEADER_BYTES, INITIAL_WINDOW_BYTES, Limits};

use crate::Input;

pub const DATA: u8 = 0;
pub const WINDOW_UPDATE: u8 = 1;
pub const PING: u8 = 2;
pub const GO_AWAY: u8 = 3;

pub const SYN: u16 = 1;
pub const ACK: u16 = 2;
pub const FIN: u16 = 4;
pub const RST: u16 = 8;

/// The head of a frame, of any version and type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub version: u8,
    pub kind: u8,
    pub flags: u16,
    pub stream: u32,
    pub length: u32,
}

impl Head {
    /// Those of the spec.
    pub fn new(kind: u8, flags: u16, stream: u32, length: u32) -> Self {
        Self { version: 0, kind, flags, stream, length }
    }

    /// The head at the front, if it is whole.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let number =
            |at: usize, len: usize| bytes[at..at + len].iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
        (bytes.len() >= HEADER_BYTES).then(|| Self {
            version: bytes[0],
            kind: bytes[1],
            flags: number(2, 2) as u16,
            stream: number(4, 4),
            length: number(8, 4),
        })
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.version, self.kind];
        bytes.extend(self.flags.to_be_bytes());
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(self.length.to_be_bytes());
        bytes
    }

    pub fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// The bytes behind it.
    pub fn body(&self) -> usize {
        if self.kind == DATA { self.length as usize } else { 0 }
    }
}

/// The longest body that a case brings, in bytes.
const BODY_MAX: u32 = INITIAL_WINDOW_BYTES + 4096;

/// A frame: a byte of its type modulo 4; a byte of flags, whose higher bits say more (0x80: all flags that are unknown,
/// 0x40: version 1, 0x20: the type is all of its byte); a byte of its stream and a byte of its length (`number`). Data
/// bring all of their body, or none if it is 1 MiB or more; those between are cut to what just exceeds a window.
pub fn frame(input: &mut Input<'_>) -> Vec<u8> {
    let (kind, flags) = (input.byte(), input.byte());
    let stream = number(input, 1 << 26);
    let length = number(input, 4096);
    let length = if length < 1024 * 1024 { length.min(BODY_MAX) } else { length };
    let head = Head {
        version: u8::from(flags & 0x40 != 0),
        kind: if flags & 0x20 != 0 { kind } else { kind % 4 },
        flags: u16::from(flags & 15) | if flags & 0x80 != 0 { 0xfff0 } else { 0 },
        stream,
        length,
    };
    let mut bytes = head.bytes();
    if head.kind == DATA && length <= BODY_MAX {
        bytes.extend((0..length).map(|at| (at % 251) as u8));
    }
    bytes
}

/// By a byte: below 0x80 that number, below 0xc0 some times `unit`, 0xfe and 0xff a window and one more, else four
/// bytes.
fn number(input: &mut Input<'_>, unit: u32) -> u32 {
    match input.byte() {
        near @ 0..0x80 => u32::from(near),
        times @ 0x80..0xc0 => u32::from(times & 0x3f) * unit,
        0xfe => INITIAL_WINDOW_BYTES,
        0xff => INITIAL_WINDOW_BYTES + 1,
        _ => (input.short() as u32) << 16 | input.short() as u32,
    }
}

/// All heads of some whole frames that this crate sent: each is one that the spec knows.
pub fn heads(mut sent: &[u8]) -> Vec<Head> {
    let mut heads = Vec::new();
    while !sent.is_empty() {
        let head = Head::read(sent).expect("whole frames are sent");
        assert!(head.version == 0 && head.kind <= GO_AWAY && head.flags <= 15, "{head:?}");
        assert_eq!((head.kind >= PING), (head.stream == 0), "stream 0 is the session: {head:?}");
        assert_eq!(head.bytes(), sent[..HEADER_BYTES]);
        sent = sent.get(HEADER_BYTES + head.body()..).expect("whole frames are sent");
        heads.push(head);
    }
    heads
}

/// What an end is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Opened(u32),
    /// Pieces that follow one another are one.
    Data(u32, Payload),
    Finished(u32),
    Reset(u32),
    GoAway(u32),
}

/// Bytes that are too many to be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload(Vec<u8>);

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, {:x?}..", self.0.len(), &self.0[..self.0.len().min(8)])
    }
}

/// Adds payload to what was told.
pub fn tell(told: &mut Vec<Told>, stream: u32, bytes: &[u8]) {
    match told.last_mut() {
        Some(Told::Data(last, payload)) if *last == stream => payload.0.extend(bytes),
        _ => told.push(Told::Data(stream, Payload(bytes.to_vec()))),
    }
}

/// A stream that the peer knows of too.
#[derive(Clone, Debug)]
pub struct Stream {
    /// What the peer may still send.
    pub open: u32,
    /// What was read of it and not given back.
    pub read: u32,
    /// What we may still send.
    pub credit: u32,
    pub accepted: bool,
    /// The peer has not seen our ACK.
    pub owes_ack: bool,
    /// FIN came, all of the frame or not.
    pub ended: bool,
    pub told_end: bool,
    pub finished: bool,
    /// FIN was sent.
    pub fin_sent: bool,
    pub stopped: bool,
}

impl Stream {
    fn new(accepted: bool) -> Self {
        Self {
            open: INITIAL_WINDOW_BYTES,
            read: 0,
            credit: INITIAL_WINDOW_BYTES,
            accepted,
            owes_ack: !accepted,
            ended: false,
            told_end: false,
            finished: false,
            fin_sent: false,
            stopped: false,
        }
    }

    /// The application reads: never more than arrived.
    pub fn consume(&mut self, n: usize) {
        let unread = INITIAL_WINDOW_BYTES - self.open - self.read;
        self.read += u32::try_from(n).unwrap_or(u32::MAX).min(unread);
    }

    fn is_over(&self) -> bool {
        self.fin_sent && self.told_end
    }
}

/// One end, whose windows do not grow.
#[derive(Debug)]
pub struct Reference {
    role: Role,
    limits: Limits,
    pub streams: BTreeMap<u32, Stream>,
    /// Bytes that are no whole head.
    inbox: Vec<u8>,
    /// The frame whose body is not whole: its stream, if it is of interest, and the bytes left.
    body: Option<(Option<u32>, usize)>,
    /// Pings to be answered, and streams of the peer to be reset.
    pub pongs: Vec<u32>,
    pub resets: Vec<u32>,
    pub we_go_away: bool,
    pub they_go_away: bool,
}

impl Reference {
    pub fn new(role: Role, limits: Limits) -> Self {
        Self {
            role,
            limits,
            streams: BTreeMap::new(),
            inbox: Vec::new(),
            body: None,
            pongs: Vec::new(),
            resets: Vec::new(),
            we_go_away: false,
            they_go_away: false,
        }
    }

    pub fn is_ours(&self, stream: u32) -> bool {
        stream.is_multiple_of(2) != self.role.is_dialer()
    }

    /// SYN of a stream of ours was sent.
    pub fn opened(&mut self, stream: u32) {
        self.streams.insert(stream, Stream::new(true));
    }

    fn count(&self, theirs: impl Fn(&Stream) -> bool) -> usize {
        self.streams.iter().filter(|(id, stream)| !self.is_ours(**id) && theirs(stream)).count()
    }

    /// Input that follows what came before.
    pub fn receive(&mut self, mut bytes: &[u8]) -> (Vec<Told>, Result<(), Error>) {
        let mut told = Vec::new();
        loop {
            if let Some((stream, left)) = &mut self.body {
                let (now, rest) = bytes.split_at(bytes.len().min(*left));
                bytes = rest;
                *left -= now.len();
                let (stream, is_whole) = (*stream, *left == 0);
                if is_whole {
                    self.body = None;
                }
                self.payload(stream, now, is_whole, &mut told);
                if !is_whole {
                    return (told, Ok(()));
                }
            }
            let missing = HEADER_BYTES - self.inbox.len();
            let (now, rest) = bytes.split_at(bytes.len().min(missing));
            self.inbox.extend(now);
            bytes = rest;
            let Some(head) = Head::read(&self.inbox) else { return (told, Ok(())) };
            self.inbox.clear();
            if let Err(error) = self.head(head, &mut told) {
                return (told, Err(error));
            }
        }
    }

    fn payload(&mut self, id: Option<u32>, bytes: &[u8], is_whole: bool, told: &mut Vec<Told>) {
        let Some((id, stream)) = id.and_then(|id| Some((id, self.streams.get_mut(&id)?))) else { return };
        if !stream.stopped && !bytes.is_empty() {
            tell(told, id, bytes);
        }
        if is_whole && stream.ended {
            stream.told_end = true;
            told.push(Told::Finished(id));
            self.forget_if_over(id);
        }
    }

    pub fn forget_if_over(&mut self, id: u32) {
        if self.streams.get(&id).is_some_and(Stream::is_over) {
            self.streams.remove(&id);
        }
    }

    fn head(&mut self, head: Head, told: &mut Vec<Told>) -> Result<(), Error> {
        if head.version != 0 {
            return Err(Error::Version(head.version));
        }
        match head.kind {
            DATA | WINDOW_UPDATE => self.stream_head(head, told),
            PING => {
                if head.has(SYN) {
                    self.pongs.push(head.length);
                }
                Ok(())
            }
            GO_AWAY => {
                self.they_go_away = true;
                told.push(Told::GoAway(head.length));
                Ok(())
            }
            other => Err(Error::FrameType(other)),
        }
    }

    fn stream_head(&mut self, head: Head, told: &mut Vec<Told>) -> Result<(), Error> {
        let id = head.stream;
        if id == 0 {
            return Err(Error::StreamZero);
        }
        if head.has(RST) {
            self.skip(head)?;
            if self.streams.remove(&id).is_some() {
                told.push(Told::Reset(id));
            }
            return Ok(());
        }
        if head.has(SYN) {
            return self.syn(head, told);
        }
        let Some(stream) = self.streams.get_mut(&id) else { return self.skip(head) };
        Self::account(stream, head)?;
        if stream.ended {
            return self.skip(head);
        }
        stream.ended = head.has(FIN);
        if stream.stopped && !stream.ended {
            stream.consume(head.body());
        }
        self.begin(head, told);
        Ok(())
    }

    fn syn(&mut self, head: Head, told: &mut Vec<Told>) -> Result<(), Error> {
        let id = head.stream;
        if self.is_ours(id) {
            return Err(Error::WrongParity { id });
        }
        if self.streams.contains_key(&id) {
            return Err(Error::AlreadyOpen { id });
        }
        let mut stream = Stream::new(false);
        Self::account(&mut stream, head)?;
        let (inbound, unaccepted) = (self.count(|_| true), self.count(|stream| !stream.accepted));
        if self.we_go_away || inbound >= self.limits.streams || unaccepted >= self.limits.unaccepted {
            self.resets.push(id);
            return self.skip(head);
        }
        stream.ended = head.has(FIN);
        self.streams.insert(id, stream);
        told.push(Told::Opened(id));
        self.begin(head, told);
        Ok(())
    }

    /// Windows and credit.
    fn account(stream: &mut Stream, head: Head) -> Result<(), Error> {
        if head.kind == DATA {
            let (length, window) = (head.length, stream.open);
            stream.open = window.checked_sub(length).ok_or(Error::WindowExceeded { length, window })?;
        } else {
            stream.credit = stream.credit.checked_add(head.length).ok_or(Error::CreditOverflow)?;
        }
        Ok(())
    }

    /// The body of a frame that is of interest begins.
    fn begin(&mut self, head: Head, told: &mut Vec<Told>) {
        match head.body() {
            0 => self.payload(Some(head.stream), &[], true, told),
            left => self.body = Some((Some(head.stream), left)),
        }
    }

    /// The body of a frame that concerns nobody.
    fn skip(&mut self, head: Head) -> Result<(), Error> {
        let (length, limit) = (head.body() as u32, INITIAL_WINDOW_BYTES);
        if length > limit {
            return Err(Error::BodyTooLong { length, limit });
        }
        self.body = (length > 0).then_some((None, length as usize));
        Ok(())
    }
}

//! yamux as a listener of some manner has it, with a negotiation and an echo on each stream.

use std::collections::BTreeMap;

use super::{Ack, Manner, Select};

pub(crate) const DATA: u8 = 0;
pub(crate) const WINDOW: u8 = 1;
const PING: u8 = 2;
pub(crate) const SYN: u16 = 1;
const ACK: u16 = 2;
const FIN: u16 = 4;
const RST: u16 = 8;
const PAYLOAD_MAX: usize = 16 * 1024;

/// One frame as it was on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u16,
    pub(crate) stream: u32,
    pub(crate) length: u32,
    pub(crate) body: Vec<u8>,
}

/// The whole frames at the front of `bytes`, and how many bytes they are.
pub(crate) fn frames(bytes: &[u8]) -> (Vec<Frame>, usize) {
    let (mut all, mut used) = (Vec::new(), 0);
    while let Some(head) = bytes[used..].first_chunk::<12>() {
        let length = u32::from_be_bytes([head[8], head[9], head[10], head[11]]);
        let len = if head[1] == DATA { length as usize } else { 0 };
        let Some(body) = bytes.get(used + 12..used + 12 + len) else { break };
        assert_eq!(head[0], 0, "the version");
        all.push(Frame {
            kind: head[1],
            flags: u16::from_be_bytes([head[2], head[3]]),
            stream: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
            length,
            body: body.to_vec(),
        });
        used += 12 + len;
    }
    (all, used)
}

#[derive(Debug)]
struct Stream {
    select: Select,
    is_acked: bool,
}

#[derive(Debug)]
pub(crate) struct Mux {
    manner: Manner,
    knows: &'static [&'static str],
    hand: Vec<u8>,
    streams: BTreeMap<u32, Stream>,
    /// What was agreed on, and on which stream.
    pub(crate) agreed: Vec<(u32, String)>,
    /// Streams that the dialer reset, and those that this end did.
    pub(crate) reset: Vec<u32>,
    pub(crate) broken: Vec<u32>,
    /// All that came.
    pub(crate) seen: Vec<Frame>,
    out: Vec<u8>,
}

impl Mux {
    pub(crate) fn new(manner: Manner, knows: &'static [&'static str]) -> Self {
        let mut mux = Self {
            manner,
            knows,
            hand: Vec::new(),
            streams: BTreeMap::new(),
            agreed: Vec::new(),
            reset: Vec::new(),
            broken: Vec::new(),
            seen: Vec::new(),
            out: Vec::new(),
        };
        if manner.pings {
            mux.frame(PING, SYN, 0, 0x5eed, b"");
        }
        mux
    }

    pub(crate) fn handle(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.hand.extend_from_slice(bytes);
        let (frames, used) = frames(&self.hand);
        self.hand.drain(..used);
        for frame in frames {
            self.handle_frame(&frame);
            self.seen.push(frame);
        }
        core::mem::take(&mut self.out)
    }

    fn handle_frame(&mut self, frame: &Frame) {
        match frame.kind {
            DATA | WINDOW => {}
            PING if frame.flags & SYN != 0 => return self.frame(PING, ACK, 0, frame.length, b""),
            _ => return,
        }
        let id = frame.stream;
        if frame.flags & SYN != 0 {
            self.open(id);
        }
        if frame.flags & RST != 0 {
            self.reset.push(id);
            self.streams.remove(&id);
            return;
        }
        if !frame.body.is_empty() {
            self.read(id, &frame.body);
        }
        if frame.flags & FIN != 0 && self.streams.contains_key(&id) {
            self.frame(DATA, FIN, id, 0, b"");
        }
    }

    fn open(&mut self, id: u32) {
        let mut select = Select::new(self.manner, self.knows);
        let greeting = select.greet();
        let mut stream = Stream { select, is_acked: false };
        if let Ack::First(credit) = self.manner.ack {
            stream.is_acked = true;
            self.frame(WINDOW, ACK, id, credit, b"");
        }
        self.streams.insert(id, stream);
        self.say(id, &greeting);
    }

    fn read(&mut self, id: u32, body: &[u8]) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let had_agreed = stream.select.agreed.is_some();
        let mut answer = if had_agreed { body.to_vec() } else { stream.select.handle(body) };
        if let (false, Some(name)) = (had_agreed, &stream.select.agreed) {
            self.agreed.push((id, name.clone()));
            answer.extend(stream.select.take_rest());
        }
        let has_failed = stream.select.failed;
        self.say(id, &answer);
        if has_failed {
            self.broken.push(id);
            self.streams.remove(&id);
            return self.frame(DATA, RST, id, 0, b"");
        }
        self.frame(WINDOW, 0, id, body.len() as u32, b"");
        if let (Ack::Late, Some(stream)) = (self.manner.ack, self.streams.get_mut(&id)) {
            let is_first = !core::mem::replace(&mut stream.is_acked, true);
            if is_first {
                self.frame(WINDOW, ACK, id, 0, b"");
            }
        }
    }

    fn say(&mut self, id: u32, bytes: &[u8]) {
        for piece in bytes.chunks(PAYLOAD_MAX) {
            let stream = self.streams.get_mut(&id).expect("it is open");
            let acks = self.manner.ack == Ack::WithData && !core::mem::replace(&mut stream.is_acked, true);
            self.frame(DATA, if acks { ACK } else { 0 }, id, piece.len() as u32, piece);
        }
    }

    fn frame(&mut self, kind: u8, flags: u16, stream: u32, length: u32, body: &[u8]) {
        self.out.extend_from_slice(&[0, kind]);
        self.out.extend_from_slice(&flags.to_be_bytes());
        self.out.extend_from_slice(&stream.to_be_bytes());
        self.out.extend_from_slice(&length.to_be_bytes());
        self.out.extend_from_slice(body);
    }
}

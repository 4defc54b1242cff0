//! A connection behind a completed handshake: what it reads is sealed by a real end of Noise, so that the fuzzer's bytes
//! reach the muxer and the streams.
//!
//! Input: one byte for the mode, then operations of two bytes, some with data behind: see `World::apply`. Of the mode,
//! bit 0 makes the connection a listener; bits 1 and 2 say which muxers it offers and whether the peer names any (yamux;
//! mplex; yamux and none named; both and none named); bits 3 and 4 are the level of the transcript; bit 5 opens a stream
//! before the first byte. Seeds are in `seeds/connection_sealed`.

#![no_main]

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
    time::Duration,
};

use libfuzzer_sys::fuzz_target;
use libp2p_identity::Keypair;
use sanswarm_connection::{
    Config, Connection, Error, Event, Hangup, Limits, Muxer, Open, Security, StreamId,
    transcript::{ENTRIES_MAX, Level},
};
use sanswarm_multistream::ProtocolName;
use sanswarm_multistream_select::Names;
use sanswarm_noise::{Cipher, Handshake, StaticKey};
use sanswarm_wire::{Instant, RecvBuf, Role, SendBuf};

const NAMES: [&[&str]; 4] = [&["/a"], &["/none", "/a"], &["/none"], &["/a", "/b"]];
const NEGOTIATION: &[u8] = b"\x13/multistream/1.0.0\n\x07/noise\n";

/// What a fuzzer would not write by itself in five minutes.
const MESSAGES: [&[u8]; 8] = [
    b"\x13/multistream/1.0.0\n",
    b"\x03/a\n",
    b"\x03/b\n",
    b"\x03na\n",
    b"\x03ls\n",
    b"\x13/multistream/1.0.0\n\x03/a\n",
    b"\x06/none\n",
    b"\x0d/yamux/1.0.0\n",
];

const OURS: u8 = 10;
const THEIRS: u8 = 50;

static CONFIGS: LazyLock<[Arc<Config>; 4]> = LazyLock::new(|| {
    let (yamux, mplex) = (vec![Muxer::Yamux], vec![Muxer::Mplex]);
    [yamux.clone(), mplex, yamux, vec![Muxer::Yamux, Muxer::Mplex]].map(|muxers| {
        let limits = Limits { streams: 8, negotiating: 2, ..Limits::default() };
        let config = Config::new(&keypair(OURS), [OURS + 1; 32], Security::defaults(), muxers, limits);
        Arc::new(config.expect("it signs"))
    })
});

/// The peer's handshake, by the muxers that it names.
static PEERS: LazyLock<[Arc<sanswarm_noise::Config>; 4]> = LazyLock::new(|| {
    let named: [&[&'static [u8]]; 4] = [&[b"/yamux/1.0.0"], &[b"/mplex/6.7.0"], &[], &[]];
    named.map(|named| {
        let key = StaticKey::from_secret([THEIRS + 1; 32]);
        let signature = keypair(THEIRS).sign(&key.message()).expect("it signs");
        let config = sanswarm_noise::Config::new(key, keypair(THEIRS).public().encode_protobuf(), signature);
        Arc::new(sanswarm_noise::Config { muxers: named.iter().map(|name| (*name).into()).collect(), ..config })
    })
});

fn keypair(seed: u8) -> Keypair {
    Keypair::ed25519_from_bytes([seed; 32]).expect("32 bytes")
}

/// The other end: Noise, and whatever plaintext the fuzzer gives.
struct Peer {
    cipher: Cipher,
    recv: RecvBuf,
    send: SendBuf,
}

struct World {
    conn: Connection,
    recv: RecvBuf,
    send: SendBuf,
    peer: Peer,
    streams: Vec<StreamId>,
    taken: BTreeMap<StreamId, usize>,
    error: Option<Error>,
    closed: bool,
    ready: bool,
    mplex: bool,
    now: Instant,
}

impl World {
    /// Both ends, with the handshake behind them.
    fn new(mode: u8) -> Self {
        let role = if mode & 1 == 0 { Role::Dialer } else { Role::Listener };
        let arrangement = usize::from(mode >> 1 & 3);
        let theirs = keypair(THEIRS).public().to_peer_id();
        let mut conn = Connection::new(Instant::ZERO, role, CONFIGS[arrangement].clone(), Some(theirs), [OURS + 2; 32]);
        conn.set_names(Arc::new(Names::new(["/a", "/b"].map(ProtocolName::from_static))));
        conn.set_transcript([Level::Off, Level::Negotiation, Level::Frames, Level::Frames][usize::from(mode >> 3 & 3)]);
        let other = if role.is_dialer() { Role::Listener } else { Role::Dialer };
        let mut handshake =
            Handshake::new(other, PEERS[arrangement].clone(), [THEIRS + 2; 32]).expect("a good configuration");
        let (mut recv, mut send) = (RecvBuf::default(), SendBuf::default());
        let mut streams = Vec::new();
        if mode & 32 != 0 {
            streams.extend(conn.open(Instant::ZERO, names(0), Open::Lazy));
        }
        let (ready, behind) = shake(&mut conn, &mut handshake, &mut recv, &mut send);
        let (cipher, _) = handshake.finish().expect("it is done");
        let mut peer = Peer { cipher, recv: RecvBuf::default(), send: SendBuf::default() };
        peer.send.set_framing(Cipher::framing());
        peer.recv.feed(&behind);
        let (taken, mplex, now) = (BTreeMap::new(), arrangement == 1, Instant::ZERO);
        Self { conn, recv, send, peer, streams, taken, error: None, closed: false, ready, mplex, now }
    }

    /// Does one operation and returns the data that it did not use.
    fn apply<'a>(&mut self, op: u8, arg: u8, data: &'a [u8]) -> &'a [u8] {
        match op & 15 {
            0 | 1 => {
                let (plain, rest) = data.split_at(data.len().min(arg.into()));
                self.say(plain, if op & 1 == 0 { usize::MAX } else { plain.len() / 2 });
                return rest;
            }
            2 => return self.say_frame(arg, data),
            3 => self.say_message(arg),
            4 => self.streams.extend(self.conn.open(
                self.now,
                names(arg.into()),
                if arg & 4 == 0 { Open::Wait } else { Open::Lazy },
            )),
            5 => self.write(arg, usize::from(arg >> 3) * 4000 + 1),
            6 => self.read(arg),
            7 => drop(self.pick(arg).map(|id| self.conn.finish(id))),
            8 => drop(self.pick(arg).map(|id| self.conn.reset(id))),
            9 => drop(self.pick(arg).map(|id| self.conn.stop(id))),
            10 => self.deliver(usize::from(arg) + 1),
            11 => drop(self.flush()),
            12 => self.pass(Duration::from_millis(u64::from(arg) * 20)),
            13 if arg == 0 => self.conn.close(self.now),
            14 if arg == 0 => self.recv.set_eof(),
            15 => self.rest(),
            _ => {}
        }
        data
    }

    /// Seals `plain` in a frame, of which so much arrives now.
    fn say(&mut self, plain: &[u8], now: usize) {
        // Where the connection does not take what was said, no more is said.
        if self.peer.send.append(plain) {
            assert!(self.peer.cipher.seal(&mut self.peer.send).is_ok());
        }
        self.deliver(now);
    }

    /// A frame of the muxer that is none by accident only: its head from `arg` and the next byte, then so much payload.
    fn say_frame<'a>(&mut self, arg: u8, data: &'a [u8]) -> &'a [u8] {
        let [stream, len, rest @ ..] = data else { return &[] };
        let (payload, rest) = rest.split_at(rest.len().min(usize::from(*len)));
        let frame = self.frame(arg, *stream, payload);
        self.say(&frame, usize::MAX);
        rest
    }

    fn frame(&self, arg: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let len = payload.len() as u8;
        if self.mplex {
            // One byte of id and flag below 16 streams, then the length as a varint.
            let head = [(stream & 15) << 3 | arg & 7, len & 0x7f | 0x80, len >> 7];
            return [&head[..], payload].concat();
        }
        let head = [0, arg & 3, 0, arg >> 2 & 15, 0, 0, 0, stream & 31, 0, 0, 0, len];
        [&head[..], payload].concat()
    }

    /// A message of a negotiation, on a stream or bare.
    fn say_message(&mut self, arg: u8) {
        let message = MESSAGES[usize::from(arg & 7)];
        let stream = arg >> 4;
        if arg & 8 != 0 && stream == 15 {
            return self.say(message, usize::MAX);
        }
        // Bit 3 opens the stream: by a flag, or by a frame of its own.
        let opens = arg & 8 != 0;
        let kind = if self.mplex { 1 + u8::from(opens) } else { u8::from(opens) << 2 };
        let mut frame = self.frame(kind, stream, message);
        if self.mplex && opens {
            frame.splice(0..0, self.frame(0, stream, b""));
        }
        self.say(&frame, usize::MAX);
    }

    fn deliver(&mut self, most: usize) {
        if self.recv.wants() {
            let ready = self.peer.send.ready();
            let n = self.recv.feed(&ready[..ready.len().min(most)]);
            self.peer.send.sent(n);
        }
        self.poll();
    }

    fn poll(&mut self) {
        loop {
            match self.conn.poll_event(self.now, &mut self.recv) {
                Ok(None) => break,
                Ok(Some(event)) => {
                    assert!(self.error.is_none() && !self.closed, "{event:?} after the end");
                    match event {
                        Event::Ready { peer, .. } => {
                            assert!(!core::mem::replace(&mut self.ready, true), "twice");
                            assert_eq!(peer, keypair(THEIRS).public().to_peer_id());
                        }
                        Event::Opened { stream, .. } if !self.streams.contains(&stream) => self.streams.push(stream),
                        Event::Refused { stream, .. } | Event::Reset { stream } => {
                            assert!(self.conn.read(stream).is_err(), "stale");
                        }
                        Event::Closed { .. } => self.closed = true,
                        _ => {}
                    }
                }
                Err(error) => {
                    assert_eq!(*self.error.get_or_insert(error.clone()), error, "sticky");
                    break;
                }
            }
        }
        let mut entries = 0;
        while self.conn.poll_transcript().is_some() {
            entries += 1;
        }
        assert!(entries <= ENTRIES_MAX + 1);
    }

    /// Sends what is due. The peer can open all of it.
    fn flush(&mut self) -> u64 {
        let before = self.send.total();
        while self.conn.poll_transmit(self.now, &mut self.send) > 0 {}
        let n = self.peer.recv.feed(self.send.ready());
        self.send.sent(n);
        while self.peer.cipher.open(&mut self.peer.recv).expect("what we seal is whole") {
            self.peer.recv.consume(usize::MAX);
        }
        self.send.total() - before + n as u64
    }

    fn pick(&self, which: u8) -> Option<StreamId> {
        self.streams.get(usize::from(which).checked_rem(self.streams.len())?).copied()
    }

    fn write(&mut self, arg: u8, len: usize) {
        let Some(id) = self.pick(arg) else { return };
        if let Ok(n) = self.conn.write(self.now, id, &vec![arg; len], &mut self.send) {
            assert!(n <= len);
        }
    }

    fn read(&mut self, arg: u8) {
        let Some(id) = self.pick(arg) else { return };
        while let Ok(Some(slice)) = self.conn.read(id) {
            assert!(!slice.is_empty());
            *self.taken.entry(id).or_default() += slice.len();
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.conn.handle_timeout(self.now);
    }

    /// All that can happen without the users happens, and that is not without an end.
    fn rest(&mut self) {
        for _ in 0..100_000 {
            let held = self.peer.send.ready().len();
            self.deliver(usize::MAX);
            if self.flush() == 0 && self.peer.send.ready().len() == held {
                return;
            }
        }
        panic!("it never comes to rest");
    }
}

fn names(which: usize) -> Arc<[ProtocolName]> {
    NAMES[which % 4].iter().map(|name| ProtocolName::from_static(name)).collect()
}

/// Security and handshake. Returns whether the connection is ready, as it is where the peer names a muxer, and what it
/// has sent behind its last message.
fn shake(conn: &mut Connection, handshake: &mut Handshake, recv: &mut RecvBuf, send: &mut SendBuf) -> (bool, Vec<u8>) {
    let (mut out, mut hand) = (SendBuf::default(), Vec::new());
    assert!(out.append(NEGOTIATION));
    let (mut ready, mut skip) = (false, NEGOTIATION.len());
    while !handshake.is_done() {
        while let Some(event) = conn.poll_event(Instant::ZERO, recv).expect("an honest peer") {
            ready |= matches!(event, Event::Ready { .. });
        }
        while conn.poll_transmit(Instant::ZERO, send) > 0 {}
        hand.extend_from_slice(send.ready());
        send.sent(usize::MAX / 2);
        let negotiated = hand.len().min(skip);
        hand.drain(..negotiated);
        skip -= negotiated;
        let (used, claim) = handshake.handle_input(&mut hand).expect("an honest connection");
        hand.drain(..used);
        if claim.is_some() {
            handshake.handle_verdict(true).expect("there is a claim");
        }
        handshake.poll_transmit(&mut out);
        recv.feed(out.ready());
        out.sent(usize::MAX / 2);
    }
    (ready, hand)
}

fuzz_target!(|data: &[u8]| {
    let Some((mode, mut data)) = data.split_first() else { return };
    let mut world = World::new(*mode);
    world.poll();
    while let [op, arg, rest @ ..] = data {
        data = world.apply(*op, *arg, rest);
    }
    // Every connection comes to its end: by its peer's, or by time.
    world.rest();
    world.recv.set_eof();
    world.rest();
    for _ in 0..2 {
        world.pass(Duration::from_secs(100));
        world.rest();
    }
    assert_eq!(world.conn.hangup(&world.send), Hangup::Both);
    assert!(world.error.is_some() || world.closed);
});

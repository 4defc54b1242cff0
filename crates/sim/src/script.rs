//! Hosts that keep no rules.

use std::sync::Arc;

use sanswarm::{Keypair, ProtocolName, RecvBuf, Role, SendBuf};
use sanswarm_multistream_select::{Greeting, Mode, Names, Negotiator};
use sanswarm_noise::{Cipher, Handshake, StaticKey};

use crate::Rng;

/// How a host that is no node behaves to whoever connects to it, and to whom it connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Hostile {
    /// Accepts, and neither says nor reads anything.
    Mute,
    /// Reads everything and says nothing.
    Silent,
    /// Says random bytes without end.
    Noise,
    /// Answers as a web server does, and closes.
    Http,
    /// Closes in the middle of the handshake.
    Quits,
    /// Shakes hands, then opens streams without end.
    FloodsStreams,
    /// Shakes hands, then sends pings of the muxer without end and never reads.
    FloodsPings,
    /// Shakes hands, then sends more payload than the window.
    BreaksWindow,
    /// Shakes hands, then sends frames that the muxer's specification does not know.
    Malformed,
    /// Shakes hands, then sends random bytes as plaintext.
    Babbles,
}

impl Hostile {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Mute,
        Self::Silent,
        Self::Noise,
        Self::Http,
        Self::Quits,
        Self::FloodsStreams,
        Self::FloodsPings,
        Self::BreaksWindow,
        Self::Malformed,
        Self::Babbles,
    ];

    fn shakes_hands(self) -> bool {
        !matches!(self, Self::Mute | Self::Silent | Self::Noise | Self::Http | Self::Quits)
    }
}

const HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<h1>Bad Request</h1>";

/// Bytes of nonsense that a script sends on one connection before it only listens.
const NONSENSE_BYTES: usize = 1 << 20;

/// One connection of a hostile host.
#[derive(Debug)]
pub(crate) struct Script {
    kind: Hostile,
    recv: RecvBuf,
    send: SendBuf,
    stage: Stage,
    rng: Rng,
    sent: usize,
    next_stream: u32,
    is_over: bool,
}

#[derive(Debug)]
enum Stage {
    Start(Box<Negotiator>, Option<Box<Handshake>>),
    Handshake(Box<Handshake>),
    Free(Box<Cipher>),
    /// Without keys, or at a loss.
    Bare,
}

impl Script {
    pub(crate) fn new(kind: Hostile, role: Role, keypair: &Keypair, mut rng: Rng) -> Self {
        let handshake = handshake(role, keypair, &mut rng).map(Box::new);
        let noise = ProtocolName::from_static("/noise");
        let negotiator = match role {
            Role::Dialer => Negotiator::dialer(noise, Mode::Lazy),
            Role::Listener => {
                let names: Names = [noise].into_iter().collect();
                Negotiator::listener(Arc::new(names), Greeting::AtOnce)
            }
        };
        let stage = if kind.shakes_hands() || kind == Hostile::Quits {
            Stage::Start(Box::new(negotiator), handshake)
        } else {
            Stage::Bare
        };
        let next_stream = if role.is_dialer() { 1 } else { 2 };
        let (recv, send) = (RecvBuf::default(), SendBuf::default());
        Self { kind, recv, send, stage, rng, sent: 0, next_stream, is_over: false }
    }

    /// Whether it takes bytes from its socket.
    pub(crate) fn reads(&self) -> bool {
        let floods = self.kind == Hostile::FloodsPings && matches!(self.stage, Stage::Free(_));
        self.kind != Hostile::Mute && !floods
    }

    pub(crate) fn handle_input(&mut self, bytes: &[u8]) -> usize {
        match &self.stage {
            Stage::Start(..) | Stage::Handshake(_) => self.recv.feed(bytes),
            // What it is told does not matter to it.
            Stage::Free(_) | Stage::Bare => bytes.len(),
        }
    }

    /// Whether it hangs up when all it had to say is gone.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over && self.send.ready().is_empty()
    }

    pub(crate) fn ready(&self) -> &[u8] {
        self.send.ready()
    }

    pub(crate) fn sent(&mut self, n: usize) {
        self.send.sent(n);
    }

    /// Goes on after input, or when there is room.
    pub(crate) fn step(&mut self) {
        match self.kind {
            Hostile::Http if !self.is_over => {
                self.is_over = self.send.append(HTTP);
            }
            Hostile::Noise => self.nonsense(),
            _ => {}
        }
        self.shake();
        if self.kind == Hostile::Quits && matches!(self.stage, Stage::Handshake(_)) {
            self.is_over = true;
        }
        self.misbehave();
    }

    fn nonsense(&mut self) {
        while self.sent < NONSENSE_BYTES {
            let bytes = self.rng.bytes32();
            if !self.send.append(&bytes) {
                break;
            }
            self.sent += bytes.len();
        }
    }

    /// Negotiates and shakes hands, as far as the input allows.
    fn shake(&mut self) {
        self.recv.reveal_all();
        if let Stage::Start(negotiator, handshake) = &mut self.stage {
            let mut agreed = false;
            while let Ok((used @ 1.., outcome)) = negotiator.handle_input(self.recv.plain()) {
                self.recv.consume(used);
                agreed |= outcome.is_some();
                if agreed {
                    break;
                }
            }
            negotiator.poll_transmit(&mut self.send);
            if let (Some(_), Some(handshake)) = (negotiator.lazy(), handshake.as_mut()) {
                handshake.poll_transmit(&mut self.send);
            }
            if agreed {
                self.stage = handshake.take().map_or(Stage::Bare, Stage::Handshake);
            }
        }
        let Stage::Handshake(handshake) = &mut self.stage else { return };
        while let Ok((used @ 1.., claim)) = handshake.handle_input(self.recv.plain()) {
            self.recv.consume(used);
            if claim.is_some() && handshake.handle_verdict(true).is_err() {
                break;
            }
        }
        handshake.poll_transmit(&mut self.send);
        if handshake.is_done() {
            let Stage::Handshake(handshake) = core::mem::replace(&mut self.stage, Stage::Bare) else { return };
            if let Ok((cipher, _)) = handshake.finish() {
                self.send.set_framing(Cipher::framing());
                self.stage = Stage::Free(Box::new(cipher));
            }
        }
    }

    /// What it does once it is free to say what it likes.
    fn misbehave(&mut self) {
        let Stage::Free(cipher) = &mut self.stage else { return };
        for _ in 0..64 {
            if self.sent >= NONSENSE_BYTES {
                break;
            }
            self.send.open_frame();
            let stream = self.next_stream;
            let random = self.rng.bytes32();
            let frame: Vec<u8> = match self.kind {
                Hostile::FloodsStreams => {
                    self.next_stream += 2;
                    header(1, 1, stream, 0).to_vec()
                }
                Hostile::FloodsPings => header(2, 1, 0, stream).to_vec(),
                Hostile::BreaksWindow => {
                    let flags = u16::from(self.sent == 0);
                    let mut frame = header(0, flags, stream, 4096).to_vec();
                    frame.resize(12 + 4096, b'x');
                    frame
                }
                Hostile::Malformed => {
                    let mut head = header(random[0], u16::from(random[1]), u32::from(random[2] % 8), 0);
                    head[0] = random[3] % 2;
                    head.to_vec()
                }
                _ => random.to_vec(),
            };
            if !self.send.append(&frame) {
                break;
            }
            self.sent += frame.len();
        }
        let _ = cipher.seal(&mut self.send);
    }
}

/// A head of yamux: version 0, then type, flags, stream, length.
fn header(kind: u8, flags: u16, stream: u32, length: u32) -> [u8; 12] {
    let mut head = [0; 12];
    head[1] = kind;
    head[2..4].copy_from_slice(&flags.to_be_bytes());
    head[4..8].copy_from_slice(&stream.to_be_bytes());
    head[8..].copy_from_slice(&length.to_be_bytes());
    head
}

fn handshake(role: Role, keypair: &Keypair, rng: &mut Rng) -> Option<Handshake> {
    let key = StaticKey::from_secret(rng.bytes32());
    let signature = keypair.sign(&key.message()).ok()?;
    let identity = keypair.public().encode_protobuf();
    let config = sanswarm_noise::Config {
        muxers: vec!["/yamux/1.0.0".into()],
        ..sanswarm_noise::Config::new(key, identity, signature)
    };
    Handshake::new(role, Arc::new(config), rng.bytes32()).ok()
}

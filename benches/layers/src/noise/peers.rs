//! The registry's crates.

use std::hint::black_box;

use futures::{
    AsyncReadExt, AsyncWriteExt,
    executor::block_on,
    future::{join, try_join},
};
use libp2p_core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade};
use libp2p_identity::Keypair;
use libp2p_noise::{Config, Output};
use minip2p_identity::Ed25519Keypair;
use minip2p_secure_mux::noise::{NoiseConfig, NoiseOutput, NoiseRole, NoiseSession};
use snow::{
    Builder, HandshakeState, TransportState,
    resolvers::{BoxedCryptoResolver, DefaultResolver, FallbackResolver, RingResolver},
};

use super::{Channel, MESSAGE_MAX};
use crate::pipe::SharedDuplex;

// ---- libp2p-noise

fn libp2p_config(seed: u8) -> Config {
    Config::new(&Keypair::ed25519_from_bytes([seed; 32]).expect("32 bytes")).expect("it signs")
}

type Ends = (Output<SharedDuplex>, Output<SharedDuplex>);

fn libp2p_ends(dialer: &Config, listener: &Config, pipe: &(SharedDuplex, SharedDuplex)) -> Ends {
    let (near, far) = pipe.clone();
    let dialer = dialer.clone().upgrade_outbound(near, "/noise");
    let listener = listener.clone().upgrade_inbound(far, "/noise");
    let ((_, near), (_, far)) = block_on(try_join(dialer, listener)).expect("no fault");
    (near, far)
}

pub(super) fn libp2p_handshake() -> Box<dyn FnMut()> {
    let (dialer, listener, pipe) = (libp2p_config(10), libp2p_config(20), SharedDuplex::pair());
    Box::new(move || {
        black_box(libp2p_ends(&dialer, &listener, &pipe));
    })
}

pub(super) struct Libp2p {
    ends: Ends,
    buffer: Vec<u8>,
}

impl Libp2p {
    pub(super) fn new() -> Self {
        let ends = libp2p_ends(&libp2p_config(10), &libp2p_config(20), &SharedDuplex::pair());
        Self { ends, buffer: vec![0; MESSAGE_MAX] }
    }
}

impl Channel for Libp2p {
    fn carry(&mut self, message: &[u8]) -> usize {
        let Self { ends: (near, far), buffer } = self;
        let write = async {
            near.write_all(message).await.expect("open");
            near.flush().await.expect("open");
        };
        let read = async { far.read_exact(&mut buffer[..message.len()]).await.expect("open") };
        block_on(join(write, read));
        black_box(&buffer[..message.len()]).len()
    }
}

// ---- minip2p

fn minip2p_end(role: NoiseRole, seed: u8) -> NoiseSession {
    NoiseSession::new(NoiseConfig {
        role,
        identity: Ed25519Keypair::from_secret_key_bytes([seed; 32]),
        static_secret: [seed + 1; 32],
        ephemeral_secret: [seed + 2; 32],
        expected_peer: None,
        local_extensions: None,
    })
}

/// Gives all that `from` has to say to `to`. Returns whether one of them is done, and what was decrypted.
fn hand_over(from: &mut NoiseSession, to: &mut NoiseSession) {
    while let Some(output) = from.poll_output() {
        if let NoiseOutput::Outbound(bytes) = output {
            to.on_data(bytes).expect("no fault");
        }
    }
}

fn minip2p_ends() -> (NoiseSession, NoiseSession) {
    let (mut dialer, mut listener) = (minip2p_end(NoiseRole::Initiator, 10), minip2p_end(NoiseRole::Responder, 20));
    dialer.start().expect("not yet started");
    listener.start().expect("not yet started");
    while !(dialer.is_handshake_complete() && listener.is_handshake_complete()) {
        hand_over(&mut dialer, &mut listener);
        hand_over(&mut listener, &mut dialer);
    }
    (dialer, listener)
}

pub(super) fn minip2p_handshake() -> Box<dyn FnMut()> {
    Box::new(|| {
        black_box(minip2p_ends());
    })
}

pub(super) struct Minip2p {
    dialer: NoiseSession,
    listener: NoiseSession,
}

impl Minip2p {
    pub(super) fn new() -> Self {
        let (dialer, mut listener) = minip2p_ends();
        while listener.poll_output().is_some() {}
        Self { dialer, listener }
    }
}

impl Channel for Minip2p {
    fn carry(&mut self, message: &[u8]) -> usize {
        self.dialer.encrypt(message).expect("done");
        hand_over(&mut self.dialer, &mut self.listener);
        let mut got = 0;
        while let Some(output) = self.listener.poll_output() {
            if let NoiseOutput::Decrypted(bytes) = output {
                got += black_box(bytes).len();
            }
        }
        got
    }
}

// ---- snow, which knows no identities

fn resolver(ring: bool) -> BoxedCryptoResolver {
    if !ring {
        return Box::new(DefaultResolver);
    }
    Box::new(FallbackResolver::new(Box::new(RingResolver), Box::new(DefaultResolver)))
}

fn snow_ends(ring: bool) -> (HandshakeState, HandshakeState) {
    let builder =
        || Builder::with_resolver("Noise_XX_25519_ChaChaPoly_SHA256".parse().expect("a pattern"), resolver(ring));
    let dialer = builder().local_private_key(&[1; 32]).expect("once").build_initiator().expect("complete");
    let listener = builder().local_private_key(&[2; 32]).expect("once").build_responder().expect("complete");
    (dialer, listener)
}

fn snow_handshake_once(ring: bool, message: &mut [u8], payload: &mut [u8]) -> (TransportState, TransportState) {
    let (mut dialer, mut listener) = snow_ends(ring);
    let n = dialer.write_message(&[], message).expect("room");
    listener.read_message(&message[..n], payload).expect("no fault");
    let n = listener.write_message(&[7; 126], message).expect("room");
    dialer.read_message(&message[..n], payload).expect("no fault");
    let n = dialer.write_message(&[7; 126], message).expect("room");
    listener.read_message(&message[..n], payload).expect("no fault");
    (dialer.into_transport_mode().expect("done"), listener.into_transport_mode().expect("done"))
}

pub(super) fn snow_handshake(ring: bool) -> Box<dyn FnMut()> {
    let (mut message, mut payload) = (vec![0; 1024], vec![0; 1024]);
    Box::new(move || {
        black_box(snow_handshake_once(ring, &mut message, &mut payload));
    })
}

pub(super) struct Snow {
    dialer: TransportState,
    listener: TransportState,
    message: Vec<u8>,
    payload: Vec<u8>,
}

impl Snow {
    pub(super) fn new(ring: bool) -> Self {
        let (mut message, mut payload) = (vec![0; MESSAGE_MAX + 16], vec![0; MESSAGE_MAX + 16]);
        let (dialer, listener) = snow_handshake_once(ring, &mut message, &mut payload);
        Self { dialer, listener, message, payload }
    }
}

impl Channel for Snow {
    fn carry(&mut self, message: &[u8]) -> usize {
        let n = self.dialer.write_message(message, &mut self.message).expect("room");
        let n = self.listener.read_message(black_box(&self.message[..n]), &mut self.payload).expect("as it was sealed");
        black_box(&self.payload[..n]).len()
    }
}

//! Ours, with each library.

use std::{hint::black_box, sync::Arc};

use libp2p_identity::{Keypair, PublicKey};
use sanswarm_noise::{Aead, Cipher, Claim, Config, Dh, Handshake, StaticKey};
use sanswarm_wire::{RecvBuf, Role, SendBuf};

use super::Channel;

/// Libraries of frames and of keys.
pub(super) type Libraries = (Aead, Dh);

pub(super) const AWS_LC: Libraries = (Aead::AwsLc, Dh::AwsLc);
pub(super) const RING: Libraries = (Aead::Ring, Dh::AwsLc);
pub(super) const OPENSSL: Libraries = (Aead::OpenSsl, Dh::AwsLc);
pub(super) const PURE_RUST: Libraries = (Aead::RustCrypto, Dh::Dalek);

fn config(seed: u8, (aead, dh): Libraries) -> Arc<Config> {
    let identity = Keypair::ed25519_from_bytes([seed; 32]).expect("32 bytes");
    let key = StaticKey::with_dh(dh, [seed + 1; 32]).expect("built in");
    let signature = identity.sign(&key.message()).expect("it signs");
    let mut config = Config::new(key, identity.public().encode_protobuf(), signature);
    config.muxers = vec!["/yamux/1.0.0".into()];
    config.aead = Some(aead);
    Arc::new(config)
}

fn verify(claim: &Claim) -> bool {
    let key = PublicKey::try_decode_protobuf(&claim.identity_key).expect("a key");
    black_box(key.to_peer_id());
    key.verify(&claim.message, &claim.signature)
}

/// What both ends keep from one handshake to the next.
struct Node {
    dialer: Arc<Config>,
    listener: Arc<Config>,
    there: SendBuf,
    back: SendBuf,
    /// Whether signatures are checked.
    checks: bool,
}

impl Node {
    fn new(libraries: Libraries, checks: bool) -> Self {
        let (there, back) = (SendBuf::default(), SendBuf::default());
        Self { dialer: config(10, libraries), listener: config(20, libraries), there, back, checks }
    }

    fn shake_hands(&mut self) -> (Cipher, Cipher) {
        let new = |role, config: &Arc<Config>, secret| {
            Handshake::new(role, config.clone(), [secret; 32]).expect("a good config")
        };
        let mut dialer = new(Role::Dialer, &self.dialer, 30);
        let mut listener = new(Role::Listener, &self.listener, 40);
        while !(dialer.is_done() && listener.is_done()) {
            carry(&mut dialer, &mut self.there, &mut listener, self.checks);
            carry(&mut listener, &mut self.back, &mut dialer, self.checks);
        }
        (dialer.finish().expect("done").0, listener.finish().expect("done").0)
    }
}

fn carry(from: &mut Handshake, send: &mut SendBuf, to: &mut Handshake, checks: bool) {
    from.poll_transmit(send);
    let (used, claim) = to.handle_input(send.ready()).expect("no fault");
    send.sent(used);
    if let Some(claim) = claim {
        assert!(!checks || verify(&claim));
        to.handle_verdict(true).expect("valid");
    }
}

pub(super) fn handshake(libraries: Libraries, checks: bool) -> Box<dyn FnMut()> {
    let mut node = Node::new(libraries, checks);
    Box::new(move || {
        black_box(node.shake_hands());
    })
}

/// A channel through our buffers.
pub(super) struct Ours {
    dialer: Cipher,
    listener: Cipher,
    send: SendBuf,
    recv: RecvBuf,
}

impl Ours {
    pub(super) fn new(libraries: Libraries) -> Self {
        let (dialer, listener) = Node::new(libraries, true).shake_hands();
        let mut send = SendBuf::default();
        send.set_framing(Cipher::framing());
        Self { dialer, listener, send, recv: RecvBuf::default() }
    }
}

impl Channel for Ours {
    fn carry(&mut self, message: &[u8]) -> usize {
        assert!(self.send.append(message));
        self.dialer.seal(&mut self.send).expect("a frame");
        let n = self.recv.feed(self.send.ready());
        self.send.sent(n);
        assert!(self.listener.open(&mut self.recv).expect("as it was sealed"));
        let n = black_box(self.recv.plain()).len();
        self.recv.consume(n);
        n
    }
}

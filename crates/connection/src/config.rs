//! What a connection is told before it starts.

use core::{fmt, time::Duration};
use std::sync::Arc;

use libp2p_identity::{Keypair, PeerId};
use sanswarm_multistream::ProtocolName;
use sanswarm_multistream_select::Names;
#[cfg(feature = "noise")]
use sanswarm_noise::Aead;

/// A security protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Security {
    /// `/noise`: Noise XX with the libp2p payload.
    #[cfg(feature = "noise")]
    Noise,
    /// `/tls/1.0.0`: TLS 1.3 with the libp2p certificate.
    #[cfg(feature = "tls")]
    Tls,
    /// `/plaintext/2.0.0`: no security at all. For tests; never among the [defaults](Self::defaults).
    #[cfg(feature = "plaintext")]
    Plaintext,
}

impl Security {
    /// The protocol's name on the wire.
    pub fn name(self) -> ProtocolName {
        match self {
            #[cfg(feature = "noise")]
            Self::Noise => ProtocolName::from_static("/noise"),
            #[cfg(feature = "tls")]
            Self::Tls => ProtocolName::from_static("/tls/1.0.0"),
            #[cfg(feature = "plaintext")]
            Self::Plaintext => ProtocolName::from_static("/plaintext/2.0.0"),
        }
    }

    /// What is offered by default: Noise if it is built in, else TLS if that is. A second one would cost a round trip with
    /// each peer.
    pub fn defaults() -> Vec<Self> {
        vec![
            #[cfg(feature = "noise")]
            Self::Noise,
            #[cfg(all(feature = "tls", not(feature = "noise")))]
            Self::Tls,
        ]
    }
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().as_str())
    }
}

/// A stream muxer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Muxer {
    /// `/yamux/1.0.0`.
    #[cfg(feature = "yamux")]
    Yamux,
    /// `/mplex/6.7.0`, for old peers. It has no flow control: a stream that is not read can stop all others for some
    /// seconds, and is reset then.
    #[cfg(feature = "mplex")]
    Mplex,
}

impl Muxer {
    /// The protocol's name on the wire.
    pub fn name(self) -> ProtocolName {
        match self {
            #[cfg(feature = "yamux")]
            Self::Yamux => ProtocolName::from_static("/yamux/1.0.0"),
            #[cfg(feature = "mplex")]
            Self::Mplex => ProtocolName::from_static("/mplex/6.7.0"),
        }
    }

    /// What is offered by default: yamux if it is built in, else mplex if that is. A second one would cost a round trip
    /// with peers that name no muxers in the handshake.
    pub fn defaults() -> Vec<Self> {
        vec![
            #[cfg(feature = "yamux")]
            Self::Yamux,
            #[cfg(all(feature = "mplex", not(feature = "yamux")))]
            Self::Mplex,
        ]
    }
}

impl fmt::Display for Muxer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().as_str())
    }
}

/// What a connection may cost, and how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the first byte to the muxer, at most. Default 15 s. Stops: peers that connect and stay silent.
    pub upgrade_timeout: Duration,
    /// From a stream's opening to its agreement, at most. Default 10 s. Stops: streams that are opened and forgotten.
    pub negotiation_timeout: Duration,
    /// From the first byte of a frame of the secure channel to its last, at most. Default 60 s: a kilobyte a second.
    /// Stops: frames that are begun and never ended, as a way to hold memory.
    pub frame_timeout: Duration,
    /// How long a goodbye may take, whether the peer reads or not. Default 1 s.
    pub close_timeout: Duration,
    /// Streams at once, opened by either end. Default 1,000. Stops: a stream's cost times any number.
    pub streams: usize,
    /// Inbound streams that negotiate at once; further ones wait unacknowledged. Default 128.
    /// Stops: negotiations as a way to hold memory.
    pub negotiating: usize,
    /// The receive window that a stream starts with, in bytes: what a peer may send before the application reads.
    /// Default 256 KiB, which yamux makes the least. Stops: unread payload. mplex has no windows, and bounds of its own: 1 MiB a stream,
    /// 8 MiB all together.
    pub window_bytes: u32,
    /// Up to what size, in bytes, the receive window of a stream grows while its reader keeps up and the window alone
    /// holds the peer back. Default 16 MiB; `window_bytes` or less is no growth. Stops: unread payload behind a reader
    /// who was fast and stops.
    pub window_bytes_max: u32,
    /// What the receive windows of all streams of a connection together may grow beyond `window_bytes` each. Default
    /// 64 MiB. Stops: the same with many streams.
    pub session_window_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            upgrade_timeout: Duration::from_secs(15),
            negotiation_timeout: Duration::from_secs(10),
            frame_timeout: Duration::from_secs(60),
            close_timeout: Duration::from_secs(1),
            streams: 1000,
            negotiating: 128,
            window_bytes: 256 * 1024,
            window_bytes_max: 16 * 1024 * 1024,
            session_window_bytes: 64 * 1024 * 1024,
        }
    }
}

/// What all connections of a node have in common. Made once: signing the Noise key takes as long as a handshake.
#[derive(Debug)]
pub struct Config {
    pub(crate) local: PeerId,
    #[cfg(feature = "noise")]
    pub(crate) noise: Arc<sanswarm_noise::Config>,
    /// Made if it is offered.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Arc<sanswarm_tls::Config>>,
    #[cfg(feature = "plaintext")]
    pub(crate) identity_key: Vec<u8>,
    pub(crate) security: Vec<Security>,
    pub(crate) muxers: Vec<Muxer>,
    pub(crate) security_names: Offer,
    pub(crate) muxer_names: Offer,
    pub(crate) limits: Limits,
    pub(crate) asks: bool,
}

/// The same names as a dialer offers them and as a listener looks them up.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) list: Arc<[ProtocolName]>,
    pub(crate) set: Arc<Names>,
}

impl Offer {
    fn new(list: Vec<ProtocolName>) -> Self {
        Self { set: Arc::new(Names::new(list.iter().cloned())), list: list.into() }
    }
}

impl Config {
    /// A configuration for the node whose identity is `keypair`.
    ///
    /// `noise_secret` becomes the node's static Noise key: 32 bytes from a good source of randomness, used for nothing
    /// else, made anew at each start. Security protocols and muxers are offered in the order given.
    ///
    /// TLS makes a key for its certificate here, and has randomness of its own.
    ///
    /// # Errors
    /// [`SigningError`] if the keypair cannot sign, as some RSA keys cannot, or TLS cannot make a certificate.
    pub fn new(
        keypair: &Keypair,
        noise_secret: [u8; 32],
        security: Vec<Security>,
        muxers: Vec<Muxer>,
        limits: Limits,
    ) -> Result<Self, SigningError> {
        #[cfg(not(feature = "noise"))]
        let _ = noise_secret;
        Ok(Self {
            local: keypair.public().to_peer_id(),
            #[cfg(feature = "noise")]
            noise: Arc::new(noise_config(keypair, noise_secret, &muxers)?),
            #[cfg(feature = "tls")]
            tls: security.contains(&Security::Tls).then(|| tls_config(keypair, &muxers)).transpose()?.map(Arc::new),
            #[cfg(feature = "plaintext")]
            identity_key: keypair.public().encode_protobuf(),
            security_names: Offer::new(security.iter().map(|s| s.name()).collect()),
            muxer_names: Offer::new(muxers.iter().map(|m| m.name()).collect()),
            security,
            muxers,
            limits,
            asks: false,
        })
    }

    /// The same, but a dialer whose muxers were all refused asks the peer for its list before it gives up, so that
    /// [`Error::NothingInCommon`](crate::Error::NothingInCommon) can tell both. It costs a failure one round trip more, and
    /// works where no stream is opened before [`Event::Ready`](crate::Event::Ready).
    #[must_use]
    pub fn asking(self) -> Self {
        Self { asks: true, ..self }
    }

    /// The same, with the Unix time in seconds at [`Instant::ZERO`](sanswarm_wire::Instant::ZERO), by which TLS looks at the
    /// dates of certificates. Without it they are not looked at: they say nothing of who a peer is.
    #[must_use]
    #[cfg_attr(not(feature = "tls"), allow(unused_variables, unused_mut))]
    pub fn at(mut self, unix_seconds: u64) -> Self {
        #[cfg(feature = "tls")]
        if let Some(tls) = self.tls.as_mut().and_then(Arc::get_mut) {
            tls.unix_seconds = unix_seconds;
        }
        self
    }

    /// The same, with this library for the frames of Noise instead of the [fastest](Aead::fastest) that is built in. One that is
    /// not built in makes every handshake fail with [`sanswarm_noise::Error::NoAead`].
    #[must_use]
    #[cfg(feature = "noise")]
    pub fn with_aead(mut self, aead: Aead) -> Self {
        if let Some(noise) = Arc::get_mut(&mut self.noise) {
            noise.aead = Some(aead);
        }
        self
    }

    /// The peer id of this node.
    pub fn local(&self) -> PeerId {
        self.local
    }

    /// The names of the security protocols, in the order in which they are offered.
    pub fn security(&self) -> &[ProtocolName] {
        &self.security_names.list
    }

    /// The names of the muxers, in the order in which they are offered.
    pub fn muxers(&self) -> &[ProtocolName] {
        &self.muxer_names.list
    }

    /// The limits of each connection.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}

#[cfg(feature = "tls")]
fn tls_config(keypair: &Keypair, muxers: &[Muxer]) -> Result<sanswarm_tls::Config, SigningError> {
    let provider = sanswarm_tls::Provider::fastest().ok_or(SigningError)?;
    let key = sanswarm_tls::CertificateKey::generate(provider).map_err(|_| SigningError)?;
    let signature = keypair.sign(&key.message()).map_err(|_| SigningError)?;
    let identity_key = keypair.public().encode_protobuf();
    let config = sanswarm_tls::Config::new(&key, identity_key, signature, sanswarm_tls::ANY_TIME);
    let mut config = config.map_err(|_| SigningError)?;
    config.muxers = muxers.iter().map(|m| m.name().as_str().as_bytes().to_vec().into()).collect();
    Ok(config)
}

#[cfg(feature = "noise")]
fn noise_config(keypair: &Keypair, secret: [u8; 32], muxers: &[Muxer]) -> Result<sanswarm_noise::Config, SigningError> {
    let key = sanswarm_noise::StaticKey::from_secret(secret);
    let signature = keypair.sign(&key.message()).map_err(|_| SigningError)?;
    let identity_key = keypair.public().encode_protobuf();
    let muxers = muxers.iter().map(|m| m.name().as_str().as_bytes().to_vec().into()).collect();
    Ok(sanswarm_noise::Config { muxers, ..sanswarm_noise::Config::new(key, identity_key, signature) })
}

/// The identity key cannot sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningError;

impl fmt::Display for SigningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the identity key cannot sign")
    }
}

impl core::error::Error for SigningError {}

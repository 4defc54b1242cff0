//! What a node sets.

use core::{fmt, time::Duration};
use std::sync::Arc;

use bytes::Bytes;
use rustls::{
    ClientConfig, ServerConfig, client::Resumption, pki_types::UnixTime, server::NoServerSessionStorage,
    sign::SingleCertAndKey, time_provider::TimeProvider, version::TLS13,
};
use sanswarm_wire::Instant;

use crate::{CertificateKey, Error, Provider, verifier::Verifier};

/// What a peer agrees on whose muxer is to be negotiated by multistream-select (libp2p, "Inlined Muxer Negotiation").
pub(crate) const ALPN: &[u8] = b"libp2p";

/// In place of a time: there is no clock, and the dates of certificates are not looked at. They say nothing of who a peer is.
pub const ANY_TIME: u64 = u64::MAX;

/// What all handshakes of a node have in common. A clone is cheap.
#[derive(Clone)]
pub struct Config {
    /// The muxers to offer, the preferred one first; `libp2p` is offered behind them. With none only that.
    pub muxers: Vec<Bytes>,
    /// The Unix time, in seconds, at [`Instant::ZERO`]: certificates have dates. Or [`ANY_TIME`].
    pub unix_seconds: u64,
    /// What the peer may cost.
    pub limits: Limits,
    pub(crate) provider: Provider,
    client: ClientConfig,
    server: ServerConfig,
}

impl Config {
    /// A config that offers no muxers, with the default limits. `identity_key` is the identity's public key, as a
    /// `PublicKey` protobuf, and `signature` the identity's signature over [`CertificateKey::message`].
    ///
    /// # Errors
    ///
    /// [`Error::NoProvider`], and [`Error::OwnConfig`] if key or signature is empty.
    pub fn new(
        key: &CertificateKey,
        identity_key: impl AsRef<[u8]>,
        signature: impl AsRef<[u8]>,
        unix_seconds: u64,
    ) -> Result<Self, Error> {
        let provider = key.provider();
        let crypto = Arc::new(provider.crypto().ok_or(Error::NoProvider)?);
        let own = key.certify(identity_key.as_ref(), signature.as_ref())?;
        let own = Arc::new(SingleCertAndKey::from(own));
        let verifier = Arc::new(Verifier(crypto.clone()));

        let mut client = ClientConfig::builder_with_provider(crypto.clone())
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone())
            .with_client_cert_resolver(own.clone());
        client.resumption = Resumption::disabled();
        client.enable_sni = false;
        client.enable_secret_extraction = true;

        let mut server = ServerConfig::builder_with_provider(crypto)
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(own);
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        server.enable_secret_extraction = true;
        Ok(Self { muxers: Vec::new(), unix_seconds, limits: Limits::default(), provider, client, server })
    }

    /// The DER of the node's certificate.
    pub fn certificate(&self) -> Bytes {
        let own = self.client.client_auth_cert_resolver.resolve(&[], &[]);
        own.and_then(|own| own.cert.first().map(|der| Bytes::copy_from_slice(der))).unwrap_or_default()
    }

    /// For one connection of a dialer.
    pub(crate) fn client(&self, now: Instant) -> Arc<ClientConfig> {
        let mut client = self.client.clone();
        client.alpn_protocols = self.names().map(<[u8]>::to_vec).collect();
        client.time_provider = self.clock(now);
        Arc::new(client)
    }

    /// For one connection of a listener, to a client that offers `theirs`. Of these the first counts that is ours, too;
    /// without one rustls refuses.
    pub(crate) fn server<'a>(&self, now: Instant, theirs: impl Iterator<Item = &'a [u8]>) -> Arc<ServerConfig> {
        let mut server = self.server.clone();
        let mut common = theirs.filter(|theirs| self.names().any(|ours| ours == *theirs));
        server.alpn_protocols = vec![common.next().unwrap_or(ALPN).to_vec()];
        server.time_provider = self.clock(now);
        Arc::new(server)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.muxers.iter().map(|name| &name[..]).chain([ALPN])
    }

    fn clock(&self, now: Instant) -> Arc<Clock> {
        let since = now.since(Instant::ZERO).as_secs();
        Arc::new(Clock(UnixTime::since_unix_epoch(Duration::from_secs(self.unix_seconds.saturating_add(since)))))
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("muxers", &self.muxers)
            .field("unix_seconds", &self.unix_seconds)
            .field("limits", &self.limits)
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

/// A clock that stands: a handshake takes place at one time.
#[derive(Debug)]
struct Clock(UnixTime);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.0)
    }
}

/// What the peer may cost before it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// All that a peer may send for its handshake, in bytes, record heads included. Default 16 KiB.
    ///
    /// It stops strangers from making a listener hold and decode more. With an RSA identity of 8192 bits it takes
    /// under 6 KiB.
    pub handshake_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { handshake_bytes: 16 * 1024 }
    }
}

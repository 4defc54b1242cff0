//! TLS below a WebSocket, by rustls: `/wss`, `/tls/ws`. The certificates are those of the web, and say nothing of a peer.

use core::fmt;
use std::{
    io::{BufRead, Write},
    sync::Arc,
};

use rustls::{
    CertificateError, ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

use crate::{Error, Flaw};

/// What a node has for TLS below its WebSockets: whom it trusts, and its own certificate. Cheap to clone.
#[derive(Clone)]
pub struct WebTls {
    client: Arc<ClientConfig>,
    server: Option<Arc<ServerConfig>>,
}

impl WebTls {
    /// Trusts the certificate authorities of the web (Mozilla's), and has no certificate, which who listens needs.
    pub fn new() -> Self {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        Self { client: client(roots), server: None }
    }

    /// Trusts these certificate authorities instead: certificates in PEM, or one in DER.
    ///
    /// # Errors
    /// [`Error::Credentials`]: there is none, or one that cannot be read.
    pub fn with_roots(self, certificates: &[u8]) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        for certificate in chain(certificates)? {
            roots.add(certificate).map_err(|_| Error::Credentials)?;
        }
        Ok(Self { client: client(roots), ..self })
    }

    /// Listens with this certificate: in PEM with those behind it, its own first, or alone in DER; and its private key, in
    /// PEM or DER.
    ///
    /// # Errors
    /// [`Error::Credentials`]: one of them cannot be read, or they do not belong together.
    pub fn with_certificate(self, certificates: &[u8], key: &[u8]) -> Result<Self, Error> {
        let key = match PrivateKeyDer::from_pem_slice(key) {
            Ok(key) => key,
            Err(_) => PrivateKeyDer::try_from(key.to_vec()).map_err(|_| Error::Credentials)?,
        };
        let server =
            ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().and_then(|config| {
                config.with_no_client_auth().with_single_cert(chain(certificates).unwrap_or_default(), key)
            });
        Ok(Self { server: Some(Arc::new(server.map_err(|_| Error::Credentials)?)), ..self })
    }

    /// Whether it has a certificate, which who listens needs.
    pub const fn can_listen(&self) -> bool {
        self.server.is_some()
    }

    pub(crate) fn client(&self, name: &str) -> Result<Tls, Error> {
        let name = ServerName::try_from(name.to_owned()).map_err(|_| Error::Target)?;
        let conn = ClientConnection::new(self.client.clone(), name).map_err(cause)?;
        Ok(Tls::new(conn.into()))
    }

    pub(crate) fn server(&self) -> Result<Tls, Error> {
        let config = self.server.clone().ok_or(Error::Credentials)?;
        Ok(Tls::new(ServerConnection::new(config).map_err(cause)?.into()))
    }
}

impl Default for WebTls {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WebTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebTls").field("can_listen", &self.can_listen()).finish_non_exhaustive()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn client(roots: RootCertStore) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let config = config.expect("ring has what TLS 1.3 needs");
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

fn chain(certificates: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let pem: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificates).collect();
    match pem {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) if certificates.first() == Some(&0x30) => Ok(vec![certificates.to_vec().into()]),
        _ => Err(Error::Credentials),
    }
}

/// One connection.
pub(crate) struct Tls {
    conn: Connection,
    /// Whether there is plaintext.
    has_plain: bool,
    is_closed: bool,
}

impl Tls {
    fn new(mut conn: Connection) -> Self {
        // The socket takes no more than it has room for.
        conn.set_buffer_limit(None);
        Self { conn, has_plain: false, is_closed: false }
    }

    /// Whether there is plaintext that has not been used.
    pub(crate) const fn has_plain(&self) -> bool {
        self.has_plain
    }

    /// The peer has said that nothing more comes.
    pub(crate) const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Gives it input until there is plaintext. Returns how much it used, and a slice of the plaintext.
    pub(crate) fn read(&mut self, input: &[u8]) -> Result<(usize, &[u8]), Error> {
        let mut left = input;
        while !self.has_plain && !self.is_closed && !left.is_empty() {
            // A slice does not fail, and there is room: all plaintext before has been used.
            self.conn.read_tls(&mut left).map_err(|_| Error::Tls)?;
            let state = self.conn.process_new_packets().map_err(cause)?;
            self.has_plain = state.plaintext_bytes_to_read() > 0;
            self.is_closed = state.peer_has_closed();
        }
        let used = input.len() - left.len();
        if !self.has_plain {
            return Ok((used, &[]));
        }
        Ok((used, self.conn.reader().into_first_chunk().unwrap_or_default()))
    }

    /// Says that so much of the plaintext has been used.
    pub(crate) fn used(&mut self, n: usize) {
        let mut reader = self.conn.reader();
        reader.consume(n);
        self.has_plain = reader.fill_buf().is_ok_and(|rest| !rest.is_empty());
    }

    /// Takes plaintext to be sent.
    pub(crate) fn write(&mut self, plain: &[u8]) {
        // It takes all.
        let _ = self.conn.writer().write_all(plain);
    }

    /// Says that nothing more will be sent.
    pub(crate) fn close(&mut self) {
        self.conn.send_close_notify();
    }

    /// Adds what is to be sent.
    pub(crate) fn transmit(&mut self, out: &mut Vec<u8>) {
        while self.conn.wants_write() && self.conn.write_tls(out).is_ok_and(|n| n > 0) {}
    }
}

fn cause(error: rustls::Error) -> Error {
    match error {
        rustls::Error::InvalidCertificate(error) => Error::Certificate(match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Flaw::Expired,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Flaw::Name,
            CertificateError::UnknownIssuer => Flaw::Issuer,
            _ => Flaw::Other,
        }),
        rustls::Error::AlertReceived(alert) => Error::Alert { code: alert.into() },
        _ => Error::Tls,
    }
}

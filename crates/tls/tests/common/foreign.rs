//! Connections of rustls as its users know them.

use std::sync::Arc;

use rustls::{
    ClientConfig, ClientConnection, Connection, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    ServerConnection, SignatureScheme, SupportedProtocolVersion,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
    version::TLS13,
};

use super::recipe::{Made, Recipe};

/// Believes everybody.
#[derive(Debug)]
struct Trusting {
    asks: bool,
}

/// What such a peer has and does.
pub(crate) struct Peer {
    pub(crate) certificates: Vec<Vec<u8>>,
    pub(crate) key: Vec<u8>,
    pub(crate) protocols: Vec<&'static str>,
    pub(crate) versions: Vec<&'static SupportedProtocolVersion>,
    pub(crate) suite: Option<rustls::CipherSuite>,
    /// Of a server: whether it wants a certificate.
    pub(crate) asks: bool,
    /// Of a client: whether it shows its certificate.
    pub(crate) shows: bool,
    pub(crate) server_name: &'static str,
}

impl Peer {
    pub(crate) fn new(Made { der, key, .. }: Made) -> Self {
        Self {
            certificates: vec![der],
            key,
            protocols: vec!["libp2p"],
            versions: vec![&TLS13],
            suite: None,
            asks: true,
            shows: true,
            server_name: "127.0.0.1",
        }
    }

    fn provider(&self) -> Arc<CryptoProvider> {
        let mut provider = rustls::crypto::ring::default_provider();
        if let Some(suite) = self.suite {
            provider.cipher_suites.retain(|one| one.suite() == suite);
        }
        Arc::new(provider)
    }

    fn own(&self) -> (Vec<CertificateDer<'static>>, PrivatePkcs8KeyDer<'static>) {
        let certificates = self.certificates.iter().map(|der| CertificateDer::from(der.clone())).collect();
        (certificates, PrivatePkcs8KeyDer::from(self.key.clone()))
    }

    fn resolver(&self) -> Arc<rustls::sign::SingleCertAndKey> {
        let (certificates, key) = self.own();
        let key = self.provider().key_provider.load_private_key(key.into()).unwrap();
        Arc::new(rustls::sign::CertifiedKey::new(certificates, key).into())
    }

    pub(crate) fn client(self) -> Foreign {
        let builder = ClientConfig::builder_with_provider(self.provider())
            .with_protocol_versions(&self.versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Trusting { asks: true }));
        let mut config =
            if self.shows { builder.with_client_cert_resolver(self.resolver()) } else { builder.with_no_client_auth() };
        config.alpn_protocols = self.protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from(self.server_name).unwrap();
        Foreign(ClientConnection::new(Arc::new(config), name).unwrap().into())
    }

    pub(crate) fn server(self) -> Foreign {
        let mut config = ServerConfig::builder_with_provider(self.provider())
            .with_protocol_versions(&self.versions)
            .unwrap()
            .with_client_cert_verifier(Arc::new(Trusting { asks: self.asks }))
            .with_cert_resolver(self.resolver());
        config.alpn_protocols = self.protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Foreign(ServerConnection::new(Arc::new(config)).unwrap().into())
    }
}

impl Default for Peer {
    fn default() -> Self {
        Self::new(Recipe::default().make())
    }
}

pub(crate) struct Foreign(pub(crate) Connection);

impl Foreign {
    pub(crate) fn sent(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while self.0.wants_write() {
            self.0.write_tls(&mut out).unwrap();
        }
        out
    }

    pub(crate) fn take(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            self.0.read_tls(&mut bytes).unwrap();
            self.0.process_new_packets()?;
        }
        Ok(())
    }

    pub(crate) fn write(&mut self, text: &[u8]) -> Vec<u8> {
        assert_eq!(std::io::Write::write(&mut self.0.writer(), text).unwrap(), text.len());
        self.sent()
    }

    /// All that has come in.
    pub(crate) fn read(&mut self) -> Vec<u8> {
        let (mut out, mut buf) = (Vec::new(), [0; 1000]);
        while let Ok(n @ 1..) = std::io::Read::read(&mut self.0.reader(), &mut buf) {
            out.extend(&buf[..n]);
        }
        out
    }
}

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ED25519]
    }
}

impl ClientCertVerifier for Trusting {
    fn offer_client_auth(&self) -> bool {
        self.asks
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ED25519]
    }
}

//! libp2p's TLS 1.3 channel: a handshake by rustls that binds a connection to an identity, then a cipher of records in
//! place.
//!
//! # What it is
//!
//! - [`Handshake`]: TLS 1.3 with certificates of libp2p on both sides, and the muxer agreed on by ALPN. It does not
//!   verify what the identity signed: it hands a [`Claim`] up and waits for the verdict.
//! - [`Cipher`]: seals the open frame of a `SendBuf` and opens the next record of a `RecvBuf`, both in place. rustls
//!   makes the keys, ring or aws-lc-rs seals.
//! - [`CertificateKey`] and [`Config`]: what a node makes once and shares among its connections.
//! - [`Claim::from_certificate`]: the checks of a certificate alone.
//!
//! There is no I/O and no clock here: the time is an argument. Unlike its neighbours the crate needs `std`, and a
//! handshake takes its random numbers from the [`Provider`], so that the same inputs do not give the same bytes.
//!
//! # Spec
//!
//! [libp2p TLS](https://github.com/libp2p/specs/blob/master/tls/tls.md),
//! [inlined muxer negotiation](https://github.com/libp2p/specs/blob/master/connections/inlined-muxer-negotiation.md) and
//! [RFC 8446](https://www.rfc-editor.org/rfc/rfc8446).
//!
//! # Wire
//!
//! ```text
//! dialer   -> ClientHello (ALPN: muxers in its order, then libp2p; no server name)
//! listener -> ServerHello, { EncryptedExtensions, CertificateRequest, Certificate, CertificateVerify, Finished }
//! dialer   -> { Certificate, CertificateVerify, Finished }, and payload at once
//! record      [ 23 ][ 3, 3 ][ length u16 BE ][ ciphertext of payload and content type ][ tag 16 ]
//! certificate one, P-256, signed by itself; extension 1.3.6.1.4.1.53594.1.1, the first:
//!             SEQUENCE { publicKey OCTET STRING (protobuf PublicKey), signature OCTET STRING }
//! ```
//!
//! The listener takes the first of the dialer's protocols that it knows. There are no tickets, no resumption and no
//! early data; tickets of a peer are skipped. A peer that changes its keys is followed, and answered if it asks; what
//! waits in the open frame at that moment goes before the answer, as if it had been on its way already.
//!
//! # States
//!
//! ```text
//! dialer:    ClientHello is due -> reads the listener's flight -> Claim -> verdict -> last flight is due -> done
//! listener:  reads ClientHello -> its flight is due -> reads the last flight -> Claim -> verdict -> done
//! ```
//!
//! A flight that is due waits for [`poll_transmit`](Handshake::poll_transmit). A claim comes when the handshake has been
//! authenticated as a whole: the peer has the certificate's key, and nobody changed a byte. The dialer's last flight,
//! with its certificate, waits for the verdict; the listener has sent its certificate before it knows whom to.
//! [`finish`](Handshake::finish) turns a done handshake into a [`Cipher`] and what is known of the [`Remote`]. An error
//! ends it for good; the alert that tells the peer may be due then. A [`Cipher`] whose [`open`](Cipher::open) failed
//! still seals, so that a goodbye can leave.
//!
//! # Limits
//!
//! [`Limits::handshake_bytes`] bounds what a peer may send for its handshake; a record is refused from its head alone.
//! A record is at most 16,640 bytes behind its head, of which 16,384 are payload. After 32 changes of keys without
//! payload a peer is refused. Our own keys change when they have sealed half of what is safe (2^23 records with AES).
//!
//! # Errors
//!
//! One [`Error`] for all. Those of the peer or of a limit are fatal and sticky; those of misuse
//! ([`Error::NoClaim`], [`Error::NotDone`]) leave the machine as it was. An [`Alert`] of the peer has its name.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//!
//! use sanswarm_tls::{CertificateKey, Cipher, Config, Handshake, Provider};
//! use sanswarm_wire::{Instant, RecvBuf, Role, SendBuf};
//!
//! // A node signs `key.message()` with its identity once. The time is that of `Instant::ZERO`.
//! let config = |identity: &str| {
//!     let key = CertificateKey::generate(Provider::fastest().expect("a provider is built in"))?;
//!     let mut config = Config::new(&key, identity, "signature", 1_700_000_000)?;
//!     config.muxers = vec!["/yamux/1.0.0".into()];
//!     Ok::<_, sanswarm_tls::Error>(Arc::new(config))
//! };
//! let mut dialer = Handshake::new(Role::Dialer, config("the dialer")?, Instant::ZERO)?;
//! let mut listener = Handshake::new(Role::Listener, config("the listener")?, Instant::ZERO)?;
//!
//! let mut send = SendBuf::default();
//! while !(dialer.is_done() && listener.is_done()) {
//!     for (from, to) in [(0, 1), (1, 0)] {
//!         let mut ends = [&mut dialer, &mut listener];
//!         ends[from].poll_transmit(&mut send);
//!         let (used, claim) = ends[to].handle_input(send.ready())?;
//!         send.sent(used);
//!         if let Some(claim) = claim {
//!             let valid = claim.signature == "signature"; // a node verifies it over `claim.message`
//!             ends[to].handle_verdict(valid)?;
//!         }
//!     }
//! }
//! let (mut dialer, remote) = dialer.finish()?;
//! let (mut listener, _) = listener.finish()?;
//! assert_eq!(remote.muxer, Some("/yamux/1.0.0".into()));
//!
//! send.set_framing(Cipher::framing());
//! assert!(send.append(b"hello"));
//! dialer.close(&mut send)?; // seals it, and says goodbye
//! let mut recv = RecvBuf::default();
//! recv.feed(send.ready());
//! while listener.open(&mut recv)? {}
//! assert_eq!(recv.plain(), b"hello");
//! assert!(listener.is_closed());
//! # Ok::<(), sanswarm_tls::Error>(())
//! ```

mod aead;
mod alert;
mod certificate;
mod cipher;
mod config;
mod error;
mod handshake;
mod messages;
mod provider;
mod verifier;
mod x509;

pub use alert::Alert;
pub use certificate::CertificateKey;
pub use cipher::Cipher;
pub use config::{ANY_TIME, Config, Limits};
pub use error::{CertificateError, Error};
pub use handshake::{Claim, Handshake, Remote};
pub use provider::Provider;

/// Bytes of the head of a record.
const HEADER: usize = 5;
/// Bytes of an authentication tag.
const TAG: usize = 16;
/// The longest record in bytes, without its head: 2^14 of payload and 256 of everything else.
const RECORD_MAX: usize = 16 * 1024 + 256;

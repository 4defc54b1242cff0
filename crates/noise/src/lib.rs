//! libp2p's Noise channel: the XX handshake that binds a connection to an identity, then a cipher of frames in place.
//!
//! # What it is
//!
//! - [`Handshake`]: the three messages of `Noise_XX_25519_ChaChaPoly_SHA256`, with libp2p's payload in the second and
//!   third. It verifies no signature: it hands a [`Claim`] up and waits for the verdict.
//! - [`Cipher`]: seals the open frame of a `SendBuf` and opens the next frame of a `RecvBuf`, both in place.
//! - [`StaticKey`] and [`Config`]: what a node makes once and shares among its connections.
//!
//! There is no I/O, no clock and no randomness here, and no `std`: a handshake's ephemeral secret is an argument.
//!
//! # Spec
//!
//! [noise-libp2p](https://github.com/libp2p/specs/blob/master/noise/README.md) and the
//! [Noise Protocol Framework](https://noiseprotocol.org/noise.html), revision 34: pattern XX, empty prologue. The
//! extension `webtransport_certhashes` is skipped, and never sent.
//!
//! # Wire
//!
//! ```text
//! every message and frame:  [ length u16 BE ][ that many bytes ]
//! message 1  dialer   -> e
//! message 2  listener -> e, ee, s, es, payload
//! message 3  dialer   -> s, se, payload
//! frame                     [ ciphertext ][ tag 16 ], nonce = 4 zero bytes, u64 LE counter; no associated data
//! payload (protobuf)        identity_key = 1, identity_sig = 2, extensions = 4 { stream_muxers = 2 (repeated) }
//! ```
//!
//! # States
//!
//! ```text
//! dialer:    message 1 is due -> reads message 2 -> Claim -> verdict -> message 3 is due -> done
//! listener:  reads message 1 -> message 2 is due -> reads message 3 -> Claim -> verdict -> done
//! ```
//!
//! A message that is due waits for [`poll_transmit`](Handshake::poll_transmit). [`finish`](Handshake::finish) turns a
//! done handshake into a [`Cipher`] and what is known of the [`Remote`]. An error ends it for good. A [`Cipher`] whose
//! [`open`](Cipher::open) failed still seals, so that a goodbye can leave. The end of the input is the caller's affair.
//!
//! # Limits
//!
//! [`Limits::handshake_bytes`] bounds a message of the handshake, which is refused from its length alone. Of the peer's
//! muxers the first 100 are kept, each of at most 256 bytes. A frame is at most 65,535 bytes, and a direction ends after
//! 2^64 - 1 frames.
//!
//! Secret keys, the keys of the cipher and what libraries prepare of them are overwritten when they are dropped. What snow
//! holds during a handshake (the chaining key, shared secrets, the split) is not, nor are keys that `ring` has prepared.
//!
//! # Libraries
//!
//! Cryptography is done by libraries, each behind a feature: [`Aead`] names those that seal frames, [`Dh`] those that
//! agree on keys. They make the same bytes, so which one is a matter of speed and of what builds. A [`Config`] names an
//! AEAD or takes the fastest; its [`StaticKey`] is prepared for one `Dh`, which does the whole handshake.
//!
//! # Errors
//!
//! One [`Error`] for all. Those of the peer or of a limit are fatal and sticky; those of misuse
//! ([`Error::NoClaim`], [`Error::NotDone`]) leave the machine as it was.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//!
//! use sanswarm_noise::{Cipher, Config, Handshake, StaticKey};
//! use sanswarm_wire::{RecvBuf, Role, SendBuf};
//!
//! // A node signs `key.message()` with its identity once; the secrets are random.
//! let config = |secret, identity: &'static [u8]| Arc::new(Config::new(StaticKey::from_secret([secret; 32]), identity, &b"signature"[..]));
//! let mut dialer = Handshake::new(Role::Dialer, config(1, b"the dialer"), [3; 32])?;
//! let mut listener = Handshake::new(Role::Listener, config(2, b"the listener"), [4; 32])?;
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
//! assert_eq!(&remote.static_key, StaticKey::from_secret([2; 32]).public());
//!
//! send.set_framing(Cipher::framing());
//! assert!(send.append(b"hello"));
//! dialer.seal(&mut send)?;
//! let mut recv = RecvBuf::default();
//! recv.feed(send.ready());
//! listener.open(&mut recv)?;
//! assert_eq!(recv.plain(), b"hello");
//! # Ok::<(), sanswarm_noise::Error>(())
//! ```

#![no_std]

extern crate alloc;

mod aead;
mod cipher;
mod config;
mod dh;
mod error;
mod handshake;
mod payload;
mod resolver;
mod static_key;

pub use aead::Aead;
pub use cipher::Cipher;
pub use config::{Config, Limits};
pub use dh::Dh;
pub use error::Error;
pub use handshake::{Claim, Handshake, Remote};
pub use static_key::StaticKey;

/// Bytes of the length before every message and frame.
const PREFIX: usize = 2;
/// Bytes of an authentication tag.
const TAG: usize = 16;
/// The longest Noise message in bytes, its tag included.
const MESSAGE_MAX: usize = 65_535;

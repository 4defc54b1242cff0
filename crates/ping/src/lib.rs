//! The ping protocol, both ends, without I/O: 32 bytes there, the same 32 bytes back.
//!
//! # What it is
//!
//! - [`Pinger`]: the end that opened the stream. It measures a round trip at a time, any number of them on one stream.
//! - [`Ponger`]: the end that accepted it. It echoes until the stream ends.
//!
//! Each is the state of one stream. The caller negotiates [`NAME`], moves the stream's bytes, and brings the payload
//! (32 random bytes: a peer that can guess them can answer early), so there is no randomness here, and no allocation.
//!
//! # Spec
//!
//! <https://github.com/libp2p/specs/blob/master/ping/ping.md>. A dialer must not have more than one ping stream open to
//! a peer, a listener should accept two and loop until the dialer closes its side: both are up to the caller.
//!
//! # Wire
//!
//! | dialer | listener |
//! |---|---|
//! | 32 bytes | |
//! | | the same 32 bytes |
//! | 32 bytes, or the end of the stream | |
//!
//! # States
//!
//! A pinger is idle; [`start`](Pinger::start) makes a payload due; [`encode`](Pinger::encode) sends it; the last byte of
//! the echo makes the pinger idle again. An error is for ever: reset the stream.
//!
//! A ponger collects 32 bytes, then owes their echo and takes nothing more until the echo is encoded. A peer that sends
//! pings and reads no echo is held up by its own window.
//!
//! # Limits
//!
//! A machine holds one payload. A ping takes at most [`Config::timeout`].
//!
//! # Errors
//!
//! [`Error`] names what the peer did: an echo that differs, bytes that nobody asked for, no answer in time.
//!
//! # Example
//!
//! ```
//! use core::time::Duration;
//! use sanswarm_ping::{Config, Pinger, Ponger};
//! use sanswarm_wire::Instant;
//!
//! let (mut pinger, mut ponger) = (Pinger::new(Config::default()), Ponger::new());
//! let (mut there, mut back) = (Vec::new(), Vec::new());
//!
//! assert!(pinger.start(Instant::ZERO, [7; 32]));
//! pinger.encode(usize::MAX, &mut there);
//! assert_eq!(ponger.handle_input(&there), 32);
//! ponger.encode(usize::MAX, &mut back);
//! let (used, rtt) = pinger.handle_input(Instant::from_micros(1500), &back)?;
//! assert_eq!((used, rtt), (32, Some(Duration::from_micros(1500))));
//! # Ok::<(), sanswarm_ping::Error>(())
//! ```

#![no_std]

extern crate alloc;

mod error;
mod pinger;
mod ponger;

pub use error::Error;
pub use pinger::{Config, Pinger};
pub use ponger::Ponger;

/// The protocol's name.
pub const NAME: &str = "/ipfs/ping/1.0.0";

/// The length of a ping and of its echo, in bytes.
pub const PAYLOAD: usize = 32;

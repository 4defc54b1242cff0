//! The identify protocol without I/O: what a node says of itself, written and read within bounds.
//!
//! # What it is
//!
//! - [`Info`]: what a node says. Keys, addresses and signed records are raw bytes: whether they are well-formed, and
//!   whether the key is the one that the security handshake proved, is for the caller to check.
//! - [`Info::encode`]: the whole stream of the side that tells.
//! - [`Reader`]: the stream of the side that hears.
//!
//! # Spec
//!
//! <https://github.com/libp2p/specs/blob/master/identify/README.md>. `/ipfs/id/1.0.0`: the listener of the stream tells
//! and closes. `/ipfs/id/push/1.0.0`: the dialer of the stream tells and closes; what it leaves out keeps its value
//! ([`Info::update`]).
//!
//! # Wire
//!
//! A message is its length (a protobuf varint: at most 10 bytes, longer forms allowed) and a protobuf message. go and js
//! may send several, which are one message in pieces.
//!
//! | field | number | type |
//! |---|---|---|
//! | `publicKey` | 1 | bytes |
//! | `listenAddrs` | 2 | repeated bytes |
//! | `protocols` | 3 | repeated string |
//! | `observedAddr` | 4 | bytes |
//! | `protocolVersion` | 5 | string |
//! | `agentVersion` | 6 | string |
//! | `signedPeerRecord` | 8 | bytes |
//!
//! # States
//!
//! A [`Reader`] takes input until the stream ends, and is then used up by [`finish`](Reader::finish). An error is for
//! ever.
//!
//! # Limits
//!
//! [`Limits`] names them. A reader holds at most [`Limits::messages`] messages of [`Limits::message`] bytes, and a
//! handle of 32 bytes for each address and protocol that it keeps; one message being decoded may have a handle for every
//! two of its bytes. An [`Info`] that was read refers to the bytes of its messages.
//!
//! What is wrong within a message costs no more than itself: a protocol that is not UTF-8 or is too long is skipped, a
//! version that is not UTF-8 counts as not given, one that is too long is cut, protocols and addresses beyond their
//! limit are dropped.
//!
//! # Errors
//!
//! [`Error`]: the peer broke the framing or the encoding, or went over a limit.
//!
//! # Example
//!
//! ```
//! use sanswarm_identify::{Info, Limits, Reader};
//!
//! let limits = Limits::default();
//! let info = Info { protocols: vec!["/echo/1.0.0".into()], agent_version: Some("me/1".into()), ..Info::default() };
//!
//! let mut reader = Reader::new(limits);
//! for byte in info.encode(&limits) {
//!     reader.handle_input(&[byte])?;
//! }
//! assert_eq!(reader.finish()?, info); // at the end of the stream
//! # Ok::<(), sanswarm_identify::Error>(())
//! ```

#![no_std]

extern crate alloc;

mod error;
mod info;
mod limits;
mod message;
mod reader;

pub use error::Error;
pub use info::Info;
pub use limits::Limits;
pub use reader::Reader;

/// The protocol by which a dialer asks.
pub const NAME: &str = "/ipfs/id/1.0.0";

/// The protocol by which a dialer tells what has changed.
pub const PUSH_NAME: &str = "/ipfs/id/push/1.0.0";

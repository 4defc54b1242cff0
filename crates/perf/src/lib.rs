//! The perf protocol, both ends, without I/O: bytes there until the stream's end, then as many back as were asked for.
//!
//! # What it is
//!
//! - [`Client`]: the end that opened the stream. It uploads, ends its side, and counts what comes back.
//! - [`Server`]: the end that accepted it. It reads how many bytes it shall send, counts the upload, and then sends them.
//!
//! Each is the state of one stream. The caller negotiates [`NAME`], moves the stream's bytes and looks at its clock: there
//! is no time here, and no allocation. The payload is zeros out of one static block, so a size is a number and never a
//! buffer.
//!
//! # Spec
//!
//! <https://github.com/libp2p/specs/blob/master/perf/perf.md>. Whoever serves it works for anybody who asks: a node should
//! not do so by default, and not on the open internet.
//!
//! # Wire
//!
//! | client | server |
//! |---|---|
//! | 8 bytes: the size of the download, big-endian | |
//! | the upload, any number of bytes | |
//! | the end of its side | |
//! | | the download, as many bytes as were asked for |
//! | | the end of its side |
//!
//! Both sizes go from 0 to 2^64 - 1. The server sends nothing before the client's side has ended.
//!
//! # States
//!
//! Both are driven alike: write [`ready`](Client::ready) and tell [`sent`](Client::sent) how much was taken;
//! [`poll_finish`](Client::poll_finish) says, once, that our side of the stream is to be ended; what comes goes to
//! [`handle_input`](Client::handle_input), and its end to [`handle_eof`](Client::handle_eof). A client ends an upload
//! early by [`stop`](Client::stop), a download early by a reset of the stream. An error is for ever: reset the stream.
//!
//! # Limits
//!
//! A machine holds eight bytes of the peer's. [`Limits`] say how many bytes a server takes and gives.
//!
//! # Errors
//!
//! [`Error`] names what the peer did: bytes before their time, more or fewer than were asked for, half a request.
//!
//! # Example
//!
//! ```
//! use sanswarm_perf::{Client, Limits, Server};
//!
//! let (mut client, mut server) = (Client::new(3, 5), Server::new(Limits::default()));
//!
//! let mut wire = Vec::new();
//! while !client.ready().is_empty() {
//!     wire.extend_from_slice(client.ready());
//!     client.sent(client.ready().len());
//! }
//! assert!(client.poll_finish());
//! assert_eq!(wire, [0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0]);
//!
//! server.handle_input(&wire)?;
//! assert!(server.ready().is_empty(), "the upload has not ended");
//! server.handle_eof()?;
//! client.handle_input(server.ready())?;
//! server.sent(5);
//! assert!(server.poll_finish());
//! client.handle_eof()?;
//! assert_eq!((server.uploaded(), client.downloaded()), (3, 5));
//! # Ok::<(), sanswarm_perf::Error>(())
//! ```

#![no_std]

#[cfg(test)]
extern crate alloc;

mod client;
mod error;
mod limits;
mod server;

pub use client::Client;
pub use error::Error;
pub use limits::Limits;
pub use server::Server;

/// The protocol's name.
pub const NAME: &str = "/perf/1.0.0";

/// The length of the size in front of an upload, in bytes.
pub const HEAD: usize = 8;

/// The most that `ready` gives in one go, in bytes: about what a frame of Noise holds.
pub const BLOCK: usize = 64 * 1024;

static ZEROS: [u8; BLOCK] = [0; BLOCK];

/// The next of `left` bytes of payload.
fn payload(left: u64) -> &'static [u8] {
    let n = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
    &ZEROS[..n]
}

/// A number of bytes. What a machine counts fits: no stream carries 2^64 bytes in a lifetime.
const fn count(bytes: usize) -> u64 {
    bytes as u64
}

//! WebSocket as a pipe of bytes: what an adapter puts between a TCP socket and a connection.
//!
//! # What it is
//!
//! [`Socket`] is one end: bytes of the TCP socket go in and come out on one side, payload on the other. It has no I/O, no
//! clock and no randomness of its own, and needs `std`. tungstenite does the opening handshake and the heads of frames;
//! payload is passed on as it arrives, so that no message is ever gathered and none is too long. With feature `tls` rustls
//! works below, on the same buffers; it takes the time and its random numbers from the system.
//!
//! # Spec
//!
//! [RFC 6455](https://www.rfc-editor.org/rfc/rfc6455), without extensions and subprotocols;
//! [libp2p over WebSocket](https://github.com/libp2p/specs/blob/master/websockets/README.md).
//!
//! # Wire
//!
//! ```text
//! dialer   -> GET / HTTP/1.1, Host, Connection: Upgrade, Upgrade: websocket, Sec-WebSocket-Version: 13, Sec-WebSocket-Key
//! listener -> HTTP/1.1 101, Connection, Upgrade, Sec-WebSocket-Accept
//! frame       [ fin, opcode ][ masked, length 7 bits, or 126 and u16, or 127 and u64 BE ][ mask 4, the dialer's ][ payload ]
//! ```
//!
//! Each write is one binary message of one frame. Of a peer any frames are read, fragments too.
//!
//! # States
//!
//! ```text
//! head of the peer -> open -> our Close sent (nothing is written any more, reading goes on)
//!                          -> the peer's Close or the end of the input read (nothing is read any more; its Close is answered)
//! ```
//!
//! A Ping is answered; of several that wait for room, the last. A peer's fault is told to it by a Close with its code, or by
//! a status of 400 in the handshake. There is no half-closed state: [`Socket::finish`] sends Close behind what was written and
//! reads on, but most peers end their side when they read it.
//!
//! # Limits
//!
//! [`Limits`]: the head of the peer's HTTP message, what one read brings, and what waits to be sent. Of a frame only its head
//! is held, and the 125 bytes of a control frame. The caller bounds the time of the handshake.
//!
//! # Errors
//!
//! One [`Error`]. Payload that came before a fault is read first; then [`Socket::end`] tells it, and it stays. "Not now" is no
//! error: `read` and `write` do less.
//!
//! # Example
//!
//! ```
#![doc = include_str!("../examples/pipe.rs")]
//! ```

mod error;
mod frames;
mod handshake;
mod limits;
mod socket;
#[cfg(feature = "tls")]
mod tls;

pub use error::{Error, Flaw};
pub use limits::Limits;
pub use socket::{Socket, Target};
#[cfg(feature = "tls")]
pub use tls::WebTls;

//! sanswarm on the standard library's sockets: no async, no runtime.
//!
//! # What it is
//!
//! - [`Node`]: a libp2p node for blocking code. Its [`Stream`]s read and write as a `TcpStream` does. One thread for the
//!   control, one a listener, two a connection (one waits in `read`, one in `write`), one a stream that a handler serves.
//! - `poll` (feature `poll`): the whole node on the thread that calls, with sockets that never block.
//!
//! # Rules
//!
//! - The machines of a connection are behind one lock, which is held for work in memory only, never across a call on the
//!   socket: a peer that does not read stops who writes to it, and nobody else. A full socket does not stop reading.
//! - Every wait ends when the stream, the connection or the node does; a [`Stream`] has timeouts beside.
//! - What is idle takes no CPU, and no buffers. No thread wakes without a reason: bytes, a deadline, a call.
//! - `/dns`, `/dns4` and `/dns6` are looked up by the system, on the thread that connects. Listening takes IP addresses.
//!
//! # Limits
//!
//! Beside those of [`Config`]: [`HANDLERS_MAX`] inbound streams handled at once, 256 threads that connect, 256 events kept
//! for each [`Events`]. A connection has at most two send buffers of 128 KiB and one receive buffer of 66 KiB, and the
//! windows of its streams.
//!
//! # Errors
//!
//! [`StartError`], [`ListenError`], [`OpenStreamError`]; streams give `io::Error` whose source is typed.
//!
//! # Example
//!
//! Two nodes in one process, an echo between them:
//!
//! ```
#![doc = include_str!("../examples/echo.rs")]
//! # main().unwrap();
//! ```

mod accept;
mod address;
mod clock;
mod conn;
mod control;
mod dial;
mod error;
mod events;
mod node;
#[cfg(feature = "poll")]
pub mod poll;
mod read;
mod shared;
mod stream;
mod threads;
mod write;

pub use error::{ListenError, StartError};
pub use events::Events;
pub use node::{HANDLERS_MAX, Handler, LinkStats, Node, new_config};
pub use sanswarm as core;
pub use sanswarm::{
    Bytes, Config, ConnId, Event, IdentifyError, Info, Keypair, Multiaddr, Open, OpenStreamError, PeerId, PeerInfo,
    PingError, ProtocolName, Protocols, ReadError, Refusal, StreamId, TransportError, WriteError,
};
pub use stream::Stream;

//! A libp2p node on tokio.
//!
//! # What it is
//!
//! [`Node`] is a handle on a node that runs in the tokio runtime: one task decides who is dialled and who may stay, and
//! each connection has a task of its own, so that connections scale over cores. A [`Stream`] is an
//! [`AsyncRead`](tokio::io::AsyncRead) and an [`AsyncWrite`](tokio::io::AsyncWrite). The machines within are those of
//! [`sanswarm`](core), which has no I/O; this crate gives them TCP sockets, a clock and randomness.
//!
//! # Example
//!
//! Two nodes, an echo between them:
//!
//! ```
#![doc = include_str!("../examples/echo.rs")]
//! ```
//!
//! # Names
//!
//! Hosts in addresses (`/dns4`, `/dns6`, `/dns`) are resolved by the system before they are dialled, so that all their
//! addresses are ranked. `/dnsaddr` is not: the system has no call for it.
//!
//! # Lifetime
//!
//! A node runs until [`Node::shutdown`], or until the last handle on it is dropped: then its listeners end and its
//! connections say goodbye. A stream handler that owns a [`Node`] keeps it running; `shutdown` drops the handlers.
//!
//! # Limits
//!
//! Those of [`Config`]. A connection holds at most a block of 65 KiB to read into, twice 128 KiB to write from, and for
//! each stream its window of unread payload; an idle one holds no buffer, and its task is not woken.
//!
//! # Errors
//!
//! A call says what went wrong by a type of its own. I/O errors of a [`Stream`] hold a [`StreamError`].

mod address;
mod control;
mod error;
mod events;
mod facts;
mod handover;
mod link;
mod node;
mod resolve;
mod shared;
mod sockets;
mod stream;
mod time;
mod waiting;

/// What `loom/` replaces.
mod sync {
    pub(crate) use std::sync::{Mutex, MutexGuard};
}

pub use error::{ListenError, StreamError};
pub use events::{Events, EventsError};
pub use node::{LinkStats, Node, config};
pub use sanswarm as core;
pub use sanswarm::{
    Bytes, CloseReason, Config, ConnId, Event, Goodbye, IdentifyError, Info, Keypair, Multiaddr, OpenStreamError,
    PeerId, PeerInfo, PingError, ProtocolName, Protocols, SigningError, StreamId, TransportError,
};
pub use sockets::connect;
pub use stream::Stream;

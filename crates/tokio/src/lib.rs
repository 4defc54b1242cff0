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
//! Names in addresses are resolved before they are dialled, so that all their addresses are ranked. With the feature `dns`
//! hickory does it, by the system's name servers or [those that are given](NameServers): `/dns`, `/dns4`, `/dns6` and
//! `/dnsaddr`. Without it the system does it, which knows nothing of `/dnsaddr`: such an address fails as
//! [unsupported](TransportError::Unsupported).
//!
//! # All interfaces
//!
//! Who listens on `/ip4/0.0.0.0/…` or `/ip6/::/…` is reached at each address of the host. [`Node::advertised`] tells which
//! these are, and identify tells peers, those of loopback only to peers on this host. While such an address is listened on
//! the interfaces are looked at every 10 seconds; peers are told what has changed. A socket of IPv6 takes no IPv4, so that
//! both can have one port.
//!
//! # Transports
//!
//! TCP always. With the feature `ws` WebSocket, `/ws` behind an address of TCP; with `wss` also over TLS: `/wss`, `/tls/ws`,
//! `/tls/sni/NAME/ws`, for which `Node::with_tls` takes the certificate that a listener needs, and other roots than those of the web.
//! Within a process `/memory/N`: pipes without a socket, between all nodes of the process, of this adapter or another;
//! `/memory/0` listens on a number that is free.
//!
//! # Lifetime
//!
//! A node runs until [`Node::shutdown`], or until the last handle on it is dropped: then its listeners end and its
//! connections say goodbye. A stream handler that owns a [`Node`] keeps it running; `shutdown` drops the handlers.
//!
//! # Watching it
//!
//! [`Node::counters`] counts: connections, dials by stage, streams and bytes by protocol. With the feature `tracing` whoever
//! listens to the crate of that name gets a span for each connection (`conn`, `role`, `remote`, `peer`), one within it for each
//! stream that a handler serves (`stream`, `protocol`), and events of the target `sanswarm`: `info` for listening and the end,
//! `debug` for connections, `trace` for streams, as is usual in the field.
//!
//! # Limits
//!
//! Those of [`Config`]. A connection holds at most a block of 65 KiB to read into, twice 128 KiB to write from, and for
//! each stream its window of unread payload; one that has been idle for 200 ms
//! holds no buffer, and its task is not woken.
//!
//! # Errors
//!
//! A call says what went wrong by a type of its own. I/O errors of a [`Stream`] hold a [`StreamError`].

mod book;
mod connect;
mod control;
mod error;
mod events;
mod facts;
mod handover;
mod link;
mod listeners;
mod names;
mod node;
mod policy;
mod shared;
mod socket;
mod sockets;
mod stream;
mod time;
mod waiting;
#[cfg(feature = "ws")]
mod web;

/// What `loom/` replaces.
mod sync {
    pub(crate) use std::sync::{Mutex, MutexGuard};
}

#[cfg(feature = "wss")]
pub use connect::connect_with_tls;
pub use connect::{connect, connect_with};
pub use error::{ListenError, StreamError};
pub use events::{Events, EventsError};
pub use node::{LinkStats, Node, config};
pub use policy::Keep;
pub use sanswarm as core;
pub use sanswarm::{
    Bytes, CloseReason, CloseRule, Config, ConnId, Counters, Denied, Event, Gate, Goodbye, IdentifyError, Info,
    Keypair, Known, Multiaddr, Open, OpenStreamError, PeerId, PeerInfo, PingError, ProtocolName, Protocols, Ranker,
    SigningError, SnapshotError, Source, StreamId, Subject, TransportError, Visit,
};
pub use sanswarm_host::{Handler, NameServers};
#[cfg(feature = "wss")]
pub use sanswarm_websocket::{Error as WebError, WebTls};
pub use socket::Socket;
pub use stream::Stream;

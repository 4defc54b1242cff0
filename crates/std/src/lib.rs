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
//! - Names in addresses are resolved before they are dialled, so that all their addresses are ranked. With the feature `dns`
//!   hickory does it, on one thread, by the system's name servers or [those that are given](NameServers): `/dns`, `/dns4`,
//!   `/dns6` and `/dnsaddr`. Without it the system does it, on a thread for each question, and knows nothing of `/dnsaddr`:
//!   such an address fails as [unsupported](TransportError::Unsupported). Listening takes IP addresses.
//! - Who listens on `/ip4/0.0.0.0/…` or `/ip6/::/…` is reached at each address of the host. [`Node::advertised`] tells which
//!   these are, and identify tells peers, those of loopback only to peers on this host. While such an address is listened on
//!   the interfaces are looked at every 10 seconds; peers are told what has changed. A socket of IPv6 takes no IPv4, so that
//!   both can have one port.
//!
//! # Watching it
//!
//! [`Node::counters`] counts: connections, dials by stage, streams and bytes by protocol. With the feature `tracing` whoever
//! listens to the crate of that name gets a span for each connection (`conn`, `role`, `remote`, `peer`), one within it for each
//! stream that a handler serves (`stream`, `protocol`), and events of the target `sanswarm`: `info` for listening and the end,
//! `debug` for connections, `trace` for streams, as is usual in the field.
//!
//! # Transports
//!
//! TCP always. With the feature `ws` WebSocket, `/ws` behind an address of TCP; with `wss` also over TLS: `/wss`, `/tls/ws`,
//! `/tls/sni/NAME/ws`, for which `Node::with_tls` takes the certificate that a listener needs, and other roots than those of the web.
//! Within a process `/memory/N`: pipes without a socket, between all nodes of the process, of this adapter or another;
//! `/memory/0` listens on a number that is free.
//!
//! # Limits
//!
//! Beside those of [`Config`]: [`HANDLERS_MAX`] inbound streams handled at once, 256 threads that connect, 256 names asked for, 256 events kept
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
mod book;
mod clock;
mod conn;
mod control;
mod dial;
mod error;
mod events;
mod listeners;
mod memory;
mod names;
mod node;
mod policy;
#[cfg(feature = "poll")]
pub mod poll;
mod read;
mod shared;
mod socket;
mod stream;
mod threads;
#[cfg(feature = "ws")]
mod web;
mod write;

pub use error::{ListenError, StartError};
pub use events::Events;
pub use node::{HANDLERS_MAX, LinkStats, Node, new_config};
pub use policy::Keep;
pub use sanswarm as core;
pub use sanswarm::{
    Bytes, CloseRule, Config, ConnId, Counters, Denied, Event, Gate, IdentifyError, Info, Keypair, Known, Multiaddr,
    Open, OpenStreamError, PeerId, PeerInfo, PingError, ProtocolName, Protocols, Ranker, ReadError, Refusal,
    SnapshotError, Source, StreamId, Subject, TransportError, Visit, WriteError,
};
pub use sanswarm_host::{Handler, NameServers};
#[cfg(feature = "wss")]
pub use sanswarm_websocket::{Error as WebError, WebTls};
pub use stream::Stream;

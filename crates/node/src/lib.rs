//! A libp2p node without I/O.
//!
//! # What it is
//!
//! [`Node`] is a whole node on one thread, for whoever has the sockets: a game loop, a WASM page, an FFI library, a simulator.
//! Feed it bytes and facts, poll it for events, actions and bytes; give it the time. Adapters for tokio and for blocking
//! sockets are `sanswarm-tokio` and `sanswarm-std`.
//!
//! A node that spans threads is made of the same parts: one [`Control`] (who to dial, who may stay, who handles what) and one
//! [`Link`] for each connection (its bytes and streams). They share nothing and tell each other [`ToLink`] and [`ToControl`]
//! values, which a driver carries.
//!
//! # Spec
//!
//! `libp2p/specs`: `connections`, `ping`, `identify`. Every node answers `/ipfs/ping/1.0.0`, `/ipfs/id/1.0.0` and
//! `/ipfs/id/push/1.0.0`, pings its connections and asks its peers who they are.
//!
//! # Limits
//!
//! [`Config`] holds the limits of one connection and those of the swarm; `docs/limits.md` lists them all.
//!
//! # Errors
//!
//! A request ends in [`Event::Opened`] or in [`Event::OpenFailed`], whose [`OpenStreamError`] holds each address that was
//! tried, the stage that it reached, and why it failed.
//!
//! # Example
//!
//! Two nodes in one process, an echo between them; the "socket" is a copy from one to the other:
//!
//! ```
#![doc = include_str!("../examples/bytes.rs")]
//! ```

mod config;
mod control;
mod counters;
mod error;
mod event;
mod link;
mod message;
mod node;
mod peer;
mod protocols;
mod report;
mod service;
mod view;

pub use bytes::Bytes;
pub use config::Config;
pub use control::Control;
pub use counters::{
    AttemptCounters, ConnectionCounters, Counters, EndedCounters, LinkCounters, PingCounters, ProtocolCounters,
    StageCounters,
};
pub use error::{Attempt, AttemptCause, DialReport, OpenStreamError};
pub use event::{Action, Event, OpenId, StreamId};
pub use libp2p_identity::{Keypair, PeerId, PublicKey};
pub use link::Link;
pub use message::{ToControl, ToLink};
pub use multiaddr::{self, Multiaddr};
pub use node::Node;
pub use peer::{IdentifyError, Info, NoPeerId, PeerInfo};
pub use protocols::{HandlerId, Open, Protocols};
#[cfg(feature = "noise")]
pub use sanswarm_connection::Aead;
pub use sanswarm_connection::transcript;
pub use sanswarm_connection::{
    CloseReason, Error as ConnectionError, Goodbye, Hangup, Limits as ConnectionLimits, Mark, Muxer, OpenError,
    ReadError, Refusal, RefusalCause, RoundTrips, Security, SigningError, Stage, Stats, StreamCounters, WriteError,
};
pub use sanswarm_multistream::ProtocolName;
pub use sanswarm_swarm::{
    Answer, AttemptFailure, Carrier, CloseReason as CloseRule, ConnId, Denied, DeniedCounters, DialCounters, DialError,
    Family, Gate, KeepId, Kind as AddressKind, Known, Limits as SwarmLimits, ListenError, Network, PeerRecord,
    Prospect, Prospects, Question, Ranker, Reach, Reached, RecordError, ResolveId, Security as TransportSecurity,
    SnapshotError, Source, Start, Subject, Transport, TransportError, Visit, rank,
};
pub use sanswarm_wire::{Deadline, Instant, RecvBuf, Role, SendBuf};
pub use service::PingError;
pub use view::{NoPipe, SwarmView};

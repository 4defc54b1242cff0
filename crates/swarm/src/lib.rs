//! The control plane without I/O: who to dial, in what order, when to give up, and which connections may stay.
//!
//! # What it is
//!
//! A [`Swarm`] takes commands ([`dial`](Swarm::dial), [`listen`](Swarm::listen), [`close`](Swarm::close)) and facts
//! (`handle_<fact>`), and gives [`Action`]s for a driver to carry out and [`Event`]s for the layer above. It never sees a
//! byte: a driver connects sockets, a `Connection` upgrades them, the swarm hears how it went.
//!
//! # Spec
//!
//! <https://github.com/libp2p/specs/blob/master/connections/README.md>: a peer's identity is what the security handshake
//! proved, checked here against the one that was dialled; several connections to a peer are legal. Staggered attempts
//! are those of RFC 8305 ("Happy Eyeballs"), in the order that [`rank`] or a ranker of the caller's gives them; `/dnsaddr`
//! is <https://github.com/multiformats/multiaddr/blob/master/protocols/DNSADDR.md>.
//!
//! # States
//!
//! | a connection is | it leaves by |
//! |---|---|
//! | dialing (the driver has an [`Action::Dial`]) | `handle_dialed`, `handle_dial_failed`, [`Action::Abandon`] |
//! | upgrading (`handle_dialed`, `handle_accepted`) | `handle_ready`, `handle_failed`, [`Action::Close`] |
//! | ready | `handle_closed`, [`Action::Close`] |
//! | closing (ready once, [`Action::Close`] given) | `handle_closed` |
//!
//! After an `Abandon`, and after a `Close` of a connection that was never ready, the [`ConnId`] is stale. Facts about a
//! stale one are ignored, as they may have been under way; the driver drops what it has by that id.
//!
//! A dial is one or more attempts. The first connection to the peer that is ready answers it, an inbound one too, and
//! dials to one peer share their attempts. When an inbound connection answers a dial, attempts that are upgrading go on:
//! the peer may have chosen one of them, and if each side ended the other's choice none would be left.
//! Each [`DialId`] gets exactly one answer: [`Event::Dialed`] or [`Event::DialFailed`].
//!
//! Of several connections to a peer, both ends agree on the best ([`connections`](Swarm::connections)): direct before
//! relayed, then those that the end with the smaller peer id has dialled. The end that dialled another one closes it once it
//! has had no stream for [`Limits::surplus`]. So nodes that dial each other at once end with one connection, are never
//! without one in between, and no stream is cut. Of several that one end has dialled, that end's oldest stays.
//!
//! A ready connection stays while it has a stream ([`handle_streams`](Swarm::handle_streams)) or its peer a
//! [`keep`](Swarm::keep). Without, it idles for [`Limits::idle`]; and where there are more than the high water mark, those
//! idle for longest are trimmed, but for protected peers. [`CloseReason`] says which rule it was.
//!
//! # Limits
//!
//! [`Limits`] names them. What is refused says which limit it was and its value. A call takes time in the logarithm of
//! the number of connections at most, and in the number of one dial's addresses and joined dials.
//!
//! # Errors
//!
//! [`DialError`] with an [`Attempt`] for each address, [`Denied`], [`ListenError`], [`CloseReason`].
//!
//! # Example
//!
//! ```
//! use libp2p_identity::PeerId;
//! use sanswarm_swarm::{Action, Event, Limits, Swarm, Transport};
//! use sanswarm_wire::Instant;
//!
//! # fn peer(id: u8) -> PeerId { PeerId::from_bytes(&[0, 1, id]).unwrap() }
//! let (us, them, now) = (peer(1), peer(2), Instant::ZERO);
//! let mut swarm = Swarm::new(us, Limits::default());
//! swarm.add_transport(Transport::tcp());
//!
//! let dial = swarm.dial(now, Some(them), &["/ip4/127.0.0.1/tcp/4001".parse()?]);
//! let Some(Action::Dial { conn, .. }) = swarm.poll_action() else { panic!() };
//! swarm.handle_dialed(now, conn);       // the driver's socket is connected
//! swarm.handle_ready(now, conn, them)?; // the connection has secured and muxed it
//!
//! assert!(matches!(swarm.poll_event(), Some(Event::Connected { peer, .. }) if peer == them));
//! assert_eq!(swarm.poll_event(), Some(Event::Dialed { dial, conn, peer: them }));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod admission;
mod attempts;
mod backoff;
mod book;
mod connection;
mod counters;
mod dial;
mod dialing;
mod error;
mod event;
mod gate;
mod hashes;
mod hole;
mod limits;
mod listener;
mod plan;
mod record;
mod resolve;
mod staying;
mod swarm;
mod timer;
mod transport;

#[cfg(test)]
mod tests;

pub use address::{Carrier, Family, Kind, Reach};
pub use book::{Identified, Known, SnapshotError, Source};
pub use connection::{ConnId, ConnInfo};
pub use counters::{AttemptCounters, Counters, DeniedCounters, DialCounters};
pub use dial::{Attempt, AttemptFailure, DialError, DialId, Reached};
pub use error::{CloseReason, Denied, ListenError, TransportError};
pub use event::{Action, Event};
pub use gate::{Gate, Subject, Visit};
pub use limits::Limits;
pub use plan::{Network, Prospect, Prospects, Ranker, Start, rank};
pub use record::{PeerRecord, RecordError};
pub use resolve::{Answer, Question, ResolveId};
pub use staying::KeepId;
pub use swarm::Swarm;
pub use transport::{Security, Transport};

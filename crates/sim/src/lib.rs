//! A network of real nodes in one process: one seed, virtual time, every fault.
//!
//! # What it is
//!
//! A [`Network`] holds hosts, each with a [`Node`](sanswarm::Node) as it is in production, driven by the same calls that
//! an adapter makes. What lies between them is simulated: links with latency, jitter, bandwidth and loss, sockets with
//! bounded buffers, bytes cut at random places, connects that are refused or time out, half-closed and reset connections.
//! Virtual time jumps from one event to the next, so that the cost is that of what happens.
//!
//! - **Faults** come by schedule or by seed: [`Fault`], [`Plan`], and [`Hostile`] hosts.
//! - **Checkers** look at every event and byte: [`Rule`] lists the laws. What an application writes through its [`Host`]
//!   is compared with what is read at the other end.
//! - **Liveness**: [`Network::settle`] stops the faults, and everything wanted must come about in time.
//! - **Same seed, same run**: [`Network::digest`] depends on every event and byte.
//!
//! Applications implement [`App`]. [`Scenario`] has built-in ones that are made, repeated and cut down from a few numbers;
//! [`for_seeds`] runs a test under many seeds. `docs/simulation.md` is a guide.
//!
//! # Limits
//!
//! TCP is simulated as far as a program can see it: there are no packets. No addresses are translated, no names looked up.
//!
//! # Errors
//!
//! A run ends with the first [`Violation`]: the virtual time, the host, the law, and what happened.
//!
//! # Example
//!
//! A protocol of one's own, tested under 20 seeds:
//!
//! ```
#![doc = include_str!("../examples/own.rs")]
//! ```

mod agenda;
mod book;
mod desk;
mod digest;
mod fault;
mod host;
mod link;
mod network;
mod page;
mod pipe;
mod record;
mod rng;
mod scenario;
mod script;
mod seeds;
mod traffic;

pub use book::{AGREEMENT, Rule, Violation};
pub use digest::Digest;
pub use fault::{Fault, Plan};
pub use host::{App, Host};
pub use link::{Link, Sockets};
pub use network::{Counts, HostId, Network, Trace};
pub use page::Caption;
pub use record::{Connection, Happened, Note, Record, Stream};
pub use rng::Rng;
pub use sanswarm;
pub use scenario::{Kind, Outcome, Scenario};
pub use script::Hostile;
pub use seeds::for_seeds;
pub use traffic::{Traffic, Wishes};

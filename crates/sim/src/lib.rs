//! A network of real nodes in one process: one seed, virtual time, every fault.

mod agenda;
mod book;
mod desk;
mod digest;
mod fault;
mod host;
mod link;
mod network;
mod pipe;
mod record;
mod rng;
mod scenario;
mod script;
mod traffic;

pub use book::{AGREEMENT, Rule, Violation};
pub use digest::Digest;
pub use fault::{Fault, Plan};
pub use host::{App, Host};
pub use link::{Link, Sockets};
pub use network::{Counts, HostId, Network, Trace};
pub use record::{Connection, Happened, Note, Record, Stream};
pub use rng::Rng;
pub use sanswarm;
pub use scenario::{Kind, Outcome, Scenario};
pub use script::Hostile;
pub use traffic::{Traffic, Wishes};

//! What every adapter asks of the host, and what its handles have in common: written once, for adapters of one's own too. It
//! belongs to the adapters: no machine uses it, and here the clock, randomness and name service of the system are asked.
//!
//! - Multiaddrs and the addresses of sockets, and what the system says in the words of the swarm: [`socket_addr`],
//!   [`multiaddr`], [`transport_error`]; of WebSockets [`WebAddr`], [`multiaddr_like`].
//! - Names: [`NameServers`], [`lookup`] by the system, and with feature `dns` [`Dns`] by hickory, of which no type shows.
//! - Addresses of this host: [`Interfaces`], [`is_wildcard`].
//! - Secrets and the time of day: [`secret`], [`identity`], [`config`], [`unix_seconds`].
//! - Pipes in memory between nodes of one process: [`MemoryListener`], [`MemoryPipe`].
//! - Which code runs for which inbound stream: [`Handlers`].
//! - What is told to `tracing`, with the feature of that name: [`trace`].
//!
//! # Limits
//!
//! [`QUESTIONS_MAX`] names are looked up at once. A host's interfaces are looked at every 10 s while that matters. A pipe in
//! memory holds 64 KiB in each direction; 128 dialers wait for a listener.
//!
//! # Errors
//!
//! [`TransportError`](sanswarm::TransportError), as a node wants to hear it.
//!
//! # Example
//!
//! ```
//! let address = "/ip4/127.0.0.1/tcp/4001".parse().unwrap();
//! let socket = sanswarm_host::socket_addr(&address).unwrap();
//! assert_eq!(socket.port(), 4001);
//! assert_eq!(sanswarm_host::multiaddr(socket), address);
//! ```

mod address;
#[cfg(feature = "dns")]
mod dns;
mod handlers;
mod interfaces;
mod memory;
mod names;
mod system;
pub mod trace;

pub use address::{WebAddr, multiaddr, multiaddr_like, socket_addr, transport_error};
#[cfg(feature = "dns")]
pub use dns::Dns;
pub use handlers::{Accepts, Candidates, Handler, Handlers, Scope};
pub use interfaces::{Interfaces, is_wildcard};
pub use memory::{MemoryListener, MemoryPipe, memory_number};
pub use names::{NameServers, QUESTIONS_MAX, lookup};
pub use system::{config, identity, secret, unix_seconds};

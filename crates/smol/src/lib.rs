//! A libp2p node on smol, or on any other executor.
//!
//! # What it is
//!
//! What it takes to bind [`sanswarm::Node`] to a runtime. Sockets and timers are those of [`async_io`], whose reactor is a
//! thread of its own, so that tasks run wherever the function given to [`Node::new`] puts them; for another reactor two files
//! of 178 lines of code change, `link.rs` and `tasks.rs`. A [`Stream`] is a [`futures_io::AsyncRead`] and
//! [`futures_io::AsyncWrite`].
//!
//! All connections of a node share one lock, and with it one core: for more, `sanswarm-tokio` gives each connection a task
//! of its own.
//!
//! # Example
//!
//! ```
#![doc = include_str!("../examples/echo.rs")]
//! ```
//!
//! # Names
//!
//! `/dns`, `/dns4` and `/dns6` are looked up by the system before they are dialled. `/dnsaddr` is not.
//!
//! # Watching it
//!
//! [`Node::counters`] counts. With the feature `tracing` what happens is told to whoever listens to the crate of that name; a
//! subscriber is called under the node's lock when a connection begins, and must not call the node there.
//!
//! # Limits
//!
//! Those of [`Config`](sanswarm::Config), and [`INCOMING_MAX`] streams that a handler has not taken.
//!
//! # Errors
//!
//! [`Node::open_stream`] gives the whole report of a dial. I/O errors of a [`Stream`] say whether the peer, its refusal or the
//! end of the connection is to blame.

mod link;
mod node;
mod stream;
mod tasks;

pub use node::{INCOMING_MAX, Node, Task, config};
pub use sanswarm;
pub use stream::Stream;

//! A whole node on one thread, over sockets that never block.
//!
//! [`Driver`] holds a [`sanswarm::Node`] and its sockets. Nothing happens outside [`run_once`](Driver::run_once) and
//! [`next_event`](Driver::next_event), which wait for sockets, deadlines and the [`Waker`]. Only connecting, which std
//! cannot do without blocking, and looking up a name take a thread each for as long as they last.
//!
//! # Example
//!
//! Two drivers on two threads and an echo between them:
//!
//! ```
#![doc = include_str!("../../examples/poll.rs")]
//! # main().unwrap();
//! ```

mod driver;
mod sockets;

pub use driver::{Driver, Waker};

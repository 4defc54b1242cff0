//! The vocabulary that all machines of sanswarm share: time as an argument, the two buffers that a driver lends, the
//! unread payload of a stream, slots whose keys go stale, and queues of such keys.
//!
//! # What it is
//!
//! - [`Instant`] and [`Deadline`]: time enters as an argument, waiting leaves as a value.
//! - [`RecvBuf`]: bytes from a socket, opened in place, lent to the layers, taken out as slices.
//! - [`Budget`]: memory that all receive buffers of a node share.
//! - [`SendBuf`]: bytes to a socket, gathered in frames, sealed in place.
//! - [`Inbox`]: what a stream has received and its user has not read.
//! - [`Slab`] and [`Key`]: values in slots; a stale key is `None`, never somebody else's value.
//! - [`Ring`]: keys in a queue that any of them can leave at once.
//! - [`Turns`]: which of the streams that came short may write next, and how much.
//!
//! There is no I/O, no clock, no thread and no randomness here, and no `std`.
//!
//! # Limits
//!
//! A [`RecvBuf`] holds its capacity, or the one frame that was announced; all of a node together hold a [`Budget`] if they
//! have one, and 8 KiB each. A [`SendBuf`] holds its capacity. An
//! [`Inbox`] holds what the muxer's window lets the peer send, at most twice that with overhead.
//!
//! # Example
//!
//! ```
//! use sanswarm_wire::{RecvBuf, SendBuf};
//!
//! let (mut send, mut recv) = (SendBuf::default(), RecvBuf::default());
//! assert!(send.append(b"ping"));             // a layer appends
//! let n = recv.feed(send.ready());           // a driver carries (through a socket, usually)
//! send.sent(n);
//! recv.reveal_all();                         // no cipher: all is plain
//! assert_eq!(&recv.take(4)[..], b"ping");    // a layer takes its payload, without a copy
//! ```

#![no_std]

extern crate alloc;

mod budget;
mod inbox;
mod recv;
mod ring;
mod send;
mod slab;
mod time;
mod turns;

pub use budget::Budget;
pub use inbox::Inbox;
pub use recv::RecvBuf;
pub use ring::Ring;
pub use send::{Framing, SendBuf};
pub use slab::{Key, Slab};
pub use time::{Deadline, Instant, Role};
pub use turns::{Turn, Turns, Wrote};

//! The yamux 1.0.0 muxer: many streams over one ordered pipe of bytes.
//!
//! # What it is
//!
//! A [`Session`] is one end of a connection. It knows ids, windows and flags and never holds payload: of what arrives
//! it reads the heads and says whose the next bytes are; what is written goes straight into the caller's
//! [`SendBuf`](sanswarm_wire::SendBuf). Streams that had to wait take turns, at most 16 KiB each. Payload that nobody
//! has read yet is the caller's, in an [`Inbox`](sanswarm_wire::Inbox) a stream.
//!
//! # Spec
//!
//! <https://github.com/libp2p/specs/blob/master/yamux/README.md>, version 1.0.0.
//!
//! # Wire
//!
//! ```text
//! version(1) = 0 | type(1) | flags(2) | stream(4) | length(4)        big endian, 12 bytes
//! type   0 data (length bytes follow) | 1 window update (credit) | 2 ping (opaque value) | 3 go away (code)
//! flags  1 SYN | 2 ACK | 4 FIN | 8 RST
//! ```
//!
//! The dialer's streams are odd, the listener's even; stream 0 is the session. SYN and ACK travel with the first data
//! where there is some, else on a window update. FIN is an empty data frame, RST too.
//!
//! # States
//!
//! ```text
//! ours:    open ─ SYN due ─ awaits ACK ─ done        each direction:  open ─ FIN due or seen ─ FIN sent or told
//! theirs:  Opened ─ unaccepted ─ ACK due ─ done      both at their end, or RST either way: the stream is forgotten
//! ```
//!
//! - Its key is stale after that: calls with it are [`UnknownStream`] or do nothing.
//! - yamux cannot ask a peer to stop sending. After [`Session::stop`] what still comes is dropped, and its credit is
//!   given back so that the peer does not stall.
//! - Frames for streams that are unknown or were reset are dropped in silence, with their bodies.
//! - After GoAway, of either end, no stream is opened and those that are open go on; [`Session::is_idle`] says when the
//!   last has ended. A stream of ours that the peer had not heard of when it went away is reset.
//!
//! # Windows
//!
//! Credit follows the reader: it is given when half of a window has been [consumed](Session::consumed), and never for
//! what has only arrived. A window that is read within three round trips holds the peer back, and is doubled with that
//! credit, up to [`Limits::window_bytes_max`] and, for all streams together, [`Limits::session_window_bytes`]. The
//! round trip is measured by a ping behind such credit, at most every ten seconds; where no half of a window is ever
//! read, or windows may not grow, nothing is measured. Nobody waits for that answer. [`Session::ping`] is one that
//! somebody waits for: the session fails if it is not answered in time.
//!
//! # Limits
//!
//! [`Limits`] has one bound for each thing a peer can make us hold, with the attack that it stops. A data frame is
//! judged by its head alone: one that is longer than the window ends the session before a byte of it is awaited.
//! Replies are bounded: when they cannot be sent, [`Session::handle_input`] stops using input and
//! [`Session::is_held`] says so.
//!
//! # Errors
//!
//! An [`Error`] is fatal and sticky. The session then sends one GoAway, by [`Session::poll_transmit`], and nothing
//! else. [`OpenError`], [`WriteError`] and [`UnknownStream`] concern the call that got them only.
//!
//! # Example
//!
//! ```
//! use sanswarm_wire::{Inbox, Instant, RecvBuf, Role, SendBuf};
//! use sanswarm_yamux::{Config, Event, Session};
//!
//! let now = Instant::ZERO;
//! let mut dialer = Session::new(Role::Dialer, Config::default());
//! let mut listener = Session::new(Role::Listener, Config::default());
//! let mut pipe = SendBuf::default();
//!
//! let ours = dialer.open()?;
//! assert_eq!(dialer.write(now, ours, b"hello", &mut pipe)?, 5); // SYN goes with it
//! dialer.finish(ours)?;                                         // we shall write no more
//! dialer.poll_transmit(now, &mut pipe);                         // FIN
//!
//! let (mut recv, mut inbox, mut finished) = (RecvBuf::default(), Inbox::new(), None);
//! recv.feed(pipe.ready());                                      // a driver carries
//! recv.reveal_all();                                            // no cipher
//! loop {
//!     let (used, event) = listener.handle_input(now, recv.plain())?;
//!     recv.consume(used);                                       // heads of frames
//!     match event {
//!         Some(Event::Opened { stream }) => listener.accept(stream),
//!         Some(Event::Data { len, .. }) => inbox.push_from(&mut recv, len), // payload: without a copy, if it is not small
//!         Some(Event::Finished { stream }) => finished = Some(stream),
//!         Some(_) => {}
//!         None => break,
//!     }
//! }
//!
//! let stream = finished.ok_or("no FIN")?;
//! let slice = inbox.pop().ok_or("no payload")?;                 // the application reads …
//! assert_eq!(&slice[..], b"hello");
//! listener.consumed(stream, slice.len());                       // … and the peer may send as much again
//!
//! let mut back = SendBuf::default();                            // the other half is still open
//! assert_eq!(listener.write(now, stream, b"bye", &mut back)?, 3);
//! assert_eq!(dialer.handle_input(now, back.ready())?, (12, Some(Event::Data { stream: ours, len: 3, last: false })));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

#![no_std]

extern crate alloc;

mod config;
mod error;
mod frame;
mod ids;
mod input;
mod ping;
mod session;
mod stream;
mod transmit;
mod window;
mod writer;

pub use config::{Config, Limits};
pub use error::{Error, OpenError, UnknownStream, WriteError};
pub use frame::{Flags, GoAway, HEADER_BYTES, Header, Kind};
pub use sanswarm_wire::Key as StreamId;
pub use session::{Event, Session};
pub use window::INITIAL_WINDOW_BYTES;
pub use writer::{FRAME_BYTES, TURN_BYTES};

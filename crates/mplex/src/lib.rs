//! The mplex 6.7.0 muxer: many streams over one ordered pipe of bytes, for peers that have no other.
//!
//! # What it is
//!
//! A [`Session`] is one end of a connection. It knows ids, states and counters and never holds payload: of what arrives
//! it reads the heads and says whose the next bytes are; what is written goes straight into the caller's
//! [`SendBuf`](sanswarm_wire::SendBuf). Streams that had to wait take turns, at most 16 KiB each. The verbs are those of
//! every muxer here, yamux first, which is the better choice wherever the peer speaks it: mplex is deprecated, and has no
//! flow control, no acknowledgement of streams, no ping and no goodbye.
//!
//! # Spec
//!
//! <https://github.com/libp2p/specs/blob/master/mplex/README.md>, `/mplex/6.7.0`.
//!
//! # Wire
//!
//! ```text
//! head | length | body        head and length are varints: at most nine bytes and minimal
//! head = id << 3 | flag       id of 60 bits; (id, who opened) names a stream: both ends may give out the same ids
//! flag   0 NewStream (the body is a name: dropped) | 1, 2 Message | 3, 4 Close | 5, 6 Reset
//!        of two flags the first is sent by the end that did not open the stream, the second by the one that did
//! ```
//!
//! The dialer's ids are odd, the listener's even, and any from a peer will do. NewStream goes in one flight with the first
//! data where there is some. Payload goes out in frames of at most 16 KiB and comes in by frames of at most 1 MiB, told as
//! it arrives: nobody waits for a whole frame.
//!
//! # States
//!
//! ```text
//! ours:    open ─ NewStream due ─ sent          each direction:  open ─ Close due ─ closed
//! theirs:  Opened ─ unaccepted ─ accepted       both closed and all read, or Reset either way: the stream is forgotten
//! ```
//!
//! - Its key is stale after that: calls with it are [`UnknownStream`] or do nothing.
//! - Closed by both ends and not read, a stream still counts, but its id is the peer's to use again.
//! - mplex cannot ask a peer to stop sending. After [`Session::stop`] what still comes is dropped and does not count.
//! - Frames for streams that are unknown or were reset, and payload behind Close, are dropped in silence; so are the bodies
//!   of Close and Reset, which should have none.
//!
//! # Limits
//!
//! [`Limits`] has one bound for each thing a peer can make us hold, with the attack that it stops. A frame is judged by its
//! head alone.
//!
//! What was told by [`Event::Data`] is unread until it is [consumed](Session::consumed). A peer cannot be told to wait, so
//! there are two bounds, of a stream and of the session, that are never passed: where payload has no place,
//! [`Session::is_held`] turns true, no input is used, and the driver stops reading the pipe. When a sixteenth of the bound
//! is free again, the hold ends. If [`Limits::stall`] passes first, [`Session::handle_timeout`] resets one stream: the one
//! that is at its own bound, else the one that has waited to be read for longest; and the hold ends. A held session
//! still sends.
//!
//! Replies are bounded too: when too many resets cannot be sent, the session is held until some are.
//!
//! # Errors
//!
//! An [`Error`] is fatal and sticky: nothing is sent any more, since mplex has no goodbye. [`OpenError`], [`WriteError`]
//! and [`UnknownStream`] concern the call that got them only.
//!
//! # Example
//!
//! ```
//! use sanswarm_mplex::{Event, Limits, Session};
//! use sanswarm_wire::{Inbox, Instant, Role, SendBuf};
//!
//! let now = Instant::ZERO;
//! let mut dialer = Session::new(Role::Dialer, Limits::default());
//! let mut listener = Session::new(Role::Listener, Limits::default());
//! let mut pipe = SendBuf::default();
//!
//! let ours = dialer.open()?;
//! assert_eq!(dialer.write(now, ours, b"hello", &mut pipe)?, 5); // NewStream goes with it
//! dialer.finish(ours)?;                                         // we shall write no more
//! dialer.poll_transmit(now, &mut pipe);                         // Close
//!
//! let (mut input, mut inbox) = (pipe.ready(), Inbox::new());
//! loop {
//!     let (used, event) = listener.handle_input(now, input)?;
//!     input = &input[used..];
//!     match event {
//!         Some(Event::Opened { stream }) => listener.accept(stream),
//!         Some(Event::Data { len, .. }) => {
//!             inbox.push_copy(&input[..len]);                   // the caller takes the payload off itself …
//!             input = &input[len..];
//!         }
//!         Some(Event::Finished { stream }) => {
//!             let text = inbox.pop().unwrap_or_default();
//!             listener.consumed(stream, text.len());            // … and says when it has been read
//!             assert_eq!(&text[..], b"hello");
//!             let mut back = SendBuf::default();                // the other half is still open
//!             assert_eq!(listener.write(now, stream, b"bye", &mut back)?, 3);
//!             let (used, event) = dialer.handle_input(now, back.ready())?;
//!             assert_eq!((used, event), (2, Some(Event::Data { stream: ours, len: 3, last: false })));
//!         }
//!         Some(Event::Reset { .. }) => unreachable!(),
//!         None => break,
//!     }
//! }
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

#![no_std]

extern crate alloc;

mod config;
mod error;
mod frame;
mod input;
mod session;
mod stream;
mod transmit;
mod unread;
mod writer;

pub use config::Limits;
pub use error::{Error, OpenError, UnknownStream, WriteError};
pub use frame::{HEADER_BYTES, Header, ID_MAX, Kind};
pub use sanswarm_wire::Key as StreamId;
pub use session::{Event, Session};
pub use writer::{FRAME_BYTES, TURN_BYTES};

//! multistream-select 1.0.0 as a state machine: two ends of a byte stream agree on a protocol name.
//!
//! # What it is
//!
//! A [`Negotiator`] is one end of one negotiation. It lives from the first byte of a connection, a secured channel or a
//! stream until the agreement, and never uses a byte behind it: what follows belongs to the protocol agreed upon.
//! It keeps no bytes either; a part of a message stays with the caller until the rest is there. A negotiation allocates
//! nothing.
//!
//! [`Negotiator::query`] is a dialer that only asks what there is.
//!
//! # Spec
//!
//! [multistream-select 1.0.0](https://github.com/multiformats/multistream-select), and
//! [connections](https://github.com/libp2p/specs/blob/master/connections/README.md#protocol-negotiation) of libp2p.
//! Names are compared byte by byte; a [predicate](Names::with_predicate) is asked if a listener has one. `ls` is answered
//! by `na`, which the spec allows, or by [the list](Names::with_list); the retired `/libp2p/simultaneous-connect` by `na`.
//! Two ends that agree upon [`ProtocolName::NESTED`](sanswarm_multistream::ProtocolName::NESTED) negotiate once more, from
//! the header on.
//!
//! # Wire
//!
//! Lines of `sanswarm-multistream`. Both ends begin with the header, at once if they like.
//!
//! ```text
//! dialer                          listener
//! /multistream/1.0.0  /tls/1.0.0
//!                                 /multistream/1.0.0  na
//! /noise
//!                                 /noise
//! ```
//!
//! # States
//!
//! | [`State`] | dialer | listener |
//! |---|---|---|
//! | start | wants the header, else [`Error::NoHeader`] | the same |
//! | open | the name in turn: agreed; `na`: the next name, after the last refused; else an error | a known name: agreed; else `na` |
//! | over | uses nothing | the same |
//! | failed | gives the same error again, sends nothing | the same error, but still sends what it owes |
//!
//! Answers are counted, not queued: some `na`, perhaps the list, some `na`, then perhaps one echo. `STATES.md` beside
//! this crate's manifest has every state with every message, and the diagrams; a test makes it from the code.
//!
//! # Limits
//!
//! See [`Limits`]. A dialer's own list may be of any length. Time is the caller's to limit: 10 seconds is usual.
//!
//! # Errors
//!
//! [`Error`]. After a listener has refused, what it cannot read is [`Error::Refused`]: that is the payload of a lazy
//! dialer, and no fault of the peer.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//! use sanswarm_multistream::ProtocolName;
//! use sanswarm_multistream_select::{Greeting, Mode, Names, Negotiator, Outcome};
//! use sanswarm_wire::SendBuf;
//!
//! const TLS: ProtocolName = ProtocolName::from_static("/tls/1.0.0");
//! const NOISE: ProtocolName = ProtocolName::from_static("/noise");
//!
//! let mut dialer = Negotiator::dialer(Arc::new([TLS, NOISE]), Mode::Wait);
//! let mut listener = Negotiator::listener(Arc::new(Names::new([NOISE])), Greeting::WithReply);
//! let (mut there, mut back) = (SendBuf::default(), SendBuf::default());
//!
//! let (mut one, mut other) = (None, None);
//! while one.is_none() || other.is_none() {
//!     dialer.poll_transmit(&mut there);
//!     let (used, outcome) = listener.handle_input(there.ready())?;
//!     there.sent(used);
//!     other = other.or(outcome);
//!     listener.poll_transmit(&mut back);
//!     let (used, outcome) = dialer.handle_input(back.ready())?;
//!     back.sent(used);
//!     one = one.or(outcome);
//! }
//! assert_eq!(one, Some(Outcome::Agreed(NOISE)));
//! assert_eq!(other, one);
//! assert_eq!(dialer.offered(), [TLS, NOISE]);
//! # Ok::<(), sanswarm_multistream_select::Error>(())
//! ```

#![no_std]

extern crate alloc;

mod dialer;
mod error;
mod limits;
mod list;
mod listener;
mod names;
mod negotiator;
mod query;
mod sink;

pub use dialer::Offer;
pub use error::{Error, Seen};
pub use limits::Limits;
pub use names::Names;
pub use negotiator::{Greeting, Mode, Negotiator, Outcome, State};

//! One libp2p connection as a state machine: bytes in, bytes out, events.
//!
//! # What it is
//!
//! A [`Connection`] is everything that happens on one socket between two peers: a security protocol is negotiated and
//! its handshake made, a muxer is negotiated, then streams are opened and accepted, each negotiated, and their payload
//! moves. It does no I/O and reads no clock; whoever has the socket lends it a
//! [`RecvBuf`](sanswarm_wire::RecvBuf) and a [`SendBuf`](sanswarm_wire::SendBuf).
//!
//! # Spec
//!
//! `libp2p/specs`: `connections/README.md` (upgrade, stream negotiation), `connections/inlined-muxer-negotiation.md`.
//!
//! # Driving it
//!
//! ```text
//! loop {
//!     if recv.wants() { match sock.read(recv.spare())? { 0 => recv.set_eof(), n => recv.filled(n) } }
//!     loop {
//!         while let Some(event) = conn.poll_event(now, &mut recv)? { app(event) }
//!         if conn.poll_transmit(now, &mut send) > 0 { continue }
//!         match conn.poll_event(now, &mut recv)? { Some(event) => app(event), None => break }
//!     }
//!     if !send.ready().is_empty() { let n = sock.write(send.ready())?; send.sent(n); continue }
//!     match conn.hangup(&send) { No => {}, Write => sock.shutdown(Write)?, Both => break }
//!     wait(conn.poll_timeout());
//! }
//! ```
//!
//! Calls may come in any order; a late call delays and never corrupts. After [`handle_timeout`](Connection::handle_timeout)
//! and after any command, poll again. An error ends the events, not the driver: it goes on sending, and drops what comes in. [`hangup`](Connection::hangup) says what to do with the socket in the end.
//!
//! # States
//!
//! [`Stage`]: security, handshake, muxer, streams. A dialer that offers one security protocol sends header, proposal and
//! first handshake message in one flight, and streams asked for before the muxer is agreed on go with the last one, so
//! that the first answer of a lazy stream is here after two round trips.
//!
//! # Limits
//!
//! [`Limits`]: time for the upgrade, for a stream's negotiation and for the goodbye; streams; inbound streams that
//! negotiate at once; the receive window of a stream, which is all that a peer can make us hold for it, and how far it may
//! grow for a reader who keeps up. Over mplex, which has no windows, a stream that is not read stops the whole connection
//! at its bound and is reset after five seconds.
//!
//! # Errors
//!
//! [`Error`] ends the connection, is sticky, and still lets the goodbye drain. A stream that the peer does not agree on is a
//! [`Refusal`], and harms nothing else. "Not now" is never an error: `read` gives `None`, `write` is short, and an event
//! says when it can go on.
//!
//! # Example
//!
//! Two ends in one process, an echo between them:
//!
//! ```
#![doc = include_str!("../examples/echo.rs")]
//! ```

// With no security protocol or no muxer built in, much has no use.
#![cfg_attr(
    not(all(feature = "noise", any(feature = "yamux", feature = "mplex"))),
    allow(dead_code, unreachable_code, unused_mut)
)]

mod cipher;
mod config;
mod connection;
mod counters;
mod deadlines;
mod error;
mod events;
mod handshake;
mod identity;
#[cfg(feature = "plaintext")]
pub mod plaintext;
mod session;
mod stats;
mod stream;
mod streams;
pub mod transcript;
mod upgrade;

pub use config::{Config, Limits, Muxer, Security, SigningError};
pub use connection::{CloseReason, Connection, Event, Goodbye, Hangup, Open};
pub use counters::{Counters, LabelCounters, RoundTrips, StreamCounters};
pub use error::{Error, OpenError, ReadError, Refusal, RefusalCause, Stage, WriteError};
pub use identity::KeyFault;
#[cfg(feature = "noise")]
pub use sanswarm_noise::Aead;
pub use sanswarm_wire::Key as StreamId;
pub use stats::{Mark, Stats};
pub use stream::Direction;

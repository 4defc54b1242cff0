//! What the fuzz targets share. The targets are in `fuzz_targets`, their committed seeds in `seeds`;
//! `cargo run --example seeds` writes the seeds of the negotiation anew when a format changes.
//!
//! - [`Input`] reads options, names and limits from the front of a target's bytes.
//! - [`transcript`] turns the rest into what a peer sends: well-formed messages, broken ones, or any bytes.
//! - [`reference`](mod@reference) is the negotiation once more, as plain as can be, to compare with.
//! - [`differential`] does the same with the registry's `multistream-select`, and lists where the two differ.
//! - [`drive`] feeds a negotiator in pieces and checks what holds at every call.
//! - [`certificate`](mod@certificate) signs certificates around any body.
//! - [`noise`] makes handshakes of fixed secrets, and edits what goes over the wire.
//! - [`yamux`] is a session of yamux as plain as can be.

#![forbid(unsafe_code)]

pub mod certificate;
pub mod differential;
pub mod drive;
mod input;
pub mod noise;
mod pieces;
pub mod reference;
pub mod transcript;
pub mod yamux;

pub use input::{Input, KNOWN};
pub use pieces::Pieces;

//! Multistream framing: length-prefixed lines, the names that they carry, and the headers of the original format.
//!
//! # What it is
//!
//! - [`decode`], [`encode`] and [`append`]: one line from or to bytes.
//! - [`ProtocolName`]: a name that may be proposed, checked once and cheap to clone.
//! - [`header`]: the original multistream, where data says by a path at its front what it is.
//!
//! # Spec
//!
//! [multistream-select](https://github.com/multiformats/multistream-select) (the framing; its dialogue is in
//! `sanswarm-multistream-select`), [multistream](https://github.com/multiformats/multistream) (the headers) and
//! [unsigned-varint](https://github.com/multiformats/unsigned-varint) (minimal, at most 9 bytes).
//!
//! # Wire
//!
//! ```text
//! line    <length: unsigned varint> <text> "\n"       length = bytes of text + 1
//! header  a line whose text is a path: "/" and no newline
//! ```
//!
//! # States
//!
//! None: these are functions of their input.
//!
//! # Limits
//!
//! | limit | unit | default | stops |
//! |---|---|---|---|
//! | length of a line | bytes, newline counted | [`MESSAGE_BYTES_MAX`] | a peer that announces much and makes us wait for it |
//! | name | bytes | [`ProtocolName::BYTES_MAX`] | a name of ours that peers refuse |
//! | nested headers | headers | [`header::DEPTH_MAX`] | input that is nothing but headers |
//!
//! # Errors
//!
//! [`Error`] names the fault of a line, a name or a header. A line that is too long is refused from its length alone.
//!
//! # Example
//!
//! ```
//! use sanswarm_multistream::{HEADER, MESSAGE_BYTES_MAX, ProtocolName, decode, encode};
//!
//! const PING: ProtocolName = ProtocolName::from_static("/ipfs/ping/1.0.0");
//!
//! let mut flight = Vec::new();
//! encode(HEADER.as_bytes(), &mut flight);
//! encode(PING.as_bytes(), &mut flight);
//! flight.extend(b"payload");
//!
//! let header = decode(&flight, MESSAGE_BYTES_MAX)?.expect("a whole line");
//! assert_eq!(header.text, HEADER.as_bytes());
//! let proposal = decode(&flight[header.used..], MESSAGE_BYTES_MAX)?.expect("a whole line");
//! assert_eq!(proposal.text, PING.as_bytes());
//! assert_eq!(&flight[header.used + proposal.used..], b"payload");
//! # Ok::<(), sanswarm_multistream::Error>(())
//! ```

#![no_std]

extern crate alloc;

mod error;
pub mod header;
mod line;
mod name;

pub use error::Error;
pub use line::{Line, MESSAGE_BYTES_MAX, append, append_behind, decode, encode, encoded_len};
pub use name::ProtocolName;

/// The first message of both ends in multistream-select.
pub const HEADER: &str = "/multistream/1.0.0";

/// [`HEADER`] as a line, for a comparison at once.
pub const HEADER_LINE: &[u8] = b"\x13/multistream/1.0.0\n";

/// The refusal of a proposal.
pub const NA: &str = "na";

/// [`NA`] as a line.
pub const NA_LINE: &[u8] = b"\x03na\n";

/// The request for a list of names. It is optional, and retired in practice.
pub const LS: &str = "ls";

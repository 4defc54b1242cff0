//! What a peer may make us do.

use sanswarm_multistream::MESSAGE_BYTES_MAX;

use crate::list::LIST_BYTES_MAX;

/// What a peer may make a negotiator do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest message, in bytes with its newline. Default 1024; less than 19, the header's, counts as 19. It stops
    /// a peer that announces a long message and makes the caller keep what comes.
    pub message_bytes: usize,
    /// The longest answer to `ls`, in bytes with its newline. Default 16383. It stops a peer that answers a question of
    /// four bytes with a flood.
    pub list_bytes: usize,
    /// The proposals that a listener answers. Default 1000. It stops a dialer that proposes for ever.
    pub proposals: u32,
    /// The bytes of all proposals that a listener reads, lengths and newlines counted. Default 131072. It stops a dialer
    /// whose proposals are few and long, so that refusing them costs it next to nothing. What a dialer reads is bounded
    /// by the number of its names.
    pub total_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { message_bytes: MESSAGE_BYTES_MAX, list_bytes: LIST_BYTES_MAX, proposals: 1000, total_bytes: 128 * 1024 }
    }
}

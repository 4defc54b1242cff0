//! What a peer may make us do.

use sanswarm_multistream::MESSAGE_BYTES_MAX;

/// What a peer may make a negotiator do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest message, in bytes with its newline. Default 1024; less than 19, the header's, counts as 19. It stops
    /// a peer that announces a long message and makes the caller keep what comes.
    pub message_bytes: usize,
    /// The proposals that a listener answers. Default 1000. It stops a dialer that proposes for ever.
    pub proposals: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { message_bytes: MESSAGE_BYTES_MAX, proposals: 1000 }
    }
}

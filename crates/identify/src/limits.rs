//! What a peer may make a reader hold, and how long an answer may be.

/// The bounds of what is sent and of what is kept. The defaults are those of go-libp2p where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes sent, the length prefix included. 4,096: rust-libp2p reads no more.
    pub send: usize,
    /// Bytes of one received message. 8,192. Against a peer that announces a gigabyte.
    pub message: usize,
    /// Messages on one stream. 10. Against a stream of messages without an end.
    pub messages: usize,
    /// Protocols kept, of all messages together. 1,024. Against a list that outgrows what it was merged from.
    pub protocols: usize,
    /// Bytes of one protocol's name; longer ones are skipped. 1,024, as multistream-select bounds them.
    pub protocol: usize,
    /// Listen addresses kept, of all messages together. 500. Against lists of victims to dial.
    pub addresses: usize,
    /// Bytes of the agent version and of the protocol version, which are cut there. 1,024. Against logs flooded.
    pub version: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { send: 4096, message: 8192, messages: 10, protocols: 1024, protocol: 1024, addresses: 500, version: 1024 }
    }
}

//! What a peer can make us hold.

/// Bounds of one socket. How long a handshake may take is the caller's to decide: there is no clock here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The head of the peer's HTTP message, in bytes. Default 8 KiB. Stops: a request that never ends.
    pub head_bytes: usize,
    /// What one read of the socket may bring, in bytes; 1 or more. Default 64 KiB. Stops: a peer that sends faster than
    /// its payload is read.
    pub recv_bytes: usize,
    /// Frames that wait to be sent, in bytes, beyond which no payload is taken. Default 128 KiB. Stops: a peer that does not
    /// read.
    pub send_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head_bytes: 8 * 1024, recv_bytes: 64 * 1024, send_bytes: 128 * 1024 }
    }
}

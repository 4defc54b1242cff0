//! What a client may make a server do.

/// The bounds of one exchange. The defaults are none, as the protocol has it: the server holds nothing of either, and
/// how long it works is up to who serves. Lower them to serve strangers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an upload, the size in front not included. 2^64 - 1. Against uploads without an end.
    pub upload: u64,
    /// Bytes of a download that may be asked for. 2^64 - 1, which clients ask for that end a download by the clock.
    /// Against a request of a few bytes that costs the server its line.
    pub download: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { upload: u64::MAX, download: u64::MAX }
    }
}

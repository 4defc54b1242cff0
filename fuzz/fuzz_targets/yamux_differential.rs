//! This yamux session beside the registry's `yamux` 0.14 (rust-libp2p's): the same frames to both.
//!
//! Input: as `yamux::differential::compare` says: frames, and now and then a stream is opened, finished or reset.
//!
//! - After each frame both have told the same: streams opened, payload, ends, resets; both go on, have failed, or were
//!   left by the peer; and both have answered the same pings.
//! - Frames that they are documented to take differently are `yamux::differential::DIFFERENCES`, each with its reason
//!   and with what either side makes of it, which is checked too.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sanswarm_fuzz::yamux::differential::compare;

fuzz_target!(|data: &[u8]| {
    compare(data);
});

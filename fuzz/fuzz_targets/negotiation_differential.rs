//! This negotiator beside the registry's `multistream-select` 0.14 (rust-libp2p's): one transcript, then an end.
//!
//! Input: a byte of flags (1: both are listeners, else dialers; 2: lazy, if there is one name; 4: ours tells its list;
//! 8: our limits are as wide as theirs), names (`Input::names`), then what the other end sends (`transcript::read`).
//!
//! - Both come to the same verdict (agreed on the same name at the same byte, nothing agreed, or a fault) and send the
//!   same bytes, up to the first message that they are documented to take differently.
//! - Those messages are `differential::DIFFERENCES`, each with its reason and with what either side makes of it, which
//!   is checked too.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sanswarm_fuzz::differential::Case;

fuzz_target!(|data: &[u8]| {
    Case::read(data).compare();
});

//! A dialer against whatever a listener sends.
//!
//! Input: a byte of flags (1: lazy), a byte that seeds the pieces, limits (`Input::limits`), names (`Input::names`),
//! then what the listener sends (`transcript::read`).
//!
//! - The verdict, the bytes used and the bytes sent are those of the plain reference: nothing is used past the message
//!   that decides, and nothing is sent that was not asked for.
//! - They are the same whole, byte by byte, and in any pieces with any room to send.
//! - No call could have used more than the one before it: as many calls as pieces, and the caller keeps at most one
//!   message less a byte.
//! - What was decided stays, an error too; so does the meaning of an end of the input.
//! - What is behind the deciding message does not matter.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sanswarm_fuzz::{
    Input,
    drive::{Driver, How, check},
    reference, transcript,
};
use sanswarm_multistream_select::{Mode, Negotiator};

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let (flags, seed) = (input.byte(), input.byte());
    let (limits, names) = (input.limits(), input.names());
    let lazy = flags & 1 != 0;
    let sent = transcript::read(&mut input, &names);
    let mode = if lazy { Mode::Lazy } else { Mode::Wait };
    let dialer = Negotiator::dialer(names.clone().into(), mode).with_limits(limits);
    let run = |input: &[u8], how| Driver::dialer(dialer.clone(), &names, lazy, &limits).run(input, how);

    let expected = reference::dialer(&names, &limits, &sent);
    for how in [How::Whole, How::Bytes, How::Pieces(seed)] {
        check(&run(&sent, how), &expected, true);
    }
    let other = [&sent[..expected.used.min(sent.len())], &[0xff; 40]].concat();
    if let reference::End::Agreed(_) | reference::End::Refused = expected.end {
        check(&run(&other, How::Pieces(seed)), &expected, true);
    }
});

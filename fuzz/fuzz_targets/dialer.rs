//! A dialer against whatever a listener sends.
//!
//! Input: a byte of flags (1: lazy, 2: it asks for the list instead, 4: its names are shared), a byte that seeds the
//! pieces, limits (`Input::limits`), names (`Input::names`), then what the listener sends (`transcript::read`).
//!
//! - The verdict, the bytes used and the bytes sent are those of the plain reference: nothing is used past the message
//!   that decides, and nothing is sent that was not asked for.
//! - They are the same whole, byte by byte, and in any pieces with any room to send.
//! - No call could have used more than the one before it: as many calls as pieces, and the caller keeps at most one
//!   message less a byte.
//! - What was decided stays, an error too; so does the meaning of an end of the input.
//! - What is behind the deciding message does not matter.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sanswarm_fuzz::{
    Input,
    drive::{Driver, How, Side, check},
    reference::{self, End},
    transcript,
};
use sanswarm_multistream::ProtocolName;
use sanswarm_multistream_select::{Mode, Negotiator, Offer};

/// Shared, or in place where it is one name.
fn offer(names: &[ProtocolName], shared: bool) -> Offer {
    let offer = if shared { Offer::from(Arc::<[_]>::from(names)) } else { Offer::from(names) };
    assert_eq!(offer.names(), names);
    offer
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let (flags, seed) = (input.byte(), input.byte());
    let (limits, names) = (input.limits(), input.names());
    let (is_lazy, asks) = (flags & 1 != 0, flags & 2 != 0);
    let sent = transcript::read(&mut input, &names);
    let mode = if is_lazy { Mode::Lazy } else { Mode::Wait };
    let (dialer, side, expected) = if asks {
        (Negotiator::query(), Side::Query, reference::query(&limits, &sent))
    } else {
        let side = Side::Dialer(&names, is_lazy && names.len() == 1);
        (Negotiator::dialer(offer(&names, flags & 4 != 0), mode), side, reference::dialer(&names, &limits, &sent))
    };
    let dialer = dialer.with_limits(limits);

    let run = |input: &[u8], how| Driver::new(dialer.clone(), side, &limits).run(input, how);
    for how in [How::Whole, How::Bytes, How::Pieces(seed)] {
        check(&run(&sent, how), &expected, side);
    }
    if let End::Agreed(_) | End::Refused | End::Listed(_) = expected.end {
        let other = [&sent[..expected.used], &[0xff; 40]].concat();
        check(&run(&other, How::Pieces(seed)), &expected, side);
    }
});

//! A listener against whatever a dialer sends.
//!
//! Input: a byte of flags (1: the header at once), a byte that seeds the pieces, limits (`Input::limits`), names
//! (`Input::names`), then what the dialer sends (`transcript::read`).
//!
//! - The verdict, the bytes used and the bytes sent are those of the plain reference: nothing is used past the proposal
//!   that decides, each proposal has its answer and no more, also after a fault.
//! - They are the same whole, byte by byte, and in any pieces with any room to send.
//! - No call could have used more than the one before it: as many calls as pieces, and the caller keeps at most one
//!   message less a byte.
//! - What was decided stays, an error too; so does the meaning of an end of the input.
//! - What is behind the deciding message does not matter.
//! - It tells what it refused last, and no more of it than its bound.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sanswarm_fuzz::{
    Input,
    drive::{Driver, How, check},
    reference, transcript,
};
use sanswarm_multistream_select::{Greeting, Names, Negotiator};

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let (flags, seed) = (input.byte(), input.byte());
    let (limits, names) = (input.limits(), input.names());
    let sent = transcript::read(&mut input, &names);
    let greeting = if flags & 1 != 0 { Greeting::AtOnce } else { Greeting::WithReply };
    let set = Arc::new(Names::new(names.iter().cloned()));
    let listener = Negotiator::listener(set, greeting).with_limits(limits);
    let run = |input: &[u8], how| Driver::listener(listener.clone(), &limits).run(input, how);

    let expected = reference::listener(&names, greeting, &limits, &sent);
    for how in [How::Whole, How::Bytes, How::Pieces(seed)] {
        check(&run(&sent, how), &expected, false);
    }
    let other = [&sent[..expected.used.min(sent.len())], &[0xff; 40]].concat();
    if let reference::End::Agreed(_) = expected.end {
        check(&run(&other, How::Pieces(seed)), &expected, false);
    }
    let mut listener = listener;
    let _ = listener.handle_input(&sent);
    match (listener.refused(), &expected.refused) {
        (None, None) => {}
        (Some(seen), Some(text)) => assert!(reference::same(text, seen)),
        (seen, text) => panic!("{seen:?}, not {text:?}"),
    }
});

//! A listener against whatever a dialer sends.
//!
//! Input: a byte of flags (1: the header at once, 2: a predicate, 4: a list), a byte that seeds the pieces, limits
//! (`Input::limits`), names (`Input::names`), then what the dialer sends (`transcript::read`).
//!
//! - The verdict, the bytes used and the bytes sent are those of the plain reference: nothing is used past the proposal
//!   that decides, each proposal has its answer and no more, also after a fault.
//! - They are the same whole, byte by byte, and in any pieces with any room to send.
//! - No call could have used more than the one before it: as many calls as pieces, and the caller keeps at most one
//!   message less a byte. The predicate is asked once a proposal, whatever the pieces, and never about what is no name.
//! - What was decided stays, an error too; so does the meaning of an end of the input.
//! - What is behind the deciding message does not matter.
//! - It tells what it refused last, and no more of it than its bound.

#![no_main]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use libfuzzer_sys::fuzz_target;
use sanswarm_fuzz::{
    Input,
    drive::{Driver, How, Side, check},
    reference::{self, End, Known},
    transcript,
};
use sanswarm_multistream::ProtocolName;
use sanswarm_multistream_select::{Greeting, Names, Negotiator};

fn set(known: &Known, asked: &Arc<AtomicUsize>) -> Names {
    let mut set = Names::new(known.names.iter().cloned());
    if known.predicate {
        let (asked, names) = (asked.clone(), known.names.clone());
        set = set.with_predicate(move |name| {
            asked.fetch_add(1, Relaxed);
            assert_eq!(ProtocolName::try_from(name.as_str()).as_ref(), Ok(name), "asked about what is no name");
            assert!(!names.contains(name), "asked about what is known");
            reference::matches(name.as_str())
        });
    }
    if known.list { set.with_list() } else { set }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let (flags, seed) = (input.byte(), input.byte());
    let (limits, names) = (input.limits(), input.names());
    let sent = transcript::read(&mut input, &names);
    let greeting = if flags & 1 != 0 { Greeting::AtOnce } else { Greeting::WithReply };
    let known = Known { names, predicate: flags & 2 != 0, list: flags & 4 != 0 };
    let asked = Arc::new(AtomicUsize::new(0));
    let listener = Negotiator::listener(Arc::new(set(&known, &asked)), greeting).with_limits(limits);

    let expected = reference::listener(&known, greeting, &limits, &sent);
    let run = |input: &[u8], how| {
        asked.store(0, Relaxed);
        check(&Driver::new(listener.clone(), Side::Listener, &limits).run(input, how), &expected, Side::Listener);
        assert!(asked.load(Relaxed) <= expected.proposals, "the predicate is asked more than once a proposal");
    };
    for how in [How::Whole, How::Bytes, How::Pieces(seed)] {
        run(&sent, how);
    }
    if let End::Agreed(_) = expected.end {
        run(&[&sent[..expected.used], &[0xff; 40]].concat(), How::Pieces(seed));
    }
    let mut listener = listener;
    let _ = listener.handle_input(&sent);
    match (listener.refused(), &expected.refused) {
        (None, None) => {}
        (Some(seen), Some(text)) => assert!(reference::same(text, seen)),
        (seen, text) => panic!("{seen:?}, not {text:?}"),
    }
});

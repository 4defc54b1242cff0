//! A dialer and a listener, each fed with any bytes in any pieces: no more bytes used than given, an outcome that
//! stays, and the same result whole as in pieces.
//!
//! Input: one byte of options, one byte that seeds the pieces, then what the peer sends. Seeds are in
//! `seeds/negotiator`.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sanswarm_multistream::ProtocolName;
use sanswarm_multistream_select::{Error, Greeting, Mode, Names, Negotiator, Outcome};

const NAMES: [&str; 4] = ["/noise", "/tls/1.0.0", "/yamux/1.0.0", "/ipfs/ping/1.0.0"];

type Verdict = (Result<(usize, Option<Outcome>), Error>, Vec<u8>);

fn verdict(mut negotiator: Negotiator, input: &[u8], mut piece: impl FnMut() -> usize) -> Verdict {
    let (mut used, mut seen) = (0, 0);
    let result = loop {
        seen = input.len().min(seen + piece());
        let offered = &input[used..seen];
        match negotiator.handle_input(offered) {
            Err(error) => break Err(error),
            Ok((n, outcome)) => {
                assert!(n <= offered.len(), "used more than was given");
                used += n;
                if outcome.is_some() || seen == input.len() {
                    break Ok((used, outcome));
                }
            }
        }
    };
    let stays = match &result {
        Err(error) => Err(*error),
        Ok((_, Some(_))) => Ok((0, None)),
        Ok((_, None)) => negotiator.handle_input(&input[used..]),
    };
    assert_eq!(negotiator.handle_input(&input[used..]), stays, "changed its mind");
    let mut sent = Vec::new();
    while negotiator.is_due() {
        assert!(negotiator.encode(usize::MAX, &mut sent) > 0, "due, but not written");
    }
    let end = negotiator.handle_eof();
    assert_eq!(negotiator.handle_eof(), end, "changed its mind");
    (result, sent)
}

fuzz_target!(|data: &[u8]| {
    let [options, seed, input @ ..] = data else { return };
    let names: Vec<_> =
        (0..4).filter(|i| options & (1 << i) != 0).map(|i| NAMES[i]).map(ProtocolName::from_static).collect();
    let mode = if options & 16 != 0 { Mode::Lazy } else { Mode::Wait };
    let greeting = if options & 32 != 0 { Greeting::AtOnce } else { Greeting::WithReply };
    let dialer = Negotiator::dialer(names.clone().into(), mode);
    let listener = Negotiator::listener(Arc::new(Names::new(names)), greeting);
    for negotiator in [dialer, listener] {
        let whole = verdict(negotiator.clone(), input, || input.len());
        let mut state = u32::from(*seed) | 1 << 8;
        let pieces = verdict(negotiator.clone(), input, || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 28) as usize + 1
        });
        assert_eq!(pieces, whole, "pieces matter");
        assert_eq!(verdict(negotiator, input, || 1), whole, "pieces matter");
    }
});

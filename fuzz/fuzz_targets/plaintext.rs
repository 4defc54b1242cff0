//! The exchange of `/plaintext/2.0.0` against any bytes.
//!
//! - Whole and byte by byte have the same end, and errors stay.
//! - Nothing behind the message is used, and what is behind it does not matter.
//! - Nobody waits for more than the longest message.
//! - What a claim says is in the message, and what makes a peer id makes the same one again when it is sent.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sanswarm_connection::plaintext::{Claim, Error, Exchange, MESSAGE_MAX};
use sanswarm_wire::SendBuf;

type Heard = Result<(usize, Option<Claim>), Error>;

fn hear(input: &[u8], piece: usize) -> Heard {
    let mut exchange = Exchange::new(b"key", b"id");
    let mut have = 0;
    loop {
        have = input.len().min(have + piece);
        let heard = exchange.handle_input(&input[..have]);
        if heard.is_err() {
            assert_eq!(exchange.handle_input(&[]), heard, "sticky");
        }
        if heard != Ok((0, None)) || have == input.len() {
            return heard;
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let heard = hear(data, usize::MAX);
    assert_eq!(hear(data, 1), heard);
    let Ok((used, Some(claim))) = &heard else {
        assert!(heard.is_err() || data.len() < MESSAGE_MAX + 2);
        return;
    };
    assert_eq!(hear(&[&data[..*used], &[0xff; 9]].concat(), usize::MAX), heard);
    assert!(!claim.id.is_empty() && !claim.identity_key.is_empty());
    let Ok(peer) = claim.peer_id() else { return };
    let (mut again, mut send) = (Exchange::new(&claim.identity_key, &claim.id), SendBuf::default());
    again.poll_transmit(&mut send);
    let (_, heard) = hear(send.ready(), usize::MAX).expect("what was just read");
    assert_eq!(heard.expect("whole").peer_id(), Ok(peer));
});

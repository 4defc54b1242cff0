//! Either end of a handshake against raw bytes, or against the honest messages after some edits.
//!
//! Only the honest bytes make a claim. What becomes of the input is the same in pieces and with other libraries, and an
//! error is for good.
//!
//! Input: flags (1 a listener, 2 the rest is raw bytes), two libraries, the seed of the pieces; then the bytes, or edits as
//! [`edit`] reads them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sanswarm_fuzz::{
    Input,
    noise::{deliver, edit, end, messages, sizes},
};
use sanswarm_noise::Error;
use sanswarm_wire::Role;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let (flags, libraries, seed) = (input.byte(), usize::from(input.byte()), input.byte());
    let role = if flags & 1 == 0 { Role::Dialer } else { Role::Listener };
    let [one, two, three] = messages();
    let honest = if role.is_dialer() { two.clone() } else { [&one[..], three].concat() };
    let wire = if flags & 2 == 0 {
        let mut wire = honest.clone();
        edit(&mut wire, &mut input);
        wire
    } else {
        input.rest().to_vec()
    };

    let mut whole = end(role, libraries);
    let outcome = deliver(&mut whole, &wire, || usize::MAX / 2);
    let is_honest = wire.starts_with(&honest);
    assert_eq!(outcome.claim.is_some(), is_honest, "{outcome:?}");
    assert_eq!(whole.is_done(), is_honest);
    if is_honest {
        assert_eq!((outcome.used, outcome.error), (honest.len(), None));
        assert!(whole.finish().is_ok());
    }
    if let Some(error) = outcome.error {
        let of_the_peer =
            matches!(error, Error::TooShort { .. } | Error::TooLong { .. } | Error::Authentication | Error::WeakKey);
        assert!(of_the_peer, "{error:?}");
    }

    let pieces = deliver(&mut end(role, libraries), &wire, sizes(seed));
    assert_eq!(pieces.claim, outcome.claim);
    assert_eq!(pieces.error, outcome.error);
    // A reply that is due when a later byte of the same call is at fault does not leave; in pieces it has left before.
    assert!(pieces.sent.starts_with(&outcome.sent));
    assert!(outcome.error.is_some() || pieces.sent == outcome.sent);
    let other = deliver(&mut end(role, libraries / 3), &wire, || usize::MAX / 2);
    assert_eq!(other, outcome);
});

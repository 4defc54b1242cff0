//! TLS handshakes and records against bytes that a peer may send.
//!
//! Input: a byte of flags (1: a dialer, else a listener; 2: against a real peer whose bytes are edited). Without a peer
//! the rest is all that comes. With one, edits follow, each of four bytes: which flight (0 to 2; 3 and 4 are records
//! of the dialer and of the listener behind the handshake), where (two bytes), and what (0 cuts, 1 repeats, 2 inserts,
//! 3 deletes, else flips).
//!
//! - Without a peer: whole and byte by byte have the same end, errors stay, nothing is done, and what is sent back is
//!   whole records.
//! - With one: both ends are done with one view, or not both; no changed record gives a byte.

#![no_main]

use std::sync::{Arc, OnceLock};

use libfuzzer_sys::fuzz_target;
use sanswarm_fuzz::Input;
use sanswarm_tls::{CertificateKey, Cipher, Config, Error, Handshake, Provider};
use sanswarm_wire::{Instant, RecvBuf, Role, SendBuf};

fn end(role: Role) -> Handshake {
    static CONFIGS: OnceLock<[Arc<Config>; 2]> = OnceLock::new();
    let configs = CONFIGS.get_or_init(|| {
        ["dialer", "listener"].map(|identity| {
            let key = CertificateKey::generate(Provider::Ring).expect("random numbers");
            let mut config = Config::new(&key, identity, "signature", 1_700_000_000).expect("a config");
            config.muxers = vec!["/yamux/1.0.0".into(), "/mplex/6.7.0".into()];
            Arc::new(config)
        })
    });
    let config = configs[usize::from(!role.is_dialer())].clone();
    Handshake::new(role, config, Instant::ZERO).expect("an end")
}

fn sent(end: &mut Handshake) -> Vec<u8> {
    let mut send = SendBuf::default();
    end.poll_transmit(&mut send);
    let bytes = send.ready().to_vec();
    let mut at = 0;
    while let Some(head) = bytes.get(at..at + 5) {
        at += 5 + usize::from(u16::from_be_bytes([head[3], head[4]]));
    }
    assert_eq!(at, bytes.len(), "whole records");
    bytes
}

/// Gives all of `input`, in pieces. Returns how much was used, and the error.
fn give(end: &mut Handshake, input: &[u8], piece: usize) -> (usize, Option<Error>) {
    let (mut used, mut have) = (0, 0);
    while have < input.len() {
        have = input.len().min(have + piece);
        match end.handle_input(&input[used..have]) {
            Ok((n, claim)) => {
                assert!(n <= have - used);
                used += n;
                if claim.is_some() {
                    end.handle_verdict(true).expect("a claim waits");
                }
            }
            Err(error) => {
                assert_eq!(end.handle_input(&[]), Err(error), "sticky");
                return (used, Some(error));
            }
        }
    }
    (used, None)
}

fn alone(role: Role, input: &[u8]) {
    let [mut whole, mut bytes] = [end(role), end(role)];
    if role.is_dialer() {
        assert!(!sent(&mut whole).is_empty() && !sent(&mut bytes).is_empty());
    }
    let (used, error) = give(&mut whole, input, usize::MAX);
    let (used_by_bytes, error_by_bytes) = give(&mut bytes, input, 1);
    assert_eq!(error, error_by_bytes);
    assert!(error.is_some() || used == used_by_bytes);
    for mut end in [whole, bytes] {
        sent(&mut end);
        assert!(!end.is_done(), "nobody can know what only a peer can know");
        assert!(end.finish().is_err());
    }
}

fn edit(input: &mut Input<'_>, edits: &[[u8; 4]], flight: u8, bytes: &mut Vec<u8>) -> bool {
    let before = bytes.clone();
    for [_, high, low, what] in edits.iter().filter(|edit| edit[0] % 5 == flight) {
        let at = usize::from(u16::from_be_bytes([*high, *low])).min(bytes.len().saturating_sub(1));
        match what {
            0 => bytes.truncate(at),
            1 => bytes.extend_from_within(at..),
            2 => bytes.insert(at, input.byte()),
            3 => drop(bytes.drain(at..(at + 1).min(bytes.len()))),
            flip => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= flip),
        }
    }
    *bytes != before
}

fn with_peer(mut input: Input<'_>) {
    let edits: Vec<[u8; 4]> = (0..input.byte() % 8).map(|_| [0; 4].map(|_| input.byte())).collect();
    let (mut dialer, mut listener) = (end(Role::Dialer), end(Role::Listener));
    for flight in 0..3 {
        let (from, to) = if flight == 1 { (&mut listener, &mut dialer) } else { (&mut dialer, &mut listener) };
        let mut bytes = sent(from);
        edit(&mut input, &edits, flight, &mut bytes);
        give(to, &bytes, 1 + usize::from(input.byte()) * 8);
    }
    if !(dialer.is_done() && listener.is_done()) {
        return;
    }
    let ((mut a, at_dialer), (mut b, at_listener)) = (dialer.finish().expect("done"), listener.finish().expect("done"));
    assert_eq!(at_dialer, at_listener, "one view");
    let mut clean = true;
    for (flight, from, to) in [(3, 0, 1), (4, 1, 0)] {
        let ends = [&mut a, &mut b];
        let mut send = SendBuf::default();
        send.set_framing(Cipher::framing());
        assert!(send.append(b"payload"));
        ends[from].close(&mut send).expect("room");
        let mut bytes = send.ready().to_vec();
        let is_changed = edit(&mut input, &edits, flight, &mut bytes);
        clean &= !is_changed;
        let mut recv = RecvBuf::default();
        recv.feed(&bytes);
        let ends = [&mut a, &mut b];
        while matches!(ends[to].open(&mut recv), Ok(true)) {}
        assert!(b"payload".starts_with(recv.plain()) && [0, 7].contains(&recv.plain().len()));
        assert!(is_changed || recv.plain() == b"payload");
        assert!(!clean || ends[to].is_closed(), "who has seen a fault says so instead of goodbye");
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let flags = input.byte();
    let role = if flags & 1 == 1 { Role::Dialer } else { Role::Listener };
    if flags & 2 == 2 { with_peer(input) } else { alone(role, input.rest()) }
});

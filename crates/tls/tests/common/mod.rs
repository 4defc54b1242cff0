//! Ends of handshakes: ours, and whole connections of rustls with any certificate.

#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod foreign;
pub(crate) mod recipe;

use std::sync::Arc;

use bytes::Bytes;
use sanswarm_tls::{CertificateKey, Cipher, Claim, Config, Error, Handshake, Provider};
use sanswarm_wire::{Instant, RecvBuf, Role, SendBuf};

/// A day in 2023.
pub(crate) const NOW: u64 = 1_700_000_000;
pub(crate) const WHOLE: &[usize] = &[usize::MAX / 2];

pub(crate) fn provider() -> Provider {
    Provider::fastest().unwrap()
}

pub(crate) fn config(role: Role) -> Config {
    let identity = if role.is_dialer() { "dialer key" } else { "listener key" };
    let key = CertificateKey::generate(provider()).unwrap();
    Config::new(&key, identity, "signature", NOW).unwrap()
}

pub(crate) fn muxers(names: &[&str]) -> Vec<Bytes> {
    names.iter().map(|name| Bytes::copy_from_slice(name.as_bytes())).collect()
}

pub(crate) fn end_with(role: Role, change: impl FnOnce(&mut Config)) -> Handshake {
    let mut config = config(role);
    change(&mut config);
    Handshake::new(role, Arc::new(config), Instant::ZERO).unwrap()
}

pub(crate) fn end(role: Role) -> Handshake {
    end_with(role, |_| {})
}

pub(crate) fn both() -> (Handshake, Handshake) {
    (end(Role::Dialer), end(Role::Listener))
}

/// What is due.
pub(crate) fn sent(end: &mut Handshake) -> Vec<u8> {
    let mut send = SendBuf::default();
    let n = end.poll_transmit(&mut send);
    assert_eq!(n, send.ready().len());
    send.ready().to_vec()
}

/// Gives `bytes` in pieces as long as `cuts` says, as a driver does: what was not used comes again. Says yes to the
/// claim. Returns how many bytes were used in all, and the claim.
pub(crate) fn deliver(end: &mut Handshake, bytes: &[u8], cuts: &[usize]) -> Result<(usize, Option<Claim>), Error> {
    let (mut used, mut have, mut claimed) = (0, 0, None);
    for cut in cuts.iter().cycle() {
        have = (have + cut).min(bytes.len());
        let (n, claim) = end.handle_input(&bytes[used..have])?;
        used += n;
        if let Some(claim) = claim {
            assert!(claimed.replace(claim).is_none());
            end.handle_verdict(true)?;
        }
        if have == bytes.len() {
            break;
        }
    }
    Ok((used, claimed))
}

/// The three flights of a whole handshake, with the claims that the listener and the dialer make.
pub(crate) fn run(dialer: &mut Handshake, listener: &mut Handshake, cuts: &[usize]) -> ([Vec<u8>; 3], [Claim; 2]) {
    let one = sent(dialer);
    assert_eq!(deliver(listener, &one, cuts), Ok((one.len(), None)));
    let two = sent(listener);
    let (used, by_listener) = deliver(dialer, &two, cuts).unwrap();
    assert_eq!(used, two.len());
    let three = sent(dialer);
    let (used, by_dialer) = deliver(listener, &three, cuts).unwrap();
    assert_eq!(used, three.len());
    ([one, two, three], [by_listener.unwrap(), by_dialer.unwrap()])
}

/// The ciphers of a dialer and of a listener.
pub(crate) fn ciphers() -> (Cipher, Cipher) {
    let (mut dialer, mut listener) = both();
    run(&mut dialer, &mut listener, WHOLE);
    (dialer.finish().unwrap().0, listener.finish().unwrap().0)
}

pub(crate) fn seal(cipher: &mut Cipher, text: &[u8]) -> Vec<u8> {
    let mut send = SendBuf::default();
    send.set_framing(Cipher::framing());
    assert!(send.append(text));
    assert_eq!(cipher.seal(&mut send), Ok(true));
    send.ready().to_vec()
}

pub(crate) fn goodbye(cipher: &mut Cipher) -> Vec<u8> {
    let mut send = SendBuf::default();
    assert_eq!(cipher.close(&mut send), Ok(true));
    send.ready().to_vec()
}

pub(crate) fn received(bytes: &[u8]) -> RecvBuf {
    let mut recv = RecvBuf::default();
    assert_eq!(recv.feed(bytes), bytes.len());
    recv
}

/// All plaintext of `bytes`.
pub(crate) fn try_open(cipher: &mut Cipher, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut recv = received(bytes);
    while cipher.open(&mut recv)? {}
    Ok(recv.plain().to_vec())
}

pub(crate) fn open(cipher: &mut Cipher, bytes: &[u8]) -> Vec<u8> {
    try_open(cipher, bytes).unwrap()
}

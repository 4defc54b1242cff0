//! Against snow with its own primitives: another implementation of all but the framing and the payload.

#![cfg(any(feature = "aws-lc", feature = "openssl", feature = "ring", feature = "rustcrypto"))]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::*;
use sanswarm_noise::{Aead, Cipher, Dh, Handshake, StaticKey};
use sanswarm_wire::{RecvBuf, Role, SendBuf};
use snow::{Builder, HandshakeState, TransportState};

const PAYLOAD: &[u8] = b"\x0a\x05other\x12\x03sig\x1a\x03old\x22\x0e\x12\x0c/yamux/1.0.0";

fn plain(role: Role) -> HandshakeState {
    let (secret, ephemeral) = match role {
        Role::Dialer => (DIALER_STATIC, DIALER_EPHEMERAL),
        Role::Listener => (LISTENER_STATIC, LISTENER_EPHEMERAL),
    };
    let builder = Builder::new("Noise_XX_25519_ChaChaPoly_SHA256".parse().unwrap());
    let builder = builder.local_private_key(&secret).unwrap().fixed_ephemeral_key_for_testing_only(&ephemeral);
    if role.is_dialer() { builder.build_initiator().unwrap() } else { builder.build_responder().unwrap() }
}

fn framed(write: impl FnOnce(&mut [u8]) -> Result<usize, snow::Error>) -> Vec<u8> {
    let mut out = vec![0; 65_537];
    let len = write(&mut out[2..]).unwrap();
    out.truncate(2 + len);
    out[..2].copy_from_slice(&(len as u16).to_be_bytes());
    out
}

fn unframed(bytes: &[u8], read: impl FnOnce(&[u8], &mut [u8]) -> Result<usize, snow::Error>) -> Vec<u8> {
    let mut out = vec![0; 65_537];
    let len = read(&bytes[2..], &mut out).unwrap();
    out.truncate(len);
    out
}

fn talk(ours: Handshake, theirs: HandshakeState) {
    let (mut ours, remote) = ours.finish().unwrap();
    assert_eq!(remote.muxers, Some(vec!["/yamux/1.0.0".into()]));
    let mut theirs: TransportState = theirs.into_transport_mode().unwrap();
    let (mut send, mut recv) = (SendBuf::default(), RecvBuf::default());
    send.set_framing(Cipher::framing());
    for text in [&b"one"[..], &[7; 65_519], b"three"] {
        assert!(send.append(text));
        ours.seal(&mut send).unwrap();
        assert_eq!(unframed(send.ready(), |bytes, out| theirs.read_message(bytes, out)), text);
        send.sent(usize::MAX / 2);
        recv.feed(&framed(|out| theirs.write_message(text, out)));
        assert_eq!(ours.open(&mut recv), Ok(true));
        assert_eq!(recv.plain(), text);
        recv.consume(text.len());
    }
    recv.feed(&framed(|out| theirs.write_message(b"", out)));
    assert_eq!(ours.open(&mut recv), Ok(true), "an empty frame");
    assert!(recv.is_empty());
}

/// Our end with each library.
fn each(role: Role, test: fn(Handshake)) {
    for aead in Aead::ALL.into_iter().filter(|aead| aead.is_available()) {
        for dh in Dh::ALL.into_iter().filter(|dh| dh.is_available()) {
            test(end_with(role, |config| {
                config.aead = Some(aead);
                config.key = StaticKey::with_dh(dh, DIALER_STATIC).unwrap();
            }));
        }
    }
}

#[test]
fn our_dialer_meets_a_plain_listener() {
    each(Role::Dialer, dial);
}

fn dial(mut ours: Handshake) {
    let mut theirs = plain(Role::Listener);
    assert_eq!(unframed(&sent(&mut ours), |bytes, out| theirs.read_message(bytes, out)), b"");
    let two = framed(|out| theirs.write_message(PAYLOAD, out));
    let claim = deliver(&mut ours, &two, &[5]).unwrap().1.unwrap();
    assert_eq!((&claim.identity_key[..], &claim.signature[..]), (&b"other"[..], &b"sig"[..]));
    let payload = unframed(&sent(&mut ours), |bytes, out| theirs.read_message(bytes, out));
    assert_eq!(payload, b"\x0a\x0adialer key\x12\x09signature");
    talk(ours, theirs);
}

#[test]
fn a_plain_dialer_meets_our_listener() {
    each(Role::Listener, listen);
}

fn listen(mut ours: Handshake) {
    let mut theirs = plain(Role::Dialer);
    ours.handle_input(&framed(|out| theirs.write_message(b"", out))).unwrap();
    let payload = unframed(&sent(&mut ours), |bytes, out| theirs.read_message(bytes, out));
    assert_eq!(payload, b"\x0a\x0clistener key\x12\x09signature");
    let three = framed(|out| theirs.write_message(PAYLOAD, out));
    assert_eq!(deliver(&mut ours, &three, &[5]).unwrap().1.unwrap().identity_key, "other");
    talk(ours, theirs);
}

#[test]
fn the_bytes_are_the_same() {
    let (mut dialer, mut listener) = (end(Role::Dialer), end(Role::Listener));
    let ([one, two, three], _) = run(&mut dialer, &mut listener, &[1]);
    let (mut dialer, mut listener) = (plain(Role::Dialer), plain(Role::Listener));
    assert_eq!(framed(|out| dialer.write_message(b"", out)), one);
    unframed(&one, |bytes, out| listener.read_message(bytes, out));
    assert_eq!(framed(|out| listener.write_message(b"\x0a\x0clistener key\x12\x09signature", out)), two);
    unframed(&two, |bytes, out| dialer.read_message(bytes, out));
    assert_eq!(framed(|out| dialer.write_message(b"\x0a\x0adialer key\x12\x09signature", out)), three);
}

#[test]
fn a_payload_that_is_none_is_a_typed_error() {
    for (payload, error) in [
        (&b""[..], sanswarm_noise::Error::NoIdentity),
        (b"\x0a\x7f", sanswarm_noise::Error::PayloadTruncated),
        (b"\x0b", sanswarm_noise::Error::PayloadField),
    ] {
        let (mut ours, mut theirs) = (end(Role::Dialer), plain(Role::Listener));
        unframed(&sent(&mut ours), |bytes, out| theirs.read_message(bytes, out));
        let two = framed(|out| theirs.write_message(payload, out));
        assert_eq!(ours.handle_input(&two), Err(error));
        assert_eq!(ours.handle_verdict(true), Err(error));
    }
}

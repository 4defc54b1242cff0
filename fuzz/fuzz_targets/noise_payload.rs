//! The payload of a handshake, from a peer that holds the right keys and says anything: `snow`, with its own primitives.
//!
//! What `prost` reads is read alike; groups are the one thing that it takes and ours does not.
//!
//! Input: flags (1 we listen), then the payload.

#![no_main]

use libfuzzer_sys::fuzz_target;
use prost::Message;
use sanswarm_fuzz::{
    Input,
    noise::{end, secrets_of, sent},
};
use sanswarm_noise::{Claim, Error, Handshake};
use sanswarm_wire::Role;
use snow::{Builder, HandshakeState};

#[derive(Clone, PartialEq, Message)]
struct Payload {
    #[prost(bytes = "vec", tag = "1")]
    identity_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    identity_sig: Vec<u8>,
    #[prost(message, tag = "4")]
    extensions: Option<Extensions>,
}

#[derive(Clone, PartialEq, Message)]
struct Extensions {
    #[prost(bytes = "vec", repeated, tag = "2")]
    stream_muxers: Vec<Vec<u8>>,
}

/// The longest payload that keeps the limit of a message.
const PAYLOAD_MAX: usize = 16 * 1024 - 96;

fn peer(role: Role) -> HandshakeState {
    let [key, ephemeral] = secrets_of(role);
    let builder = Builder::new("Noise_XX_25519_ChaChaPoly_SHA256".parse().expect("a pattern"));
    let builder = builder.local_private_key(&key).expect("once").fixed_ephemeral_key_for_testing_only(&ephemeral);
    if role.is_dialer() { builder.build_initiator() } else { builder.build_responder() }.expect("complete")
}

fn write(peer: &mut HandshakeState, payload: &[u8]) -> Vec<u8> {
    let mut message = vec![0; 2 + 96 + payload.len() + 16];
    let n = peer.write_message(payload, &mut message[2..]).expect("room");
    message.truncate(2 + n);
    message[..2].copy_from_slice(&(n as u16).to_be_bytes());
    message
}

fn read(peer: &mut HandshakeState, message: &[u8]) {
    peer.read_message(&message[2..], &mut [0; 1024]).expect("honest");
}

/// Our end, with what it made of the payload.
fn meet(role: Role, payload: &[u8]) -> (Handshake, Result<Option<Claim>, Error>) {
    let mut ours = end(role, 0);
    let message = if role.is_dialer() {
        let mut peer = peer(Role::Listener);
        read(&mut peer, &sent(&mut ours));
        write(&mut peer, payload)
    } else {
        let mut peer = peer(Role::Dialer);
        ours.handle_input(&write(&mut peer, b"")).expect("honest");
        read(&mut peer, &sent(&mut ours));
        write(&mut peer, payload)
    };
    let result = ours.handle_input(&message).map(|(used, claim)| {
        assert_eq!(used, message.len());
        claim
    });
    (ours, result)
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let role = if input.byte() & 1 == 0 { Role::Dialer } else { Role::Listener };
    let payload = input.take(PAYLOAD_MAX);
    let (mut ours, result) = meet(role, payload);
    match (Payload::decode(payload), result) {
        (Ok(theirs), Ok(Some(claim))) => {
            assert_eq!(
                (&claim.identity_key[..], &claim.signature[..]),
                (&theirs.identity_key[..], &theirs.identity_sig[..])
            );
            ours.handle_verdict(true).expect("a claim");
            sent(&mut ours);
            let muxers = ours.finish().expect("done").1.muxers;
            let kept = theirs.extensions.map(|extensions| extensions.stream_muxers).unwrap_or_default();
            let kept: Vec<_> = kept.into_iter().filter(|muxer| muxer.len() <= 256).take(100).collect();
            assert_eq!(muxers.unwrap_or_default(), kept);
        }
        (Ok(theirs), Err(Error::NoIdentity)) => {
            assert!(theirs.identity_key.is_empty() || theirs.identity_sig.is_empty())
        }
        (Ok(_), Err(error)) => assert_eq!(error, Error::PayloadField, "a group"),
        // prost refuses a known field of another wire type, which protobuf calls unknown.
        (Err(_), Ok(claim)) => assert!(claim.is_some_and(|claim| !claim.identity_key.is_empty())),
        (Err(_), Err(error)) => {
            let typed = [Error::PayloadTruncated, Error::PayloadVarint, Error::PayloadField, Error::NoIdentity];
            assert!(typed.contains(&error), "{error:?}");
            assert_eq!(ours.handle_verdict(true), Err(error), "sticky");
        }
        (Ok(_), Ok(None)) => panic!("a whole message makes a claim or an error"),
    }
});

//! Peers with each type of identity key, and with signatures that are not theirs.

#![cfg(all(feature = "secp256k1", feature = "ecdsa", feature = "rsa"))]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{ByHand, DIALER, End, LISTENER, noise, now, peer};
use libp2p_identity::{Keypair, PeerId};
use sanswarm_connection::{Connection, Error, Event, Limits};
use sanswarm_noise::StaticKey;
use sanswarm_wire::Role;

const KEYS: [(&str, &str); 4] = [
    ("rsa", include_str!("keys/rsa.txt")),
    ("ed25519", include_str!("keys/ed25519.txt")),
    ("secp256k1", include_str!("keys/secp256k1.txt")),
    ("ecdsa", include_str!("keys/ecdsa.txt")),
];

/// A keypair of the peer-ids specification, and the id that it must have.
fn keypair(text: &str) -> (Keypair, PeerId) {
    let mut lines = text.lines();
    let private = lines.next().unwrap();
    let bytes: Vec<_> =
        (0..private.len()).step_by(2).map(|at| u8::from_str_radix(&private[at..at + 2], 16).unwrap()).collect();
    (Keypair::from_protobuf_encoding(&bytes).unwrap(), lines.nth(1).unwrap().parse().unwrap())
}

/// Noise of the identity `keypair`, which has signed `message`.
fn signed(keypair: &Keypair, message: impl FnOnce(&StaticKey) -> Vec<u8>) -> sanswarm_noise::Config {
    let key = StaticKey::from_secret([3; 32]);
    let signature = keypair.sign(&message(&key)).unwrap();
    sanswarm_noise::Config::new(key, keypair.public().encode_protobuf(), signature)
}

fn right(key: &StaticKey) -> Vec<u8> {
    key.message().to_vec()
}

/// What our end in the role `role` makes of a peer with that identity: who it is, or the error.
fn meet(role: Role, identity: sanswarm_noise::Config, expected: Option<PeerId>) -> Result<PeerId, Error> {
    let (mut ours, theirs) = match role {
        Role::Dialer => {
            let config = common::config(DIALER, Limits::default());
            (End::of(Connection::new(now(), role, config, expected, [9; 32])), Role::Listener)
        }
        Role::Listener => {
            let config = common::config(LISTENER, Limits::default());
            (End::of(Connection::new(now(), role, config, expected, [9; 32])), Role::Dialer)
        }
    };
    let mut peer = ByHand::new(theirs, &["/noise"], identity, &["/yamux/1.0.0"]);
    peer.run_with(&mut ours);
    if let Some(error) = ours.error {
        assert!(!ours.events.iter().any(|event| matches!(event, Event::Ready { .. })), "never both");
        return Err(error);
    }
    let ready = ours.events.iter().find_map(|event| match event {
        Event::Ready { peer, .. } => Some(*peer),
        _ => None,
    });
    Ok(ready.unwrap())
}

#[test]
fn peers_with_each_type_of_key_are_known_by_their_ids() {
    for (name, text) in KEYS {
        let (keypair, id) = keypair(text);
        for role in [Role::Dialer, Role::Listener] {
            assert_eq!(meet(role, signed(&keypair, right), None), Ok(id), "{name}, {role:?}");
            assert_eq!(meet(role, signed(&keypair, right), Some(id)), Ok(id), "{name}, {role:?}");
            let wrong = meet(role, signed(&keypair, right), Some(peer(99)));
            assert_eq!(wrong, Err(Error::WrongPeer { expected: peer(99), got: id }), "{name}, {role:?}");
        }
    }
}

#[test]
fn wrong_signatures_of_each_type_are_refused_in_both_roles() {
    for (name, text) in KEYS {
        let (keypair, _) = keypair(text);
        for role in [Role::Dialer, Role::Listener] {
            let refused = |identity, what: &str| {
                assert_eq!(meet(role, identity, None), Err(Error::IdentitySignature), "{name}, {role:?}: {what}");
            };
            refused(signed(&keypair, |_| b"something else".to_vec()), "of another message");
            refused(signed(&keypair, |key| key.public().to_vec()), "of the static key alone");
            let other = |_: &StaticKey| right(&StaticKey::from_secret([4; 32]));
            refused(signed(&keypair, other), "of another static key, as a replayed payload has it");
            let mut identity = signed(&keypair, right);
            identity.signature = noise(7).signature;
            refused(identity, "of somebody else");
            let whole = signed(&keypair, right).signature;
            for at in [0, whole.len() / 2, whole.len() - 1] {
                let (mut identity, mut bad) = (signed(&keypair, right), whole.to_vec());
                bad[at] ^= 1;
                identity.signature = bad.into();
                refused(identity, "changed");
            }
            for bad in [whole[..whole.len() - 1].to_vec(), [&whole[..], &[0]].concat(), vec![0; whole.len()], vec![0]] {
                let mut identity = signed(&keypair, right);
                identity.signature = bad.into();
                refused(identity, "malformed");
            }
        }
    }
}

#[test]
fn the_key_of_another_type_does_not_verify() {
    for (name, text) in KEYS {
        for (other, other_text) in KEYS.into_iter().filter(|(other, _)| *other != name) {
            let mut identity = signed(&keypair(text).0, right);
            identity.identity_key = keypair(other_text).0.public().encode_protobuf().into();
            for role in [Role::Dialer, Role::Listener] {
                assert_eq!(meet(role, identity.clone(), None), Err(Error::IdentitySignature), "{name} as {other}");
            }
        }
    }
}

#[test]
fn keys_that_are_none_are_refused_by_their_type() {
    for (bytes, key_type) in
        [(&b"\x08\x01\x12\x01a"[..], Some(1)), (b"\x08\x02\x12\x01a", Some(2)), (b"\x08\x07\x12\x01a", Some(7))]
    {
        for role in [Role::Dialer, Role::Listener] {
            let mut identity = noise(7);
            identity.identity_key = bytes.to_vec().into();
            let met = meet(role, identity, None);
            assert!(matches!(met, Err(Error::IdentityKey { key_type: got, .. }) if got == key_type), "{met:?}");
        }
    }
}

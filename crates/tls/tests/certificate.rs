//! Certificates, without a handshake.

#![cfg(any(feature = "ring", feature = "aws-lc"))]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{
    NOW, config, provider,
    recipe::{CRITICAL, ECDSA_SHA1, ECDSA_SHA384, LIBP2P, OTHER, Recipe, extension, signed_key, tlv},
};
use libp2p_identity::PublicKey;
use proptest::prelude::*;
use sanswarm_tls::{ANY_TIME, CertificateError, CertificateKey, Claim, Config, Error, Provider};
use sanswarm_wire::Role;

fn read(der: &[u8]) -> Result<Claim, CertificateError> {
    read_at(der, NOW)
}

fn read_at(der: &[u8], unix_seconds: u64) -> Result<Claim, CertificateError> {
    Claim::from_certificate(der, unix_seconds, provider()).map_err(|error| match error {
        Error::Certificate(error) => error,
        error => panic!("{error}"),
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|two| u8::from_str_radix(core::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

#[test]
fn the_certificates_of_the_spec_name_their_peers() {
    for (hex, peer) in [
        (include_str!("vectors/ed25519.hex"), "12D3KooWM6CgA9iBFZmcYAHA6A2qvbAxqfkmrYiRQuz3XEsk4Ksv"),
        (include_str!("vectors/ecdsa.hex"), "QmfXbAwNjJLXfesgztEHe8HwgVDCMMpZ9Eax1HYq6hn9uE"),
        (include_str!("vectors/secp256k1.hex"), "16Uiu2HAkutTMoTzDw1tCvSRtu6YoixJwS46S1ZFxW8hSx9fWHiPs"),
    ] {
        let claim = read(&unhex(hex)).unwrap();
        let key = PublicKey::try_decode_protobuf(&claim.identity_key).unwrap();
        assert_eq!(key.to_peer_id().to_string(), peer);
        assert!(key.verify(&claim.message, &claim.signature), "{peer}");
        assert!(!key.verify(&claim.message[1..], &claim.signature), "{peer}");
    }
}

#[test]
fn the_invalid_certificate_of_the_spec_fails_at_the_identity() {
    let claim = read(&unhex(include_str!("vectors/invalid.hex"))).unwrap();
    let key = PublicKey::try_decode_protobuf(&claim.identity_key).unwrap();
    assert!(!key.verify(&claim.message, &claim.signature));
}

#[test]
fn our_own_certificate_says_what_it_was_given() {
    let key = CertificateKey::generate(provider()).unwrap();
    let der = Config::new(&key, "identity", "signature", 0).unwrap().certificate();
    let claim = read(&der).unwrap();
    assert_eq!(claim.message, key.message());
    assert!(key.message().starts_with(b"libp2p-tls-handshake:\x30\x59\x30\x13"));
    assert_eq!((&claim.identity_key[..], &claim.signature[..]), (&b"identity"[..], &b"signature"[..]));
    // [3] { SEQUENCE { SEQUENCE { the id, no BOOLEAN: the first extension, and not critical.
    let start = tlv(4, &[&signed_key(b"identity", b"signature")]);
    let one = tlv(0x30, &[LIBP2P, &start]);
    let all = tlv(0xa3, &[&tlv(0x30, &[&one])]);
    assert!(der.windows(all.len()).any(|part| part == all));
    assert_ne!(der, config(Role::Dialer).certificate(), "a new key and number each time");
}

#[test]
fn keys_may_be_kept() {
    let made = Recipe::default().make();
    let key = CertificateKey::from_pkcs8(provider(), &made.key).unwrap();
    assert_eq!(key.message(), [&b"libp2p-tls-handshake:"[..], &made.public].concat());
    assert!(!format!("{key:?}").contains("secret") && !format!("{key:?}").contains(", 1"));
    for bad in [&made.key[1..], &Recipe { ed25519: true, ..Recipe::default() }.make().key, b""] {
        assert!(matches!(CertificateKey::from_pkcs8(provider(), bad), Err(Error::OwnKey)));
    }
    for missing in [Provider::AwsLc, Provider::Ring].into_iter().filter(|provider| !provider.is_available()) {
        assert!(matches!(CertificateKey::generate(missing), Err(Error::NoProvider)));
        assert!(matches!(CertificateKey::from_pkcs8(missing, &made.key), Err(Error::NoProvider)));
        assert_eq!(Claim::from_certificate(&made.der, NOW, missing), Err(Error::NoProvider));
    }
    for (identity, signature) in [("", "signature"), ("identity", "")] {
        assert!(matches!(Config::new(&key, identity, signature, NOW), Err(Error::OwnConfig)));
    }
}

#[test]
fn what_the_spec_allows_is_accepted() {
    let libp2p = extension(LIBP2P, &[], &signed_key(b"identity", b"signature"));
    for (what, recipe) in [
        ("plain", Recipe::default()),
        ("critical", Recipe::extensions(&[extension(LIBP2P, CRITICAL, &signed_key(b"identity", b"signature"))])),
        (
            "others around",
            Recipe::extensions(&[extension(OTHER, &[], b"?"), libp2p.clone(), extension(OTHER, &[], b"")]),
        ),
        (
            "a default that is written",
            Recipe::extensions(&[extension(LIBP2P, &[1, 1, 0], &signed_key(b"identity", b"signature"))]),
        ),
        ("an Ed25519 key", Recipe { ed25519: true, ..Recipe::default() }),
    ] {
        let made = recipe.make();
        let claim = read(&made.der).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!((&claim.identity_key[..], &claim.signature[..]), (&b"identity"[..], &b"signature"[..]), "{what}");
        assert_eq!(claim.message, [&b"libp2p-tls-handshake:"[..], &made.public].concat(), "{what}");
    }
}

#[test]
fn what_the_spec_does_not_allow_is_a_typed_error() {
    use CertificateError as E;
    let value = signed_key(b"identity", b"signature");
    let libp2p = extension(LIBP2P, &[], &value);
    let with = |value: &[u8]| Recipe::extensions(&[extension(LIBP2P, &[], value)]);
    for (what, recipe, error) in [
        ("no extensions", Recipe { extensions: None, ..Recipe::default() }, E::NoExtension),
        ("none of them", Recipe::extensions(&[]), E::NoExtension),
        ("another one", Recipe::extensions(&[extension(OTHER, &[], &value)]), E::NoExtension),
        ("two", Recipe::extensions(&[libp2p.clone(), libp2p.clone()]), E::TwoExtensions),
        ("critical first", Recipe::extensions(&[extension(OTHER, CRITICAL, b""), libp2p.clone()]), E::Critical),
        ("critical last", Recipe::extensions(&[libp2p.clone(), extension(OTHER, CRITICAL, b"")]), E::Critical),
        ("no boolean", Recipe::extensions(&[extension(LIBP2P, &[1, 1, 7], &value)]), E::Der),
        ("no value", with(b""), E::Extension),
        ("no sequence", with(b"\x04\x01k"), E::Extension),
        ("one string", with(&tlv(0x30, &[&tlv(4, &[b"key"])])), E::Extension),
        ("three strings", with(&tlv(0x30, &[&[4, 1, 1].repeat(3)])), E::Extension),
        ("bit strings", with(&tlv(0x30, &[&[3, 2, 0, 1].repeat(2)])), E::Extension),
        ("bytes behind", with(&[&value[..], b"!"].concat()), E::Extension),
        ("cut", with(&value[..value.len() - 1]), E::Extension),
        ("no key", with(&signed_key(b"", b"signature")), E::Extension),
        ("no signature", with(&signed_key(b"identity", b"")), E::Extension),
        ("version 1", Recipe { version: Vec::new(), ..Recipe::default() }, E::Version),
        ("version 2", Recipe { version: tlv(0xa0, &[&[2, 1, 1]]), ..Recipe::default() }, E::Version),
        ("version 4", Recipe { version: tlv(0xa0, &[&[2, 1, 3]]), ..Recipe::default() }, E::Version),
        ("an issuer's id", Recipe { unique_id: tlv(0x81, &[&[0, 1]]), ..Recipe::default() }, E::UniqueId),
        ("a subject's id", Recipe { unique_id: tlv(0x82, &[&[0, 1]]), ..Recipe::default() }, E::UniqueId),
        ("a forgery", Recipe { forged: true, ..Recipe::default() }, E::SelfSignature),
        ("SHA-1", Recipe { algorithm: ECDSA_SHA1.to_vec(), ..Recipe::default() }, E::Algorithm),
        ("another hash", Recipe { algorithm: ECDSA_SHA384.to_vec(), ..Recipe::default() }, E::SelfSignature),
        ("two algorithms", Recipe { outer_algorithm: Some(ECDSA_SHA384.to_vec()), ..Recipe::default() }, E::Der),
        ("no date", Recipe { not_before: tlv(0x17, &[b"today"]), ..Recipe::default() }, E::Der),
        ("no such day", Recipe { not_before: tlv(0x17, &[b"230230000000Z"]), ..Recipe::default() }, E::Der),
        ("bytes behind all", Recipe { behind: vec![0], ..Recipe::default() }, E::Der),
    ] {
        assert_eq!(read(&recipe.make().der), Err(error), "{what}");
    }
}

#[test]
fn dates_are_inclusive() {
    let not_before = tlv(0x17, &[b"231114221320Z"]); // 1,700,000,000
    let recipe = Recipe { not_before, not_after: tlv(0x18, &[b"20231114221420Z"]), ..Recipe::default() };
    let der = recipe.make().der;
    for (at, error) in [
        (0, Some(CertificateError::NotYetValid)),
        (NOW - 1, Some(CertificateError::NotYetValid)),
        (NOW, None),
        (NOW + 60, None),
        (NOW + 61, Some(CertificateError::Expired)),
        (u64::MAX - 1, Some(CertificateError::Expired)),
        (ANY_TIME, None),
    ] {
        assert_eq!(read_at(&der, at).err(), error, "{at}");
    }
}

#[test]
fn every_prefix_and_every_flip_is_refused() {
    let der = config(Role::Dialer).certificate();
    for len in 0..der.len() {
        assert_eq!(read(&der[..len]), Err(CertificateError::Der), "{len} bytes");
    }
    for at in 0..der.len() {
        for flip in [1, 0x80, 0xff] {
            let mut bad = der.to_vec();
            bad[at] ^= flip;
            assert!(read(&bad).is_err(), "byte {at} ^ {flip:#x}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused(input in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&input).is_err());
    }

    #[test]
    fn any_extension_is_read_or_refused(value in prop::collection::vec(any::<u8>(), 0..40), critical in any::<[u8; 3]>()) {
        let der = Recipe::extensions(&[extension(LIBP2P, &critical, &value)]).make().der;
        prop_assert!(read(&der).is_err_and(|error| error != CertificateError::SelfSignature));
        let claim = read(&Recipe::extensions(&[extension(LIBP2P, &[], &signed_key(b"k", &[&value[..], b"s"].concat()))]).make().der);
        prop_assert_eq!(&claim.unwrap().signature[..], &[&value[..], b"s"].concat()[..]);
    }
}

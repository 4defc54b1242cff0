//! Certificates that sign themselves, around any body.

use ring::signature::{Ed25519KeyPair, KeyPair};

const ED25519: &[u8] = &[0x30, 5, 6, 3, 0x2b, 0x65, 0x70];

/// The DER of a value.
pub fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let len = (body.len() as u32).to_be_bytes();
    let head = match body.len() {
        0..0x80 => vec![tag, len[3]],
        0x80..0x100 => vec![tag, 0x81, len[3]],
        0x100..0x1_0000 => vec![tag, 0x82, len[2], len[3]],
        _ => vec![tag, 0x83, len[1], len[2], len[3]],
    };
    [head, body].concat()
}

fn key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[1; 32]).expect("a seed")
}

/// The inside of a `TBSCertificate` of the key that [`signed`] signs with. `extensions` is the inside of their sequence.
pub fn body(extensions: &[u8]) -> Vec<u8> {
    let dates = [tlv(0x17, &[b"231114000000Z"]), tlv(0x18, &[b"21231114000000Z"])];
    let public = tlv(0x30, &[ED25519, &tlv(3, &[&[0], key().public_key().as_ref()])]);
    [
        &[0xa0, 3, 2, 1, 2, 2, 1, 7][..],
        ED25519,
        &[0x30, 0],
        &tlv(0x30, &[&dates[0], &dates[1]]),
        &[0x30, 0],
        &public,
        &tlv(0xa3, &[&tlv(0x30, &[extensions])]),
    ]
    .concat()
}

/// A certificate around the inside of a `TBSCertificate`.
pub fn signed(body: &[u8]) -> Vec<u8> {
    let body = tlv(0x30, &[body]);
    let proof = key().sign(&body);
    tlv(0x30, &[&body, ED25519, &tlv(3, &[&[0], proof.as_ref()])])
}

/// The extension of libp2p; `critical` as its DER has it.
pub fn libp2p(critical: &[u8], key: &[u8], signature: &[u8]) -> Vec<u8> {
    let value = tlv(0x30, &[&tlv(4, &[key]), &tlv(4, &[signature])]);
    tlv(0x30, &[&[6, 10, 0x2b, 6, 1, 4, 1, 0x83, 0xa2, 0x5a, 1, 1], critical, &tlv(4, &[&value])])
}

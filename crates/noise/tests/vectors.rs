//! Bytes that another implementation made of the same secrets: `noiseprotocol` 0.3.1 for Python, its identities and
//! signatures by `cryptography`. Every pair of libraries must make and take the same ones.

#![cfg(any(feature = "aws-lc", feature = "openssl", feature = "ring", feature = "rustcrypto"))]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use bytes::Bytes;
use common::*;
use sanswarm_noise::{Aead, Cipher, Dh, Handshake, StaticKey};
use sanswarm_wire::{RecvBuf, Role, SendBuf};

/// Identities: `PublicKey` protobufs of the Ed25519 keys of 32 bytes of 5 and of 6.
const IDENTITIES: [&str; 2] = [
    "080112206e7a1cdd29b0b78fd13af4c5598feff4ef2a97166e3ca6f2e4fbfccd80505bf1",
    "080112208a875fff1eb38451577acd5afee405456568dd7c89e090863a0557bc7af49f17",
];
/// Their signatures over the static keys.
const SIGNATURES: [&str; 2] = [
    "8fd5d16eacccfd0ea0ae99b5d3a18841ca15d80c34c986f8b711a09d513f0fc04502337215d2a2a3a76743447718f7f730106453b568050d3fe02a43f6b04805",
    "63e1fc4c8a9c4f9fee939523cae4d36449bfb243e96a3de53e26d9545bc680116b8f592a5215993b641a898062f9bd8c37d6e74ca0a3ce7ef71a3b0706ea5506",
];

const MESSAGES: [&str; 3] = [
    "00205dfedd3b6bd47f6fa28ee15d969d5bb0ea53774d488bdaf9df1c6e0124b3ef22",
    concat!(
        "00d8ac01b2209e86354fb853237b5de0f4fab13c7fcbf433a61c019369617fecf10b85e987f334561c4942a61ab2cce4d2176528",
        "515ce90a44cc982d339ea8098552e889da6d59059d9a6820065c3f28b34910a0647e63c966fc9a18cc4f89953f90bf11119cb74b",
        "884ed39af50b9eb85a9f6a07bff5ecf60808b48d3a9f3ef7863557959fd856a782d44e7a16a2b978397b0e80b9474aecc959648b",
        "5e0e8109db2288aea04faf9c81602134211af4319fddbcb35428120017de78741f5d191245400e5a30a82589be1f3811c052b87a",
        "c5d1691c0be135be8d48",
    ),
    concat!(
        "00b8c3e615be84281bf0e2732370ffa2becd8110548e0d540bb01de64834d81268f36b6184c135684bbf14321212d6b54871b3df",
        "e4ac24e1f740dc46c2a137a812f633b18ad6dee01f7cd3607de7a1af28cd2bc08a8428a472c188f756e863e78ad035939360d921",
        "4acdb5b14b03770580c190647ca40015c41bfc016a5fa9bd97056b406b1131d77ba9a1b6549346edbb3fccc125c6783eae9b71b9",
        "83bea5df4f7721d27ef3b20cf741b015769e984b3a53ce7a13f3a42288c4",
    ),
];

/// Of texts of so many times a byte: the frames, by the dialer and by the listener: the first 8 bytes and the last 16, which depend on all.
const FRAMES: [(usize, u8, [&str; 2]); 3] = [
    (5, 1, ["00152e85cb7754acac449611ed51183666fbab3fdc4baada", "0015a4e1347c318181393eecda2530ef5fe45b99db3d9cf5"]),
    (3000, 7, ["0bc82fc5b0403e0f6f434956c68619ccf16fa15590bb132f", "0bc8d42825ad7b111bdeb27e220d4e880d693cfaea280c82"]),
    (
        65519,
        8,
        ["ffffea338b2f4c65e4590aa411724ea5a5ada99290b109a8", "fffffb9ef41ffd96dd88b62ab024e61e86ef70b783b2c8f4"],
    ),
];

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn end(role: Role, aead: Aead, dh: Dh) -> Handshake {
    let (at, secret) = if role.is_dialer() { (0, DIALER_STATIC) } else { (1, LISTENER_STATIC) };
    end_with(role, |config| {
        config.key = StaticKey::with_dh(dh, secret).unwrap();
        config.identity_key = bytes(IDENTITIES[at]).into();
        config.signature = bytes(SIGNATURES[at]).into();
        config.muxers = vec![Bytes::from("/yamux/1.0.0")];
        config.aead = Some(aead);
    })
}

fn libraries() -> Vec<(Aead, Dh)> {
    let aeads = Aead::ALL.into_iter().filter(|aead| aead.is_available());
    aeads.flat_map(|aead| Dh::ALL.into_iter().filter(|dh| dh.is_available()).map(move |dh| (aead, dh))).collect()
}

/// Seals and opens `text`, and returns its frame.
fn carry(from: &mut Cipher, to: &mut Cipher, text: &[u8]) -> Vec<u8> {
    let (mut send, mut recv) = (SendBuf::default(), RecvBuf::default());
    send.set_framing(Cipher::framing());
    assert!(send.append(text));
    assert_eq!(from.seal(&mut send), Ok(true));
    recv.feed(send.ready());
    assert_eq!(to.open(&mut recv), Ok(true));
    assert!(recv.plain() == text);
    send.ready().to_vec()
}

#[test]
fn all_libraries_make_and_take_the_recorded_bytes() {
    for (aead, dh) in libraries() {
        for (other_aead, other_dh) in libraries() {
            let mut dialer = end(Role::Dialer, aead, dh);
            let mut listener = end(Role::Listener, other_aead, other_dh);
            let (messages, claims) = run(&mut dialer, &mut listener, &[40]);
            let label = format!("{aead:?} and {dh:?} dial {other_aead:?} and {other_dh:?}");
            for (message, recorded) in messages.iter().zip(MESSAGES) {
                assert_eq!(*message, bytes(recorded), "{label}");
            }
            for (claim, at) in claims.iter().zip([1, 0]) {
                assert_eq!(
                    (&claim.identity_key[..], &claim.signature[..]),
                    (&bytes(IDENTITIES[at])[..], &bytes(SIGNATURES[at])[..])
                );
            }
            let ((mut a, _), (mut b, _)) = (dialer.finish().unwrap(), listener.finish().unwrap());
            for (len, byte, recorded) in FRAMES {
                let text = vec![byte; len];
                let frames = [carry(&mut a, &mut b, &text), carry(&mut b, &mut a, &text)];
                for (frame, recorded) in frames.iter().zip(recorded) {
                    assert_eq!([&frame[..8], &frame[frame.len() - 16..]].concat(), bytes(recorded), "{label}, {len}");
                }
            }
        }
    }
}

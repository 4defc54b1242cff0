//! Handshakes of fixed secrets, and edits of what goes over the wire.

use std::sync::{Arc, LazyLock};

use sanswarm_noise::{Aead, Cipher, Claim, Config, Error, Handshake, StaticKey};
use sanswarm_wire::{Role, SendBuf};

use crate::{Input, Pieces};

/// The libraries that seal.
pub const LIBRARIES: [Aead; 3] = [Aead::Ring, Aead::RustCrypto, Aead::OpenSsl];

/// The listener's static and ephemeral secrets; the dialer's are one less.
const SECRETS: [[u8; 32]; 2] = [[2; 32], [4; 32]];

/// The configurations of the dialers and the listeners, made once: their keys take longer than what is fuzzed.
static CONFIGS: LazyLock<[[Arc<Config>; 3]; 2]> = LazyLock::new(|| [0, 1].map(configs));

fn configs(at: usize) -> [Arc<Config>; 3] {
    LIBRARIES.map(|aead| {
        let mut config = Config::new(StaticKey::from_secret(secrets(at)[0]), &b"identity"[..], &b"signature"[..]);
        config.aead = Some(aead);
        config.muxers = vec!["/yamux/1.0.0".into()];
        Arc::new(config)
    })
}

fn secrets(at: usize) -> [[u8; 32]; 2] {
    SECRETS.map(|secret| secret.map(|byte| byte + at as u8 - 1))
}

/// An end, by the library of that place in [`LIBRARIES`].
pub fn end(role: Role, library: usize) -> Handshake {
    let at = usize::from(!role.is_dialer());
    Handshake::new(role, CONFIGS[at][library % 3].clone(), secrets(at)[1]).expect("a good config")
}

/// The static and the ephemeral secret of the end in that role.
pub fn secrets_of(role: Role) -> [[u8; 32]; 2] {
    secrets(usize::from(!role.is_dialer()))
}

/// All that is due.
pub fn sent(end: &mut Handshake) -> Vec<u8> {
    let mut send = SendBuf::default();
    end.poll_transmit(&mut send);
    send.ready().to_vec()
}

/// The three messages between honest ends, made once: they are the same with all libraries.
pub fn messages() -> &'static [Vec<u8>; 3] {
    static MESSAGES: LazyLock<[Vec<u8>; 3]> =
        LazyLock::new(|| run(&mut end(Role::Dialer, 0), &mut end(Role::Listener, 1)));
    &MESSAGES
}

/// The ciphers of a dialer and a listener.
pub fn ciphers(dialer: usize, listener: usize) -> [Cipher; 2] {
    let (mut a, mut b) = (end(Role::Dialer, dialer), end(Role::Listener, listener));
    run(&mut a, &mut b);
    [a, b].map(|end| end.finish().expect("done").0)
}

fn run(dialer: &mut Handshake, listener: &mut Handshake) -> [Vec<u8>; 3] {
    let one = sent(dialer);
    listener.handle_input(&one).expect("honest");
    let two = sent(listener);
    assert!(dialer.handle_input(&two).expect("honest").1.is_some());
    dialer.handle_verdict(true).expect("a claim");
    let three = sent(dialer);
    assert!(listener.handle_input(&three).expect("honest").1.is_some());
    listener.handle_verdict(true).expect("a claim");
    [one, two, three]
}

/// What an end made of its input.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The bytes that it used until it claimed or failed.
    pub used: usize,
    /// What the peer claims.
    pub claim: Option<Claim>,
    /// Why it failed.
    pub error: Option<Error>,
    /// What it sent.
    pub sent: Vec<u8>,
}

/// Gives `wire` to `end` in pieces, as a driver does: what was not used comes again. The claim, if there is one, is
/// found valid.
pub fn deliver(end: &mut Handshake, wire: &[u8], mut size: impl FnMut() -> usize) -> Outcome {
    let mut outcome = Outcome { used: 0, claim: None, error: None, sent: sent(end) };
    let mut have = 0;
    while have < wire.len() && outcome.error.is_none() {
        have = wire.len().min(have + size());
        match end.handle_input(&wire[outcome.used..have]) {
            Ok((used, claim)) => {
                outcome.used += used;
                assert!(outcome.used <= have);
                assert!(used == 0 || outcome.claim.is_none(), "nothing behind the last message");
                if claim.is_some() {
                    assert!(outcome.claim.is_none(), "once");
                    outcome.claim = claim;
                    end.handle_verdict(true).expect("a claim");
                }
            }
            Err(error) => {
                assert_eq!(end.handle_input(&[]), Err(error), "sticky");
                outcome.error = Some(error);
            }
        }
        outcome.sent.extend(sent(end));
    }
    outcome
}

/// Pieces of these sizes.
pub fn sizes(seed: u8) -> impl FnMut() -> usize {
    let mut pieces = Pieces::new(seed);
    move || pieces.size()
}

/// Edits `wire` as the input says, up to its end: four bytes each, what is done, where (two bytes), and with what.
pub fn edit(wire: &mut Vec<u8>, input: &mut Input<'_>) {
    while let Some(kind) = input.maybe() {
        let (at, byte) = (input.short(), input.byte());
        edit_once(wire, kind, at, byte);
    }
}

/// One edit: 0 changes a byte, 1 drops some, 2 puts some in, 3 cuts, 4 repeats some, 5 moves some to the end.
pub fn edit_once(wire: &mut Vec<u8>, kind: u8, at: usize, byte: u8) {
    let Some(at) = at.checked_rem(wire.len()) else { return };
    let end = wire.len().min(at + usize::from(byte));
    match kind % 6 {
        0 => wire[at] ^= byte,
        1 => drop(wire.drain(at..end)),
        2 => drop(wire.splice(at..at, vec![byte; usize::from(byte)])),
        3 => wire.truncate(at),
        4 => {
            let some = wire[at..end].to_vec();
            drop(wire.splice(end..end, some));
        }
        _ => {
            let some: Vec<u8> = wire.drain(at..end).collect();
            wire.extend(some);
        }
    }
}

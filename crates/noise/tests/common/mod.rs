//! Ends of handshakes, with fixed secrets.

#![allow(dead_code, reason = "each test file uses a part")]

use std::sync::Arc;

use sanswarm_noise::{Claim, Config, Error, Handshake, StaticKey};
use sanswarm_wire::{Role, SendBuf};

pub(crate) const DIALER_STATIC: [u8; 32] = [1; 32];
pub(crate) const LISTENER_STATIC: [u8; 32] = [2; 32];
pub(crate) const DIALER_EPHEMERAL: [u8; 32] = [3; 32];
pub(crate) const LISTENER_EPHEMERAL: [u8; 32] = [4; 32];

pub(crate) fn config(role: Role) -> Config {
    let (secret, identity) = match role {
        Role::Dialer => (DIALER_STATIC, &b"dialer key"[..]),
        Role::Listener => (LISTENER_STATIC, &b"listener key"[..]),
    };
    Config::new(StaticKey::from_secret(secret), identity, &b"signature"[..])
}

pub(crate) fn end_with(role: Role, change: impl FnOnce(&mut Config)) -> Handshake {
    let mut config = config(role);
    change(&mut config);
    let ephemeral = if role.is_dialer() { DIALER_EPHEMERAL } else { LISTENER_EPHEMERAL };
    Handshake::new(role, Arc::new(config), ephemeral).unwrap()
}

pub(crate) fn end(role: Role) -> Handshake {
    end_with(role, |_| {})
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

/// The three messages of a whole handshake, with the claims that the listener and the dialer make.
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

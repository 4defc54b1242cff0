//! The security handshakes that are built in, behind one set of verbs.

use std::sync::Arc;

use bytes::Bytes;
use libp2p_identity::PeerId;
use sanswarm_wire::{RecvBuf, Role, SendBuf};

use crate::{Config, Error, Security, cipher::Cipher};

/// One end of a security handshake.
#[derive(Debug)]
pub(crate) enum Handshake {
    #[cfg(feature = "noise")]
    Noise(Box<sanswarm_noise::Handshake>),
}

/// What a peer says of itself, to be verified before anything else of it is believed.
#[derive(Debug)]
pub(crate) struct Claim {
    /// The peer's public key, as a `PublicKey` protobuf.
    pub(crate) identity_key: Bytes,
    /// What the key must have signed, and the signature.
    pub(crate) signed: Option<(Vec<u8>, Bytes)>,
}

/// What a handshake has told of the peer's muxers.
#[derive(Debug)]
pub(crate) enum Muxers {
    /// Nothing: they are negotiated.
    Untold,
    /// What the peer offers, in its order.
    Offered(Vec<Bytes>),
}

#[cfg_attr(not(feature = "noise"), allow(unused_variables, clippy::needless_pass_by_ref_mut))]
impl Handshake {
    pub(crate) fn new(security: Security, role: Role, config: &Arc<Config>, secret: [u8; 32]) -> Result<Self, Error> {
        match security {
            #[cfg(feature = "noise")]
            Security::Noise => {
                let noise = sanswarm_noise::Handshake::new(role, config.noise.clone(), secret).map_err(Error::Noise)?;
                Ok(Self::Noise(Box::new(noise)))
            }
        }
    }

    /// Uses what it can of the sealed bytes, and says how many that were.
    pub(crate) fn handle_input(&mut self, recv: &mut RecvBuf) -> Result<(usize, Option<Claim>), Error> {
        match *self {
            #[cfg(feature = "noise")]
            Self::Noise(ref mut noise) => {
                let (used, claim) = noise.handle_input(recv.sealed_mut()).map_err(Error::Noise)?;
                if noise.expects() > 0 {
                    recv.announce(noise.expects());
                }
                recv.reveal(used, 0, 0);
                let claim = claim.map(|claim| Claim {
                    identity_key: claim.identity_key,
                    signed: Some((claim.message, claim.signature)),
                });
                Ok((used, claim))
            }
        }
    }

    /// Whether the claim was found valid. Nothing goes on before this.
    pub(crate) fn handle_verdict(&mut self, valid: bool) -> Result<(), Error> {
        match *self {
            #[cfg(feature = "noise")]
            Self::Noise(ref mut noise) => noise.handle_verdict(valid).map_err(Error::Noise),
        }
    }

    pub(crate) fn poll_transmit(&mut self, send: &mut SendBuf) -> usize {
        match *self {
            #[cfg(feature = "noise")]
            Self::Noise(ref mut noise) => noise.poll_transmit(send),
        }
    }

    /// Whether it is over, its last message sent.
    pub(crate) fn is_done(&self) -> bool {
        match *self {
            #[cfg(feature = "noise")]
            Self::Noise(ref noise) => noise.is_done(),
        }
    }

    pub(crate) fn finish(self) -> Result<(Cipher, Muxers), Error> {
        match self {
            #[cfg(feature = "noise")]
            Self::Noise(noise) => {
                let (cipher, remote) = noise.finish().map_err(Error::Noise)?;
                Ok((Cipher::Noise(Box::new(cipher)), remote.muxers.map_or(Muxers::Untold, Muxers::Offered)))
            }
        }
    }
}

/// Checks the identity that a handshake claims: its signature first, then whether it is who was dialled.
pub(crate) fn verify(claim: &Claim, expected: Option<PeerId>) -> Result<PeerId, Error> {
    let key = libp2p_identity::PublicKey::try_decode_protobuf(&claim.identity_key).map_err(|_| {
        let key_type = claim.identity_key.first_chunk().and_then(|&[tag, n]| (tag == 8).then_some(n));
        Error::IdentityKey { key_type }
    })?;
    if claim.signed.as_ref().is_some_and(|(message, signature)| !key.verify(message, signature)) {
        return Err(Error::IdentitySignature);
    }
    let got = key.to_peer_id();
    match expected {
        Some(expected) if expected != got => Err(Error::WrongPeer { expected, got }),
        _ => Ok(got),
    }
}

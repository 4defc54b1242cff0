//! The security handshakes that are built in, behind one set of verbs.

use std::sync::Arc;

use bytes::Bytes;
use libp2p_identity::PeerId;
use sanswarm_wire::{Instant, RecvBuf, Role, SendBuf};

#[cfg(feature = "plaintext")]
use crate::plaintext;
use crate::{Config, Error, Security, Stage, cipher::Cipher, identity};

/// One end of a security handshake.
#[derive(Debug)]
pub(crate) enum Handshake {
    #[cfg(feature = "noise")]
    Noise(Box<sanswarm_noise::Handshake>),
    #[cfg(feature = "tls")]
    Tls(Box<sanswarm_tls::Handshake>),
    #[cfg(feature = "plaintext")]
    Plaintext(plaintext::Exchange),
}

/// What a peer says of itself, to be verified before anything else of it is believed.
#[derive(Debug)]
pub(crate) enum Claim {
    #[cfg(feature = "noise")]
    Noise(sanswarm_noise::Claim),
    #[cfg(feature = "tls")]
    Tls(sanswarm_tls::Claim),
    #[cfg(feature = "plaintext")]
    Plaintext(plaintext::Claim),
}

/// What a handshake has told of the peer's muxers.
#[derive(Debug)]
#[cfg_attr(not(all(feature = "noise", feature = "tls")), allow(dead_code))]
pub(crate) enum Muxers {
    /// Nothing: they are negotiated.
    Untold,
    /// What the peer offers, in its order.
    Offered(Vec<Bytes>),
    /// The one that both have agreed on.
    Chosen(Bytes),
}

#[cfg(feature = "noise")]
fn noise(cause: sanswarm_noise::Error) -> Error {
    Error::Noise { stage: Stage::Handshake, cause }
}

#[cfg(feature = "tls")]
fn tls(cause: sanswarm_tls::Error) -> Error {
    Error::Tls { stage: Stage::Handshake, cause }
}

#[cfg_attr(not(any(feature = "noise", feature = "tls", feature = "plaintext")), allow(unused_variables))]
impl Handshake {
    /// `secret` is for Noise; TLS has its own randomness, and looks at dates as of `now`.
    #[allow(unused_variables, reason = "each argument has its protocol")]
    pub(crate) fn new(
        security: Security,
        role: Role,
        config: &Arc<Config>,
        secret: [u8; 32],
        now: Instant,
    ) -> Result<Self, Error> {
        match security {
            #[cfg(feature = "noise")]
            Security::Noise => {
                let machine = sanswarm_noise::Handshake::new(role, config.noise.clone(), secret).map_err(noise)?;
                Ok(Self::Noise(Box::new(machine)))
            }
            #[cfg(feature = "tls")]
            Security::Tls => {
                let config = config.tls.clone().ok_or(Error::NotBuiltIn { stage: Stage::Handshake })?;
                let machine = sanswarm_tls::Handshake::new(role, config, now).map_err(tls)?;
                Ok(Self::Tls(Box::new(machine)))
            }
            #[cfg(feature = "plaintext")]
            Security::Plaintext => {
                let (key, id) = (&config.identity_key, config.local.to_bytes());
                Ok(Self::Plaintext(plaintext::Exchange::new(key, &id)))
            }
        }
    }

    /// Uses what it can of the sealed bytes, and says how many that were.
    pub(crate) fn handle_input(&mut self, recv: &mut RecvBuf) -> Result<(usize, Option<Claim>), Error> {
        let (used, claim, expects) = match *self {
            #[cfg(feature = "noise")]
            Self::Noise(ref mut machine) => {
                let (used, claim) = machine.handle_input(recv.sealed_mut()).map_err(noise)?;
                (used, claim.map(Claim::Noise), machine.expects())
            }
            #[cfg(feature = "tls")]
            Self::Tls(ref mut machine) => {
                let (used, claim) = machine.handle_input(recv.sealed_mut()).map_err(tls)?;
                (used, claim.map(Claim::Tls), machine.expects())
            }
            #[cfg(feature = "plaintext")]
            Self::Plaintext(ref mut machine) => {
                let (used, claim) = machine.handle_input(recv.sealed_mut()).map_err(Error::Plaintext)?;
                (used, claim.map(Claim::Plaintext), 0)
            }
        };
        recv.reveal(used, 0, 0);
        if expects > 0 {
            recv.announce(expects);
        }
        Ok((used, claim))
    }

    /// Whether the claim was found valid. Nothing goes on before this.
    pub(crate) fn handle_verdict(&mut self, valid: bool) -> Result<(), Error> {
        match *self {
            #[cfg(feature = "noise")]
            Self::Noise(ref mut machine) => machine.handle_verdict(valid).map_err(noise),
            #[cfg(feature = "tls")]
            Self::Tls(ref mut machine) => machine.handle_verdict(valid).map_err(tls),
            #[cfg(feature = "plaintext")]
            Self::Plaintext(_) => Ok(()),
        }
    }

    /// Adds what is due; after an error that is a last word, in TLS.
    pub(crate) fn poll_transmit(&mut self, send: &mut SendBuf) -> usize {
        match *self {
            #[cfg(feature = "noise")]
            Self::Noise(ref mut machine) => machine.poll_transmit(send),
            #[cfg(feature = "tls")]
            Self::Tls(ref mut machine) => machine.poll_transmit(send),
            #[cfg(feature = "plaintext")]
            Self::Plaintext(ref mut machine) => machine.poll_transmit(send),
        }
    }

    /// Whether it is over, its last message sent.
    pub(crate) fn is_done(&self) -> bool {
        match *self {
            #[cfg(feature = "noise")]
            Self::Noise(ref machine) => machine.is_done(),
            #[cfg(feature = "tls")]
            Self::Tls(ref machine) => machine.is_done(),
            #[cfg(feature = "plaintext")]
            Self::Plaintext(ref machine) => machine.is_done(),
        }
    }

    pub(crate) fn finish(self) -> Result<(Cipher, Muxers), Error> {
        match self {
            #[cfg(feature = "noise")]
            Self::Noise(machine) => {
                let (cipher, remote) = machine.finish().map_err(noise)?;
                Ok((Cipher::Noise(cipher), remote.muxers.map_or(Muxers::Untold, Muxers::Offered)))
            }
            #[cfg(feature = "tls")]
            Self::Tls(machine) => {
                let (cipher, remote) = machine.finish().map_err(tls)?;
                Ok((Cipher::Tls(Box::new(cipher)), remote.muxer.map_or(Muxers::Untold, Muxers::Chosen)))
            }
            #[cfg(feature = "plaintext")]
            Self::Plaintext(_) => Ok((Cipher::Plain, Muxers::Untold)),
        }
    }
}

impl Claim {
    /// Checks the identity: that its key has signed the handshake, then whether it is who was dialled.
    pub(crate) fn verify(&self, expected: Option<PeerId>) -> Result<PeerId, Error> {
        let got = match *self {
            #[cfg(feature = "noise")]
            Self::Noise(ref claim) => signer(&claim.identity_key, &claim.message[..], &claim.signature)?,
            #[cfg(feature = "tls")]
            Self::Tls(ref claim) => signer(&claim.identity_key, &claim.message, &claim.signature)?,
            #[cfg(feature = "plaintext")]
            Self::Plaintext(ref claim) => {
                identity::decode(&claim.identity_key)?;
                claim.peer_id().map_err(Error::Plaintext)?
            }
        };
        match expected {
            Some(expected) if expected != got => Err(Error::WrongPeer { expected, got }),
            _ => Ok(got),
        }
    }
}

#[cfg_attr(not(any(feature = "noise", feature = "tls")), allow(dead_code))]
fn signer(key: &[u8], message: &[u8], signature: &[u8]) -> Result<PeerId, Error> {
    let key = identity::decode(key)?;
    if key.verify(message, signature) { Ok(key.to_peer_id()) } else { Err(Error::IdentitySignature) }
}

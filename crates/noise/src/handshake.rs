//! The three messages of XX.

use alloc::{boxed::Box, sync::Arc, vec, vec::Vec};
use core::fmt;

use bytes::Bytes;
use sanswarm_wire::{Role, SendBuf};
use snow::{Builder, HandshakeState, params::NoiseParams};
use zeroize::Zeroizing;

use crate::{Aead, Cipher, Config, Error, MESSAGE_MAX, PREFIX, TAG, payload, resolver::Resolver, static_key};

const PARAMS: &str = "Noise_XX_25519_ChaChaPoly_SHA256";

/// Bytes of an X25519 key.
const KEY: usize = 32;
/// Stands for the static secret, which the resolver has and snow need not see.
const UNUSED_SECRET: [u8; KEY] = [0; KEY];
/// The least bytes of each message: keys and tags around an empty payload.
const MIN_1: usize = KEY;
const MIN_2: usize = KEY + (KEY + TAG) + TAG;
const MIN_3: usize = (KEY + TAG) + TAG;

/// What a peer says of itself, for the caller to verify: `signature` must be that of `identity_key` over `message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The peer's public key, as a `PublicKey` protobuf. Not empty, nothing else is known of it.
    pub identity_key: Bytes,
    /// The signed bytes: `noise-libp2p-static-key:` and the static key that the handshake has authenticated.
    pub message: [u8; 56],
    /// The signature. Not empty.
    pub signature: Bytes,
}

/// What is known of the peer once its claim was found valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// The peer's Noise key.
    pub static_key: [u8; 32],
    /// The muxers that the peer offers, in its order; `None` if it named none, which is normal.
    pub muxers: Option<Vec<Bytes>>,
}

/// One end of a handshake.
pub struct Handshake {
    role: Role,
    config: Arc<Config>,
    aead: Aead,
    snow: HandshakeState,
    state: State,
    /// The message that is due, with its length.
    due: Vec<u8>,
    expects: usize,
}

#[derive(Debug)]
enum State {
    Message1,
    Message2,
    Message3,
    Claimed { muxers: Option<Vec<Bytes>> },
    Accepted { muxers: Option<Vec<Bytes>> },
    Failed(Error),
}

impl Handshake {
    /// The dialer's or the listener's end. `ephemeral` is 32 random bytes that are used for nothing else.
    ///
    /// # Errors
    ///
    /// [`Error::NoAead`], and [`Error::OwnPayload`] if the config's payload is too long.
    pub fn new(role: Role, config: Arc<Config>, ephemeral: [u8; 32]) -> Result<Self, Error> {
        let ephemeral = Zeroizing::new(ephemeral);
        let aead = config.aead.or_else(Aead::fastest).filter(|aead| aead.is_available()).ok_or(Error::NoAead)?;
        let limit = message_limit(&config).saturating_sub(MIN_2);
        if payload::encoded_len(&config) > limit {
            return Err(Error::OwnPayload { limit });
        }
        let params: NoiseParams = PARAMS.parse().map_err(Error::from)?;
        let key = config.key.clone();
        let builder = Builder::with_resolver(params, Box::new(Resolver { key, ephemeral, aead }));
        let builder = builder.local_private_key(&UNUSED_SECRET)?;
        let (snow, state) = match role {
            Role::Dialer => (builder.build_initiator()?, State::Message2),
            Role::Listener => (builder.build_responder()?, State::Message1),
        };
        let mut this = Self { role, config, aead, snow, state, due: Vec::new(), expects: 0 };
        if role.is_dialer() {
            this.write(&[])?;
        }
        Ok(this)
    }

    /// Takes the bytes that have arrived and were not used yet. Returns how many it used: whole messages, and nothing
    /// behind the one that completes a step. With a [`Claim`] it waits for [`handle_verdict`](Self::handle_verdict) and
    /// uses nothing until then; afterwards all bytes belong to the [`Cipher`].
    ///
    /// # Errors
    ///
    /// The peer broke the protocol or a limit. Sticky.
    pub fn handle_input(&mut self, input: &[u8]) -> Result<(usize, Option<Claim>), Error> {
        self.read_all(input).map_err(|error| self.fail(error))
    }

    /// Says whether the signature of the [`Claim`] is valid, and, for who has expectations, the identity the right one.
    /// Only then the dialer's last message is due and the peer's extensions are believed.
    ///
    /// # Errors
    ///
    /// [`Error::Signature`] if it is not `valid`, sticky; [`Error::NoClaim`] if nothing was claimed.
    pub fn handle_verdict(&mut self, valid: bool) -> Result<(), Error> {
        let muxers = match &mut self.state {
            State::Claimed { muxers } => muxers.take(),
            State::Failed(error) => return Err(*error),
            _ => return Err(Error::NoClaim),
        };
        if !valid {
            return Err(self.fail(Error::Signature));
        }
        self.state = State::Accepted { muxers };
        if self.role.is_dialer() {
            self.write_payload().map_err(|error| self.fail(error))?;
        }
        Ok(())
    }

    /// Appends the message that is due, if `out` has room for the whole of it. Returns how many bytes that were.
    /// It must not have a framing yet.
    pub fn poll_transmit(&mut self, out: &mut SendBuf) -> usize {
        if self.due.is_empty() || !out.append(&self.due) {
            return 0;
        }
        core::mem::take(&mut self.due).len()
    }

    /// The length of the message that the input begins with, its prefix included, if that is known from the last
    /// [`handle_input`](Self::handle_input); else 0. For `RecvBuf::announce`, where a buffer is smaller than
    /// [`Limits::handshake_bytes`](crate::Limits::handshake_bytes).
    pub fn expects(&self) -> usize {
        self.expects
    }

    /// Whether [`finish`](Self::finish) will succeed: the claim was valid and the last message has been taken.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Accepted { .. }) && self.due.is_empty()
    }

    /// Turns a done handshake into the cipher of its connection and what is known of the peer.
    ///
    /// # Errors
    ///
    /// [`Error::NotDone`], or the error that ended the handshake.
    pub fn finish(mut self) -> Result<(Cipher, Remote), Error> {
        let done = self.is_done();
        let muxers = match self.state {
            State::Accepted { muxers } if done => muxers,
            State::Failed(error) => return Err(error),
            _ => return Err(Error::NotDone),
        };
        let static_key = remote_static(&self.snow)?;
        let (forth, back) = self.snow.dangerously_get_raw_split();
        let (forth, back) = (Zeroizing::new(forth), Zeroizing::new(back));
        let (send, recv) = if self.role.is_dialer() { (forth, back) } else { (back, forth) };
        let cipher = Cipher::new(self.aead, &send, &recv).ok_or(Error::NoAead)?;
        Ok((cipher, Remote { static_key, muxers }))
    }

    fn read_all(&mut self, input: &[u8]) -> Result<(usize, Option<Claim>), Error> {
        let mut used = 0;
        loop {
            let min = match self.state {
                State::Message1 => MIN_1,
                State::Message2 => MIN_2,
                State::Message3 => MIN_3,
                State::Failed(error) => return Err(error),
                State::Claimed { .. } | State::Accepted { .. } => return Ok((used, None)),
            };
            let Some(message) = self.whole_message(&input[used..], min)? else {
                return Ok((used, None));
            };
            used += PREFIX + message.len();
            if let Some(claim) = self.read(message)? {
                return Ok((used, Some(claim)));
            }
        }
    }

    /// The message that `input` begins with, if it is whole. Its length is judged as soon as it is there.
    fn whole_message<'a>(&mut self, input: &'a [u8], min: usize) -> Result<Option<&'a [u8]>, Error> {
        self.expects = 0;
        let Some((prefix, rest)) = input.split_first_chunk() else {
            return Ok(None);
        };
        let len = usize::from(u16::from_be_bytes(*prefix));
        let limit = message_limit(&self.config);
        if len > limit {
            return Err(Error::TooLong { limit });
        }
        if len < min {
            return Err(Error::TooShort { min });
        }
        let message = rest.get(..len);
        if message.is_none() {
            self.expects = PREFIX + len;
        }
        Ok(message)
    }

    fn read(&mut self, message: &[u8]) -> Result<Option<Claim>, Error> {
        let mut plain = vec![0; message.len()];
        let len = self.snow.read_message(message, &mut plain)?;
        if matches!(self.state, State::Message1) {
            // Its payload is not encrypted and means nothing: go ignores it, too.
            self.write_payload()?;
            self.state = State::Message3;
            return Ok(None);
        }
        plain.truncate(len);
        let payload = payload::decode(plain.into())?;
        let message = static_key::signed_message(&remote_static(&self.snow)?);
        self.state = State::Claimed { muxers: payload.muxers };
        Ok(Some(Claim { identity_key: payload.identity_key, message, signature: payload.signature }))
    }

    fn write_payload(&mut self) -> Result<(), Error> {
        self.write(&payload::encode(&self.config.clone()))
    }

    /// Makes the next message, at once, so that what can fail fails in the call that was the cause.
    fn write(&mut self, payload: &[u8]) -> Result<(), Error> {
        let start = self.due.len();
        self.due.resize(start + PREFIX + MIN_2 + payload.len(), 0);
        let (prefix, message) = self.due[start..].split_at_mut(PREFIX);
        let len = self.snow.write_message(payload, message)?;
        prefix.copy_from_slice(&(len as u16).to_be_bytes());
        self.due.truncate(start + PREFIX + len);
        Ok(())
    }

    fn fail(&mut self, error: Error) -> Error {
        self.state = State::Failed(error);
        self.due = Vec::new();
        self.expects = 0;
        error
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("role", &self.role)
            .field("state", &self.state)
            .field("due", &self.due.len())
            .finish_non_exhaustive()
    }
}

fn message_limit(config: &Config) -> usize {
    config.limits.handshake_bytes.min(MESSAGE_MAX)
}

fn remote_static(snow: &HandshakeState) -> Result<[u8; 32], Error> {
    snow.get_remote_static().and_then(|key| key.try_into().ok()).ok_or(Error::Library)
}

//! Frames of a secure channel, opened and sealed in place.

use sanswarm_wire::{RecvBuf, SendBuf};

use crate::{Direction, Error, Stage, transcript::Transcript};

/// What lies between the socket and the muxer.
#[derive(Debug)]
pub(crate) enum Cipher {
    /// Nothing: before the handshake, plaintext, or a pipe that is secure already.
    Plain,
    #[cfg(feature = "noise")]
    Noise(sanswarm_noise::Cipher),
    #[cfg(feature = "tls")]
    Tls(Box<sanswarm_tls::Cipher>),
}

#[cfg(feature = "noise")]
fn noise(cause: sanswarm_noise::Error) -> Error {
    Error::Noise { stage: Stage::Streams, cause }
}

#[cfg(feature = "tls")]
fn tls(cause: sanswarm_tls::Error) -> Error {
    Error::Tls { stage: Stage::Streams, cause }
}

impl Cipher {
    /// Reveals the next frame; `false` if none is whole.
    pub(crate) fn open(&mut self, recv: &mut RecvBuf, transcript: &mut Transcript) -> Result<bool, Error> {
        let (plain, sealed) = (recv.plain().len(), recv.sealed_mut().len());
        let opened = match self {
            Self::Plain => {
                recv.reveal_all();
                return Ok(sealed > 0);
            }
            #[cfg(feature = "noise")]
            Self::Noise(cipher) => cipher.open(recv).map_err(noise)?,
            #[cfg(feature = "tls")]
            Self::Tls(cipher) => {
                let opened = cipher.open(recv).map_err(tls)?;
                if cipher.is_closed() {
                    recv.set_eof();
                }
                opened
            }
        };
        if opened {
            let (plain, sealed) = (recv.plain().len() - plain, sealed - recv.sealed_mut().len());
            transcript.sealed(Direction::Inbound, plain, sealed);
        }
        Ok(opened)
    }

    /// Seals the open frame, if there is one.
    pub(crate) fn seal(&mut self, send: &mut SendBuf, transcript: &mut Transcript) -> Result<(), Error> {
        let (plain, before) = (send.open_frame().map_or(0, |text| text.len()), send.total());
        match self {
            Self::Plain => return Ok(()),
            #[cfg(feature = "noise")]
            Self::Noise(cipher) => drop(cipher.seal(send).map_err(noise)?),
            #[cfg(feature = "tls")]
            Self::Tls(cipher) => drop(cipher.seal(send).map_err(tls)?),
        }
        transcript.sealed(Direction::Outbound, plain, (send.total() - before) as usize);
        Ok(())
    }

    /// Says that nothing follows, where the channel has a word for it.
    #[cfg_attr(not(feature = "tls"), allow(unused_variables, clippy::needless_pass_by_ref_mut))]
    pub(crate) fn close(&mut self, send: &mut SendBuf) {
        match self {
            Self::Plain => {}
            #[cfg(feature = "noise")]
            Self::Noise(_) => {}
            // Without room it is said by a later call; without a key nothing can be said.
            #[cfg(feature = "tls")]
            Self::Tls(cipher) => drop(cipher.close(send)),
        }
    }

    /// Makes `send` build the frames of this cipher. Called again it changes nothing.
    #[cfg_attr(not(any(feature = "noise", feature = "tls")), allow(unused_variables))]
    pub(crate) fn frame(&self, send: &mut SendBuf) {
        match self {
            Self::Plain => {}
            #[cfg(feature = "noise")]
            Self::Noise(_) => send.set_framing(sanswarm_noise::Cipher::framing()),
            #[cfg(feature = "tls")]
            Self::Tls(_) => send.set_framing(sanswarm_tls::Cipher::framing()),
        }
    }
}

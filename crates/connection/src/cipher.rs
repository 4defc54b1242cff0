//! Frames of a secure channel, opened and sealed in place.

use sanswarm_wire::{RecvBuf, SendBuf};

use crate::{Direction, Error, transcript::Transcript};

/// What lies between the socket and the muxer.
#[derive(Debug)]
pub(crate) enum Cipher {
    /// Nothing: before the handshake, or a pipe that is secure already.
    Plain,
    #[cfg(feature = "noise")]
    Noise(Box<sanswarm_noise::Cipher>),
}

impl Cipher {
    /// Reveals the next frame; `false` if none is whole.
    pub(crate) fn open(&mut self, recv: &mut RecvBuf, transcript: &mut Transcript) -> Result<bool, Error> {
        let (plain, sealed) = (recv.plain().len(), recv.sealed_mut().len());
        let opened = match self {
            Self::Plain => {
                let some = !recv.sealed_mut().is_empty();
                recv.reveal_all();
                Ok(some)
            }
            #[cfg(feature = "noise")]
            Self::Noise(cipher) => cipher.open(recv).map_err(Error::Noise),
        }?;
        if opened && !matches!(self, Self::Plain) {
            let (plain, sealed) = (recv.plain().len() - plain, sealed - recv.sealed_mut().len());
            transcript.sealed(Direction::Inbound, plain, sealed);
        }
        Ok(opened)
    }

    /// Seals the open frame, if there is one.
    #[cfg_attr(not(feature = "noise"), allow(unused_variables))]
    pub(crate) fn seal(&mut self, send: &mut SendBuf, transcript: &mut Transcript) -> Result<(), Error> {
        let (plain, before) = (send.open_frame().map_or(0, |text| text.len()), send.total());
        match self {
            Self::Plain => return Ok(()),
            #[cfg(feature = "noise")]
            Self::Noise(cipher) => drop(cipher.seal(send).map_err(Error::Noise)?),
        }
        transcript.sealed(Direction::Outbound, plain, (send.total() - before) as usize);
        Ok(())
    }

    /// Makes `send` build the frames of this cipher. Called again it changes nothing.
    #[cfg_attr(not(feature = "noise"), allow(unused_variables))]
    pub(crate) fn frame(&self, send: &mut SendBuf) {
        match self {
            Self::Plain => {}
            #[cfg(feature = "noise")]
            Self::Noise(_) => send.set_framing(sanswarm_noise::Cipher::framing()),
        }
    }
}

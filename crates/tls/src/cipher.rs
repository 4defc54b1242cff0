//! Records after the handshake.

use core::fmt;

use rustls::{
    ConnectionTrafficSecrets, ExtractedSecrets, client::ClientConnectionData, kernel::KernelConnection,
    server::ServerConnectionData,
};
use sanswarm_wire::{Framing, RecvBuf, Role, SendBuf};

use crate::{
    Alert, Error, HEADER, Provider, RECORD_MAX, TAG,
    aead::Key,
    messages::{Messages, UPDATE},
};

/// The most plaintext of one frame: 2^14 bytes.
const PLAIN_MAX: usize = 16 * 1024;
/// Bytes of the content type, which is sealed behind the plaintext.
const KIND: usize = 1;
/// The peer's changes of keys without a byte of payload between them. Each costs us a derivation.
const KEY_UPDATES: u32 = 32;

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// Both directions of a secured connection. It works in place and allocates nothing.
pub struct Cipher {
    provider: Provider,
    kernel: Kernel,
    send: Direction,
    recv: Direction,
    messages: Messages,
    /// The peer's key updates since its last payload.
    updates: u32,
    /// Our keys have to change: the peer asked for it.
    update_due: bool,
    /// The peer's orderly end has come.
    closed: bool,
    /// Ours has been sealed.
    ended: bool,
    /// Why nothing more is opened.
    failed: Option<Error>,
}

/// What rustls keeps to make the next keys.
pub(crate) enum Kernel {
    Client(KernelConnection<ClientConnectionData>),
    Server(KernelConnection<ServerConnectionData>),
}

struct Direction {
    key: Key,
    iv: [u8; 12],
    count: u64,
    /// How many records one key may seal.
    limit: u64,
}

impl Direction {
    fn new(provider: Provider, kernel: &Kernel, secrets: &(u64, ConnectionTrafficSecrets)) -> Result<Self, Error> {
        let (key, iv) = Key::new(provider, &secrets.1)?;
        Ok(Self { key, iv, count: secrets.0, limit: kernel.limit() })
    }

    /// The nonce of the next record (RFC 8446, section 5.3).
    fn nonce(&self) -> Result<[u8; 12], Error> {
        if self.count == u64::MAX {
            return Err(Error::Exhausted);
        }
        let mut nonce = self.iv;
        for (byte, count) in nonce[4..].iter_mut().zip(self.count.to_be_bytes()) {
            *byte ^= count;
        }
        Ok(nonce)
    }
}

impl Cipher {
    pub(crate) fn new(provider: Provider, secrets: &ExtractedSecrets, kernel: Kernel) -> Result<Self, Error> {
        Ok(Self {
            provider,
            send: Direction::new(provider, &kernel, &secrets.tx)?,
            recv: Direction::new(provider, &kernel, &secrets.rx)?,
            kernel,
            messages: Messages::default(),
            updates: 0,
            update_due: false,
            closed: false,
            ended: false,
            failed: None,
        })
    }

    /// How a `SendBuf` must build frames for [`seal`](Self::seal).
    pub const fn framing() -> Framing {
        Framing { prefix: HEADER, suffix: KIND + TAG, plain_max: PLAIN_MAX }
    }

    /// Opens the next record of `recv` in place and reveals its plaintext, which may be empty. False means that no
    /// record is whole yet, whose length has been announced then if it is known, or that the peer
    /// [has closed](Self::is_closed).
    ///
    /// # Errors
    ///
    /// The peer broke the protocol, or ended it by an [`Error::Alert`]. They are sticky, and nothing of the record is
    /// revealed.
    pub fn open(&mut self, recv: &mut RecvBuf) -> Result<bool, Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.open_next(recv).inspect_err(|error| self.failed = Some(*error))
    }

    /// Whether the peer has said that it sends nothing more. An end of the input without it was made by somebody else.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Seals the open frame of `send` in place, so that it is ready to go, and adds the change of keys that is due.
    /// False means that there was nothing to do.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`] behind [`close`](Self::close), [`Error::OwnFrame`] if `send` has not
    /// [this framing](Self::framing), and [`Error::Exhausted`]. The frame stays open.
    pub fn seal(&mut self, send: &mut SendBuf) -> Result<bool, Error> {
        let Some(text) = send.open_frame() else {
            return self.update(send);
        };
        if self.ended {
            return Err(Error::Ended);
        }
        if text.len() > PLAIN_MAX {
            return Err(Error::OwnFrame { limit: PLAIN_MAX });
        }
        self.seal_as(APPLICATION_DATA, send)?;
        self.update(send)?;
        Ok(true)
    }

    /// Seals the open frame, then says goodbye: `close_notify`, or the alert that names the error that
    /// [`open`](Self::open) gave. False means that `send` has no room for it now, or that it was said before.
    ///
    /// # Errors
    ///
    /// Those of [`seal`](Self::seal).
    pub fn close(&mut self, send: &mut SendBuf) -> Result<bool, Error> {
        if self.ended {
            return Ok(false);
        }
        self.seal(send)?;
        let alert = match self.failed {
            None => [1, Alert::CLOSE_NOTIFY.0],
            // The peer has gone already.
            Some(Error::Alert(_)) => return Ok(false),
            Some(error) => [2, error.alert().0],
        };
        self.ended = self.seal_own(ALERT, &alert, send)?;
        Ok(self.ended)
    }

    fn open_next(&mut self, recv: &mut RecvBuf) -> Result<bool, Error> {
        if self.closed {
            return Ok(false);
        }
        let sealed = recv.sealed_mut();
        if sealed.first().is_some_and(|kind| *kind != APPLICATION_DATA) {
            return Err(Error::Record);
        }
        let Some((head, rest)) = sealed.split_first_chunk_mut::<HEADER>() else {
            return Ok(false);
        };
        let (head, len) = (*head, usize::from(u16::from_be_bytes([head[3], head[4]])));
        if len > RECORD_MAX {
            return Err(Error::TooLong { limit: RECORD_MAX });
        }
        let Some(text) = rest.get_mut(..len) else {
            recv.announce(HEADER + len);
            return Ok(false);
        };
        let nonce = self.recv.nonce()?;
        let plain = self.recv.key.open(nonce, head, text).ok_or(Error::Authentication)?;
        self.recv.count += 1;
        if plain > PLAIN_MAX + KIND {
            return Err(Error::TooLong { limit: PLAIN_MAX });
        }
        // Zeros may follow the content type (RFC 8446, section 5.4).
        let last = text[..plain].iter().rposition(|byte| *byte != 0).ok_or(Error::Unexpected)?;
        let (kind, text) = (text[last], &text[..last]);
        if self.messages.is_partial() && kind != HANDSHAKE {
            return Err(Error::Unexpected);
        }
        match kind {
            APPLICATION_DATA => {
                if last > 0 {
                    self.updates = 0;
                }
                recv.reveal(HEADER, last, len - last);
                return Ok(true);
            }
            HANDSHAKE => {
                if let Some(update) = self.messages.read(self.kernel.role(), text)? {
                    self.read_update(update.asks)?;
                }
            }
            ALERT => self.read_alert(text)?,
            _ => return Err(Error::Unexpected),
        }
        recv.reveal(HEADER + len, 0, 0);
        Ok(true)
    }

    fn read_update(&mut self, asks: bool) -> Result<(), Error> {
        self.updates += 1;
        if self.updates > KEY_UPDATES {
            return Err(Error::KeyUpdates { limit: KEY_UPDATES });
        }
        let secrets = self.kernel.next(false)?;
        self.recv = Direction::new(self.provider, &self.kernel, &secrets)?;
        self.update_due |= asks;
        Ok(())
    }

    fn read_alert(&mut self, text: &[u8]) -> Result<(), Error> {
        // The level means nothing any more (RFC 8446, section 6).
        match text {
            [_, alert] if Alert(*alert) == Alert::CLOSE_NOTIFY => self.closed = true,
            [_, alert] if Alert(*alert) == Alert::USER_CANCELED => {}
            [_, alert] => return Err(Error::Alert(Alert(*alert))),
            _ => return Err(Error::Malformed),
        }
        Ok(())
    }

    /// Changes our keys if the peer asked for it, or if half of what they may seal is sealed. The frame that was open
    /// then goes before, as if it had been on its way.
    fn update(&mut self, send: &mut SendBuf) -> Result<bool, Error> {
        let is_due = self.update_due || self.send.count >= self.send.limit / 2;
        if !is_due || self.ended || !self.seal_own(HANDSHAKE, &UPDATE, send)? {
            return Ok(false);
        }
        let secrets = self.kernel.next(true)?;
        self.send = Direction::new(self.provider, &self.kernel, &secrets)?;
        self.update_due = false;
        Ok(true)
    }

    /// Seals a record of the cipher's own, if there is room. No frame is open.
    fn seal_own(&mut self, kind: u8, text: &[u8], send: &mut SendBuf) -> Result<bool, Error> {
        send.set_framing(Self::framing());
        if !send.append(text) {
            return Ok(false);
        }
        self.seal_as(kind, send)?;
        Ok(true)
    }

    fn seal_as(&mut self, kind: u8, send: &mut SendBuf) -> Result<(), Error> {
        let nonce = self.send.nonce()?;
        if self.send.count >= self.send.limit {
            return Err(Error::Exhausted);
        }
        let text = send.extend_frame(&[kind]).ok_or(Error::Library)?;
        let [high, low] = ((text.len() + TAG) as u16).to_be_bytes();
        let head = [APPLICATION_DATA, 3, 3, high, low];
        let tag = self.send.key.seal(nonce, head, text).ok_or(Error::Library)?;
        self.send.count += 1;
        send.close_frame(&head, &tag);
        Ok(())
    }
}

impl Kernel {
    fn role(&self) -> Role {
        match self {
            Self::Client(_) => Role::Dialer,
            Self::Server(_) => Role::Listener,
        }
    }

    /// How many records one key may seal.
    fn limit(&self) -> u64 {
        let suite = match self {
            Self::Client(kernel) => kernel.negotiated_cipher_suite(),
            Self::Server(kernel) => kernel.negotiated_cipher_suite(),
        };
        suite.tls13().map_or(0, |suite| suite.common.confidentiality_limit)
    }

    /// The next keys of a direction.
    fn next(&mut self, ours: bool) -> Result<(u64, ConnectionTrafficSecrets), Error> {
        let secrets = match self {
            Self::Client(kernel) if ours => kernel.update_tx_secret(),
            Self::Client(kernel) => kernel.update_rx_secret(),
            Self::Server(kernel) if ours => kernel.update_tx_secret(),
            Self::Server(kernel) => kernel.update_rx_secret(),
        };
        Ok(secrets?)
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cipher")
            .field("sealed", &self.send.count)
            .field("opened", &self.recv.count)
            .field("closed", &self.closed)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

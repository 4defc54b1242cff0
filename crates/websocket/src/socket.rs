//! One end of a WebSocket.

use core::fmt;

use data_encoding::BASE64;
use rand::{Rng, SeedableRng, rngs::StdRng};
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::{
    Error, Limits,
    frames::{self, Frames, HEAD_MAX, Kind},
    handshake::Handshake,
};
#[cfg(feature = "tls")]
use crate::{WebTls, tls::Tls};

/// Less room than this is no room, unless the payload is as short: small frames cost more than they carry.
const ROOM_MIN: usize = 4 * 1024;

/// The code of a Close in good order.
const NORMAL: u16 = 1000;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The host, with a port if that is not the usual one: `example.org`, `127.0.0.1:4001`, `[::1]:4001`.
    pub host: String,
    /// The path, from its first slash.
    pub path: String,
    /// Whether there is TLS below. It only says `wss` for `ws` here.
    pub secure: bool,
}

/// One end of a WebSocket: bytes of a TCP socket on the one side, payload on the other. Frames have no meaning: payload is
/// one stream of bytes.
pub struct Socket {
    limits: Limits,
    /// `None`: it is done, or has failed.
    handshake: Option<Handshake>,
    is_open: bool,
    frames: Frames,
    /// Of a client: where its masks come from.
    masks: Option<Box<StdRng>>,
    /// What was read from the socket. `input[read..filled]` is not used yet.
    input: Vec<u8>,
    read: usize,
    filled: usize,
    is_eof: bool,
    /// What is to be sent. `output[..sent]` has been.
    output: Vec<u8>,
    sent: usize,
    /// The payload of the Ping that is to be answered when there is room.
    pong: Option<Vec<u8>>,
    /// Our Close is on its way, or can never be.
    is_finished: bool,
    end: Option<Result<(), Error>>,
    #[cfg(feature = "tls")]
    tls: Option<Box<Tls>>,
}

impl Socket {
    /// The end that dials. Its request is [ready](Self::ready) at once. `secret` is 32 bytes that nobody can guess, which
    /// become the key of the request and the masks of the frames.
    ///
    /// # Errors
    /// [`Error::Target`].
    pub fn client(target: &Target, secret: [u8; 32], limits: Limits) -> Result<Self, Error> {
        let mut masks = StdRng::from_seed(secret);
        let mut key = [0; 16];
        masks.fill_bytes(&mut key);
        let (handshake, request) = Handshake::client(target, &BASE64.encode(&key))?;
        let mut socket = Self::new(handshake, Frames::new(false), limits);
        socket.masks = Some(Box::new(masks));
        socket.output = request;
        Ok(socket)
    }

    /// The end that listens. It takes a request for any path.
    pub fn server(limits: Limits) -> Self {
        Self::new(Handshake::server(), Frames::new(true), limits)
    }

    const fn new(handshake: Handshake, frames: Frames, limits: Limits) -> Self {
        Self {
            limits,
            handshake: Some(handshake),
            is_open: false,
            frames,
            masks: None,
            input: Vec::new(),
            read: 0,
            filled: 0,
            is_eof: false,
            output: Vec::new(),
            sent: 0,
            pong: None,
            is_finished: false,
            end: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// As [`client`](Self::client), over TLS to who has a certificate for `name`: a host's name, or an IP address.
    ///
    /// # Errors
    /// [`Error::Target`].
    #[cfg(feature = "tls")]
    pub fn secure_client(
        target: &Target,
        name: &str,
        tls: &WebTls,
        secret: [u8; 32],
        limits: Limits,
    ) -> Result<Self, Error> {
        let mut socket = Self::client(target, secret, limits)?;
        let request = core::mem::take(&mut socket.output);
        socket.tls = Some(Box::new(tls.client(name)?));
        socket.emit(&request);
        Ok(socket)
    }

    /// As [`server`](Self::server), over TLS.
    ///
    /// # Errors
    /// [`Error::Credentials`]: there is no certificate.
    #[cfg(feature = "tls")]
    pub fn secure_server(tls: &WebTls, limits: Limits) -> Result<Self, Error> {
        let tls = Some(Box::new(tls.server()?));
        Ok(Self { tls, ..Self::server(limits) })
    }

    // ---- the socket's side, in

    /// Room to read from the socket into; tell the number of bytes by [`filled`](Self::filled). Empty while what was read
    /// before has not been [used](Self::read), and after the end.
    pub fn spare(&mut self) -> &mut [u8] {
        if self.has_input() || self.end.is_some() || self.is_eof {
            return &mut [];
        }
        (self.read, self.filled) = (0, 0);
        self.input.resize(self.limits.recv_bytes.max(1), 0);
        &mut self.input
    }

    /// Says that the first `n` bytes of [`spare`](Self::spare) have been filled. More than there were counts as all.
    pub fn filled(&mut self, n: usize) {
        self.filled += n.min(self.input.len() - self.filled);
    }

    /// Says that nothing more will come from the socket.
    pub fn handle_eof(&mut self) {
        self.is_eof = true;
    }

    /// Whether there is input that was not used. While there is, no more is needed. Behind the end there is none.
    pub fn has_input(&self) -> bool {
        if self.end.is_some() {
            return false;
        }
        #[cfg(feature = "tls")]
        if self.tls.as_ref().is_some_and(|tls| tls.has_plain()) {
            return true;
        }
        self.read < self.filled
    }

    /// What the next read gives at most, in bytes, from the input that there is: so much room is enough for it.
    pub fn payload_max(&self) -> usize {
        #[cfg(feature = "tls")]
        if self.tls.is_some() {
            // A record and what is left of the one before.
            return if self.has_input() { 2 * 16 * 1024 } else { 0 };
        }
        self.filled - self.read
    }

    // ---- the socket's side, out

    /// What is to be sent; tell how much was by [`sent`](Self::sent).
    pub fn ready(&self) -> &[u8] {
        &self.output[self.sent..]
    }

    /// Says that the first `n` bytes of [`ready`](Self::ready) have been sent. More than there were counts as all.
    pub fn sent(&mut self, n: usize) {
        self.sent += n.min(self.output.len() - self.sent);
        if self.sent == self.output.len() {
            self.output.clear();
            self.sent = 0;
        }
        self.send_pong();
    }

    /// Takes all that is ready out, as sent, in the place of what is in `out`, which is thrown away. Returns whether there is
    /// something. For who sends it while another thread writes.
    pub fn take_ready(&mut self, out: &mut Vec<u8>) -> bool {
        out.clear();
        if self.sent == 0 {
            core::mem::swap(out, &mut self.output);
        } else {
            out.extend_from_slice(self.ready());
        }
        self.sent(usize::MAX);
        !out.is_empty()
    }

    // ---- the payload's side

    /// Reads payload from what has come in, and returns how much. Nothing: more input is needed, or this is the
    /// [end](Self::end).
    pub fn read(&mut self, payload: &mut [u8]) -> usize {
        let mut len = 0;
        while self.end.is_none() {
            match self.step(&mut payload[len..]) {
                Ok(Some(n)) => len += n,
                Ok(None) => break,
                Err(error) => self.fail(error),
            }
        }
        #[cfg(feature = "tls")]
        self.settle();
        len
    }

    /// Takes payload to be sent, and returns how much: nothing before the handshake is done, and a part where too much
    /// waits to be sent. What is taken becomes one message.
    ///
    /// # Errors
    /// [`Error::Finished`]
    pub fn write(&mut self, payload: &[u8]) -> Result<usize, Error> {
        if self.is_finished {
            return Err(Error::Finished);
        }
        let room = self.limits.send_bytes.saturating_sub(self.ready().len() + HEAD_MAX);
        if !self.is_open || payload.is_empty() || room < ROOM_MIN.min(payload.len()) {
            return Ok(0);
        }
        let n = room.min(payload.len());
        self.append(OpCode::Data(Data::Binary), &payload[..n]);
        Ok(n)
    }

    /// Ends what we write, by a Close behind all that was written. A WebSocket knows no half-closed state: most peers send
    /// nothing more once they have read it. What they do send is read.
    pub fn finish(&mut self) {
        self.close(NORMAL);
    }

    /// Whether the handshake is done.
    pub const fn is_open(&self) -> bool {
        self.is_open
    }

    /// The end of the payload: `None` until it has been read, then how it ended. An end of the socket's input between two
    /// frames is as good as a Close: what is above knows whether something is missing.
    pub const fn end(&self) -> Option<Result<(), Error>> {
        self.end
    }

    /// Gives the memory of buffers back in which nothing is.
    pub fn release(&mut self) {
        if !self.has_input() {
            (self.input, self.read, self.filled) = (Vec::new(), 0, 0);
        }
        if self.output.is_empty() {
            self.output = Vec::new();
        }
    }

    // ---- within

    /// One step through the input. `None`: nothing can be done.
    fn step(&mut self, payload: &mut [u8]) -> Result<Option<usize>, Error> {
        let input = &self.input[self.read..self.filled];
        #[cfg(feature = "tls")]
        let input = match &mut self.tls {
            Some(tls) => {
                let (used, plain) = tls.read(input)?;
                self.read += used;
                plain
            }
            None => input,
        };
        if input.is_empty() {
            #[cfg(feature = "tls")]
            if self.tls.as_ref().is_some_and(|tls| tls.is_closed()) {
                self.is_eof = true;
            }
            let is_cut = self.handshake.is_some() || self.frames.is_within();
            if self.is_eof {
                self.end = Some(if is_cut { Err(Error::Cut) } else { Ok(()) });
            }
            return Ok(None);
        }
        if let Some(handshake) = &mut self.handshake {
            let (used, is_whole) = handshake.handle_input(input, self.limits.head_bytes)?;
            self.used(used);
            if is_whole {
                self.agree()?;
            }
            return Ok(Some(0));
        }
        let step = self.frames.step(input, payload)?;
        self.used(step.used);
        if let Some(kind) = step.control {
            self.handle_control(kind);
        }
        Ok((step.used > 0).then_some(step.payload))
    }

    /// So much of the input has been used.
    fn used(&mut self, n: usize) {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            return tls.used(n);
        }
        self.read += n;
    }

    /// Has these bytes sent.
    fn emit(&mut self, bytes: &[u8]) {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            tls.write(bytes);
            return tls.transmit(&mut self.output);
        }
        self.output.extend_from_slice(bytes);
    }

    /// What TLS has to say by itself.
    #[cfg(feature = "tls")]
    fn settle(&mut self) {
        let Some(tls) = &mut self.tls else { return };
        if self.is_finished && self.end.is_some() {
            tls.close();
        }
        tls.transmit(&mut self.output);
    }

    /// The peer's head is whole.
    fn agree(&mut self) -> Result<(), Error> {
        let Some(handshake) = self.handshake.take() else { return Ok(()) };
        let refusal = handshake.refusal();
        match handshake.finish() {
            Ok(answer) => {
                self.emit(&answer);
                self.is_open = true;
                Ok(())
            }
            Err(error) => {
                self.emit(refusal);
                Err(error)
            }
        }
    }

    fn handle_control(&mut self, kind: Kind) {
        let payload = self.frames.control();
        match kind {
            Kind::Pong => {}
            // Of several Pings the last is to be answered (section 5.5.3), so that they cannot fill the memory.
            Kind::Ping => {
                self.pong = Some(payload.to_vec());
                self.send_pong();
            }
            Kind::Close => {
                let code = payload.first_chunk().map_or(NORMAL, |code| u16::from_be_bytes(*code));
                self.end = Some(if matches!(code, 1000 | 1001) { Ok(()) } else { Err(Error::Closed { code }) });
                self.close(code);
            }
        }
    }

    fn send_pong(&mut self) {
        if self.is_finished || self.ready().len() >= self.limits.send_bytes {
            return;
        }
        if let Some(payload) = self.pong.take() {
            self.append(OpCode::Control(Control::Pong), &payload);
        }
    }

    fn fail(&mut self, error: Error) {
        self.end = Some(Err(error));
        if let Some(handshake) = self.handshake.take() {
            self.emit(handshake.refusal());
        }
        self.close(error.close_code());
    }

    fn close(&mut self, code: u16) {
        if !core::mem::replace(&mut self.is_finished, true) && self.is_open {
            self.append(OpCode::Control(Control::Close), &code.to_be_bytes());
        }
    }

    fn append(&mut self, opcode: OpCode, payload: &[u8]) {
        let key = self.masks.as_mut().map(|masks| masks.next_u32().to_ne_bytes());
        #[cfg(feature = "tls")]
        if self.tls.is_some() {
            let mut frame = Vec::new();
            frames::append(opcode, key, payload, &mut frame);
            return self.emit(&frame);
        }
        frames::append(opcode, key, payload, &mut self.output);
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("is_open", &self.is_open).field("end", &self.end).finish_non_exhaustive()
    }
}

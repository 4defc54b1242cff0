//! The opening handshake (RFC 6455, section 4), by tungstenite. It is given whole heads only, in one piece: it counts how
//! often it reads, and does not like small pieces; and what is behind a head belongs to the frames.

use std::io;

use tungstenite::{
    error::ProtocolError,
    handshake::{
        HandshakeError, MidHandshake,
        client::{ClientHandshake, Request},
        server::{NoCallback, ServerHandshake},
    },
    http,
};

use crate::{Error, Target};

/// What ends a head.
const END: &[u8] = b"\r\n\r\n";

/// What the listener says to a request that is none.
const REFUSAL: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// A handshake whose peer's head has not been read to its end.
pub(crate) struct Handshake {
    end: End,
    head: Vec<u8>,
}

/// Which end of the connection we are.
enum End {
    Client(Box<MidHandshake<ClientHandshake<Pipe>>>),
    Server,
}

impl Handshake {
    /// The handshake of a client, and its request. `key` is 16 random bytes in Base64.
    pub(crate) fn client(target: &Target, key: &str) -> Result<(Self, Vec<u8>), Error> {
        let request = request(target, key).map_err(|_| Error::Target)?;
        let handshake = ClientHandshake::start(Pipe::default(), request, None).map_err(|_| Error::Target)?;
        // Its stream takes all, so that it stops where it reads.
        let Err(HandshakeError::Interrupted(mut handshake)) = handshake.handshake() else { return Err(Error::Target) };
        let sent = core::mem::take(&mut handshake.get_mut().get_mut().output);
        Ok((Self { end: End::Client(Box::new(handshake)), head: Vec::new() }, sent))
    }

    pub(crate) const fn server() -> Self {
        Self { end: End::Server, head: Vec::new() }
    }

    /// Takes input up to the end of the head. Returns how much that is, and whether the head is whole.
    pub(crate) fn handle_input(&mut self, input: &[u8], limit: usize) -> Result<(usize, bool), Error> {
        let before = self.head.len();
        // What may hold the end, and one byte more than may be.
        let from = before.saturating_sub(END.len() - 1);
        let take = input.len().min((limit + 1).saturating_sub(before));
        self.head.extend_from_slice(&input[..take]);
        match self.head[from..].windows(END.len()).position(|window| window == END) {
            Some(at) if from + at + END.len() <= limit => {
                self.head.truncate(from + at + END.len());
                Ok((self.head.len() - before, true))
            }
            None if self.head.len() <= limit => Ok((take, false)),
            _ => Err(Error::HeadTooLong { limit }),
        }
    }

    /// Judges the whole head. Returns what a listener answers.
    pub(crate) fn finish(self) -> Result<Vec<u8>, Error> {
        let (head, pipe) = (self.head, |input| Pipe { input, ..Pipe::default() });
        match self.end {
            End::Client(mut handshake) => {
                *handshake.get_mut().get_mut() = pipe(head);
                handshake.handshake().map(|_| Vec::new()).map_err(|error| cause(error, Error::Head))
            }
            End::Server => {
                let handshake = ServerHandshake::start(pipe(head), NoCallback, None);
                let done = handshake.handshake().map_err(|error| cause(error, Error::Head))?;
                Ok(done.into_inner().output)
            }
        }
    }

    /// What the peer is told of a handshake that failed.
    pub(crate) const fn refusal(&self) -> &'static [u8] {
        match self.end {
            End::Client(_) => &[],
            End::Server => REFUSAL,
        }
    }
}

fn request(target: &Target, key: &str) -> Result<Request, http::Error> {
    let scheme = if target.secure { "wss" } else { "ws" };
    Request::builder()
        .uri(format!("{scheme}://{}{}", target.host, target.path))
        .header("Host", &target.host)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", key)
        .body(())
}

/// What a failed handshake says of the peer; `other` where it says nothing that has a name.
fn cause<R: tungstenite::handshake::HandshakeRole>(error: HandshakeError<R>, other: Error) -> Error {
    use ProtocolError as E;
    let HandshakeError::Failure(error) = error else { return other };
    let name = match error {
        tungstenite::Error::Http(answer) => return Error::Status { code: answer.status().as_u16() },
        tungstenite::Error::Protocol(E::WrongHttpMethod) => return Error::Method,
        tungstenite::Error::Protocol(E::MissingConnectionUpgradeHeader) => "connection",
        tungstenite::Error::Protocol(E::MissingUpgradeWebSocketHeader) => "upgrade",
        tungstenite::Error::Protocol(E::MissingSecWebSocketVersionHeader) => "sec-websocket-version",
        tungstenite::Error::Protocol(E::MissingSecWebSocketKey | E::InvalidSecWebSocketKey) => "sec-websocket-key",
        tungstenite::Error::Protocol(E::SecWebSocketAcceptKeyMismatch) => "sec-websocket-accept",
        tungstenite::Error::Protocol(E::SecWebSocketSubProtocolError(_)) => "sec-websocket-protocol",
        _ => return other,
    };
    Error::Header { name }
}

/// What tungstenite takes for a socket: it would block where the input ends, and takes all output.
#[derive(Debug, Default)]
struct Pipe {
    input: Vec<u8>,
    read: usize,
    output: Vec<u8>,
}

impl io::Read for Pipe {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let left = &self.input[self.read..];
        if left.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = left.len().min(to.len());
        to[..n].copy_from_slice(&left[..n]);
        self.read += n;
        Ok(n)
    }
}

impl io::Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

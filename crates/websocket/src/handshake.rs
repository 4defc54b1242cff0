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

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and the answer of RFC 6455, sections 1.3 and 4.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn target() -> Target {
        Target { host: "server.example.com".to_owned(), path: "/chat".to_owned(), secure: false }
    }

    /// What comes of a peer's head.
    fn judge(mut handshake: Handshake, head: &str) -> Result<String, Error> {
        assert_eq!(handshake.handle_input(head.as_bytes(), 8192)?, (head.len(), true), "{head}");
        handshake.finish().map(|answer| String::from_utf8(answer).unwrap())
    }

    fn request(change: &str, to: &str) -> String {
        let request = format!(
            "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        assert!(request.contains(change), "{change}");
        request.replacen(change, to, 1)
    }

    fn answer(change: &str, to: &str) -> String {
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
        );
        assert!(answer.contains(change), "{change}");
        answer.replacen(change, to, 1)
    }

    #[test]
    fn the_sample_of_the_rfc() {
        let (client, sent) = Handshake::client(&target(), KEY).unwrap();
        let sent = String::from_utf8(sent).unwrap();
        assert!(sent.starts_with("GET /chat HTTP/1.1\r\n") && sent.ends_with("\r\n\r\n"), "{sent}");
        for line in ["Host: server.example.com", "Upgrade: websocket", "Sec-WebSocket-Version: 13"] {
            assert!(sent.contains(&format!("\r\n{line}\r\n")), "{sent}");
        }
        assert!(sent.contains(&format!("\r\nSec-WebSocket-Key: {KEY}\r\n")), "{sent}");
        assert_eq!(judge(client, &answer("", "")), Ok(String::new()));

        let answer = judge(Handshake::server(), &request("", "")).unwrap().to_lowercase();
        assert!(answer.starts_with("http/1.1 101 ") && answer.ends_with("\r\n\r\n"), "{answer}");
        assert!(answer.contains(&format!("\r\nsec-websocket-accept: {ACCEPT}\r\n").to_lowercase()), "{answer}");
    }

    #[test]
    fn requests_that_are_none() {
        let header = |name| Error::Header { name };
        for (change, to, error) in [
            ("GET", "POST", Error::Method),
            ("HTTP/1.1", "HTTP/1.0", Error::Head),
            ("GET /chat HTTP/1.1", "\u{13}/multistream/1.0.0", Error::Head),
            ("Connection: Upgrade\r\n", "", header("connection")),
            ("Upgrade: websocket\r\n", "", header("upgrade")),
            ("Version: 13", "Version: 8", header("sec-websocket-version")),
            ("Sec-WebSocket-Key", "Key", header("sec-websocket-key")),
            (KEY, "c2hvcnQ=", header("sec-websocket-key")),
        ] {
            assert_eq!(judge(Handshake::server(), &request(change, to)), Err(error), "{to}");
        }
        // Browsers say more, and none of it matters.
        let more =
            "Connection: keep-alive, Upgrade\r\nOrigin: http://a.b\r\nSec-WebSocket-Extensions: permessage-deflate";
        assert!(judge(Handshake::server(), &request("Connection: Upgrade", more)).is_ok());
    }

    #[test]
    fn answers_that_are_none() {
        let header = |name| Error::Header { name };
        for (change, to, error) in [
            ("101 Switching Protocols", "404 Not Found", Error::Status { code: 404 }),
            ("HTTP/1.1 101", "HTTP/1.0 101", Error::Head),
            ("HTTP/1.1 101", "\u{13}/multistream/1.0.0", Error::Head),
            ("Upgrade: websocket\r\n", "", header("upgrade")),
            ("Connection: Upgrade\r\n", "", header("connection")),
            (ACCEPT, "s3pPLMBiTxaQ9kYGzzhZRbK+xOp=", header("sec-websocket-accept")),
            ("Sec-WebSocket-Accept", "Accept", header("sec-websocket-accept")),
            ("Connection", "Sec-WebSocket-Protocol: chat\r\nConnection", header("sec-websocket-protocol")),
        ] {
            let (client, _) = Handshake::client(&target(), KEY).unwrap();
            assert_eq!(judge(client, &answer(change, to)), Err(error), "{to}");
        }
    }

    #[test]
    fn a_head_has_an_end_and_a_limit() {
        let head = request("", "");
        let mut server = Handshake::server();
        for (i, byte) in head.bytes().enumerate() {
            assert_eq!(server.handle_input(&[byte], 8192), Ok((1, i + 1 == head.len())));
        }
        let both = format!("{head}behind");
        assert_eq!(Handshake::server().handle_input(both.as_bytes(), head.len()), Ok((head.len(), true)));
        let limit = head.len() - 1;
        assert_eq!(Handshake::server().handle_input(both.as_bytes(), limit), Err(Error::HeadTooLong { limit }));
        let mut server = Handshake::server();
        assert_eq!(server.handle_input(&[b'a'; 100], 100), Ok((100, false)));
        assert_eq!(server.handle_input(b"a", 100), Err(Error::HeadTooLong { limit: 100 }));
        assert!(server.head.len() <= 101);
    }

    #[test]
    fn targets_that_cannot_be_asked_for() {
        for (host, path) in [("a b", "/"), ("", "/"), ("a", "b c"), ("a\r\nX: y", "/"), ("a", "/\r\n")] {
            let target = Target { host: host.to_owned(), path: path.to_owned(), secure: false };
            assert_eq!(Handshake::client(&target, KEY).err(), Some(Error::Target), "{target:?}");
        }
    }
}

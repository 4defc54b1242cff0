//! WebSocket over a TCP socket.

use core::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};
use std::io;

use sanswarm::TransportError;
use sanswarm_host::{WebAddr, transport_error};
use sanswarm_websocket::{Error, Limits, Socket, Target};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::{node::random, socket::Kit};

pub(crate) struct Web {
    tcp: TcpStream,
    socket: Socket,
    /// Payload that the socket has taken, of which the caller has not been told: it is on its way.
    taken: usize,
}

impl Web {
    /// Shakes hands with the listener at an address.
    pub(crate) async fn dial(tcp: TcpStream, address: &WebAddr, kit: &Kit) -> Result<Self, TransportError> {
        let socket = client(address, kit).map_err(cause)?;
        let mut web = Self { tcp, socket, taken: 0 };
        poll_fn(|cx| web.poll_open(cx)).await?;
        Ok(web)
    }

    /// The handshake is done with the first reads, in the time that the connection has for its own.
    pub(crate) fn accept(tcp: TcpStream, address: &WebAddr, kit: &Kit) -> Result<Self, TransportError> {
        Ok(Self { tcp, socket: server(address, kit).map_err(cause)?, taken: 0 })
    }

    pub(crate) const fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        loop {
            self.socket.read(&mut []);
            let _ = self.poll_send(cx).map_err(|error| transport_error(&error))?;
            match self.socket.end() {
                _ if self.socket.is_open() => return Poll::Ready(Ok(())),
                None => ready!(self.poll_fill(cx)).map_err(|error| transport_error(&error))?,
                Some(end) => return Poll::Ready(Err(end.map_or_else(cause, |()| TransportError::Reset))),
            }
        }
    }

    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let was_open = self.socket.is_open();
        let result = self.poll_payload(cx, to);
        // What reading gave to be sent: an answer to the handshake, to a Ping or to a Close. If it cannot go now it goes later.
        let _ = self.poll_send(cx);
        if !was_open && self.socket.is_open() && result.is_pending() {
            cx.waker().wake_by_ref(); // Now there can be written, too.
        }
        result
    }

    fn poll_payload(&mut self, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while to.remaining() > 0 {
            // No more than can come: it is zeroed first.
            let room = to.remaining().min(self.socket.payload_max());
            let n = self.socket.read(to.initialize_unfilled_to(room));
            to.advance(n);
            match self.socket.end() {
                _ if n > 0 => break,
                None => ready!(self.poll_fill(cx))?,
                Some(Ok(())) => break,
                Some(Err(error)) => return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error))),
            }
        }
        Poll::Ready(Ok(()))
    }

    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            if self.taken == 0 {
                let taken = self.socket.write(from);
                self.taken = taken.map_err(|error| io::Error::new(io::ErrorKind::BrokenPipe, error))?;
            }
            ready!(self.poll_send(cx))?;
            match core::mem::take(&mut self.taken) {
                // Reading will see the handshake done, and wake us.
                0 if !self.socket.is_open() => return Poll::Pending,
                0 if !from.is_empty() => {} // There was no room, and now there is.
                n => return Poll::Ready(Ok(n)),
            }
        }
    }

    /// Ends what we write. What cannot be sent at once goes while we read.
    pub(crate) fn finish(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.socket.finish();
        match self.poll_send(cx) {
            Poll::Ready(result) => result,
            Poll::Pending => Ok(()),
        }
    }

    pub(crate) fn release(&mut self) {
        self.socket.release();
    }

    /// Sends what is ready, all of it.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.socket.ready().is_empty() {
            match ready!(Pin::new(&mut self.tcp).poll_write(cx, self.socket.ready())) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(n) => self.socket.sent(n),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once. Called when all that was read before has been used.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut spare = ReadBuf::new(self.socket.spare());
        ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut spare))?;
        match spare.filled().len() {
            0 => self.socket.handle_eof(),
            n => self.socket.filled(n),
        }
        Poll::Ready(Ok(()))
    }
}

fn client(address: &WebAddr, kit: &Kit) -> Result<Socket, Error> {
    let target = Target { host: address.host(), path: address.path.clone(), secure: address.secure };
    #[cfg(feature = "wss")]
    if address.secure {
        let ip = address.socket.ip().to_string();
        let name = address.name.as_deref().unwrap_or(&ip);
        return Socket::secure_client(&target, name, &kit.tls, random(), Limits::default());
    }
    let _ = kit;
    Socket::client(&target, random(), Limits::default())
}

fn server(address: &WebAddr, kit: &Kit) -> Result<Socket, Error> {
    #[cfg(feature = "wss")]
    if address.secure {
        return Socket::secure_server(&kit.tls, Limits::default());
    }
    let _ = (address, kit);
    Ok(Socket::server(Limits::default()))
}

fn cause(error: Error) -> TransportError {
    TransportError::Handshake(error.as_str())
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web").field("tcp", &self.tcp).field("socket", &self.socket).finish_non_exhaustive()
    }
}

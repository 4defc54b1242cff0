//! What carries the bytes of a connection.

use core::{
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};
use std::io;

use sanswarm::{Multiaddr, TransportError};
#[cfg(feature = "ws")]
use sanswarm_host::WebAddr;
use sanswarm_host::{MemoryPipe, memory_number, socket_addr};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::sockets::connect_to;
#[cfg(feature = "ws")]
use crate::web::Web;
use sanswarm_swarm::Transport;
#[cfg(feature = "wss")]
use sanswarm_websocket::WebTls;

/// A socket of any transport that is built in, for a driver of one's own. Ending its sending half never waits; what had no
/// room yet goes while it is read.
#[derive(Debug)]
pub struct Socket(Kind);

#[derive(Debug)]
enum Kind {
    Tcp(TcpStream),
    Memory(MemoryPipe),
    /// Boxed, so that connections over TCP are not larger for it.
    #[cfg(feature = "ws")]
    Web(Box<Web>),
}

/// What the sockets of a node have in common.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kit {
    #[cfg(feature = "wss")]
    pub(crate) tls: WebTls,
}

impl Kit {
    /// Whether it has what a listener of this address needs.
    pub(crate) fn check_listen(&self, address: &Multiaddr) -> Result<(), TransportError> {
        #[cfg(feature = "wss")]
        if WebAddr::of(address).is_some_and(|address| address.secure) && !self.tls.can_listen() {
            return Err(TransportError::Handshake(sanswarm_websocket::Error::Credentials.as_str()));
        }
        let _ = address;
        Ok(())
    }
}

/// What is listened on and dialled.
pub(crate) fn transports() -> impl Iterator<Item = Transport> {
    let all = [
        Some(Transport::tcp()),
        Some(Transport::memory()),
        cfg!(feature = "ws").then(Transport::websocket),
        cfg!(feature = "wss").then(Transport::secure_websocket),
    ];
    all.into_iter().flatten()
}

/// The address of a WebSocket that is built in.
#[cfg(feature = "ws")]
fn web_addr(address: &Multiaddr) -> Option<WebAddr> {
    WebAddr::of(address).filter(|address| cfg!(feature = "wss") || !address.secure)
}

/// Connects to an address, whose name has been resolved.
pub(crate) async fn dial(address: &Multiaddr, kit: &Kit) -> Result<Socket, TransportError> {
    #[cfg(feature = "ws")]
    if let Some(address) = web_addr(address) {
        let web = Web::dial(connect_to(address.socket).await?, &address, kit).await?;
        return Ok(Socket(Kind::Web(Box::new(web))));
    }
    if let Some(number) = memory_number(address) {
        return MemoryPipe::dial(number).map(Socket::from);
    }
    let _ = kit;
    let address = socket_addr(address).ok_or(TransportError::Unsupported)?;
    Ok(Socket(Kind::Tcp(connect_to(address).await?)))
}

/// What an accepted socket becomes at a listener of this address.
/// It fails only where [`Kit::check_listen`] does, or for want of randomness.
pub(crate) fn accepted(socket: TcpStream, wanted: &Multiaddr, kit: &Kit) -> Result<Socket, TransportError> {
    #[cfg(feature = "ws")]
    if let Some(address) = web_addr(wanted) {
        return Ok(Socket(Kind::Web(Box::new(Web::accept(socket, &address, kit)?))));
    }
    let _ = (wanted, kit);
    Ok(Socket(Kind::Tcp(socket)))
}

/// Whether it can be dialled as it is.
pub(crate) fn is_resolved(address: &Multiaddr) -> bool {
    bind_addr(address).is_some() || memory_number(address).is_some()
}

/// Where a listener of this address binds its socket.
pub(crate) fn bind_addr(address: &Multiaddr) -> Option<SocketAddr> {
    #[cfg(feature = "ws")]
    if let Some(address) = web_addr(address) {
        return Some(address.socket);
    }
    socket_addr(address)
}

impl From<MemoryPipe> for Socket {
    fn from(pipe: MemoryPipe) -> Self {
        Self(Kind::Memory(pipe))
    }
}

impl Socket {
    /// The socket of the system, where there is one.
    pub fn tcp(&self) -> Option<&TcpStream> {
        match &self.0 {
            Kind::Tcp(socket) => Some(socket),
            Kind::Memory(_) => None,
            #[cfg(feature = "ws")]
            Kind::Web(web) => Some(web.tcp()),
        }
    }

    /// Whether reading is worth a try. Only of TCP it is known without one.
    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.0 {
            Kind::Tcp(socket) => socket.poll_read_ready(cx).map(|_| ()),
            Kind::Memory(_) => Poll::Ready(()),
            #[cfg(feature = "ws")]
            Kind::Web(_) => Poll::Ready(()),
        }
    }

    /// Gives buffers of its own back that hold nothing.
    pub(crate) fn release(&mut self) {
        match &mut self.0 {
            Kind::Tcp(_) => {}
            Kind::Memory(pipe) => pipe.release(),
            #[cfg(feature = "ws")]
            Kind::Web(web) => web.release(),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Kind::Tcp(socket) => Pin::new(socket).poll_read(cx, to),
            Kind::Memory(pipe) => {
                ready!(pipe.poll_readable(cx));
                let room = to.remaining().min(pipe.readable()); // No more than can come: it is zeroed first.
                pipe.poll_read(cx, to.initialize_unfilled_to(room)).map(|n| {
                    to.advance(n);
                    Ok(())
                })
            }
            #[cfg(feature = "ws")]
            Kind::Web(web) => web.poll_read(cx, to),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().0 {
            Kind::Tcp(socket) => Pin::new(socket).poll_write(cx, from),
            Kind::Memory(pipe) => pipe.poll_write(cx, from),
            #[cfg(feature = "ws")]
            Kind::Web(web) => web.poll_write(cx, from),
        }
    }

    /// There is nothing to flush: what was taken has gone.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ends the sending half. It never waits.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Kind::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Kind::Memory(pipe) => {
                pipe.finish();
                Poll::Ready(Ok(()))
            }
            #[cfg(feature = "ws")]
            Kind::Web(web) => Poll::Ready(web.finish(cx)),
        }
    }
}

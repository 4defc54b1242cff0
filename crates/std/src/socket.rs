//! What carries the bytes of a connection. Its calls block where the socket is a blocking one.

use core::{net::SocketAddr, time::Duration};
use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
};

use sanswarm::{Multiaddr, Transport, TransportError};
#[cfg(feature = "ws")]
use sanswarm_host::WebAddr;
use sanswarm_host::{MemoryPipe, socket_addr};

#[cfg(feature = "wss")]
use sanswarm_websocket::WebTls;

use crate::memory::Memory;
#[cfg(feature = "ws")]
use crate::web::Web;

/// How long a full socket may keep a thread from looking at the link's deadlines. They are late by this at most.
pub(crate) const FULL: Duration = Duration::from_millis(100);

/// A socket of any transport.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Memory(Memory),
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

/// What is listened on and dialled, beside TCP.
pub(crate) fn transports() -> impl Iterator<Item = Transport> {
    let all = [
        Some(Transport::memory()),
        cfg!(feature = "ws").then(Transport::websocket),
        cfg!(feature = "wss").then(Transport::secure_websocket),
    ];
    all.into_iter().flatten()
}

/// The address of a WebSocket that is built in.
#[cfg(feature = "ws")]
pub(crate) fn web_addr(address: &Multiaddr) -> Option<WebAddr> {
    WebAddr::of(address).filter(|address| cfg!(feature = "wss") || !address.secure)
}

/// Where a listener of this address binds its socket, and where a dialer connects.
pub(crate) fn tcp_addr(address: &Multiaddr) -> Option<SocketAddr> {
    #[cfg(feature = "ws")]
    if let Some(address) = web_addr(address) {
        return Some(address.socket);
    }
    socket_addr(address)
}

/// What an accepted socket becomes at a listener of this address. It fails only where [`Kit::check_listen`] does.
pub(crate) fn accepted(socket: TcpStream, wanted: &Multiaddr, kit: &Kit) -> Result<Socket, TransportError> {
    #[cfg(feature = "ws")]
    if let Some(address) = web_addr(wanted) {
        return Ok(Socket::Web(Box::new(Web::accept(socket, &address, kit)?)));
    }
    let _ = (wanted, kit);
    Ok(Socket::Tcp(socket))
}

impl From<MemoryPipe> for Socket {
    fn from(pipe: MemoryPipe) -> Self {
        Self::Memory(Memory::new(pipe))
    }
}

impl Socket {
    /// Makes it one for two threads: small writes are gathered by us, and a full socket does not hold its thread for long.
    pub(crate) fn set_up(&self) {
        if let Some(socket) = self.tcp() {
            let _ = socket.set_nodelay(true);
            let _ = socket.set_write_timeout(Some(FULL));
        }
    }

    /// The socket of the system, where there is one.
    pub(crate) const fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(socket) => Some(socket),
            Self::Memory(_) => None,
            #[cfg(feature = "ws")]
            Self::Web(web) => Some(web.tcp()),
        }
    }

    /// Waits until a read does not wait. Returns whether that is so because nothing more comes.
    pub(crate) fn wait(&self) -> io::Result<bool> {
        let socket = match self {
            Self::Tcp(socket) => socket,
            Self::Memory(memory) => return Ok(memory.wait()),
            #[cfg(feature = "ws")]
            Self::Web(web) if web.has_input() => return Ok(false),
            #[cfg(feature = "ws")]
            Self::Web(web) if web.has_ended() => return Ok(true),
            #[cfg(feature = "ws")]
            Self::Web(web) => web.tcp(),
        };
        socket.peek(&mut [0]).map(|n| n == 0)
    }

    /// Reads once. 0: nothing more comes. That it would block says that what came was no payload, too.
    pub(crate) fn read(&self, to: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => { socket }.read(to),
            Self::Memory(memory) => memory.read(to),
            #[cfg(feature = "ws")]
            Self::Web(web) => web.read(to),
        }
    }

    /// Writes. What was taken may not have gone: see [`has_unsent`](Self::has_unsent).
    pub(crate) fn write(&self, from: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => { socket }.write(from),
            Self::Memory(memory) => memory.write(from),
            #[cfg(feature = "ws")]
            Self::Web(web) => web.write(from),
        }
    }

    /// Waits for what a write needs that would block, where the write itself has not waited; but not for long.
    pub(crate) fn wait_writable(&self) {
        match self {
            Self::Tcp(_) => {}
            Self::Memory(memory) => memory.wait_writable(FULL),
            #[cfg(feature = "ws")]
            Self::Web(web) => web.wait_open(),
        }
    }

    /// Whether something is left to be sent that a write took, or that is no payload. A write of nothing sends it.
    pub(crate) fn has_unsent(&self) -> bool {
        match self {
            Self::Tcp(_) | Self::Memory(_) => false,
            #[cfg(feature = "ws")]
            Self::Web(web) => web.has_unsent(),
        }
    }

    /// Whether a write that would block waits for the system, and not for a handshake.
    #[cfg(feature = "poll")]
    pub(crate) fn is_full(&self) -> bool {
        match self {
            Self::Tcp(_) | Self::Memory(_) => true,
            #[cfg(feature = "ws")]
            Self::Web(web) => web.has_unsent(),
        }
    }

    /// Whether there is input of which the system knows nothing.
    #[cfg(feature = "poll")]
    pub(crate) fn has_input(&self) -> bool {
        match self {
            Self::Tcp(_) => false,
            Self::Memory(memory) => memory.poll_readable().is_ready(),
            #[cfg(feature = "ws")]
            Self::Web(web) => web.has_input(),
        }
    }

    /// Gives buffers of its own back that hold nothing.
    pub(crate) fn release(&self) {
        match self {
            Self::Tcp(_) => {}
            Self::Memory(memory) => memory.pipe().release(),
            #[cfg(feature = "ws")]
            Self::Web(web) => web.release(),
        }
    }

    /// Ends the sending half.
    pub(crate) fn finish(&self) {
        match self {
            Self::Tcp(socket) => drop(socket.shutdown(Shutdown::Write)),
            Self::Memory(memory) => memory.pipe().finish(),
            #[cfg(feature = "ws")]
            Self::Web(web) => web.finish(),
        }
    }

    /// Ends both halves: calls that wait come back.
    pub(crate) fn cut(&self) {
        match self {
            Self::Memory(memory) => memory.pipe().cut(),
            other => drop(other.tcp().map(|socket| socket.shutdown(Shutdown::Both))),
        }
    }
}

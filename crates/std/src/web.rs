//! WebSocket over a TCP socket, for a thread that reads and one that writes, or for one that does both.

use core::time::Duration;
use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::{Condvar, Mutex, PoisonError},
};

use sanswarm::TransportError;
use sanswarm_host::{WebAddr, secret, transport_error};
use sanswarm_websocket::{Error, Limits, Socket, Target};

use crate::{
    clock::Clock,
    socket::{FULL, Kit},
    threads::lock,
};

#[derive(Debug)]
pub(crate) struct Web {
    tcp: TcpStream,
    /// Never locked across a call on the socket.
    socket: Mutex<Socket>,
    /// A writer waits here for the end of the handshake.
    opened: Condvar,
    /// What is being sent. Only who writes locks it, for as long as that takes.
    out: Mutex<Out>,
}

#[derive(Debug, Default)]
struct Out {
    bytes: Vec<u8>,
    sent: usize,
}

impl Web {
    fn new(tcp: TcpStream, socket: Socket) -> Self {
        Self { tcp, socket: Mutex::new(socket), opened: Condvar::new(), out: Mutex::default() }
    }

    /// Shakes hands with the listener at an address, within `time`. Blocks.
    pub(crate) fn dial(tcp: TcpStream, address: &WebAddr, time: Duration, kit: &Kit) -> Result<Self, TransportError> {
        let socket = client(address, secret()?, kit).map_err(cause)?;
        let web = Self::new(tcp, socket);
        web.open(time).map_err(|error| match error.downcast::<Error>() {
            Ok(error) => cause(error),
            Err(error) => transport_error(&error),
        })?;
        Ok(web)
    }

    fn open(&self, time: Duration) -> io::Result<()> {
        let clock = Clock::new();
        let until = clock.now() + time;
        while !lock(&self.socket).is_open() {
            self.write(&[])?;
            let left = clock.until(until);
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.tcp.set_read_timeout(Some(left))?;
            match self.read(&mut []) {
                // A part of the answer, or no time is left, which is seen above.
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(error) => return Err(error),
                Ok(_) if lock(&self.socket).is_open() => {}
                Ok(_) => return Err(io::ErrorKind::ConnectionReset.into()),
            }
        }
        self.tcp.set_read_timeout(None)
    }

    /// The handshake is done with the first reads, in the time that the connection has for its own.
    pub(crate) fn accept(tcp: TcpStream, address: &WebAddr, kit: &Kit) -> Result<Self, TransportError> {
        Ok(Self::new(tcp, server(address, kit).map_err(cause)?))
    }

    pub(crate) const fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    pub(crate) fn has_input(&self) -> bool {
        lock(&self.socket).has_input()
    }

    pub(crate) fn has_ended(&self) -> bool {
        lock(&self.socket).end().is_some()
    }

    /// Reads from the system at most once, and not at all while there is input.
    pub(crate) fn read(&self, to: &mut [u8]) -> io::Result<usize> {
        let mut socket = lock(&self.socket);
        if let Some(read) = payload(&mut socket, to) {
            return read;
        }
        // It does not wait: bytes are there, or the socket never waits, or there is no other thread.
        match (&self.tcp).read(socket.spare())? {
            0 => socket.handle_eof(),
            n => socket.filled(n),
        }
        let waited = !socket.is_open();
        let read = payload(&mut socket, to);
        if waited && (socket.is_open() || socket.end().is_some()) {
            self.opened.notify_all();
        }
        read.unwrap_or(Err(io::ErrorKind::WouldBlock.into()))
    }

    /// Sends what is left, then takes payload and sends that, as far as the system takes it. It would block, too, while
    /// the handshake is not done.
    pub(crate) fn write(&self, from: &[u8]) -> io::Result<usize> {
        let mut out = lock(&self.out);
        self.flush(&mut out)?;
        let taken = {
            let mut socket = lock(&self.socket);
            let taken = if from.is_empty() { Ok(0) } else { socket.write(from) };
            socket.take_ready(&mut out.bytes);
            taken
        };
        let flushed = self.flush(&mut out);
        match (taken.map_err(|error| io::Error::new(io::ErrorKind::BrokenPipe, error))?, flushed) {
            (0, Ok(())) if !from.is_empty() => Err(io::ErrorKind::WouldBlock.into()),
            (0, flushed) => flushed.map(|()| 0),
            // An error will be met again.
            (n, _) => Ok(n),
        }
    }

    fn flush(&self, out: &mut Out) -> io::Result<()> {
        while out.sent < out.bytes.len() {
            match (&self.tcp).write(&out.bytes[out.sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => out.sent += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        out.bytes.clear();
        out.sent = 0;
        Ok(())
    }

    /// Waits for the end of the handshake, but not for long.
    pub(crate) fn wait_open(&self) {
        let is_waiting = |socket: &mut Socket| !socket.is_open() && socket.end().is_none();
        drop(
            self.opened
                .wait_timeout_while(lock(&self.socket), FULL, is_waiting)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    /// Whether something is to be sent that nobody is sending.
    pub(crate) fn has_unsent(&self) -> bool {
        let is_left = self.out.try_lock().is_ok_and(|out| !out.bytes.is_empty());
        is_left || !lock(&self.socket).ready().is_empty()
    }

    pub(crate) fn release(&self) {
        lock(&self.socket).release();
        if let Ok(mut out) = self.out.try_lock() {
            if out.bytes.is_empty() {
                out.bytes = Vec::new();
            }
        }
    }

    pub(crate) fn finish(&self) {
        lock(&self.socket).finish();
    }
}

/// What can be told of the input that is there.
fn payload(socket: &mut Socket, to: &mut [u8]) -> Option<io::Result<usize>> {
    match (socket.read(to), socket.end()) {
        (0, None) => None,
        (0, Some(Err(error))) => Some(Err(io::Error::new(io::ErrorKind::InvalidData, error))),
        (n, _) => Some(Ok(n)),
    }
}

fn client(address: &WebAddr, secret: [u8; 32], kit: &Kit) -> Result<Socket, Error> {
    let target = Target { host: address.host(), path: address.path.clone(), secure: address.secure };
    #[cfg(feature = "wss")]
    if address.secure {
        let ip = address.socket.ip().to_string();
        let name = address.name.as_deref().unwrap_or(&ip);
        return Socket::secure_client(&target, name, &kit.tls, secret, Limits::default());
    }
    let _ = kit;
    Socket::client(&target, secret, Limits::default())
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

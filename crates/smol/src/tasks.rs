//! The other tasks of a node: its timer, its dials and its listeners; and what they ask of the system.

use core::{
    future::poll_fn,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    task::Poll,
    time::Duration,
};
use std::{
    io::{self, ErrorKind},
    net::{TcpListener, TcpStream, ToSocketAddrs},
    sync::Arc,
};

use async_channel::Receiver;
use async_io::{Async, Timer};
use futures_lite::future::or;
use sanswarm::{ConnId, Multiaddr, TransportError, multiaddr::Protocol};

use crate::node::Shared;

/// After an accept that failed for the host's sake (no descriptor is left, mostly), this long nothing is accepted.
const PAUSE: Duration = Duration::from_millis(50);

/// Tells the node that time has passed, until it has ended.
pub(crate) async fn timer(shared: Arc<Shared>) {
    let mut timer = Timer::never();
    poll_fn(|cx| {
        loop {
            shared.call(|state, now| state.node.handle_timeout(now));
            let mut state = shared.lock();
            if state.cut.is_some() {
                return Poll::Ready(());
            }
            let due = state.node.poll_timeout().map(|deadline| deadline.at);
            state.timer = (Some(cx.waker().clone()), due);
            drop(state);
            match due.and_then(|due| shared.at(due)) {
                Some(at) => timer.set_at(at),
                None => timer = Timer::never(),
            }
            if Pin::new(&mut timer).poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await;
}

/// Connects and tells how it went, unless nobody wants to know any more.
pub(crate) async fn dial(shared: Arc<Shared>, conn: ConnId, address: Multiaddr, abandoned: Receiver<()>) {
    let given_up = async {
        let _ = abandoned.recv().await;
        Err(TransportError::TimedOut)
    };
    let socket = or(connect(&address), given_up).await;
    shared.call(|state, now| {
        state.dials.remove(&conn);
        match socket.and_then(|socket| Ok((socket, secret()?))) {
            Ok((socket, secret)) if state.node.handle_dialed(now, conn, secret) => state.add(&shared, conn, socket),
            Ok(_) => {}
            Err(cause) => state.node.handle_dial_failed(now, conn, cause),
        }
    });
}

async fn connect(address: &Multiaddr) -> Result<Async<TcpStream>, TransportError> {
    let mut cause = TransportError::NotFound;
    for address in addresses(address).await.map_err(|error| transport_error(&error))? {
        match Async::<TcpStream>::connect(address).await {
            Ok(socket) => return Ok(socket),
            Err(error) => cause = transport_error(&error),
        }
    }
    Err(cause)
}

/// Hands in what a listener accepts, until the node ends.
pub(crate) async fn accept(shared: Arc<Shared>, listener: Async<TcpListener>, running: Receiver<()>) {
    let ended = || async {
        let _ = running.recv().await;
        None
    };
    while let Some(accepted) = or(async { Some(listener.accept().await) }, ended()).await {
        let Ok((socket, remote)) = accepted else {
            Timer::after(PAUSE).await;
            continue;
        };
        let Some((local, secret)) = socket.get_ref().local_addr().ok().zip(secret().ok()) else { continue };
        shared.call(|state, now| {
            if let Ok(conn) = state.node.handle_accepted(now, multiaddr(local), multiaddr(remote), secret) {
                state.add(&shared, conn, socket);
            }
        });
    }
}

// ---- the system

/// The socket addresses of a TCP address.
pub(crate) async fn addresses(address: &Multiaddr) -> io::Result<Vec<SocketAddr>> {
    let mut parts = address.iter();
    let (Some(host), Some(Protocol::Tcp(port)), None) = (parts.next(), parts.next(), parts.next()) else {
        return Err(ErrorKind::InvalidInput.into());
    };
    let (name, is_right): (_, fn(&SocketAddr) -> bool) = match host {
        Protocol::Ip4(ip) => return Ok(vec![(ip, port).into()]),
        Protocol::Ip6(ip) => return Ok(vec![(ip, port).into()]),
        Protocol::Dns(name) => (name.into_owned(), |_| true),
        Protocol::Dns4(name) => (name.into_owned(), SocketAddr::is_ipv4),
        Protocol::Dns6(name) => (name.into_owned(), SocketAddr::is_ipv6),
        _ => return Err(ErrorKind::InvalidInput.into()),
    };
    let found = blocking::unblock(move || (name, port).to_socket_addrs()).await?;
    Ok(found.filter(is_right).collect())
}

pub(crate) fn multiaddr(address: SocketAddr) -> Multiaddr {
    let host = match address.ip().to_canonical() {
        IpAddr::V4(ip) => Protocol::Ip4(ip),
        IpAddr::V6(ip) => Protocol::Ip6(ip),
    };
    Multiaddr::empty().with(host).with(Protocol::Tcp(address.port()))
}

fn transport_error(error: &io::Error) -> TransportError {
    match error.kind() {
        ErrorKind::InvalidInput => TransportError::Unsupported,
        ErrorKind::ConnectionRefused => TransportError::Refused,
        ErrorKind::ConnectionReset => TransportError::Reset,
        ErrorKind::TimedOut => TransportError::TimedOut,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => TransportError::Unreachable,
        ErrorKind::PermissionDenied => TransportError::PermissionDenied,
        _ => TransportError::Other(error.raw_os_error().unwrap_or(0)),
    }
}

/// What no other handshake of this or any node uses.
pub(crate) fn secret() -> Result<[u8; 32], TransportError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|_| TransportError::Other(0))?;
    Ok(secret)
}

#[expect(clippy::disallowed_methods, reason = "an adapter reads the clock")]
pub(crate) fn clock() -> std::time::Instant {
    std::time::Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "an adapter reads the clock")]
pub(crate) fn unix_seconds() -> Option<u64> {
    Some(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?.as_secs())
}

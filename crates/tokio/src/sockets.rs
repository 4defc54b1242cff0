//! The tasks that make sockets: one for each address that is dialled or listened on.

use core::{future::poll_fn, net::SocketAddr, time::Duration};
use std::io;

use sanswarm::{ConnId, Multiaddr, TransportError};
use sanswarm_host::{MemoryListener, memory_number, multiaddr_like, transport_error};
use socket2::{Domain, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc::Sender,
};

use crate::{
    facts::Fact,
    socket::{self, Kit},
};

/// After an accept that failed for the host's sake (no descriptor is left, mostly), this long nothing is accepted.
const PAUSE: Duration = Duration::from_millis(50);

/// Connections that the system holds until they are accepted, as tokio's own listeners have it.
const BACKLOG: i32 = 1024;

/// Connects to an address, whose name has been resolved, and tells how it went.
pub(crate) async fn dial(conn: ConnId, address: Multiaddr, kit: Kit, facts: Sender<Fact>) {
    let socket = socket::dial(&address, &kit).await;
    let _ = facts.send(Fact::Dialed { conn, socket }).await;
}

pub(crate) async fn connect_to(address: SocketAddr) -> Result<TcpStream, TransportError> {
    let socket = TcpStream::connect(address).await.map_err(|error| transport_error(&error))?;
    set_up(&socket);
    Ok(socket)
}

/// Listens on an address, tells how it went, and hands in what it accepts until the node ends.
pub(crate) async fn listen(wanted: Multiaddr, kit: Kit, facts: Sender<Fact>) {
    match memory_number(&wanted) {
        Some(number) => listen_in_memory(wanted, number, facts).await,
        None => listen_on_tcp(wanted, kit, facts).await,
    }
}

async fn listen_in_memory(wanted: Multiaddr, number: u64, facts: Sender<Fact>) {
    let listener = match MemoryListener::bind(number) {
        Ok(listener) => listener,
        Err(cause) => return drop(facts.send(Fact::ListenFailed { wanted, cause }).await),
    };
    let local = listener.address();
    let mut fact = Fact::Listening { wanted, bound: local.clone() };
    while facts.send(fact).await.is_ok() {
        let Some((pipe, remote)) = poll_fn(|cx| listener.poll_accept(cx)).await else { return };
        fact = Fact::Accepted { socket: pipe.into(), local: local.clone(), remote };
    }
}

async fn listen_on_tcp(wanted: Multiaddr, kit: Kit, facts: Sender<Fact>) {
    let (listener, local) = match bind(&wanted, &kit) {
        Ok(bound) => bound,
        Err(cause) => return drop(facts.send(Fact::ListenFailed { wanted, cause }).await),
    };
    let fact = Fact::Listening { wanted: wanted.clone(), bound: multiaddr_like(&wanted, local) };
    if facts.send(fact).await.is_err() {
        return;
    }
    loop {
        match listener.accept().await {
            Ok((socket, remote)) => {
                set_up(&socket);
                let local = multiaddr_like(&wanted, socket.local_addr().unwrap_or(local));
                let Ok(socket) = socket::accepted(socket, &wanted, &kit) else { continue };
                let remote = multiaddr_like(&wanted, remote);
                // A control that is slow to take it makes the backlog of the system fill up, not our memory.
                if facts.send(Fact::Accepted { socket, local, remote }).await.is_err() {
                    return;
                }
            }
            Err(error) if is_of_one_socket(&error) => {}
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn bind(address: &Multiaddr, kit: &Kit) -> Result<(TcpListener, SocketAddr), TransportError> {
    kit.check_listen(address)?;
    let address = socket::bind_addr(address).ok_or(TransportError::Unsupported)?;
    bind_socket(address).map_err(|error| transport_error(&error))
}

/// A socket of IPv6 is one of IPv6 only, so that the same port can be listened on by IPv4 beside it.
fn bind_socket(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // On Windows it would let others take the port away.
    if cfg!(unix) {
        socket.set_reuse_address(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from_std(socket.into())?;
    let local = listener.local_addr()?;
    Ok((listener, local))
}

/// Whether only the socket that was to be accepted is to blame.
fn is_of_one_socket(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::ConnectionAborted | Kind::ConnectionReset | Kind::Interrupted)
}

fn set_up(socket: &TcpStream) {
    // We gather small writes ourselves. A socket that cannot be told so works as well, only slower.
    let _ = socket.set_nodelay(true);
}

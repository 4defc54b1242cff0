//! A socket for a driver of one's own.

use core::time::Duration;

use crate::{
    NameServers,
    names::Resolver,
    socket::{self, Kit, Socket},
};
use sanswarm::{Instant, Multiaddr, PeerId, TransportError};
use sanswarm_swarm::{Action, AttemptFailure, Event, Limits, Swarm};

/// How long the name service may take for one question, as a node has it.
const RESOLVE: Duration = Duration::from_secs(5);

/// Connects a socket to an address, as a node does it, for a driver of one's own. Names are resolved, and each address behind
/// them is tried, one after the other.
///
/// # Errors
/// [`TransportError::Unsupported`] for an address of another shape; else what the system or the name service said last.
pub async fn connect(address: &Multiaddr) -> Result<Socket, TransportError> {
    connect_with(address, NameServers::System).await
}

/// As [`connect`], with other name servers.
///
/// # Errors
/// As [`connect`].
pub async fn connect_with(address: &Multiaddr, servers: NameServers) -> Result<Socket, TransportError> {
    connect_by(address, servers, &Kit::default()).await
}

/// As [`connect_with`], with something else for the TLS below a WebSocket than [`WebTls::new`](crate::WebTls::new).
///
/// # Errors
/// As [`connect`].
#[cfg(feature = "wss")]
pub async fn connect_with_tls(
    address: &Multiaddr,
    servers: NameServers,
    tls: crate::WebTls,
) -> Result<Socket, TransportError> {
    connect_by(address, servers, &Kit { tls }).await
}

async fn connect_by(address: &Multiaddr, servers: NameServers, kit: &Kit) -> Result<Socket, TransportError> {
    if socket::is_resolved(address) {
        return socket::dial(address, kit).await;
    }
    // What is behind a name, and in what order it is tried, a swarm knows. It is nobody's, and time stands still for it.
    let (nobody, now) = (PeerId::from_bytes(&[0, 0]).map_err(|_| TransportError::Unsupported)?, Instant::ZERO);
    let (mut swarm, mut resolver) = (Swarm::new(nobody, Limits::default()), Resolver::new(servers, RESOLVE));
    socket::transports().for_each(|transport| swarm.add_transport(transport));
    swarm.set_resolves(true);
    swarm.dial(now, None, core::slice::from_ref(address));
    while let Some(action) = swarm.poll_action() {
        match action {
            Action::Resolve { resolve, question } => {
                let result = resolver.answer(now, question).await;
                swarm.handle_resolved(now, resolve, result);
            }
            Action::Dial { conn, address, .. } => match socket::dial(&address, kit).await {
                Ok(socket) => return Ok(socket),
                Err(cause) => swarm.handle_dial_failed(now, conn, cause),
            },
            _ => {}
        }
    }
    let Some(Event::DialFailed { attempts, .. }) = swarm.poll_event() else { return Err(TransportError::Unsupported) };
    match attempts.last().map(|attempt| attempt.failure) {
        Some(AttemptFailure::Resolve(cause) | AttemptFailure::Transport(cause)) => Err(cause),
        _ => Err(TransportError::Unsupported),
    }
}

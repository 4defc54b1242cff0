//! Connecting a socket.

use core::time::Duration;
use std::net::TcpStream;

use sanswarm::{Multiaddr, TransportError};

use sanswarm_host::{MemoryPipe, memory_number, transport_error};

use crate::socket::{Kit, Socket, tcp_addr};
#[cfg(feature = "ws")]
use crate::{socket::web_addr, web::Web};

/// Threads that may connect at once. Those of dials that were given up count until the system lets go of them.
pub(crate) const DIALS_MAX: usize = 256;

/// Connects within `time`. Blocks.
pub(crate) fn connect(address: &Multiaddr, time: Duration, kit: &Kit) -> Result<Socket, TransportError> {
    if let Some(number) = memory_number(address) {
        return MemoryPipe::dial(number).map(Socket::from);
    }
    let addr = tcp_addr(address).ok_or(TransportError::Unsupported)?;
    let socket = TcpStream::connect_timeout(&addr, time).map_err(|error| transport_error(&error))?;
    #[cfg(feature = "ws")]
    if let Some(address) = web_addr(address) {
        return Ok(Socket::Web(Box::new(Web::dial(socket, &address, time, kit)?)));
    }
    let _ = kit;
    Ok(Socket::Tcp(socket))
}

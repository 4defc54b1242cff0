//! Connecting a socket.

use core::time::Duration;
use std::net::TcpStream;

use sanswarm::{Multiaddr, TransportError};

use sanswarm_host::{socket_addr, transport_error};

/// Threads that may connect at once. Those of dials that were given up count until the system lets go of them.
pub(crate) const DIALS_MAX: usize = 256;

/// Connects within `time`. Blocks.
pub(crate) fn connect(address: &Multiaddr, time: Duration) -> Result<TcpStream, TransportError> {
    let addr = socket_addr(address).ok_or(TransportError::Unsupported)?;
    TcpStream::connect_timeout(&addr, time).map_err(|error| transport_error(&error))
}

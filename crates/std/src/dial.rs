//! Connecting a socket.

use core::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use std::net::TcpStream;

use sanswarm::{Multiaddr, TransportError};

use crate::address::{Target, transport_error};

/// Threads that may connect at once. Those of dials that were given up count until the system lets go of them.
pub(crate) const DIALS_MAX: usize = 256;

/// Connects to the first address of a target that answers, each within `time`. Blocks.
pub(crate) fn connect(
    address: &Multiaddr,
    time: Duration,
    abandoned: &AtomicBool,
) -> Result<TcpStream, TransportError> {
    let target = Target::read(address).ok_or(TransportError::Unsupported)?;
    let mut result = Err(TransportError::NotFound);
    for addr in target.resolve()? {
        if abandoned.load(Ordering::Relaxed) {
            break;
        }
        result = TcpStream::connect_timeout(&addr, time).map_err(|error| transport_error(&error));
        if result.is_ok() {
            break;
        }
    }
    result
}

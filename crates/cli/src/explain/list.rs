//! What a peer has instead of what it refused.

use core::time::Duration;

use sanswarm::{ConnectionError, Multiaddr, SendBuf};
use sanswarm_multistream_select::{Negotiator, Outcome};
use sanswarm_tokio::{NameServers, WebTls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::is_open_question;

/// How long the answer may take. Few peers give one.
const PATIENCE: Duration = Duration::from_secs(2);

/// A list is at most this long.
const LIST_BYTES_MAX: usize = 32 * 1024;

/// Completes an error about security protocols by the peer's list, where it tells one. Bytes of a handshake have followed
/// the proposal on the connection that failed, so this asks on another one.
pub(super) async fn complete(error: ConnectionError, address: &Multiaddr, tls: WebTls) -> ConnectionError {
    if !is_open_question(&error) {
        return error;
    }
    let names = tokio::time::timeout(PATIENCE, ask(address, tls)).await.ok().flatten();
    match (error, names) {
        (ConnectionError::NothingInCommon { stage, offered, .. }, Some(remote)) => {
            ConnectionError::NothingInCommon { stage, offered, remote }
        }
        (error, _) => error,
    }
}

async fn ask(address: &Multiaddr, tls: WebTls) -> Option<Vec<String>> {
    let mut socket = sanswarm_tokio::connect_with_tls(address, NameServers::System, tls).await.ok()?;
    let (mut negotiator, mut send) = (Negotiator::query(), SendBuf::default());
    negotiator.poll_transmit(&mut send);
    socket.write_all(send.ready()).await.ok()?;
    let mut input = Vec::new();
    while input.len() < LIST_BYTES_MAX && socket.read_buf(&mut input).await.ok()? > 0 {
        let (used, outcome) = negotiator.handle_input(&input).ok()?;
        input.drain(..used);
        match outcome {
            Some(Outcome::Listed(names)) => return Some(names.iter().map(|name| name.as_str().to_owned()).collect()),
            Some(_) => return None,
            None => {}
        }
    }
    None
}

//! Names in addresses: who is asked, and the system's own answers.

#[cfg(feature = "dns")]
use core::net::SocketAddr;
use std::net::ToSocketAddrs;

use sanswarm::{Answer, Question, TransportError};

/// Questions under way at once, those included that nobody waits for any more; further ones fail.
pub const QUESTIONS_MAX: usize = 256;

/// Who is asked about the names in addresses. `localhost` and the names of the hosts file need nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameServers {
    /// Whom the system asks. Without the feature `dns` it is the system that asks, which cannot tell what a `/dnsaddr`
    /// stands for.
    #[default]
    System,
    /// These, by UDP, and by TCP where an answer is too long for it.
    #[cfg(feature = "dns")]
    At(Vec<SocketAddr>),
}

/// The addresses of a host by the system's resolver, which blocks. Which family was asked for, the node sorts out.
///
/// # Errors
/// [`TransportError::NotFound`]; [`TransportError::Unsupported`] for a question that is not about a host.
pub fn lookup(question: Question) -> Result<Answer, TransportError> {
    let (Question::Ip(name) | Question::Ip4(name) | Question::Ip6(name)) = question else {
        return Err(TransportError::Unsupported);
    };
    let found = (name.as_str(), 0).to_socket_addrs().map_err(|_| TransportError::NotFound)?;
    Ok(Answer::Ips(found.map(|address| address.ip().to_canonical()).collect()))
}

//! Where a swarm listens.

use core::net::IpAddr;
use std::collections::BTreeSet;

use multiaddr::Multiaddr;

use crate::{
    Action, Event, Kind, ListenError, Network, Reach, Swarm, TransportError,
    address::{host, reach, with_host},
};

#[derive(Debug, Default)]
pub(crate) struct Listeners {
    /// By command, not failed.
    wanted: BTreeSet<Multiaddr>,
    /// Bound: a wanted address with port 0, or of all interfaces, becomes others.
    bound: BTreeSet<Multiaddr>,
}

impl Listeners {
    pub(crate) fn is_bound(&self, address: &Multiaddr) -> bool {
        self.bound.contains(address)
    }
}

/// Interface addresses that are looked at.
const INTERFACES_MAX: usize = 64;

impl Swarm {
    /// Tells the IP addresses of this host, at the start and when they change; the first 64 count. With them a listener
    /// on all interfaces has addresses to [advertise](Self::advertised), and private addresses of others are dialled
    /// only from a private network.
    pub fn handle_interfaces(&mut self, addresses: &[IpAddr]) {
        self.interfaces = addresses.iter().copied().take(INTERFACES_MAX).collect();
        let is_private = |ip: &IpAddr| reach(*ip) == Reach::Private;
        self.network = match &self.interfaces[..] {
            [] => Network::Unknown,
            all if all.iter().any(is_private) => Network::Private,
            _ => Network::Public,
        };
    }

    /// The addresses that others may be told: those that are bound; in the place of one of all interfaces, that of each
    /// interface, if they are known. Never an unspecified one.
    pub fn advertised(&self) -> impl Iterator<Item = Multiaddr> + '_ {
        self.listeners.bound.iter().flat_map(|address| {
            let wildcard = host(address).filter(IpAddr::is_unspecified);
            let is_other = move |ip: &&IpAddr| wildcard.is_some_and(|any| any.is_ipv4() == ip.is_ipv4());
            let own = Kind::of(address).reach != Reach::Unroutable;
            let of_interfaces = self.interfaces.iter().filter(is_other).map(|ip| with_host(address, *ip));
            own.then(|| address.clone()).into_iter().chain(of_interfaces)
        })
    }

    /// Asks to listen on an address. [`Event::Listening`] follows for each address bound, or [`Event::ListenFailed`].
    ///
    /// # Errors
    ///
    /// [`ListenError`], if it is not even tried.
    pub fn listen(&mut self, address: Multiaddr) -> Result<(), ListenError> {
        if self.shutdown.is_some() {
            return Err(ListenError::ShuttingDown);
        }
        if self.security(&address).is_none() {
            return Err(ListenError::NoTransport);
        }
        if self.listeners.wanted.contains(&address) {
            return Err(ListenError::Duplicate);
        }
        let value = self.limits.listeners;
        if self.listeners.wanted.len() >= value {
            return Err(ListenError::Limit { name: "listeners", value });
        }
        self.listeners.wanted.insert(address.clone());
        self.actions.push_back(Action::Listen { address });
        Ok(())
    }

    /// An address has been bound. To be told once for each; a repetition is ignored.
    pub fn handle_listening(&mut self, address: Multiaddr) {
        if self.listeners.bound.insert(address.clone()) {
            self.events.push_back(Event::Listening { address });
        }
    }

    /// A listener has failed, at once or later: the address of the command or one that was bound. To accept a connection
    /// in vain is no such failure.
    pub fn handle_listen_failed(&mut self, address: Multiaddr, cause: TransportError) {
        let (wanted, bound) = (self.listeners.wanted.remove(&address), self.listeners.bound.remove(&address));
        if wanted || bound {
            self.events.push_back(Event::ListenFailed { address, cause });
        }
    }

    /// The addresses that are bound, in an order that does not change.
    pub fn listeners(&self) -> impl Iterator<Item = &Multiaddr> {
        self.listeners.bound.iter()
    }
}

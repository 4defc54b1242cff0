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

const fn is_link_local_v6(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

impl Swarm {
    /// Tells the IP addresses of this host, at the start and when they change; the first 64 count, but for link-local ones
    /// of IPv6, which mean nothing without the name of an interface. With them a listener on all interfaces has addresses
    /// to [advertise](Self::advertised), and private addresses of others are dialled only from a private network.
    pub fn handle_interfaces(&mut self, addresses: &[IpAddr]) {
        let counts = |ip: &IpAddr| !is_link_local_v6(*ip) && reach(*ip) != Reach::Unroutable;
        self.interfaces = addresses.iter().copied().filter(counts).take(INTERFACES_MAX).collect();
        let reaches = || self.interfaces.iter().map(|ip| reach(*ip));
        self.network = if reaches().any(|reach| reach == Reach::Private) {
            Network::Private
        } else if reaches().any(|reach| reach == Reach::Public) {
            Network::Public
        } else {
            Network::Unknown // Loopback says nothing.
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

    /// Asks to listen on an address no more: the one of the command, or one that was bound for it. Connections that it has
    /// accepted stay. Returns whether there is such a listener; then [`Event::Unlistened`] follows for each address that
    /// was bound.
    pub fn unlisten(&mut self, address: &Multiaddr) -> bool {
        let is_there = self.listeners.wanted.contains(address) || self.listeners.bound.contains(address);
        if is_there {
            self.actions.push_back(Action::Unlisten { address: address.clone() });
        }
        is_there
    }

    /// A listener has ended by command. `wanted` is the address by which it was asked for, `bound` what had been bound.
    pub fn handle_unlistened(&mut self, wanted: &Multiaddr, bound: &[Multiaddr]) {
        let mut ended: Vec<_> = bound.iter().filter(|address| self.listeners.bound.remove(address)).collect();
        // One that was bound to nothing yet has an end too.
        if self.listeners.wanted.remove(wanted) && ended.is_empty() {
            ended.push(wanted);
        }
        self.events.extend(ended.into_iter().map(|address| Event::Unlistened { address: address.clone() }));
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

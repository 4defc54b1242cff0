//! Where a swarm listens.

use std::collections::BTreeSet;

use multiaddr::Multiaddr;

use crate::{Action, Event, ListenError, Swarm, TransportError};

#[derive(Debug, Default)]
pub(crate) struct Listeners {
    /// By command, not failed.
    wanted: BTreeSet<Multiaddr>,
    /// Bound: a wanted address with port 0, or of all interfaces, becomes others.
    bound: BTreeSet<Multiaddr>,
}

impl Swarm {
    /// Asks to listen on an address. [`Event::Listening`] follows for each address bound, or [`Event::ListenFailed`].
    ///
    /// # Errors
    ///
    /// [`ListenError`], if it is not even tried.
    pub fn listen(&mut self, address: Multiaddr) -> Result<(), ListenError> {
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

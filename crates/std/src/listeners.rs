//! The listeners of a node, and the addresses of this host while they matter.

use std::{collections::BTreeMap, sync::mpsc::SyncSender};

use sanswarm::{Control, Instant, Multiaddr};

use crate::accept::Acceptor;
use sanswarm_host::{Interfaces, is_wildcard};

#[derive(Default)]
pub(crate) struct Listeners {
    /// By the address of their command.
    all: BTreeMap<Multiaddr, Listener>,
    pub(crate) interfaces: Interfaces,
}

struct Listener {
    acceptor: Acceptor,
    bound: Multiaddr,
    /// Who has asked that it end.
    replies: Vec<SyncSender<bool>>,
}

impl Listeners {
    /// Takes in a listener and tells the control. Returns the address that was bound.
    pub(crate) fn add(
        &mut self,
        now: Instant,
        wanted: Multiaddr,
        acceptor: Acceptor,
        control: &mut Control,
    ) -> Multiaddr {
        let bound = acceptor.bound();
        self.all.insert(wanted, Listener { acceptor, bound: bound.clone(), replies: Vec::new() });
        self.look(now, control); // Before it is told, so that there is something to advertise.
        control.handle_listening(bound.clone());
        bound
    }

    /// Somebody waits for the end of a listener. Gives the reply back if there is none.
    pub(crate) fn expect_end(&mut self, address: &Multiaddr, reply: SyncSender<bool>) -> Result<(), SyncSender<bool>> {
        let Some(listener) = self.find(address) else { return Err(reply) };
        listener.replies.push(reply);
        Ok(())
    }

    /// Stops a listener. The end of its thread tells when its socket is closed.
    pub(crate) fn stop(&mut self, address: &Multiaddr) {
        if let Some(listener) = self.find(address) {
            listener.acceptor.stop();
        }
    }

    pub(crate) fn stop_all(&self) {
        self.all.values().for_each(|listener| listener.acceptor.stop());
    }

    /// By the address of the command, or the one that was bound.
    fn find(&mut self, address: &Multiaddr) -> Option<&mut Listener> {
        let is_it = |(wanted, listener): &(&Multiaddr, &mut Listener)| *wanted == address || listener.bound == *address;
        self.all.iter_mut().find(is_it).map(|(_, listener)| listener)
    }

    /// The thread of a listener has ended.
    pub(crate) fn ended(&mut self, now: Instant, wanted: &Multiaddr, control: &mut Control) {
        let Some(listener) = self.all.remove(wanted) else { return };
        control.handle_unlistened(wanted, &[listener.bound]);
        self.look(now, control);
        for reply in listener.replies {
            let _ = reply.send(true);
        }
    }

    /// Looks at the interfaces if they matter, and tells the control what has changed.
    pub(crate) fn look(&mut self, now: Instant, control: &mut Control) {
        let matter = self.all.values().any(|listener| is_wildcard(&listener.bound));
        if let Some(addresses) = self.interfaces.look(now, matter) {
            control.handle_interfaces(&addresses);
        }
    }
}

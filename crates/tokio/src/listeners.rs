//! The listeners of a node, and the addresses of this host while they matter.

use std::collections::BTreeMap;

use sanswarm::{Control, Instant, Multiaddr};
use sanswarm_host::{Interfaces, is_wildcard};
use tokio::sync::mpsc::Sender;

use crate::{
    facts::{Fact, Reply, Task},
    socket::Kit,
    sockets,
};

#[derive(Default)]
pub(crate) struct Listeners {
    /// By the address of their command.
    all: BTreeMap<Multiaddr, Listener>,
    pub(crate) interfaces: Interfaces,
}

struct Listener {
    /// `None`: it is being stopped.
    task: Option<Task>,
    bound: Option<Multiaddr>,
    /// Who has asked that it end.
    replies: Vec<Reply<bool>>,
}

impl Listeners {
    pub(crate) fn start(&mut self, address: Multiaddr, kit: Kit, tell: Sender<Fact>) {
        let task = Some(Task::spawn(sockets::listen(address.clone(), kit, tell)));
        self.all.insert(address, Listener { task, bound: None, replies: Vec::new() });
    }

    /// Somebody waits for the end of a listener. Gives the reply back if there is none.
    pub(crate) fn expect_end(&mut self, address: &Multiaddr, reply: Reply<bool>) -> Result<(), Reply<bool>> {
        let Some((_, listener)) = self.find(address) else { return Err(reply) };
        listener.replies.push(reply);
        Ok(())
    }

    /// Stops a listener. [`Fact::Unlistened`] tells when its socket is closed.
    pub(crate) fn stop(&mut self, address: &Multiaddr, tell: Sender<Fact>) {
        let Some((wanted, listener)) = self.find(address) else { return };
        let (wanted, Some(task)) = (wanted.clone(), listener.task.take()) else { return };
        tokio::spawn(async move {
            task.end().await;
            let _ = tell.send(Fact::Unlistened { wanted }).await;
        });
    }

    pub(crate) fn stop_all(&mut self) {
        self.all.clear();
    }

    /// By the address of the command, or the one that was bound.
    fn find(&mut self, address: &Multiaddr) -> Option<(&Multiaddr, &mut Listener)> {
        let is_it = |(wanted, listener): &(&Multiaddr, &mut Listener)| {
            *wanted == address || listener.bound.as_ref() == Some(address)
        };
        self.all.iter_mut().find(is_it)
    }

    // ---- facts

    pub(crate) fn bound(&mut self, now: Instant, wanted: &Multiaddr, bound: &Multiaddr, control: &mut Control) {
        if let Some(listener) = self.all.get_mut(wanted) {
            listener.bound = Some(bound.clone());
        }
        self.look(now, control); // Before it is told, so that there is something to advertise.
        control.handle_listening(bound.clone());
    }

    pub(crate) fn failed(&mut self, wanted: &Multiaddr) {
        self.all.remove(wanted);
    }

    pub(crate) fn ended(&mut self, now: Instant, wanted: &Multiaddr, control: &mut Control) {
        let Some(listener) = self.all.remove(wanted) else { return };
        control.handle_unlistened(wanted, listener.bound.as_slice());
        self.look(now, control);
        for reply in listener.replies {
            let _ = reply.send(true);
        }
    }

    /// Looks at the interfaces if they matter, and tells the control what has changed.
    pub(crate) fn look(&mut self, now: Instant, control: &mut Control) {
        let matter = self.all.values().any(|listener| listener.bound.as_ref().is_some_and(is_wildcard));
        if let Some(addresses) = self.interfaces.look(now, matter) {
            control.handle_interfaces(&addresses);
        }
    }
}

//! What an application decides: who may come in, who stays, in what order is dialled.

use sanswarm::{Denied, Gate, KeepId, Multiaddr, PeerId, Ranker, Subject};
use tokio::sync::mpsc::WeakUnboundedSender;

use crate::{Node, facts::Command};

impl Node {
    /// Puts a gate in the place of one that stands open: it is asked before each dial, on each accept, when a peer has
    /// proved who it is, and about each stream that a peer opens on a connection made from now on. It must not block.
    pub async fn set_gate(&self, gate: Gate) {
        self.call(|control, _| control.set_gate(gate)).await;
    }

    /// Keeps a peer or a network out: neither dialled nor let in. Connections of the peer are closed; those of a network
    /// stay. Returns whether it is new on the list.
    ///
    /// # Errors
    /// [`Denied::Limit`]: the lists are full. [`Denied::ShuttingDown`]: the node has ended.
    pub async fn block(&self, subject: Subject) -> Result<bool, Denied> {
        self.call(move |control, now| control.block(now, subject)).await.unwrap_or(Err(Denied::ShuttingDown))
    }

    /// Takes a peer or a network off the list of [`block`](Self::block). Returns whether it was on it.
    pub async fn unblock(&self, subject: Subject) -> bool {
        self.call(move |control, _| control.unblock(subject)).await.unwrap_or(false)
    }

    /// Lets nobody in but those on this list: peers, if it names a peer; hosts, if it names a network. Who is blocked
    /// stays out. What is connected already stays. Returns whether it is new on the list.
    ///
    /// # Errors
    /// As [`block`](Self::block).
    pub async fn allow(&self, subject: Subject) -> Result<bool, Denied> {
        self.call(move |control, _| control.allow(subject)).await.unwrap_or(Err(Denied::ShuttingDown))
    }

    /// Takes a peer or a network off the list of [`allow`](Self::allow). Returns whether it was on it.
    pub async fn disallow(&self, subject: Subject) -> bool {
        self.call(move |control, _| control.disallow(subject)).await.unwrap_or(false)
    }

    /// Keeps the connections of a peer, those to come too, from being closed for idleness or trimmed, until the [`Keep`]
    /// is dropped. Several keeps add up. Cancel-safe.
    ///
    /// # Errors
    /// [`Denied::Limit`]: too many keeps. [`Denied::ShuttingDown`]: the node has ended.
    pub async fn keep(&self, peer: PeerId) -> Result<Keep, Denied> {
        let commands = self.weak_commands();
        let keep = self.call(move |control, _| control.keep(peer).map(|id| Keep { id, peer, commands })).await;
        keep.unwrap_or(Err(Denied::ShuttingDown))
    }

    /// Protects a peer from trimming, or not any more. Its connections may still be closed for idleness.
    ///
    /// # Errors
    /// [`Denied::Limit`]: too many are protected. [`Denied::ShuttingDown`]: the node has ended.
    pub async fn protect(&self, peer: PeerId, protected: bool) -> Result<(), Denied> {
        self.call(move |control, _| control.protect(peer, protected)).await.unwrap_or(Err(Denied::ShuttingDown))
    }

    /// Puts a ranker of the caller's in the place of [`rank`](sanswarm::rank): it says in what order and how far apart the
    /// addresses of a peer are dialled. It must not block.
    pub async fn set_ranker(&self, ranker: Ranker) {
        self.call(|control, _| control.set_ranker(ranker)).await;
    }

    /// Forgets what has failed about a peer at these addresses, so that they are tried at once.
    pub async fn forgive(&self, peer: Option<PeerId>, addrs: Vec<Multiaddr>) {
        self.call(move |control, _| control.forgive(peer, &addrs)).await;
    }
}

/// A wish that a peer stay connected, from [`Node::keep`]. Dropping it takes it back. It does not keep the node running.
#[derive(Debug)]
pub struct Keep {
    id: KeepId,
    peer: PeerId,
    commands: WeakUnboundedSender<Command>,
}

impl Keep {
    /// Who is kept.
    pub fn peer(&self) -> PeerId {
        self.peer
    }
}

impl Drop for Keep {
    fn drop(&mut self) {
        let id = self.id;
        if let Some(commands) = self.commands.upgrade() {
            let release = Command::Call(Box::new(move |control, now| {
                control.release(now, id);
            }));
            let _ = commands.send(release);
        }
    }
}

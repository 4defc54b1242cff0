//! Who waits for what, beside the requests for streams.

use core::time::Duration;
use std::collections::BTreeMap;

use sanswarm::{ConnId, Control, IdentifyError, Info, Multiaddr, PeerId, PingError};

use crate::{ListenError, facts::Reply};

#[derive(Default)]
pub(crate) struct Waiting {
    listen: BTreeMap<Multiaddr, Reply<Result<Multiaddr, ListenError>>>,
    ping: BTreeMap<ConnId, Vec<Reply<Result<Duration, PingError>>>>,
    identify: BTreeMap<PeerId, Vec<Reply<Result<Info, IdentifyError>>>>,
    /// Connected peers that have not told what they are, and will not.
    silent: BTreeMap<PeerId, IdentifyError>,
}

impl Waiting {
    // ---- who begins to wait

    pub(crate) fn listen(&mut self, address: Multiaddr, reply: Reply<Result<Multiaddr, ListenError>>) {
        self.listen.insert(address, reply);
    }

    /// Those who ask while a ping is under way share its answer.
    pub(crate) fn ping(&mut self, control: &mut Control, peer: &PeerId, reply: Reply<Result<Duration, PingError>>) {
        let Some(conn) = control.connections(peer).next() else {
            return drop(reply.send(Err(PingError::Closed)));
        };
        let waiting = self.ping.entry(conn).or_default();
        waiting.retain(|reply| !reply.is_closed());
        if waiting.is_empty() {
            control.ping(peer);
        }
        waiting.push(reply);
    }

    pub(crate) fn identify(&mut self, control: &Control, peer: PeerId, reply: Reply<Result<Info, IdentifyError>>) {
        if let Some(info) = control.info(&peer) {
            let _ = reply.send(Ok(info.clone()));
        } else if let Some(error) = self.silent.get(&peer) {
            let _ = reply.send(Err(error.clone()));
        } else if control.connections(&peer).next().is_none() {
            let _ = reply.send(Err(IdentifyError::Closed));
        } else {
            let waiting = self.identify.entry(peer).or_default();
            waiting.retain(|reply| !reply.is_closed());
            waiting.push(reply);
        }
    }

    // ---- answers

    pub(crate) fn listened(&mut self, wanted: &Multiaddr, result: Result<Multiaddr, ListenError>) {
        if let Some(reply) = self.listen.remove(wanted) {
            let _ = reply.send(result);
        }
    }

    pub(crate) fn stop_listening(&mut self) {
        self.listen.clear();
    }

    pub(crate) fn pinged(&mut self, conn: ConnId, result: &Result<Duration, PingError>) {
        for reply in self.ping.remove(&conn).into_iter().flatten() {
            let _ = reply.send(result.clone());
        }
    }

    pub(crate) fn identified(&mut self, peer: &PeerId, result: &Result<Info, IdentifyError>) {
        if let Err(error) = result {
            self.silent.insert(*peer, error.clone());
        }
        for reply in self.identify.remove(peer).into_iter().flatten() {
            let _ = reply.send(result.clone());
        }
    }

    /// The last connection of a peer is gone.
    pub(crate) fn gone(&mut self, peer: &PeerId) {
        self.identified(peer, &Err(IdentifyError::Closed));
        self.silent.remove(peer);
    }
}

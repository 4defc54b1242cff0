//! Who may become a connection, and who may stay one: limits, lists, the gate.

use core::{net::IpAddr, time::Duration};
use std::collections::{BTreeSet, HashMap};

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_wire::{Instant, Role};

use crate::{
    Denied, Limits, Reach, Swarm, Visit,
    address::{host, reach},
    connection::Pending,
    gate::prefix,
    hashes::Hashes,
};

/// What a connection that is not ready counts against [`Limits::memory`]: its buffers and its handshake.
pub(crate) const PENDING_BYTES: u64 = 80 << 10;
/// What a ready one counts if nobody has told: an idle connection.
pub(crate) const READY_BYTES: usize = 20 << 10;

/// The bits of an address that one owner mostly has in hand.
const BITS_V4: u8 = 32;
const BITS_V6: u8 = 56;

/// What is counted to be held against limits, beside what the swarm counts itself.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Ready or closing connections that were accepted.
    pub(crate) inbound: usize,
    /// Bytes of all connections.
    pub(crate) memory: u64,
    /// The networks that accepted connections come from, or have come from just now.
    networks: HashMap<IpAddr, Network, Hashes>,
    /// Those that no connection is from any more, by when their rate is forgotten: a second after their last accept at the
    /// latest, so that there are not many.
    quiet: BTreeSet<(Instant, IpAddr)>,
    /// When the next accept would come if they came evenly, at the rate that is allowed.
    next_accept: Instant,
}

/// What is counted of one network.
#[derive(Debug, Default)]
struct Network {
    /// Its accepted connections, ready or not.
    conns: usize,
    /// As of all.
    next_accept: Instant,
}

/// The network of a remote host; none of loopback, where all come from one.
fn network(remote: &Multiaddr) -> Option<IpAddr> {
    let ip = host(remote)?.to_canonical();
    let bits = if ip.is_ipv4() { BITS_V4 } else { BITS_V6 };
    (reach(ip) != Reach::Loopback).then(|| prefix(ip, bits))
}

impl Counts {
    pub(crate) fn new(seed: u64) -> Self {
        Self { networks: HashMap::with_hasher(Hashes::new(seed)), ..Self::default() }
    }

    fn check_accept(&self, now: Instant, remote: &Multiaddr, limits: &Limits) -> Result<(), Denied> {
        if let Some(net) = network(remote) {
            let (conns, next) = self.networks.get(&net).map_or((0, now), |net| (net.conns, net.next_accept));
            check("inbound_per_prefix", conns, limits.inbound_per_prefix)?;
            check_rate("accepts_per_prefix", now, next, limits.accepts_per_prefix)?;
        }
        check_rate("accepts_per_second", now, self.next_accept, limits.accepts_per_second)
    }

    pub(crate) fn accepted(&mut self, now: Instant, remote: &Multiaddr, limits: &Limits) {
        // Two a call, where a call adds one at most.
        for _ in 0..2 {
            if let Some((_, net)) = self.quiet.first().copied().filter(|(at, _)| *at <= now) {
                self.quiet.pop_first();
                self.networks.remove(&net);
            }
        }
        if let Some(ip) = network(remote) {
            let net = self.networks.entry(ip).or_default();
            if net.conns == 0 {
                self.quiet.remove(&(net.next_accept, ip));
            }
            net.conns += 1;
            net.next_accept = net.next_accept.max(now) + interval(limits.accepts_per_prefix);
        }
        self.next_accept = self.next_accept.max(now) + interval(limits.accepts_per_second);
        self.memory += PENDING_BYTES;
    }

    /// An accepted connection is gone.
    pub(crate) fn accepted_gone(&mut self, remote: &Multiaddr) {
        let Some(ip) = network(remote) else { return };
        if let Some(net) = self.networks.get_mut(&ip) {
            net.conns -= 1;
            if net.conns == 0 {
                self.quiet.insert((net.next_accept, ip));
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn is_clean(&self) -> bool {
        self.inbound == 0 && self.memory == 0 && self.networks.len() == self.quiet.len()
    }

    /// Networks that are remembered.
    #[cfg(test)]
    pub(crate) fn networks(&self) -> usize {
        self.networks.len()
    }
}

fn interval(rate: usize) -> Duration {
    Duration::from_secs(1) / u32::try_from(rate.max(1)).unwrap_or(u32::MAX)
}

impl Swarm {
    /// Whether a socket may begin its upgrade.
    pub(crate) fn check_accept(&self, now: Instant, local: &Multiaddr, remote: &Multiaddr) -> Result<(), Denied> {
        self.check_open()?;
        check("established", self.established, self.limits.established)?;
        check("established_inbound", self.counts.inbound, self.limits.established_inbound)?;
        check("pending_inbound", self.pending_inbound, self.limits.pending_inbound)?;
        self.counts.check_accept(now, remote, &self.limits)?;
        self.check_memory(PENDING_BYTES)?;
        self.lists.check_host(remote)?;
        self.gate.check(&Visit::Accept { local, remote }).map_err(|reason| Denied::Gate { reason })
    }

    /// Whether an address may be dialled.
    pub(crate) fn check_dial(&self, peer: Option<PeerId>, address: &Multiaddr) -> Result<(), Denied> {
        self.lists.check(peer, address)?;
        self.gate.check(&Visit::Dial { peer, address }).map_err(|reason| Denied::Gate { reason })
    }

    /// Whether a connection that has proved who is at the other end may stay.
    pub(crate) fn admit(&self, pending: &Pending, peer: PeerId) -> Result<(), Denied> {
        if peer == self.local {
            return Err(Denied::Ourselves);
        }
        if let Some(expected) = pending.expected.filter(|expected| *expected != peer) {
            return Err(Denied::WrongPeer { expected });
        }
        self.check_open()?;
        let (limits, inbound) = (&self.limits, self.counts.inbound);
        check("established", self.established, limits.established)?;
        match pending.role {
            Role::Listener => check("established_inbound", inbound, limits.established_inbound)?,
            Role::Dialer => check("established_outbound", self.established - inbound, limits.established_outbound)?,
        }
        let of_peer = self.peers.get(&peer).map_or(0, |peer| peer.conns.len());
        check("established_per_peer", of_peer, limits.established_per_peer)?;
        self.lists.check(Some(peer), &pending.address)?;
        let visit = Visit::Secured { peer, role: pending.role, address: &pending.address };
        self.gate.check(&visit).map_err(|reason| Denied::Gate { reason })
    }

    pub(crate) fn check_memory(&self, more: u64) -> Result<(), Denied> {
        let value = self.limits.memory;
        if self.counts.memory + more > value as u64 {
            return Err(Denied::Limit { name: "memory", value });
        }
        Ok(())
    }

    const fn check_open(&self) -> Result<(), Denied> {
        if self.shutdown.is_some() { Err(Denied::ShuttingDown) } else { Ok(()) }
    }
}

/// Whether an accept comes too early; a second's worth may come at once.
fn check_rate(name: &'static str, now: Instant, next: Instant, rate: usize) -> Result<(), Denied> {
    let is_early = next.since(now) > Duration::from_secs(1).saturating_sub(interval(rate));
    if rate == 0 || is_early { Err(Denied::Limit { name, value: rate }) } else { Ok(()) }
}

fn check(name: &'static str, have: usize, limit: usize) -> Result<(), Denied> {
    if have >= limit { Err(Denied::Limit { name, value: limit }) } else { Ok(()) }
}

//! Who may come in: the caller's gate, and lists of those who may and those who may not.

use core::{fmt, net::IpAddr};
use std::{collections::BTreeSet, sync::Arc};

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_wire::{Instant, Role};

use crate::{CloseReason, Denied, DialError, Swarm, address::host};

/// What a [`Gate`] is asked about.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Visit<'a> {
    /// An address is about to be dialled.
    Dial {
        /// Who must be there, if that is known.
        peer: Option<PeerId>,
        /// The address, without a trailing `/p2p/…`.
        address: &'a Multiaddr,
    },
    /// A listener has accepted a socket.
    Accept {
        /// Our end.
        local: &'a Multiaddr,
        /// The other end.
        remote: &'a Multiaddr,
    },
    /// A connection is ready: the security handshake has proved who is at the other end.
    Secured {
        /// Who.
        peer: PeerId,
        /// Which end we are.
        role: Role,
        /// The other end's address.
        address: &'a Multiaddr,
    },
    /// A peer has opened a stream. Asked by the layer above, on the connection's thread.
    Stream {
        /// Who.
        peer: PeerId,
        /// The protocol that was agreed on.
        protocol: &'a str,
    },
}

type Judge = dyn Fn(&Visit<'_>) -> Result<(), &'static str> + Send + Sync;

/// Decides at each stage who may pass. The reason of a refusal comes back in [`Denied::Gate`] or in the report of the
/// dial. It must not block.
#[derive(Clone)]
pub struct Gate(Arc<Judge>);

impl Gate {
    /// A gate that asks this function.
    pub fn new(judge: impl Fn(&Visit<'_>) -> Result<(), &'static str> + Send + Sync + 'static) -> Self {
        Self(Arc::new(judge))
    }

    /// Asks.
    ///
    /// # Errors
    ///
    /// The reason of a refusal.
    pub fn check(&self, visit: &Visit<'_>) -> Result<(), &'static str> {
        (self.0)(visit)
    }
}

impl Default for Gate {
    /// A gate that stands open.
    fn default() -> Self {
        Self::new(|_| Ok(()))
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gate")
    }
}

/// What a list names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A peer.
    Peer(PeerId),
    /// All hosts whose addresses begin with these bits.
    Net {
        /// An address of the network.
        ip: IpAddr,
        /// How many of its bits count: up to 32 or 128.
        bits: u8,
    },
}

impl Subject {
    /// The same with the bits that do not count cleared.
    fn normal(self) -> Self {
        match self {
            Self::Peer(_) => self,
            Self::Net { ip, bits } => Self::Net { ip: prefix(ip, bits), bits: bits.min(width(ip)) },
        }
    }
}

const fn width(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

/// The first bits of an address, the others cleared.
pub(crate) fn prefix(ip: IpAddr, bits: u8) -> IpAddr {
    let ip = ip.to_canonical();
    match ip {
        IpAddr::V4(ip) => {
            IpAddr::V4((u32::from(ip) & u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0)).into())
        }
        IpAddr::V6(ip) => {
            IpAddr::V6((u128::from(ip) & u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0)).into())
        }
    }
}

/// A list of peers and networks.
#[derive(Debug, Default)]
struct List {
    all: BTreeSet<Subject>,
    /// The numbers of bits that occur, so that a look-up tries these only.
    bits: BTreeSet<(u8, Subject)>,
}

impl List {
    fn insert(&mut self, subject: Subject) -> bool {
        if let Subject::Net { bits, .. } = subject {
            self.bits.insert((bits, subject));
        }
        self.all.insert(subject)
    }

    fn remove(&mut self, subject: &Subject) -> bool {
        if let Subject::Net { bits, .. } = subject {
            self.bits.remove(&(*bits, *subject));
        }
        self.all.remove(subject)
    }

    fn has_peer(&self, peer: PeerId) -> bool {
        self.all.contains(&Subject::Peer(peer))
    }

    fn has_host(&self, ip: IpAddr) -> bool {
        let mut next = self.bits.first();
        while let Some((bits, _)) = next {
            if self.all.contains(&Subject::Net { ip: prefix(ip, *bits), bits: *bits }) {
                return true;
            }
            let above = (*bits + 1, Subject::Net { ip: IpAddr::from([0, 0, 0, 0]), bits: 0 });
            next = self.bits.range(above..).next();
        }
        false
    }

    fn names_peers(&self) -> bool {
        self.all.len() > self.bits.len()
    }

    fn names_hosts(&self) -> bool {
        !self.bits.is_empty()
    }
}

/// Who may come in and who may not.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    allowed: List,
    blocked: List,
}

impl Lists {
    pub(crate) fn check_peer(&self, peer: PeerId) -> Result<(), Denied> {
        let is_stranger = self.allowed.names_peers() && !self.allowed.has_peer(peer);
        if is_stranger || self.blocked.has_peer(peer) { Err(Denied::Blocked) } else { Ok(()) }
    }

    pub(crate) fn check_host(&self, address: &Multiaddr) -> Result<(), Denied> {
        let Some(ip) = host(address) else { return Ok(()) };
        let is_stranger = self.allowed.names_hosts() && !self.allowed.has_host(ip);
        if is_stranger || self.blocked.has_host(ip) { Err(Denied::Blocked) } else { Ok(()) }
    }

    pub(crate) fn check(&self, peer: Option<PeerId>, address: &Multiaddr) -> Result<(), Denied> {
        peer.map_or(Ok(()), |peer| self.check_peer(peer)).and_then(|()| self.check_host(address))
    }

    fn len(&self) -> usize {
        self.allowed.all.len() + self.blocked.all.len()
    }
}

impl Swarm {
    /// Puts a gate in the place of one that stands open. It is asked about what comes from now on.
    pub fn set_gate(&mut self, gate: Gate) {
        self.gate = gate;
    }

    /// Keeps a peer or a network out: neither dialled nor let in. Connections of the peer are closed and dials to it end;
    /// connections of a network that are ready stay. Returns whether it is new on the list.
    ///
    /// # Errors
    ///
    /// [`Denied::Limit`]: the lists are full (`listed`).
    pub fn block(&mut self, now: Instant, subject: Subject) -> Result<bool, Denied> {
        self.check_listed()?;
        if let Subject::Peer(peer) = subject {
            self.close_peer(now, peer, CloseReason::Denied(Denied::Blocked));
            let plan = self.peers.get(&peer).and_then(|peer| self.plans.get(peer.plan?));
            let dials: Vec<_> = plan.into_iter().flat_map(|plan| plan.dials.iter().copied()).collect();
            for dial in dials {
                self.end_dial(now, dial, DialError::Blocked);
            }
        }
        Ok(self.lists.blocked.insert(subject.normal()))
    }

    /// Takes a peer or a network off the list of [`block`](Self::block). Returns whether it was on it.
    pub fn unblock(&mut self, subject: Subject) -> bool {
        self.lists.blocked.remove(&subject.normal())
    }

    /// Lets nobody in but those on this list: peers, if it names a peer; hosts, if it names a network. Who is blocked
    /// stays out. What is connected already stays. Returns whether it is new on the list.
    ///
    /// # Errors
    ///
    /// [`Denied::Limit`]: the lists are full (`listed`).
    pub fn allow(&mut self, subject: Subject) -> Result<bool, Denied> {
        self.check_listed()?;
        Ok(self.lists.allowed.insert(subject.normal()))
    }

    /// Takes a peer or a network off the list of [`allow`](Self::allow). Returns whether it was on it.
    pub fn disallow(&mut self, subject: Subject) -> bool {
        self.lists.allowed.remove(&subject.normal())
    }

    fn check_listed(&self) -> Result<(), Denied> {
        let value = self.limits.listed;
        if self.lists.len() >= value { Err(Denied::Limit { name: "listed", value }) } else { Ok(()) }
    }
}

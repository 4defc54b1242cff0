//! What is known of peers, connected or not: where they may be, and what they said of themselves.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_wire::Instant;

use crate::{
    Kind, Limits, PeerRecord, Reach, RecordError, Swarm,
    address::split_peer,
    hashes::{Hashes, PeerMap},
};

mod snapshot;

pub use snapshot::SnapshotError;

/// Who says that a peer is at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The peer, by identify.
    Identify,
    /// The peer, in a record that it signed.
    Signed,
    /// The application.
    Application,
}

/// What is known of one address of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Who says so.
    pub source: Source,
    /// How much it is worth, 1 to 255: what the source is worth at first, more with each connection that came of it, half
    /// with each attempt that failed.
    pub confidence: u8,
    /// Whether a connection came of it, and no attempt has failed since.
    pub worked: bool,
    /// When it is forgotten; `None`: not by itself.
    pub expires: Option<Instant>,
}

/// What is known of a peer.
#[derive(Debug, Default)]
pub(crate) struct Page {
    addrs: BTreeMap<Multiaddr, Known>,
    protocols: Vec<String>,
    agent: Option<String>,
    /// The number of its newest signed record.
    seq: Option<u64>,
    /// When it was last of use, among all.
    turn: u64,
}

/// What a peer said of itself by identify.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identified<'a> {
    /// Where it listens.
    pub addrs: &'a [Multiaddr],
    /// The protocols that it speaks.
    pub protocols: &'a [String],
    /// Its program.
    pub agent: Option<&'a str>,
    /// Its signed peer record, encoded.
    pub record: Option<&'a [u8]>,
}

/// The pages of all peers, at most [`Limits::book_peers`]; the one that was of no use for longest makes way.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pages: PeerMap<Page>,
    turns: BTreeSet<(u64, PeerId)>,
    turn: u64,
}

/// What a source is worth at first.
const fn worth(source: Source) -> u8 {
    match source {
        Source::Identify => 32,
        Source::Signed => 64,
        Source::Application => 128,
    }
}

/// An address that fails once more below this is forgotten, if the peer itself named it.
const CONFIDENCE_MIN: u8 = 4;

impl Book {
    pub(crate) fn new(seed: u64) -> Self {
        Self { pages: PeerMap::with_hasher(Hashes::new(seed)), ..Self::default() }
    }

    /// The page of a peer, a new one if there is none, and marks it used.
    fn page(&mut self, peer: PeerId, limits: &Limits) -> Option<&mut Page> {
        if limits.book_peers == 0 {
            return None;
        }
        self.turn += 1;
        let turn = self.turn;
        match self.pages.get(&peer) {
            Some(page) => drop(self.turns.remove(&(page.turn, peer))),
            None if self.pages.len() >= limits.book_peers => {
                if let Some((_, oldest)) = self.turns.pop_first() {
                    self.pages.remove(&oldest);
                }
            }
            None => {}
        }
        self.turns.insert((turn, peer));
        let page = self.pages.entry(peer).or_default();
        page.turn = turn;
        Some(page)
    }

    fn remove(&mut self, peer: &PeerId) -> bool {
        let Some(page) = self.pages.remove(peer) else { return false };
        self.turns.remove(&(page.turn, *peer))
    }

    /// A connection came of an address that was dialled.
    pub(crate) fn worked(&mut self, now: Instant, peer: PeerId, address: &Multiaddr, limits: &Limits) {
        let Some(page) = self.page(peer, limits) else { return };
        if let Some(known) = page.addrs.get_mut(address) {
            known.confidence = known.confidence.saturating_add(64);
            known.worked = true;
            known.expires = known.expires.map(|at| at.max(now + limits.book_time));
        }
    }

    /// An attempt at an address has failed.
    pub(crate) fn failed(&mut self, peer: PeerId, address: &Multiaddr) {
        let Some(page) = self.pages.get_mut(&peer) else { return };
        let Some(known) = page.addrs.get_mut(address) else { return };
        known.confidence = (known.confidence / 2).max(1);
        known.worked = false;
        if known.confidence < CONFIDENCE_MIN && known.source != Source::Application {
            page.addrs.remove(address);
        }
    }

    /// The addresses of a peer that have not expired, the most worth first.
    pub(crate) fn addresses(&self, now: Instant, peer: &PeerId) -> Vec<(&Multiaddr, Known)> {
        let all = self.pages.get(peer).into_iter().flat_map(|page| &page.addrs);
        let mut all: Vec<_> =
            all.filter(|(_, known)| known.lasts(now)).map(|(address, known)| (address, *known)).collect();
        all.sort_by_key(|(_, known)| core::cmp::Reverse((known.worked, known.confidence)));
        all
    }

    pub(crate) fn knows_address(&self, now: Instant, peer: &PeerId) -> bool {
        self.pages.get(peer).is_some_and(|page| page.addrs.values().any(|known| known.lasts(now)))
    }

    pub(crate) fn has_worked(&self, now: Instant, peer: &PeerId, address: &Multiaddr) -> bool {
        let known = self.pages.get(peer).and_then(|page| page.addrs.get(address));
        known.is_some_and(|known| known.worked && known.lasts(now))
    }
}

impl Known {
    fn lasts(&self, now: Instant) -> bool {
        self.expires.is_none_or(|at| at > now)
    }
}

impl Page {
    /// Adds an address or renews it: the better source and the later end count. Without room the least worth makes way.
    fn add(&mut self, now: Instant, address: Multiaddr, source: Source, expires: Option<Instant>, limits: &Limits) {
        if let Some(known) = self.addrs.get_mut(&address) {
            known.source = known.source.max(source);
            known.confidence = known.confidence.max(worth(source));
            known.expires = known.expires.zip(expires).map(|(a, b)| a.max(b));
            return;
        }
        self.addrs.retain(|_, known| known.lasts(now));
        let new = Known { source, confidence: worth(source), worked: false, expires };
        if self.addrs.len() >= limits.book_addresses {
            let value = |known: &Known| (known.worked, known.confidence);
            let least = self.addrs.iter().min_by_key(|(_, known)| value(known));
            let Some((least, known)) = least.map(|(address, known)| (address.clone(), *known)) else { return };
            if value(&known) > value(&new) {
                return;
            }
            self.addrs.remove(&least);
        }
        self.addrs.insert(address, new);
    }

    /// Takes over what a peer says of its program, as far as there is room.
    fn describe(&mut self, protocols: &[String], agent: Option<&str>, limits: &Limits) {
        let mut room = limits.book_text;
        let mut fits = |text: &str| {
            let fits = text.len() <= room;
            room -= if fits { text.len() } else { 0 };
            fits
        };
        if let Some(agent) = agent.filter(|agent| fits(agent)) {
            self.agent = Some(agent.to_owned());
        }
        if !protocols.is_empty() {
            self.protocols = protocols.iter().filter(|name| fits(name)).cloned().collect();
        }
    }
}

impl Swarm {
    /// Remembers an address of a peer, for `time` or, if that is `None`, for good. [`dial`](Self::dial) tries it behind
    /// those that it is given. An address that no host can have, or that ends in another peer's id, is not taken.
    /// Returns whether it was taken.
    pub fn add_address(&mut self, now: Instant, peer: PeerId, address: &Multiaddr, time: Option<Duration>) -> bool {
        let (address, named) = split_peer(address);
        if named.is_some_and(|named| named != peer) || Kind::of(&address).reach == Reach::Unroutable {
            return false;
        }
        let Some(page) = self.book.page(peer, &self.limits) else { return false };
        page.add(now, address, Source::Application, time.map(|time| now + time), &self.limits);
        true
    }

    /// Remembers what a connected peer says of itself. Its addresses last for [`Limits::book_time`]; those of loopback are
    /// believed on loopback only, and private ones from a private network only. With a signed record its addresses count in
    /// the place of the others.
    ///
    /// # Errors
    ///
    /// [`RecordError`]: the record is not believed. All else is remembered nevertheless.
    pub fn handle_identified(&mut self, now: Instant, peer: PeerId, said: Identified<'_>) -> Result<(), RecordError> {
        let nearest = |swarm: &Self| {
            let conn = swarm.connections(&peer).next()?;
            Some(Kind::of(&swarm.connection(conn)?.address).reach)
        };
        let near = nearest(self).unwrap_or(Reach::Public);
        let limits = self.limits;
        let Some(page) = self.book.page(peer, &limits) else { return Ok(()) };
        page.describe(said.protocols, said.agent, &limits);
        let record = said.record.map(PeerRecord::open).transpose().and_then(|record| match record {
            Some(record) if record.peer != peer => Err(RecordError::WrongPeer { got: record.peer }),
            Some(record) if page.seq.is_some_and(|newest| newest > record.seq) => {
                Err(RecordError::Old { newest: page.seq.unwrap_or_default() })
            }
            record => Ok(record),
        });
        let (addrs, source) = match &record {
            Ok(Some(record)) => {
                page.seq = Some(record.seq);
                (&record.addrs[..], Source::Signed)
            }
            _ => (said.addrs, Source::Identify),
        };
        let expires = Some(now + limits.book_time);
        for address in addrs.iter().take(limits.book_addresses) {
            let (address, named) = split_peer(address);
            let reach = Kind::of(&address).reach;
            let is_believed = reach >= near && reach != Reach::Unroutable;
            if is_believed && named.is_none_or(|named| named == peer) {
                page.add(now, address, source, expires, &limits);
            }
        }
        record.map(drop)
    }

    /// The addresses of a peer that are remembered, the most worth first.
    pub fn addresses(&self, now: Instant, peer: &PeerId) -> Vec<(Multiaddr, Known)> {
        self.book.addresses(now, peer).into_iter().map(|(address, known)| (address.clone(), known)).collect()
    }

    /// The protocols that a peer said it speaks when it was last connected.
    pub fn protocols(&self, peer: &PeerId) -> &[String] {
        self.book.pages.get(peer).map_or(&[], |page| &page.protocols)
    }

    /// The program that a peer said it runs when it was last connected.
    pub fn agent(&self, peer: &PeerId) -> Option<&str> {
        self.book.pages.get(peer)?.agent.as_deref()
    }

    /// The peers that something is remembered of, the one that was of use last at the end.
    pub fn known_peers(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.book.turns.iter().map(|(_, peer)| *peer)
    }

    /// Forgets all that is remembered of a peer. Returns whether there was something.
    pub fn forget(&mut self, peer: &PeerId) -> bool {
        self.book.remove(peer)
    }
}

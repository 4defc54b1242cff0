//! An application that keeps connections and echoes, for scenarios that are about the node and not about a protocol.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use sanswarm::{Bytes, Event, Open, OpenId, PeerInfo, ProtocolName, ReadError, StreamId};

use crate::{App, Host, HostId};

const ECHO: ProtocolName = ProtocolName::from_static("/echo/1.0.0");
/// Nobody handles it.
const NOBODYS: ProtocolName = ProtocolName::from_static("/nobody/1.0.0");

/// Until the swarm dials again by itself, the application does, so long after a failure.
const REDIAL: Duration = Duration::from_secs(5);

/// What is written at once, at most.
const PIECE: usize = 16 * 1024;

/// What an echo holds back before it stops reading.
const ECHO_HOLDS: usize = 64 * 1024;

/// The timer that opens streams; the others are numbers of hosts to dial again.
const TICK: u64 = u64::MAX;
/// The timer that thinks better of a request.
const CANCEL: u64 = u64::MAX - 1;

/// What the application of one host wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wishes {
    /// The hosts that it dials, and dials again; or that it visits.
    pub peers: Vec<HostId>,
    /// The time in which it makes its first dials.
    pub start_within: Duration,
    /// How often it opens a stream to a random connected peer, on average; `None` never.
    pub stream_every: Option<Duration>,
    /// Bytes that a stream echoes.
    pub bytes: usize,
    /// Bytes that every tenth stream echoes.
    pub bytes_tenth: usize,
    /// Whether it also resets, stops, closes, offers unknown protocols, and opens lazily and with any number of bytes.
    pub wild: bool,
    /// Whether it wants no connections: it opens streams to any of its peers, and whoever is not connected is dialled for
    /// that. Of the wild ones some requests are cancelled.
    pub visits: bool,
}

/// Keeps connections to some hosts, opens streams to whoever is connected, and echoes what others send.
#[derive(Debug)]
pub struct Traffic {
    wishes: Wishes,
    dials: BTreeMap<OpenId, HostId>,
    asked: BTreeMap<OpenId, Plan>,
    /// Requests that are to be cancelled, the next first.
    regretted: VecDeque<OpenId>,
    ours: BTreeMap<StreamId, Talk>,
    theirs: BTreeMap<StreamId, Echo>,
    opened: u64,
    echoed: u64,
}

/// What is to be done with a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    token: u64,
    bytes: usize,
    mood: Mood,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    /// Finishes behind the last byte.
    Early,
    /// Finishes when everything has come back.
    Late,
    /// Resets in the middle.
    Resets,
    /// Reads no more in the middle.
    Stops,
    /// Closes the connection in the middle.
    Closes,
}

/// A stream of ours.
#[derive(Debug)]
struct Talk {
    plan: Plan,
    sent: usize,
    got: usize,
    is_finished: bool,
}

/// A stream of theirs.
#[derive(Debug, Default)]
struct Echo {
    out: VecDeque<Bytes>,
    held: usize,
    has_ended: bool,
}

impl Traffic {
    /// An application with these wishes.
    pub fn new(wishes: Wishes) -> Self {
        let (dials, asked, regretted) = Default::default();
        let (ours, theirs) = Default::default();
        Self { wishes, dials, asked, regretted, ours, theirs, opened: 0, echoed: 0 }
    }

    /// Bytes that came back to it.
    pub fn echoed(&self) -> u64 {
        self.echoed
    }

    fn redial(&mut self, host: &mut Host<'_>, peer: HostId) {
        let info = host.info_of(peer);
        if host.connections(&info.id).is_empty() && !self.dials.values().any(|dialled| *dialled == peer) {
            let request = host.connect(info);
            self.dials.insert(request, peer);
        }
    }

    fn tick(&mut self, host: &mut Host<'_>) {
        let Some(every) = self.wishes.stream_every else { return };
        if host.is_settling() {
            return;
        }
        let wait = every / 2 + host.rng().time(every);
        host.after(wait, TICK);
        let Some(peer) = self.partner(host) else { return };
        self.opened += 1;
        let plan = self.plan(host);
        let (mut how, mut protocols) = (Open::Wait, vec![ECHO]);
        if self.wishes.wild {
            if host.rng().chance(1, 3) {
                how = Open::Lazy;
            }
            match host.rng().below(20) {
                0 => protocols = vec![NOBODYS],
                1 => protocols = vec![NOBODYS, ECHO],
                _ => {}
            }
        }
        let request = host.open_stream_with(protocols, peer, how);
        self.asked.insert(request, plan);
        if self.wishes.visits && self.wishes.wild && host.rng().chance(1, 8) {
            let wait = host.rng().time(Duration::from_secs(1));
            self.regretted.push_back(request);
            host.after(wait, CANCEL);
        }
    }

    /// Whom the next stream is for.
    fn partner(&self, host: &mut Host<'_>) -> Option<PeerInfo> {
        if self.wishes.visits {
            let at = host.rng().index(self.wishes.peers.len());
            return self.wishes.peers.get(at).map(|peer| host.info_of(*peer));
        }
        let count = host.all_connections().len();
        let at = host.rng().index(count);
        host.all_connections().nth(at).map(|(_, peer)| peer.into())
    }

    fn plan(&self, host: &mut Host<'_>) -> Plan {
        let Wishes { bytes, bytes_tenth, wild, .. } = self.wishes;
        let rng = host.rng();
        let token = rng.next_u64();
        let most = if self.opened.is_multiple_of(10) { bytes_tenth } else { bytes };
        if !wild {
            return Plan { token, bytes: most, mood: Mood::Early };
        }
        let mood = match rng.below(40) {
            0..=11 => Mood::Late,
            12..=15 => Mood::Resets,
            16..=19 => Mood::Stops,
            20 => Mood::Closes,
            _ => Mood::Early,
        };
        let bytes = match rng.below(8) {
            few @ 0..=1 => few as usize,
            _ => rng.index(most + 1),
        };
        Plan { token, bytes, mood }
    }

    // ---- streams of ours

    fn push(&mut self, host: &mut Host<'_>, id: StreamId) {
        let Some(talk) = self.ours.get_mut(&id) else { return };
        let mut piece = [0; PIECE];
        while talk.sent < talk.plan.bytes {
            let len = PIECE.min(talk.plan.bytes - talk.sent);
            fill(talk.plan.token, talk.sent, &mut piece[..len]);
            match host.write(id, &piece[..len]) {
                Ok(n) => {
                    talk.sent += n;
                    if n < len {
                        break;
                    }
                }
                Err(_) => {
                    self.ours.remove(&id);
                    return;
                }
            }
        }
        let is_due = talk.sent == talk.plan.bytes
            && (talk.plan.mood != Mood::Late || talk.got == talk.plan.bytes || talk.plan.bytes == 0);
        if is_due && !core::mem::replace(&mut talk.is_finished, true) {
            let _ = host.finish(id);
        }
        self.act_up(host, id);
    }

    /// In the middle of a stream, does what its mood is.
    fn act_up(&mut self, host: &mut Host<'_>, id: StreamId) {
        let Some(talk) = self.ours.get_mut(&id) else { return };
        if talk.sent * 2 < talk.plan.bytes {
            return;
        }
        match talk.plan.mood {
            Mood::Resets => {
                let _ = host.reset(id);
                self.ours.remove(&id);
            }
            Mood::Stops if talk.is_finished => {
                let _ = host.stop(id);
                self.ours.remove(&id);
            }
            Mood::Closes => {
                self.ours.remove(&id);
                host.close(id.conn);
            }
            _ => {}
        }
    }

    fn pull(&mut self, host: &mut Host<'_>, id: StreamId) {
        while let Some(talk) = self.ours.get_mut(&id) {
            match host.read(id) {
                Ok(Some(slice)) => {
                    let mut expected = vec![0; slice.len()];
                    fill(talk.plan.token, talk.got, &mut expected);
                    if slice != expected {
                        return host.fail(format!("an echo differs after {} bytes", talk.got));
                    }
                    talk.got += slice.len();
                    self.echoed += slice.len() as u64;
                }
                Ok(None) => break,
                Err(ReadError::Finished) => {
                    if talk.got != talk.plan.bytes {
                        host.fail(format!("an echo ended after {} of {} bytes", talk.got, talk.plan.bytes));
                    }
                    self.ours.remove(&id);
                }
                Err(_) => {
                    self.ours.remove(&id);
                }
            }
        }
        self.push(host, id);
    }

    // ---- streams of theirs

    fn echo(&mut self, host: &mut Host<'_>, id: StreamId) {
        loop {
            let Some(echo) = self.theirs.get_mut(&id) else { return };
            while let Some(front) = echo.out.front_mut() {
                let Ok(n) = host.write(id, front) else {
                    self.theirs.remove(&id);
                    return;
                };
                echo.held -= n;
                if n < front.len() {
                    drop(front.split_to(n));
                    break;
                }
                echo.out.pop_front();
            }
            if echo.has_ended && echo.out.is_empty() {
                let _ = host.finish(id);
                self.theirs.remove(&id);
                return;
            }
            if echo.held >= ECHO_HOLDS || echo.has_ended {
                return;
            }
            match host.read(id) {
                Ok(Some(slice)) => {
                    echo.held += slice.len();
                    echo.out.push_back(slice);
                }
                Ok(None) => return,
                Err(ReadError::Finished) => echo.has_ended = true,
                Err(_) => {
                    self.theirs.remove(&id);
                }
            }
        }
    }
}

impl App for Traffic {
    fn start(&mut self, host: &mut Host<'_>) {
        self.dials.clear();
        self.asked.clear();
        self.regretted.clear();
        self.ours.clear();
        self.theirs.clear();
        host.set_stream_handler(ECHO);
        let standing = if self.wishes.visits { Vec::new() } else { self.wishes.peers.clone() };
        for peer in standing {
            let wait = host.rng().time(self.wishes.start_within);
            host.after(wait, peer.index() as u64);
        }
        if let Some(every) = self.wishes.stream_every {
            let wait = self.wishes.start_within + host.rng().time(every);
            host.after(wait, TICK);
        }
    }

    fn handle_timer(&mut self, host: &mut Host<'_>, timer: u64) {
        match timer {
            TICK => self.tick(host),
            CANCEL => drop(self.regretted.pop_front().map(|request| host.cancel(request))),
            peer => self.redial(host, HostId::new(peer as usize)),
        }
    }

    fn handle_event(&mut self, host: &mut Host<'_>, event: Event) {
        match event {
            Event::Opened { request: Some(request), stream, .. } => {
                let Some(plan) = self.asked.remove(&request) else { return };
                self.ours.insert(stream, Talk { plan, sent: 0, got: 0, is_finished: false });
                self.push(host, stream);
            }
            Event::Opened { stream, .. } => {
                self.theirs.insert(stream, Echo::default());
            }
            Event::OpenFailed { request, .. } => {
                self.asked.remove(&request);
                if let Some(peer) = self.dials.remove(&request) {
                    host.after(REDIAL, peer.index() as u64);
                }
            }
            Event::Dialed { request, .. } => drop(self.dials.remove(&request)),
            Event::Readable { stream } | Event::Finished { stream } if self.ours.contains_key(&stream) => {
                self.pull(host, stream);
            }
            Event::Readable { stream } | Event::Finished { stream } => self.echo(host, stream),
            Event::Writable { stream } if self.ours.contains_key(&stream) => self.push(host, stream),
            Event::Writable { stream } => self.echo(host, stream),
            Event::Reset { stream } | Event::Refused { stream, .. } => {
                self.ours.remove(&stream);
                self.theirs.remove(&stream);
            }
            Event::Disconnected { peer, conn, .. } => {
                self.ours.retain(|stream, _| stream.conn != conn);
                self.theirs.retain(|stream, _| stream.conn != conn);
                let is_wanted = |peer: &HostId| !self.wishes.visits && self.wishes.peers.contains(peer);
                let peer = host.host_of(&peer).filter(is_wanted);
                if let Some(peer) = peer {
                    host.after(REDIAL, peer.index() as u64);
                }
            }
            _ => {}
        }
    }

    fn is_settled(&self, host: &Host<'_>) -> bool {
        let is_connected = |peer: &HostId| host.node().connections(&host.info_of(*peer).id).next().is_some();
        let is_idle = self.dials.is_empty() && self.asked.is_empty() && self.ours.is_empty() && self.theirs.is_empty();
        is_idle && (self.wishes.visits || self.wishes.peers.iter().all(is_connected))
    }
}

/// Payload that its stream's token and its place decide.
fn fill(token: u64, offset: usize, out: &mut [u8]) {
    let mut at = offset;
    let mut rest = out;
    while !rest.is_empty() {
        let word = (token ^ (at as u64 / 8).wrapping_mul(0x9e37_79b9_7f4a_7c15)).rotate_left(29);
        let word = word.wrapping_mul(0xbf58_476d_1ce4_e5b9).to_le_bytes();
        let from = at % 8;
        let n = (8 - from).min(rest.len());
        let (now, later) = rest.split_at_mut(n);
        now.copy_from_slice(&word[from..from + n]);
        rest = later;
        at += n;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_is_the_same_in_any_pieces() {
        let mut whole = [0; 100];
        fill(9, 0, &mut whole);
        for cut in 0..100 {
            let mut parts = [0; 100];
            let (one, two) = parts.split_at_mut(cut);
            fill(9, 0, one);
            fill(9, cut, two);
            assert_eq!(parts, whole);
        }
        let mut other = [0; 100];
        fill(10, 0, &mut other);
        assert!(other != whole);
    }
}

//! How long connections stay: streams, keeps, idleness, trimming, and the end of all.

use core::{fmt, time::Duration};

use libp2p_identity::PeerId;
use sanswarm_wire::{Instant, Key, Role};

use crate::{
    CloseReason, ConnId, Denied, DialError, Event, Swarm,
    connection::{Conn, Ready},
    timer::Timer,
};

/// The name of a wish that a peer stay connected. Never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeepId(Key);

impl fmt::Debug for KeepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "keep {:?}", self.0)
    }
}

/// The most that one connection counts, so that a sum of them never overflows.
const MEMORY_MAX: usize = 1 << 30;

/// A shutdown under way.
#[derive(Debug)]
pub(crate) struct Shutdown {
    until: Instant,
    /// Connections that were in use when time was up.
    cut: usize,
    told: bool,
}

impl Swarm {
    /// Tells how many streams of the application's a connection has. While it has one, no rule closes it; the driver's own
    /// streams, for pings, do not count.
    pub fn handle_streams(&mut self, now: Instant, conn: ConnId, streams: usize) {
        let Some(Conn::Ready(ready)) = self.conns.get_mut(conn.0) else { return };
        let was_idle = ready.streams == 0;
        ready.streams = streams;
        match (was_idle, streams == 0) {
            (true, false) => self.leave_idle(conn),
            (false, true) => {
                self.enter_idle(now, conn);
                self.drain_idle(now, conn);
            }
            _ => {}
        }
    }

    /// A connection is about to be used: its idle time begins anew.
    pub fn handle_used(&mut self, now: Instant, conn: ConnId) {
        if matches!(self.conns.get(conn.0), Some(Conn::Ready(Ready { streams: 0, .. }))) {
            self.leave_idle(conn);
            self.enter_idle(now, conn);
        }
    }

    /// Keeps the connections of a peer from being closed for idleness or trimmed, those to come too, until
    /// [`release`](Self::release). Several keeps add up.
    ///
    /// # Errors
    ///
    /// [`Denied::Limit`]: there are too many (`keeps`).
    pub fn keep(&mut self, peer: PeerId) -> Result<KeepId, Denied> {
        let value = self.limits.keeps;
        if self.keeps.len() >= value {
            return Err(Denied::Limit { name: "keeps", value });
        }
        self.peers.entry(peer).or_default().keeps += 1;
        self.sort_peer(peer);
        Ok(KeepId(self.keeps.insert(peer)))
    }

    /// Gives a keep back; with the last of a peer's the idle time of its connections begins. Returns whether it was there.
    pub fn release(&mut self, now: Instant, keep: KeepId) -> bool {
        let Some(id) = self.keeps.remove(keep.0) else { return false };
        let Some(peer) = self.peers.get_mut(&id) else { return true };
        peer.keeps -= 1;
        if peer.keeps == 0 {
            let conns: Vec<_> = peer.conns.values().copied().collect();
            for conn in conns {
                self.handle_used(now, conn);
            }
            self.forget_idle_peer(id);
        }
        true
    }

    /// Protects a peer from trimming, or not any more. Its connections may still be closed for idleness.
    ///
    /// # Errors
    ///
    /// [`Denied::Limit`]: too many are protected (`protected`).
    pub fn protect(&mut self, peer: PeerId, protected: bool) -> Result<(), Denied> {
        let value = self.limits.protected;
        let known = self.peers.get(&peer).is_some_and(|peer| peer.protected);
        if protected && !known {
            if self.protected >= value {
                return Err(Denied::Limit { name: "protected", value });
            }
            self.protected += 1;
        } else if known && !protected {
            self.protected -= 1;
        }
        self.peers.entry(peer).or_default().protected = protected;
        self.sort_peer(peer);
        self.forget_idle_peer(peer);
        Ok(())
    }

    /// How many streams a ready connection has, as far as it was told.
    pub fn streams(&self, conn: ConnId) -> usize {
        match self.conns.get(conn.0) {
            Some(Conn::Ready(ready)) => ready.streams,
            _ => 0,
        }
    }

    /// Tells how much memory a ready connection holds, to be held against [`Limits::memory`](crate::Limits::memory). Until
    /// then it counts 20 KiB; at most it counts 1 GiB.
    pub fn handle_memory(&mut self, conn: ConnId, bytes: usize) {
        if let Some(Conn::Ready(ready)) = self.conns.get_mut(conn.0) {
            let bytes = bytes.min(MEMORY_MAX);
            self.counts.memory = self.counts.memory - ready.memory as u64 + bytes as u64;
            ready.memory = bytes;
        }
    }

    /// Whether a ready connection is one too many: there is a better one to the same peer, and it is for us to close this
    /// one, since we dialled it. The other end sees the same one as the better.
    fn is_surplus(&self, ready: &Ready) -> bool {
        let peer = self.peers.get(&ready.info.peer);
        let best = peer.and_then(|peer| peer.conns.keys().next());
        ready.info.role == Role::Dialer && best.is_some_and(|best| *best < ready.key)
    }

    fn is_kept(&self, ready: &Ready) -> bool {
        self.peers.get(&ready.info.peer).is_some_and(|peer| peer.keeps > 0)
    }

    fn is_trimmable(&self, ready: &Ready) -> bool {
        let peer = self.peers.get(&ready.info.peer);
        ready.streams == 0 && ready.closing.is_none() && peer.is_some_and(|peer| peer.keeps == 0 && !peer.protected)
    }

    /// A connection has no streams from now on.
    pub(crate) fn enter_idle(&mut self, now: Instant, conn: ConnId) {
        let Some(Conn::Ready(ready)) = self.conns.get_mut(conn.0) else { return };
        if ready.closing.is_some() {
            return;
        }
        ready.idle_since = now;
        self.sort(conn);
        self.arm_idle(conn);
    }

    /// A connection is in use, or leaves.
    pub(crate) fn leave_idle(&mut self, conn: ConnId) {
        let Some(Conn::Ready(ready)) = self.conns.get_mut(conn.0) else { return };
        self.idle.remove(&(ready.idle_since, conn));
        if let Some(at) = ready.idle_timer.take() {
            self.timers.unset(at, Timer::Idle(conn.0));
        }
    }

    /// Puts a connection among those that may be trimmed, or takes it out.
    fn sort(&mut self, conn: ConnId) {
        let Some(Conn::Ready(ready)) = self.conns.get(conn.0) else { return };
        let place = (ready.idle_since, conn);
        if self.is_trimmable(ready) {
            self.idle.insert(place);
        } else {
            self.idle.remove(&place);
        }
    }

    fn sort_peer(&mut self, peer: PeerId) {
        let conns: Vec<_> = self.connections(&peer).collect();
        conns.into_iter().for_each(|conn| self.sort(conn));
    }

    /// Sets when an idle connection is to be looked at again.
    pub(crate) fn arm_idle(&mut self, conn: ConnId) {
        let Some(Conn::Ready(ready)) = self.conns.get(conn.0) else { return };
        if ready.streams > 0 || ready.closing.is_some() {
            return;
        }
        let since = ready.idle_since;
        let surplus = self.is_surplus(ready).then(|| since + self.limits.surplus);
        let idle = self.limits.idle.filter(|_| !self.is_kept(ready)).map(|idle| since + idle);
        let at = surplus.into_iter().chain(idle).min();
        let Some(Conn::Ready(ready)) = self.conns.get_mut(conn.0) else { return };
        if ready.idle_timer != at {
            if let Some(old) = core::mem::replace(&mut ready.idle_timer, at) {
                self.timers.unset(old, Timer::Idle(conn.0));
            }
            if let Some(at) = at {
                self.timers.set(at, Timer::Idle(conn.0));
            }
        }
    }

    /// A connection has been idle for as long as a rule lets it.
    pub(crate) fn idle_timeout(&mut self, now: Instant, key: Key) {
        let conn = ConnId(key);
        let Some(Conn::Ready(ready)) = self.conns.get_mut(key) else { return };
        ready.idle_timer = None;
        let Some(Conn::Ready(ready)) = self.conns.get(key) else { return };
        let rested = now.since(ready.idle_since);
        let is_over = |time: Duration| rested >= time;
        if self.is_surplus(ready) && is_over(self.limits.surplus) {
            self.close(now, conn, CloseReason::Surplus);
        } else if let Some(after) = self.limits.idle.filter(|idle| is_over(*idle) && !self.is_kept(ready)) {
            self.close(now, conn, CloseReason::Idle { after });
        } else {
            self.arm_idle(conn);
        }
    }

    /// A peer has another connection: if it is the best, the one that was the best before is one too many now.
    pub(crate) fn compare(&mut self, peer: PeerId) {
        let second = self.connections(&peer).nth(1);
        second.into_iter().for_each(|conn| self.arm_idle(conn));
    }

    /// Closes those that have been idle for longest if there are more than the high water mark, down to the low one.
    pub(crate) fn trim(&mut self, now: Instant) {
        let established = self.limits.established;
        let mark = |mark: usize, tenths: usize| {
            if mark == 0 { (established / 10 * tenths) + (established % 10 * tenths).div_ceil(10) } else { mark }
        };
        let (high, low) = (mark(self.limits.high_water, 9), mark(self.limits.low_water, 8));
        self.is_trimming = (self.is_trimming && self.live > low) || self.live > high;
        while self.is_trimming && self.live > low {
            let Some((since, conn)) = self.idle.first().copied() else { return };
            let at = since + self.limits.trim_grace;
            if at > now {
                let old = self.trim_timer.replace(at);
                if old != Some(at) {
                    self.timers.set(at, Timer::Trim);
                }
                if let Some(old) = old.filter(|old| *old != at) {
                    self.timers.unset(old, Timer::Trim);
                }
                return;
            }
            self.close(now, conn, CloseReason::Trimmed { low_water: low });
        }
        self.is_trimming = false;
    }

    // ---- the end

    /// Ends all in good order: what is new is refused, dials without an answer are answered, idle connections are closed
    /// at once, those in use when their last stream ends, and at the latest after `deadline`. When the last has closed,
    /// [`Event::ShutDown`] tells how many were cut. A second call changes nothing.
    pub fn shutdown(&mut self, now: Instant, deadline: Duration) {
        if self.shutdown.is_some() {
            return;
        }
        let until = now + deadline;
        self.shutdown = Some(Shutdown { until, cut: 0, told: false });
        self.timers.set(until, Timer::Shutdown);
        let dials: Vec<_> = self.dials.iter().map(|(key, _)| key).collect();
        for dial in dials {
            self.end_dial(now, dial, DialError::ShuttingDown);
        }
        let conns: Vec<_> = self.conns.iter().map(|(key, conn)| (ConnId(key), is_used(conn))).collect();
        for (conn, used) in conns {
            if !used {
                self.close(now, conn, CloseReason::Shutdown);
            }
        }
        self.check_shut_down();
    }

    /// Time is up for those that are still in use.
    pub(crate) fn cut(&mut self, now: Instant) {
        let conns: Vec<_> = self.conns.iter().map(|(key, _)| ConnId(key)).collect();
        for conn in conns {
            if self.close(now, conn, CloseReason::Cut) {
                if let Some(shutdown) = &mut self.shutdown {
                    shutdown.cut += 1;
                }
            }
        }
        self.check_shut_down();
    }

    /// A connection that was in use is not any more.
    fn drain_idle(&mut self, now: Instant, conn: ConnId) {
        if self.shutdown.is_some() {
            self.close(now, conn, CloseReason::Shutdown);
        } else {
            self.trim(now);
        }
    }

    /// Tells once that nothing is left.
    pub(crate) fn check_shut_down(&mut self) {
        let is_over = self.conns.is_empty();
        let Some(shutdown) = self.shutdown.as_mut().filter(|shutdown| is_over && !shutdown.told) else { return };
        shutdown.told = true;
        self.timers.unset(shutdown.until, Timer::Shutdown);
        self.events.push_back(Event::ShutDown { cut: shutdown.cut });
    }
}

fn is_used(conn: &Conn) -> bool {
    matches!(conn, Conn::Ready(ready) if ready.streams > 0)
}

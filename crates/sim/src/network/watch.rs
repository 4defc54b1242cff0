//! The checkers: what a node says must follow from what has happened, in order and in time.

use core::{hash::Hash, time::Duration};

use sanswarm::{
    ConnId, Event, Instant, Muxer, OpenId, OpenStreamError, PeerId, PingError, Refusal, RefusalCause, StreamId,
};

use super::{Due, Network};
use crate::{
    App, Rule,
    book::{AGREEMENT, State},
    desk::{Kind, PipeKey, Power},
    pipe::{Pipe, Side},
};

/// From the shutdown of a socket to its close: the close timeout of a node is 1 s.
pub(super) const SHUT_WITHIN: Duration = Duration::from_secs(3);

/// The least window of a stream of yamux.
const YAMUX_WINDOW: u32 = 256 * 1024;

/// What mplex lets be unread of a connection before it stops, and a message.
const MPLEX_SESSION: usize = 8 * 1024 * 1024 + 64 * 1024;

/// How long a cause explains what an upgrade or a negotiation comes to: the longest of them, and the ways.
const EXPLAINS: Duration = Duration::from_secs(25);

impl<A: App> Network<A> {
    /// Looks at an event of a node before its application does.
    pub(super) fn note(&mut self, index: usize, event: &Event) {
        self.core.trace(index, || format!("{event:?}"));
        match event {
            Event::Connected { peer, conn, muxer, .. } => {
                if let Some(tie) = self.machines[index].desk.conns.get_mut(conn) {
                    tie.is_mplex = *muxer == Muxer::Mplex;
                }
                self.note_connected(index, *conn, *peer);
            }
            Event::Disconnected { peer, conn, reason, rule } => {
                if let Some(rule) = rule {
                    self.note_rule(index, *conn, *peer, *rule);
                }
                let text = format!("connection {conn} to host {} has ended ({reason:?})", self.other(index, *conn));
                self.note_disconnected(index, *conn, &text);
            }
            Event::PeerReady { conn, identify, .. } => {
                self.fold(index, 3, conn);
                if let Err(error) = identify {
                    self.need_cause(index, *conn, || format!("no identify: {error}"));
                }
            }
            Event::AcceptFailed { address, error } => {
                self.fold(index, 4, error.code());
                let target = self.core.places.get(address).copied();
                if !self.is_explained(index, target, self.lately()) {
                    let text = format!("an accepted connection failed without a cause: {error}");
                    self.violate(index, Rule::Cause, text);
                }
            }
            Event::Dialed { request, conn, .. } => {
                self.fold(index, 5, (request, conn));
                self.answered(index, *request);
            }
            Event::OpenFailed { request, error } => self.note_open_failed(index, *request, error),
            Event::Opened { request, stream, .. } => self.note_opened(index, *request, *stream),
            Event::Readable { stream } => {
                self.fold(index, 8, stream);
                self.check_unread(index, stream.conn);
            }
            Event::Writable { stream } => self.fold(index, 9, stream),
            Event::Finished { stream } => self.note_finished(index, *stream),
            Event::Reset { stream } => self.note_reset(index, *stream, false),
            Event::Refused { stream, refusal } => {
                let is_right = self.is_right_to_refuse(Some(self.other(index, stream.conn)), refusal);
                self.note_reset(index, *stream, is_right);
            }
            Event::Ping { conn, result, .. } => self.note_ping(index, *conn, result),
            _ => self.fold(index, 0, ()),
        }
    }

    fn fold(&mut self, index: usize, kind: u64, what: impl Hash) {
        self.core.digest.add((index as u64, kind, what));
    }

    fn other(&self, index: usize, conn: ConnId) -> usize {
        self.machines[index].desk.conns.get(&conn).map_or(usize::MAX, |tie| tie.other)
    }

    // ---- connections

    fn note_connected(&mut self, index: usize, conn: ConnId, peer: PeerId) {
        self.fold(index, 1, (conn, peer));
        let now = self.core.now;
        let desk = &mut self.machines[index].desk;
        let is_new = desk.connected.insert(conn, peer).is_none();
        let Some((key, side)) = desk.conns.get(&conn).and_then(|tie| tie.pipe) else {
            return self.violate(index, Rule::Order, format!("connection {conn} is connected and has no socket"));
        };
        let Some(pipe) = self.pipes.get_mut(key) else { return };
        let other = pipe.ends[1 - side].host;
        if pipe.account.states[1 - side] == State::Pending {
            self.core.counts.connections += 1;
        }
        pipe.account.set(now, side, State::Connected);
        if side == 1 {
            self.machines[index].desk.met.insert(other, now);
        }
        if !is_new {
            self.violate(index, Rule::Order, format!("connection {conn} is connected twice"));
        } else if self.core.directory[other].id != peer {
            self.violate(
                index,
                Rule::Order,
                format!("connection {conn} goes to host {other} and is told to go to {peer}"),
            );
        }
        self.check_admitted(index, key, side, peer);
        self.check_later(key);
    }

    fn note_disconnected(&mut self, index: usize, conn: ConnId, text: &str) {
        self.fold(index, 2, conn);
        let now = self.core.now;
        let desk = &mut self.machines[index].desk;
        if desk.connected.remove(&conn).is_none() {
            return self.violate(index, Rule::Order, format!("{text} and was not connected"));
        }
        let streams = desk.streams.remove(&conn).unwrap_or_default();
        let Some((key, side)) = desk.conns.get(&conn).and_then(|tie| tie.pipe) else { return };
        let Some(pipe) = self.pipes.get_mut(key) else { return };
        pipe.account.set(now, side, State::Over);
        for (_, name) in streams.values() {
            let Some(pair) = pipe.account.streams.get_mut(name) else { continue };
            pair.left[side] = true;
            if pair.left == [true; 2] {
                let bytes = pair.ways.iter().map(|way| way.read).sum();
                self.core.record.stream_ended(now, pipe.serial, *name, bytes);
                pipe.account.streams.remove(name);
            }
        }
        if pipe.account.cause.is_none() {
            self.violate(index, Rule::Cause, format!("{text} without a cause"));
        }
        self.check_later(key);
    }

    fn note_ping(&mut self, index: usize, conn: ConnId, result: &Result<Duration, PingError>) {
        self.fold(index, 12, (conn, result.as_ref().ok()));
        let now = self.core.now;
        if let Some(tie) = self.machines[index].desk.conns.get_mut(&conn) {
            tie.last_ping = Some(now);
        }
        match result {
            Ok(_) => self.core.counts.pings += 1,
            Err(PingError::Busy) => {}
            Err(error) => self.need_cause(index, conn, || format!("no ping: {error}")),
        }
    }

    fn need_cause(&mut self, index: usize, conn: ConnId, text: impl FnOnce() -> String) {
        let Some(tie) = self.machines[index].desk.conns.get(&conn) else { return };
        let other = tie.other;
        let has_cause = tie.pipe.and_then(|(key, _)| self.pipes.get(key)).is_some_and(|p| p.account.cause.is_some());
        // A node that closes it itself says why when it has closed.
        let is_closing = !self.lists(index, conn);
        if !has_cause && !is_closing && !self.is_explained(index, Some(other), self.lately()) {
            self.violate(index, Rule::Cause, format!("connection {conn} to host {other}: {} without a cause", text()));
        }
    }

    // ---- requests

    fn answered(&mut self, index: usize, request: OpenId) {
        if self.machines[index].desk.requests.remove(&request).is_none() {
            self.violate(index, Rule::Order, format!("{request:?} has a second answer, or was never made"));
        }
    }

    fn note_open_failed(&mut self, index: usize, request: OpenId, error: &OpenStreamError) {
        self.fold(index, 6, (request, error.code()));
        self.core.counts.failed += 1;
        let Some(open) = self.machines[index].desk.requests.get(&request).copied() else {
            return self.violate(index, Rule::Order, format!("{request:?} has a second answer, or was never made"));
        };
        self.answered(index, request);
        let is_right = match error {
            OpenStreamError::Refused(refusal) => self.is_right_to_refuse(open.target, refusal),
            // What this end itself has found wrong.
            error => matches!(
                error.code(),
                "no-addresses" | "ourselves" | "limit" | "cancelled" | "open" | "back-off" | "black-hole"
            ),
        };
        if !is_right && !self.is_explained(index, open.target, open.since) {
            let waited = self.core.now.since(open.since);
            let target = open.target.map_or_else(|| "a stranger".to_owned(), |target| format!("host {target}"));
            let text = format!("a request to {target} failed after {waited:?} without a cause: {error}");
            self.violate(index, Rule::Cause, text);
        }
    }

    /// Whether a host does not speak what it has refused.
    fn is_right_to_refuse(&self, target: Option<usize>, refusal: &Refusal) -> bool {
        let Some(speaks) = target.and_then(|target| self.core.speaks.get(target)) else { return true };
        refusal.cause == RefusalCause::NotSupported && refusal.offered.iter().all(|name| !speaks.contains(name))
    }

    fn lately(&self) -> Instant {
        Instant::from_micros(self.core.now.as_micros().saturating_sub(EXPLAINS.as_micros() as u64))
    }

    /// Whether a fault, a limit or an application explains that something fails between two hosts which began at `since`.
    fn is_explained(&self, index: usize, target: Option<usize>, since: Instant) -> bool {
        let desk = &self.machines[index].desk;
        let Some(target) = target.filter(|target| *target < self.machines.len()) else { return true };
        let other = &self.machines[target];
        let after = |at: Instant| at > Instant::ZERO && at >= since;
        let has_cause = |pipe: &Pipe| pipe.account.cause.is_some() && pipe.ends.iter().any(|end| end.host == target);
        self.core.is_bad(index, target)
            || after(desk.quiet_from)
            || after(other.desk.quiet_from)
            || other.is_hostile()
            || desk.troubled.get(&target).is_some_and(|at| after(*at))
            || self.machines[index].pipes.iter().filter_map(|key| self.pipes.get(*key)).any(has_cause)
    }

    // ---- streams

    fn note_opened(&mut self, index: usize, request: Option<OpenId>, stream: StreamId) {
        self.fold(index, 7, (request, stream));
        if let Some(request) = request {
            self.answered(index, request);
            self.core.counts.streams += 1;
        }
        let machine = &mut self.machines[index];
        if !machine.desk.connected.contains_key(&stream.conn) {
            return self.violate(index, Rule::Order, format!("{stream:?} is open and its connection is not"));
        }
        let wire = machine.node().and_then(|node| node.wire_id(stream));
        let Some((key, side)) = machine.desk.conns.get(&stream.conn).and_then(|tie| tie.pipe) else { return };
        let Some(wire) = wire else { return };
        let name = (if request.is_some() { side } else { 1 - side }, wire);
        let most = machine.desk.streams_max;
        let streams = machine.desk.streams.entry(stream.conn).or_default();
        streams.insert(stream, (side, name));
        let held = streams.len();
        let now = self.core.now;
        let Some(pipe) = self.pipes.get_mut(key) else { return };
        let pair = pipe.account.streams.entry(name).or_default();
        pair.opened[side] = true;
        if pair.opened != [true; 2] {
            self.core.record.stream_opened(now, pipe.serial, name);
        }
        let is_new = pipe.account.is_first(side, name);
        if !is_new {
            self.violate(index, Rule::Order, format!("the id {wire} on the wire names a second stream"));
        } else if held > most {
            self.violate(index, Rule::Limit, format!("{held} streams of at most {most} on {}", stream.conn));
        }
    }

    /// Whether a node holds no more payload of a connection than the windows that it has given, or mplex's bounds.
    fn check_unread(&mut self, index: usize, conn: ConnId) {
        let machine = &mut self.machines[index];
        let Kind::Node(config, Some(node)) = &machine.kind else { return };
        let Some(stats) = node.stats(conn) else { return };
        let limits = &config.connection;
        let most = if machine.desk.conns.get(&conn).is_some_and(|tie| tie.is_mplex) {
            MPLEX_SESSION
        } else {
            stats.streams * limits.window_bytes.max(YAMUX_WINDOW) as usize + limits.session_window_bytes
        };
        if stats.unread > most {
            let text =
                format!("{} bytes of {} streams are unread on {conn}, at most {most}", stats.unread, stats.streams);
            self.violate(index, Rule::Limit, text);
        }
    }

    fn note_finished(&mut self, index: usize, stream: StreamId) {
        self.fold(index, 10, stream);
        let finished = self.with_app(index, |_, host| {
            host.pair(stream).map(|(side, pair)| pair.opened[1 - side] && !pair.ways[1 - side].finished)
        });
        if finished.flatten() == Some(true) && !self.is_pipe_of_stranger(index, stream.conn) {
            self.violate(index, Rule::StreamEnd, format!("{stream:?} is finished by nobody"));
        }
    }

    fn note_reset(&mut self, index: usize, stream: StreamId, is_right: bool) {
        self.fold(index, 11, stream);
        let by_peer = self
            .with_app(index, |_, host| {
                let by_peer = host.pair(stream).map(|(side, pair)| {
                    let by_peer = pair.reset[1 - side];
                    pair.reset[side] = true;
                    by_peer
                });
                host.leave(stream);
                by_peer
            })
            .flatten();
        let other = self.other(index, stream.conn);
        if by_peer == Some(false) && !is_right && !self.is_explained(index, Some(other), self.lately()) {
            self.violate(index, Rule::StreamEnd, format!("{stream:?} to host {other} is reset by nobody"));
        }
    }

    fn is_pipe_of_stranger(&self, index: usize, conn: ConnId) -> bool {
        self.machines.get(self.other(index, conn)).is_none_or(crate::desk::Machine::is_hostile)
    }

    // ---- time

    /// How long a host may take until an upgrade has ended one way or the other.
    pub(super) fn upgrade_within(&self, index: usize) -> Duration {
        // 20 s are the limits of a node; the rest are the ways and the goodbye.
        if self.machines[index].is_hostile() { Duration::ZERO } else { Duration::from_secs(25) }
    }

    pub(super) fn check_later(&mut self, key: PipeKey) {
        self.core.agenda.put(self.core.now + AGREEMENT, Due::Check(key));
    }

    /// Whether both ends of a pipe agree, and neither is late.
    pub(super) fn check(&mut self, key: PipeKey) {
        let now = self.core.now;
        let Some(pipe) = self.pipes.get(key) else { return };
        let hosts = [pipe.ends[0].host, pipe.ends[1].host];
        let quiet =
            hosts.iter().map(|host| self.machines[*host].desk.quiet_from).fold(pipe.account.quiet_from, Ord::max);
        let within = self.upgrade_within(hosts[0]).max(self.upgrade_within(hosts[1]));
        let since = pipe.account.since[0].max(pipe.account.since[1]).max(quiet);
        let states = pipe.account.states;
        let is_late = |side: Side| {
            let is_node = pipe.ends[side].tip.conn().is_some();
            is_node && states[side] == State::Pending && pipe.account.opened_at.max(quiet) + within <= now
        };
        if let Some(side) = (0..2).find(|side| is_late(*side)) {
            let text = format!("an upgrade to host {} is not over after {within:?}", hosts[1 - side]);
            return self.violate(hosts[side], Rule::Late, text);
        }
        if hosts.iter().any(|host| self.machines[*host].is_hostile()) || self.core.is_bad(hosts[0], hosts[1]) {
            return;
        }
        let longest = |pings: Option<Duration>| pings.map(|interval| AGREEMENT + interval);
        // The end that still believes finds out when it pings.
        let bound = match states {
            [State::Connected, State::Over] => longest(self.machines[hosts[0]].desk.ping_interval),
            [State::Over, State::Connected] => longest(self.machines[hosts[1]].desk.ping_interval),
            [State::Connected, State::Connected] => return self.check_pings(key, since),
            [State::Pending, State::Pending] | [State::Over, State::Over] => return,
            _ => Some(within),
        };
        let Some(bound) = bound else { return };
        if since + bound > now {
            return self.core.agenda.put(since + bound, Due::Check(key));
        }
        let text = format!("the ends of a connection between hosts {hosts:?} do not agree: {states:?}");
        self.violate(hosts[0], Rule::Agreement, text);
    }

    /// Whether both ends of a connection have pinged as often as they should.
    fn check_pings(&mut self, key: PipeKey, since: Instant) {
        let now = self.core.now;
        let Some(pipe) = self.pipes.get(key) else { return };
        let mut next = None;
        for end in &pipe.ends {
            let machine = &self.machines[end.host];
            let Some(interval) = machine.desk.ping_interval.filter(|_| machine.power == Power::On) else { continue };
            let Some(tie) = end.tip.conn().and_then(|conn| machine.desk.conns.get(&conn)) else { continue };
            // The interval, the timeout of a ping, and what a drifting clock and a slow link add.
            let bound = interval + interval / 2 + Duration::from_secs(15);
            let at = tie.last_ping.map_or(since, |at| at.max(since)) + bound;
            if at <= now {
                let host = end.host;
                return self.violate(host, Rule::Late, format!("no ping for {bound:?}"));
            }
            next = next.max(Some(at));
        }
        if let Some(at) = next {
            self.core.agenda.put(at, Due::Check(key));
        }
    }

    pub(super) fn check_request(&mut self, index: usize, epoch: u32, request: OpenId) {
        let now = self.core.now;
        let machine = &self.machines[index];
        let Some(open) = machine.desk.requests.get(&request).filter(|_| machine.desk.epoch == epoch) else { return };
        let within = machine.desk.answer_within;
        let at = open.since.max(machine.desk.quiet_from).max(machine.frozen_until) + within;
        if at > now {
            return self.core.agenda.put(at, Due::Request { host: index, epoch, request });
        }
        self.violate(index, Rule::Late, format!("a request has no answer after {within:?}"));
    }

    pub(super) fn check_shut(&mut self, index: usize, epoch: u32, conn: ConnId) {
        let now = self.core.now;
        let machine = &self.machines[index];
        if machine.desk.epoch != epoch || !machine.desk.conns.get(&conn).is_some_and(|tie| tie.is_shut) {
            return;
        }
        let at = machine.frozen_until + SHUT_WITHIN;
        if at > now && machine.frozen_until > Instant::ZERO {
            return self.core.agenda.put(at, Due::Shut { host: index, epoch, conn });
        }
        self.violate(
            index,
            Rule::Late,
            format!("connection {conn} is not closed {SHUT_WITHIN:?} after it was shut down"),
        );
    }

    /// What keeps the network from being settled, if something does.
    pub(super) fn unsettled(&mut self) -> Option<String> {
        for index in 0..self.machines.len() {
            let machine = &self.machines[index];
            if machine.power != Power::On {
                return Some(format!("host {index} is down"));
            }
            if let Some(request) = machine.desk.requests.values().next() {
                return Some(format!("a request of host {index} to host {:?} has no answer", request.target));
            }
            if self.with_app(index, |app, host| app.is_settled(host)) == Some(false) {
                return Some(format!("the application of host {index} waits"));
            }
            if let Some(other) = self.kept_without_use(index) {
                return Some(format!("host {index} stays connected to host {other} though nobody uses it"));
            }
        }
        let pipes = self.machines.iter().flat_map(|machine| &machine.pipes).filter_map(|key| self.pipes.get(*key));
        for pipe in pipes {
            let hosts = [pipe.ends[0].host, pipe.ends[1].host];
            if hosts.iter().any(|host| self.machines[*host].is_hostile()) {
                continue;
            }
            let pending = pipe.account.streams.iter().find(|(_, pair)| pair.is_pending());
            if let Some((name, pair)) = pending.filter(|_| pipe.account.states == [State::Connected; 2]) {
                let (written, read) =
                    (pair.ways.each_ref().map(|way| way.written), pair.ways.each_ref().map(|way| way.read));
                let text = format!(
                    "stream {} between hosts {hosts:?} has not ended: {read:?} bytes read of {written:?}",
                    name.1
                );
                return Some(text);
            }
            let half =
                [[State::Connected, State::Over], [State::Over, State::Connected]].contains(&pipe.account.states);
            if half && pipe.ends.iter().any(|end| !end.tip.is_gone()) {
                return Some(format!("the ends of a connection between hosts {hosts:?} do not agree"));
            }
        }
        None
    }
}

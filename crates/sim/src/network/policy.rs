//! The checkers of what a swarm promises: whom it dials and when, which connections it lets in, and which it closes.

use core::time::Duration;

use sanswarm::{CloseRule, ConnId, Instant, PeerId};

use super::Network;
use crate::{
    App, Rule,
    book::{Cause, State},
    desk::{Desk, Kind, PipeKey},
    pipe::Side,
};

/// Longer idle times are not waited for.
const IDLE_MAX: Duration = Duration::from_secs(60);

impl Desk {
    /// A host could not be reached.
    pub(super) fn note_failed(&mut self, local: Instant, other: usize) {
        // Perhaps it was another peer that was looked for there, and then this one need not rest.
        if self.requests.values().any(|request| request.target.is_none()) {
            return;
        }
        let (times, at) = self.failed.get(&other).copied().unwrap_or((0, local));
        let is_forgotten = local.since(at) > self.limits.backoff_max;
        self.failed.insert(other, (if is_forgotten { 1 } else { times + 1 }, local));
    }

    /// How long a host must rest yet that could not be reached.
    fn rest_of(&self, local: Instant, other: usize) -> Option<Duration> {
        let (times, at) = self.failed.get(&other)?;
        let doubled = self.limits.backoff.saturating_mul(1 << (times - 1).min(20));
        // A quarter less at most.
        let rest = doubled.min(self.limits.backoff_max) / 4 * 3;
        rest.checked_sub(local.since(*at)).filter(|left| !left.is_zero())
    }
}

impl<A: App> Network<A> {
    /// A node dials: not too many at once, and nobody who could not be reached just before.
    pub(super) fn check_dial(&mut self, index: usize, target: Option<usize>) {
        let desk = &self.machines[index].desk;
        let connecting = 1 + desk.conns.values().filter(|tie| tie.pipe.is_none()).count();
        let most = desk.limits.pending_outbound;
        let local = desk.clock.local(self.core.now);
        let rest = target.and_then(|other| Some((other, desk.rest_of(local, other)?)));
        let may_be_another = desk.requests.values().any(|request| request.target.is_none());
        if connecting > most {
            self.violate(index, Rule::Limit, format!("{connecting} sockets connect, of at most {most}"));
        } else if let Some((other, left)) = rest.filter(|_| !may_be_another) {
            let text = format!("host {other} is dialled again, and its rest lasts for {left:?}");
            self.violate(index, Rule::Limit, text);
        }
    }

    /// A connection was let in: within the limits, and because somebody asked for it.
    pub(super) fn check_admitted(&mut self, index: usize, key: PipeKey, side: Side, peer: PeerId) {
        let Some(pipe) = self.pipes.get(key) else { return };
        let (other, opened_at) = (pipe.ends[1 - side].host, pipe.account.opened_at);
        let desk = &mut self.machines[index].desk;
        if side == 0 {
            desk.failed.remove(&other);
        }
        let ours = |(conn, _): &(&ConnId, &PeerId)| {
            desk.conns.get(conn).and_then(|tie| tie.pipe).is_some_and(|(_, side)| side == 0)
        };
        let held = desk.connected.len();
        let outbound = desk.connected.iter().filter(ours).count();
        let of_peer = desk.connected.values().filter(|whose| **whose == peer).count();
        let limits = &desk.limits;
        let counts = [
            ("connections", held, limits.established),
            ("connections dialled", outbound, limits.established_outbound),
            ("connections accepted", held - outbound, limits.established_inbound),
            ("connections of one peer", of_peer, limits.established_per_peer),
        ];
        let is_wanted = desk.requests.values().any(|request| request.target.is_none_or(|target| target == other));
        // While an upgrade went on the peer's own dial was done first, and it may have chosen this one.
        let is_spared = desk.met.get(&other).is_some_and(|at| *at >= opened_at);
        if let Some((what, count, most)) = counts.into_iter().find(|(_, count, most)| count > most) {
            self.violate(index, Rule::Limit, format!("{count} {what} of at most {most}"));
        } else if side == 0 && !is_wanted && !is_spared {
            self.violate(index, Rule::Cause, format!("host {other} is connected, and nobody asked for it any more"));
        }
        self.check_best(index, other);
    }

    /// Both hosts prefer a connection that the same one of them has dialled.
    fn check_best(&mut self, one: usize, other: usize) {
        let hosts = [one, other];
        if hosts.iter().any(|host| self.machines[*host].is_hostile()) {
            return;
        }
        let between = self.machines[one].pipes.iter().filter_map(|key| self.pipes.get(*key)).filter(|pipe| {
            let ends = [pipe.ends[0].host, pipe.ends[1].host];
            (ends == hosts || ends == [other, one]) && pipe.account.states.contains(&State::Connected)
        });
        let (mut count, mut are_settled) = (0, true);
        for pipe in between {
            count += 1;
            are_settled &= pipe.account.states == [State::Connected; 2] && pipe.account.cause.is_none();
        }
        if count < 2 || !are_settled {
            return;
        }
        let best = [self.best(one, other), self.best(other, one)];
        let [Some((listed, by)), Some((listed_there, by_there))] = best else { return };
        if [listed, listed_there] == [count; 2] && by != by_there {
            let text = format!("hosts {hosts:?} prefer connections that other ends have dialled: {by} and {by_there}");
            self.violate(one, Rule::Agreement, text);
        }
    }

    /// How many connections a node lists to another host, and who has dialled the best.
    fn best(&self, index: usize, other: usize) -> Option<(usize, usize)> {
        let machine = &self.machines[index];
        let Kind::Node(_, Some(node)) = &machine.kind else { return None };
        let peer = &self.core.directory.get(other)?.id;
        let conn = node.connections(peer).next()?;
        let (key, _) = machine.desk.conns.get(&conn)?.pipe?;
        Some((node.connections(peer).count(), self.pipes.get(key)?.ends[0].host))
    }

    /// Whether a connection is among those that its node would use.
    pub(super) fn lists(&self, index: usize, conn: ConnId) -> bool {
        let machine = &self.machines[index];
        let Kind::Node(_, Some(node)) = &machine.kind else { return false };
        machine.desk.connected.get(&conn).is_some_and(|peer| node.connections(peer).any(|listed| listed == conn))
    }

    /// A node says by which of its rules it has closed a connection. No rule closes one that is in use, and of two to the
    /// same peer one is left.
    pub(super) fn note_rule(&mut self, index: usize, conn: ConnId, peer: PeerId, rule: CloseRule) {
        let cause = match rule {
            CloseRule::Surplus => Cause::Surplus,
            CloseRule::Idle { .. } | CloseRule::Trimmed { .. } => Cause::Unused,
            _ => return,
        };
        let desk = &self.machines[index].desk;
        let has_other = desk.connected.iter().any(|(other, whose)| *other != conn && *whose == peer);
        let Some((key, _)) = desk.conns.get(&conn).and_then(|tie| tie.pipe) else { return };
        let Some(pipe) = self.pipes.get_mut(key) else { return };
        pipe.account.blame(cause);
        let names = desk.streams.get(&conn).into_iter().flat_map(|streams| streams.values());
        let pairs = names.filter_map(|(side, name)| Some((*side, pipe.account.streams.get(name)?)));
        let streams = pairs.filter(|(side, pair)| pair.is_in_use(*side)).count();
        if streams > 0 {
            let text = format!("connection {conn} was closed ({rule}) with {streams} streams in use");
            self.violate(index, Rule::Cause, text);
        } else if cause == Cause::Surplus && !has_other {
            self.violate(index, Rule::Cause, format!("connection {conn} was surplus, and it was the only one"));
        }
    }

    /// A host that a node stays connected to although it is to close what is idle, and nobody has a stream there.
    pub(super) fn kept_without_use(&self, index: usize) -> Option<usize> {
        let desk = &self.machines[index].desk;
        desk.limits.idle.filter(|idle| *idle <= IDLE_MAX)?;
        let ties = desk.connected.keys().filter_map(|conn| desk.conns.get(conn));
        ties.map(|tie| tie.other).find(|other| self.machines.get(*other).is_some_and(|machine| !machine.is_hostile()))
    }
}

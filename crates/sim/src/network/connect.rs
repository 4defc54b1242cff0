//! How connections come about: connect, refuse, time out, accept.

use core::time::Duration;

use sanswarm::{ConnId, Instant, Multiaddr, Role, TransportError};

use super::{Due, Network};
use crate::{
    App,
    book::{Account, Cause, State},
    desk::{Kind, PipeKey, Power, Tie},
    pipe::{Item, Pipe, Tip},
    script::Script,
};

/// A system's try to connect.
#[derive(Debug)]
pub(crate) struct Syn {
    host: usize,
    epoch: u32,
    conn: ConnId,
    to: Multiaddr,
    tries: u32,
    since: Instant,
}

impl<A: App> Network<A> {
    /// A node asks for a socket.
    pub(super) fn dial(&mut self, index: usize, conn: ConnId, to: Multiaddr) {
        let target = self.core.places.get(&to).copied();
        self.check_dial(index, target);
        let desk = &mut self.machines[index].desk;
        desk.conns.insert(conn, Tie { other: target.unwrap_or(usize::MAX), ..Tie::default() });
        let (epoch, since) = (desk.epoch, self.core.now);
        let at = since + self.core.way(index, target.unwrap_or(index));
        self.core.agenda.put(at, Due::Syn(Box::new(Syn { host: index, epoch, conn, to, tries: 0, since })));
    }

    /// The first packet of a try arrives, or does not.
    pub(super) fn syn(&mut self, mut syn: Syn) {
        let (from, epoch, conn) = (syn.host, syn.epoch, syn.conn);
        if self.machines[from].desk.epoch != epoch || !self.machines[from].desk.conns.contains_key(&conn) {
            return;
        }
        let Some(to) = self.core.places.get(&syn.to).copied() else {
            return self.dial_failed(from, epoch, conn, TransportError::Unreachable);
        };
        if self.is_cut(from, to) || self.is_cut(to, from) {
            let wait = Duration::from_secs(1 << syn.tries.min(20));
            syn.tries += 1;
            let (at, end) = (self.core.now + wait, syn.since + self.core.sockets.connect);
            if at <= end {
                return self.core.agenda.put(at, Due::Syn(Box::new(syn)));
            }
            let due = Due::DialFailed { host: from, epoch, conn, cause: TransportError::TimedOut };
            return self.core.agenda.put(end.max(self.core.now), due);
        }
        let back = self.core.now + self.core.way(to, from);
        if self.machines[to].power != Power::On {
            let due = Due::DialFailed { host: from, epoch, conn, cause: TransportError::Refused };
            return self.core.agenda.put(back, due);
        }
        let forth = self.core.way(from, to);
        let key = self.add_pipe(from, to);
        self.core.agenda.put(back, Due::Established(key, epoch, conn));
        self.core.agenda.put(back + forth, Due::Accept(key));
    }

    fn add_pipe(&mut self, from: usize, to: usize) -> PipeKey {
        self.core.serial += 1;
        let now = self.core.now;
        let hosts = [from, to].map(|host| &self.machines[host]);
        let cause = if hosts.iter().any(|machine| machine.is_hostile()) {
            Some(Cause::Hostile)
        } else {
            let is_bad = hosts.iter().any(|machine| machine.desk.quiet_from > now) || self.core.is_bad(from, to);
            is_bad.then_some(Cause::Fault)
        };
        let account = Account::new(now, cause);
        let key = self.pipes.insert(Pipe::new(self.core.serial, from, to, account));
        for host in [from, to] {
            self.machines[host].pipes.insert(key);
        }
        self.core.record.pipe_opened(now, self.core.serial, from, to);
        let within = self.upgrade_within(from).max(self.upgrade_within(to));
        self.core.agenda.put(now + within, Due::Check(key));
        key
    }

    pub(super) fn dial_failed(&mut self, index: usize, epoch: u32, conn: ConnId, cause: TransportError) {
        let now = self.core.now;
        let machine = &mut self.machines[index];
        let Some(tie) = machine.desk.conns.remove(&conn).filter(|_| machine.desk.epoch == epoch) else { return };
        let local = machine.desk.clock.local(now);
        machine.desk.note_failed(local, tie.other);
        if let Some(node) = machine.node() {
            node.handle_dial_failed(local, conn, cause);
        }
        self.pump(index);
    }

    /// The dialer's system has a socket.
    pub(super) fn established(&mut self, key: PipeKey, epoch: u32, conn: ConnId) {
        let now = self.core.now;
        let Some(pipe) = self.pipes.get_mut(key) else { return };
        let (from, to) = (pipe.ends[0].host, pipe.ends[1].host);
        let machine = &mut self.machines[from];
        if machine.desk.epoch == epoch && machine.frozen_until > now {
            let at = machine.frozen_until;
            return self.core.agenda.put(at, Due::Established(key, epoch, conn));
        }
        let is_wanted = machine.desk.epoch == epoch && machine.desk.conns.contains_key(&conn);
        let local = machine.desk.clock.local(now);
        let secret = machine.desk.rng.bytes32();
        if is_wanted && machine.node().is_some_and(|node| node.handle_dialed(local, conn, secret)) {
            pipe.ends[0].tip = Tip::Node(conn);
            machine.desk.conns.insert(conn, Tie { pipe: Some((key, 0)), other: to, ..Tie::default() });
            self.mark_readable(key, 0);
            return self.pump(from);
        }
        if is_wanted {
            machine.desk.conns.remove(&conn);
        }
        pipe.ends[0].tip = Tip::Gone;
        pipe.account.blame(Cause::Denied);
        pipe.account.set(now, 0, State::Over);
        self.push_item(key, 0, Item::Rst);
    }

    /// The listener's system has a socket, and its process takes it if it can.
    pub(super) fn accept(&mut self, key: PipeKey) {
        let now = self.core.now;
        let Some(pipe) = self.pipes.get_mut(key) else { return };
        let (from, to) = (pipe.ends[0].host, pipe.ends[1].host);
        if !matches!(pipe.ends[1].tip, Tip::System) {
            return;
        }
        let machine = &mut self.machines[to];
        if machine.frozen_until > now {
            return machine.backlog.push(key);
        }
        let local = machine.desk.clock.local(now);
        let secret = machine.desk.rng.bytes32();
        let remote = self.core.directory[from].addrs[0].clone();
        let address = machine.address.clone();
        match &mut machine.kind {
            Kind::Hostile(kind, keypair) => {
                let rng = machine.desk.rng.fork(key.index() as u64);
                pipe.ends[1].tip = Tip::Script(Box::new(Script::new(*kind, Role::Listener, keypair, rng)));
            }
            Kind::Node(_, Some(node)) => match node.handle_accepted(local, address, remote, secret) {
                Ok(conn) => {
                    pipe.ends[1].tip = Tip::Node(conn);
                    machine.desk.conns.insert(conn, Tie { pipe: Some((key, 1)), other: from, ..Tie::default() });
                }
                Err(_) => {
                    pipe.account.blame(Cause::Denied);
                    return self.close_end(key, 1);
                }
            },
            Kind::Node(_, None) => return self.close_end(key, 1),
        }
        self.mark_readable(key, 1);
        self.pump(to);
    }

    /// A hostile host connects, now and every 20 to 40 s.
    pub(super) fn hostile_dial(&mut self, index: usize, target: usize) {
        let machine = &mut self.machines[index];
        let Kind::Hostile(kind, keypair) = &machine.kind else { return };
        let again = Duration::from_secs(20) + machine.desk.rng.time(Duration::from_secs(20));
        let rng = machine.desk.rng.fork(target as u64);
        let script = Script::new(*kind, Role::Dialer, keypair, rng);
        let now = self.core.now;
        self.core.agenda.put(now + again, Due::HostileDial { host: index, target });
        if self.is_cut(index, target) || self.machines[target].power != Power::On {
            return;
        }
        let key = self.add_pipe(index, target);
        if let Some(pipe) = self.pipes.get_mut(key) {
            pipe.ends[0].tip = Tip::Script(Box::new(script));
        }
        let at = now + self.core.way(index, target);
        self.core.agenda.put(at, Due::Accept(key));
        self.mark_readable(key, 0);
        self.pump(index);
    }
}

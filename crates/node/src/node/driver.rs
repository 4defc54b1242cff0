//! What the driver of a node calls: facts in, events, actions and bytes out.

use multiaddr::Multiaddr;
use sanswarm_swarm::{ConnId, Denied, TransportError};
use sanswarm_wire::{Deadline, Instant, RecvBuf, SendBuf};

use super::{Entry, Node};
use crate::{Action, Control, Event, Hangup, Link};

impl Node {
    // ---- the driver's calls: facts

    /// The socket of an [`Action::Dial`] is connected. `secret` is 32 random bytes that are used for nothing else.
    /// Returns whether somebody still waits for it; if not, drop the socket.
    pub fn handle_dialed(&mut self, now: Instant, conn: ConnId, secret: [u8; 32]) -> bool {
        let link = self.control.handle_dialed(now, conn, secret);
        link.map(|link| self.add_link(link)).is_some()
    }

    /// The socket of an [`Action::Dial`] could not be connected.
    pub fn handle_dial_failed(&mut self, now: Instant, conn: ConnId, cause: TransportError) {
        self.control.handle_dial_failed(now, conn, cause);
    }

    /// A listener has accepted a socket. `secret` as in [`handle_dialed`](Self::handle_dialed).
    ///
    /// # Errors
    /// [`Denied`]: it may not stay; drop the socket.
    pub fn handle_accepted(
        &mut self,
        now: Instant,
        local: Multiaddr,
        remote: Multiaddr,
        secret: [u8; 32],
    ) -> Result<ConnId, Denied> {
        let link = self.control.handle_accepted(now, local, remote, secret)?;
        Ok(self.add_link(link))
    }

    /// An address is bound.
    pub fn handle_listening(&mut self, address: Multiaddr) {
        self.control.handle_listening(address);
    }

    /// An address cannot be listened on, or not any more.
    pub fn handle_listen_failed(&mut self, address: Multiaddr, cause: TransportError) {
        self.control.handle_listen_failed(address, cause);
    }

    /// A listener has ended by command. `wanted` is the address by which it was asked for, `bound` what had been bound.
    pub fn handle_unlistened(&mut self, wanted: &Multiaddr, bound: &[Multiaddr]) {
        self.control.handle_unlistened(wanted, bound);
    }

    /// Takes bytes that have arrived, as many as there is room for, and returns how many. Offer the rest again after
    /// polling; until then do not read the socket.
    pub fn handle_input(&mut self, conn: ConnId, input: &[u8]) -> usize {
        let Some(entry) = self.links.get_mut(&conn) else { return input.len() };
        let n = if entry.recv.wants() { entry.recv.feed(input) } else { 0 };
        self.wake(conn);
        n
    }

    /// Lends the buffer for what arrives: a driver that reads into it saves a copy. Then say so with
    /// [`wake`](Self::wake).
    pub fn recv_buf(&mut self, conn: ConnId) -> Option<&mut RecvBuf> {
        Some(&mut self.links.get_mut(&conn)?.recv)
    }

    /// The next entry of a connection's transcript. Entries of one that has gone are gone too.
    pub fn poll_transcript(&mut self, conn: ConnId) -> Option<crate::transcript::Entry> {
        self.links.get_mut(&conn)?.link.poll_transcript()
    }

    /// Whether the driver should read from the socket of a connection.
    pub fn wants_input(&self, conn: ConnId) -> bool {
        self.links.get(&conn).is_some_and(|entry| entry.recv.wants())
    }

    /// The peer will send nothing more; or the socket broke, which is the same to us.
    pub fn handle_eof(&mut self, conn: ConnId) {
        if let Some(entry) = self.links.get_mut(&conn) {
            entry.recv.set_eof();
            self.wake(conn);
        }
    }

    /// The socket is broken in both directions: what was to be sent is lost, and what still comes of the connection
    /// goes nowhere. [`Action::Close`] follows without a goodbye.
    pub fn handle_broken(&mut self, conn: ConnId) {
        if let Some(entry) = self.links.get_mut(&conn) {
            entry.recv.set_eof();
            entry.is_broken = true;
            self.wake(conn);
        }
    }

    /// Makes the node look at a connection: its buffer was filled.
    pub fn wake(&mut self, conn: ConnId) {
        let Some(entry) = self.links.get_mut(&conn) else { return };
        if !core::mem::replace(&mut entry.is_active, true) {
            self.active.push_back(conn);
        }
    }

    // ---- the driver's calls: polling

    /// The next thing the user may want to know.
    pub fn poll_event(&mut self, now: Instant) -> Option<Event> {
        loop {
            while let Some((conn, message)) = self.control.poll_link() {
                match self.links.get_mut(&conn) {
                    Some(entry) => entry.link.handle_link(now, message),
                    None => self.control.handle_undelivered(message),
                }
                self.wake(conn);
            }
            if let Some(event) = self.control.poll_event().or_else(|| self.behind.take()) {
                return Some(event);
            }
            let conn = *self.active.front()?;
            if let Some(event) = self.run_link(now, conn) {
                return Some(event);
            }
        }
    }

    /// Lets the first of the active links go on. Without an event it is active no more.
    fn run_link(&mut self, now: Instant, conn: ConnId) -> Option<Event> {
        let Some(entry) = self.links.get_mut(&conn) else {
            self.active.pop_front();
            return None;
        };
        let event = entry.link.poll_event(now, &mut entry.recv);
        let told = pass_on(&mut self.control, now, &mut entry.link);
        let event = admitted(&self.control, conn, event);
        if told {
            // What the link has told came first: `Connected` is before any stream.
            self.behind = event;
            return None;
        }
        if event.is_some() {
            return event;
        }
        let sent = entry.link.poll_transmit(now, &mut entry.send);
        if entry.is_broken {
            entry.send.sent(usize::MAX);
        }
        if pass_on(&mut self.control, now, &mut entry.link) || sent > 0 {
            return None; // What went out may have changed the state: once more.
        }
        // Room that the socket has made is seen by `poll_transmit` and told only now: a stream may be writable.
        let late = entry.link.poll_event(now, &mut entry.recv);
        if pass_on(&mut self.control, now, &mut entry.link) || late.is_some() {
            self.behind = admitted(&self.control, conn, late);
            return None;
        }
        self.active.pop_front();
        entry.is_active = false;
        if !entry.send.ready().is_empty() && !core::mem::replace(&mut entry.is_ready, true) {
            self.ready.push_back(conn);
        }
        self.settle(conn);
        None
    }

    /// Brings timer and socket in line with a link that has come to rest.
    fn settle(&mut self, conn: ConnId) {
        let Some(entry) = self.links.get_mut(&conn) else { return };
        let timer = entry.link.poll_timeout().map(|deadline| deadline.at);
        if timer != entry.timer {
            if let Some(old) = entry.timer {
                self.timers.remove(&(old, conn));
            }
            self.timers.extend(timer.map(|at| (at, conn)));
            entry.timer = timer;
        }
        entry.recv.release();
        entry.send.release();
        let hangup = entry.link.hangup(&entry.send);
        if hangup > entry.hangup {
            entry.hangup = hangup;
            let both = hangup == Hangup::Both;
            self.actions.push_back(if both { Action::Close { conn } } else { Action::Shutdown { conn } });
            if both {
                if let Some(at) = entry.timer {
                    self.timers.remove(&(at, conn));
                }
                self.links.remove(&conn);
            }
        }
    }

    /// The next thing the driver must do. Ask after [`poll_event`](Self::poll_event) has nothing more.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.control.poll_action().or_else(|| self.actions.pop_front())
    }

    /// The next connection that has bytes to send, told once after they changed. Ask after
    /// [`poll_event`](Self::poll_event) has nothing more.
    pub fn poll_transmit(&mut self) -> Option<ConnId> {
        loop {
            let conn = self.ready.pop_front()?;
            if let Some(entry) = self.links.get_mut(&conn) {
                entry.is_ready = false;
                return Some(conn);
            }
        }
    }

    /// The bytes that a connection has to send.
    pub fn ready(&self, conn: ConnId) -> &[u8] {
        self.links.get(&conn).map_or(&[], |entry| entry.send.ready())
    }

    /// Says that the first `n` ready bytes have gone.
    pub fn sent(&mut self, conn: ConnId, n: usize) {
        if let Some(entry) = self.links.get_mut(&conn) {
            entry.send.sent(n);
            self.wake(conn);
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Deadline> {
        let links = self.timers.first().map(|(at, _)| Deadline { at: *at, why: "connection" });
        Deadline::sooner(links, self.control.poll_timeout())
    }

    /// Says that time has passed. An early call does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.control.handle_timeout(now);
        while let Some(&(at, conn)) = self.timers.first() {
            if at > now {
                break;
            }
            self.timers.pop_first();
            if let Some(entry) = self.links.get_mut(&conn) {
                entry.timer = None;
                entry.link.handle_timeout(now);
            }
            self.wake(conn);
        }
    }

    // ---- within

    pub(crate) fn control(&mut self) -> &mut Control {
        &mut self.control
    }

    pub(crate) fn add_link(&mut self, link: Link) -> ConnId {
        let conn = link.id();
        let entry = Entry {
            recv: link.recv_buf(),
            link,
            send: SendBuf::default(),
            is_active: false,
            is_ready: false,
            timer: None,
            hangup: Hangup::No,
            is_broken: false,
        };
        self.links.insert(conn, entry);
        self.wake(conn);
        conn
    }
}

/// Carries what a link has to say to the control. Returns whether there was something.
fn pass_on(control: &mut Control, now: Instant, link: &mut Link) -> bool {
    let mut told = false;
    while let Some(message) = link.poll_control() {
        control.handle_control(now, link.id(), message);
        told = true;
    }
    told
}

/// A connection that the control did not let in has no streams for the user.
fn admitted(control: &Control, conn: ConnId, event: Option<Event>) -> Option<Event> {
    event.filter(|event| matches!(event, Event::OpenFailed { .. }) || control.is_admitted(conn))
}

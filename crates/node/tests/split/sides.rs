//! A node, and a control with its links, as one set of calls.

use std::collections::{BTreeMap, VecDeque};

use sanswarm::{
    Action, Bytes, ConnId, Control, Event, Hangup, Instant, Link, Node, Open, OpenId, PeerInfo, ProtocolName, RecvBuf,
    SendBuf, StreamId, ToControl, ToLink,
};

use crate::common::{address, config, peer};

/// The calls of a node, whatever it is made of.
pub(crate) trait Side {
    fn open(&mut self, now: Instant, name: ProtocolName, peer: PeerInfo) -> OpenId;
    fn handle(&mut self, name: ProtocolName);
    fn ping(&mut self);
    fn close(&mut self, now: Instant);
    fn read(&mut self, id: StreamId) -> Option<Bytes>;
    fn write(&mut self, now: Instant, id: StreamId, data: &[u8]);
    fn finish(&mut self, id: StreamId);
    fn reset(&mut self, id: StreamId);
    fn dialed(&mut self, now: Instant, id: ConnId, secret: [u8; 32]);
    fn accepted(&mut self, now: Instant, secret: [u8; 32]) -> ConnId;
    fn feed(&mut self, id: ConnId, bytes: &[u8]) -> usize;
    fn eof(&mut self, id: ConnId);
    fn take(&mut self, id: ConnId) -> Vec<u8>;
    fn event(&mut self, now: Instant) -> Option<Event>;
    fn action(&mut self) -> Option<Action>;
    fn timeout(&mut self, now: Instant);
}

impl Side for Node {
    fn open(&mut self, now: Instant, name: ProtocolName, peer: PeerInfo) -> OpenId {
        self.open_stream(now, name, peer)
    }
    fn handle(&mut self, name: ProtocolName) {
        self.set_stream_handler(name);
    }
    fn ping(&mut self) {
        let other = if self.id() == peer(1) { peer(2) } else { peer(1) };
        assert!(Self::ping(self, &other));
    }
    fn close(&mut self, now: Instant) {
        self.close_all(now);
    }
    fn read(&mut self, id: StreamId) -> Option<Bytes> {
        Self::read(self, id).ok().flatten()
    }
    fn write(&mut self, now: Instant, id: StreamId, data: &[u8]) {
        assert_eq!(Self::write(self, now, id, data), Ok(data.len()));
    }
    fn finish(&mut self, id: StreamId) {
        Self::finish(self, id).unwrap();
    }
    fn reset(&mut self, id: StreamId) {
        Self::reset(self, id).unwrap();
    }
    fn dialed(&mut self, now: Instant, id: ConnId, secret: [u8; 32]) {
        assert!(self.handle_dialed(now, id, secret));
    }
    fn accepted(&mut self, now: Instant, secret: [u8; 32]) -> ConnId {
        self.handle_accepted(now, address(1), address(0), secret).unwrap()
    }
    fn feed(&mut self, id: ConnId, bytes: &[u8]) -> usize {
        self.handle_input(id, bytes)
    }
    fn eof(&mut self, id: ConnId) {
        self.handle_eof(id);
    }
    fn take(&mut self, id: ConnId) -> Vec<u8> {
        let bytes = self.ready(id).to_vec();
        if !bytes.is_empty() {
            self.sent(id, bytes.len());
        }
        bytes
    }
    fn event(&mut self, now: Instant) -> Option<Event> {
        self.poll_event(now)
    }
    fn action(&mut self) -> Option<Action> {
        self.poll_action()
    }
    fn timeout(&mut self, now: Instant) {
        self.handle_timeout(now);
    }
}

/// When messages between control and links are carried.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Carry {
    /// As soon as they are there.
    Eager,
    /// One at a time, and only when nobody has anything else to do; to the links before to the control.
    Delayed,
}

pub(crate) struct Split {
    control: Control,
    links: BTreeMap<ConnId, (Link, RecvBuf, SendBuf, Hangup)>,
    to_links: VecDeque<(ConnId, ToLink)>,
    to_control: VecDeque<(ConnId, ToControl)>,
    actions: VecDeque<Action>,
    carry: Carry,
}

impl Split {
    pub(crate) fn new(seed: u8, carry: Carry) -> Self {
        let control = Control::new(config(seed)).unwrap();
        let (links, to_links, to_control, actions) = Default::default();
        Self { control, links, to_links, to_control, actions, carry }
    }

    fn add(&mut self, link: Link) -> ConnId {
        let id = link.id();
        self.links.insert(id, (link, RecvBuf::default(), SendBuf::default(), Hangup::No));
        id
    }

    fn deliver_one(&mut self, now: Instant) -> bool {
        if let Some((id, message)) = self.to_links.pop_front() {
            match self.links.get_mut(&id) {
                Some((link, ..)) => link.handle_link(now, message),
                None => self.control.handle_undelivered(message),
            }
            return true;
        }
        if let Some((id, message)) = self.to_control.pop_front() {
            self.control.handle_control(now, id, message);
            return true;
        }
        false
    }

    fn run_links(&mut self, now: Instant) -> Option<Event> {
        let mut closed = None;
        for (id, (link, recv, send, hangup)) in &mut self.links {
            let event = link.poll_event(now, recv);
            self.to_control.extend(core::iter::from_fn(|| link.poll_control()).map(|message| (*id, message)));
            if event.is_some() {
                return event;
            }
            while link.poll_transmit(now, send) > 0 {}
            let is = link.hangup(send);
            if is > *hangup && self.to_control.is_empty() {
                *hangup = is;
                let conn = *id;
                let both = is == Hangup::Both;
                self.actions.push_back(if both { Action::Close { conn } } else { Action::Shutdown { conn } });
                closed = closed.or(both.then_some(conn));
            }
        }
        if let Some(id) = closed {
            self.links.remove(&id);
        }
        None
    }
}

impl Side for Split {
    fn open(&mut self, now: Instant, name: ProtocolName, peer: PeerInfo) -> OpenId {
        self.control.open_stream(now, name, peer, Open::Wait)
    }
    fn handle(&mut self, name: ProtocolName) {
        self.control.set_stream_handler(name);
    }
    fn ping(&mut self) {
        let other = if self.control.id() == peer(1) { peer(2) } else { peer(1) };
        assert!(self.control.ping(&other));
    }
    fn close(&mut self, now: Instant) {
        self.control.close_all(now);
    }
    fn read(&mut self, id: StreamId) -> Option<Bytes> {
        self.links.get_mut(&id.conn)?.0.read(id).ok().flatten()
    }
    fn write(&mut self, now: Instant, id: StreamId, data: &[u8]) {
        let (link, _, send, _) = self.links.get_mut(&id.conn).unwrap();
        assert_eq!(link.write(now, id, data, send), Ok(data.len()));
    }
    fn finish(&mut self, id: StreamId) {
        self.links.get_mut(&id.conn).unwrap().0.finish(id).unwrap();
    }
    fn reset(&mut self, id: StreamId) {
        self.links.get_mut(&id.conn).unwrap().0.reset(id).unwrap();
    }
    fn dialed(&mut self, now: Instant, id: ConnId, secret: [u8; 32]) {
        let link = self.control.handle_dialed(now, id, secret).unwrap();
        self.add(link);
    }
    fn accepted(&mut self, now: Instant, secret: [u8; 32]) -> ConnId {
        let link = self.control.handle_accepted(now, address(1), address(0), secret).unwrap();
        self.add(link)
    }
    fn feed(&mut self, id: ConnId, bytes: &[u8]) -> usize {
        let Some((_, recv, ..)) = self.links.get_mut(&id) else { return bytes.len() };
        if recv.wants() { recv.feed(bytes) } else { 0 }
    }
    fn eof(&mut self, id: ConnId) {
        if let Some((_, recv, ..)) = self.links.get_mut(&id) {
            recv.set_eof();
        }
    }
    fn take(&mut self, id: ConnId) -> Vec<u8> {
        let Some((_, _, send, _)) = self.links.get_mut(&id) else { return Vec::new() };
        let bytes = send.ready().to_vec();
        send.sent(bytes.len());
        bytes
    }
    fn event(&mut self, now: Instant) -> Option<Event> {
        loop {
            self.to_links.extend(core::iter::from_fn(|| self.control.poll_link()));
            if let Carry::Eager = self.carry {
                while self.deliver_one(now) {
                    self.to_links.extend(core::iter::from_fn(|| self.control.poll_link()));
                }
            }
            if let Some(event) = self.control.poll_event() {
                return Some(event);
            }
            if let Some(event) = self.run_links(now) {
                return Some(event);
            }
            if self.to_control.is_empty() && self.to_links.is_empty() {
                return None;
            }
            self.deliver_one(now);
        }
    }
    fn action(&mut self) -> Option<Action> {
        self.control.poll_action().or_else(|| self.actions.pop_front())
    }
    fn timeout(&mut self, now: Instant) {
        self.control.handle_timeout(now);
        for (link, ..) in self.links.values_mut() {
            link.handle_timeout(now);
        }
    }
}

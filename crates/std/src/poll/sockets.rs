//! The sockets of a driver and what the poller is to say of them.

use core::task::{Context, Poll, Waker};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::TcpListener,
    sync::{Arc, Mutex},
    task::Wake,
};

use polling::{Event, PollMode, Poller};
use sanswarm::{ConnId, Multiaddr, Node};
use sanswarm_host::{MemoryListener, multiaddr_like};

use crate::{
    socket::{self, Kit, Socket},
    threads::lock,
};

/// Bytes that one connection may read or write in a turn, so that the others have theirs.
const TURN: usize = 256 * 1024;

/// Everything that the poller looks at, by its key.
#[derive(Debug)]
pub(crate) struct Sockets {
    poller: Arc<Poller>,
    kit: Kit,
    next_key: usize,
    listeners: BTreeMap<usize, Listener>,
    conns: BTreeMap<usize, Conn>,
    keys: BTreeMap<ConnId, usize>,
    /// Connections with input that the poller does not know of, and with room for it.
    stocked: BTreeSet<usize>,
    taps: Arc<Taps>,
    /// Connections whose interest may have changed.
    touched: BTreeSet<usize>,
}

#[derive(Debug)]
struct Listener {
    door: Door,
    /// The address of its command.
    wanted: Multiaddr,
    bound: Multiaddr,
}

#[derive(Debug)]
enum Door {
    Tcp(TcpListener),
    Memory(MemoryListener, Waker),
}

/// What pipes in memory and their listeners wake: the poller knows nothing of them.
#[derive(Debug)]
struct Taps {
    keys: Mutex<BTreeSet<usize>>,
    poller: Arc<Poller>,
}

struct Tap(usize, Arc<Taps>);

impl Wake for Tap {
    fn wake(self: Arc<Self>) {
        lock(&self.1.keys).insert(self.0);
        let _ = self.1.poller.notify();
    }
}

#[derive(Debug)]
struct Conn {
    id: ConnId,
    socket: Socket,
    /// What the poller was told last: to say when it can be read, when it can be written.
    interest: (bool, bool),
    /// The socket was full.
    full: bool,
}

impl Sockets {
    pub(crate) fn new(poller: Arc<Poller>, kit: Kit) -> Self {
        Self {
            taps: Arc::new(Taps { keys: Mutex::default(), poller: poller.clone() }),
            poller,
            kit,
            next_key: 0,
            listeners: BTreeMap::new(),
            conns: BTreeMap::new(),
            keys: BTreeMap::new(),
            stocked: BTreeSet::new(),
            touched: BTreeSet::new(),
        }
    }

    fn key(&mut self) -> usize {
        self.next_key += 1;
        self.next_key
    }

    pub(crate) fn add_listener(&mut self, socket: TcpListener, wanted: Multiaddr, bound: Multiaddr) -> io::Result<()> {
        let key = self.key();
        self.poller.add_with_mode(&socket, Event::readable(key), PollMode::Level)?;
        self.listeners.insert(key, Listener { door: Door::Tcp(socket), wanted, bound });
        Ok(())
    }

    pub(crate) fn add_memory_listener(&mut self, listener: MemoryListener, wanted: Multiaddr) {
        let key = self.key();
        let (bound, waker) = (listener.address(), self.tap(key));
        waker.wake_by_ref(); // It is looked at once, and then when it says so.
        self.listeners.insert(key, Listener { door: Door::Memory(listener, waker), wanted, bound });
    }

    fn tap(&self, key: usize) -> Waker {
        Arc::new(Tap(key, self.taps.clone())).into()
    }

    /// Closes a listener, by the address of its command or the one that was bound. Returns both.
    pub(crate) fn remove_listener(&mut self, address: &Multiaddr) -> Option<(Multiaddr, Multiaddr)> {
        let is_it = |listener: &Listener| listener.wanted == *address || listener.bound == *address;
        let key = *self.listeners.iter().find(|(_, listener)| is_it(listener))?.0;
        let Listener { door, wanted, bound } = self.listeners.remove(&key)?;
        if let Door::Tcp(socket) = door {
            let _ = self.poller.delete(&socket);
        }
        Some((wanted, bound))
    }

    pub(crate) fn is_listener(&self, key: usize) -> bool {
        self.listeners.contains_key(&key)
    }

    /// Accepts from a listener: a socket, our address, and the other one.
    pub(crate) fn accept(&self, key: usize) -> io::Result<(Socket, Multiaddr, Multiaddr)> {
        let none = || io::Error::from(io::ErrorKind::WouldBlock);
        let Listener { door, wanted, bound } = self.listeners.get(&key).ok_or_else(none)?;
        match door {
            Door::Tcp(listener) => {
                let (socket, remote) = listener.accept()?;
                let local = socket.local_addr().map_err(|_| io::ErrorKind::ConnectionAborted)?; // It has left again.
                let (local, remote) = (multiaddr_like(wanted, local), multiaddr_like(wanted, remote));
                let socket = socket::accepted(socket, wanted, &self.kit);
                Ok((socket.map_err(|_| io::ErrorKind::ConnectionAborted)?, local, remote))
            }
            Door::Memory(listener, waker) => match listener.poll_accept(&Context::from_waker(waker)) {
                Poll::Ready(Some((pipe, remote))) => Ok((pipe.into(), bound.clone(), remote)),
                _ => Err(none()),
            },
        }
    }

    /// Others may wait at a listener.
    pub(crate) fn look_again(&self, key: usize) {
        if let Some(Door::Memory(_, waker)) = self.listeners.get(&key).map(|listener| &listener.door) {
            waker.wake_by_ref(); // Of others the poller tells.
        }
    }

    /// What in memory has something to say.
    pub(crate) fn take_tapped(&self) -> BTreeSet<usize> {
        core::mem::take(&mut *lock(&self.taps.keys))
    }

    /// The addresses that are bound.
    pub(crate) fn bound(&self) -> impl Iterator<Item = &Multiaddr> {
        self.listeners.values().map(|listener| &listener.bound)
    }

    /// Lets all listeners accept, or rest.
    pub(crate) fn set_listening(&self, on: bool) {
        for (key, listener) in &self.listeners {
            let event = Event { key: *key, readable: on, writable: false };
            if let Door::Tcp(socket) = &listener.door {
                let _ = self.poller.modify_with_mode(socket, event, PollMode::Level);
            }
        }
    }

    /// Takes a connected socket in. On an error it is dropped, and the node is to be told.
    pub(crate) fn add(&mut self, id: ConnId, mut socket: Socket) -> io::Result<()> {
        let key = self.key();
        if let Some(tcp) = socket.tcp() {
            tcp.set_nonblocking(true)?;
            let _ = tcp.set_nodelay(true);
            self.poller.add_with_mode(tcp, Event::readable(key), PollMode::Level)?;
        } else if let Socket::Memory(memory) = &mut socket {
            memory.set_waker(&self.tap(key));
            self.touched.insert(key);
        }
        self.conns.insert(key, Conn { id, socket, interest: (true, false), full: false });
        self.keys.insert(id, key);
        Ok(())
    }

    pub(crate) fn remove(&mut self, id: ConnId) {
        let Some(key) = self.keys.remove(&id) else { return };
        self.touched.remove(&key);
        self.stocked.remove(&key);
        if let Some(conn) = self.conns.remove(&key) {
            if let Some(socket) = conn.socket.tcp() {
                let _ = self.poller.delete(socket);
            }
        }
    }

    pub(crate) fn shut_down(&mut self, id: ConnId) {
        let Some(key) = self.keys.get(&id) else { return };
        if let Some(conn) = self.conns.get_mut(key) {
            conn.socket.finish();
            conn.send_rest();
            self.touched.insert(*key);
        }
    }

    /// Does what the poller has said of a connection.
    pub(crate) fn handle(&mut self, event: &Event, node: &mut Node) {
        let Some(conn) = self.conns.get_mut(&event.key) else { return };
        self.touched.insert(event.key);
        if event.writable {
            conn.full = false;
            conn.flush(node);
        }
        if event.readable {
            conn.read(node);
        }
    }

    /// Whether something is to be done that the poller does not know of.
    pub(crate) fn has_news(&self) -> bool {
        !self.stocked.is_empty() || !lock(&self.taps.keys).is_empty()
    }

    /// Reads it.
    pub(crate) fn read_stocked(&mut self, node: &mut Node) {
        while let Some(key) = self.stocked.pop_first() {
            if let Some(conn) = self.conns.get_mut(&key) {
                self.touched.insert(key);
                conn.read(node);
            }
        }
    }

    /// Sends what a connection has ready, unless its socket is full. Returns whether something went.
    pub(crate) fn flush(&mut self, id: ConnId, node: &mut Node) -> bool {
        let Some(key) = self.keys.get(&id) else {
            node.handle_broken(id);
            return false;
        };
        self.touched.insert(*key);
        self.conns.get_mut(key).is_some_and(|conn| !conn.full && conn.flush(node))
    }

    /// Tells the poller what the touched connections wait for now.
    pub(crate) fn settle(&mut self, node: &Node) {
        while let Some(key) = self.touched.pop_first() {
            let Some(conn) = self.conns.get_mut(&key) else { continue };
            let interest = (node.wants_input(conn.id), conn.full);
            if interest.0 && conn.socket.has_input() {
                self.stocked.insert(key);
            }
            conn.socket.release();
            if interest != conn.interest {
                conn.interest = interest;
                let event = Event { key, readable: interest.0, writable: interest.1 };
                if let Some(socket) = conn.socket.tcp() {
                    let _ = self.poller.modify_with_mode(socket, event, PollMode::Level);
                }
            }
        }
    }
}

impl Conn {
    fn read(&mut self, node: &mut Node) {
        self.read_some(node);
        // What reading gave to be sent that is no payload; and its handshake may be done, which payload has waited for.
        if self.socket.has_unsent() && !self.full {
            self.send_rest();
            self.flush(node);
        }
    }

    fn read_some(&self, node: &mut Node) {
        let mut left = TURN;
        while left > 0 && node.wants_input(self.id) {
            let Some(recv) = node.recv_buf(self.id) else { return };
            let spare = recv.spare();
            let room = spare.len();
            match self.socket.read(spare) {
                Ok(0) => node.handle_eof(self.id),
                Ok(n) => {
                    recv.filled(n);
                    left = left.saturating_sub(n);
                    node.wake(self.id);
                    if n < room {
                        return; // The socket is empty.
                    }
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => return,
                    _ => node.handle_eof(self.id),
                },
            }
        }
    }

    /// Returns whether something went.
    fn flush(&mut self, node: &mut Node) -> bool {
        let mut sent = 0;
        while sent < TURN {
            let ready = node.ready(self.id);
            if ready.is_empty() {
                self.send_rest();
                break;
            }
            match self.socket.write(ready) {
                Ok(n) if n > 0 => {
                    node.sent(self.id, n);
                    sent += n;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.full = self.socket.is_full();
                    break;
                }
                _ => {
                    node.handle_broken(self.id);
                    break;
                }
            }
        }
        sent > 0
    }

    /// Sends what the socket has of its own to send. That it is broken is met again.
    fn send_rest(&mut self) {
        self.full = self.socket.has_unsent()
            && self.socket.write(&[]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
    }
}

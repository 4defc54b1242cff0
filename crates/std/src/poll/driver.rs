//! The driver: one node, its sockets, one loop.

use core::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
};

use polling::Poller;
use sanswarm::{
    Action, Answer, Config, ConnId, Event, Instant, ListenError, Multiaddr, Node, Question, ResolveId, TransportError,
};

use super::sockets::Sockets;
use crate::{
    NameServers, StartError,
    accept::{REST, bind, is_passing},
    clock::Clock,
    dial::{self, DIALS_MAX},
    names::Resolver,
    node::new_config,
    socket::{self, Kit, Socket, tcp_addr},
    threads::{Kind, Threads},
};
use sanswarm_host::{
    Interfaces, MemoryListener, is_wildcard, memory_number, multiaddr_like, secret, transport_error, unix_seconds,
};

/// Events that may wait for the user. With more of them no socket is read.
const EVENTS_MAX: usize = 1024;

/// Sockets that one listener accepts in a turn.
const ACCEPTS: usize = 32;

/// A [`Node`] with its sockets, all on the thread that calls.
pub struct Driver {
    node: Node,
    clock: Clock,
    sockets: Sockets,
    kit: Kit,
    poller: Arc<Poller>,
    /// A [`Waker`] was used and nobody was told.
    woken: Arc<AtomicBool>,
    /// Listeners rest until then, after an accept that failed for want of something.
    rest: Option<Instant>,
    /// What the poller has said; kept for its memory.
    said: Vec<polling::Event>,
    events: VecDeque<Event>,
    attempt: Duration,
    threads: Arc<Threads>,
    resolver: Resolver,
    interfaces: Interfaces,
    heard: (Sender<Heard>, Receiver<Heard>),
}

/// What other threads tell.
enum Heard {
    Dialed(ConnId, Result<Socket, TransportError>),
    Resolved(ResolveId, Result<Answer, TransportError>),
}

/// Wakes a [`Driver`] from another thread: its wait ends.
#[derive(Clone, Debug)]
pub struct Waker {
    poller: Arc<Poller>,
    woken: Arc<AtomicBool>,
}

impl Waker {
    /// Ends the driver's wait; or its next one, if it does not wait now.
    pub fn wake(&self) {
        self.woken.store(true, Ordering::Release);
        // It fails only if the poller is broken, which the driver sees itself.
        let _ = self.poller.notify();
    }
}

impl Driver {
    /// A driver for a node of this configuration.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn new(config: Config) -> Result<Self, StartError> {
        Self::with_name_servers(config, NameServers::System)
    }

    /// A driver that asks these servers about the names in addresses.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn with_name_servers(config: Config, servers: NameServers) -> Result<Self, StartError> {
        Self::start(config, servers, Kit::default())
    }

    /// A driver with something else for the TLS below its WebSockets than [`WebTls::new`](crate::WebTls::new): a certificate,
    /// which a listener of `/wss` needs, or other roots.
    ///
    /// # Errors
    /// [`StartError`].
    #[cfg(feature = "wss")]
    pub fn with_tls(config: Config, servers: NameServers, tls: crate::WebTls) -> Result<Self, StartError> {
        Self::start(config, servers, Kit { tls })
    }

    fn start(mut config: Config, servers: NameServers, kit: Kit) -> Result<Self, StartError> {
        config.unix_seconds = config.unix_seconds.or_else(unix_seconds);
        let (attempt, resolve) = (config.swarm.attempt, config.swarm.resolve);
        let mut node = Node::new(config).map_err(StartError::Signing)?;
        node.set_resolves(true);
        socket::transports().for_each(|transport| node.swarm().add_transport(transport));
        let threads = Arc::<Threads>::default();
        let poller = Poller::new().map_err(|error| StartError::System(transport_error(&error)))?;
        let poller = Arc::new(poller);
        Ok(Self {
            node,
            clock: Clock::new(),
            sockets: Sockets::new(poller.clone(), kit.clone()),
            kit,
            poller,
            woken: Arc::default(),
            rest: None,
            said: Vec::new(),
            events: VecDeque::new(),
            attempt,
            resolver: Resolver::new(threads.clone(), servers, resolve),
            threads,
            interfaces: Interfaces::default(),
            heard: channel(),
        })
    }

    /// A driver for a node with a new Ed25519 identity and the default configuration.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn with_new_identity() -> Result<Self, StartError> {
        Self::new(new_config()?)
    }

    /// The node, for every call that a user has: `open_stream`, `read`, `write`. What is called here happens when the
    /// driver runs.
    pub fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    /// The time that the node's calls ask for.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Listens on an address. [`Event::Listening`] with the address bound, or [`Event::ListenFailed`] follows.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn listen(&mut self, address: Multiaddr) -> Result<(), ListenError> {
        self.node.listen(address)
    }

    /// Listens no more on an address: the one of the command, or one that was bound for it. Connections that it has
    /// accepted stay. Returns whether there is such a listener; then [`Event::Unlistened`] follows.
    pub fn unlisten(&mut self, address: &Multiaddr) -> bool {
        self.node.unlisten(address)
    }

    /// What wakes this driver from another thread.
    pub fn waker(&self) -> Waker {
        Waker { poller: self.poller.clone(), woken: self.woken.clone() }
    }

    /// Waits for something to happen, for at most `timeout` (`None`: without end), and does it: once. Does not wait
    /// while events are left to be taken. Returns how many are.
    ///
    /// # Errors
    /// What the system's poller said.
    pub fn run_once(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        self.turn(timeout)?;
        self.woken.store(false, Ordering::Relaxed);
        Ok(self.events.len())
    }

    fn turn(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.pump();
        if self.events.len() >= EVENTS_MAX {
            return Ok(());
        }
        let due = self.node.poll_timeout().map(|deadline| deadline.at);
        let due = [due, self.rest, self.interfaces.look_at].into_iter().flatten().min();
        let due = due.map(|at| self.clock.until(at));
        let wait = match (timeout, due) {
            // A wake that came while we did not wait counts, too: the poller may have forgotten it.
            _ if !self.events.is_empty() || self.sockets.has_news() || self.woken.load(Ordering::Acquire) => {
                Some(Duration::ZERO)
            }
            (Some(timeout), Some(due)) => Some(timeout.min(due)),
            (one, other) => one.or(other),
        };
        self.said.clear();
        match self.poller.wait(&mut self.said, wait) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        while let Ok(heard) = self.heard.1.try_recv() {
            match heard {
                Heard::Dialed(conn, result) => self.dialed(conn, result),
                Heard::Resolved(resolve, result) => self.node.handle_resolved(self.now(), resolve, result),
            }
        }
        self.said.extend(self.sockets.take_tapped().into_iter().map(polling::Event::all));
        for event in core::mem::take(&mut self.said) {
            if self.sockets.is_listener(event.key) {
                self.accept(event.key);
            } else {
                self.sockets.handle(&event, &mut self.node);
            }
        }
        self.sockets.read_stocked(&mut self.node);
        let now = self.now();
        if self.rest.is_some_and(|at| at <= now) {
            self.rest = None;
            self.sockets.set_listening(true);
        }
        if self.interfaces.look_at.is_some_and(|at| at <= now) {
            self.look();
        }
        self.node.handle_timeout(now);
        self.pump();
        Ok(())
    }

    /// Takes the next event; waits for it for at most `timeout` (`None`: without end). `None`: there was none in time,
    /// the [`Waker`] woke us, or the poller failed, which [`run_once`](Self::run_once) would tell.
    pub fn next_event(&mut self, timeout: Option<Duration>) -> Option<Event> {
        let until = timeout.map(|timeout| self.now() + timeout);
        loop {
            // What the user has called since the last event may not wait for the next one.
            let turned = self.turn(until.map(|until| self.clock.until(until)));
            if let Some(event) = self.events.pop_front() {
                return Some(event); // A wake keeps until there is none.
            }
            let is_late = until.is_some_and(|until| self.now() >= until);
            if self.woken.swap(false, Ordering::Acquire) || is_late || turned.is_err() {
                return None;
            }
        }
    }

    // ---- within

    /// Lets the node go on until it rests.
    fn pump(&mut self) {
        let mut busy = true;
        while busy {
            busy = false;
            let now = self.clock.now();
            while let Some(event) = self.node.poll_event(now) {
                self.events.push_back(event);
            }
            while let Some(action) = self.node.poll_action() {
                busy = true;
                self.act(action);
            }
            while let Some(conn) = self.node.poll_transmit() {
                busy |= self.sockets.flush(conn, &mut self.node);
            }
        }
        self.sockets.settle(&self.node);
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Dial { conn, address } => self.dial(conn, address),
            Action::Resolve { resolve, question } => self.resolve(resolve, question),
            Action::Listen { address } => self.open_listener(address),
            Action::Unlisten { address } => {
                if let Some((wanted, bound)) = self.sockets.remove_listener(&address) {
                    self.node.handle_unlistened(&wanted, &[bound]);
                    self.look();
                }
            }
            Action::Shutdown { conn } => self.sockets.shut_down(conn),
            Action::Close { conn } => self.sockets.remove(conn),
            _ => {}
        }
    }

    fn open_listener(&mut self, address: Multiaddr) {
        match self.bind(&address) {
            Ok(bound) => {
                self.look(); // Before it is told, so that there is something to advertise.
                self.node.handle_listening(bound);
            }
            Err(cause) => self.node.handle_listen_failed(address, cause),
        }
    }

    fn bind(&mut self, address: &Multiaddr) -> Result<Multiaddr, TransportError> {
        if let Some(number) = memory_number(address) {
            let listener = MemoryListener::bind(number)?;
            let bound = listener.address();
            self.sockets.add_memory_listener(listener, address.clone());
            return Ok(bound);
        }
        self.kit.check_listen(address)?;
        let addr = tcp_addr(address).ok_or(TransportError::Unsupported)?;
        let mut bind = || -> io::Result<Multiaddr> {
            let listener = bind(addr)?;
            listener.set_nonblocking(true)?;
            let bound = multiaddr_like(address, listener.local_addr()?);
            self.sockets.add_listener(listener, address.clone(), bound.clone())?;
            Ok(bound)
        };
        bind().map_err(|error| transport_error(&error))
    }

    /// Looks at the interfaces if they matter, and tells the node what has changed.
    fn look(&mut self) {
        let (now, matter) = (self.now(), self.sockets.bound().any(is_wildcard));
        if let Some(addresses) = self.interfaces.look(now, matter) {
            self.node.handle_interfaces(&addresses);
        }
    }

    fn resolve(&mut self, resolve: ResolveId, question: Question) {
        let (sender, poller) = (self.heard.0.clone(), self.poller.clone());
        let tell = move |result| {
            let _ = sender.send(Heard::Resolved(resolve, result));
            let _ = poller.notify();
        };
        self.resolver.ask(question, Box::new(tell));
    }

    fn dial(&mut self, conn: ConnId, address: Multiaddr) {
        let (sender, poller) = (self.heard.0.clone(), self.poller.clone());
        let (kit, time) = (self.kit.clone(), self.attempt);
        let run = move || {
            let _ = sender.send(Heard::Dialed(conn, dial::connect(&address, time, &kit)));
            let _ = poller.notify();
        };
        if let Err(error) = self.threads.spawn(Kind::Dial, "sanswarm-dial", DIALS_MAX, run) {
            self.dialed(conn, Err(transport_error(&error)));
        }
    }

    fn dialed(&mut self, conn: ConnId, result: Result<Socket, TransportError>) {
        let now = self.now();
        match result.and_then(|socket| Ok((socket, secret()?))) {
            Ok((socket, secret)) => {
                if self.node.handle_dialed(now, conn, secret) {
                    self.add(conn, socket);
                }
            }
            Err(cause) => self.node.handle_dial_failed(now, conn, cause),
        }
    }

    fn accept(&mut self, key: usize) {
        for _ in 0..ACCEPTS {
            let (socket, local, remote) = match self.sockets.accept(key) {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_passing(&error) => continue,
                Err(_) => {
                    self.sockets.set_listening(false);
                    self.rest = Some(self.now() + REST);
                    return;
                }
            };
            let (now, Ok(secret)) = (self.now(), secret()) else { continue };
            if let Ok(conn) = self.node.handle_accepted(now, local, remote, secret) {
                self.add(conn, socket);
            }
        }
        self.sockets.look_again(key);
    }

    fn add(&mut self, conn: ConnId, socket: Socket) {
        if self.sockets.add(conn, socket).is_err() {
            self.node.handle_broken(conn);
        }
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("id", &self.node.id()).finish_non_exhaustive()
    }
}

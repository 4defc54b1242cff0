//! The thread of the control: orders and facts in, actions out.

use core::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use std::{
    collections::BTreeMap,
    net::TcpStream,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender},
    },
};

use sanswarm::{
    Action, ConnId, Control, Deadline, Event, HandlerId, IdentifyError, Info, Instant, Link, Multiaddr, OpenId,
    OpenStreamError, PeerId, PingError, TransportError,
};

use crate::{
    ListenError,
    accept::Acceptor,
    address::{Target, multiaddr, secret, transport_error},
    conn::Conn,
    dial::{self, DIALS_MAX},
    shared::{Command, Shared},
    threads::Kind,
    write,
};

/// Those who wait for something about a peer.
type Waiters<T> = BTreeMap<PeerId, Vec<SyncSender<T>>>;

type Listened = Result<Multiaddr, ListenError>;

/// The control of a node and what its thread keeps beside it.
pub(crate) struct Steering {
    control: Control,
    shared: Arc<Shared>,
    /// How long one attempt to connect may take.
    attempt: Duration,
    conns: BTreeMap<ConnId, Arc<Conn>>,
    /// Sockets that connect; the flag tells their thread to give up.
    dials: BTreeMap<ConnId, Arc<AtomicBool>>,
    connects: BTreeMap<OpenId, SyncSender<Result<ConnId, OpenStreamError>>>,
    listens: BTreeMap<Multiaddr, SyncSender<Listened>>,
    /// Answers to give when the events that belong to them have been told.
    listened: Vec<(SyncSender<Listened>, Listened)>,
    acceptors: Vec<Acceptor>,
    handlers: BTreeMap<u64, HandlerId>,
    pings: Waiters<Result<Duration, PingError>>,
    identifies: Waiters<Result<Info, IdentifyError>>,
    /// Connected peers that did not say who they are.
    unknown: BTreeMap<PeerId, IdentifyError>,
    shutdown: Option<Shutdown>,
}

struct Shutdown {
    /// `None` once what was left has been cut.
    until: Option<Instant>,
    replies: Vec<SyncSender<usize>>,
    cut: usize,
}

impl Steering {
    pub(crate) fn new(control: Control, shared: Arc<Shared>, attempt: Duration) -> Self {
        Self {
            control,
            shared,
            attempt,
            conns: BTreeMap::new(),
            dials: BTreeMap::new(),
            connects: BTreeMap::new(),
            listens: BTreeMap::new(),
            listened: Vec::new(),
            acceptors: Vec::new(),
            handlers: BTreeMap::new(),
            pings: BTreeMap::new(),
            identifies: BTreeMap::new(),
            unknown: BTreeMap::new(),
            shutdown: None,
        }
    }

    /// Runs until the node is shut down and its last connection has ended.
    pub(crate) fn run(mut self, commands: Receiver<Command>) {
        loop {
            let until = self.shutdown.as_ref().and_then(|shutdown| shutdown.until);
            let until = until.map(|at| Deadline { at, why: "shutdown" });
            let command = match Deadline::sooner(self.control.poll_timeout(), until) {
                Some(deadline) => commands.recv_timeout(self.shared.clock.until(deadline.at)),
                None => commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match command {
                Ok(command) => self.handle(command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = self.now();
            if self.control.poll_timeout().is_some_and(|deadline| deadline.at <= now) {
                self.control.handle_timeout(now);
            }
            self.drain();
            if self.is_over() {
                break;
            }
        }
        // Nobody waits for an answer from here on; acceptors neither.
        drop(commands);
    }

    fn now(&self) -> Instant {
        self.shared.clock.now()
    }

    // ---- orders and facts

    fn handle(&mut self, command: Command) {
        let now = self.now();
        let is_open = self.shutdown.is_none();
        match command {
            Command::Open { protocols, peer, how, reply } if is_open => {
                let request = self.control.open_stream(now, protocols, peer, how);
                self.shared.expect_stream(request, reply);
            }
            Command::Connect { peer, reply } if is_open => {
                let request = self.control.connect(now, peer);
                self.connects.insert(request, reply);
            }
            Command::Listen { address, reply } if is_open => match self.control.listen(address.clone()) {
                Ok(()) => drop(self.listens.insert(address, reply)),
                Err(error) => drop(reply.send(Err(ListenError::Denied(error)))),
            },
            Command::Accepted { socket, done } if is_open => {
                self.accepted(now, socket);
                drop(done);
            }
            Command::SetHandler { handler, protocols, run, done } => {
                let id = self.control.set_stream_handler(protocols);
                self.shared.set_handler(id, run);
                self.handlers.insert(handler, id);
                self.drain();
                drop(done);
            }
            Command::RemoveHandler { handler, reply } => {
                let removed = self.handlers.remove(&handler).is_some_and(|id| {
                    self.shared.remove_handler(id);
                    self.control.remove_stream_handler(id)
                });
                let _ = reply.send(removed);
            }
            Command::Ping { peer, reply } => {
                if self.control.ping(&peer) {
                    self.pings.entry(peer).or_default().push(reply);
                } else {
                    let _ = reply.send(Err(PingError::Closed));
                }
            }
            Command::Identify { peer, reply } => self.identify(peer, reply),
            Command::Stats { peer, reply } => {
                let conn = self.control.connections(&peer).next().and_then(|id| self.conns.get(&id));
                let _ = reply.send(conn.map(|conn| conn.stats()));
            }
            Command::Disconnect { peer, reply } => drop(reply.send(self.control.disconnect(now, peer))),
            Command::Shutdown { deadline, reply } => self.shut_down(now, deadline, reply),
            Command::Dialed { conn, result } => self.dialed(now, conn, result),
            Command::Told { conn, message } => {
                self.control.handle_control(now, conn.id, message);
                conn.handled();
            }
            Command::Inbound { stream, handler } => {
                if self.conns.get(&stream.id().conn).is_some_and(|conn| conn.is_admitted()) {
                    self.shared.serve(stream, handler);
                }
            }
            Command::Ended { conn } => drop(self.conns.remove(&conn)),
            // The node is shutting down: who waits sees it.
            Command::Open { .. } | Command::Connect { .. } | Command::Listen { .. } | Command::Accepted { .. } => {}
        }
    }

    fn identify(&mut self, peer: PeerId, reply: SyncSender<Result<Info, IdentifyError>>) {
        if let Some(info) = self.control.info(&peer) {
            let _ = reply.send(Ok(info.clone()));
        } else if let Some(error) = self.unknown.get(&peer) {
            let _ = reply.send(Err(error.clone()));
        } else if self.control.connections(&peer).next().is_some() {
            self.identifies.entry(peer).or_default().push(reply);
        } else {
            let _ = reply.send(Err(IdentifyError::Closed));
        }
    }

    fn dialed(&mut self, now: Instant, conn: ConnId, result: Result<TcpStream, TransportError>) {
        self.dials.remove(&conn);
        match result.and_then(|socket| Ok((socket, secret().map_err(|_| TransportError::Other(0))?))) {
            Ok((socket, secret)) => {
                if let Some(link) = self.control.handle_dialed(now, conn, secret) {
                    self.start(link, socket);
                }
            }
            Err(cause) => self.control.handle_dial_failed(now, conn, cause),
        }
    }

    fn accepted(&mut self, now: Instant, socket: TcpStream) {
        let (Ok(local), Ok(remote), Ok(secret)) = (socket.local_addr(), socket.peer_addr(), secret()) else { return };
        if let Ok(link) = self.control.handle_accepted(now, multiaddr(local), multiaddr(remote), secret) {
            self.start(link, socket);
        }
    }

    fn start(&mut self, link: Link, socket: TcpStream) {
        let socket = Arc::new(socket);
        let conn = Conn::new(link, socket.clone(), self.shared.clone());
        self.conns.insert(conn.id, conn.clone());
        let driven = conn.clone();
        let run = move || write::run(&driven, socket);
        if self.shared.threads.spawn(Kind::Ours, "sanswarm-write", usize::MAX, run).is_err() {
            conn.cut();
            conn.end();
        }
    }

    fn shut_down(&mut self, now: Instant, deadline: Duration, reply: SyncSender<usize>) {
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.replies.push(reply);
            return;
        }
        self.acceptors.iter().for_each(Acceptor::stop);
        self.control.close_all(now);
        self.shutdown = Some(Shutdown { until: Some(now + deadline), replies: vec![reply], cut: 0 });
    }

    /// Whether a shutdown has come to its end. Cuts what is left at its deadline.
    fn is_over(&mut self) -> bool {
        let now = self.now();
        let Some(shutdown) = &mut self.shutdown else { return false };
        if !self.conns.is_empty() && shutdown.until.is_some_and(|at| at <= now) {
            shutdown.until = None;
            shutdown.cut = self.conns.len();
            self.conns.values().for_each(|conn| conn.cut());
        }
        self.conns.is_empty()
    }

    // ---- what the control says

    /// Does all that the control has to say.
    fn drain(&mut self) {
        loop {
            if let Some((id, message)) = self.control.poll_link() {
                let undelivered = match self.conns.get(&id) {
                    Some(conn) => conn.tell(message).err(),
                    None => Some(message),
                };
                if let Some(message) = undelivered {
                    self.control.handle_undelivered(message);
                }
            } else if let Some(event) = self.control.poll_event() {
                self.handle_event(&event);
                self.shared.hub.tell(&event);
            } else if let Some(action) = self.control.poll_action() {
                self.act(action);
            } else {
                break;
            }
        }
        // Behind the event, so that whoever has the answer can rely on the event's having been told.
        for (reply, answer) in self.listened.drain(..) {
            let _ = reply.send(answer);
        }
    }

    fn handle_event(&mut self, event: &Event) {
        match event {
            Event::Dialed { request, conn, .. } => {
                if let Some(reply) = self.connects.remove(request) {
                    let _ = reply.send(Ok(*conn));
                }
            }
            Event::OpenFailed { request, error } => match self.connects.remove(request) {
                Some(reply) => drop(reply.send(Err(error.clone()))),
                None => self.shared.answer_open(*request, error.clone()),
            },
            Event::Connected { conn, .. } => {
                self.conns.get(conn).inspect(|conn| conn.admit());
            }
            Event::PeerReady { peer, identify, .. } => {
                answer(&mut self.identifies, peer, identify);
                if let Err(error) = identify {
                    self.unknown.insert(*peer, error.clone());
                }
            }
            // The result of the other ping follows.
            Event::Ping { result: Err(PingError::Busy), .. } => {}
            Event::Ping { peer, result, .. } => answer(&mut self.pings, peer, result),
            Event::Disconnected { peer, .. } if self.control.connections(peer).next().is_none() => {
                self.unknown.remove(peer);
                answer(&mut self.pings, peer, &Err(PingError::Closed));
                answer(&mut self.identifies, peer, &Err(IdentifyError::Closed));
            }
            _ => {}
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Dial { conn, address } => self.dial(conn, address),
            Action::Abandon { conn } | Action::Close { conn } => {
                if let Some(abandoned) = self.dials.remove(&conn) {
                    abandoned.store(true, Ordering::Relaxed);
                }
            }
            Action::Listen { address } => self.listen(address),
            _ => {}
        }
    }

    fn dial(&mut self, conn: ConnId, address: Multiaddr) {
        let abandoned = Arc::<AtomicBool>::default();
        self.dials.insert(conn, abandoned.clone());
        let (shared, time) = (self.shared.clone(), self.attempt);
        let run = move || {
            let result = dial::connect(&address, time, &abandoned);
            shared.command(Command::Dialed { conn, result });
        };
        if let Err(error) = self.shared.threads.spawn(Kind::Dial, "sanswarm-dial", DIALS_MAX, run) {
            self.dials.remove(&conn);
            let now = self.now();
            self.control.handle_dial_failed(now, conn, transport_error(&error));
        }
    }

    fn listen(&mut self, address: Multiaddr) {
        let reply = self.listens.remove(&address);
        let bound = match Target::read(&address) {
            Some(Target::Socket(addr)) => Acceptor::start(addr, &self.shared).map_err(|error| transport_error(&error)),
            _ => Err(TransportError::Unsupported),
        };
        let answer = match bound {
            Ok(acceptor) => {
                let bound = multiaddr(acceptor.addr);
                self.acceptors.push(acceptor);
                self.control.handle_listening(bound.clone());
                Ok(bound)
            }
            Err(cause) => {
                self.control.handle_listen_failed(address, cause);
                Err(ListenError::System(cause))
            }
        };
        self.listened.extend(reply.map(|reply| (reply, answer)));
    }
}

impl Drop for Steering {
    /// However the thread ends: nothing is left behind, and nobody waits.
    fn drop(&mut self) {
        for conn in self.conns.values() {
            conn.cut();
        }
        self.shared.end();
        self.acceptors.iter().for_each(Acceptor::stop);
        while !self.shared.threads.wait(Kind::Accept, Some(Duration::from_millis(50))) {
            self.acceptors.iter().for_each(Acceptor::stop);
        }
        if let Some(shutdown) = &mut self.shutdown {
            let cut = shutdown.cut;
            for reply in shutdown.replies.drain(..) {
                let _ = reply.send(cut);
            }
        }
    }
}

fn answer<T: Clone>(waiters: &mut Waiters<T>, peer: &PeerId, result: &T) {
    for waiter in waiters.remove(peer).into_iter().flatten() {
        let _ = waiter.send(result.clone());
    }
}

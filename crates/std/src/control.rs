//! The thread of the control: orders and facts in, actions out.

use core::time::Duration;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender},
    },
};

use sanswarm::{
    Action, CloseRule, Config, ConnId, Control, Deadline, Event, HandlerId, IdentifyError, Info, Instant, Link,
    Multiaddr, OpenId, OpenStreamError, PeerId, PingError, TransportError,
};

use crate::{
    ListenError, NameServers,
    accept::Acceptor,
    conn::Conn,
    dial::{self, DIALS_MAX},
    listeners::Listeners,
    names::Resolver,
    shared::{Command, Shared},
    socket::{self, Kit, Socket},
    threads::Kind,
    write,
};
use sanswarm_host::{Scope, secret, trace, transport_error};

/// How long goodbyes may take at the end of a node, whatever the time of one connection is.
const GOODBYE: Duration = Duration::from_secs(1);

/// How much longer than the connections' own time for goodbyes we wait for them.
const SLACK: Duration = Duration::from_millis(250);

/// Those who wait for something about a peer.
type Waiters<T> = BTreeMap<PeerId, Vec<SyncSender<T>>>;

type Listened = Result<Multiaddr, ListenError>;

/// The control of a node and what its thread keeps beside it.
pub(crate) struct Steering {
    control: Control,
    shared: Arc<Shared>,
    resolver: Resolver,
    kit: Kit,
    times: Times,
    conns: BTreeMap<ConnId, Arc<Conn>>,
    connects: BTreeMap<OpenId, SyncSender<Result<ConnId, OpenStreamError>>>,
    listens: BTreeMap<Multiaddr, SyncSender<Listened>>,
    /// Answers to give when the events that belong to them have been told.
    listened: Vec<(SyncSender<Listened>, Listened)>,
    listeners: Listeners,
    handlers: BTreeMap<u64, HandlerId>,
    pings: Waiters<Result<Duration, PingError>>,
    identifies: Waiters<Result<Info, IdentifyError>>,
    /// Connected peers that did not say who they are.
    unknown: BTreeMap<PeerId, IdentifyError>,
    shutdown: Option<Shutdown>,
}

/// What of the configuration is ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// How long one attempt to connect may take.
    attempt: Duration,
    /// How long the name service may take.
    resolve: Duration,
    /// How long goodbyes may take.
    goodbye: Duration,
    /// How long a ping may take.
    pub(crate) ping: Duration,
}

impl Times {
    pub(crate) fn of(config: &Config) -> Self {
        let Config { swarm, connection, ping_timeout, .. } = config;
        let goodbye = connection.close_timeout.min(GOODBYE) + SLACK;
        Self { attempt: swarm.attempt, resolve: swarm.resolve, goodbye, ping: *ping_timeout }
    }
}

struct Shutdown {
    /// When those are cut that never became ready. `None` once that has been done.
    deadline: Option<Instant>,
    /// When what is left ends without a goodbye. `None` once that has been done.
    until: Option<Instant>,
    replies: Vec<SyncSender<usize>>,
    /// Connections that were in use when time was up, or have not sent all.
    cut: BTreeSet<ConnId>,
    /// The control says that it is over.
    is_over: bool,
}

impl Steering {
    pub(crate) fn new(mut control: Control, shared: Arc<Shared>, servers: NameServers, kit: Kit, times: Times) -> Self {
        control.set_resolves(true);
        socket::transports().for_each(|transport| control.add_transport(transport));
        Self {
            control,
            resolver: Resolver::new(shared.threads.clone(), servers, times.resolve),
            kit,
            times,
            shared,
            conns: BTreeMap::new(),
            connects: BTreeMap::new(),
            listens: BTreeMap::new(),
            listened: Vec::new(),
            listeners: Listeners::default(),
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
            let until = self.shutdown.as_ref().and_then(|shutdown| shutdown.deadline.or(shutdown.until));
            let until = until.map(|at| Deadline { at, why: "shutdown" });
            let look = self.listeners.interfaces.look_at.map(|at| Deadline { at, why: "interfaces" });
            let command = match Deadline::sooner(self.control.poll_timeout(), Deadline::sooner(until, look)) {
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
            if self.listeners.interfaces.look_at.is_some_and(|at| at <= now) {
                self.listeners.look(now, &mut self.control);
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
            Command::Accepted { socket, local, remote, done } if is_open => {
                self.accepted(now, socket, local, remote);
                drop(done);
            }
            Command::Unlisten { address, reply } => match self.listeners.expect_end(&address, reply) {
                Ok(()) => drop(self.control.unlisten(&address)),
                Err(reply) => drop(reply.send(false)),
            },
            Command::Unlistened { wanted } if is_open => self.listeners.ended(now, &wanted, &mut self.control),
            Command::SetHandler { handler, scope, gone, done } => {
                self.set_handler(handler, scope, &gone);
                drop(done);
            }
            Command::RemoveHandler { handler, done } => {
                if let Some(id) = self.handlers.remove(&handler) {
                    self.control.remove_stream_handler(id);
                }
                self.drain();
                drop(done);
            }
            Command::Call(call) => call(&mut self.control, now),
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
            Command::Resolved { resolve, result } => self.control.handle_resolved(now, resolve, result),
            Command::Inbound { stream } => {
                if self.conns.get(&stream.id().conn).is_some_and(|conn| conn.is_admitted()) {
                    self.shared.serve(stream);
                }
            }
            Command::Ended { conn, cut } => self.ended(conn, cut),
            // The node is shutting down: who waits sees it.
            Command::Open { .. }
            | Command::Connect { .. }
            | Command::Listen { .. }
            | Command::Accepted { .. }
            | Command::Unlistened { .. } => {}
        }
    }

    fn set_handler(&mut self, handler: u64, scope: Scope, gone: &[u64]) {
        let id = match scope {
            Scope::Names(protocols) => self.control.set_stream_handler(protocols),
            Scope::Where(accepts) => self.control.set_stream_handler_where(move |name| accepts(name)),
        };
        self.handlers.insert(handler, id);
        self.handlers.retain(|handler, _| !gone.contains(handler));
        self.drain();
    }

    fn ended(&mut self, conn: ConnId, cut: bool) {
        self.conns.remove(&conn);
        if let Some(shutdown) = self.shutdown.as_mut().filter(|_| cut) {
            shutdown.cut.insert(conn);
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

    fn dialed(&mut self, now: Instant, conn: ConnId, result: Result<Socket, TransportError>) {
        match result.and_then(|socket| Ok((socket, secret()?))) {
            Ok((socket, secret)) => {
                if let Some(link) = self.control.handle_dialed(now, conn, secret) {
                    self.start(link, socket);
                }
            }
            Err(cause) => {
                trace::dial_failed(conn, cause);
                self.control.handle_dial_failed(now, conn, cause);
            }
        }
    }

    fn accepted(&mut self, now: Instant, socket: Socket, local: Multiaddr, remote: Multiaddr) {
        let Ok(secret) = secret() else { return };
        match self.control.handle_accepted(now, local, remote.clone(), secret) {
            Ok(link) => self.start(link, socket),
            Err(denied) => trace::denied(&remote, denied),
        }
    }

    fn start(&mut self, link: Link, socket: Socket) {
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
        let (end, until) = (now + deadline, now + deadline + self.times.goodbye);
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.deadline = shutdown.deadline.map(|at| at.min(end));
            shutdown.until = shutdown.until.map(|at| at.min(until));
            shutdown.replies.push(reply);
            return;
        }
        let (replies, cut) = (vec![reply], BTreeSet::new());
        self.shutdown = Some(Shutdown { deadline: Some(end), until: Some(until), replies, cut, is_over: false });
        self.listeners.stop_all();
        self.control.shutdown(now, deadline);
        if deadline.is_zero() {
            self.control.handle_timeout(now);
        }
        // Those that wait for a dial get its report; those that wait for an agreement, which may never come, do so in vain.
        self.drain();
        self.shared.close();
    }

    /// Whether a shutdown has come to its end. Cuts what is left at its deadline.
    fn is_over(&mut self) -> bool {
        let now = self.now();
        let Some(shutdown) = &mut self.shutdown else { return false };
        if shutdown.deadline.is_some_and(|at| at <= now) {
            shutdown.deadline = None;
            self.conns.values().filter(|conn| !conn.is_admitted()).for_each(|conn| conn.cut());
        }
        if !self.conns.is_empty() && shutdown.until.is_some_and(|at| at <= now) {
            shutdown.until = None;
            shutdown.cut.extend(self.conns.keys());
            self.conns.values().for_each(|conn| conn.cut());
        }
        self.conns.is_empty() && (shutdown.is_over || shutdown.until.is_none())
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
        let conn = trace::conn_of(event).and_then(|conn| self.conns.get(&conn));
        trace::tell(event, conn.map(|conn| &conn.span), || conn?.round_trips());
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
            Event::ShutDown { .. } => {
                if let Some(shutdown) = &mut self.shutdown {
                    shutdown.is_over = true;
                }
            }
            Event::Disconnected { peer, conn, rule, .. } => self.disconnected(peer, *conn, *rule),
            _ => {}
        }
    }

    fn disconnected(&mut self, peer: &PeerId, conn: ConnId, rule: Option<CloseRule>) {
        if let Some(shutdown) = self.shutdown.as_mut().filter(|_| rule == Some(CloseRule::Cut)) {
            shutdown.cut.insert(conn);
        }
        if self.control.connections(peer).next().is_none() {
            self.unknown.remove(peer);
            answer(&mut self.pings, peer, &Err(PingError::Closed));
            answer(&mut self.identifies, peer, &Err(IdentifyError::Closed));
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Dial { conn, address } => self.dial(conn, address),
            Action::Resolve { resolve, question } => {
                let shared = self.shared.clone();
                let tell = move |result| shared.command(Command::Resolved { resolve, result });
                self.resolver.ask(question, Box::new(tell));
            }
            Action::Listen { address } => self.listen(address),
            Action::Unlisten { address } => self.listeners.stop(&address),
            _ => {}
        }
    }

    fn dial(&mut self, conn: ConnId, address: Multiaddr) {
        trace::dialing(conn, &address);
        let (shared, kit, time) = (self.shared.clone(), self.kit.clone(), self.times.attempt);
        let run = move || {
            let result = dial::connect(&address, time, &kit);
            shared.command(Command::Dialed { conn, result });
        };
        if let Err(error) = self.shared.threads.spawn(Kind::Dial, "sanswarm-dial", DIALS_MAX, run) {
            let now = self.now();
            self.control.handle_dial_failed(now, conn, transport_error(&error));
        }
    }

    fn listen(&mut self, address: Multiaddr) {
        let (reply, now) = (self.listens.remove(&address), self.now());
        let answer = match Acceptor::start(address.clone(), &self.kit, &self.shared) {
            Ok(acceptor) => Ok(self.listeners.add(now, address, acceptor, &mut self.control)),
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
        self.listeners.stop_all();
        while !self.shared.threads.wait(Kind::Accept, Some(Duration::from_millis(50))) {
            self.listeners.stop_all();
        }
        if let Some(shutdown) = &mut self.shutdown {
            let cut = shutdown.cut.len();
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

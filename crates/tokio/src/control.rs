//! The control task: it carries facts, commands and messages to and from the [`Control`], and starts the other tasks.

use core::{
    future::poll_fn,
    task::{Context, Poll},
    time::Duration,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use sanswarm::{
    Action, CloseRule, Config, ConnId, Control, Deadline, Event, HandlerId, Instant, Link, Multiaddr, PeerId,
    PingError, ResolveId, SigningError, TransportError,
};
use sanswarm_host::{QUESTIONS_MAX, Scope, trace};
use tokio::sync::mpsc;

use crate::{
    ListenError, NameServers,
    error::SHUT_DOWN,
    events::Audience,
    facts::{Command, FACTS_MAX, Fact, Pending, Reply, Task},
    link::LinkTask,
    listeners::Listeners,
    names::Resolver,
    node::random,
    shared::{LinkShared, NodeShared, lock},
    socket::{self, Kit, Socket},
    sockets,
    time::Timer,
    waiting::Waiting,
};

/// How long goodbyes may take when the last handle was dropped: longer than a connection's own limit.
const FAREWELL: Duration = Duration::from_secs(5);

/// How long goodbyes may take at the end of a node, whatever the time of one connection is.
const GOODBYE: Duration = Duration::from_secs(1);

/// How much longer than the connections' own time for goodbyes we wait for them.
const SLACK: Duration = Duration::from_millis(250);

pub(crate) struct ControlTask {
    control: Control,
    shared: Arc<NodeShared>,
    commands: mpsc::UnboundedReceiver<Command>,
    facts: mpsc::Receiver<Fact>,
    resolver: Resolver,
    kit: Kit,
    /// For the tasks that are started.
    tell: mpsc::Sender<Fact>,
    timer: Timer,
    links: BTreeMap<ConnId, LinkEntry>,
    dials: BTreeMap<ConnId, Task>,
    resolves: BTreeMap<ResolveId, Task>,
    listeners: Listeners,
    handlers: BTreeMap<u64, HandlerId>,
    waiting: Waiting,
    closing: Option<Closing>,
    /// How long goodbyes may take.
    goodbye: Duration,
}

struct LinkEntry {
    shared: Arc<LinkShared>,
    /// Ends the task with the entry.
    _task: Task,
}

/// The node is ending.
struct Closing {
    /// From when on those are not waited for that never became ready.
    deadline: Instant,
    /// When what is left ends without a goodbye.
    until: Instant,
    replies: Vec<Reply<usize>>,
    /// Connections that were in use when time was up, or have not sent all.
    cut: BTreeSet<ConnId>,
    /// The control says that it is over.
    is_over: bool,
}

/// What the control task was woken for.
enum Wake {
    Command(Command),
    Fact(Fact),
    /// The last handle is gone.
    Alone,
    Time,
}

impl ControlTask {
    pub(crate) fn new(
        config: Config,
        servers: NameServers,
        kit: Kit,
        shared: Arc<NodeShared>,
        commands: mpsc::UnboundedReceiver<Command>,
    ) -> Result<Self, SigningError> {
        let (tell, facts) = mpsc::channel(FACTS_MAX);
        let resolver = Resolver::new(servers, config.swarm.resolve);
        let goodbye = config.connection.close_timeout.min(GOODBYE) + SLACK;
        let mut control = Control::new(config)?;
        control.set_resolves(true);
        socket::transports().for_each(|transport| control.add_transport(transport));
        Ok(Self {
            control,
            resolver,
            kit,
            goodbye,
            commands,
            facts,
            tell,
            timer: Timer::new(shared.clock),
            shared,
            links: BTreeMap::new(),
            dials: BTreeMap::new(),
            resolves: BTreeMap::new(),
            listeners: Listeners::default(),
            handlers: BTreeMap::new(),
            waiting: Waiting::default(),
            closing: None,
        })
    }

    pub(crate) fn id(&self) -> PeerId {
        self.control.id()
    }

    pub(crate) async fn run(mut self) {
        while !self.settle() {
            let wake = poll_fn(|cx| self.poll_wake(cx)).await;
            let now = self.shared.clock.now();
            match wake {
                Wake::Command(command) => self.handle_command(now, command),
                Wake::Fact(fact) => self.handle_fact(now, fact),
                Wake::Alone => {
                    self.goodbye = FAREWELL;
                    self.close(now, Duration::ZERO, None);
                }
                Wake::Time => {
                    self.control.handle_timeout(now);
                    if self.listeners.interfaces.look_at.is_some_and(|at| at <= now) {
                        self.listeners.look(now, &mut self.control);
                    }
                }
            }
        }
        let Some(mut closing) = self.closing.take() else { return };
        closing.cut.extend(self.links.keys());
        let cut = closing.cut.len();
        drop(self);
        for reply in closing.replies {
            let _ = reply.send(cut);
        }
    }

    fn poll_wake(&mut self, cx: &mut Context<'_>) -> Poll<Wake> {
        match self.commands.poll_recv(cx) {
            Poll::Ready(Some(command)) => return Poll::Ready(Wake::Command(command)),
            Poll::Ready(None) if self.closing.is_none() => return Poll::Ready(Wake::Alone),
            _ => {}
        }
        if let Poll::Ready(Some(fact)) = self.facts.poll_recv(cx) {
            return Poll::Ready(Wake::Fact(fact));
        }
        self.timer.poll(cx).map(|()| Wake::Time)
    }

    /// Does all that the control says. Returns whether the node has ended.
    fn settle(&mut self) -> bool {
        loop {
            if let Some((conn, message)) = self.control.poll_link() {
                let undelivered = match self.links.get(&conn) {
                    Some(link) => link.shared.order(message).err(),
                    None => Some(message),
                };
                if let Some(message) = undelivered {
                    self.control.handle_undelivered(message);
                }
            } else if let Some(action) = self.control.poll_action() {
                self.act(action);
            } else if let Some(event) = self.control.poll_event() {
                self.handle_event(event);
            } else {
                break;
            }
        }
        self.control.shrink();
        let now = self.shared.clock.now();
        if self.closing.as_ref().is_some_and(|closing| closing.deadline <= now) {
            self.links.retain(|_, link| link.shared.is_admitted());
        }
        let end = self.closing.as_ref().map(|closing| {
            let at = if closing.deadline > now { closing.deadline } else { closing.until };
            Deadline { at, why: "shutdown" }
        });
        let look = self.listeners.interfaces.look_at.map(|at| Deadline { at, why: "interfaces" });
        self.timer.set(Deadline::sooner(self.control.poll_timeout(), Deadline::sooner(end, look)));
        let is_over = |closing: &Closing| closing.is_over && self.links.is_empty();
        self.closing.as_ref().is_some_and(|closing| is_over(closing) || closing.until <= now)
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Dial { conn, address } => {
                trace::dialing(conn, &address);
                let task = Task::spawn(sockets::dial(conn, address, self.kit.clone(), self.tell.clone()));
                self.dials.insert(conn, task);
            }
            Action::Abandon { conn } | Action::Close { conn } => drop(self.dials.remove(&conn)),
            Action::Resolve { resolve, question } => {
                let now = self.shared.clock.now();
                if self.resolves.len() < QUESTIONS_MAX {
                    let task = self.resolver.ask(now, resolve, question, self.tell.clone());
                    self.resolves.insert(resolve, task);
                } else {
                    self.control.handle_resolved(now, resolve, Err(TransportError::NameService));
                }
            }
            Action::Listen { address } => self.listeners.start(address, self.kit.clone(), self.tell.clone()),
            Action::Unlisten { address } => self.listeners.stop(&address, self.tell.clone()),
            _ => {}
        }
    }

    // ---- facts

    fn handle_fact(&mut self, now: Instant, fact: Fact) {
        match fact {
            Fact::Dialed { conn, socket } => {
                self.dials.remove(&conn);
                match socket {
                    Ok(socket) => {
                        if let Some(link) = self.control.handle_dialed(now, conn, random()) {
                            self.start(link, socket);
                        }
                    }
                    Err(cause) => {
                        trace::dial_failed(conn, cause);
                        self.control.handle_dial_failed(now, conn, cause);
                    }
                }
            }
            // What a listener had under way when the node began to end.
            Fact::Accepted { .. } | Fact::Listening { .. } if self.closing.is_some() => {}
            Fact::Accepted { socket, local, remote } => {
                match self.control.handle_accepted(now, local, remote.clone(), random()) {
                    Ok(link) => self.start(link, socket),
                    Err(denied) => trace::denied(&remote, denied),
                }
            }
            Fact::Listening { wanted, bound } => {
                self.listeners.bound(now, &wanted, &bound, &mut self.control);
                self.waiting.listened(&wanted, Ok(bound));
            }
            Fact::ListenFailed { wanted, cause } => {
                self.listeners.failed(&wanted);
                self.control.handle_listen_failed(wanted.clone(), cause);
                self.waiting.listened(&wanted, Err(ListenError::Bind(cause)));
            }
            Fact::FromLink { conn, message } => self.control.handle_control(now, conn, message),
            Fact::Unlistened { wanted } => {
                self.waiting.listened(&wanted, Err(ListenError::Unlistened));
                self.listeners.ended(now, &wanted, &mut self.control);
            }
            // The control has heard before this whether the connection may stay. If not, dropping resets the stream.
            Fact::Opened { conn, stream } => {
                if self.links.get(&conn).is_some_and(|link| link.shared.is_admitted()) {
                    self.shared.deliver(stream, None);
                }
            }
            Fact::Resolved { resolve, result } => {
                self.resolves.remove(&resolve);
                self.control.handle_resolved(now, resolve, result);
            }
            Fact::Undelivered(message) => self.control.handle_undelivered(message),
            Fact::LinkEnded { conn, cut } => {
                self.links.remove(&conn);
                if let Some(closing) = self.closing.as_mut().filter(|_| cut) {
                    closing.cut.insert(conn);
                }
            }
        }
    }

    fn start(&mut self, link: Link, socket: Socket) {
        let conn = link.id();
        let mut task = LinkTask::new(link, socket, self.shared.clone(), self.tell.clone());
        let shared = task.shared();
        let task = Task::spawn(shared.clone().span.run(async move { task.run().await }));
        self.links.insert(conn, LinkEntry { shared, _task: task });
    }

    // ---- events

    fn handle_event(&mut self, event: Event) {
        let link = trace::conn_of(&event).and_then(|conn| self.links.get(&conn));
        let round_trips = || Some(link?.shared.stats().ready?.round_trips);
        trace::tell(&event, link.map(|link| &link.shared.span), round_trips);
        match &event {
            Event::Dialed { request, conn, .. } => {
                if let Some(Pending::Conn(reply)) = self.shared.take_pending(*request) {
                    let _ = reply.send(Ok(*conn));
                }
                return;
            }
            Event::OpenFailed { request, error } => {
                if let Some(pending) = self.shared.take_pending(*request) {
                    pending.fail(error.clone());
                }
                return;
            }
            Event::Connected { conn, .. } => {
                if let Some(link) = self.links.get(conn) {
                    link.shared.admit();
                }
            }
            Event::Ping { conn, result, .. } => self.waiting.pinged(*conn, result),
            Event::PeerReady { peer, identify, .. } => {
                self.waiting.identified(peer, identify);
            }
            Event::ShutDown { .. } => {
                if let Some(closing) = &mut self.closing {
                    closing.is_over = true;
                }
            }
            Event::Disconnected { peer, conn, rule, .. } => {
                if let Some(closing) = self.closing.as_mut().filter(|_| *rule == Some(CloseRule::Cut)) {
                    closing.cut.insert(*conn);
                }
                self.waiting.pinged(*conn, &Err(PingError::Closed));
                if self.control.connections(peer).next().is_none() {
                    self.waiting.gone(peer);
                }
            }
            _ => {}
        }
        // Without a listener it is lost, as it should be.
        lock(&self.shared.events).tell(event);
    }

    // ---- commands

    fn handle_command(&mut self, now: Instant, command: Command) {
        let is_ending = self.closing.is_some();
        match command {
            // Their replies are dropped, which says so.
            Command::Open { .. } | Command::Connect { .. } | Command::Listen { .. } if is_ending => {}
            Command::Open { protocols, peer, how, ticket, reply } => {
                let request = self.control.open_stream(now, protocols, peer, how);
                let _ = ticket.set(request);
                lock(&self.shared.pending).insert(request, Pending::Stream(reply));
            }
            Command::Connect { peer, ticket, reply } => {
                let request = self.control.connect(now, peer);
                let _ = ticket.set(request);
                lock(&self.shared.pending).insert(request, Pending::Conn(reply));
            }
            Command::Cancel(ticket) => {
                let Some(request) = ticket.get() else { return };
                if self.shared.take_pending(*request).is_some() {
                    self.control.cancel(now, *request);
                }
            }
            Command::Listen { address, reply } => self.listen(address, reply),
            Command::Unlisten { address, reply } => match self.listeners.expect_end(&address, reply) {
                Ok(()) => drop(self.control.unlisten(&address)),
                Err(reply) => drop(reply.send(false)),
            },
            Command::SetHandler { handler, scope, gone } => {
                let id = match scope {
                    Scope::Names(protocols) => self.control.set_stream_handler(protocols),
                    Scope::Where(accepts) => self.control.set_stream_handler_where(move |name| accepts(name)),
                };
                self.handlers.insert(handler, id);
                self.handlers.retain(|handler, _| !gone.contains(handler));
            }
            Command::RemoveHandler { handler } => {
                if let Some(id) = self.handlers.remove(&handler) {
                    self.control.remove_stream_handler(id);
                }
            }
            Command::Call(call) => call(&mut self.control, now),
            Command::Ping { peer, reply } => self.waiting.ping(&mut self.control, &peer, reply),
            Command::Identify { peer, reply } => self.waiting.identify(&self.control, peer, reply),
            Command::Stats { peer, reply } => {
                let link = self.control.connections(&peer).next().and_then(|conn| self.links.get(&conn));
                let _ = reply.send(link.map(|link| link.shared.stats()));
            }
            Command::Disconnect { peer, reply } => drop(reply.send(self.control.disconnect(now, peer))),
            Command::Shutdown { deadline, reply } => self.close(now, deadline, Some(reply)),
        }
    }

    fn listen(&mut self, address: Multiaddr, reply: Reply<Result<Multiaddr, ListenError>>) {
        match self.control.listen(address.clone()) {
            Ok(()) => self.waiting.listen(address, reply),
            Err(error) => drop(reply.send(Err(ListenError::Refused(error)))),
        }
    }

    // ---- the end

    /// Begins to end: nothing new, a goodbye to every peer that has no stream, and in time to all.
    fn close(&mut self, now: Instant, deadline: Duration, reply: Option<Reply<usize>>) {
        let (end, until) = (now + deadline, now + deadline + self.goodbye);
        if let Some(closing) = &mut self.closing {
            (closing.deadline, closing.until) = (closing.deadline.min(end), closing.until.min(until));
            closing.replies.extend(reply);
            return;
        }
        let replies = reply.into_iter().collect();
        self.closing = Some(Closing { deadline: end, until, replies, cut: BTreeSet::new(), is_over: false });
        self.listeners.stop_all();
        self.waiting.stop_listening();
        let handlers = lock(&self.shared.handlers).close();
        drop(handlers); // The user's code, dropped without the lock.
        self.control.shutdown(now, deadline);
        if deadline.is_zero() {
            self.control.handle_timeout(now);
        }
        // Those that wait for a dial get its report; those that wait for an agreement, which may never come, do so in vain.
        while let Some(event) = self.control.poll_event() {
            self.handle_event(event);
        }
        self.fail_pending();
    }

    fn fail_pending(&self) {
        let pending = core::mem::take(&mut *lock(&self.shared.pending));
        for pending in pending.into_values() {
            pending.fail(SHUT_DOWN);
        }
    }
}

impl Drop for ControlTask {
    /// However the task ends, in a runtime that is shut down for example: nobody waits for it in vain.
    fn drop(&mut self) {
        self.fail_pending();
        *lock(&self.shared.events) = Audience::Ended;
    }
}

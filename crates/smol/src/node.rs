//! The handle on a node, and what all its tasks share.

use core::{pin::Pin, task::Waker, time::Duration};
use std::{
    collections::BTreeMap,
    fmt, io,
    net::TcpListener,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_channel::{Receiver, Sender};
use async_io::Async;
use sanswarm::{
    Action, Config, ConnId, Counters, Event, HandlerId, Instant, Multiaddr, OpenId, OpenStreamError, PeerId, PeerInfo,
    Protocols, SigningError, StreamId,
};

use sanswarm_host::{
    multiaddr, socket_addr,
    trace::{self, Span},
    unix_seconds,
};

use crate::{
    link::Conn,
    stream::{Slot, Stream},
    tasks,
};

/// A task of the node's, for an executor.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Streams of one handler that wait to be taken. What a peer opens beyond is reset.
pub const INCOMING_MAX: usize = 256;

/// How long goodbyes may take when the last handle was dropped.
const FAREWELL: Duration = Duration::from_secs(5);

/// A handle on a node. When the last one is dropped the node says goodbye and ends.
#[derive(Clone)]
pub struct Node(Arc<Handle>);

struct Handle(Arc<Shared>);

/// What the handle, the tasks and the streams of a node share.
pub(crate) struct Shared {
    state: Mutex<State>,
    start: std::time::Instant,
    spawn: Box<dyn Fn(Task) + Send + Sync>,
}

pub(crate) struct State {
    pub(crate) node: sanswarm::Node,
    pub(crate) conns: BTreeMap<ConnId, Conn>,
    pub(crate) slots: BTreeMap<StreamId, Slot>,
    /// Ends the task of a dial when it is dropped.
    pub(crate) dials: BTreeMap<ConnId, Sender<()>>,
    listeners: BTreeMap<Multiaddr, Async<TcpListener>>,
    requests: BTreeMap<OpenId, Sender<Result<Stream, OpenStreamError>>>,
    handlers: BTreeMap<HandlerId, Sender<Stream>>,
    /// Dropped when the node begins to shut down: its listeners end.
    running: Option<(Sender<()>, Receiver<()>)>,
    /// Who wants to know how many connections were cut.
    shutting: Vec<Sender<usize>>,
    /// Once it has shut down: how many.
    pub(crate) cut: Option<usize>,
    /// The task of the timer, and what it waits for.
    pub(crate) timer: (Option<Waker>, Option<Instant>),
    pub(crate) later: Vec<Later>,
}

/// What is done behind the lock: it runs code of the user's, or takes the lock itself.
pub(crate) type Later = Box<dyn FnOnce() + Send>;

/// The default configuration with a new Ed25519 identity.
///
/// # Errors
/// The system has no randomness to give.
pub fn config() -> io::Result<Config> {
    let config = sanswarm_host::identity().and_then(sanswarm_host::config);
    config.map_err(|_| io::Error::other("the system has no randomness to give"))
}

impl Node {
    /// Starts a node whose tasks `spawn` gives to an executor: `|task| smol::spawn(task).detach()`.
    ///
    /// # Errors
    /// [`SigningError`] if the identity cannot sign.
    pub fn new(mut config: Config, spawn: impl Fn(Task) + Send + Sync + 'static) -> Result<Self, SigningError> {
        config.unix_seconds = config.unix_seconds.or_else(unix_seconds);
        let mut node = sanswarm::Node::new(config)?;
        node.set_resolves(true);
        let state = State {
            node,
            conns: BTreeMap::new(),
            slots: BTreeMap::new(),
            dials: BTreeMap::new(),
            listeners: BTreeMap::new(),
            requests: BTreeMap::new(),
            handlers: BTreeMap::new(),
            running: Some(async_channel::bounded(1)),
            shutting: Vec::new(),
            cut: None,
            timer: (None, None),
            later: Vec::new(),
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), start: tasks::clock(), spawn: Box::new(spawn) });
        (shared.spawn)(Box::pin(tasks::timer(shared.clone())));
        Ok(Self(Arc::new(Handle(shared))))
    }

    /// Who this node is.
    pub fn id(&self) -> PeerId {
        self.0.0.lock().node.id()
    }

    /// Listens on a TCP address and returns the one that was bound.
    ///
    /// # Errors
    /// What the system said; [`io::ErrorKind::InvalidInput`] for an address that no TCP socket has, or that the node refuses.
    pub fn listen(&self, address: Multiaddr) -> io::Result<Multiaddr> {
        let address = socket_addr(&address).ok_or(io::ErrorKind::InvalidInput)?;
        let socket = TcpListener::bind(address)?;
        let bound = multiaddr(socket.local_addr()?);
        let socket = Async::new(socket)?;
        let refused = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        self.0.0.call(|state, _| {
            state.node.listen(bound.clone()).map_err(refused)?;
            state.listeners.insert(bound.clone(), socket);
            Ok(bound)
        })
    }

    /// Opens a stream to a peer for the first of `protocols` that it speaks; connects first where there is no connection.
    /// Dropping the future gives the request up.
    ///
    /// # Errors
    /// [`OpenStreamError`]: each address and how far it came, or what was offered and refused.
    pub async fn open_stream(
        &self,
        protocols: impl Into<Protocols>,
        peer: impl Into<PeerInfo>,
    ) -> Result<Stream, OpenStreamError> {
        struct Request<'a>(&'a Arc<Shared>, OpenId);
        impl Drop for Request<'_> {
            fn drop(&mut self) {
                self.0.call(|state, now| state.requests.remove(&self.1).map(|_| state.node.cancel(now, self.1)));
            }
        }
        let (protocols, peer) = (protocols.into(), peer.into());
        let (sender, answer) = async_channel::bounded(1);
        let request = self.0.0.call(|state, now| {
            let request = state.node.open_stream(now, protocols, peer);
            state.requests.insert(request, sender);
            request
        });
        let _request = Request(&self.0.0, request);
        answer.recv().await.unwrap_or(Err(OpenStreamError::Closed(Ok(sanswarm::CloseReason::Local))))
    }

    /// Takes inbound streams of `protocols`, until the receiver is dropped: the next stream is reset then, and further ones are
    /// refused.
    pub fn set_stream_handler(&self, protocols: impl Into<Protocols>) -> Receiver<Stream> {
        let (sender, receiver) = async_channel::bounded(INCOMING_MAX);
        let protocols = protocols.into();
        self.0.0.call(|state, _| state.handlers.insert(state.node.set_stream_handler(protocols), sender));
        receiver
    }

    /// What the node has done since its start, and what it has now.
    pub fn counters(&self) -> Counters {
        self.0.0.call(|state, _| state.node.counters())
    }

    /// Ends the node: nothing new, goodbyes, and after `deadline` whatever is left is cut. Returns how many connections were.
    pub async fn shutdown(self, deadline: Duration) -> usize {
        let (sender, cut) = async_channel::bounded(1);
        self.0.0.call(|state, now| {
            state.shutting.push(sender);
            state.shut_down(now, deadline);
        });
        cut.recv().await.unwrap_or(0)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.call(|state, now| state.shut_down(now, FAREWELL));
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("id", &self.id()).finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn now(&self) -> Instant {
        Instant::from_micros(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// The time of the reactor at a time of the node.
    pub(crate) fn at(&self, at: Instant) -> Option<std::time::Instant> {
        self.start.checked_add(Duration::from_micros(at.as_micros()))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls the node, lets it go on until it rests, and starts what it asks for.
    pub(crate) fn call<R>(self: &Arc<Self>, call: impl FnOnce(&mut State, Instant) -> R) -> R {
        let now = self.now();
        let mut state = self.lock();
        let result = call(&mut state, now);
        state.go_on(self, now);
        let later = core::mem::take(&mut state.later);
        drop(state);
        later.into_iter().for_each(|act| act());
        result
    }
}

impl State {
    /// Lets the node go on until it rests.
    pub(crate) fn go_on(&mut self, shared: &Arc<Shared>, now: Instant) {
        loop {
            while let Some(event) = self.node.poll_event(now) {
                self.handle_event(shared, event);
            }
            let Some(action) = self.node.poll_action() else { break };
            self.act(shared, action);
        }
        while let Some(conn) = self.node.poll_transmit() {
            let task = self.conns.get_mut(&conn).and_then(|conn| conn.task.take());
            self.wake(task);
        }
        let due = self.node.poll_timeout().map(|deadline| deadline.at);
        if due.is_some_and(|due| self.timer.1.is_none_or(|armed| due < armed)) {
            let task = self.timer.0.take();
            self.wake(task);
        }
    }

    fn wake(&mut self, wakers: impl IntoIterator<Item = Waker>) {
        self.later.extend(wakers.into_iter().map(|waker| Box::new(|| waker.wake()) as Later));
    }

    fn start(&mut self, shared: &Arc<Shared>, task: impl Future<Output = ()> + Send + 'static) {
        let shared = shared.clone();
        self.later.push(Box::new(move || (shared.spawn)(Box::pin(task))));
    }

    /// Tells what happens, behind the lock: who listens is the user's code.
    fn trace(&mut self, event: &Event) {
        let Some(event) = trace::wanted(event) else { return };
        let conn = trace::conn_of(&event);
        let round_trips = conn.and_then(|conn| Some(self.node.stats(conn)?.ready?.round_trips));
        let span = conn.and_then(|conn| self.conns.get(&conn)).map(|conn| conn.span.clone());
        self.later.push(Box::new(move || trace::tell(&event, span.as_ref(), || round_trips)));
    }

    fn handle_event(&mut self, shared: &Arc<Shared>, event: Event) {
        self.trace(&event);
        match event {
            Event::Opened { handler, request, stream, protocol, peer } => {
                self.slots.insert(stream, Slot::default());
                let request = request.and_then(|request| self.requests.remove(&request));
                let handler = handler.and_then(|handler| self.handler(handler));
                let stream = Stream::new(shared.clone(), stream, peer, protocol);
                // Whom nobody takes is dropped, which resets it.
                self.later.push(Box::new(move || match (request, handler) {
                    (Some(request), _) => drop(request.try_send(Ok(stream))),
                    (None, Some(handler)) => drop(handler.try_send(stream)),
                    (None, None) => drop(stream),
                }));
            }
            Event::OpenFailed { request, error } => {
                if let Some(request) = self.requests.remove(&request) {
                    self.later.push(Box::new(move || drop(request.try_send(Err(error)))));
                }
            }
            Event::Readable { stream } | Event::Writable { stream } | Event::Finished { stream } => self.tell(stream),
            Event::Reset { stream } => self.tell(stream),
            Event::Refused { stream, refusal } => {
                self.tell(stream);
                self.slots.entry(stream).or_default().refusal = Some(refusal);
            }
            Event::Disconnected { conn, .. } => {
                let of_conn = self.slots.iter_mut().filter(|(stream, _)| stream.conn == conn);
                let wakers: Vec<_> = of_conn.flat_map(|(_, slot)| slot.wakers.drain(..)).collect();
                self.wake(wakers);
            }
            Event::ShutDown { cut } => {
                self.cut = Some(cut);
                self.handlers.clear();
                let timer = self.timer.0.take();
                self.wake(timer);
                self.answer();
            }
            _ => {}
        }
    }

    /// Where a handler's streams go. One whose receiver is no more handles nothing any more.
    fn handler(&mut self, id: HandlerId) -> Option<Sender<Stream>> {
        let handler = self.handlers.get(&id)?.clone();
        if handler.is_closed() {
            self.handlers.remove(&id);
            self.node.remove_stream_handler(id);
        }
        Some(handler)
    }

    fn shut_down(&mut self, now: Instant, deadline: Duration) {
        (self.running, self.listeners) = Default::default();
        self.node.shutdown(now, deadline);
        self.answer();
    }

    /// Tells those who wait for the end, if it has come.
    fn answer(&mut self) {
        if let Some(cut) = self.cut {
            self.shutting.drain(..).for_each(|reply| _ = reply.try_send(cut));
        }
    }

    /// Whoever waits for a stream looks again.
    fn tell(&mut self, stream: StreamId) {
        let wakers = self.slots.get_mut(&stream).map(|slot| core::mem::take(&mut slot.wakers));
        self.wake(wakers.into_iter().flatten());
    }

    fn act(&mut self, shared: &Arc<Shared>, action: Action) {
        match action {
            Action::Dial { conn, address } => {
                trace::dialing(conn, &address);
                let (dial, abandoned) = async_channel::bounded(1);
                self.dials.insert(conn, dial);
                self.start(shared, tasks::dial(shared.clone(), conn, address, abandoned));
            }
            Action::Resolve { resolve, question } => {
                self.start(shared, tasks::resolve(shared.clone(), resolve, question));
            }
            Action::Abandon { conn } => drop(self.dials.remove(&conn)),
            Action::Listen { address } => {
                if let Some((socket, (_, running))) = self.listeners.remove(&address).zip(self.running.clone()) {
                    self.node.handle_listening(address);
                    self.start(shared, tasks::accept(shared.clone(), socket, running));
                }
            }
            Action::Shutdown { conn } => {
                let conn = self.conns.get_mut(&conn);
                let task = conn.and_then(|conn| {
                    conn.is_shut = true;
                    conn.task.take()
                });
                self.wake(task);
            }
            Action::Close { conn } => {
                self.dials.remove(&conn);
                let task = self.conns.remove(&conn).and_then(|conn| conn.task);
                self.wake(task);
            }
            _ => {}
        }
    }

    /// A connection has a socket: its task begins.
    pub(crate) fn add(&mut self, shared: &Arc<Shared>, conn: ConnId, socket: Async<std::net::TcpStream>, span: Span) {
        let _ = socket.get_ref().set_nodelay(true);
        let task = span.run(crate::link::run(shared.clone(), conn, socket));
        self.conns.insert(conn, Conn { span, ..Conn::default() });
        self.start(shared, task);
    }
}

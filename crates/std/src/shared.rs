//! What all threads of a node share, and the orders to its control.

use core::{fmt, time::Duration};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
};

use sanswarm::{
    Answer, ConnId, Control, IdentifyError, Info, Instant, Multiaddr, Open, OpenId, OpenStreamError, PeerId, PeerInfo,
    PingError, Protocols, ResolveId, ToControl, TransportError,
};

use crate::{
    LinkStats, ListenError, Stream,
    clock::Clock,
    conn::Conn,
    events::Hub,
    socket::Socket,
    threads::{Kind, Threads, lock},
};
use sanswarm_host::{Handlers, Scope};

/// What handles inbound streams.
pub(crate) type Run = Arc<dyn Fn(Stream) + Send + Sync>;

/// The answer to a request for a stream.
pub(crate) type Opened = Result<Stream, OpenStreamError>;

pub(crate) struct Shared {
    pub(crate) id: PeerId,
    pub(crate) clock: Clock,
    pub(crate) threads: Arc<Threads>,
    pub(crate) hub: Hub,
    /// Streams that may be handled at once.
    pub(crate) handlers_max: usize,
    /// How long a ping may take, with its stream.
    pub(crate) ping_timeout: Duration,
    commands: Sender<Command>,
    /// Who waits for a stream.
    requests: Mutex<BTreeMap<OpenId, SyncSender<Opened>>>,
    pub(crate) handlers: Mutex<Handlers<Run>>,
}

/// What a handle does where the control is.
pub(crate) type Call = Box<dyn FnOnce(&mut Control, Instant) + Send>;

/// An order to the control, or a fact. Whoever waits for an answer sees its sender dropped when the node has ended.
pub(crate) enum Command {
    Open {
        protocols: Protocols,
        peer: PeerInfo,
        how: Open,
        reply: SyncSender<Opened>,
    },
    Connect {
        peer: PeerInfo,
        reply: SyncSender<Result<ConnId, OpenStreamError>>,
    },
    Listen {
        address: Multiaddr,
        reply: SyncSender<Result<Multiaddr, ListenError>>,
    },
    Unlisten {
        address: Multiaddr,
        reply: SyncSender<bool>,
    },
    SetHandler {
        handler: u64,
        scope: Scope,
        /// Those that have no name left.
        gone: Vec<u64>,
        done: SyncSender<()>,
    },
    RemoveHandler {
        handler: u64,
        done: SyncSender<()>,
    },
    /// Something that is done where the control is, and answered by itself.
    Call(Call),
    Ping {
        peer: PeerId,
        reply: SyncSender<Result<Duration, PingError>>,
    },
    Identify {
        peer: PeerId,
        reply: SyncSender<Result<Info, IdentifyError>>,
    },
    Stats {
        peer: PeerId,
        reply: SyncSender<Option<LinkStats>>,
    },
    Disconnect {
        peer: PeerId,
        reply: SyncSender<usize>,
    },
    Shutdown {
        deadline: Duration,
        reply: SyncSender<usize>,
    },
    Dialed {
        conn: ConnId,
        result: Result<Socket, TransportError>,
    },
    /// The acceptor goes on when `done` is dropped.
    Accepted {
        socket: Socket,
        local: Multiaddr,
        remote: Multiaddr,
        done: SyncSender<()>,
    },
    Told {
        conn: Arc<Conn>,
        message: ToControl,
    },
    Resolved {
        resolve: ResolveId,
        result: Result<Answer, TransportError>,
    },
    /// The thread of a listener has ended, and its socket is closed.
    Unlistened {
        wanted: Multiaddr,
    },
    /// A stream that came before the control let its connection in.
    Inbound {
        stream: Stream,
    },
    /// The threads of a connection have ended, and left bytes unsent if it was `cut`.
    Ended {
        conn: ConnId,
        cut: bool,
    },
}

impl Shared {
    pub(crate) fn new(id: PeerId, handlers_max: usize, ping_timeout: Duration) -> (Arc<Self>, Receiver<Command>) {
        let (commands, receiver) = channel();
        let shared = Self {
            id,
            clock: Clock::new(),
            threads: Arc::default(),
            hub: Hub::default(),
            handlers_max,
            ping_timeout,
            commands,
            requests: Mutex::default(),
            handlers: Mutex::default(),
        };
        (Arc::new(shared), receiver)
    }

    /// Never blocks. A node that has ended drops the order.
    pub(crate) fn command(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    /// Gives an order and returns where its answer comes.
    pub(crate) fn order<T>(&self, make: impl FnOnce(SyncSender<T>) -> Command) -> Receiver<T> {
        // One answer comes at most, and it finds room.
        let (reply, answer) = sync_channel(1);
        self.command(make(reply));
        answer
    }

    /// Gives an order and waits for its answer. `None`: the node has ended.
    pub(crate) fn ask<T>(&self, make: impl FnOnce(SyncSender<T>) -> Command) -> Option<T> {
        self.order(make).recv().ok()
    }

    pub(crate) fn expect_stream(&self, request: OpenId, reply: SyncSender<Opened>) {
        lock(&self.requests).insert(request, reply);
    }

    /// Not under the lock of a connection: a stream that nobody waits for is dropped here.
    pub(crate) fn answer_stream(&self, request: OpenId, stream: Stream) {
        let reply = lock(&self.requests).remove(&request);
        if let Some(reply) = reply {
            let _ = reply.send(Ok(stream));
        }
    }

    pub(crate) fn answer_open(&self, request: OpenId, error: OpenStreamError) {
        let reply = lock(&self.requests).remove(&request);
        if let Some(reply) = reply {
            let _ = reply.send(Err(error));
        }
    }

    /// Runs the handler of an inbound stream on a thread of its own. Without a handler or a thread the stream is
    /// dropped, and so reset; therefore not under the lock of a connection.
    pub(crate) fn serve(&self, stream: Stream) {
        let candidates = lock(&self.handlers).of(stream.protocol());
        if let Some(run) = candidates.choose(stream.protocol()) {
            let span = stream.span();
            let handle = move || span.handle(|| run(stream));
            let _ = self.threads.spawn(Kind::Handler, "sanswarm-stream", self.handlers_max, handle);
        }
    }

    /// The node begins to end: those who wait for a stream wait in vain, and no new stream of a peer's is handled.
    pub(crate) fn close(&self) {
        // Dropped after the lock: they are the user's.
        let _requests = core::mem::take(&mut *lock(&self.requests));
        let _handlers = lock(&self.handlers).close();
    }

    /// The control has ended: nobody is kept waiting, and nothing of the user's is kept.
    pub(crate) fn end(&self) {
        self.hub.end();
        self.close();
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("id", &self.id).finish_non_exhaustive()
    }
}

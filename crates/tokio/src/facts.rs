//! What the tasks of a node tell its control task, and what its handles ask of it.

use core::time::Duration;
use std::sync::{Arc, OnceLock};

use sanswarm::{
    Answer, ConnId, Control, IdentifyError, Info, Instant, Multiaddr, Open, OpenId, OpenStreamError, PeerId, PeerInfo,
    PingError, Protocols, ResolveId, ToControl, ToLink, TransportError,
};
use sanswarm_host::Scope;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{LinkStats, ListenError, Stream, socket::Socket};

/// How many facts wait for the control task before those who tell them have to wait.
pub(crate) const FACTS_MAX: usize = 256;

pub(crate) type Reply<T> = oneshot::Sender<T>;

/// What a request is called, once the control task has seen it.
pub(crate) type Ticket = Arc<OnceLock<OpenId>>;

/// What a handle does where the control is.
pub(crate) type Call = Box<dyn FnOnce(&mut Control, Instant) + Send>;

/// What a handle asks for.
pub(crate) enum Command {
    Open {
        protocols: Protocols,
        peer: PeerInfo,
        how: Open,
        ticket: Ticket,
        reply: Reply<Result<Stream, OpenStreamError>>,
    },
    Connect {
        peer: PeerInfo,
        ticket: Ticket,
        reply: Reply<Result<ConnId, OpenStreamError>>,
    },
    /// Nobody waits for the answer any more.
    Cancel(Ticket),
    Listen {
        address: Multiaddr,
        reply: Reply<Result<Multiaddr, ListenError>>,
    },
    Unlisten {
        address: Multiaddr,
        reply: Reply<bool>,
    },
    SetHandler {
        handler: u64,
        scope: Scope,
        /// Those that have no name left.
        gone: Vec<u64>,
    },
    RemoveHandler {
        handler: u64,
    },
    /// Something that is done where the control is, and answered by itself.
    Call(Call),
    Ping {
        peer: PeerId,
        reply: Reply<Result<Duration, PingError>>,
    },
    Identify {
        peer: PeerId,
        reply: Reply<Result<Info, IdentifyError>>,
    },
    Stats {
        peer: PeerId,
        reply: Reply<Option<LinkStats>>,
    },
    Disconnect {
        peer: PeerId,
        reply: Reply<usize>,
    },
    Shutdown {
        deadline: Duration,
        reply: Reply<usize>,
    },
}

/// What has happened.
pub(crate) enum Fact {
    Dialed {
        conn: ConnId,
        socket: Result<Socket, TransportError>,
    },
    Resolved {
        resolve: ResolveId,
        result: Result<Answer, TransportError>,
    },
    /// `wanted` is bound, as `bound`.
    Listening {
        wanted: Multiaddr,
        bound: Multiaddr,
    },
    ListenFailed {
        wanted: Multiaddr,
        cause: TransportError,
    },
    /// A listener has ended by command: its socket is closed.
    Unlistened {
        wanted: Multiaddr,
    },
    Accepted {
        socket: Socket,
        local: Multiaddr,
        remote: Multiaddr,
    },
    FromLink {
        conn: ConnId,
        message: ToControl,
    },
    /// A peer has opened a stream on a connection that was not admitted yet, as far as its task knows.
    Opened {
        conn: ConnId,
        stream: Stream,
    },
    /// The link had ended before it came.
    Undelivered(ToLink),
    /// The task of a link has ended, and left bytes unsent if it was `cut`.
    LinkEnded {
        conn: ConnId,
        cut: bool,
    },
}

/// A request of ours that has no answer yet.
pub(crate) enum Pending {
    Stream(Reply<Result<Stream, OpenStreamError>>),
    Conn(Reply<Result<ConnId, OpenStreamError>>),
}

impl Pending {
    pub(crate) fn fail(self, error: OpenStreamError) {
        match self {
            Self::Stream(reply) => drop(reply.send(Err(error))),
            Self::Conn(reply) => drop(reply.send(Err(error))),
        }
    }
}

/// Ends a task when it is dropped.
#[derive(Debug)]
pub(crate) struct Task(JoinHandle<()>);

impl Task {
    pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(future))
    }

    /// Ends the task and waits until it has let go of what it had.
    pub(crate) async fn end(mut self) {
        self.0.abort();
        let _ = (&mut self.0).await;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

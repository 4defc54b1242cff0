//! What a node has to say, to its user and to its driver.

use core::time::Duration;

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_connection as connection;
use sanswarm_multistream::ProtocolName;
use sanswarm_swarm::{ConnId, Question, ResolveId, TransportError};
use sanswarm_wire::{Key, Role};

use crate::{
    CloseReason, CloseRule, HandlerId, IdentifyError, Info, Muxer, OpenStreamError, PingError, Refusal, Security,
};

/// The name of a request for a stream or a connection. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpenId(pub(crate) Key);

/// A stream of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// The connection.
    pub conn: ConnId,
    /// The stream on it.
    pub stream: connection::StreamId,
}

/// What the user of a node may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// An address is listened on.
    Listening {
        /// The address bound, without the peer id.
        address: Multiaddr,
    },
    /// An address is listened on no more, by [`unlisten`](crate::Control::unlisten).
    Unlistened {
        /// The address that was bound; that of the command, if none was yet.
        address: Multiaddr,
    },
    /// An address is not, or no longer, listened on.
    ListenFailed {
        /// The address.
        address: Multiaddr,
        /// What the system said.
        cause: TransportError,
    },
    /// A connection is there: security and muxer are done.
    Connected {
        /// Who is at the other end.
        peer: PeerId,
        /// The connection.
        conn: ConnId,
        /// Which end we are.
        role: Role,
        /// The other end's address.
        address: Multiaddr,
        /// The security protocol; `None` if the pipe was secure already.
        security: Option<Security>,
        /// The muxer.
        muxer: Muxer,
    },
    /// A peer has told who it is, or will not. Once a connection, after `Connected`.
    PeerReady {
        /// Who is at the other end.
        peer: PeerId,
        /// The connection.
        conn: ConnId,
        /// What it said of itself.
        identify: Result<Info, IdentifyError>,
    },
    /// A peer has told what has changed about it (identify/push).
    PeerChanged {
        /// Who is at the other end.
        peer: PeerId,
        /// The connection.
        conn: ConnId,
        /// What it says of itself now.
        info: Info,
    },
    /// A connection is gone, and its streams with it.
    Disconnected {
        /// Who was at the other end.
        peer: PeerId,
        /// The connection; stale now.
        conn: ConnId,
        /// Who ended it, or what did.
        reason: Result<CloseReason, connection::Error>,
        /// The rule by which we ended it, if we did: asked for, idle, trimmed, surplus, blocked, shutting down.
        rule: Option<CloseRule>,
    },
    /// A [`shutdown`](crate::Control::shutdown) has come to its end: there is no connection any more.
    ShutDown {
        /// How many connections were in use when time was up.
        cut: usize,
    },
    /// A connection that was accepted did not come about.
    AcceptFailed {
        /// The other end's address.
        address: Multiaddr,
        /// Why.
        error: connection::Error,
    },
    /// A peer is connected: the answer to `connect` and to `dial`.
    Dialed {
        /// The request.
        request: OpenId,
        /// The connection.
        conn: ConnId,
        /// Who is at the other end.
        peer: PeerId,
    },
    /// The answer to a request that could not be met.
    OpenFailed {
        /// The request.
        request: OpenId,
        /// Why.
        error: OpenStreamError,
    },
    /// A stream is open.
    Opened {
        /// The handler that was set for its protocol, if the peer opened it.
        handler: Option<HandlerId>,
        /// The request that it answers, if we opened it.
        request: Option<OpenId>,
        /// The stream.
        stream: StreamId,
        /// What was agreed on; or, where payload may be written before the agreement, what was proposed.
        protocol: ProtocolName,
        /// Who is at the other end.
        peer: PeerId,
    },
    /// A stream that was open before the agreement was refused then. Its id is stale now.
    Refused {
        /// The stream.
        stream: StreamId,
        /// What was offered and what happened.
        refusal: Refusal,
    },
    /// There is something to read. Comes again after a read found nothing.
    Readable {
        /// The stream.
        stream: StreamId,
    },
    /// A write that came short can go on.
    Writable {
        /// The stream.
        stream: StreamId,
    },
    /// The peer sends nothing more on this stream. What has arrived can still be read.
    Finished {
        /// The stream.
        stream: StreamId,
    },
    /// The peer has reset the stream. Its id is stale now.
    Reset {
        /// The stream.
        stream: StreamId,
    },
    /// The result of a ping.
    Ping {
        /// Who was pinged.
        peer: PeerId,
        /// Over which connection.
        conn: ConnId,
        /// The round-trip time, or why there is none.
        result: Result<Duration, PingError>,
    },
}

/// What the driver must do next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Connect to an address. Answer with `handle_dialed` or `handle_dial_failed`.
    Dial {
        /// The connection to be.
        conn: ConnId,
        /// Where to, without a trailing `/p2p/…`.
        address: Multiaddr,
    },
    /// Stop connecting: nobody waits for it any more. Should the socket be connected by now, drop it.
    Abandon {
        /// The connection that is not to be.
        conn: ConnId,
    },
    /// Ask the name service, and answer with `handle_resolved`. Only with [`set_resolves`](crate::Control::set_resolves).
    Resolve {
        /// The question's name.
        resolve: ResolveId,
        /// What to ask.
        question: Question,
    },
    /// Listen on an address. Answer with `handle_listening` for each address bound, or `handle_listen_failed`.
    Listen {
        /// Where.
        address: Multiaddr,
    },
    /// Listen there no more. Answer with `handle_unlistened`; if there is no such listener any more, not at all.
    Unlisten {
        /// The address of an [`Action::Listen`], or one that was bound for it.
        address: Multiaddr,
    },
    /// All has been sent: shut the sending half of the socket down.
    Shutdown {
        /// The connection.
        conn: ConnId,
    },
    /// Drop the socket. The connection is stale.
    Close {
        /// The connection.
        conn: ConnId,
    },
}

//! What a swarm says: to its driver and to the layer above.

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_wire::Role;

use crate::{Attempt, CloseReason, ConnId, DialError, DialId, Question, ResolveId, Security, TransportError};

/// What the driver is to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Connect to an address. Answered by `handle_dialed` or `handle_dial_failed`.
    Dial {
        /// The connection to be.
        conn: ConnId,
        /// Where to, without a trailing `/p2p/…`.
        address: Multiaddr,
        /// Who must be there; `None` takes whoever is.
        peer: Option<PeerId>,
        /// What the connection needs before it is ready.
        security: Security,
    },
    /// Stop connecting. `conn` is stale; should the socket be connected by now, drop it.
    Abandon {
        /// The connection that is not to be.
        conn: ConnId,
    },
    /// Close a connection that is upgrading or ready. If it was ready, `handle_closed` is awaited, else `conn` is stale.
    Close {
        /// The connection.
        conn: ConnId,
        /// Why.
        reason: CloseReason,
    },
    /// Ask the name service. Answered by `handle_resolved`. Only with [`set_resolves`](crate::Swarm::set_resolves).
    Resolve {
        /// The question's name; it may go stale before its answer is there.
        resolve: ResolveId,
        /// What to ask.
        question: Question,
    },
    /// Listen on an address. Answered by `handle_listening` for each address bound, or by `handle_listen_failed`.
    Listen {
        /// Where.
        address: Multiaddr,
    },
    /// Listen there no more. Answered by `handle_unlistened`; if there is no such listener any more, by nothing.
    Unlisten {
        /// The address of an [`Action::Listen`], or one that was bound for it.
        address: Multiaddr,
    },
}

/// What the layer above may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A connection is ready. Once for each.
    Connected {
        /// The connection.
        conn: ConnId,
        /// Who is at the other end.
        peer: PeerId,
        /// Which end we are.
        role: Role,
        /// The other end's address.
        address: Multiaddr,
    },
    /// A connection that was ready has closed. Once for each.
    Disconnected {
        /// The connection; stale now.
        conn: ConnId,
        /// Who was at the other end.
        peer: PeerId,
        /// Why the swarm had it closed; `None` if it did not.
        reason: Option<CloseReason>,
    },
    /// A dial has succeeded: the answer to `dial`.
    Dialed {
        /// The dial; stale now.
        dial: DialId,
        /// The connection: of this dial, of another to the same peer, or one that was there.
        conn: ConnId,
        /// Who is at the other end.
        peer: PeerId,
    },
    /// A dial has failed: the answer to `dial`.
    DialFailed {
        /// The dial; stale now.
        dial: DialId,
        /// Whom it was for, if that was known.
        peer: Option<PeerId>,
        /// How it ended.
        cause: DialError,
        /// What became of each address, in the order in which they ended.
        attempts: Vec<Attempt>,
    },
    /// A shutdown has come to its end: there is no connection any more.
    ShutDown {
        /// How many connections were in use when time was up.
        cut: usize,
    },
    /// An address is listened on.
    Listening {
        /// The address bound.
        address: Multiaddr,
    },
    /// An address is listened on no more, by command.
    Unlistened {
        /// The address that was bound; that of the command, if none was yet.
        address: Multiaddr,
    },
    /// An address is not, or no longer, listened on.
    ListenFailed {
        /// The address of the command, or the one bound.
        address: Multiaddr,
        /// What the system said.
        cause: TransportError,
    },
}

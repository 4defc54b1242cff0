//! What a [`Control`](crate::Control) and its [`Link`](crate::Link)s tell each other. A driver carries these values and
//! cannot misread them.

use core::time::Duration;
use std::sync::Arc;

use libp2p_identity::PeerId;
use sanswarm_connection as connection;
use sanswarm_identify as identify;

use crate::{
    CloseReason, IdentifyError, Info, Muxer, Open, OpenId, PingError, Protocols, Security, counters::Labels,
    protocols::Handlers,
};

/// A message from a [`Control`](crate::Control) to one of its [`Link`](crate::Link)s.
#[derive(Clone, Debug)]
pub struct ToLink(pub(crate) ToLinkKind);

#[derive(Clone, Debug)]
pub(crate) enum ToLinkKind {
    Open {
        request: OpenId,
        protocols: Protocols,
        how: Open,
        labels: Arc<Labels>,
    },
    Ping,
    /// The handlers have changed, and with them what identify says.
    Handlers {
        handlers: Arc<Handlers>,
        labels: Arc<Labels>,
        info: Arc<identify::Info>,
    },
    /// The node is shutting down: it waits for the last stream to end.
    Drain,
    Close,
}

/// A message from a [`Link`](crate::Link) to its [`Control`](crate::Control).
#[derive(Clone, Debug)]
pub struct ToControl(pub(crate) ToControlKind);

#[derive(Clone, Debug)]
pub(crate) enum ToControlKind {
    Ready {
        peer: PeerId,
        security: Option<Security>,
        muxer: Muxer,
        /// Until now.
        round_trips: u32,
    },
    Identified(Result<Info, IdentifyError>),
    Changed(Info),
    Pong(Result<Duration, PingError>),
    /// Nothing at all has come in while a ping waited for its answer.
    Silent,
    /// How many streams of the application's there are, told when it becomes none or some.
    Streams(usize),
    /// Bytes that the connection holds, told when it has become much more, or for a while much less.
    Memory(usize),
    /// What was counted since the last time.
    Counters(Box<connection::Counters>),
    Closed(Result<CloseReason, connection::Error>),
}

//! One stream: its negotiation, then its payload.

use core::num::NonZeroU8;
use std::sync::Arc;

use sanswarm_multistream::ProtocolName;
use sanswarm_multistream_select::{Greeting, Mode, Names, Negotiator};
use sanswarm_wire::{Inbox, Instant, Role};

use crate::{Refusal, RefusalCause, session::MuxId};

/// Which end opened a stream, or sent what a transcript tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// The peer.
    Inbound,
    /// This end.
    Outbound,
}

impl Direction {
    /// The other one.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Inbound => Self::Outbound,
            Self::Outbound => Self::Inbound,
        }
    }

    /// That of the dialer of a connection, whose end has this role.
    pub(crate) fn of_dialer(role: Role) -> Self {
        if role.is_dialer() { Self::Outbound } else { Self::Inbound }
    }
}

#[derive(Debug)]
pub(crate) struct Stream {
    /// `None` until the connection has a muxer.
    pub(crate) mux: Option<MuxId>,
    pub(crate) direction: Direction,
    pub(crate) state: State,
    pub(crate) inbox: Inbox,
    /// The peer sends nothing more.
    pub(crate) remote_finished: bool,
    /// The user sends nothing more. The muxer knows once `finish_due` is false.
    pub(crate) finished: bool,
    pub(crate) finish_due: bool,
    /// The user reads nothing more.
    pub(crate) stopped: bool,
    /// The user has been told that there is something to read and has not found the inbox empty since.
    pub(crate) told: bool,
    /// A write came short: `Writable` is owed.
    pub(crate) wants_write: bool,
    /// Listed among the streams that owe negotiation messages.
    pub(crate) is_due: bool,
    pub(crate) data_sent: bool,
    /// What its payload is counted under.
    pub(crate) label: Option<NonZeroU8>,
}

#[derive(Debug)]
pub(crate) enum State {
    /// Opened before there is a muxer, or by the peer while many others negotiate.
    Waiting(Option<Box<Negotiation>>),
    /// Names go back and forth.
    Negotiating(Box<Negotiation>),
    /// Agreed on. A listener's last reply may still be owed.
    Open(Option<Box<Negotiation>>),
    /// A listener's: what followed our refusal was no proposal. It shall hear the refusal, and then the end.
    Refusing(Box<Negotiation>),
}

#[derive(Debug)]
pub(crate) struct Negotiation {
    pub(crate) negotiator: Negotiator,
    pub(crate) deadline: Instant,
}

impl Stream {
    pub(crate) fn inbound(mux: MuxId) -> Self {
        Self::new(Some(mux), Direction::Inbound, State::Waiting(None))
    }

    pub(crate) fn outbound(names: Arc<[ProtocolName]>, mode: Mode, deadline: Instant) -> Self {
        let negotiation = Negotiation { negotiator: Negotiator::dialer(names, mode), deadline };
        Self::new(None, Direction::Outbound, State::Waiting(Some(Box::new(negotiation))))
    }

    fn new(mux: Option<MuxId>, direction: Direction, state: State) -> Self {
        Self {
            mux,
            direction,
            state,
            inbox: Inbox::new(),
            remote_finished: false,
            finished: false,
            finish_due: false,
            stopped: false,
            told: false,
            wants_write: false,
            is_due: false,
            data_sent: false,
            label: None,
        }
    }

    /// Begins the negotiation of a stream that waited.
    pub(crate) fn start(&mut self, names: &Arc<Names>, deadline: Instant) {
        let State::Waiting(negotiation) = &mut self.state else { return };
        let negotiation = negotiation.take().unwrap_or_else(|| {
            let negotiator = Negotiator::listener(names.clone(), Greeting::WithReply);
            Box::new(Negotiation { negotiator, deadline })
        });
        self.state = State::Negotiating(negotiation);
    }

    pub(crate) fn negotiation(&mut self) -> Option<&mut Negotiation> {
        match &mut self.state {
            State::Negotiating(n) | State::Refusing(n) | State::Open(Some(n)) | State::Waiting(Some(n)) => Some(n),
            State::Open(None) | State::Waiting(None) => None,
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Negotiating(n) | State::Refusing(n) | State::Waiting(Some(n)) => Some(n.deadline),
            _ => None,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Whether payload may be written: agreed on, or proposed so that payload may follow; and nothing owed before it.
    pub(crate) fn takes_payload(&self) -> bool {
        match &self.state {
            State::Open(None) => true,
            State::Open(Some(n)) | State::Refusing(n) => !n.negotiator.is_due(),
            State::Negotiating(n) => !n.negotiator.is_due() && n.negotiator.lazy().is_some(),
            State::Waiting(_) => false,
        }
    }

    pub(crate) fn refusal(&self, cause: RefusalCause) -> Refusal {
        let offered = match &self.state {
            State::Negotiating(n) | State::Waiting(Some(n)) => n.negotiator.offered().to_vec(),
            _ => Vec::new(),
        };
        Refusal { offered, remote: Vec::new(), cause, data_sent: self.data_sent }
    }
}

//! The muxers that are built in, behind one set of verbs.

use sanswarm_wire::{Deadline, Instant, Key, Role, SendBuf};

use crate::{Error, Limits, Muxer, OpenError};

/// A muxer's name for a stream. The muxers name streams by keys of a slab, so that a table beside it can be a `Vec`.
pub(crate) type MuxId = Key;

/// What a muxer has to say. mplex has no goodbye, and nothing that is not for us.
#[cfg_attr(not(feature = "yamux"), allow(dead_code))]
pub(crate) enum MuxEvent {
    Opened(MuxId),
    Data {
        id: MuxId,
        len: usize,
        last: bool,
    },
    Finished(MuxId),
    Reset(MuxId),
    /// The peer takes no new streams, and says why.
    GoAway(u32),
    /// Nothing for us.
    Other,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "yamux is what nearly every connection has; mplex is for old peers")]
pub(crate) enum Session {
    #[cfg(feature = "yamux")]
    Yamux(sanswarm_yamux::Session),
    #[cfg(feature = "mplex")]
    Mplex(Box<sanswarm_mplex::Session>),
}

#[cfg(feature = "mplex")]
use sanswarm_mplex as mplex;
#[cfg(feature = "yamux")]
use sanswarm_yamux as yamux;

/// The same call of whatever muxer it is.
macro_rules! each {
    ($session:expr, $s:pat => $call:expr) => {
        match *$session {
            #[cfg(feature = "yamux")]
            Session::Yamux($s) => $call,
            #[cfg(feature = "mplex")]
            Session::Mplex($s) => $call,
        }
    };
}

#[cfg_attr(not(any(feature = "yamux", feature = "mplex")), allow(unused_variables))]
impl Session {
    pub(crate) fn new(muxer: Muxer, role: Role, limits: &Limits) -> Self {
        match muxer {
            #[cfg(feature = "yamux")]
            Muxer::Yamux => {
                let limits = yamux::Limits {
                    window_bytes: limits.window_bytes,
                    window_bytes_max: limits.window_bytes_max,
                    session_window_bytes: limits.session_window_bytes,
                    streams: limits.streams,
                    ..yamux::Limits::default()
                };
                let config = yamux::Config { limits, ..yamux::Config::default() };
                Self::Yamux(yamux::Session::new(role, config))
            }
            #[cfg(feature = "mplex")]
            Muxer::Mplex => {
                let limits = mplex::Limits { streams: limits.streams, ..mplex::Limits::default() };
                Self::Mplex(Box::new(mplex::Session::new(role, limits)))
            }
        }
    }

    pub(crate) fn open(&mut self) -> Result<MuxId, OpenError> {
        match *self {
            #[cfg(feature = "yamux")]
            Self::Yamux(ref mut s) => s.open().map_err(|error| match error {
                yamux::OpenError::Limit { name, value } => OpenError::Limit { name, value },
                yamux::OpenError::GoingAway => OpenError::GoingAway,
                _ => OpenError::Closed,
            }),
            #[cfg(feature = "mplex")]
            Self::Mplex(ref mut s) => s.open().map_err(|error| match error {
                mplex::OpenError::Limit { name, value } => OpenError::Limit { name, value },
                mplex::OpenError::GoingAway => OpenError::GoingAway,
                _ => OpenError::Closed,
            }),
        }
    }

    /// The stream's number on the wire.
    pub(crate) fn wire_id(&self, id: MuxId) -> Option<u64> {
        match *self {
            #[cfg(feature = "yamux")]
            Self::Yamux(ref s) => s.wire_id(id).map(u64::from),
            #[cfg(feature = "mplex")]
            Self::Mplex(ref s) => s.wire_id(id),
        }
    }

    pub(crate) fn accept(&mut self, id: MuxId) {
        each!(self, ref mut s => s.accept(id));
    }

    /// Uses the head of `plain` only; payload is left to the caller.
    pub(crate) fn handle_input(&mut self, now: Instant, plain: &[u8]) -> Result<(usize, Option<MuxEvent>), Error> {
        match *self {
            #[cfg(feature = "yamux")]
            Self::Yamux(ref mut s) => {
                let (used, event) = s.handle_input(now, plain).map_err(Error::Yamux)?;
                let event = event.map(|event| match event {
                    yamux::Event::Opened { stream } => MuxEvent::Opened(stream),
                    yamux::Event::Data { stream, len, last } => MuxEvent::Data { id: stream, len, last },
                    yamux::Event::Finished { stream } => MuxEvent::Finished(stream),
                    yamux::Event::Reset { stream } => MuxEvent::Reset(stream),
                    yamux::Event::GoAway { code } => MuxEvent::GoAway(code.code()),
                    _ => MuxEvent::Other,
                });
                Ok((used, event))
            }
            #[cfg(feature = "mplex")]
            Self::Mplex(ref mut s) => {
                let (used, event) = s.handle_input(now, plain).map_err(Error::Mplex)?;
                let event = event.map(|event| match event {
                    mplex::Event::Opened { stream } => MuxEvent::Opened(stream),
                    mplex::Event::Data { stream, len, last } => MuxEvent::Data { id: stream, len, last },
                    mplex::Event::Finished { stream } => MuxEvent::Finished(stream),
                    mplex::Event::Reset { stream } => MuxEvent::Reset(stream),
                });
                Ok((used, event))
            }
        }
    }

    /// Whether no more input is taken: so many replies are owed, or so much is unread.
    pub(crate) fn is_held(&self) -> bool {
        each!(self, ref s => s.is_held())
    }

    pub(crate) fn poll_writable(&mut self) -> Option<MuxId> {
        each!(self, ref mut s => s.poll_writable())
    }

    pub(crate) fn consumed(&mut self, id: MuxId, bytes: usize) {
        each!(self, ref mut s => s.consumed(id, bytes));
    }

    pub(crate) fn write_room(&self, id: MuxId, send: &SendBuf) -> usize {
        each!(self, ref s => s.write_room(id, send))
    }

    /// Appends what fits and returns how much that was. A stream that is gone takes nothing.
    pub(crate) fn write(&mut self, now: Instant, id: MuxId, data: &[u8], send: &mut SendBuf) -> usize {
        each!(self, ref mut s => s.write(now, id, data, send).unwrap_or(0))
    }

    /// Puts a stream in line for `poll_writable` although it has written all that it had.
    pub(crate) fn wait_writable(&mut self, id: MuxId) {
        each!(self, ref mut s => s.wait_writable(id));
    }

    /// Says that a stream that was told by `poll_writable` has nothing to write.
    pub(crate) fn decline(&mut self, id: MuxId) {
        each!(self, ref mut s => s.decline(id));
    }

    pub(crate) fn finish(&mut self, id: MuxId) {
        each!(self, ref mut s => drop(s.finish(id)));
    }

    pub(crate) fn reset(&mut self, id: MuxId) {
        each!(self, ref mut s => drop(s.reset(id)));
    }

    pub(crate) fn stop(&mut self, id: MuxId) {
        each!(self, ref mut s => drop(s.stop(id)));
    }

    /// Says that we take no new streams: an orderly end.
    pub(crate) fn go_away(&mut self) {
        match *self {
            #[cfg(feature = "yamux")]
            Self::Yamux(ref mut s) => s.go_away(yamux::GoAway::Normal),
            #[cfg(feature = "mplex")]
            Self::Mplex(ref mut s) => s.go_away(),
        }
    }

    pub(crate) fn poll_transmit(&mut self, now: Instant, send: &mut SendBuf) -> usize {
        each!(self, ref mut s => s.poll_transmit(now, send))
    }

    pub(crate) fn poll_timeout(&self) -> Option<Deadline> {
        each!(self, ref s => s.poll_timeout())
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        match *self {
            #[cfg(feature = "yamux")]
            Self::Yamux(ref mut s) => s.handle_timeout(now).map_err(Error::Yamux),
            #[cfg(feature = "mplex")]
            Self::Mplex(ref mut s) => s.handle_timeout(now).map_err(Error::Mplex),
        }
    }
}

//! The connection: phases, the calls of its driver and of its user, and its end.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use libp2p_identity::PeerId;
use sanswarm_multistream::ProtocolName;
use sanswarm_multistream_select::Names;
use sanswarm_wire::{Deadline, Instant, RecvBuf, Role, SendBuf};

use crate::{
    Config, Direction, Error, Muxer, OpenError, ReadError, Refusal, Security, Stage, StreamId, WriteError,
    cipher::Cipher,
    session::Session,
    stats::{Stats, Turns},
    streams::Streams,
    upgrade::{Step, Upgrade},
};

/// Less room than this in an open frame is not worth filling: it is sealed and the next one begun.
const FRAME_ROOM_MIN: usize = 64;

/// What the user of a connection may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Security and muxer are agreed on, and the peer is who it says.
    Ready {
        /// Who the peer is.
        peer: PeerId,
        /// The security protocol; `None` if the pipe was secure already.
        security: Option<Security>,
        /// The muxer.
        muxer: Muxer,
    },
    /// A stream's protocol is agreed on.
    Opened {
        /// The stream.
        stream: StreamId,
        /// What was agreed on.
        protocol: ProtocolName,
        /// Who opened it.
        direction: Direction,
    },
    /// A stream that we opened was not agreed on. Its id is stale now.
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
    /// The peer has reset the stream; or it was not read for so long that we did, which happens over mplex only. What was
    /// unread is lost and the id is stale now.
    Reset {
        /// The stream.
        stream: StreamId,
    },
    /// The connection has ended in good order. Nothing follows.
    Closed {
        /// Who ended it.
        reason: CloseReason,
    },
}

/// Who ended a connection that ended in good order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// We did, by [`Connection::close`].
    Local,
    /// The peer did, while no stream was open.
    Remote,
}

/// How sure a new stream is before payload goes out on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Open {
    /// Payload waits for the peer's agreement: one round trip.
    #[default]
    Wait,
    /// With one name only, payload follows the proposal at once. A peer that does not speak the protocol reads it as
    /// proposals: the stream is then [refused](Event::Refused) and nothing is sent again. With several names: as `Wait`.
    Lazy,
}

/// What the driver shall do with the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hangup {
    /// Nothing.
    No,
    /// All is sent: shut its sending half down, and go on reading until the end of input.
    Write,
    /// Close it: both ends are done, or the close timeout has passed.
    Both,
}

#[derive(Debug)]
enum Phase {
    Upgrade(Box<Upgrade>),
    Streams,
    /// Over. What still comes in is dropped; what is due goes out until the deadline.
    Ended {
        result: Result<CloseReason, Error>,
        deadline: Instant,
        overdue: bool,
        told: bool,
    },
}

/// One connection between two peers. See the crate's page for how to drive it.
#[derive(Debug)]
pub struct Connection {
    role: Role,
    config: Arc<Config>,
    phase: Phase,
    cipher: Cipher,
    streams: Streams,
    events: VecDeque<Event>,
    /// The peer can send nothing more.
    eof: bool,
    turns: Turns,
}

impl Connection {
    /// A connection over a pipe that was just dialled or accepted.
    ///
    /// `expected` is who the peer must be, where that is known: anybody else is [`Error::WrongPeer`]. `secret` is the
    /// ephemeral key of the handshake: 32 random bytes, never used twice.
    pub fn new(now: Instant, role: Role, config: Arc<Config>, expected: Option<PeerId>, secret: [u8; 32]) -> Self {
        let upgrade = Upgrade::new(now, role, config.clone(), expected, secret);
        Self::start(now, role, config, upgrade)
    }

    /// A connection over a pipe that is secure already and whose other end is known to be `peer`: only the muxer is
    /// negotiated.
    pub fn secured(now: Instant, role: Role, config: Arc<Config>, peer: PeerId) -> Self {
        let upgrade = Upgrade::secured(now, role, config.clone(), peer);
        Self::start(now, role, config, upgrade)
    }

    fn start(now: Instant, role: Role, config: Arc<Config>, upgrade: Upgrade) -> Self {
        Self {
            role,
            streams: Streams::new(config.limits),
            config,
            phase: Phase::Upgrade(Box::new(upgrade)),
            cipher: Cipher::Plain,
            events: VecDeque::new(),
            eof: false,
            turns: Turns::new(now),
        }
    }

    /// Sets the protocols that are agreed to on inbound streams from now on. None before the first call.
    pub fn set_names(&mut self, names: Arc<Names>) {
        self.streams.set_names(names);
    }

    /// Whether input waits, and nothing is to be taken from the socket: for the application to read, which only a muxer
    /// without flow control (mplex) makes it do, or for replies to be sent. A [`read`](Self::read) that ends this is a
    /// reason to poll at once.
    pub fn is_held(&self) -> bool {
        matches!(self.phase, Phase::Streams) && self.streams.is_held()
    }

    /// Counts of this connection.
    pub fn stats(&self) -> Stats {
        self.turns.stats(self.streams.len())
    }

    /// The id of a stream on the wire, for logs and for whoever compares both ends. yamux has each id once in a connection;
    /// over mplex each end gives out its own. `None`: there is no such stream, or the muxer has none for it yet, or has
    /// forgotten it, which it does when both ends have finished.
    pub fn wire_id(&self, id: StreamId) -> Option<u64> {
        self.streams.wire_id(id)
    }

    // ---- the driver's calls

    /// Uses what has arrived and tells what came of it: one event a call, `None` when there is nothing more to tell.
    ///
    /// # Errors
    /// What ended the connection. It is sticky; go on reading, calling this and [`poll_transmit`](Self::poll_transmit), and
    /// sending, until [`hangup`](Self::hangup) says to close.
    pub fn poll_event(&mut self, now: Instant, recv: &mut RecvBuf) -> Result<Option<Event>, Error> {
        self.turns.received(recv.total());
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            if let Phase::Ended { .. } = self.phase {
                return self.poll_ended(recv);
            }
            let step = self.step(now, recv);
            self.mark(now);
            match step {
                Ok(true) => {}
                Ok(false) => {
                    self.streams.poll_writable(&mut self.events);
                    if self.events.is_empty() && !self.check_end(now, recv) {
                        return Ok(None);
                    }
                }
                Err(error) => self.end(now, Err(error)),
            }
        }
    }

    /// Adds what is due to `send` and seals it; returns how many bytes became ready. 0 means that nothing is due, or that
    /// there is no room. What it sends can have consequences ([`Event::Ready`], [`Event::Writable`]): ask
    /// [`poll_event`](Self::poll_event) again before waiting for the peer.
    pub fn poll_transmit(&mut self, now: Instant, send: &mut SendBuf) -> usize {
        let before = send.total();
        self.cipher.frame(send);
        let result = self.transmit(now, send).and_then(|()| self.cipher.seal(send));
        if let Err(error) = result {
            self.end(now, Err(error));
        }
        self.turns.sent(send.total());
        self.mark(now);
        (send.total() - before) as usize
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Deadline> {
        match &self.phase {
            Phase::Upgrade(upgrade) => {
                let upgrade = Deadline { at: upgrade.deadline, why: "upgrade" };
                Deadline::sooner(Some(upgrade), self.streams.poll_timeout())
            }
            Phase::Streams => self.streams.poll_timeout(),
            Phase::Ended { overdue: true, .. } => None,
            Phase::Ended { deadline, .. } => Some(Deadline { at: *deadline, why: "goodbye" }),
        }
    }

    /// Says that time has passed. An early call does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Upgrade(upgrade) if now >= upgrade.deadline => {
                let after = self.config.limits.upgrade_timeout;
                let error = Error::Timeout { stage: upgrade.stage(), after, offered: upgrade.offered() };
                self.end(now, Err(error));
            }
            Phase::Ended { deadline, overdue, .. } if now >= *deadline => *overdue = true,
            Phase::Ended { .. } => {}
            Phase::Upgrade(_) | Phase::Streams => {
                if let Err(error) = self.streams.handle_timeout(now, &mut self.events) {
                    self.end(now, Err(error));
                }
            }
        }
    }

    /// What to do with the socket, given what is left to send. Ask after [`poll_transmit`](Self::poll_transmit).
    pub fn hangup(&self, send: &SendBuf) -> Hangup {
        match self.phase {
            Phase::Ended { overdue: true, .. } => Hangup::Both,
            Phase::Ended { .. } if !send.is_empty() => Hangup::No,
            Phase::Ended { .. } if self.eof => Hangup::Both,
            Phase::Ended { .. } => Hangup::Write,
            Phase::Upgrade(_) | Phase::Streams => Hangup::No,
        }
    }

    // ---- the user's calls

    /// Opens a stream for the first of `names` that the peer speaks. May be called at any time, also before the
    /// connection is ready. [`Event::Opened`] or [`Event::Refused`] follows.
    ///
    /// # Errors
    /// [`OpenError`]: no name, a limit of ours, or a connection that is ending.
    pub fn open(&mut self, now: Instant, names: Arc<[ProtocolName]>, how: Open) -> Result<StreamId, OpenError> {
        if let Phase::Ended { .. } = self.phase {
            return Err(OpenError::Closed);
        }
        self.streams.open(now, names, how)
    }

    /// Takes the next unread slice of a stream, without a copy. `Ok(None)`: nothing now; [`Event::Readable`] follows.
    /// Reading gives the peer room to send more.
    ///
    /// # Errors
    /// [`ReadError::Finished`] once the peer has finished and all was read; after that, if our side is finished too, the
    /// id is stale.
    pub fn read(&mut self, id: StreamId) -> Result<Option<Bytes>, ReadError> {
        match (self.streams.read(id), &self.phase) {
            (Ok(None) | Err(ReadError::Gone), Phase::Ended { .. }) => Err(ReadError::Closed),
            (result, _) => result,
        }
    }

    /// Writes to a stream and returns how many bytes were taken. Fewer than `data` has: [`Event::Writable`] follows when
    /// it can go on. What was taken is sent by the next [`poll_transmit`](Self::poll_transmit).
    ///
    /// # Errors
    /// [`WriteError`]: the stream is finished on our side, or gone, or the connection has ended.
    pub fn write(&mut self, now: Instant, id: StreamId, data: &[u8], send: &mut SendBuf) -> Result<usize, WriteError> {
        if let Phase::Ended { .. } = self.phase {
            return Err(WriteError::Closed);
        }
        self.cipher.frame(send);
        self.streams.prepare_write(now, id, send)?;
        let mut done = 0;
        while done < data.len() {
            let room = self.streams.write_room(id, send).min(data.len() - done);
            done += self.streams.write(now, id, &data[done..done + room], send);
            if done == data.len() || !send.frame_is_full(FRAME_ROOM_MIN) {
                break;
            }
            if let Err(error) = self.cipher.seal(send) {
                self.end(now, Err(error));
                return Err(WriteError::Closed);
            }
        }
        if done < data.len() {
            done += self.streams.write(now, id, &data[done..], send);
        }
        self.turns.sent(send.total());
        Ok(done)
    }

    /// Finishes our side of a stream: the peer sees its end after all that was written. Reading goes on.
    ///
    /// # Errors
    /// [`WriteError`]: it is finished already, or gone, or the connection has ended.
    pub fn finish(&mut self, id: StreamId) -> Result<(), WriteError> {
        self.check_running()?;
        self.streams.finish(id)
    }

    /// Ends a stream at once in both directions. What is unread on either side is lost. The id is stale now.
    ///
    /// # Errors
    /// [`WriteError`]: it is gone, or the connection has ended.
    pub fn reset(&mut self, id: StreamId) -> Result<(), WriteError> {
        self.check_running()?;
        self.streams.reset(id)
    }

    /// Says that we read no more of a stream: what is unread and what still comes is dropped. Writing goes on.
    ///
    /// # Errors
    /// [`WriteError`]: it is gone, or the connection has ended.
    pub fn stop(&mut self, id: StreamId) -> Result<(), WriteError> {
        self.check_running()?;
        self.streams.stop(id)
    }

    /// Ends the connection in good order: what was written is delivered, then the peer is told. Streams end with it.
    pub fn close(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Ended { .. }) {
            self.end(now, Ok(CloseReason::Local));
        }
    }

    fn check_running(&self) -> Result<(), WriteError> {
        if let Phase::Ended { .. } = self.phase { Err(WriteError::Closed) } else { Ok(()) }
    }

    // ---- within

    /// Remembers the counts at the stages that are over.
    fn mark(&mut self, now: Instant) {
        let (secured, ready) = match &self.phase {
            Phase::Upgrade(upgrade) => (upgrade.stage() >= Stage::Muxer, false),
            Phase::Streams => (true, true),
            Phase::Ended { .. } => (false, false),
        };
        self.turns.mark(now, secured, ready);
    }

    /// Uses one piece of the input. `Ok(false)` means that more is needed.
    fn step(&mut self, now: Instant, recv: &mut RecvBuf) -> Result<bool, Error> {
        match &mut self.phase {
            Phase::Upgrade(upgrade) => {
                let step = upgrade.step(recv, &mut self.cipher)?;
                self.start_streams();
                match step {
                    Step::Idle => Ok(false),
                    Step::Progress => Ok(true),
                    Step::Done => {
                        self.ready();
                        Ok(true)
                    }
                }
            }
            Phase::Streams => {
                if self.streams.step(now, recv, &mut self.events)? {
                    return Ok(true);
                }
                self.cipher.open(recv)
            }
            Phase::Ended { .. } => Ok(false),
        }
    }

    /// Starts the muxer as soon as its bytes may follow.
    fn start_streams(&mut self) {
        let Phase::Upgrade(upgrade) = &self.phase else { return };
        if let (Some(muxer), true, false) = (upgrade.muxer(), upgrade.is_settled(), self.streams.has_session()) {
            self.streams.start(Session::new(muxer, self.role, &self.config.limits), &mut self.events);
        }
    }

    fn ready(&mut self) {
        let Phase::Upgrade(upgrade) = &self.phase else { return };
        if let (Some(peer), Some(muxer)) = (upgrade.peer(), upgrade.muxer()) {
            // Streams opened early may have failed; their events come behind this one.
            self.events.push_front(Event::Ready { peer, security: upgrade.security(), muxer });
            self.phase = Phase::Streams;
        }
    }

    fn transmit(&mut self, now: Instant, send: &mut SendBuf) -> Result<(), Error> {
        if let Phase::Upgrade(upgrade) = &mut self.phase {
            upgrade.poll_transmit(send, &mut self.cipher)?;
            if !upgrade.is_settled() {
                return Ok(());
            }
            self.start_streams();
        }
        // The room that is seen here makes streams writable, whose negotiations may be due then. Done at once, a driver
        // that finds nothing to send and no event may rest.
        if let Phase::Ended { .. } = self.phase {
            self.streams.poll_transmit(now, send); // the goodbye; nothing is told any more
            return Ok(());
        }
        let mut quiet = 0;
        while quiet < 2 {
            quiet = if self.streams.poll_transmit(now, send) > 0 { 0 } else { quiet + 1 };
            self.streams.poll_writable(&mut self.events);
            if !self.streams.is_due() {
                break;
            }
        }
        Ok(())
    }

    /// With no input left: whether the connection ends here.
    fn check_end(&mut self, now: Instant, recv: &RecvBuf) -> bool {
        let result = match &self.phase {
            Phase::Upgrade(upgrade) if recv.is_eof() => match upgrade.eof() {
                Some(error) => Err(error),
                None => return false,
            },
            Phase::Streams if self.streams.is_held() => return false,
            Phase::Streams if recv.is_eof() => match self.streams.running() {
                0 if recv.is_empty() => Ok(CloseReason::Remote),
                streams => Err(Error::Eof { stage: Stage::Streams, streams, offered: Vec::new() }),
            },
            Phase::Streams if self.streams.is_drained() => Ok(CloseReason::Remote),
            _ => return false,
        };
        self.eof = recv.is_eof();
        self.end(now, result);
        true
    }

    fn end(&mut self, now: Instant, result: Result<CloseReason, Error>) {
        // On an error the muxer has its own last word.
        if let (Ok(_), Some(session)) = (&result, self.streams.session_mut()) {
            session.go_away();
        }
        let deadline = now + self.config.limits.close_timeout;
        self.phase = Phase::Ended { result, deadline, overdue: false, told: false };
    }

    fn poll_ended(&mut self, recv: &mut RecvBuf) -> Result<Option<Event>, Error> {
        recv.hold(false);
        recv.reveal_all();
        recv.consume(usize::MAX);
        self.eof |= recv.is_eof();
        let Phase::Ended { result, told, .. } = &mut self.phase else { return Ok(None) };
        let reason = result.clone()?;
        let first = !core::mem::replace(told, true);
        Ok(first.then_some(Event::Closed { reason }))
    }
}

//! The connection: phases, the calls of its driver and of its user, and its end.

use core::{fmt, num::NonZeroU8, time::Duration};
use std::sync::Arc;

use bytes::Bytes;
use libp2p_identity::PeerId;
use sanswarm_multistream::ProtocolName;
use sanswarm_multistream_select::Names;
use sanswarm_wire::{Deadline, Instant, RecvBuf, Role, SendBuf};

use crate::{
    Config, Direction, Error, Muxer, OpenError, ReadError, Refusal, Security, Stage, StreamId, WriteError,
    cipher::Cipher,
    counters::Counters,
    events::Events,
    session::Session,
    stats::{Stats, Turns},
    streams::Streams,
    transcript::{Entry, Layer, Level, What},
    upgrade::{Step, Upgrade},
};

/// Less room than this in an open frame is not worth filling: it is sealed and the next one begun.
const FRAME_ROOM_MIN: usize = 64;

/// How long a connection waits before it looks again for memory to read into.
const MEMORY_RETRY: Duration = Duration::from_millis(20);

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

/// Who ended a connection that ended in good order, and by what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// We did, by [`Connection::close`].
    Local,
    /// The peer did, while no stream was open.
    Remote(Goodbye),
}

/// How a peer says that it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Goodbye {
    /// By the muxer's own message: it takes no new streams, and none is left.
    GoAway,
    /// By the end of its bytes.
    Eof,
}

impl CloseReason {
    /// A name for machines that stays the same over versions.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Local => "closed-by-us",
            Self::Remote(Goodbye::GoAway) => "go-away",
            Self::Remote(Goodbye::Eof) => "closed-by-peer",
        }
    }

    /// Who did it: the peer (inbound) or we (outbound).
    pub fn by(&self) -> Direction {
        if let Self::Local = self { Direction::Outbound } else { Direction::Inbound }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "we closed the connection",
            Self::Remote(Goodbye::GoAway) => "the peer said good-bye and no stream was left",
            Self::Remote(Goodbye::Eof) => "the peer closed the connection",
        })
    }
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
        /// What failed may have a last word: a refusal, an alert.
        upgrade: Option<Box<Upgrade>>,
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
    events: Events,
    /// The peer can send nothing more.
    eof: bool,
    /// Since when a frame is not whole.
    partial: Option<Instant>,
    /// When to look whether there is memory to read into again.
    retry: Option<Instant>,
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
            events: Events::default(),
            eof: false,
            partial: None,
            retry: None,
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

    /// Writes down what is said from now on, to be taken by [`poll_transcript`](Self::poll_transcript). Off by default. Set it
    /// before the first byte: frames of a muxer that has begun are not shown.
    pub fn set_transcript(&mut self, level: Level) {
        self.streams.transcript.set_level(level);
    }

    /// The next entry of the transcript. At most [`ENTRIES_MAX`](crate::transcript::ENTRIES_MAX) wait here; what comes then is
    /// only counted.
    pub fn poll_transcript(&mut self) -> Option<Entry> {
        self.streams.transcript.poll()
    }

    /// Which end this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Counts of this connection.
    pub fn stats(&self) -> Stats {
        self.turns.stats(self.streams.len(), self.streams.unread())
    }

    /// Counts the payload of a stream under a label of the caller's from now on: by protocol, say. A stream has one label, the
    /// first. One that is given when [`Event::Opened`] is told, or before, counts all payload. The largest label bounds what
    /// the counters take: 32 bytes each.
    pub fn set_label(&mut self, id: StreamId, label: NonZeroU8) {
        self.streams.set_label(id, label);
    }

    /// The label of a stream, if it has one.
    pub fn label(&self, id: StreamId) -> Option<NonZeroU8> {
        self.streams.label(id)
    }

    /// What was counted since [`take_counters`](Self::take_counters); `None` if that is nothing.
    pub fn counters(&self) -> Option<&Counters> {
        self.streams.tally.counters()
    }

    /// What was counted since the last call. Nothing is counted twice, and nothing is lost if it is asked for once more
    /// after the connection has ended. While there is nothing to tell the connection holds no memory for it.
    pub fn take_counters(&mut self) -> Option<Box<Counters>> {
        self.streams.tally.take()
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
        self.streams.transcript.at(now, self.turns.round_trips());
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
                        self.watch(now, recv);
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
        self.streams.transcript.at(now, self.turns.round_trips());
        let result = self.transmit(now, send).and_then(|()| self.seal(send));
        if let Err(error) = result {
            // A goodbye that cannot be sealed changes nothing any more.
            if !matches!(self.phase, Phase::Ended { .. }) {
                self.end(now, Err(error));
            }
        }
        self.turns.sent(send.total());
        self.mark(now);
        (send.total() - before) as usize
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Deadline> {
        let at = |at: Option<Instant>, why| at.map(|at| Deadline { at, why });
        let own = match &self.phase {
            Phase::Upgrade(upgrade) => at(Some(upgrade.deadline), "upgrade"),
            Phase::Streams => at(self.partial.map(|since| since + self.config.limits.frame_timeout), "end of a frame"),
            Phase::Ended { overdue: true, .. } => return None,
            Phase::Ended { deadline, .. } => return at(Some(*deadline), "goodbye"),
        };
        [own, at(self.retry, "memory to read into")].into_iter().fold(self.streams.poll_timeout(), Deadline::sooner)
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
            Phase::Streams if self.partial.is_some_and(|since| now >= since + self.config.limits.frame_timeout) => {
                let after = self.config.limits.frame_timeout;
                self.end(now, Err(Error::Timeout { stage: Stage::Streams, after, offered: Vec::new() }));
            }
            Phase::Upgrade(_) | Phase::Streams => {
                self.retry = self.retry.filter(|at| *at > now);
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
        self.streams.transcript.at(now, self.turns.round_trips());
        self.streams.prepare_write(now, id, send)?;
        let mut done = 0;
        while done < data.len() {
            let room = self.streams.write_room(id, send).min(data.len() - done);
            done += self.streams.write(now, id, &data[done..done + room], send);
            if done == data.len() || !send.frame_is_full(FRAME_ROOM_MIN) {
                break;
            }
            if let Err(error) = self.seal(send) {
                self.end(now, Err(error));
                return Err(WriteError::Closed);
            }
        }
        if done < data.len() {
            done += self.streams.write(now, id, &data[done..], send);
        }
        self.streams.transcript.sent_frames(send);
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

    /// Seals the open frame, of which the transcript has seen all.
    fn seal(&mut self, send: &mut SendBuf) -> Result<(), Error> {
        let transcript = &mut self.streams.transcript;
        transcript.sent_frames(send);
        self.cipher.seal(send, transcript)?;
        transcript.skip_sent(send);
        Ok(())
    }

    /// Uses one piece of the input. `Ok(false)` means that more is needed.
    fn step(&mut self, now: Instant, recv: &mut RecvBuf) -> Result<bool, Error> {
        match &mut self.phase {
            Phase::Upgrade(upgrade) => {
                let step = upgrade.step(recv, &mut self.cipher, &mut self.streams.transcript)?;
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
                let opened = self.cipher.open(recv, &mut self.streams.transcript)?;
                if opened {
                    self.partial = None;
                }
                Ok(opened)
            }
            Phase::Ended { .. } => Ok(false),
        }
    }

    /// Starts the muxer as soon as its bytes may follow.
    fn start_streams(&mut self) {
        let Phase::Upgrade(upgrade) = &self.phase else { return };
        if let (Some(muxer), true, false) = (upgrade.muxer(), upgrade.is_settled(), self.streams.has_session()) {
            self.streams.transcript.start_frames(muxer, Direction::of_dialer(self.role));
            self.streams.start(Session::new(muxer, self.role, &self.config.limits), &mut self.events);
        }
    }

    fn ready(&mut self) {
        let Phase::Upgrade(upgrade) = &self.phase else { return };
        if let (Some(peer), Some(muxer)) = (upgrade.peer(), upgrade.muxer()) {
            let security = upgrade.security();
            self.streams.transcript.tell(Direction::Inbound, Layer::Connection, 0, || What::Ready(security, muxer));
            // Streams opened early may have failed; their events come behind this one.
            self.events.push_front(Event::Ready { peer, security: upgrade.security(), muxer });
            self.phase = Phase::Streams;
        }
    }

    fn transmit(&mut self, now: Instant, send: &mut SendBuf) -> Result<(), Error> {
        if let Phase::Upgrade(upgrade) = &mut self.phase {
            upgrade.poll_transmit(send, &mut self.cipher, &mut self.streams.transcript)?;
            if !upgrade.is_settled() {
                return Ok(());
            }
            self.start_streams();
        }
        // The room that is seen here makes streams writable, whose negotiations may be due then. Done at once, a driver
        // that finds nothing to send and no event may rest.
        if let Phase::Ended { upgrade, .. } = &mut self.phase {
            // The goodbye; nothing is told any more.
            if let Some(upgrade) = upgrade {
                upgrade.send_last(send, &mut self.streams.transcript);
            }
            if self.streams.poll_transmit(now, send) == 0 {
                self.streams.transcript.sent_frames(send);
                self.cipher.close(send);
            }
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

    /// With no input left: notes since when a frame is not whole, and whether there is memory for the rest of it.
    fn watch(&mut self, now: Instant, recv: &RecvBuf) {
        let waits = recv.is_partial() && matches!(self.phase, Phase::Streams) && !self.streams.is_held();
        self.partial = if waits { self.partial.or(Some(now)) } else { None };
        self.events.release();
        self.retry = recv.is_starved().then(|| now + MEMORY_RETRY);
    }

    /// With no input left: whether the connection ends here.
    fn check_end(&mut self, now: Instant, recv: &RecvBuf) -> bool {
        let result = match &self.phase {
            Phase::Upgrade(upgrade) if recv.is_eof() => match upgrade.eof() {
                Some(error) => Err(error),
                None => return false,
            },
            Phase::Streams if self.streams.is_held() => return false,
            Phase::Streams if self.streams.is_drained() => Ok(CloseReason::Remote(Goodbye::GoAway)),
            Phase::Streams if recv.is_eof() => match self.streams.running() {
                0 if recv.is_empty() => Ok(CloseReason::Remote(Goodbye::Eof)),
                streams => Err(Error::Eof { stage: Stage::Streams, streams, offered: Vec::new() }),
            },
            _ => return false,
        };
        self.eof = recv.is_eof();
        self.end(now, result);
        true
    }

    fn end(&mut self, now: Instant, result: Result<CloseReason, Error>) {
        self.streams.end();
        // On an error the muxer has its own last word.
        if let (Ok(_), Some(session)) = (&result, self.streams.session_mut()) {
            session.go_away();
        }
        let deadline = now + self.config.limits.close_timeout;
        let transcript = &mut self.streams.transcript;
        let by = result.as_ref().map_or_else(Error::by, CloseReason::by);
        transcript.tell(by, Layer::Connection, 0, || What::Ended(result.clone()));
        let phase = core::mem::replace(&mut self.phase, Phase::Streams);
        let upgrade = match phase {
            Phase::Upgrade(upgrade) => Some(upgrade),
            Phase::Streams | Phase::Ended { .. } => None,
        };
        self.phase = Phase::Ended { result, deadline, overdue: false, told: false, upgrade };
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

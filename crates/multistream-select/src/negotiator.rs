//! One end of one negotiation.

use alloc::{sync::Arc, vec::Vec};

use bytes::BufMut;
use sanswarm_multistream::{HEADER_LINE, ProtocolName, decode};
use sanswarm_wire::SendBuf;

use crate::{
    Error, Limits, Names, Seen,
    dialer::{Dialer, Offer},
    listener::Listener,
    query::Query,
    sink::{Sink, ToBuffer, ToSend},
};

/// Whether a dialer's payload waits for the agreement. On the wire of the negotiation both look the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Payload waits.
    Wait,
    /// Payload may follow the proposal at once, if exactly one name is offered; with more this is [`Wait`](Self::Wait).
    /// A listener that refuses will read the payload as proposals, so it must not look like one.
    Lazy,
}

/// When a listener sends its header. The spec allows both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// Before the dialer has said anything (go, py).
    AtOnce,
    /// After the dialer's header, together with the first answer if the proposal is there too (js, rust).
    WithReply,
}

/// How a negotiation ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Both ends will speak this protocol. The next byte is its first.
    Agreed(ProtocolName),
    /// The listener has refused all names of this dialer. A listener never ends so: the dialer may always propose one
    /// more. To a [query](Negotiator::query) it says that the listener tells no list.
    Refused,
    /// The answer to a [query](Negotiator::query): what the listener says it knows, in its order, as it says it. Any
    /// number of names, none too.
    Listed(Vec<ProtocolName>),
}

/// What a negotiator waits for, or how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// The peer's first message, which must be the header.
    WantsHeader,
    /// A listener: a proposal. Nothing has been refused yet.
    WantsProposal,
    /// A listener that has refused: a better proposal, or the payload of a lazy dialer.
    WantsAnother,
    /// A dialer: the answer to the name in turn.
    WantsAnswer,
    /// A query: the list.
    WantsList,
    /// Over: [`Outcome::Agreed`].
    Agreed,
    /// Over: [`Outcome::Refused`].
    Refused,
    /// Over: [`Outcome::Listed`].
    Listed,
    /// Over: an error.
    Failed,
}

/// One end of one negotiation.
#[derive(Clone, Debug)]
pub struct Negotiator {
    side: Side,
    stage: Stage,
    /// Why, if the stage is [`Stage::Failed`]. Beside it, so that asking for the stage is one comparison.
    error: Error,
    limits: Limits,
    /// Whether the last input ended inside a message.
    partial: bool,
}

#[derive(Clone, Debug)]
enum Side {
    Dialer(Dialer),
    Listener(Listener),
    Query(Query),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    Agreed,
    Refused,
    Listed,
    Failed,
}

impl Negotiator {
    /// The end that proposes `names`, the best first. Header and first proposal are due at once. An empty list is
    /// refused at the first [`handle_input`](Self::handle_input), and nothing is sent.
    ///
    /// ```
    /// # use sanswarm_multistream::ProtocolName;
    /// # use sanswarm_multistream_select::{Mode, Negotiator};
    /// # use std::sync::Arc;
    /// const PING: ProtocolName = ProtocolName::from_static("/ipfs/ping/1.0.0");
    /// let one = Negotiator::dialer(PING, Mode::Lazy);
    /// let two = Negotiator::dialer(Arc::new([PING, ProtocolName::from_static("/echo")]), Mode::Wait);
    /// ```
    pub fn dialer(names: impl Into<Offer>, mode: Mode) -> Self {
        Self::new(Side::Dialer(Dialer::new(names.into(), mode == Mode::Lazy)))
    }

    /// The end that knows `names` and answers.
    pub fn listener(names: Arc<Names>, greeting: Greeting) -> Self {
        Self::new(Side::Listener(Listener::new(names, greeting)))
    }

    /// A dialer that proposes nothing and asks for the listener's list by `ls`. Few listeners tell one: go and, by default,
    /// this crate do not. The stream is of no further use then.
    pub fn query() -> Self {
        Self::new(Side::Query(Query::default()))
    }

    fn new(side: Side) -> Self {
        Self { side, stage: Stage::Open, error: Error::Eof, limits: Limits::default(), partial: false }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        // Below that no header would pass.
        let message_bytes = limits.message_bytes.max(HEADER_LINE.len() - 1);
        self.limits = Limits { message_bytes, ..limits };
        self
    }

    /// Reads messages until the outcome or the end of the input. Returns the bytes that it used, which never go beyond
    /// the message that decided, and the outcome, once. Offer again what was not used, with more behind it: at most
    /// one message less a byte. After the outcome it uses nothing.
    ///
    /// # Errors
    ///
    /// All of [`Error`] but those of [`handle_eof`](Self::handle_eof). An error stays: every later call returns it.
    pub fn handle_input(&mut self, input: &[u8]) -> Result<(usize, Option<Outcome>), Error> {
        match self.stage {
            Stage::Open => {}
            Stage::Agreed | Stage::Refused | Stage::Listed => return Ok((0, None)),
            Stage::Failed => return Err(self.error),
        }
        let result = match &mut self.side {
            Side::Dialer(dialer) => dialer.handle_input(input, &self.limits),
            Side::Listener(listener) => listener.handle_input(input, &self.limits),
            Side::Query(query) => query.handle_input(input, &self.limits),
        };
        match &result {
            Ok((used, None)) => self.partial = *used < input.len(),
            Ok((_, Some(Outcome::Agreed(_)))) => self.stage = Stage::Agreed,
            Ok((_, Some(Outcome::Refused))) => self.stage = Stage::Refused,
            Ok((_, Some(Outcome::Listed(_)))) => self.stage = Stage::Listed,
            Err(error) => self.fail(*error),
        }
        result
    }

    /// Says that the input ends behind what [`handle_input`](Self::handle_input) has seen, and returns what that means:
    /// [`Error::Refused`] after any refusal, [`Error::EofInMessage`], [`Error::Eof`], or [`Error::Agreed`] where all
    /// is well, a list that was told counted. An earlier error is returned again.
    pub fn handle_eof(&mut self) -> Error {
        let refused = match &self.side {
            Side::Dialer(dialer) => dialer.was_refused(),
            Side::Listener(listener) => listener.refused().is_some(),
            Side::Query(_) => false,
        };
        let error = match self.stage {
            Stage::Agreed | Stage::Listed => return Error::Agreed,
            Stage::Refused => return Error::Refused,
            Stage::Failed => self.error,
            Stage::Open if refused => Error::Refused,
            Stage::Open if self.partial => Error::EofInMessage,
            Stage::Open => Error::Eof,
        };
        self.fail(error);
        error
    }

    /// Asks a listener that has refused all names what it speaks, by `ls`, in the same negotiation: [`Outcome::Listed`] or
    /// again [`Outcome::Refused`] follows. It is for a dialer that ended in [`Outcome::Refused`] and has sent nothing
    /// behind its last proposal; otherwise nothing is changed, and the answer is false.
    pub fn ask(&mut self) -> bool {
        let header_seen = matches!(&self.side, Side::Dialer(dialer) if dialer.header_seen);
        if !header_seen || self.stage != Stage::Refused {
            return false;
        }
        (self.side, self.stage) = (Side::Query(Query::within()), Stage::Open);
        true
    }

    /// Appends the messages that are due, as many as there is room for, none in part. Returns the bytes appended.
    pub fn poll_transmit(&mut self, out: &mut SendBuf) -> usize {
        let mut sink = ToSend::new(out);
        self.transmit(&mut sink);
        sink.written()
    }

    /// Writes the messages that are due into any buffer: as many as `room` bytes and the buffer hold, none in part.
    /// Returns the bytes written. For streams in a muxer, whose credit is the `room`.
    pub fn encode(&mut self, room: usize, out: &mut impl BufMut) -> usize {
        let mut sink = ToBuffer::new(room, out);
        self.transmit(&mut sink);
        sink.written()
    }

    /// Whether a message is to be sent.
    pub fn is_due(&self) -> bool {
        match (&self.side, self.stage) {
            // A dialer that has failed or was refused has nothing more to ask; a listener still owes its answers.
            (Side::Dialer(dialer), Stage::Open | Stage::Agreed) => dialer.is_due(),
            (Side::Query(query), Stage::Open) => query.is_due(),
            (Side::Dialer(_) | Side::Query(_), _) => false,
            (Side::Listener(listener), _) => listener.is_due(),
        }
    }

    /// The only name of a [lazy](Mode::Lazy) dialer, once it has been proposed: payload may follow directly. It stays
    /// until a refusal or an error.
    pub fn lazy(&self) -> Option<&ProtocolName> {
        match (&self.side, self.stage) {
            (Side::Dialer(dialer), Stage::Open | Stage::Agreed) => dialer.lazy(),
            _ => None,
        }
    }

    /// The names that a dialer has proposed so far. A listener remembers only the last that it [refused](Self::refused).
    pub fn offered(&self) -> &[ProtocolName] {
        match &self.side {
            Side::Dialer(dialer) => dialer.offered(),
            Side::Listener(_) | Side::Query(_) => &[],
        }
    }

    /// The last proposal that a listener has refused.
    pub fn refused(&self) -> Option<&Seen> {
        match &self.side {
            Side::Dialer(_) | Side::Query(_) => None,
            Side::Listener(listener) => listener.refused(),
        }
    }

    /// What it waits for, or how it ended.
    pub fn state(&self) -> State {
        match (self.stage, &self.side) {
            (Stage::Agreed, _) => State::Agreed,
            (Stage::Refused, _) => State::Refused,
            (Stage::Listed, _) => State::Listed,
            (Stage::Failed, _) => State::Failed,
            (Stage::Open, Side::Dialer(Dialer { header_seen, .. })) if *header_seen => State::WantsAnswer,
            (Stage::Open, Side::Query(Query { header_seen, .. })) if *header_seen => State::WantsList,
            (Stage::Open, Side::Listener(listener)) if listener.header_seen => {
                if listener.refused().is_some() {
                    State::WantsAnother
                } else {
                    State::WantsProposal
                }
            }
            (Stage::Open, _) => State::WantsHeader,
        }
    }

    fn fail(&mut self, error: Error) {
        (self.stage, self.error) = (Stage::Failed, error);
    }

    fn transmit(&mut self, sink: &mut impl Sink) {
        match (&mut self.side, self.stage) {
            (Side::Dialer(dialer), Stage::Open | Stage::Agreed) => dialer.transmit(sink),
            (Side::Query(query), Stage::Open) => query.transmit(sink),
            (Side::Dialer(_) | Side::Query(_), _) => {}
            (Side::Listener(listener), _) => listener.transmit(sink),
        }
    }
}

/// The bytes of the header at the front of `input`; 0 if it is not whole.
pub(crate) fn header(input: &[u8], limits: &Limits) -> Result<usize, Error> {
    if input.starts_with(HEADER_LINE) {
        return Ok(HEADER_LINE.len());
    }
    match decode(input, limits.message_bytes)? {
        None => Ok(0),
        Some(line) => Err(Error::NoHeader { seen: Seen::new(line.text) }),
    }
}

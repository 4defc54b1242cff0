//! What the streams of a connection came to, as numbers.

use core::num::NonZeroU8;

use crate::Direction;

/// How many negotiations took how many round trips.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoundTrips {
    /// By their number; the last counts seven and more.
    pub counts: [u64; 8],
    /// All round trips together.
    pub sum: u64,
}

impl RoundTrips {
    /// Counts a negotiation that took so many.
    pub const fn note(&mut self, round_trips: u32) {
        let place = if round_trips < 7 { round_trips as usize } else { 7 };
        self.counts[place] += 1;
        self.sum += round_trips as u64;
    }

    /// How many negotiations.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Adds others to these.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum += other.sum;
    }
}

/// What became of streams. Open is a stream whose protocol was agreed on, until both ends have finished it, or one has
/// reset it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamCounters {
    /// Streams of ours that were agreed on.
    pub opened: u64,
    /// Streams of the peer's that were agreed on.
    pub accepted: u64,
    /// Streams of ours that the peer did not agree on, or not before we gave up.
    pub refused: u64,
    /// Streams of the peer's that came to no agreement: we speak none of the names, or are full, or it broke off.
    pub turned_away: u64,
    /// Open streams that both ends have finished.
    pub finished: u64,
    /// Open streams that we have reset.
    pub reset: u64,
    /// Open streams that the peer has reset.
    pub reset_by_peer: u64,
    /// Streams that were open when their connection ended.
    pub cut: u64,
    /// Round trips until our streams were agreed on, each offered name one. None where payload did not wait.
    pub round_trips: RoundTrips,
}

impl StreamCounters {
    /// How many are open. Only what was counted from a connection's start says so.
    pub const fn open(&self) -> u64 {
        let ended = self.finished + self.reset + self.reset_by_peer + self.cut;
        (self.opened + self.accepted).saturating_sub(ended)
    }

    /// Adds others to these.
    pub fn add(&mut self, other: &Self) {
        self.opened += other.opened;
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.turned_away += other.turned_away;
        self.finished += other.finished;
        self.reset += other.reset;
        self.reset_by_peer += other.reset_by_peer;
        self.cut += other.cut;
        self.round_trips.add(&other.round_trips);
    }
}

/// Streams with one [label](crate::Connection::set_label), and their payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LabelCounters {
    /// Streams of ours that were agreed on.
    pub opened: u64,
    /// Streams of the peer's that were agreed on.
    pub accepted: u64,
    /// Bytes of payload that arrived, read or not.
    pub bytes_in: u64,
    /// Bytes of payload that were taken to be sent.
    pub bytes_out: u64,
}

impl LabelCounters {
    /// Adds others to these.
    pub const fn add(&mut self, other: &Self) {
        self.opened += other.opened;
        self.accepted += other.accepted;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
    }
}

/// What a connection has counted since it was last [asked](crate::Connection::take_counters).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// All streams.
    pub streams: StreamCounters,
    /// Label 1, label 2, …, as far as there is something to say.
    pub labels: Vec<LabelCounters>,
}

impl Counters {
    fn label(&mut self, label: NonZeroU8) -> &mut LabelCounters {
        let index = usize::from(label.get()) - 1;
        if self.labels.len() <= index {
            self.labels.resize(index + 1, LabelCounters::default());
        }
        &mut self.labels[index]
    }
}

/// How an open stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Finished,
    Reset,
    ResetByPeer,
}

/// Counts the streams of a connection. It holds memory only while there is something to ask for.
#[derive(Debug, Default)]
pub(crate) struct Tally(Option<Box<Counters>>);

impl Tally {
    pub(crate) fn counters(&self) -> Option<&Counters> {
        self.0.as_deref()
    }

    pub(crate) fn take(&mut self) -> Option<Box<Counters>> {
        self.0.take()
    }

    fn streams(&mut self) -> &mut StreamCounters {
        &mut self.0.get_or_insert_default().streams
    }

    /// A stream was agreed on; ours after so many round trips.
    pub(crate) fn agreed(&mut self, direction: Direction, round_trips: u32) {
        let streams = self.streams();
        match direction {
            Direction::Inbound => streams.accepted += 1,
            Direction::Outbound => {
                streams.opened += 1;
                streams.round_trips.note(round_trips);
            }
        }
    }

    /// A stream was not agreed on.
    pub(crate) fn failed(&mut self, direction: Direction) {
        match direction {
            Direction::Inbound => self.streams().turned_away += 1,
            Direction::Outbound => self.streams().refused += 1,
        }
    }

    /// An open stream has ended.
    pub(crate) fn ended(&mut self, end: End) {
        let streams = self.streams();
        match end {
            End::Finished => streams.finished += 1,
            End::Reset => streams.reset += 1,
            End::ResetByPeer => streams.reset_by_peer += 1,
        }
    }

    /// The connection has ended, and so many open streams with it.
    pub(crate) fn cut(&mut self, streams: usize) {
        if streams > 0 {
            self.streams().cut += streams as u64;
        }
    }

    /// A stream that was agreed on has a label, and so many bytes have arrived behind the agreement.
    pub(crate) fn labelled(&mut self, label: NonZeroU8, direction: Direction, bytes: usize) {
        let counters = self.0.get_or_insert_default().label(label);
        match direction {
            Direction::Inbound => counters.accepted += 1,
            Direction::Outbound => counters.opened += 1,
        }
        counters.bytes_in += bytes as u64;
    }

    pub(crate) fn received(&mut self, label: Option<NonZeroU8>, bytes: usize) {
        if let Some(label) = label {
            self.0.get_or_insert_default().label(label).bytes_in += bytes as u64;
        }
    }

    pub(crate) fn sent(&mut self, label: Option<NonZeroU8>, bytes: usize) {
        if let Some(label) = label {
            self.0.get_or_insert_default().label(label).bytes_out += bytes as u64;
        }
    }
}

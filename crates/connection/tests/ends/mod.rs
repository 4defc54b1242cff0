//! Two ends that have streams, whatever makes them: what the contract is told to.

pub(crate) mod sessions;
pub(crate) mod whole;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// It opens all streams.
    A,
    B,
}

impl Side {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// What a side has seen of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// How often it was told of the stream.
    pub(crate) opened: usize,
    /// What it has read.
    pub(crate) data: Vec<u8>,
    /// How often it was told of the end.
    pub(crate) finished: usize,
    /// How often it was told of a reset.
    pub(crate) reset: usize,
}

/// The answer to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    /// The stream has been finished by us.
    Finished,
    /// The key is stale.
    Gone,
}

/// Streams are named by the order in which A opened them. Both sides read what comes, but for streams that are paused.
pub(crate) trait Ends {
    /// Opens the next stream at A.
    fn open(&mut self);
    fn write(&mut self, side: Side, stream: usize, data: &[u8]) -> Result<usize, Answer>;
    fn finish(&mut self, side: Side, stream: usize) -> Answer;
    fn reset(&mut self, side: Side, stream: usize) -> Answer;
    fn stop(&mut self, side: Side, stream: usize) -> Answer;
    /// Stops or goes on reading.
    fn pause(&mut self, side: Side, stream: usize, paused: bool);
    /// Carries bytes one way until nothing moves; what they cause goes back later.
    fn carry(&mut self, from: Side);
    fn seen(&self, side: Side, stream: usize) -> Seen;
    /// The streams that a side has not forgotten.
    fn live(&self, side: Side) -> usize;
    /// Whether a finished stream is written to or finished without an error of its own.
    fn finish_again(&self) -> Answer;
    /// Whether a reader that stops stops its own stream only.
    fn has_windows(&self) -> bool;

    /// Carries bytes both ways until nothing moves.
    fn settle(&mut self) {
        for _ in 0..64 {
            self.carry(Side::A);
            self.carry(Side::B);
        }
    }

    /// Writes all of `data` and carries what it takes.
    fn write_all(&mut self, side: Side, stream: usize, data: &[u8]) {
        let mut written = 0;
        for _ in 0..10_000 {
            written += self.write(side, stream, &data[written..]).unwrap();
            if written == data.len() {
                return;
            }
            self.carry(side);
            self.carry(side.other());
        }
        panic!("{written} of {} bytes were written", data.len());
    }
}

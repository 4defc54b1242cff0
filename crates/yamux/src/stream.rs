//! One stream, and the table of all.

use sanswarm_wire::{Instant, Slab, Turn};

use crate::{
    StreamId,
    frame::{Flags, Header, Kind},
    ids::Ids,
    window::{INITIAL_WINDOW_BYTES, RecvWindow, SendWindow},
};

/// How far the opening of a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// Ours: the peer does not know of it.
    SynDue,
    /// Ours: it takes one of the slots for unacknowledged streams.
    AwaitsAck,
    /// Theirs: nobody has accepted it.
    Unaccepted,
    /// Theirs: accepted.
    AckDue,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    Open,
    FinDue,
    FinSent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receiving {
    Open,
    /// A frame with FIN is being received.
    FinSeen,
    /// The caller has been told.
    FinTold,
}

#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) wire: u32,
    pub(crate) send: SendWindow,
    pub(crate) recv: RecvWindow,
    pub(crate) turn: Turn,
    pub(crate) opening: Opening,
    pub(crate) sending: Sending,
    pub(crate) receiving: Receiving,
    /// The caller will read no more.
    pub(crate) stopped: bool,
    pub(crate) credit_due: bool,
    /// A writer waits for credit or for its SYN; it joins the ring when that comes.
    pub(crate) parked: bool,
}

impl Stream {
    pub(crate) fn new(wire: u32, opening: Opening, window_bytes: u32) -> Self {
        Self {
            wire,
            send: SendWindow::INITIAL,
            recv: RecvWindow::new(window_bytes),
            turn: Turn::default(),
            opening,
            sending: Sending::Open,
            receiving: Receiving::Open,
            stopped: false,
            credit_due: window_bytes > INITIAL_WINDOW_BYTES,
            parked: false,
        }
    }

    /// The flags that its next frame carries to open or to accept it.
    pub(crate) fn opening_flags(&self) -> Flags {
        match self.opening {
            Opening::SynDue => Flags::SYN,
            Opening::AckDue => Flags::ACK,
            _ => Flags::NONE,
        }
    }

    /// The one frame without payload that it owes, if any. It is sent now: nothing is owed after that.
    pub(crate) fn take_owed(&mut self, now: Instant) -> Option<Header> {
        let mut flags = self.opening_flags();
        let mut kind = Kind::WindowUpdate;
        self.opened();
        let credit = if core::mem::take(&mut self.credit_due) { self.take_credit(now) } else { 0 };
        if self.sending == Sending::FinDue {
            self.sending = Sending::FinSent;
            flags = flags | Flags::FIN;
            if credit == 0 {
                kind = Kind::Data;
            }
        }
        if flags == Flags::NONE && credit == 0 {
            return None;
        }
        Some(Header { kind, flags, stream: self.wire, length: credit })
    }

    /// Its SYN or ACK has been sent.
    pub(crate) fn opened(&mut self) {
        self.opening = match self.opening {
            Opening::SynDue => Opening::AwaitsAck,
            Opening::AckDue => Opening::Done,
            other => other,
        };
    }

    pub(crate) fn is_over(&self) -> bool {
        self.sending == Sending::FinSent && self.receiving == Receiving::FinTold
    }

    /// Whether the credit that is due follows a reader, so that a larger window may be of use.
    pub(crate) fn has_reader(&self) -> bool {
        self.credit_due && !self.stopped && self.receiving == Receiving::Open && self.recv.was_read()
    }

    /// Credit is of no use to a peer that has finished.
    fn take_credit(&mut self, now: Instant) -> u32 {
        if self.receiving == Receiving::Open { self.recv.grant(now) } else { 0 }
    }
}

/// All streams, by key and by wire id.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    slab: Slab<Stream>,
    ids: Ids,
}

impl Streams {
    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(crate) fn insert(&mut self, stream: Stream) -> StreamId {
        let wire = stream.wire;
        let key = self.slab.insert(stream);
        self.ids.insert(wire, key.index());
        key
    }

    pub(crate) fn remove(&mut self, key: StreamId) -> Option<Stream> {
        let stream = self.slab.remove(key)?;
        self.ids.remove(stream.wire);
        Some(stream)
    }

    pub(crate) fn get(&self, key: StreamId) -> Option<&Stream> {
        self.slab.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: StreamId) -> Option<&mut Stream> {
        self.slab.get_mut(key)
    }

    /// The stream that the peer means by `wire`. It cannot mean one that it has not heard of.
    pub(crate) fn by_wire(&self, wire: u32) -> Option<StreamId> {
        let (key, stream) = self.slab.at(self.ids.get(wire)?)?;
        (stream.opening != Opening::SynDue).then_some(key)
    }

    /// Heap memory, in bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.slab.heap_bytes() + self.ids.heap_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_small() {
        assert!(size_of::<Stream>() <= 44, "{}", size_of::<Stream>());
    }

    #[test]
    fn one_frame_carries_all_that_is_owed() {
        let mut stream = Stream::new(5, Opening::SynDue, INITIAL_WINDOW_BYTES + 7);
        stream.sending = Sending::FinDue;
        let owed = stream.take_owed(Instant::ZERO).unwrap();
        assert_eq!(owed.encode(), [0, 1, 0, 5, 0, 0, 0, 5, 0, 0, 0, 7]);
        assert_eq!(stream.take_owed(Instant::ZERO), None);
        assert_eq!((stream.opening, stream.sending), (Opening::AwaitsAck, Sending::FinSent));
    }
}

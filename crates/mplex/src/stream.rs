//! One stream, and the table of all.

use alloc::collections::BTreeMap;

use sanswarm_wire::{Slab, Turn};

use crate::{
    StreamId,
    frame::{Header, Kind},
};

/// How far the opening of a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// Ours: the peer does not know of it.
    Due,
    /// Theirs: nobody has accepted it.
    Unaccepted,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    Open,
    CloseDue,
    Closed,
}

#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) wire: u64,
    /// Bytes that were told and not consumed.
    pub(crate) unread: u32,
    pub(crate) turn: Turn,
    pub(crate) opening: Opening,
    pub(crate) sending: Sending,
    /// The peer has closed its side.
    pub(crate) received: bool,
    /// The caller will read no more.
    pub(crate) stopped: bool,
    pub(crate) is_ours: bool,
}

impl Stream {
    pub(crate) fn ours(wire: u64) -> Self {
        Self::new(wire, Opening::Due, true)
    }

    pub(crate) fn theirs(wire: u64) -> Self {
        Self::new(wire, Opening::Unaccepted, false)
    }

    fn new(wire: u64, opening: Opening, is_ours: bool) -> Self {
        Self {
            wire,
            unread: 0,
            turn: Turn::default(),
            opening,
            sending: Sending::Open,
            received: false,
            stopped: false,
            is_ours,
        }
    }

    /// The head of a frame of this stream.
    pub(crate) fn header(&self, kind: Kind, length: u32) -> Header {
        Header { kind, by_opener: self.is_ours, id: self.wire, length }
    }

    /// The next frame without payload that it owes, if any.
    pub(crate) fn owed(&self) -> Option<Header> {
        match (self.opening, self.sending) {
            (Opening::Due, _) => Some(self.header(Kind::NewStream, 0)),
            (_, Sending::CloseDue) => Some(self.header(Kind::Close, 0)),
            _ => None,
        }
    }

    /// What [`owed`](Self::owed) said has been sent.
    pub(crate) fn settle(&mut self) {
        if self.opening == Opening::Due {
            self.opening = Opening::Done;
        } else if self.sending == Sending::CloseDue {
            self.sending = Sending::Closed;
        }
    }

    /// Whether both ends have finished, so that the peer has forgotten it.
    pub(crate) fn is_over(&self) -> bool {
        self.sending == Sending::Closed && self.received
    }
}

/// All streams, by key and by what they are called on the wire. The peer chooses any 60 bits for its own: of what it can
/// choose, a tree's worst is the logarithm of the number of streams.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    slab: Slab<Stream>,
    ours: BTreeMap<u64, StreamId>,
    theirs: BTreeMap<u64, StreamId>,
}

impl Streams {
    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(crate) fn insert(&mut self, stream: Stream) -> StreamId {
        let (wire, is_ours) = (stream.wire, stream.is_ours);
        let key = self.slab.insert(stream);
        self.wires(is_ours).insert(wire, key);
        key
    }

    pub(crate) fn remove(&mut self, key: StreamId) -> Option<Stream> {
        self.detach(key);
        self.slab.remove(key)
    }

    /// Takes the stream's name on the wire away: the peer has forgotten the stream and may give its id to another.
    pub(crate) fn detach(&mut self, key: StreamId) {
        let Some(stream) = self.slab.get(key) else { return };
        let (wire, is_ours) = (stream.wire, stream.is_ours);
        let wires = self.wires(is_ours);
        if wires.get(&wire) == Some(&key) {
            wires.remove(&wire);
        }
    }

    pub(crate) fn get(&self, key: StreamId) -> Option<&Stream> {
        self.slab.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: StreamId) -> Option<&mut Stream> {
        self.slab.get_mut(key)
    }

    /// The stream that the peer means. It cannot mean one that it has not heard of.
    pub(crate) fn by_header(&self, header: Header) -> Option<StreamId> {
        let wires = if header.by_opener { &self.theirs } else { &self.ours };
        let key = *wires.get(&header.id)?;
        (self.get(key)?.opening != Opening::Due).then_some(key)
    }

    fn wires(&mut self, ours: bool) -> &mut BTreeMap<u64, StreamId> {
        if ours { &mut self.ours } else { &mut self.theirs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_small() {
        assert!(size_of::<Stream>() <= 24, "{}", size_of::<Stream>());
    }

    #[test]
    fn what_is_owed_comes_in_order() {
        let mut stream = Stream::ours(5);
        stream.sending = Sending::CloseDue;
        assert_eq!(stream.owed(), Some(Header::bare(Kind::NewStream, true, 5)));
        stream.settle();
        assert_eq!(stream.owed(), Some(Header::bare(Kind::Close, true, 5)));
        stream.settle();
        assert_eq!((stream.owed(), stream.sending), (None, Sending::Closed));
        stream.settle();
        assert!(!stream.is_over());
    }

    #[test]
    fn a_name_that_was_taken_away_can_be_given_again() {
        let mut streams = Streams::default();
        let (old, other) = (streams.insert(Stream::theirs(7)), streams.insert(Stream::ours(7)));
        streams.detach(old);
        assert_eq!(streams.by_header(Header::bare(Kind::Message, true, 7)), None);
        let new = streams.insert(Stream::theirs(7));
        assert_eq!(streams.remove(old).map(|stream| stream.wire), Some(7));
        assert_eq!(streams.by_header(Header::bare(Kind::Message, true, 7)), Some(new));
        assert_eq!(streams.by_header(Header::bare(Kind::Message, false, 7)), None, "not sent yet");
        streams.get_mut(other).unwrap().settle();
        assert_eq!(streams.by_header(Header::bare(Kind::Message, false, 7)), Some(other));
        assert_eq!((streams.len(), streams.remove(old).is_none()), (2, true));
    }
}

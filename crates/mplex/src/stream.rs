//! One stream, and the table of all.

use alloc::collections::{BTreeMap, btree_map::Entry};

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

/// What a stream is called on the wire: each end gives out ids of its own, so an id alone names nobody. In two halves,
/// which need no gap before them in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    high: u32,
    low: u32,
}

impl Name {
    fn new(id: u64, is_ours: bool) -> Self {
        let both = id << 1 | u64::from(is_ours);
        Self { high: (both >> 32) as u32, low: both as u32 }
    }

    pub(crate) fn id(self) -> u64 {
        (u64::from(self.high) << 32 | u64::from(self.low)) >> 1
    }

    /// Whether it is a stream that we opened.
    pub(crate) fn is_ours(self) -> bool {
        self.low % 2 == 1
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) name: Name,
    /// Bytes that were told and not consumed.
    pub(crate) unread: u32,
    pub(crate) turn: Turn,
    pub(crate) opening: Opening,
    pub(crate) sending: Sending,
    /// The peer has closed its side.
    pub(crate) received: bool,
    /// The caller will read no more.
    pub(crate) stopped: bool,
}

impl Stream {
    pub(crate) fn ours(id: u64) -> Self {
        Self::new(Name::new(id, true), Opening::Due)
    }

    pub(crate) fn theirs(id: u64) -> Self {
        Self::new(Name::new(id, false), Opening::Unaccepted)
    }

    fn new(name: Name, opening: Opening) -> Self {
        Self {
            name,
            unread: 0,
            turn: Turn::default(),
            opening,
            sending: Sending::Open,
            received: false,
            stopped: false,
        }
    }

    /// The head of a frame of this stream.
    pub(crate) fn header(&self, kind: Kind, length: u32) -> Header {
        Header { kind, by_opener: self.name.is_ours(), id: self.name.id(), length }
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
    /// The slots of the streams that the peer can mean, or that it has yet to hear of.
    slots: BTreeMap<Name, u32>,
}

impl Streams {
    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(crate) fn insert(&mut self, stream: Stream) -> StreamId {
        let name = stream.name;
        let key = self.slab.insert(stream);
        self.slots.insert(name, key.index() as u32);
        key
    }

    pub(crate) fn remove(&mut self, key: StreamId) -> Option<Stream> {
        self.detach(key);
        self.slab.remove(key)
    }

    /// Takes the stream's name on the wire away: the peer has forgotten the stream and may give its id to another.
    pub(crate) fn detach(&mut self, key: StreamId) {
        let Some(stream) = self.slab.get(key) else { return };
        if let Entry::Occupied(slot) = self.slots.entry(stream.name)
            && *slot.get() as usize == key.index()
        {
            slot.remove();
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
        let slot = *self.slots.get(&Name::new(header.id, !header.by_opener))?;
        let (key, stream) = self.slab.at(slot as usize)?;
        (stream.opening != Opening::Due).then_some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::ID_MAX;

    #[test]
    fn a_stream_is_small() {
        assert_eq!((size_of::<Stream>(), size_of::<Option<Stream>>()), (20, 20));
    }

    #[test]
    fn a_name_is_an_id_and_whose_it_is() {
        for id in [0, 1, u64::from(u32::MAX), 1 << 33, ID_MAX] {
            let (ours, theirs) = (Name::new(id, true), Name::new(id, false));
            assert_eq!((ours.id(), ours.is_ours(), theirs.id(), theirs.is_ours()), (id, true, id, false));
            assert!(theirs < ours && ours < Name::new(id + 1, false));
        }
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
        assert_eq!(streams.remove(old).map(|stream| stream.name.id()), Some(7));
        assert_eq!(streams.by_header(Header::bare(Kind::Message, true, 7)), Some(new));
        assert_eq!(streams.by_header(Header::bare(Kind::Message, false, 7)), None, "not sent yet");
        streams.get_mut(other).unwrap().settle();
        assert_eq!(streams.by_header(Header::bare(Kind::Message, false, 7)), Some(other));
        assert_eq!((streams.len(), streams.remove(old).is_none()), (2, true));
    }
}

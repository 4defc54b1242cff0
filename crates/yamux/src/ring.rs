//! A queue of streams that any of them can leave at once.

use alloc::vec::Vec;

use crate::StreamId;

const END: u32 = u32::MAX;

/// Streams in order, each at most once. Every operation takes constant time: a table of links beside the slab.
#[derive(Debug)]
pub(crate) struct Ring {
    links: Vec<Option<Link>>,
    head: u32,
    tail: u32,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    key: StreamId,
    prev: u32,
    next: u32,
}

impl Ring {
    pub(crate) fn new() -> Self {
        Self { links: Vec::new(), head: END, tail: END, len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn front(&self) -> Option<StreamId> {
        Some(self.link(self.head)?.key)
    }

    pub(crate) fn contains(&self, key: StreamId) -> bool {
        self.link(key.index() as u32).is_some_and(|link| link.key == key)
    }

    /// Adds `key` at the end, unless it is in.
    pub(crate) fn push_back(&mut self, key: StreamId) {
        if self.contains(key) {
            return;
        }
        if self.links.len() <= key.index() {
            self.links.resize(key.index() + 1, None);
        }
        let at = key.index() as u32;
        let prev = core::mem::replace(&mut self.tail, at);
        self.links[key.index()] = Some(Link { key, prev, next: END });
        match self.link_mut(prev) {
            Some(link) => link.next = at,
            None => self.head = at,
        }
        self.len += 1;
    }

    /// Takes `key` out and returns whether it was in. A stream must leave before its slot is used again.
    pub(crate) fn remove(&mut self, key: StreamId) -> bool {
        if !self.contains(key) {
            return false;
        }
        let Some(link) = self.links[key.index()].take() else { return false };
        match self.link_mut(link.prev) {
            Some(prev) => prev.next = link.next,
            None => self.head = link.next,
        }
        match self.link_mut(link.next) {
            Some(next) => next.prev = link.prev,
            None => self.tail = link.prev,
        }
        self.len -= 1;
        true
    }

    /// Moves `key` to the end, or adds it there.
    pub(crate) fn move_back(&mut self, key: StreamId) {
        self.remove(key);
        self.push_back(key);
    }

    /// Gives the table back if nobody is in.
    pub(crate) fn release(&mut self) {
        if self.is_empty() {
            *self = Self::new();
        }
    }

    fn link(&self, at: u32) -> Option<&Link> {
        self.links.get(at as usize)?.as_ref()
    }

    fn link_mut(&mut self, at: u32) -> Option<&mut Link> {
        self.links.get_mut(at as usize)?.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use alloc::{collections::VecDeque, vec::Vec};

    use proptest::prelude::*;
    use sanswarm_wire::Slab;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_queue_without_duplicates(ops in prop::collection::vec((0u8..4, 0usize..8), 0..200)) {
            let mut slab = Slab::new();
            let keys: Vec<StreamId> = (0..8).map(|i| slab.insert(i)).collect();
            let (mut ring, mut model) = (Ring::new(), VecDeque::new());
            for (op, i) in ops {
                let key = keys[i];
                match op {
                    0 => { ring.push_back(key); if !model.contains(&key) { model.push_back(key) } }
                    1 => { ring.remove(key); model.retain(|k| *k != key) }
                    2 => { ring.move_back(key); model.retain(|k| *k != key); model.push_back(key) }
                    _ => if let Some(front) = ring.front() { ring.remove(front); model.pop_front(); },
                }
                prop_assert_eq!(ring.front(), model.front().copied());
                prop_assert_eq!(ring.len(), model.len());
                prop_assert_eq!(ring.contains(key), model.contains(&key));
            }
        }
    }
}

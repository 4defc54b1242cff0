//! A queue that anybody in it can leave at once.

use alloc::vec::Vec;

use crate::{
    Key,
    slab::{grow, release},
};

/// No slot: the end of the queue on either side.
const END: u32 = u32::MAX;
/// In place of a link's `prev`: nobody is there.
const ABSENT: u32 = u32::MAX - 1;

/// Keys of one [`Slab`](crate::Slab) in order, each at most once.
///
/// Every operation takes constant time, wherever in the queue its key is: the links are a table beside the slab, by the
/// keys' slots, of 12 bytes each. A key must leave before its slot is used again: one that finds an older key of its
/// slot in the queue takes that one's place.
#[derive(Clone, Debug)]
pub struct Ring {
    links: Vec<Link>,
    head: u32,
    tail: u32,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    generation: u32,
    prev: u32,
    next: u32,
}

impl Link {
    const NONE: Self = Self { generation: 0, prev: ABSENT, next: END };

    fn is_in(&self) -> bool {
        self.prev != ABSENT
    }
}

impl Default for Ring {
    fn default() -> Self {
        Self::new()
    }
}

impl Ring {
    /// An empty queue, which holds no memory.
    pub const fn new() -> Self {
        Self { links: Vec::new(), head: END, tail: END, len: 0 }
    }

    /// How many keys are in.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no key is in.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The key that has been in for longest.
    pub fn front(&self) -> Option<Key> {
        Some(Key::new(self.head, self.links.get(self.head as usize)?.generation))
    }

    /// Whether `key` is in.
    pub fn contains(&self, key: Key) -> bool {
        self.links.get(key.index()).is_some_and(|link| link.is_in() && link.generation == key.generation())
    }

    /// Adds `key` at the end, unless it is in.
    pub fn push_back(&mut self, key: Key) {
        let at = key.index();
        if at >= self.links.len() {
            grow(&mut self.links, at + 1);
            self.links.resize(at + 1, Link::NONE);
        }
        if self.links[at].is_in() {
            self.links[at].generation = key.generation();
            return;
        }
        let at = at as u32;
        let prev = core::mem::replace(&mut self.tail, at);
        self.links[at as usize] = Link { generation: key.generation(), prev, next: END };
        match self.links.get_mut(prev as usize) {
            Some(link) => link.next = at,
            None => self.head = at,
        }
        self.len += 1;
    }

    /// Takes `key` out, and returns whether it was in.
    pub fn remove(&mut self, key: Key) -> bool {
        if !self.contains(key) {
            return false;
        }
        let link = core::mem::replace(&mut self.links[key.index()], Link::NONE);
        match self.links.get_mut(link.prev as usize) {
            Some(prev) => prev.next = link.next,
            None => self.head = link.next,
        }
        match self.links.get_mut(link.next as usize) {
            Some(next) => next.prev = link.prev,
            None => self.tail = link.prev,
        }
        self.len -= 1;
        true
    }

    /// Moves `key` to the end, or adds it there.
    pub fn move_back(&mut self, key: Key) {
        self.remove(key);
        self.push_back(key);
    }

    /// Gives the table back if nobody is in, unless it is of 8 slots or less.
    pub fn release(&mut self) {
        if self.is_empty() {
            release(&mut self.links);
        }
    }

    /// The heap memory of the table, in bytes.
    pub fn heap_bytes(&self) -> usize {
        self.links.capacity() * size_of::<Link>()
    }
}

#[cfg(test)]
mod tests {
    use alloc::{collections::VecDeque, vec::Vec};

    use proptest::prelude::*;

    use super::*;
    use crate::Slab;

    #[test]
    fn an_older_key_of_a_slot_gives_its_place_to_the_newer() {
        let mut slab = Slab::new();
        let (old, other) = (slab.insert('a'), slab.insert('b'));
        let mut ring = Ring::new();
        ring.push_back(old);
        ring.push_back(other);
        slab.remove(old);
        let new = slab.insert('c');
        assert!(!ring.contains(new) && !ring.remove(new));
        ring.push_back(new);
        assert!(!ring.contains(old) && !ring.remove(old));
        assert_eq!((ring.front(), ring.len()), (Some(new), 2));
    }

    #[test]
    fn a_table_goes_when_nobody_is_in() {
        let mut slab = Slab::new();
        let keys: Vec<Key> = (0..100).map(|i| slab.insert(i)).collect();
        let mut ring = Ring::default();
        assert_eq!((ring.front(), ring.links.capacity()), (None, 0));
        ring.push_back(keys[99]);
        ring.release();
        assert!(ring.contains(keys[99]) && ring.links.capacity() <= 125);
        assert!(!ring.contains(keys[98]) && !ring.is_empty());
        ring.remove(keys[99]);
        ring.release();
        assert_eq!((ring.links.capacity(), ring.is_empty()), (0, true));
    }

    proptest! {
        #[test]
        fn it_is_a_queue_without_duplicates(ops in prop::collection::vec((0u8..4, 0usize..8), 0..200)) {
            let mut slab = Slab::new();
            let keys: Vec<Key> = (0..8).map(|i| slab.insert(i)).collect();
            let (mut ring, mut model) = (Ring::new(), VecDeque::new());
            for (op, i) in ops {
                let key = keys[i];
                match op {
                    0 => { ring.push_back(key); if !model.contains(&key) { model.push_back(key) } }
                    1 => { prop_assert_eq!(ring.remove(key), model.contains(&key)); model.retain(|k| *k != key) }
                    2 => { ring.move_back(key); model.retain(|k| *k != key); model.push_back(key) }
                    _ => if let Some(front) = ring.front() { ring.remove(front); model.pop_front(); },
                }
                prop_assert_eq!(ring.front(), model.front().copied());
                prop_assert_eq!((ring.len(), ring.is_empty()), (model.len(), model.is_empty()));
                prop_assert_eq!(ring.contains(key), model.contains(&key));
            }
        }
    }
}

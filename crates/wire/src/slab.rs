//! Slots with keys that go stale: a handle to something that has gone never names its successor.

use alloc::vec::Vec;

/// The name of a value in a [`Slab`]. A key of a removed value stays unknown to its slab for ever: a generation is
/// never given out twice (it would take 2^32 insertions in one slab).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    index: u32,
    generation: u32,
}

impl Key {
    pub(crate) const fn new(index: u32, generation: u32) -> Self {
        Self { index, generation }
    }

    pub(crate) const fn generation(self) -> u32 {
        self.generation
    }

    /// The slot. Small and dense, so that a table beside the slab can be a `Vec`; used again after a removal.
    pub const fn index(self) -> usize {
        self.index as usize
    }
}

/// Makes room for `len` values with a quarter to spare: doubling would let half of a table of many streams lie idle.
pub(crate) fn grow<T>(table: &mut Vec<T>, len: usize) {
    if table.capacity() < len {
        table.reserve_exact(len + (len / 4).max(1) - table.len());
    }
}

/// The slots of an empty table that are kept.
const KEPT_SLOTS: usize = 8;

impl core::fmt::Debug for Key {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}v{}", self.index, self.generation)
    }
}

/// Gives the memory of a table back of which nothing is in use, unless it is small: what comes and goes one by one
/// should not allocate each time.
pub(crate) fn release<T>(table: &mut Vec<T>) {
    if table.capacity() > KEPT_SLOTS {
        *table = Vec::new();
    }
}

/// Values in numbered slots. Every operation takes constant time. A slab that has become empty keeps at most 8 slots.
#[derive(Clone, Debug)]
pub struct Slab<T> {
    slots: Vec<Slot<T>>,
    /// The first of the vacant slots, which are a list.
    vacant: Option<u32>,
    len: usize,
    generation: u32,
}

#[derive(Clone, Debug)]
enum Slot<T> {
    Taken { generation: u32, value: T },
    Vacant { next: Option<u32> },
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), vacant: None, len: 0, generation: 0 }
    }
}

impl<T> Slab<T> {
    /// A slab without values, which holds no memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes a value in and names it.
    pub fn insert(&mut self, value: T) -> Key {
        let generation = self.generation;
        self.generation = self.generation.wrapping_add(1);
        self.len += 1;
        let taken = Slot::Taken { generation, value };
        let index = match self.vacant {
            Some(index) => {
                if let Slot::Vacant { next } = self.slots[index as usize] {
                    self.vacant = next;
                }
                self.slots[index as usize] = taken;
                index
            }
            None => {
                let len = self.slots.len() + 1;
                grow(&mut self.slots, len);
                self.slots.push(taken);
                (self.slots.len() - 1) as u32
            }
        };
        Key { index, generation }
    }

    /// The value that `key` names, if it is still there.
    pub fn get(&self, key: Key) -> Option<&T> {
        match self.slots.get(key.index())? {
            Slot::Taken { generation, value } if *generation == key.generation => Some(value),
            _ => None,
        }
    }

    /// The value that `key` names, if it is still there.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        match self.slots.get_mut(key.index())? {
            Slot::Taken { generation, value } if *generation == key.generation => Some(value),
            _ => None,
        }
    }

    /// The value in slot `index` with its key, if there is one.
    pub fn at(&self, index: usize) -> Option<(Key, &T)> {
        match self.slots.get(index)? {
            Slot::Taken { generation, value } => Some((Key::new(index as u32, *generation), value)),
            Slot::Vacant { .. } => None,
        }
    }

    /// The heap memory of the slots, in bytes.
    pub fn heap_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot<T>>()
    }

    /// Whether `key` names a value.
    pub fn contains(&self, key: Key) -> bool {
        self.get(key).is_some()
    }

    /// Takes the value that `key` names out. Its slot is used again, its key is not.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        self.get(key)?;
        let slot = core::mem::replace(&mut self.slots[key.index()], Slot::Vacant { next: self.vacant });
        self.vacant = Some(key.index);
        self.len -= 1;
        if self.len == 0 {
            self.slots.clear();
            release(&mut self.slots);
            self.vacant = None;
        }
        match slot {
            Slot::Taken { value, .. } => Some(value),
            Slot::Vacant { .. } => None,
        }
    }

    /// All values with their keys, in the order of their slots. For ends and reports: it takes time in their number.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| match slot {
            Slot::Taken { generation, value } => Some((Key { index: index as u32, generation: *generation }, value)),
            Slot::Vacant { .. } => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_never_names_the_successor() {
        let mut slab = Slab::new();
        let a = slab.insert('a');
        let b = slab.insert('b');
        assert_eq!(slab.remove(a), Some('a'));
        let c = slab.insert('c');
        assert_eq!(c.index(), a.index(), "the slot is used again");
        assert_eq!((slab.get(a), slab.get(b), slab.get(c)), (None, Some(&'b'), Some(&'c')));
        assert_eq!(slab.remove(a), None);
        assert_eq!(slab.len(), 2);
    }

    #[test]
    fn an_empty_slab_forgets_slots_but_not_generations() {
        let mut slab = Slab::new();
        let old = slab.insert(1);
        slab.remove(old);
        assert!(slab.is_empty());
        let new = slab.insert(2);
        assert_ne!(old, new);
        assert_eq!(slab.get(old), None);
        assert_eq!(slab.iter().collect::<Vec<_>>(), [(new, &2)]);
    }
}

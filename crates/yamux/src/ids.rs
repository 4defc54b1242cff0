//! From the ids on the wire to the slots of streams.

use alloc::{collections::BTreeMap, vec::Vec};

/// The entries of a bucket: one cache line.
const BUCKET: usize = 8;

/// Buckets that stay when the last id goes.
const KEPT_BUCKETS: usize = 2;

/// The slots of streams by their ids on the wire, which are never 0.
///
/// The peer chooses half of the ids and there is no secret to hash them with, so the table must bound the worst that it
/// can choose. An id has one bucket and a search looks at that bucket only. Ids in a row, which all known peers use,
/// fill buckets evenly: a multiplicative hash puts neighbours far from each other. A bucket that is full although the
/// table is less than half full is of somebody's making, or of rare chance: what does not fit goes to a tree, whose
/// depth is bounded by the number of streams.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    buckets: Vec<[Entry; BUCKET]>,
    overflow: BTreeMap<u32, u32>,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// 0 if the entry is free.
    wire: u32,
    slot: u32,
}

impl Entry {
    const FREE: Self = Self { wire: 0, slot: 0 };
}

impl Ids {
    pub(crate) fn get(&self, wire: u32) -> Option<usize> {
        let bucket = self.buckets.get(self.bucket_of(wire))?;
        match bucket.iter().find(|entry| entry.wire == wire) {
            Some(entry) => Some(entry.slot as usize),
            None if self.overflow.is_empty() => None,
            None => self.overflow.get(&wire).map(|slot| *slot as usize),
        }
    }

    /// Adds an id that is not in.
    pub(crate) fn insert(&mut self, wire: u32, slot: usize) {
        if self.buckets.is_empty() {
            self.buckets = alloc::vec![[Entry::FREE; BUCKET]];
        }
        self.len += 1;
        self.put(Entry { wire, slot: slot as u32 });
    }

    fn put(&mut self, entry: Entry) {
        loop {
            let at = self.bucket_of(entry.wire);
            if let Some(free) = self.buckets[at].iter_mut().find(|entry| entry.wire == 0) {
                *free = entry;
                return;
            }
            if self.len * 2 < self.buckets.len() * BUCKET {
                self.overflow.insert(entry.wire, entry.slot);
                return;
            }
            self.grow();
        }
    }

    /// Half as many buckets again: twice as many would let half of a table of many streams lie idle.
    fn grow(&mut self) {
        let more = alloc::vec![[Entry::FREE; BUCKET]; self.buckets.len() * 3 / 2 + 1];
        let old = core::mem::replace(&mut self.buckets, more);
        let outside = core::mem::take(&mut self.overflow);
        for entry in old.into_iter().flatten().filter(|entry| entry.wire != 0) {
            self.put(entry);
        }
        for (wire, slot) in outside {
            self.put(Entry { wire, slot });
        }
    }

    pub(crate) fn remove(&mut self, wire: u32) {
        let at = self.bucket_of(wire);
        let Some(bucket) = self.buckets.get_mut(at) else { return };
        if let Some(entry) = bucket.iter_mut().find(|entry| entry.wire == wire) {
            *entry = Entry::FREE;
        } else if self.overflow.remove(&wire).is_none() {
            return;
        }
        self.len -= 1;
        if self.len == 0 && self.buckets.len() > KEPT_BUCKETS {
            *self = Self::default();
        }
    }

    /// Heap memory, in bytes; of the tree an estimate.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.buckets.capacity() * size_of::<[Entry; BUCKET]>() + self.overflow.len() * 16
    }

    fn bucket_of(&self, wire: u32) -> usize {
        // The golden ratio's multiples: neighbours fall far from each other, and evenly.
        let hash = u64::from(wire.wrapping_mul(0x9e37_79b1));
        ((hash * self.buckets.len() as u64) >> 32) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    #[test]
    fn ids_in_a_row_fill_the_table_without_a_tree() {
        for count in [1, 8, 100, 1000, 10_000, 17_000] {
            let mut ids = Ids::default();
            for i in 0..count {
                ids.insert(2 * i + 1, i as usize);
            }
            assert!(ids.overflow.is_empty());
            assert!(ids.heap_bytes() <= 64.max(14 * count as usize), "{count}: {}", ids.heap_bytes());
            assert!((0..count).all(|i| ids.get(2 * i + 1) == Some(i as usize) && ids.get(2 * i + 2).is_none()));
        }
    }

    #[test]
    fn ids_that_go_and_come_in_a_row_need_no_more_room() {
        let mut ids = Ids::default();
        for i in 0..100_000 {
            ids.insert(2 * i + 2, 7);
            if i >= 1000 {
                ids.remove(2 * (i - 1000) + 2);
            }
        }
        assert_eq!((ids.len, ids.overflow.len()), (1000, 0));
        assert!(ids.heap_bytes() <= 20 * 1024, "{}", ids.heap_bytes());
    }

    /// The peer chooses ids that share a bucket in a table of any size that a session of `count` streams may have.
    #[test]
    fn ids_of_one_bucket_cost_a_tree_and_no_more_room() {
        let mut ids = Ids::default();
        let bad: Vec<u32> = (0..1000).map(in_the_first_bucket).collect();
        for (i, wire) in bad.iter().enumerate() {
            ids.insert(*wire, i);
        }
        assert!(ids.overflow.len() >= 900);
        assert!(ids.heap_bytes() <= 40 * 1000, "{}", ids.heap_bytes());
        assert!(bad.iter().enumerate().all(|(i, wire)| ids.get(*wire) == Some(i)));
        for wire in bad {
            ids.remove(wire);
            assert_eq!(ids.get(wire), None);
        }
        assert_eq!((ids.len, ids.heap_bytes()), (0, 0));
    }

    /// The `n`-th id whose bucket is the first, in a table of any size.
    fn in_the_first_bucket(n: u32) -> u32 {
        // The multiples of what the factor is undone by have the smallest hashes.
        const UNDO: u32 = 0x0e8b_2f51;
        assert_eq!(UNDO.wrapping_mul(0x9e37_79b1), 1);
        UNDO.wrapping_mul(n + 1)
    }

    #[test]
    fn a_full_bucket_makes_a_table_grow_that_is_half_full() {
        let mut ids = Ids::default();
        for n in 0..9 {
            ids.insert(in_the_first_bucket(n), 0);
        }
        assert_eq!((ids.buckets.len(), ids.overflow.len()), (4, 1), "9 of 16 are too many, 9 of 32 are not");
        let (mut next, mut elsewhere) = (1, 0);
        while elsewhere < 6 {
            if ids.bucket_of(next) > 0 {
                ids.insert(next, 0);
                elsewhere += 1;
            }
            next += 1;
        }
        assert_eq!((ids.len, ids.buckets.len()), (15, 4));
        ids.insert(in_the_first_bucket(9), 0);
        assert_eq!((ids.len, ids.buckets.len(), ids.overflow.len()), (16, 7, 2), "16 of 32 are half");
        assert_eq!(ids.heap_bytes(), 7 * 64 + 2 * 16);
    }

    #[test]
    fn two_buckets_are_kept_and_three_are_not() {
        for (count, heap) in [(1, 64), (9, 128), (40, 0)] {
            let mut ids = Ids::default();
            (1..=count).for_each(|wire| ids.insert(wire, 0));
            (1..=count).for_each(|wire| ids.remove(wire));
            assert_eq!((ids.len, ids.heap_bytes()), (0, heap));
        }
    }

    #[test]
    fn a_few_buckets_stay_so_that_stream_after_stream_allocates_nothing() {
        let mut ids = Ids::default();
        assert_eq!((ids.get(1), ids.heap_bytes()), (None, 0));
        ids.remove(1);
        ids.insert(1, 0);
        ids.remove(3);
        assert_eq!(ids.get(1), Some(0));
        ids.remove(1);
        assert_eq!(ids.heap_bytes(), 64);
    }

    proptest! {
        #[test]
        fn it_is_a_map(ops in prop::collection::vec((any::<bool>(), 1u32..200), 0..600), spread in 0u32..20) {
            let (mut ids, mut model) = (Ids::default(), BTreeMap::new());
            for (i, (insert, wire)) in ops.into_iter().enumerate() {
                let wire = (wire << spread) | 1;
                if insert && !model.contains_key(&wire) {
                    ids.insert(wire, i);
                    model.insert(wire, i);
                } else {
                    ids.remove(wire);
                    model.remove(&wire);
                }
                prop_assert_eq!((ids.len, ids.get(wire)), (model.len(), model.get(&wire).copied()));
            }
            for wire in (1u32..200).map(|wire| (wire << spread) | 1) {
                prop_assert_eq!(ids.get(wire), model.get(&wire).copied());
            }
        }
    }
}

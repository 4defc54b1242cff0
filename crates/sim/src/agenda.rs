//! What happens next: virtual time jumps from entry to entry.

use core::cmp::Ordering;
use std::collections::BinaryHeap;

use sanswarm::Instant;

/// Things to come, the earliest first; of one instant in the order in which they were put in.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    heap: BinaryHeap<Entry<T>>,
    serial: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: Instant,
    serial: u64,
    what: T,
}

impl<T> Agenda<T> {
    pub(crate) fn new() -> Self {
        Self { heap: BinaryHeap::new(), serial: 0 }
    }

    pub(crate) fn put(&mut self, at: Instant, what: T) {
        self.serial += 1;
        self.heap.push(Entry { at, serial: self.serial, what });
    }

    /// Takes the first entry out, if it is not behind `end`.
    pub(crate) fn next(&mut self, end: Instant) -> Option<(Instant, T)> {
        if self.heap.peek()?.at > end {
            return None;
        }
        self.heap.pop().map(|entry| (entry.at, entry.what))
    }
}

impl<T> Ord for Entry<T> {
    /// Reversed, since the heap gives its greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.serial).cmp(&(self.at, self.serial))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_ones_come_first_and_equal_ones_in_order() {
        let at = Instant::from_micros;
        let mut agenda = Agenda::new();
        for (time, what) in [(5, 'a'), (3, 'b'), (5, 'c'), (3, 'd'), (9, 'e')] {
            agenda.put(at(time), what);
        }
        let order: String = core::iter::from_fn(|| agenda.next(at(8))).map(|(_, what)| what).collect();
        assert_eq!(order, "bdac");
        assert_eq!(agenda.next(at(9)), Some((at(9), 'e')));
        assert_eq!(agenda.next(at(99)), None);
    }
}

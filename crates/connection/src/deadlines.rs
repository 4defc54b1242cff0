//! When the negotiations of streams have to be over.

use std::{cmp::Reverse, collections::BinaryHeap};

use sanswarm_wire::Instant;

use crate::StreamId;

/// Deadlines by time. One that is over stays among them for a while, so that the others need not be moved: at most as many
/// as are left, and four.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    /// The first of them is one that counts.
    heap: BinaryHeap<Reverse<(Instant, StreamId)>>,
    live: usize,
}

impl Deadlines {
    pub(crate) fn insert(&mut self, at: Instant, id: StreamId) {
        self.heap.push(Reverse((at, id)));
        self.live += 1;
    }

    /// Says that one is over. `counts` tells of any whether it is not.
    pub(crate) fn remove(&mut self, counts: impl Fn(Instant, StreamId) -> bool) {
        self.live = self.live.saturating_sub(1);
        while self.heap.peek().is_some_and(|Reverse((at, id))| !counts(*at, *id)) {
            self.heap.pop();
        }
        if self.heap.len() > 2 * self.live + 4 {
            self.heap.retain(|Reverse((at, id))| counts(*at, *id));
        }
    }

    pub(crate) fn first(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the first if its time has come. What becomes of its stream is told by [`remove`](Self::remove).
    pub(crate) fn pop(&mut self, now: Instant) -> Option<StreamId> {
        let Reverse((at, id)) = *self.heap.peek()?;
        if at > now {
            return None;
        }
        self.heap.pop();
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use sanswarm_wire::Slab;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set_of_bounded_size(steps in prop::collection::vec((any::<bool>(), 0u64..100, any::<prop::sample::Index>()), 0..200)) {
            let (mut slab, mut model, mut deadlines) = (Slab::new(), BTreeSet::new(), Deadlines::default());
            for (add, at, which) in steps {
                if add || model.is_empty() {
                    let (at, id) = (Instant::from_micros(at), slab.insert(()));
                    model.insert((at, id));
                    deadlines.insert(at, id);
                } else {
                    let gone = *model.iter().nth(which.index(model.len())).unwrap();
                    model.remove(&gone);
                    deadlines.remove(|at, id| model.contains(&(at, id)));
                }
                prop_assert_eq!(deadlines.first(), model.first().map(|(at, _)| *at));
                prop_assert!(deadlines.heap.len() <= 2 * model.len() + 4);
            }
        }
    }
}

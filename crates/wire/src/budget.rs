//! Memory that many share.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

/// A number of bytes that all receive buffers of a node share, on whatever threads they are. A clone is the same budget.
///
/// It bounds what peers can make a node hold by frames that they begin and never end.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Pool { limit, used: AtomicUsize::new(0) }))
    }

    /// The bytes that are in use.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    fn left(&self) -> usize {
        self.0.limit.saturating_sub(self.used())
    }

    fn take(&self, bytes: usize) -> bool {
        let more = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.0.limit);
        self.0.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }
}

/// What one holder has of a budget. Dropped, it is given back.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    bytes: usize,
}

impl Share {
    pub(crate) fn of(budget: Budget) -> Self {
        Self { budget, bytes: 0 }
    }

    /// How much it has, or could have now if it needs `bytes`.
    pub(crate) fn could_have(&self, bytes: usize) -> usize {
        if bytes.saturating_sub(self.bytes) <= self.budget.left() { bytes.max(self.bytes) } else { self.bytes }
    }

    /// Gets `bytes` in all if they are to be had, and says how much it has then.
    pub(crate) fn get(&mut self, bytes: usize) -> usize {
        let more = bytes.saturating_sub(self.bytes);
        if more > 0 && self.budget.take(more) {
            self.bytes += more;
        }
        self.bytes
    }

    /// Gives all back.
    pub(crate) fn give(&mut self) {
        self.budget.0.used.fetch_sub(core::mem::take(&mut self.bytes), Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_never_more_than_there_is_and_comes_back() {
        let budget = Budget::new(100);
        let (mut a, mut b) = (Share::of(budget.clone()), Share::of(budget.clone()));
        assert_eq!((a.get(60), b.could_have(50), b.get(50), b.could_have(40), b.get(40)), (60, 0, 0, 40, 40));
        assert_eq!((budget.used(), a.get(61), a.get(10)), (100, 60, 60));
        a.give();
        assert_eq!((budget.used(), b.get(100)), (40, 100));
        drop(b);
        assert_eq!(budget.used(), 0);
        assert_eq!(a.get(usize::MAX), 0);
    }
}

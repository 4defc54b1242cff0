//! Many seeds, on several threads.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Mutex;

use super::{Outcome, Scenario};

impl Scenario {
    /// Runs the scenarios that `of` gives for the seeds `first` and the `count - 1` behind it, each on one of `threads`
    /// threads, and tells each outcome as it comes, until one is told `false`. Returns the outcomes in the order of their
    /// seeds: if all are run, the same for any number of threads.
    pub fn run_seeds(
        first: u64,
        count: u64,
        threads: usize,
        of: impl Fn(u64) -> Self + Sync,
        told: impl Fn(&Outcome) -> bool + Sync,
    ) -> Vec<Outcome> {
        let (next, outcomes) = (AtomicU64::new(0), Mutex::new(Vec::new()));
        let work = || {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    return;
                }
                let outcome = of(first.wrapping_add(n)).run();
                if !told(&outcome) {
                    next.store(count, Ordering::Relaxed);
                }
                outcomes.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((n, outcome));
            }
        };
        std::thread::scope(|scope| {
            for n in 1..threads.max(1) {
                let builder = std::thread::Builder::new().name(format!("sim {n}"));
                // If the system has no more threads, the others do the work.
                let _ = builder.spawn_scoped(scope, work);
            }
            work();
        });
        let mut outcomes = outcomes.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        outcomes.sort_by_key(|(n, _)| *n);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }
}

//! What a test process holds: heap, descriptors, threads.

#![allow(dead_code, reason = "each test uses a part of it")]

use core::time::Duration;
use std::{alloc::System, fs};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What can leak. Where there is no `/proc`, descriptors and threads are 0 at all times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Bytes that were allocated and not given back.
    pub(crate) heap: usize,
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
}

impl Held {
    pub(crate) fn now() -> Self {
        let stats = ALLOCATOR.stats();
        let entries = |path| fs::read_dir(path).map_or(0, Iterator::count);
        Self {
            heap: stats.bytes_allocated.saturating_sub(stats.bytes_deallocated),
            descriptors: entries("/proc/self/fd"),
            threads: entries("/proc/self/task"),
        }
    }

    /// Whether it is no more than before, but for `slack` bytes of heap.
    fn is_within(self, before: Self, slack: usize) -> bool {
        self.heap <= before.heap + slack && self.descriptors <= before.descriptors && self.threads <= before.threads
    }

    /// Waits until no more is held than before, but for `slack` bytes of heap; threads of the system end when they like.
    pub(crate) fn back_to(before: Self, slack: usize, what: &str) {
        for _ in 0..500 {
            if Self::now().is_within(before, slack) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        if let Ok(entries) = fs::read_dir("/proc/self/fd") {
            let links = entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
            println!("descriptors: {:?}", links.collect::<Vec<_>>());
        }
        panic!("{what}: {:?} are held, {before:?} before, {slack} bytes of heap aside", Self::now());
    }
}

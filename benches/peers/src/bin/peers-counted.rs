//! One measurement with a counting allocator, which takes time of its own; see the library. Growing an allocation counts as one.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn count() -> (usize, usize) {
    let stats = ALLOCATOR.stats();
    // What grew or shrank by a reallocation is in both already.
    let held = stats.bytes_allocated as isize - stats.bytes_deallocated as isize;
    (stats.allocations + stats.reallocations, usize::try_from(held).unwrap_or(0))
}

fn main() -> Result<(), sanswarm_benches_peers::node::Fault> {
    sanswarm_benches_peers::main(Some(count))
}

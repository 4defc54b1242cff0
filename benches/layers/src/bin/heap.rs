//! Counts heap allocations a round of every bench, or of those whose id contains the argument. Growing an allocation in
//! place or elsewhere counts as one. Prints `ID <tab> allocations <tab> bytes`. See `benches/count.py`.

use std::{alloc::System, env};

use sanswarm_benches_layers::benches;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let filter = env::args().nth(1).unwrap_or_default();
    for bench in benches().into_iter().filter(|bench| bench.id().contains(&filter)) {
        let mut round = bench.prepare();
        let mut rounds = || (0..bench.rounds).for_each(|_| round());
        rounds(); // What grows once has grown then.
        let region = Region::new(ALLOCATOR);
        rounds();
        let stats = region.change();
        let count = (stats.allocations + stats.reallocations) as f64 / bench.rounds as f64;
        let bytes = (stats.bytes_allocated as f64) / bench.rounds as f64;
        println!("{}\t{count:.2}\t{bytes:.0}", bench.id());
    }
}

//! Counts heap allocations of every bench, or of those whose id contains the argument: a round, or a MiB where bytes are
//! moved. Growing an allocation in place or elsewhere counts as one. Prints `ID <tab> allocations <tab> bytes`. Then, of
//! all of which a stack holds a number, the allocations and bytes that one of them holds. See `benches/count.py`.

use std::{alloc::System, env};

use sanswarm_benches_layers::{Held, benches, held};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

/// So many that what a stack holds once counts for little.
const MANY: usize = 1000;

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
        let scale = bench.unit() / bench.rounds as f64;
        let count = (stats.allocations + stats.reallocations) as f64 * scale;
        let bytes = stats.bytes_allocated as f64 * scale;
        println!("{}\t{count:.2}\t{bytes:.0}", bench.id());
    }
    for held in held().into_iter().filter(|held| held.id().contains(&filter)) {
        let (one, many) = (hold(&held, 1), hold(&held, 1 + MANY));
        let each = |one: isize, many: isize| (many - one) as f64 / MANY as f64;
        println!("{}\t{:.2}\t{:.0}", held.id(), each(one.0, many.0), each(one.1, many.1));
    }
}

/// The allocations that a number of them holds, and their bytes.
fn hold(held: &Held, number: usize) -> (isize, isize) {
    let region = Region::new(ALLOCATOR);
    let all = held.make(number);
    let stats = region.change();
    drop(all);
    let bytes = stats.bytes_allocated as isize - stats.bytes_deallocated as isize;
    (stats.allocations as isize - stats.deallocations as isize, bytes)
}

//! Whole stacks side by side, over TCP on 127.0.0.1: one measurement a process, so that memory, processor time and
//! allocations are of one stack and one case. `benches/peers.py` runs all of them and makes the table.
//!
//! `peers STACK CASE N [THREADS]` prints lines of `name <tab> value`.
//!
//! - [`node`]: what a stack has to do, and the two protocols: echo and sink.
//! - [`cases`]: what is measured, once for all stacks with streams to read and write.
//! - [`ours`], [`rust_libp2p`], [`lite`], [`raw`]: those stacks. `raw` is TCP alone, the floor.
//! - [`mini`]: minip2p, which has an event loop in the place of streams, and the same cases over it.
//!
//! All stacks have Noise, yamux and TCP without delay; identify and ping run beside, as they do in a node (rust-libp2p and litep2p
//! can go without, and their `-bare` does); everything else is at its default, but for limits that a case would meet.

#![forbid(unsafe_code)]

pub mod cases;
pub mod lite;
pub mod measure;
pub mod mini;
pub mod node;
pub mod ours;
pub mod raw;
pub mod rust_libp2p;

use cases::Case;
use measure::Meter;
use node::{Fault, Node};

/// Runs one case as the arguments say. `allocations` tells how many there were so far, and how many bytes are held.
pub fn main(allocations: Option<fn() -> (usize, usize)>) -> Result<(), Fault> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [stack, case, n, threads @ ..] = &args[..] else { return Err("peers STACK CASE N [THREADS]".into()) };
    let (case, n) = (Case::named(case).ok_or("no such case")?, n.parse()?);
    let threads = threads.first().map_or(Ok(1), |threads| threads.parse())?;
    let meter = Meter::new(allocations);
    match &**stack {
        "sanswarm" => run::<ours::Ours>(case, n, threads, meter),
        "rust-libp2p" => run::<rust_libp2p::RustLibp2p<true>>(case, n, threads, meter),
        "rust-libp2p-bare" => run::<rust_libp2p::RustLibp2p<false>>(case, n, threads, meter),
        "litep2p" => run::<lite::Lite<true>>(case, n, threads, meter),
        "litep2p-bare" => run::<lite::Lite<false>>(case, n, threads, meter),
        "raw" => run::<raw::Raw>(case, n, threads, meter),
        "minip2p" => mini::run(case, n, meter),
        _ => Err("no such stack".into()),
    }
}

fn run<N: Node>(case: Case, n: u64, threads: usize, meter: Meter) -> Result<(), Fault> {
    use tokio::runtime::Builder;
    // One core: both ends in a runtime of one thread, as a pinned process would have it anyway, without its hand-overs.
    let mut builder = if threads == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    let runtime = builder.worker_threads(threads).enable_all().build()?;
    let result = runtime.block_on(cases::run::<N>(case, n, meter));
    runtime.shutdown_background();
    result
}

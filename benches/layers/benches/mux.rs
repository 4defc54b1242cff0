//! How long muxers take: see [`sanswarm_benches_layers::mux`].

use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use sanswarm_benches_layers::mux;

fn muxers(c: &mut Criterion) {
    for bench in mux::benches() {
        let mut group = c.benchmark_group(&bench.case);
        // Samples of a few milliseconds: on a busy machine some are still undisturbed, and the fastest counts.
        group.sampling_mode(SamplingMode::Flat).sample_size(100);
        group.warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(300));
        if let Some(bytes) = bench.moved {
            group.throughput(Throughput::Bytes(bytes));
        }
        let mut round = bench.prepare();
        group.bench_function(bench.who, |b| b.iter(&mut round));
        group.finish();
    }
}

criterion_group!(benches, muxers);
criterion_main!(benches);

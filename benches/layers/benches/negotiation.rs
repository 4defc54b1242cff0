//! How long a negotiation takes: see [`sanswarm_benches_layers::negotiation`].

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use sanswarm_benches_layers::negotiation;

fn negotiation(c: &mut Criterion) {
    for bench in negotiation::benches() {
        let mut group = c.benchmark_group(&bench.case);
        group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
        let mut round = bench.prepare();
        group.bench_function(bench.who, |b| b.iter(&mut round));
        group.finish();
    }
}

criterion_group!(benches, negotiation);
criterion_main!(benches);

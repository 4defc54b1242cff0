//! How long the control plane takes: see [`sanswarm_benches_layers::swarm`].

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use sanswarm_benches_layers::swarm;

fn swarms(c: &mut Criterion) {
    for bench in swarm::benches() {
        let mut group = c.benchmark_group(&bench.case);
        group.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(800)).sample_size(40);
        let mut round = bench.prepare();
        group.bench_function(bench.who, |b| b.iter(&mut round));
        group.finish();
    }
}

criterion_group!(benches, swarms);
criterion_main!(benches);

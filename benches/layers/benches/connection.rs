//! How long a whole connection takes: see [`sanswarm_benches_layers::connection`].

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sanswarm_benches_layers::connection;

fn connection(c: &mut Criterion) {
    for bench in connection::benches() {
        let mut group = c.benchmark_group(&bench.case);
        group.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(800)).sample_size(40);
        if let Some(bytes) = bench.moved {
            group.throughput(Throughput::Bytes(bytes));
        }
        let mut round = bench.prepare();
        group.bench_function(bench.who, |b| b.iter(&mut round));
        group.finish();
    }
}

criterion_group!(benches, connection);
criterion_main!(benches);

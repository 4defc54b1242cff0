//! How long messages over WebSocket take: see [`sanswarm_benches_layers::websocket`].

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sanswarm_benches_layers::websocket;

fn websocket(c: &mut Criterion) {
    for bench in websocket::benches() {
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

criterion_group!(benches, websocket);
criterion_main!(benches);

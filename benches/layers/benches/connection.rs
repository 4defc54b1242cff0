//! A pair of whole connections (Noise, yamux, stream negotiation) in memory, on one thread.
//!
//! The "socket" is a copy from one end's send buffer to the other's receive buffer. Both ends' work is in every figure.

use std::{hint::black_box, sync::Arc, time::Duration};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use libp2p_identity::Keypair;
use sanswarm_connection::{Config, Connection, Event, Limits, Muxer, Open, Security, StreamId};
use sanswarm_multistream::ProtocolName;
use sanswarm_multistream_select::Names;
use sanswarm_wire::{Instant, RecvBuf, Role, SendBuf};

/// Nothing in memory takes time that a timer would notice.
const NOW: Instant = Instant::ZERO;

const SINK: ProtocolName = ProtocolName::from_static("/sink/1.0.0");

/// Bytes of one bulk transfer.
const BULK: usize = 4 << 20;

fn config(seed: u8) -> Arc<Config> {
    let keypair = Keypair::ed25519_from_bytes([seed; 32]).expect("32 bytes");
    let (security, muxers) = (Security::defaults(), Muxer::defaults());
    Arc::new(Config::new(&keypair, [seed + 1; 32], security, muxers, Limits::default()).expect("it signs"))
}

/// A connection, its buffers, and what its user has seen.
struct End {
    conn: Connection,
    recv: RecvBuf,
    send: SendBuf,
    ready: bool,
    opened: bool,
    read: usize,
}

impl End {
    fn new(role: Role, config: &Arc<Config>, secret: u8) -> Self {
        let conn = Connection::new(NOW, role, config.clone(), None, [secret; 32]);
        let (recv, send) = (RecvBuf::default(), SendBuf::default());
        Self { conn, recv, send, ready: false, opened: false, read: 0 }
    }

    /// Takes all events and drops all payload.
    fn settle(&mut self) {
        while let Some(event) = self.conn.poll_event(NOW, &mut self.recv).expect("no fault") {
            match event {
                Event::Ready { .. } => self.ready = true,
                Event::Opened { .. } => self.opened = true,
                Event::Readable { stream } => {
                    while let Ok(Some(bytes)) = self.conn.read(stream) {
                        self.read += black_box(bytes).len();
                    }
                }
                _ => {}
            }
        }
    }

    /// Sends all that is due to the other end.
    fn flush(&mut self, other: &mut Self) {
        loop {
            while self.conn.poll_transmit(NOW, &mut self.send) > 0 {}
            let n = other.recv.feed(self.send.ready());
            self.send.sent(n);
            if n == 0 {
                return;
            }
            other.settle();
        }
    }
}

struct Pair {
    dialer: End,
    listener: End,
}

impl Pair {
    fn new(dialer: &Arc<Config>, listener: &Arc<Config>) -> Self {
        let mut pair =
            Self { dialer: End::new(Role::Dialer, dialer, 30), listener: End::new(Role::Listener, listener, 40) };
        pair.listener.conn.set_names(Arc::new(Names::new([SINK])));
        pair
    }

    fn round(&mut self) {
        self.dialer.flush(&mut self.listener);
        self.listener.flush(&mut self.dialer);
        self.dialer.settle();
    }

    fn until(&mut self, done: impl Fn(&Self) -> bool) {
        for _ in 0..100 {
            if done(self) {
                return;
            }
            self.round();
        }
        panic!("not done after 100 rounds");
    }

    fn ready(dialer: &Arc<Config>, listener: &Arc<Config>) -> Self {
        let mut pair = Self::new(dialer, listener);
        pair.until(|pair| pair.dialer.ready && pair.listener.ready);
        pair
    }

    fn open(&mut self) -> StreamId {
        let stream = self.dialer.conn.open(NOW, Arc::new([SINK]), Open::Wait).expect("it takes streams");
        self.until(|pair| pair.dialer.opened);
        stream
    }

    /// Writes [`BULK`] bytes in pieces as large as `data`, flushing only when a write comes short, and carries all.
    fn bulk(&mut self, stream: StreamId, data: &[u8]) {
        let target = self.listener.read + BULK;
        let mut left = BULK;
        let mut idle = 0;
        while left > 0 || self.listener.read < target {
            let piece = &data[..data.len().min(left)];
            let n = self.dialer.conn.write(NOW, stream, piece, &mut self.dialer.send).expect("open");
            left -= n;
            if n < piece.len() || left == 0 {
                idle = if n == 0 { idle + 1 } else { 0 };
                assert!(idle < 100, "it goes on");
                self.round();
            }
        }
    }
}

fn handshakes(c: &mut Criterion) {
    let (dialer, listener) = (config(10), config(20));
    let mut group = c.benchmark_group("connection");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(1));
    group.bench_function("handshake", |b| b.iter(|| Pair::ready(black_box(&dialer), &listener)));
    group.bench_function("stream", |b| {
        let mut pair = Pair::ready(&dialer, &listener);
        b.iter(|| {
            pair.dialer.opened = false;
            let stream = pair.open();
            pair.dialer.conn.reset(stream).expect("open");
            pair.round();
        });
        assert_eq!(pair.listener.conn.stats().streams, 0);
    });
    group.finish();
}

fn bulk(c: &mut Criterion) {
    let (dialer, listener) = (config(10), config(20));
    let mut group = c.benchmark_group("connection/bulk");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Bytes(BULK as u64));
    for kib in [1, 16, 64] {
        let mut pair = Pair::ready(&dialer, &listener);
        let stream = pair.open();
        let data = vec![7; kib * 1024];
        group.bench_function(BenchmarkId::from_parameter(format!("{kib} KiB writes")), |b| {
            b.iter(|| pair.bulk(stream, black_box(&data)));
        });
    }
    group.finish();
}

criterion_group!(benches, handshakes, bulk);
criterion_main!(benches);

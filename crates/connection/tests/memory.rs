//! What a connection holds.

#![cfg(all(feature = "noise", feature = "tls", feature = "plaintext", feature = "yamux", feature = "mplex"))]
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::{alloc::System, sync::Arc};

use common::{DIALER, LISTENER, config_of, known, names, now, peer};
use sanswarm_connection::{Config, Connection, Event, Limits, Muxer, Open, Security, StreamId};
use sanswarm_multistream::ProtocolName;
use sanswarm_multistream_select::Names;
use sanswarm_wire::{RecvBuf, Role, SendBuf};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ECHO: &str = "/echo/1.0.0";

/// A connection and nothing else: no tables of what its user saw.
struct Bare {
    conn: Connection,
    recv: RecvBuf,
    send: SendBuf,
    opened: Option<StreamId>,
}

impl Bare {
    fn new(role: Role, config: Arc<Config>, names: &Arc<Names>, secret: u8) -> Self {
        let expected = role.is_dialer().then(|| peer(LISTENER));
        let mut conn = Connection::new(now(), role, config, expected, [secret; 32]);
        conn.set_names(names.clone());
        let (recv, send) = Default::default();
        Self { conn, recv, send, opened: None }
    }

    fn settle(&mut self) {
        loop {
            while let Some(event) = self.conn.poll_event(now(), &mut self.recv).unwrap() {
                if let Event::Opened { stream, .. } = event {
                    self.opened = Some(stream);
                }
            }
            if self.conn.poll_transmit(now(), &mut self.send) == 0 {
                return;
            }
        }
    }

    fn release(&mut self) {
        drop(self.conn.take_counters());
        self.recv.release();
        self.send.release();
    }
}

fn carry(a: &mut Bare, b: &mut Bare) {
    loop {
        a.settle();
        b.settle();
        let n = b.recv.feed(a.send.ready());
        a.send.sent(n);
        let m = a.recv.feed(b.send.ready());
        b.send.sent(m);
        if n + m == 0 {
            return;
        }
    }
}

/// Two ends with one open stream that has carried a byte each way, idle, their buffers given back
/// and what was counted taken.
fn idle(configs: &[Arc<Config>; 2], known: &Arc<Names>, offer: &Arc<[ProtocolName]>) -> (Bare, Bare) {
    let mut a = Bare::new(Role::Dialer, configs[0].clone(), known, 3);
    let mut b = Bare::new(Role::Listener, configs[1].clone(), known, 4);
    let id = a.conn.open(now(), offer.clone(), Open::Wait).unwrap();
    carry(&mut a, &mut b);
    a.conn.write(now(), id, b"x", &mut a.send).unwrap();
    carry(&mut a, &mut b);
    let theirs = b.opened.unwrap();
    assert_eq!(b.conn.read(theirs).unwrap().as_deref(), Some(&b"x"[..]));
    b.conn.write(now(), theirs, b"y", &mut b.send).unwrap();
    carry(&mut a, &mut b);
    assert_eq!(a.conn.read(id).unwrap().as_deref(), Some(&b"y"[..]));
    for end in [&mut a, &mut b] {
        assert_eq!(end.conn.poll_event(now(), &mut end.recv), Ok(None));
        end.release();
    }
    (a, b)
}

/// Bytes of heap that one end holds, on average over many of both roles.
fn heap(security: Security, muxer: Muxer) -> usize {
    const PAIRS: usize = 50;
    let configs = [DIALER, LISTENER].map(|seed| config_of(seed, vec![security], vec![muxer], Limits::default()));
    let (known, offer) = (known(&[ECHO]), names(&[ECHO]));
    drop(idle(&configs, &known, &offer)); // what is made once
    let mut all = Vec::with_capacity(PAIRS);
    let region = Region::new(ALLOCATOR);
    all.extend((0..PAIRS).map(|_| idle(&configs, &known, &offer)));
    let stats = region.change();
    drop(all);
    (stats.bytes_allocated - stats.bytes_deallocated) / (2 * PAIRS)
}

#[test]
fn an_idle_connection_with_one_open_stream_holds_at_most_a_kilobyte() {
    // The thread that runs the tests makes what it needs to wait for this one.
    std::thread::sleep(core::time::Duration::from_millis(200));
    println!("struct Connection: {} bytes", size_of::<Connection>());
    for security in [Security::Noise, Security::Tls, Security::Plaintext] {
        for muxer in [Muxer::Yamux, Muxer::Mplex] {
            let bytes = heap(security, muxer);
            println!("{security} {muxer}: {bytes} bytes of heap");
            // Prepared keys of AES, and what rustls keeps to change them, are larger.
            let limit = if security == Security::Tls { 4096 } else { 1024 };
            assert!(bytes <= limit, "{security} {muxer}: {bytes}");
        }
    }
}

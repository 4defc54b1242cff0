//! What idle connections hold: makes pairs of them in memory, each with one stream that has carried a byte in both
//! directions, and looks at the memory of the whole process.
//!
//! `cargo run --release -p sanswarm-connection --example idle -- 10000`

use std::sync::Arc;

use libp2p_identity::Keypair;
use sanswarm_connection::{Config, Connection, Event, Limits, Muxer, Open, Security, StreamId};
use sanswarm_multistream::ProtocolName;
use sanswarm_multistream_select::Names;
use sanswarm_wire::{Instant, RecvBuf, Role, SendBuf};

const ECHO: ProtocolName = ProtocolName::from_static("/echo/1.0.0");
const NOW: Instant = Instant::ZERO;

struct End {
    conn: Connection,
    stream: Option<StreamId>,
}

impl End {
    fn new(role: Role, config: &Arc<Config>, names: &Arc<Names>, number: usize) -> Self {
        let mut secret = [0; 32]; // in an example only: a real one is random
        secret[..8].copy_from_slice(&(2 * number + usize::from(role.is_dialer()) + 1).to_be_bytes());
        let mut conn = Connection::new(NOW, role, config.clone(), None, secret);
        conn.set_names(names.clone());
        Self { conn, stream: None }
    }

    /// Takes what came, and answers a byte with a byte.
    fn settle(&mut self, recv: &mut RecvBuf, send: &mut SendBuf) {
        loop {
            while let Some(event) = self.conn.poll_event(NOW, recv).expect("an honest peer") {
                match event {
                    Event::Opened { stream, .. } => self.stream = Some(stream),
                    Event::Readable { stream } => {
                        while let Ok(Some(bytes)) = self.conn.read(stream) {
                            if bytes == "?" {
                                self.conn.write(NOW, stream, b"!", send).expect("the stream is open");
                            }
                        }
                    }
                    _ => {}
                }
            }
            if self.conn.poll_transmit(NOW, send) == 0 {
                return;
            }
        }
    }
}

/// A pair that has come to rest. Its buffers are gone: an idle connection needs none.
fn pair(configs: &[Arc<Config>; 2], names: &Arc<Names>, offer: &Arc<[ProtocolName]>, number: usize) -> [End; 2] {
    let mut a = End::new(Role::Dialer, &configs[0], names, number);
    let mut b = End::new(Role::Listener, &configs[1], names, number);
    let (mut to_a, mut to_b, mut from_a, mut from_b) =
        (RecvBuf::default(), RecvBuf::default(), SendBuf::default(), SendBuf::default());
    let stream = a.conn.open(NOW, offer.clone(), Open::Lazy).expect("the first stream");
    let mut asked = false;
    loop {
        a.settle(&mut to_a, &mut from_a);
        b.settle(&mut to_b, &mut from_b);
        if !asked && a.stream.is_some() {
            asked = true;
            a.conn.write(NOW, stream, b"?", &mut from_a).expect("the stream is open");
            continue;
        }
        let n = to_b.feed(from_a.ready());
        from_a.sent(n);
        let m = to_a.feed(from_b.ready());
        from_b.sent(m);
        if n + m == 0 {
            return [a, b];
        }
    }
}

/// The resident memory of this process in KiB, where the system tells it.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn main() {
    let connections: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1000);
    let configs = [1, 2].map(|seed| {
        let keypair = Keypair::ed25519_from_bytes([seed; 32]).expect("32 bytes");
        let (security, muxers) = (Security::defaults(), Muxer::defaults());
        Arc::new(Config::new(&keypair, [seed + 2; 32], security, muxers, Limits::default()).expect("it signs"))
    });
    let (names, offer) = (Arc::new(Names::new([ECHO])), Arc::from([ECHO]));
    drop(pair(&configs, &names, &offer, 0));
    let before = resident();
    let ends: Vec<_> = (0..connections / 2).map(|number| pair(&configs, &names, &offer, number)).collect();
    assert!(ends.iter().flatten().all(|end| end.stream.is_some() && end.conn.stats().streams == 1));
    let count = 2 * ends.len();
    println!("{count} idle connections with a stream each; struct Connection takes {} bytes", size_of::<Connection>());
    if let (Some(before), Some(after)) = (before, resident()) {
        let kib = after.saturating_sub(before);
        println!("{kib} KiB resident, {} bytes a connection", kib * 1024 / count.max(1) as u64);
    }
}

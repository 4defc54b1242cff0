//! Ours.

use std::{hint::black_box, sync::Arc};

use libp2p_identity::Keypair;
use sanswarm_connection::{
    Config, Connection, Direction, Event, Limits, Muxer, Open, Security, StreamId, transcript::Level,
};
use sanswarm_multistream::ProtocolName;
use sanswarm_multistream_select::Names;
use sanswarm_wire::{Instant, RecvBuf, Role, SendBuf};

use super::{PATIENCE, PROTOCOL, Pair};

/// Nothing in memory takes time that a timer would notice.
const NOW: Instant = Instant::ZERO;

pub(super) fn node() -> Box<dyn FnMut() -> Box<dyn Pair>> {
    node_at(Level::Off)
}

/// Everything but payload is written down, and taken.
pub(super) fn transcribed() -> Box<dyn FnMut() -> Box<dyn Pair>> {
    node_at(Level::Frames)
}

fn node_at(level: Level) -> Box<dyn FnMut() -> Box<dyn Pair>> {
    let config = |seed: u8| {
        let keypair = Keypair::ed25519_from_bytes([seed; 32]).expect("32 bytes");
        let (security, muxers) = (Security::defaults(), Muxer::defaults());
        Arc::new(Config::new(&keypair, [seed + 1; 32], security, muxers, Limits::default()).expect("it signs"))
    };
    let (dialer, listener, name) = (config(10), config(20), ProtocolName::from_static(PROTOCOL));
    let (offered, known) = (Arc::new([name.clone()]), Arc::new(Names::new([name])));
    Box::new(move || Box::new(Ours::new(&dialer, &listener, offered.clone(), known.clone(), level)))
}

/// A connection, its buffers, and what its user has seen.
struct End {
    conn: Connection,
    recv: RecvBuf,
    send: SendBuf,
    ready: bool,
    opened: bool,
    /// How many streams the other end has finished.
    finished: usize,
    read: usize,
}

impl End {
    fn new(role: Role, config: &Arc<Config>, secret: u8, level: Level) -> Self {
        let mut conn = Connection::new(NOW, role, config.clone(), None, [secret; 32]);
        conn.set_transcript(level);
        let (recv, send) = (RecvBuf::default(), SendBuf::default());
        Self { conn, recv, send, ready: false, opened: false, finished: 0, read: 0 }
    }

    /// Takes all events and drops all payload. A stream that the other end has opened and finished is finished.
    fn settle(&mut self) {
        while let Some(event) = self.conn.poll_event(NOW, &mut self.recv).expect("no fault") {
            match event {
                Event::Ready { .. } => self.ready = true,
                Event::Opened { direction: Direction::Outbound, .. } => self.opened = true,
                Event::Readable { stream } => self.read(stream),
                Event::Finished { stream } => {
                    self.read(stream);
                    self.finished += 1;
                    // The other end may have been first.
                    let _ = self.conn.finish(stream);
                }
                _ => {}
            }
        }
        self.listen();
    }

    /// Takes what was written down, if anything was.
    fn listen(&mut self) {
        while let Some(entry) = self.conn.poll_transcript() {
            black_box(entry);
        }
    }

    fn read(&mut self, stream: StreamId) {
        while let Ok(Some(bytes)) = self.conn.read(stream) {
            self.read += black_box(bytes).len();
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

struct Ours {
    dialer: End,
    listener: End,
    offered: Arc<[ProtocolName]>,
    stream: Option<StreamId>,
}

impl Ours {
    fn new(dialer: &Arc<Config>, listener: &Arc<Config>, offered: Arc<[ProtocolName]>, known: Arc<Names>, level: Level) -> Self {
        let (dialer, listener) = (End::new(Role::Dialer, dialer, 30, level), End::new(Role::Listener, listener, 40, level));
        let mut pair = Self { dialer, listener, offered, stream: None };
        pair.listener.conn.set_names(known);
        pair.until(|pair| pair.dialer.ready && pair.listener.ready);
        pair
    }

    fn round(&mut self) {
        self.dialer.flush(&mut self.listener);
        self.listener.flush(&mut self.dialer);
        self.dialer.settle();
    }

    fn until(&mut self, done: impl Fn(&Self) -> bool) {
        for _ in 0..PATIENCE {
            if done(self) {
                return;
            }
            self.round();
        }
        panic!("it takes too long");
    }

    fn agreed(&mut self) -> StreamId {
        self.dialer.opened = false;
        let stream = self.dialer.conn.open(NOW, self.offered.clone(), Open::Wait).expect("it takes streams");
        self.until(|pair| pair.dialer.opened);
        stream
    }
}

impl Pair for Ours {
    fn open_and_close(&mut self) {
        let (near, far) = (self.dialer.finished, self.listener.finished);
        let stream = self.agreed();
        self.dialer.conn.finish(stream).expect("open");
        self.until(|pair| pair.dialer.finished > near && pair.listener.finished > far);
        assert_eq!((self.dialer.conn.stats().streams, self.listener.conn.stats().streams), (0, 0));
    }

    fn open(&mut self) {
        self.stream = Some(self.agreed());
    }

    /// Carries only when a write comes short.
    fn transfer(&mut self, data: &[u8], bytes: usize) {
        let stream = self.stream.expect("opened");
        let target = self.listener.read + bytes;
        let (mut left, mut idle) = (bytes, 0);
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

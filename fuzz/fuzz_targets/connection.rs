//! A connection against raw bytes, or two against each other, between calls in any order.
//!
//! Input: one byte for the mode (dialer, listener, listener on a secure pipe, pair, pair on a secure pipe, dialer on a
//! secure pipe; and again with a transcript), then operations of two bytes, some with data behind: see `World::apply`.
//! Seeds are in `seeds/connection`.

#![no_main]

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
    time::Duration,
};

use libfuzzer_sys::fuzz_target;
use libp2p_identity::Keypair;
use sanswarm_connection::{
    Config, Connection, Error, Event, Hangup, Limits, Muxer, Open, Security, StreamId,
    transcript::{ENTRIES_MAX, Level},
};
use sanswarm_multistream::ProtocolName;
use sanswarm_multistream_select::Names;
use sanswarm_wire::{Instant, RecvBuf, Role, SendBuf};

const NAMES: [&[&str]; 4] = [&["/a"], &["/none", "/a"], &["/none"], &["/a", "/b"]];

static CONFIGS: LazyLock<[Arc<Config>; 2]> = LazyLock::new(|| [config(10), config(50)]);

fn config(seed: u8) -> Arc<Config> {
    let keypair = Keypair::ed25519_from_bytes([seed; 32]).expect("32 bytes");
    let limits = Limits { streams: 8, negotiating: 2, ..Limits::default() };
    Arc::new(Config::new(&keypair, [seed + 1; 32], Security::defaults(), Muxer::defaults(), limits).expect("it signs"))
}

struct End {
    conn: Connection,
    recv: RecvBuf,
    send: SendBuf,
    streams: Vec<StreamId>,
    sent: HashMap<StreamId, usize>,
    got: HashMap<StreamId, usize>,
    error: Option<Error>,
    closed: bool,
}

impl End {
    fn new(role: Role, secured: bool) -> Self {
        let own = usize::from(!role.is_dialer());
        let peer = CONFIGS[1 - own].local();
        let config = CONFIGS[own].clone();
        let mut conn = if secured {
            Connection::secured(Instant::ZERO, role, config, peer)
        } else {
            Connection::new(Instant::ZERO, role, config, Some(peer), [own as u8 + 1; 32])
        };
        conn.set_names(Arc::new(Names::new(["/a", "/b"].map(ProtocolName::from_static))));
        let (recv, send) = Default::default();
        let (sent, got) = Default::default();
        Self { conn, recv, send, streams: Vec::new(), sent, got, error: None, closed: false }
    }

    fn poll(&mut self, now: Instant) {
        loop {
            match self.conn.poll_event(now, &mut self.recv) {
                Ok(None) => break,
                Ok(Some(event)) => {
                    assert!(self.error.is_none() && !self.closed, "{event:?} after the end");
                    match event {
                        Event::Opened { stream, .. } if !self.streams.contains(&stream) => self.streams.push(stream),
                        Event::Refused { stream, .. } | Event::Reset { stream } => {
                            assert!(self.conn.read(stream).is_err(), "stale");
                        }
                        Event::Closed { .. } => self.closed = true,
                        _ => {}
                    }
                }
                Err(error) => {
                    assert_eq!(*self.error.get_or_insert(error.clone()), error, "sticky");
                    break;
                }
            }
        }
        let mut entries = 0;
        while self.conn.poll_transcript().is_some() {
            entries += 1;
        }
        assert!(entries <= ENTRIES_MAX + 1);
    }

    fn flush(&mut self, now: Instant) -> u64 {
        let before = self.send.total();
        while self.conn.poll_transmit(now, &mut self.send) > 0 {}
        self.send.total() - before
    }

    fn pick(&self, which: u8) -> Option<StreamId> {
        self.streams.get(usize::from(which).checked_rem(self.streams.len())?).copied()
    }

    fn open(&mut self, now: Instant, arg: u8) {
        let names: Arc<[_]> = NAMES[usize::from(arg) % 4].iter().map(|n| ProtocolName::from_static(n)).collect();
        let how = if arg & 4 != 0 { Open::Lazy } else { Open::Wait };
        self.streams.extend(self.conn.open(now, names, how));
    }

    fn write(&mut self, now: Instant, arg: u8, len: usize) {
        let Some(id) = self.pick(arg) else { return };
        let sent = self.sent.entry(id).or_default();
        let data: Vec<u8> = (*sent..*sent + len).map(|k| (k % 251) as u8).collect();
        if let Ok(n) = self.conn.write(now, id, &data, &mut self.send) {
            assert!(n <= len);
            *sent += n;
        }
    }

    fn read(&mut self, arg: u8, honest: bool) {
        let Some(id) = self.pick(arg) else { return };
        while let Ok(Some(slice)) = self.conn.read(id) {
            assert!(!slice.is_empty());
            let got = self.got.entry(id).or_default();
            for byte in slice {
                assert!(!honest || usize::from(byte) == *got % 251, "in order and once");
                *got += 1;
            }
        }
    }
}

struct World {
    ends: [End; 2],
    /// Whether the two are each other's peers; else the first one's peer is the fuzzer.
    pair: bool,
    now: Instant,
}

impl World {
    /// Does one operation on the end that the highest bit names, and returns the data that it did not use.
    fn apply<'a>(&mut self, op: u8, arg: u8, data: &'a [u8]) -> &'a [u8] {
        let (who, now, pair) = (usize::from(self.pair && op & 0x80 != 0), self.now, self.pair);
        let end = &mut self.ends[who];
        match op & 15 {
            0..=3 if pair => self.carry(who, usize::from(arg) * usize::from(arg) + 1),
            0..=3 => {
                let (piece, rest) = data.split_at(data.len().min(arg.into()));
                if end.recv.wants() {
                    end.recv.feed(piece);
                }
                end.poll(now);
                return rest;
            }
            4 => end.open(now, arg),
            5 => end.write(now, arg, usize::from(arg >> 3) * 4000 + 1),
            6 => end.read(arg, pair),
            7 => drop(end.pick(arg).map(|id| end.conn.finish(id))),
            8 => drop(end.pick(arg).map(|id| end.conn.reset(id))),
            9 => drop(end.pick(arg).map(|id| end.conn.stop(id))),
            10 => end.poll(now),
            11 => drop(end.flush(now)),
            12 => self.pass(Duration::from_millis(u64::from(arg) * 20)),
            13 if arg == 0 => end.conn.close(now),
            14 if arg == 0 => end.recv.set_eof(),
            15 => self.rest(),
            _ => {}
        }
        data
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        for end in &mut self.ends {
            end.conn.handle_timeout(self.now);
        }
    }

    fn carry(&mut self, who: usize, most: usize) {
        let [a, b] = &mut self.ends;
        let (from, to) = if who == 0 { (a, b) } else { (b, a) };
        let ready = from.send.ready();
        let n = if to.recv.wants() { to.recv.feed(&ready[..ready.len().min(most)]) } else { 0 };
        from.send.sent(n);
        if from.conn.hangup(&from.send) >= Hangup::Write {
            to.recv.set_eof();
        }
    }

    /// All that can happen without the users happens, and that is not without an end.
    fn rest(&mut self) {
        for _ in 0..100_000 {
            let mut moved = 0;
            for who in [0, 1] {
                self.ends[who].poll(self.now);
                moved += self.ends[who].flush(self.now);
                if self.pair {
                    self.carry(who, usize::MAX);
                } else {
                    self.ends[who].send.sent(usize::MAX / 2);
                }
            }
            if moved == 0 {
                return;
            }
        }
        panic!("it never comes to rest");
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((mode, mut data)) = data.split_first() else { return };
    let (pair, secured) = (matches!(mode % 6, 3 | 4), matches!(mode % 6, 2 | 4 | 5));
    let first = if matches!(mode % 6, 1 | 2) { Role::Listener } else { Role::Dialer };
    let second = if first.is_dialer() { Role::Listener } else { Role::Dialer };
    let mut ends = [End::new(first, secured), End::new(second, secured)];
    if mode % 12 >= 6 {
        ends.iter_mut().for_each(|end| end.conn.set_transcript(Level::Frames));
    }
    let mut world = World { ends, pair, now: Instant::ZERO };
    while let [op, arg, rest @ ..] = data {
        data = world.apply(*op, *arg, rest);
    }
    for end in &world.ends {
        let broke = matches!(end.error, None | Some(Error::Timeout { .. } | Error::Eof { .. }));
        assert!(!pair || broke, "between honest peers: {:?}", end.error);
    }
    // Every connection comes to its end: by its peer's, or by time.
    world.rest();
    for end in &mut world.ends {
        end.recv.set_eof();
    }
    world.rest();
    world.pass(Duration::from_secs(100));
    world.rest();
    world.pass(Duration::from_secs(100));
    for end in &mut world.ends {
        assert_eq!(end.conn.hangup(&end.send), Hangup::Both);
        assert!(end.error.is_some() || end.closed);
    }
});

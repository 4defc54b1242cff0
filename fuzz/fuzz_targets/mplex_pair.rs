//! Two mplex sessions that do what the input says, with a pipe between them that carries any pieces: no byte is lost,
//! doubled or reordered, both ends agree, and nothing is stuck.
//!
//! Input: operations of three bytes: what and on which side, which stream, how much.

#![no_main]

use std::{collections::BTreeMap, time::Duration};

use libfuzzer_sys::fuzz_target;
use sanswarm_mplex::{Event, Limits, Session, StreamId};
use sanswarm_wire::{Instant, Role, SendBuf};

const STREAM: usize = 8 * 1024;
const SESSION: usize = 20 * 1024;

/// The byte at `at` of what a stream carries in one direction.
fn byte(wire: u64, at: usize) -> u8 {
    ((at + wire as usize * 31) % 251) as u8
}

#[derive(Debug, Default)]
struct Half {
    written: usize,
    arrived: usize,
    unread: usize,
    finished: bool,
    ended: bool,
    stopped: bool,
    gone: bool,
}

struct End {
    session: Session,
    send: SendBuf,
    inbox: Vec<u8>,
    now: Instant,
    /// By wire id, which two ends of ours never share.
    halves: BTreeMap<u64, (StreamId, Half)>,
}

impl End {
    fn new(role: Role) -> Self {
        let limits = Limits {
            streams: 20,
            stream_unread_bytes: STREAM as u32,
            session_unread_bytes: SESSION,
            ..Limits::default()
        };
        Self {
            session: Session::new(role, limits),
            send: SendBuf::new(32 * 1024),
            inbox: Vec::new(),
            now: Instant::ZERO,
            halves: BTreeMap::new(),
        }
    }

    fn open(&mut self) {
        if let Ok(id) = self.session.open() {
            let wire = self.session.wire_id(id).expect("it is open");
            assert!(self.halves.insert(wire, (id, Half::default())).is_none(), "an id twice");
        }
    }

    fn write(&mut self, wire: u64, n: usize) {
        let Some((id, half)) = self.halves.get_mut(&wire) else { return };
        let payload: Vec<u8> = (half.written..half.written + n).map(|at| byte(wire, at)).collect();
        let room = self.session.write_room(*id, &self.send);
        match self.session.write(self.now, *id, &payload, &mut self.send) {
            Ok(taken) => {
                assert!(!half.finished && !half.gone && taken == room.min(n));
                half.written += taken;
            }
            Err(_) => assert!(half.finished || half.gone),
        }
    }

    fn finish(&mut self, wire: u64) {
        let Some((id, half)) = self.halves.get_mut(&wire) else { return };
        let _ = self.session.finish(*id);
        half.finished |= !half.gone;
    }

    fn read(&mut self, wire: u64, n: usize) {
        let Some((id, half)) = self.halves.get_mut(&wire) else { return };
        let n = n.min(half.unread);
        half.unread -= n;
        self.session.consumed(*id, n);
        self.receive();
    }

    fn end(&mut self, wire: u64, stop: bool) {
        let Some((id, half)) = self.halves.get_mut(&wire) else { return };
        let done = if stop { self.session.stop(*id) } else { self.session.reset(*id) };
        if done.is_ok() {
            half.unread = 0;
            half.stopped |= stop;
            half.gone |= !stop;
        }
        self.receive();
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.session.handle_timeout(self.now).expect("an honest peer");
        self.receive();
    }

    fn receive(&mut self) {
        let mut used = 0;
        loop {
            let (n, event) = self.session.handle_input(self.now, &self.inbox[used..]).expect("an honest peer");
            used += n;
            let Some(event) = event else { break };
            match event {
                Event::Opened { stream } => {
                    let wire = self.session.wire_id(stream).expect("it is open");
                    self.session.accept(stream);
                    assert!(self.halves.insert(wire, (stream, Half::default())).is_none(), "opened twice");
                }
                Event::Data { stream, len, .. } => {
                    let payload = &self.inbox[used..used + len];
                    used += len;
                    let (wire, half) = half(&mut self.halves, stream);
                    let expected = (half.arrived..half.arrived + len).map(|at| byte(wire, at));
                    assert!(payload.iter().copied().eq(expected), "lost or out of order");
                    half.arrived += len;
                    half.unread += len;
                    assert!(half.unread <= STREAM && !half.ended && !half.stopped && !half.gone);
                }
                Event::Finished { stream } => {
                    let (_, half) = half(&mut self.halves, stream);
                    assert!(!half.ended && !half.gone, "finished twice");
                    half.ended = true;
                }
                Event::Reset { stream } => {
                    let (_, half) = half(&mut self.halves, stream);
                    assert!(!half.gone);
                    half.gone = true;
                    half.unread = 0;
                }
            }
        }
        self.inbox.drain(..used);
        let unread: usize = self.halves.values().map(|(_, half)| half.unread).sum();
        assert_eq!(self.session.unread(), unread);
        assert!(unread <= SESSION);
    }
}

fn half(halves: &mut BTreeMap<u64, (StreamId, Half)>, stream: StreamId) -> (u64, &mut Half) {
    let found = halves.iter_mut().find(|(_, (id, _))| *id == stream);
    let (wire, (_, half)) = found.expect("events are of streams that are known");
    (*wire, half)
}

/// Carries up to `n` bytes, unless the other end is held.
fn carry(from: &mut End, to: &mut End, n: usize) -> usize {
    if to.session.is_held() {
        return 0;
    }
    let n = n.min(from.send.ready().len());
    to.inbox.extend_from_slice(&from.send.ready()[..n]);
    from.send.sent(n);
    to.receive();
    n
}

fn step(me: &mut End, other: &mut End, op: u8, which: u8, much: u8) {
    let wire = me.halves.keys().nth(usize::from(which).checked_rem(me.halves.len()).unwrap_or(0)).copied();
    // From one byte to more than any bound.
    let n = 1 << (much % 16) | usize::from(much);
    match (op, wire) {
        (0, _) => me.open(),
        (1, _) => _ = me.session.poll_transmit(me.now, &mut me.send),
        (2 | 3, _) => _ = carry(me, other, n),
        (4, _) => me.pass(Duration::from_millis(n as u64)),
        (5, _) => {
            let told = me.session.poll_writable().and_then(|id| me.session.wire_id(id));
            if let Some(wire) = told {
                me.write(wire, n);
            }
        }
        (6 | 7, Some(wire)) => me.write(wire, n),
        (8 | 9, Some(wire)) => me.read(wire, n),
        (10, Some(wire)) => me.finish(wire),
        (11, Some(wire)) => me.end(wire, much % 2 == 0),
        _ => {}
    }
}

/// Reads all, finishes all, and carries until nothing moves.
fn settle(a: &mut End, b: &mut End) {
    for round in 0.. {
        assert!(round < 10_000, "no end in sight");
        let mut moved = 0;
        for side in 0..2 {
            let (me, other) = if side == 0 { (&mut *a, &mut *b) } else { (&mut *b, &mut *a) };
            for wire in me.halves.keys().copied().collect::<Vec<_>>() {
                me.finish(wire);
                let before = me.inbox.len();
                me.read(wire, usize::MAX);
                moved += before - me.inbox.len();
            }
            me.session.poll_transmit(me.now, &mut me.send);
            moved += carry(me, other, usize::MAX);
        }
        if moved == 0 {
            return;
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let (mut a, mut b) = (End::new(Role::Dialer), End::new(Role::Listener));
    for op in input.chunks_exact(3) {
        let (me, other) = if op[0] < 128 { (&mut a, &mut b) } else { (&mut b, &mut a) };
        step(me, other, op[0] % 12, op[1], op[2]);
    }
    settle(&mut a, &mut b);
    assert!(a.session.is_idle() && b.session.is_idle() && a.inbox.is_empty() && b.inbox.is_empty());
    for (wire, (_, mine)) in &a.halves {
        let Some((_, theirs)) = b.halves.get(wire) else {
            assert!(mine.gone, "a stream that the peer never saw was reset");
            continue;
        };
        for (from, to) in [(mine, theirs), (theirs, mine)] {
            assert!(to.arrived <= from.written);
            if !from.gone && !to.gone {
                assert!(to.ended && (to.stopped || from.written == to.arrived), "{from:?} {to:?}");
            }
        }
    }
});

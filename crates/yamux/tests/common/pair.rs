//! Two ends with their buffers, streams that know what they carry, and a link with a latency.
#![allow(dead_code)]

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use sanswarm_wire::{Inbox, Instant, RecvBuf, Role, SendBuf};
use sanswarm_yamux::{Config, Event, Session, StreamId, WriteError};

const PERIOD: usize = 251;

/// What every stream carries, from any place on: `payload(wire, at, n)` is the `n` bytes from the `at`-th on.
pub(crate) fn payload(wire: u32, at: usize, n: usize) -> &'static [u8] {
    static ALL: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    let all = ALL.get_or_init(|| (0..PERIOD + 64 * 1024).map(|i| (i % PERIOD) as u8).collect());
    let start = (at + wire as usize * 31) % PERIOD;
    &all[start..start + n]
}

/// The most that [`payload`] gives at once.
pub(crate) const PIECE: usize = 64 * 1024;

/// What one end knows of a stream.
#[derive(Debug, Default)]
pub(crate) struct Half {
    /// Bytes that its user has yet to write.
    pub(crate) left: usize,
    pub(crate) written: usize,
    pub(crate) arrived: usize,
    pub(crate) read: usize,
    /// Finish as soon as nothing is left to write.
    pub(crate) finishing: bool,
    pub(crate) finished: bool,
    pub(crate) stopped: bool,
    /// The peer has finished.
    pub(crate) ended: bool,
    /// Reset by either end.
    pub(crate) gone: bool,
    pub(crate) inbox: Inbox,
}

pub(crate) struct End {
    pub(crate) session: Session,
    pub(crate) send: SendBuf,
    pub(crate) recv: RecvBuf,
    /// By wire id.
    pub(crate) halves: BTreeMap<u32, (StreamId, Half)>,
    /// What the session has said besides of streams.
    pub(crate) said: Vec<Event>,
}

impl End {
    pub(crate) fn new(role: Role, config: Config, send_bytes: usize) -> Self {
        Self {
            session: Session::new(role, config),
            send: SendBuf::new(send_bytes),
            recv: RecvBuf::default(),
            halves: BTreeMap::new(),
            said: Vec::new(),
        }
    }

    /// Opens a stream and returns its wire id.
    pub(crate) fn open(&mut self) -> Option<u32> {
        let id = self.session.open().ok()?;
        let wire = self.session.wire_id(id).expect("it is open");
        assert!(self.halves.insert(wire, (id, Half::default())).is_none(), "an id is used once");
        Some(wire)
    }

    pub(crate) fn half(&mut self, wire: u32) -> &mut Half {
        &mut self.halves.get_mut(&wire).expect("known").1
    }

    /// The user has `n` bytes more to write, and tries.
    pub(crate) fn offer(&mut self, now: Instant, wire: u32, n: usize) {
        let (_, half) = self.halves.get_mut(&wire).expect("known");
        if !half.finishing && !half.gone {
            half.left += n;
            self.write(now, wire);
        }
    }

    /// Writes what is left, until a write comes short.
    pub(crate) fn write(&mut self, now: Instant, wire: u32) {
        let Some((id, half)) = self.halves.get_mut(&wire) else { return };
        while half.left > 0 && !half.finished {
            let want = half.left.min(PIECE);
            let room = self.session.write_room(*id, &self.send);
            match self.session.write(now, *id, payload(wire, half.written, want), &mut self.send) {
                Ok(n) => {
                    assert_eq!(n, room.min(want), "write_room tells what a write takes");
                    half.written += n;
                    half.left -= n;
                    if n < want {
                        return;
                    }
                }
                Err(WriteError::Unknown) => {
                    assert!(half.gone, "the user has not been told");
                    return;
                }
                Err(error) => panic!("{error}"),
            }
        }
        self.finish_if_due(wire);
    }

    pub(crate) fn finish(&mut self, wire: u32) {
        self.half(wire).finishing = true;
        self.finish_if_due(wire);
    }

    fn finish_if_due(&mut self, wire: u32) {
        let Some((id, half)) = self.halves.get_mut(&wire) else { return };
        if half.finishing && half.left == 0 && !half.finished && !half.gone {
            half.finished = true;
            self.session.finish(*id).expect("it is live");
        }
    }

    pub(crate) fn reset(&mut self, wire: u32) {
        let (id, half) = self.halves.get_mut(&wire).expect("known");
        let known = self.session.wire_id(*id).is_some();
        assert_eq!(self.session.reset(*id).is_ok(), known);
        if known {
            half.gone = true;
        }
    }

    pub(crate) fn stop(&mut self, wire: u32) {
        let (id, half) = self.halves.get_mut(&wire).expect("known");
        if self.session.stop(*id).is_ok() {
            half.stopped = true;
            half.inbox.consume(usize::MAX);
        }
    }

    /// The user reads up to `n` bytes and checks them.
    pub(crate) fn read(&mut self, wire: u32, n: usize) -> usize {
        let (id, half) = self.halves.get_mut(&wire).expect("known");
        let mut done = 0;
        while done < n && !half.inbox.is_empty() {
            let front = half.inbox.peek(1);
            let len = front.len().min(n - done).min(PIECE);
            assert!(front[..len] == *payload(wire, half.read, len), "lost, doubled or out of order");
            half.inbox.consume(len);
            half.read += len;
            done += len;
        }
        self.session.consumed(*id, done);
        done
    }

    /// Takes in what has arrived.
    pub(crate) fn receive(&mut self, now: Instant) {
        loop {
            let (used, event) = self.session.handle_input(now, self.recv.plain()).expect("two honest ends");
            self.recv.consume(used);
            let Some(event) = event else { return };
            match event {
                Event::Opened { stream } => {
                    let wire = self.session.wire_id(stream).expect("it is open");
                    self.session.accept(stream);
                    assert!(self.halves.insert(wire, (stream, Half::default())).is_none(), "opened twice");
                }
                Event::Data { stream, len, last } => {
                    let slice = self.recv.take(len);
                    let window = self.session.recv_window(stream);
                    let half = self.known(stream);
                    assert!(!half.ended && !half.stopped);
                    half.arrived += len;
                    half.inbox.push(slice);
                    half.ended = last;
                    assert!(window.is_none_or(|window| half.inbox.len() <= window as usize), "more than its window");
                }
                Event::Finished { stream } => {
                    let half = self.known(stream);
                    assert!(!half.ended, "finished twice");
                    half.ended = true;
                }
                Event::Reset { stream } => {
                    let half = self.known(stream);
                    assert!(!half.gone, "reset twice");
                    half.gone = true;
                }
                Event::Pong { .. } | Event::GoAway { .. } => self.said.push(event),
            }
        }
    }

    fn known(&mut self, stream: StreamId) -> &mut Half {
        let found = self.halves.values_mut().find(|(id, _)| *id == stream);
        &mut found.expect("events are of streams that are known").1
    }

    /// Those whose turn it is write, until nobody is told.
    pub(crate) fn take_turns(&mut self, now: Instant) {
        while let Some(id) = self.session.poll_writable() {
            let wire = self.session.wire_id(id).expect("who may write is live");
            if self.half(wire).left == 0 {
                self.session.decline(id);
            }
            self.write(now, wire);
        }
    }
}

/// Carries up to `n` bytes and has them taken in.
pub(crate) fn carry(now: Instant, from: &mut End, to: &mut End, n: usize) -> usize {
    let n = to.recv.feed(&from.send.ready()[..n.min(from.send.ready().len())]);
    from.send.sent(n);
    to.recv.reveal_all();
    to.receive(now);
    n
}

/// A link that carries `rate` bytes a millisecond and delivers them `delay` later.
pub(crate) struct Link {
    delay: Duration,
    rate: usize,
    under_way: VecDeque<(Instant, Vec<u8>)>,
}

impl Link {
    pub(crate) fn new(delay: Duration, rate: usize) -> Self {
        Self { delay, rate, under_way: VecDeque::new() }
    }

    /// One millisecond.
    pub(crate) fn step(&mut self, now: Instant, from: &mut End, to: &mut End) {
        from.session.poll_transmit(now, &mut from.send);
        let n = from.send.ready().len().min(self.rate);
        if n > 0 {
            self.under_way.push_back((now + self.delay, from.send.ready()[..n].to_vec()));
            from.send.sent(n);
        }
        while self.under_way.front().is_some_and(|(at, _)| *at <= now) {
            let (_, bytes) = self.under_way.pop_front().expect("just seen");
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let n = to.recv.feed(rest);
                to.recv.reveal_all();
                to.receive(now);
                assert!(n > 0, "held");
                rest = &rest[n..];
            }
        }
    }
}

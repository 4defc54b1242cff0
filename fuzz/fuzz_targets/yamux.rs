//! A yamux session in either role, against bytes in any pieces, between calls in any order.
//!
//! Input: the derived `Arbitrary` of `Input`; `seeds/yamux` has conversations in that encoding.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};
use sanswarm_wire::{Instant, Role, SendBuf};
use sanswarm_yamux::{Config, Error, Event, GoAway, Limits, Session, StreamId};

#[derive(Arbitrary, Debug)]
enum Op {
    Bytes(Vec<u8>),
    /// A head that is well-formed, so that the fuzzer gets behind the first check.
    Frame {
        kind: u8,
        flags: u8,
        stream: u8,
        length: u32,
    },
    Open,
    Accept(u8),
    Consumed(u8, u32),
    Write(u8, u16),
    PollWritable,
    Finish(u8),
    Reset(u8),
    Stop(u8),
    Ping,
    GoAway(u32),
    Transmit,
    Sent(u16),
    Time(u16),
}

#[derive(Arbitrary, Debug)]
struct Input {
    dialer: bool,
    small: bool,
    ops: Vec<Op>,
}

struct Driver {
    session: Session,
    send: SendBuf,
    hand: Vec<u8>,
    /// All that ever lived: stale ones too.
    streams: Vec<StreamId>,
    now: Instant,
    error: Option<Error>,
}

impl Driver {
    fn new(input: &Input) -> Self {
        let small = Limits { streams: 2, unacknowledged: 1, unaccepted: 1, control: 2, pongs: 1, ..Limits::default() };
        let limits = if input.small { small } else { Limits::default() };
        let role = if input.dialer { Role::Dialer } else { Role::Listener };
        Self {
            session: Session::new(role, Config { limits, ..Config::default() }),
            send: SendBuf::new(16 * 1024),
            hand: Vec::new(),
            streams: Vec::new(),
            now: Instant::ZERO,
            error: None,
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.hand.extend_from_slice(bytes);
        loop {
            let result = self.session.handle_input(self.now, &self.hand);
            if let Some(error) = self.error {
                assert_eq!(result, Err(error), "a fatal error is sticky");
            }
            let Ok((used, event)) = result else {
                self.error = result.err();
                return;
            };
            assert!(used <= self.hand.len());
            self.hand.drain(..used);
            match event {
                Some(Event::Opened { stream }) => self.streams.push(stream),
                Some(Event::Data { len, .. }) => {
                    assert!(len > 0 && len <= self.hand.len());
                    self.hand.drain(..len);
                }
                Some(_) => {}
                None => break,
            }
        }
        assert!(self.hand.len() < 12 || self.session.is_held(), "only half a head, or a hold, leaves input");
    }

    fn with(&mut self, which: u8, call: impl FnOnce(&mut Self, StreamId)) {
        let picked = usize::from(which).checked_rem(self.streams.len());
        if let Some(index) = picked {
            call(self, self.streams[index]);
        }
    }

    fn write(&mut self, id: StreamId, n: u16) {
        let data = vec![7; usize::from(n)];
        let room = self.session.write_room(id, &self.send);
        match self.session.write(self.now, id, &data, &mut self.send) {
            Ok(taken) => assert_eq!(taken, room.min(data.len()), "write_room tells what write takes"),
            Err(_) => assert_eq!(room, 0),
        }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Bytes(bytes) => self.receive(&bytes),
            Op::Frame { kind, flags, stream, length } => {
                let [a, b, c, d] = length.to_be_bytes();
                self.receive(&[0, kind % 4, 0, flags & 15, 0, 0, 0, stream % 8, a, b, c, d]);
            }
            Op::Open => self.streams.extend(self.session.open()),
            Op::Accept(which) => self.with(which, |me, id| me.session.accept(id)),
            Op::Consumed(which, n) => self.with(which, |me, id| me.session.consumed(id, n as usize)),
            Op::Write(which, n) => self.with(which, |me, id| me.write(id, n)),
            Op::PollWritable => {
                if let Some(id) = self.session.poll_writable() {
                    assert!(self.session.wire_id(id).is_some(), "who may write is live");
                }
            }
            Op::Finish(which) => self.with(which, |me, id| _ = me.session.finish(id)),
            Op::Reset(which) => self.with(which, |me, id| _ = me.session.reset(id)),
            Op::Stop(which) => self.with(which, |me, id| _ = me.session.stop(id)),
            Op::Ping => {
                self.session.ping(self.now);
            }
            Op::GoAway(code) => self.session.go_away(if code == 0 { GoAway::Normal } else { GoAway::Other(code) }),
            Op::Transmit => {
                let before = self.send.ready().len();
                let n = self.session.poll_transmit(self.now, &mut self.send);
                assert_eq!(self.send.ready().len(), before + n);
            }
            Op::Sent(n) => self.send.sent(usize::from(n)),
            Op::Time(seconds) => {
                self.now = self.now + Duration::from_secs(seconds.into());
                if let Err(error) = self.session.handle_timeout(self.now) {
                    assert_eq!(*self.error.get_or_insert(error), error);
                }
            }
        }
    }
}

fuzz_target!(|input: Input| {
    let mut driver = Driver::new(&input);
    for op in input.ops {
        driver.apply(op);
    }
    // What is due goes out, and then nothing more: no flush without an end.
    driver.send = SendBuf::default();
    while driver.session.poll_transmit(driver.now, &mut driver.send) > 0 {
        driver.send.sent(usize::MAX / 2);
    }
    assert!(!driver.session.is_held());
});

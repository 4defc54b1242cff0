//! An mplex session in either role, against bytes in any pieces, between calls in any order.
//!
//! Input: one byte of settings, then operations: a byte, and its arguments.

#![no_main]

use std::{collections::BTreeMap, time::Duration};

use libfuzzer_sys::fuzz_target;
use sanswarm_mplex::{Error, Event, HEADER_BYTES, Limits, Session, StreamId};
use sanswarm_wire::{Instant, Role, SendBuf};

/// What is left of the input.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    fn number(&mut self) -> usize {
        usize::from(self.byte()) << 8 | usize::from(self.byte())
    }

    fn bytes(&mut self, n: usize) -> &[u8] {
        let (taken, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

struct Driver {
    session: Session,
    limits: Limits,
    send: SendBuf,
    hand: Vec<u8>,
    /// All that ever lived: stale ones too.
    streams: Vec<StreamId>,
    /// What was told of each and not consumed.
    unread: BTreeMap<StreamId, usize>,
    now: Instant,
    error: Option<Error>,
}

impl Driver {
    fn new(settings: u8) -> Self {
        let small = Limits {
            message_bytes: 300,
            stream_unread_bytes: 0,
            session_unread_bytes: 6000,
            streams: 3,
            unaccepted: 2,
            control: 2,
            ..Limits::default()
        };
        let limits = if settings & 2 == 0 { small } else { Limits::default() };
        let role = if settings & 1 == 0 { Role::Listener } else { Role::Dialer };
        Self {
            session: Session::new(role, limits.clone()),
            limits,
            send: SendBuf::new(16 * 1024),
            hand: Vec::new(),
            streams: Vec::new(),
            unread: BTreeMap::new(),
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
                Some(Event::Data { stream, len, last }) => {
                    assert!(len > 0 && len <= self.hand.len() && !last);
                    self.hand.drain(..len);
                    *self.unread.entry(stream).or_default() += len;
                }
                Some(Event::Finished { stream }) => assert!(self.streams.contains(&stream)),
                Some(Event::Reset { stream }) => {
                    assert_eq!(self.session.wire_id(stream), None);
                    self.unread.remove(&stream);
                }
                None => break,
            }
        }
        assert!(self.hand.len() < HEADER_BYTES || self.session.is_held(), "only half a head, or a hold, leaves input");
        self.check();
    }

    fn check(&self) {
        let most = (self.limits.stream_unread_bytes as usize).max(4096);
        assert!(self.unread.values().all(|n| *n <= most));
        assert_eq!(self.session.unread(), self.unread.values().sum::<usize>());
        assert!(self.session.unread() <= self.limits.session_unread_bytes);
        assert!(self.session.poll_timeout().is_none() || self.session.is_held());
    }

    fn with(&mut self, which: u8, call: impl FnOnce(&mut Self, StreamId)) {
        let picked = usize::from(which).checked_rem(self.streams.len());
        if let Some(index) = picked {
            call(self, self.streams[index]);
        }
        self.check();
    }

    fn consumed(&mut self, id: StreamId, n: usize) {
        self.session.consumed(id, n);
        if let Some(left) = self.unread.get_mut(&id) {
            *left = left.saturating_sub(n);
        }
    }

    fn write(&mut self, id: StreamId, n: usize) {
        let data = vec![7; n];
        let room = self.session.write_room(id, &self.send);
        match self.session.write(self.now, id, &data, &mut self.send) {
            Ok(taken) => assert_eq!(taken, room.min(data.len()), "write_room tells what write takes"),
            Err(_) => assert_eq!(room, 0),
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        match self.session.handle_timeout(self.now) {
            Ok(()) => {
                assert!(self.session.poll_timeout().is_none_or(|deadline| deadline.at > self.now));
                self.unread.retain(|id, _| self.session.wire_id(*id).is_some());
                self.check();
            }
            Err(error) => assert_eq!(Some(error), self.error),
        }
    }

    fn apply(&mut self, script: &mut Script<'_>) {
        match script.byte() % 15 {
            0 => {
                let n = usize::from(script.byte());
                let bytes = script.bytes(n).to_vec();
                self.receive(&bytes);
            }
            // A frame that is well-formed, so that the fuzzer gets behind the first check.
            1 => {
                let (head, n) = (script.byte() & 0x7f, script.number());
                let length = if n < 128 { vec![n as u8] } else { vec![n as u8 | 0x80, (n >> 7 & 0x7f) as u8 | 1] };
                self.receive(&[vec![head], length].concat());
                self.receive(&vec![9; n]);
            }
            2 => self.streams.extend(self.session.open()),
            3 => self.with(script.byte(), |me, id| me.session.accept(id)),
            4 => {
                let (which, n) = (script.byte(), script.number());
                self.with(which, |me, id| me.consumed(id, n));
            }
            5 => {
                let (which, n) = (script.byte(), script.number());
                self.with(which, |me, id| me.write(id, n));
            }
            6 => {
                if let Some(id) = self.session.poll_writable() {
                    assert!(self.session.write_room(id, &self.send) > 0, "who is told that it can write can");
                }
            }
            7 => self.with(script.byte(), |me, id| _ = me.session.finish(id)),
            8 => self.with(script.byte(), |me, id| {
                _ = me.session.reset(id);
                me.unread.remove(&id);
            }),
            9 => self.with(script.byte(), |me, id| {
                _ = me.session.stop(id);
                me.unread.remove(&id);
            }),
            10 => self.session.go_away(),
            11 => {
                let before = self.send.ready().len();
                let n = self.session.poll_transmit(self.now, &mut self.send);
                assert_eq!(self.send.ready().len(), before + n);
            }
            12 => {
                self.send.sent(script.number());
                // The session has to see the room that this made, or had before.
                self.session.poll_transmit(self.now, &mut self.send);
            }
            13 => self.with(script.byte(), |me, id| me.session.wait_writable(id)),
            _ => self.pass(Duration::from_millis(script.number() as u64)),
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let mut script = Script(input);
    let mut driver = Driver::new(script.byte());
    while !script.0.is_empty() {
        driver.apply(&mut script);
    }
    // Whatever has happened, it is not held for ever: what is due goes out, and one stream after the other is reset.
    for round in 0.. {
        assert!(round <= driver.streams.len() + driver.hand.len() + 2, "held for ever");
        driver.send = SendBuf::default();
        while driver.session.poll_transmit(driver.now, &mut driver.send) > 0 {
            driver.send.sent(usize::MAX / 2);
        }
        if !driver.session.is_held() {
            break;
        }
        driver.pass(Limits::default().stall);
        driver.receive(&[]);
    }
});

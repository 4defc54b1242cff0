//! Frames as they come to a yamux session, whole and in pieces, against a plain reference.
//!
//! Input: a byte of flags (1: a dialer, 2: narrow limits), a byte that seeds the pieces, then operations: see
//! `World::step`.
//!
//! - Verdict and events are the reference's, by every head that there is: type, flags, stream and length. The payload
//!   is that of the input. It is the same whole and in pieces.
//! - What is sent is whole frames that the spec knows, that read and write as the same bytes, and that are owed: each
//!   ping answered once, each refused stream reset once, SYN, ACK and FIN once, credit for no more than was read, and
//!   for all of it when half of the window was read.
//! - An error stays, and one GoAway with its code is the last that is sent.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use sanswarm_fuzz::{
    Input, Pieces,
    yamux::{self, ACK, FIN, GO_AWAY, Head, PING, RST, Reference, SYN, Told, WINDOW_UPDATE},
};
use sanswarm_wire::{Instant, Role, SendBuf};
use sanswarm_yamux::{Config, Error, Event, GoAway, INITIAL_WINDOW_BYTES, Limits, Session, StreamId};

const NOW: Instant = Instant::ZERO;

struct World {
    session: Session,
    reference: Reference,
    limits: Limits,
    pieces: Pieces,
    send: SendBuf,
    /// Input that the session has not used.
    hand: Vec<u8>,
    /// By id on the wire: the streams that were live at the end of the last step, and some that are not any more.
    keys: BTreeMap<u32, StreamId>,
    /// Streams of ours without SYN.
    opening: Vec<u32>,
    error: Option<Error>,
    goodbye: Option<u32>,
}

impl World {
    fn new(role: Role, limits: Limits, seed: u8) -> Self {
        Self {
            session: Session::new(role, Config { limits: limits.clone(), ..Config::default() }),
            reference: Reference::new(role, limits.clone()),
            limits,
            pieces: Pieces::new(seed),
            send: SendBuf::default(),
            hand: Vec::new(),
            keys: BTreeMap::new(),
            opening: Vec::new(),
            error: None,
            goodbye: None,
        }
    }

    /// One operation by its first byte modulo 16: 0 to 8 a frame (`yamux::frame`), 9 bytes as they are (how many, then
    /// those), 10 some is read of a stream (its place, two bytes of how much in units of 16), 11 open, 12 finish, 13
    /// reset, 14 stop (its place each), 15 GoAway (its code).
    fn step(&mut self, op: u8, input: &mut Input<'_>) {
        match op % 16 {
            0..9 => {
                let bytes = yamux::frame(input);
                self.receive(&bytes);
            }
            9 => {
                let len = input.byte();
                self.receive(input.take(len.into()));
            }
            11 => self.open(),
            15 => {
                let code = u32::from(input.byte());
                self.session.go_away(if code == 0 { GoAway::Normal } else { GoAway::Other(code) });
                if self.error.is_none() {
                    self.reference.we_go_away = true;
                    self.goodbye = Some(code);
                }
            }
            op => self.call(op, input),
        }
        self.transmit();
    }

    fn open(&mut self) {
        let ours = self.reference.streams.keys().filter(|id| self.reference.is_ours(**id)).count();
        let may = self.error.is_none() && !self.reference.we_go_away && !self.reference.they_go_away;
        let opened = self.session.open();
        assert_eq!(opened.is_ok(), may && ours < self.limits.streams, "{opened:?}");
        if let Ok(key) = opened {
            let id = self.session.wire_id(key).expect("it is open");
            assert!(self.reference.is_ours(id) && self.keys.insert(id, key).is_none());
            self.opening.push(id);
        }
    }

    fn call(&mut self, op: u8, input: &mut Input<'_>) {
        let Some(place) = usize::from(input.byte()).checked_rem(self.keys.len()) else { return };
        let Some((&id, &key)) = self.keys.iter().nth(place) else { return };
        let stream = self.reference.streams.get_mut(&id);
        match op {
            10 => {
                let n = input.short() * 16;
                self.session.consumed(key, n);
                stream.map(|stream| stream.consume(n)).unwrap_or_default();
            }
            12 => {
                assert_eq!(self.session.finish(key).is_ok(), stream.is_some());
                if let Some(stream) = stream {
                    (stream.finished, stream.accepted) = (true, true);
                }
            }
            13 => {
                assert_eq!(self.session.reset(key).is_ok(), stream.is_some());
                if self.reference.streams.remove(&id).is_some() {
                    self.reference.resets.push(id);
                }
                self.keys.remove(&id);
            }
            _ => {
                assert_eq!(self.session.stop(key).is_ok(), stream.is_some());
                if let Some(stream) = stream {
                    stream.stopped = true;
                    stream.consume(usize::MAX);
                }
            }
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        if let Some(error) = self.error {
            assert_eq!(self.session.handle_input(NOW, bytes), Err(error), "an error stays");
            return;
        }
        let (expected, verdict) = self.reference.receive(bytes);
        let (mut told, mut result, mut rest) = (Vec::new(), Ok(()), bytes);
        while !rest.is_empty() && result.is_ok() {
            let (piece, more) = rest.split_at(rest.len().min(self.pieces.size() * 16));
            rest = more;
            self.hand.extend(piece);
            result = self.take(&mut told);
        }
        assert_eq!((&told, result), (&expected, verdict));
        self.error = result.err();
        if let Some(error) = self.error {
            assert_eq!(self.session.handle_input(NOW, &[]), Err(error), "an error stays");
            self.goodbye = Some(1);
            return;
        }
        for told in expected {
            let Told::Opened(id) = told else { continue };
            self.session.accept(self.keys[&id]);
            if let Some(stream) = self.reference.streams.get_mut(&id) {
                stream.accepted = true;
            }
        }
    }

    /// Takes what the session can use of what is in hand.
    fn take(&mut self, told: &mut Vec<Told>) -> Result<(), Error> {
        loop {
            let (used, event) = self.session.handle_input(NOW, &self.hand)?;
            assert!(used <= self.hand.len(), "used more than was given");
            self.hand.drain(..used);
            let Some(event) = event else {
                if self.session.is_held() {
                    // Replies go out, and on it goes.
                    assert!(self.session.poll_transmit(NOW, &mut self.send) > 0, "held for nothing");
                    continue;
                }
                assert!(self.hand.len() < 12, "it could have used more");
                return Ok(());
            };
            let id = |stream: StreamId| self.keys.iter().find(|(_, key)| **key == stream).map(|(id, _)| *id);
            match event {
                Event::Opened { stream } => {
                    let id = self.session.wire_id(stream).expect("it is open");
                    self.keys.insert(id, stream);
                    told.push(Told::Opened(id));
                }
                Event::Data { stream, len, last } => {
                    assert!((1..=self.hand.len()).contains(&len));
                    let id = id(stream).expect("a stream that is known");
                    yamux::tell(told, id, &self.hand[..len]);
                    self.hand.drain(..len);
                    if last {
                        told.push(Told::Finished(id));
                    }
                }
                Event::Finished { stream } => told.push(Told::Finished(id(stream).expect("a stream that is known"))),
                Event::Reset { stream } => told.push(Told::Reset(id(stream).expect("a stream that is known"))),
                Event::GoAway { code } => told.push(Told::GoAway(code.code())),
                Event::Pong { .. } => panic!("nobody has asked"),
            }
        }
    }

    /// Takes what is due, and checks that it was.
    fn transmit(&mut self) {
        while self.session.poll_transmit(NOW, &mut self.send) > 0 {}
        let sent = yamux::heads(self.send.ready());
        self.send.sent(usize::MAX);
        let mut resets = Vec::new();
        for head in &sent {
            match head.kind {
                PING => {
                    assert_eq!((self.error, head.flags), (None, ACK));
                    assert_eq!(head.length, self.reference.pongs.remove(0), "answers in order");
                }
                GO_AWAY => assert_eq!((head.flags, Some(head.length)), (0, self.goodbye.take())),
                _ if head.has(RST) => resets.push(head.stream),
                _ => self.sent(*head),
            }
            assert!(self.error.is_none() || head.kind == GO_AWAY, "{head:?} after a fault");
        }
        assert_eq!(self.goodbye, None, "it goes out, and once");
        if self.error.is_some() {
            return;
        }
        assert_eq!(resets, core::mem::take(&mut self.reference.resets));
        assert!(self.reference.pongs.is_empty() && self.opening.is_empty(), "all that is due");
        for (id, stream) in &self.reference.streams {
            assert!(!stream.accepted || !stream.owes_ack, "ACK of {id}");
            assert!(stream.fin_sent == stream.finished, "FIN of {id}");
            assert!(stream.ended || stream.read < INITIAL_WINDOW_BYTES / 2, "credit of {id}");
        }
        assert_eq!(self.session.len(), self.reference.streams.len());
    }

    /// A frame of a stream, which carries no payload: nothing was written.
    fn sent(&mut self, head: Head) {
        let id = head.stream;
        if head.has(SYN) {
            let at = self.opening.iter().position(|opening| *opening == id).expect("SYN once, of a stream of ours");
            self.opening.remove(at);
            self.reference.opened(id);
        }
        let stream = self.reference.streams.get_mut(&id).expect("a stream that is known");
        if head.has(ACK) {
            assert!(stream.accepted && stream.owes_ack, "ACK once, of what was accepted");
            stream.owes_ack = false;
        }
        if head.kind == WINDOW_UPDATE && head.length > 0 {
            assert!(head.length == stream.read && !stream.ended, "credit for what was read");
            stream.open += core::mem::take(&mut stream.read);
        }
        assert!(head.kind == WINDOW_UPDATE || head.length == 0);
        if head.has(FIN) {
            assert!(stream.finished && !stream.fin_sent, "FIN once");
            stream.fin_sent = true;
            self.reference.forget_if_over(id);
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let (flags, seed) = (input.byte(), input.byte());
    let role = if flags & 1 != 0 { Role::Dialer } else { Role::Listener };
    let mut limits = Limits { session_window_bytes: 0, unacknowledged: 1000, ..Limits::default() };
    if flags & 2 != 0 {
        limits = Limits { streams: 3, unaccepted: 2, control: 2, pongs: 2, ..limits };
    }
    let mut world = World::new(role, limits, seed);
    for _ in 0..300 {
        let Some(op) = input.maybe() else { return };
        world.step(op, &mut input);
    }
});

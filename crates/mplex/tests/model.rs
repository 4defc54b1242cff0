//! Two ends that do random things, against a model; and bytes in any pieces.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use core::time::Duration;
use std::collections::BTreeMap;

use common::*;
use proptest::prelude::*;
use sanswarm_mplex::{Error, Event, Limits, Session, StreamId, WriteError};
use sanswarm_wire::{Instant, Role, SendBuf};

const STREAM: usize = 8 * 1024;
const SESSION: usize = 20 * 1024;

/// The byte at `at` of what a stream carries in one direction.
fn byte(wire: u64, at: usize) -> u8 {
    ((at + wire as usize * 31) % 251) as u8
}

/// What one end has done with a stream and seen of it.
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

impl Half {
    /// Whether the session has forgotten it once all that is due was sent.
    fn is_over(&self) -> bool {
        self.gone || (self.finished && self.ended && self.unread == 0)
    }
}

/// Bytes that arrived and were not used.
#[derive(Default)]
struct Hand {
    bytes: Vec<u8>,
    used: usize,
}

impl Hand {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.used..]
    }

    fn take(&mut self, n: usize) -> &[u8] {
        self.used += n;
        &self.bytes[self.used - n..self.used]
    }

    fn add(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.used);
        self.used = 0;
        self.bytes.extend_from_slice(bytes);
    }
}

struct End {
    session: Session,
    send: SendBuf,
    inbox: Hand,
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
            inbox: Hand::default(),
            now: NOW,
            halves: BTreeMap::new(),
        }
    }

    fn pick(&self, which: usize) -> Option<u64> {
        let live: Vec<_> = self.halves.iter().filter(|(_, (_, half))| !half.is_over()).map(|(wire, _)| *wire).collect();
        live.get(which.checked_rem(live.len())?).copied()
    }

    fn open(&mut self) {
        if let Ok(id) = self.session.open() {
            let wire = self.session.wire_id(id).unwrap();
            assert!(self.halves.insert(wire, (id, Half::default())).is_none(), "an id twice");
        }
    }

    fn write(&mut self, wire: u64, n: usize) -> usize {
        let Some((id, half)) = self.halves.get_mut(&wire) else { return 0 };
        let payload: Vec<u8> = (half.written..half.written + n).map(|at| byte(wire, at)).collect();
        let room = self.session.write_room(*id, &self.send);
        match self.session.write(self.now, *id, &payload, &mut self.send) {
            Ok(taken) => {
                assert!(!half.finished && !half.gone && taken == room.min(n));
                half.written += taken;
                taken
            }
            Err(WriteError::Finished) => {
                assert!(half.finished && !half.gone);
                0
            }
            Err(error) => {
                assert!(error == WriteError::Unknown && half.is_over(), "{half:?}");
                0
            }
        }
    }

    fn finish(&mut self, wire: u64) {
        let (id, half) = self.halves.get_mut(&wire).unwrap();
        assert_eq!(self.session.finish(*id).is_ok(), self.session.wire_id(*id).is_some());
        half.finished |= !half.gone;
    }

    fn stop(&mut self, wire: u64) {
        let (id, half) = self.halves.get_mut(&wire).unwrap();
        if self.session.stop(*id).is_ok() {
            half.stopped = true;
            half.unread = 0;
        }
        self.receive();
    }

    fn reset(&mut self, wire: u64) {
        let (id, half) = self.halves.get_mut(&wire).unwrap();
        if self.session.reset(*id).is_ok() {
            half.gone = true;
            half.unread = 0;
        }
        self.receive();
    }

    fn read(&mut self, wire: u64, n: usize) {
        let (id, half) = self.halves.get_mut(&wire).unwrap();
        let n = n.min(half.unread);
        half.unread -= n;
        self.session.consumed(*id, n);
        self.receive();
    }

    fn pass_time(&mut self, by: Duration) {
        self.now = self.now + by;
        let due = self.session.poll_timeout().is_some_and(|deadline| self.now >= deadline.at);
        let before = self.session.len();
        self.session.handle_timeout(self.now).unwrap();
        assert_eq!(self.session.len(), before - usize::from(due), "one stream, and only when it is time");
        self.receive();
    }

    /// Takes in what arrived, and checks it.
    fn receive(&mut self) {
        loop {
            let (used, event) = self.session.handle_input(self.now, self.inbox.rest()).expect("two honest ends");
            self.inbox.take(used);
            let Some(event) = event else { break };
            match event {
                Event::Opened { stream } => {
                    let wire = self.session.wire_id(stream).unwrap();
                    self.session.accept(stream);
                    assert!(self.halves.insert(wire, (stream, Half::default())).is_none(), "opened twice");
                }
                Event::Data { stream, len, last } => {
                    let payload: Vec<u8> = self.inbox.take(len).to_vec();
                    let (wire, half) = self.half(stream);
                    for (i, b) in payload.iter().enumerate() {
                        assert_eq!(*b, byte(wire, half.arrived + i), "lost or out of order");
                    }
                    half.arrived += payload.len();
                    half.unread += payload.len();
                    assert!(half.unread <= STREAM && !half.ended && !half.stopped && !half.gone && !last);
                }
                Event::Finished { stream } => {
                    let (_, half) = self.half(stream);
                    assert!(!half.ended && !half.gone, "finished twice");
                    half.ended = true;
                }
                Event::Reset { stream } => {
                    let (_, half) = self.half(stream);
                    assert!(!half.gone);
                    half.gone = true;
                    half.unread = 0;
                }
            }
        }
        let unread: usize = self.halves.values().map(|(_, half)| half.unread).sum();
        assert_eq!(self.session.unread(), unread);
        assert!(unread <= SESSION);
        let is_full = |(_, half): &(_, Half)| half.unread > STREAM - STREAM / 8;
        assert!(!self.session.is_held() || unread > SESSION - SESSION / 8 || self.halves.values().any(is_full));
        assert_eq!(self.session.is_held(), self.session.poll_timeout().is_some());
    }

    fn half(&mut self, stream: StreamId) -> (u64, &mut Half) {
        let found = self.halves.iter_mut().find(|(_, (id, _))| *id == stream);
        let (wire, (_, half)) = found.expect("events are of streams that are known");
        (*wire, half)
    }

    fn transmit(&mut self) {
        self.session.poll_transmit(self.now, &mut self.send);
    }
}

/// Carries up to `n` bytes, unless the other end is held.
fn carry(from: &mut End, to: &mut End, n: usize) -> usize {
    if to.session.is_held() {
        return 0;
    }
    let n = n.min(from.send.ready().len());
    to.inbox.add(&from.send.ready()[..n]);
    from.send.sent(n);
    to.receive();
    n
}

fn step(ends: &mut [End; 2], (side, op, which, n): (bool, u8, usize, usize)) {
    let [a, b] = ends;
    let (me, other) = if side { (a, b) } else { (b, a) };
    let picked = me.pick(which);
    match (op, picked) {
        (0, _) => me.open(),
        (1, _) => me.transmit(),
        (2 | 3, _) => drop(carry(me, other, n)),
        (4, _) => me.pass_time(Duration::from_millis(n as u64 / 10)),
        (5, _) => {
            let told = me.session.poll_writable().and_then(|id| me.session.wire_id(id));
            if let Some(wire) = told {
                me.write(wire, n);
            }
        }
        (6..=8, Some(wire)) => drop(me.write(wire, n)),
        (9 | 10, Some(wire)) => me.read(wire, n),
        (11, Some(wire)) => me.finish(wire),
        (12, Some(wire)) if n % 4 == 0 => me.reset(wire),
        (12, Some(wire)) if n % 4 == 1 => me.stop(wire),
        _ => {}
    }
}

/// Reads all, finishes all, and carries until nothing moves.
fn settle(ends: &mut [End; 2]) {
    for round in 0.. {
        assert!(round < 10_000, "no end in sight");
        let mut moved = 0;
        for side in 0..2 {
            let [a, b] = &mut *ends;
            let (me, other) = if side == 0 { (a, b) } else { (b, a) };
            for wire in me.halves.keys().copied().collect::<Vec<_>>() {
                me.finish(wire);
                let before = me.inbox.rest().len();
                me.read(wire, usize::MAX);
                moved += before - me.inbox.rest().len();
            }
            me.transmit();
            moved += carry(me, other, usize::MAX);
        }
        if moved == 0 {
            return;
        }
    }
}

fn ends() -> [End; 2] {
    [End::new(Role::Dialer), End::new(Role::Listener)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_everything_ends(
        ops in prop::collection::vec((any::<bool>(), 0u8..13, 0usize..20, 0usize..40_000), 1..200),
    ) {
        let mut ends = ends();
        for op in ops {
            step(&mut ends, op);
        }
        settle(&mut ends);
        let [a, b] = &ends;
        prop_assert!(a.session.is_idle() && b.session.is_idle(), "{:?}\n{:?}", a.session, b.session);
        prop_assert!(a.inbox.rest().is_empty() && b.inbox.rest().is_empty());
        for (wire, (_, mine)) in &a.halves {
            let Some((_, theirs)) = b.halves.get(wire) else {
                prop_assert!(mine.gone, "a stream that the peer never saw was reset");
                continue;
            };
            for (from, to) in [(mine, theirs), (theirs, mine)] {
                if !from.gone && !to.gone {
                    prop_assert!(to.ended && (to.stopped || from.written == to.arrived), "{:?} {:?}", from, to);
                }
                prop_assert!(to.arrived <= from.written);
            }
        }
    }

    /// With readers that stop for a while and no time passing, nobody is reset and every byte comes in the end.
    #[test]
    fn readers_that_stop_lose_nothing(
        ops in prop::collection::vec((any::<bool>(), 0u8..11, 0usize..20, 0usize..40_000), 1..200),
    ) {
        let mut ends = ends();
        for op in ops {
            if op.1 != 4 { step(&mut ends, op); }
        }
        settle(&mut ends);
        let [a, b] = &ends;
        prop_assert_eq!(a.halves.len(), b.halves.len());
        for (wire, (_, mine)) in &a.halves {
            let (_, theirs) = &b.halves[wire];
            prop_assert_eq!((mine.written, theirs.written), (theirs.arrived, mine.arrived));
            prop_assert!(mine.ended && theirs.ended && !mine.gone && !theirs.gone);
        }
    }

    /// All who have something to write get it through, whoever is told and in whatever pieces it is carried.
    #[test]
    fn writers_make_progress(
        totals in prop::collection::vec(1usize..100_000, 1..8),
        pieces in prop::collection::vec(1usize..100_000, 1..8),
    ) {
        let [mut a, mut b] = ends();
        let mut left: BTreeMap<u64, usize> = BTreeMap::new();
        for total in &totals {
            a.open();
            let wire = *a.halves.keys().last().unwrap();
            left.insert(wire, total - a.write(wire, *total));
        }
        let enough = 20_000 + 4 * totals.iter().sum::<usize>() / pieces.iter().min().expect("one");
        let mut pieces = pieces.into_iter().cycle();
        for round in 0.. {
            prop_assert!(round < enough, "stuck: {left:?}");
            for _ in 0..100 {
                let Some(id) = a.session.poll_writable() else { break };
                let wire = a.session.wire_id(id).unwrap();
                let n = a.write(wire, left[&wire]);
                *left.get_mut(&wire).unwrap() -= n;
            }
            a.transmit();
            carry(&mut a, &mut b, pieces.next().unwrap());
            for wire in b.halves.keys().copied().collect::<Vec<_>>() { b.read(wire, usize::MAX) }
            if left.values().all(|n| *n == 0) && a.send.is_empty() && b.inbox.rest().is_empty() { break }
        }
        for (total, (_, half)) in totals.iter().zip(b.halves.values()) {
            prop_assert_eq!(*total, half.arrived);
        }
    }

    #[test]
    fn the_pieces_that_bytes_come_in_do_not_matter(
        frames in prop::collection::vec((0u64..8, 0u64..6, 0usize..40), 1..60),
        pieces in prop::collection::vec(1usize..30, 1..20),
        junk in prop::collection::vec(any::<u8>(), 0..12),
    ) {
        let mut stream: Vec<u8> = frames
            .iter()
            // Flag 7 ends it all, so it is rare.
            .flat_map(|(flag, id, length)| frame(if *length > 0 { flag % 7 } else { *flag }, *id, &vec![*id as u8; *length]))
            .collect();
        stream.extend(junk);
        let whole = run(&stream, &[stream.len()]);
        prop_assert_eq!(&run(&stream, &[1]), &whole);
        prop_assert_eq!(&run(&stream, &pieces), &whole);
    }

    /// Neither do they for where a session is held that nobody reads from.
    #[test]
    fn a_hold_comes_at_the_same_byte(
        frames in prop::collection::vec((0u64..4, 1usize..3000), 1..40),
        pieces in prop::collection::vec(1usize..5000, 1..20),
    ) {
        let stream: Vec<u8> = (0..4)
            .flat_map(|id| head(NEW, id, 0))
            .chain(frames.iter().flat_map(|(id, length)| frame(MESSAGE_INITIATOR, *id, &vec![0; *length])))
            .collect();
        let whole = until_held(&stream, &[stream.len()]);
        prop_assert_eq!(until_held(&stream, &[1]), whole);
        prop_assert_eq!(until_held(&stream, &pieces), whole);
    }
}

/// Events with their payload.
type Said = Vec<(Event, Vec<u8>)>;

/// What a listener that accepts nothing says of `stream`, with payload gathered, and how it ends.
fn run(stream: &[u8], pieces: &[usize]) -> (Said, Option<Error>, usize) {
    let mut session = listener();
    let (mut said, mut hand, mut rest) = (Vec::new(), Vec::new(), stream);
    let mut pieces = pieces.iter().cycle();
    while !rest.is_empty() {
        let n = rest.len().min(*pieces.next().unwrap());
        hand.extend_from_slice(&rest[..n]);
        rest = &rest[n..];
        if let Err(error) = feed_into(&mut session, &mut hand, &mut said) {
            return (said, Some(error), 0);
        }
    }
    (said, None, hand.len())
}

/// Like `feed`, but keeps what was said before an error, and gathers payload that only the pieces have split.
fn feed_into(session: &mut Session, hand: &mut Vec<u8>, said: &mut Said) -> Result<(), Error> {
    loop {
        let (used, event) = session.handle_input(NOW, hand)?;
        hand.drain(..used);
        let Some(event) = event else { return Ok(()) };
        let Event::Data { stream, len, .. } = event else {
            said.push((event, Vec::new()));
            continue;
        };
        let payload = hand.drain(..len);
        let gathered = Event::Data { stream, len: 0, last: false };
        match said.last_mut() {
            Some((event, all)) if *event == gathered => all.extend(payload),
            _ => said.push((gathered, payload.collect())),
        }
    }
}

/// How many bytes were used when the session was held, and how many are unread.
fn until_held(stream: &[u8], pieces: &[usize]) -> (usize, usize) {
    let limits = Limits { stream_unread_bytes: STREAM as u32, session_unread_bytes: SESSION, ..Limits::default() };
    let mut session = Session::new(Role::Listener, limits);
    let (mut hand, mut rest) = (Hand::default(), stream);
    let mut pieces = pieces.iter().cycle();
    while !rest.is_empty() && !session.is_held() {
        let n = rest.len().min(*pieces.next().unwrap());
        hand.add(&rest[..n]);
        rest = &rest[n..];
        loop {
            let (used, event) = session.handle_input(NOW, hand.rest()).unwrap();
            hand.take(used);
            match event {
                Some(Event::Data { len, .. }) => _ = hand.take(len),
                Some(_) => {}
                None => break,
            }
        }
    }
    (stream.len() - rest.len() - hand.rest().len(), session.unread())
}

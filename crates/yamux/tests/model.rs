//! Two ends that do random things, against a model; and bytes in any pieces.

mod common;

use std::collections::BTreeMap;

use common::*;
use proptest::prelude::*;
use sanswarm_wire::{Role, SendBuf};
use sanswarm_yamux::{Config, Error, Event, Limits, Session, StreamId, WriteError};

const PATTERN: usize = 251;

/// The byte at `at` of what a stream carries in one direction.
fn byte(wire: u32, at: usize) -> u8 {
    ((at + wire as usize * 31) % PATTERN) as u8
}

#[derive(Default)]
struct Half {
    written: usize,
    arrived: usize,
    unread: usize,
    finished: bool,
    ended: bool,
    gone: bool,
}

struct End {
    session: Session,
    send: SendBuf,
    inbox: Vec<u8>,
    /// By wire id: what this end has done.
    halves: BTreeMap<u32, (StreamId, Half)>,
}

impl End {
    fn new(role: Role) -> Self {
        let limits = Limits { unacknowledged: 3, streams: 20, ..Limits::default() };
        let session = Session::new(role, Config { limits, ..Config::default() });
        Self { session, send: SendBuf::new(32 * 1024), inbox: Vec::new(), halves: BTreeMap::new() }
    }

    fn pick(&self, which: usize) -> Option<u32> {
        let live: Vec<_> = self.halves.iter().filter(|(_, (_, half))| !half.gone).map(|(wire, _)| *wire).collect();
        live.get(which.checked_rem(live.len())?).copied()
    }

    fn open(&mut self) {
        if let Ok(id) = self.session.open() {
            let wire = self.session.wire_id(id).expect("it is open");
            self.halves.insert(wire, (id, Half::default()));
        }
    }

    fn write(&mut self, wire: u32, n: usize) -> usize {
        let Some((id, half)) = self.halves.get_mut(&wire) else { return 0 };
        let n = n.min(40_000);
        let payload: Vec<u8> = (half.written..half.written + n).map(|at| byte(wire, at)).collect();
        match self.session.write(NOW, *id, &payload, &mut self.send) {
            Ok(n) => {
                half.written += n;
                n
            }
            Err(WriteError::Unknown) => {
                half.gone = true;
                0
            }
            Err(_) => 0,
        }
    }

    fn finish(&mut self, wire: u32) {
        let Some((id, half)) = self.halves.get_mut(&wire) else { return };
        if self.session.finish(*id).is_ok() {
            half.finished = true;
        }
    }

    fn reset(&mut self, wire: u32) {
        let Some((id, half)) = self.halves.get_mut(&wire) else { return };
        let _ = self.session.reset(*id);
        half.gone = true;
    }

    fn read(&mut self, wire: u32, n: usize) {
        let Some((id, half)) = self.halves.get_mut(&wire) else { return };
        let n = n.min(half.unread);
        half.unread -= n;
        self.session.consumed(*id, n);
    }

    /// Takes in what arrived, and checks it.
    fn receive(&mut self) {
        loop {
            let (used, event) = self.session.handle_input(NOW, &self.inbox).expect("two honest ends");
            self.inbox.drain(..used);
            let Some(event) = event else { return };
            match event {
                Event::Opened { stream } => {
                    let wire = self.session.wire_id(stream).expect("it is open");
                    self.session.accept(stream);
                    assert!(self.halves.insert(wire, (stream, Half::default())).is_none(), "opened twice");
                }
                Event::Data { stream, len, last } => {
                    let payload: Vec<u8> = self.inbox.drain(..len).collect();
                    let (wire, half) = self.half(stream);
                    for (i, b) in payload.iter().enumerate() {
                        assert_eq!(*b, byte(wire, half.arrived + i), "lost or out of order");
                    }
                    half.arrived += payload.len();
                    half.unread += payload.len();
                    assert!(half.unread <= WINDOW as usize && !half.ended);
                    half.ended |= last;
                }
                Event::Finished { stream } => {
                    let (_, half) = self.half(stream);
                    assert!(!half.ended, "finished twice");
                    half.ended = true;
                }
                Event::Reset { stream } => self.half(stream).1.gone = true,
                Event::Pong { .. } | Event::GoAway { .. } => {}
            }
        }
    }

    fn half(&mut self, stream: StreamId) -> (u32, &mut Half) {
        let found = self.halves.iter_mut().find(|(_, (id, _))| *id == stream);
        let (wire, (_, half)) = found.expect("events are of streams that are known");
        (*wire, half)
    }

    fn transmit(&mut self) {
        self.session.poll_transmit(NOW, &mut self.send);
    }
}

/// Carries up to `n` bytes.
fn carry(from: &mut End, to: &mut End, n: usize) -> usize {
    let n = n.min(from.send.ready().len());
    to.inbox.extend_from_slice(&from.send.ready()[..n]);
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
        (4, _) => drop(me.session.ping(NOW)),
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
                me.read(wire, usize::MAX);
                me.finish(wire);
            }
            me.transmit();
            moved += carry(me, other, usize::MAX);
        }
        if moved == 0 {
            return;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_everything_ends(
        ops in prop::collection::vec((any::<bool>(), 0u8..13, 0usize..20, 0usize..40_000), 1..200),
    ) {
        let mut ends = [End::new(Role::Dialer), End::new(Role::Listener)];
        for op in ops {
            step(&mut ends, op);
        }
        settle(&mut ends);
        let [a, b] = &ends;
        prop_assert!(a.session.is_idle() && b.session.is_idle(), "{:?}\n{:?}", a.session, b.session);
        for (wire, (_, mine)) in &a.halves {
            let Some((_, theirs)) = b.halves.get(wire) else {
                prop_assert!(mine.gone, "a stream that the peer never saw was reset");
                continue;
            };
            if !mine.gone && !theirs.gone {
                prop_assert_eq!((mine.written, theirs.written), (theirs.arrived, mine.arrived));
                prop_assert!(mine.ended && theirs.ended);
            }
        }
    }

    /// All who have something to write get it through, whoever is told and in whatever pieces it is carried.
    #[test]
    fn writers_make_progress(
        totals in prop::collection::vec(1usize..400_000, 1..8),
        pieces in prop::collection::vec(1usize..100_000, 1..8),
    ) {
        let mut ends = [End::new(Role::Dialer), End::new(Role::Listener)];
        let mut left: BTreeMap<u32, usize> = BTreeMap::new();
        for total in &totals {
            ends[0].open();
            let wire = *ends[0].halves.keys().last().expect("just opened");
            left.insert(wire, total - ends[0].write(wire, *total));
        }
        let mut pieces = pieces.into_iter().cycle();
        for round in 0.. {
            prop_assert!(round < 20_000, "stuck: {left:?}");
            let [a, b] = &mut ends;
            for _ in 0..100 {
                let Some(id) = a.session.poll_writable() else { break };
                let wire = a.session.wire_id(id).expect("it waits, so it lives");
                let n = a.write(wire, left[&wire]);
                *left.get_mut(&wire).expect("known") -= n;
            }
            a.transmit();
            carry(a, b, pieces.next().expect("endless"));
            for wire in b.halves.keys().copied().collect::<Vec<_>>() { b.read(wire, usize::MAX) }
            b.transmit();
            carry(b, a, usize::MAX);
            if left.values().all(|n| *n == 0) && a.send.is_empty() { break }
        }
        for (total, (_, half)) in totals.iter().zip(ends[1].halves.values()) {
            prop_assert_eq!(*total, half.arrived);
        }
    }

    #[test]
    fn the_pieces_that_bytes_come_in_do_not_matter(
        frames in prop::collection::vec((0u8..4, 0u16..16, 0u32..6, 0u32..40), 1..60),
        pieces in prop::collection::vec(1usize..30, 1..20),
    ) {
        let stream: Vec<u8> = frames
            .iter()
            .flat_map(|f| if f.0 == DATA { data(f.1, f.2, &vec![f.3 as u8; f.3 as usize]) } else { head(*f) })
            .collect();
        let whole = run(&stream, &[stream.len()]);
        prop_assert_eq!(&run(&stream, &[1]), &whole);
        prop_assert_eq!(&run(&stream, &pieces), &whole);
    }
}

/// Events with their payload.
type Said = Vec<(Event, Vec<u8>)>;

/// What a listener that reads and accepts nothing says of `stream`, with payload gathered, and how it ends.
fn run(stream: &[u8], pieces: &[usize]) -> (Said, Option<Error>, usize) {
    let mut session = listener();
    let (mut said, mut hand, mut rest) = (Vec::new(), Vec::new(), stream);
    let mut pieces = pieces.iter().cycle();
    while !rest.is_empty() {
        let n = rest.len().min(*pieces.next().expect("endless"));
        hand.extend_from_slice(&rest[..n]);
        rest = &rest[n..];
        loop {
            if let Err(error) = feed_into(&mut session, &mut hand, &mut said) {
                return (said, Some(error), 0);
            }
            if !session.is_held() {
                break;
            }
            due(&mut session);
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
        let Event::Data { stream, len, last } = event else {
            said.push((event, Vec::new()));
            continue;
        };
        let payload = hand.drain(..len);
        let gathered = Event::Data { stream, len: 0, last: false };
        match said.last_mut() {
            Some((event, all)) if *event == gathered => all.extend(payload),
            _ => said.push((gathered, payload.collect())),
        }
        if last {
            said.push((Event::Data { stream, len: 0, last }, Vec::new()));
        }
    }
}

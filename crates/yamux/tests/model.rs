//! Two ends that do random things, against a model; and bytes in any pieces.

mod common;

use core::time::Duration;

use common::{
    pair::{End, Half, carry},
    *,
};
use proptest::prelude::*;
use sanswarm_wire::{Instant, Role};
use sanswarm_yamux::{Config, Error, Event, Limits, Session};

const WINDOW_MAX: u32 = WINDOW * 3;
const GROWTH: usize = WINDOW as usize * 3;
const SEND_BYTES: usize = 32 * 1024;

/// Limits that are reached soon.
fn config() -> Config {
    let limits = Limits {
        unacknowledged: 3,
        unaccepted: 4,
        streams: 20,
        window_bytes_max: WINDOW_MAX,
        session_window_bytes: GROWTH,
        control: 4,
        pongs: 2,
        ..Limits::default()
    };
    Config { limits, ..Config::default() }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Open,
    Offer(usize),
    Read(usize),
    Finish,
    Reset,
    Stop,
    Ping,
    Transmit,
    Deliver(usize),
    TakeTurns,
    Wait(u64),
    /// So many round trips with readers who keep up.
    Flow(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => Just(Op::Open),
        6 => (1usize..500_000).prop_map(Op::Offer),
        5 => (1usize..150_000).prop_map(Op::Read),
        1 => Just(Op::Finish),
        1 => Just(Op::Reset),
        1 => Just(Op::Stop),
        1 => Just(Op::Ping),
        4 => Just(Op::Transmit),
        8 => prop_oneof![1usize..40, 1usize..40_000, Just(usize::MAX)].prop_map(Op::Deliver),
        4 => Just(Op::TakeTurns),
        2 => (1u64..40).prop_map(Op::Wait),
        2 => (1usize..12).prop_map(Op::Flow),
    ]
}

/// One end does one thing; `which` picks the stream.
fn step(ends: &mut [End; 2], now: &mut Instant, side: bool, which: usize, op: Op) {
    let [a, b] = ends;
    let (me, other) = if side { (a, b) } else { (b, a) };
    let wires: Vec<u32> = me.halves.keys().copied().collect();
    let wire = which.checked_rem(wires.len()).map(|at| wires[at]);
    match (op, wire) {
        (Op::Open, _) => drop(me.open()),
        (Op::Ping, _) => drop(me.session.ping(*now)),
        (Op::Transmit, _) => drop(me.session.poll_transmit(*now, &mut me.send)),
        (Op::Deliver(n), _) => drop(carry(*now, me, other, n)),
        (Op::TakeTurns, _) => me.take_turns(*now),
        (Op::Wait(millis), _) => *now = *now + Duration::from_millis(millis),
        (Op::Flow(trips), _) => flow(me, other, now, trips),
        (Op::Offer(n), Some(wire)) => me.offer(*now, wire, n),
        (Op::Read(n), Some(wire)) => drop(me.read(wire, n)),
        (Op::Finish, Some(wire)) => me.finish(wire),
        (Op::Reset, Some(wire)) => me.reset(wire),
        (Op::Stop, Some(wire)) => me.stop(wire),
        (_, None) => {}
    }
}

fn flow(me: &mut End, other: &mut End, now: &mut Instant, trips: usize) {
    for _ in 0..trips {
        me.session.poll_transmit(*now, &mut me.send);
        for _ in 0..8 {
            me.take_turns(*now);
            carry(*now, me, other, usize::MAX);
            me.session.poll_transmit(*now, &mut me.send);
        }
        *now = *now + Duration::from_millis(5);
        for wire in other.halves.keys().copied().collect::<Vec<_>>() {
            other.read(wire, usize::MAX);
        }
        other.session.poll_transmit(*now, &mut other.send);
        carry(*now, other, me, usize::MAX);
    }
}

/// What holds at any time: windows and their growth are within the limits, nobody is ahead of the other, and memory is
/// bounded by what is live.
fn check(ends: &[End; 2]) {
    for (me, other) in [(&ends[0], &ends[1]), (&ends[1], &ends[0])] {
        let mut growth = 0;
        for (wire, (id, half)) in &me.halves {
            let Some(window) = me.session.recv_window(*id) else { continue };
            assert!((WINDOW..=WINDOW_MAX).contains(&window));
            growth += (window - WINDOW) as usize;
            let Some((_, theirs)) = other.halves.get(wire) else { continue };
            assert!(half.arrived <= theirs.written);
            if !half.stopped {
                assert!(theirs.written - half.read <= window as usize, "unread or under way, and over the window");
            }
        }
        assert!(growth <= GROWTH);
        let live = me.session.len();
        assert!(live <= 40);
        assert!(me.session.heap_bytes() <= 2048 + 160 * live.max(40), "{}", me.session.heap_bytes());
        assert!(me.send.ready().len() <= SEND_BYTES);
    }
}

/// Everybody reads all and finishes; only who is told writes on. It ends, or somebody waits for nothing.
fn settle(ends: &mut [End; 2], now: &mut Instant) {
    for round in 0.. {
        assert!(round < 20_000, "no end in sight");
        let mut moved = 0;
        for side in 0..2 {
            let [a, b] = &mut *ends;
            let (me, other) = if side == 0 { (a, b) } else { (b, a) };
            for wire in me.halves.keys().copied().collect::<Vec<_>>() {
                moved += me.read(wire, usize::MAX);
                me.finish(wire);
            }
            me.take_turns(*now);
            moved += me.session.poll_transmit(*now, &mut me.send);
            me.take_turns(*now);
            moved += carry(*now, me, other, usize::MAX);
        }
        *now = *now + Duration::from_millis(1);
        if moved == 0 {
            return;
        }
    }
}

/// Both ends know the same of a stream that nobody has reset.
fn compare(mine: &Half, theirs: &Half) {
    assert_eq!((mine.left, theirs.left), (0, 0), "somebody waits and is not told");
    for (from, to) in [(mine, theirs), (theirs, mine)] {
        assert!(from.finished && to.ended);
        if !to.stopped {
            assert_eq!((from.written, from.written), (to.arrived, to.read));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_everything_ends(
        ops in prop::collection::vec((any::<bool>(), 0usize..20, op()), 1..250),
    ) {
        let mut ends = [Role::Dialer, Role::Listener].map(|role| End::new(role, config(), SEND_BYTES));
        let mut now = Instant::ZERO;
        for (side, which, op) in ops {
            step(&mut ends, &mut now, side, which, op);
            check(&ends);
        }
        settle(&mut ends, &mut now);
        let [a, b] = &ends;
        prop_assert!(a.session.is_idle() && b.session.is_idle(), "{:?}\n{:?}", a.session, b.session);
        prop_assert!(a.session.heap_bytes() <= 2048 && b.session.heap_bytes() <= 2048, "{:?}", a.session);
        for (wire, (_, mine)) in &a.halves {
            match b.halves.get(wire) {
                Some((_, theirs)) if !mine.gone && !theirs.gone => compare(mine, theirs),
                Some(_) => {}
                None => prop_assert!(mine.gone, "a stream that the peer has not seen, or had no room for, was reset"),
            }
        }
        prop_assert!(b.halves.iter().all(|(wire, (_, half))| half.gone || a.halves.contains_key(wire)));
    }

    /// All who have something to write get it through, whoever is told and in whatever pieces it is carried.
    #[test]
    fn writers_make_progress(
        totals in prop::collection::vec(1usize..400_000, 1..8),
        pieces in prop::collection::vec(1usize..100_000, 1..8),
        reads in prop::collection::vec(1usize..200_000, 1..4),
    ) {
        let mut ends = [Role::Dialer, Role::Listener].map(|role| End::new(role, config(), SEND_BYTES));
        let [a, b] = &mut ends;
        let wires: Vec<u32> = totals.iter().map(|_| a.open().expect("few")).collect();
        for (wire, total) in wires.iter().zip(&totals) {
            a.offer(NOW, *wire, *total);
        }
        // Small pieces and small reads take as many rounds as they are smaller.
        let sum: usize = totals.iter().sum();
        let enough = 20_000 + 4 * sum / pieces.iter().min().expect("one") + 4 * sum / reads.iter().min().expect("one");
        let (mut pieces, mut reads) = (pieces.into_iter().cycle(), reads.into_iter().cycle());
        for round in 0.. {
            prop_assert!(round < enough, "stuck");
            a.take_turns(NOW);
            a.session.poll_transmit(NOW, &mut a.send);
            a.take_turns(NOW);
            carry(NOW, a, b, pieces.next().expect("endless"));
            for wire in b.halves.keys().copied().collect::<Vec<_>>() {
                b.read(wire, reads.next().expect("endless"));
            }
            b.session.poll_transmit(NOW, &mut b.send);
            carry(NOW, b, a, usize::MAX);
            let mut read = wires.iter().map(|wire| b.halves.get(wire).map_or(0, |(_, half)| half.read));
            if totals.iter().all(|total| read.next() == Some(*total)) {
                break;
            }
        }
    }
}

proptest! {
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

//! Finish, reset and stop at each point of a stream's life up to its agreement, by either end; and what time ends.

#![cfg(all(feature = "noise", feature = "yamux", feature = "mplex"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use core::{cell::Cell, time::Duration};

use common::{ByHand, DIALER, End, LISTENER, Pair, config_of, known, name, now, pattern, peer, secs};
use sanswarm_connection::{
    CloseReason, Connection, Error, Event, Goodbye, Hangup, Limits, Muxer, Open, ReadError, RefusalCause, Security,
    Stage, StreamId, WriteError,
};
use sanswarm_wire::{Instant, Role};

const ECHO: &str = "/echo/1.0.0";
const HEADER: &[u8] = b"\x13/multistream/1.0.0\n";
const MUXERS: [Muxer; 2] = [Muxer::Yamux, Muxer::Mplex];
const BOTH: [bool; 2] = [false, true];

/// How a stream comes to be, and how far it has come.
#[derive(Clone, Copy, Debug)]
struct Case {
    muxer: Muxer,
    how: Open,
    /// The first of its names is refused.
    is_refused_first: bool,
    /// It is opened by the end that did not dial.
    by_listener: bool,
    /// It is asked for before the connection is ready.
    early: bool,
    /// Steps from the opening: the opener speaks, its bytes arrive, the other end hears, speaks, its bytes arrive, the
    /// opener hears; and again.
    steps: usize,
}

/// Every one of them, some steps beyond the agreement.
fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for bits in 0u32..32 {
        let bit = |n: u32| bits >> n & 1 == 1;
        let (muxer, how) = (MUXERS[(bits & 1) as usize], if bit(1) { Open::Lazy } else { Open::Wait });
        let (is_refused_first, by_listener, early) = (bit(2), bit(3), bit(4));
        let round_trips = 1 + usize::from(is_refused_first) + 2 * usize::from(early);
        let of = |steps| Case { muxer, how, is_refused_first, by_listener, early, steps };
        all.extend((0..=6 * round_trips + 1).map(of));
    }
    all
}

/// A stream in the state of a case. `a` has opened it, whoever dialled; nobody does anything by itself.
struct World {
    pair: Pair,
    id: StreamId,
    /// What its opener has written.
    sent: Vec<u8>,
}

impl World {
    fn new(case: Case) -> Self {
        let limits = Limits::default();
        let mut pair =
            if case.early { Pair::over(case.muxer, &[], limits) } else { Pair::ready_over(case.muxer, &[], limits) };
        if case.by_listener {
            core::mem::swap(&mut pair.a, &mut pair.b);
        }
        pair.b.conn.set_names(known(&[ECHO]));
        (pair.a.echoes, pair.b.echoes) = (false, false);
        let list: &[&str] = if case.is_refused_first { &["/none", ECHO] } else { &[ECHO] };
        let id = pair.a.open(list, case.how);
        let mut world = Self { pair, id, sent: Vec::new() };
        world.write(b"early ");
        for step in 0..case.steps {
            world.step(step % 6);
        }
        world
    }

    fn write(&mut self, data: &[u8]) {
        let n = self.pair.a.write(self.id, data);
        self.sent.extend_from_slice(&data[..n]);
    }

    fn step(&mut self, which: usize) {
        let Pair { a, b, at, .. } = &mut self.pair;
        let carry = |from: &mut End, to: &mut End| {
            let n = to.recv.feed(from.send.ready());
            from.send.sent(n);
        };
        match which {
            0 => a.flush(*at),
            1 => carry(a, b),
            2 => drop(b.poll(*at)),
            3 => b.flush(*at),
            4 => carry(b, a),
            _ => drop(a.poll(*at)),
        }
    }

    /// The other end's name for it, as soon as that has one.
    fn theirs(&self) -> Option<StreamId> {
        let inbound = self.pair.b.inbound();
        assert!(inbound.len() <= 1, "one stream");
        inbound.first().copied()
    }

    /// What the opener was told of it so far, but for room.
    fn told(&self) -> Vec<Event> {
        let about = |event: &&Event| match event {
            Event::Refused { stream, .. } | Event::Opened { stream, .. } | Event::Readable { stream } => {
                *stream == self.id
            }
            Event::Finished { stream } | Event::Reset { stream } => *stream == self.id,
            _ => false,
        };
        self.pair.a.events.iter().filter(about).cloned().collect()
    }

    /// Nothing is left, both are well, and another stream comes through.
    fn assert_over(mut self) {
        assert_eq!((self.pair.a.conn.stats().streams, self.pair.b.conn.stats().streams), (0, 0));
        assert_eq!(self.pair.a.conn.read(self.id), Err(ReadError::Gone));
        assert_eq!(self.pair.a.conn.finish(self.id), Err(WriteError::Gone));
        self.pair.b.echoes = true;
        let next = self.pair.a.request(&[ECHO], Open::Lazy, b"next");
        self.pair.run();
        assert_eq!(self.pair.a.got[&next], b"next");
        assert_eq!((self.pair.a.error, self.pair.b.error), (None, None));
    }
}

/// Runs one after the other, and says which it was that failed.
fn each(test: impl Fn(Case)) {
    for case in cases() {
        let result = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| test(case)));
        assert!(result.is_ok(), "{case:?}");
    }
}

// ---- its opener

#[test]
fn finished_at_any_point_it_delivers_all_that_was_written_and_hears_the_answer() {
    each(|case| {
        let mut world = World::new(case);
        world.write(b"late");
        let id = world.id;
        world.pair.a.conn.finish(id).unwrap();
        assert_eq!(world.pair.a.conn.finish(id), Err(WriteError::Finished));
        world.pair.run();
        let theirs = world.theirs().unwrap();
        assert_eq!(world.pair.b.got[&theirs], world.sent);
        assert!(world.pair.b.ended.contains(&theirs) && world.pair.a.opened(id));
        world.pair.b.send_all(theirs, b"the answer");
        world.pair.run();
        assert_eq!(world.pair.a.got[&id], b"the answer");
        assert!(world.pair.a.ended.contains(&id));
        world.assert_over();
    });
}

#[test]
fn reset_at_any_point_it_is_over_for_both_and_nothing_more_is_told() {
    each(|case| {
        let mut world = World::new(case);
        let told = world.told();
        world.pair.a.conn.reset(world.id).unwrap();
        assert_eq!(world.pair.a.conn.reset(world.id), Err(WriteError::Gone));
        world.pair.run();
        assert_eq!(world.told(), told);
        if let Some(theirs) = world.theirs() {
            let b = &world.pair.b;
            assert!(b.saw(&Event::Reset { stream: theirs }) && !b.ended.contains(&theirs));
            assert!(world.sent.starts_with(b.got.get(&theirs).map_or(&[], |got| got)));
        }
        // An answer that is under way when its stream ends finds nobody.
        let mut after = World { id: world.id, sent: Vec::new(), pair: world.pair };
        after.pair.b.events.retain(|event| !matches!(event, Event::Opened { .. }));
        after.assert_over();
    });
}

#[test]
fn stopped_at_any_point_it_drops_what_comes_and_goes_on_writing() {
    each(|case| {
        let mut world = World::new(case);
        let id = world.id;
        world.pair.a.conn.stop(id).unwrap();
        world.pair.run();
        let theirs = world.theirs().unwrap();
        assert!(world.pair.a.opened(id));
        world.pair.b.send_all(theirs, &pattern(300_000));
        world.write(b"still writing");
        world.pair.a.conn.finish(id).unwrap();
        world.pair.run();
        assert_eq!(world.pair.b.got[&theirs], world.sent);
        assert!(world.sent.ends_with(b"still writing") && world.pair.b.ended.contains(&theirs));
        assert!(!world.pair.a.got.contains_key(&id));
        assert!(!world.told().iter().any(|e| matches!(e, Event::Readable { .. } | Event::Finished { .. })));
        world.assert_over();
    });
}

// ---- the end that agrees, from the moment at which it knows

/// The cases in which the other end has heard of the stream, whether it has answered or not.
fn each_known(test: impl Fn(World, StreamId)) {
    let known = Cell::new(0);
    each(|case| {
        let world = World::new(case);
        if let Some(theirs) = world.theirs() {
            known.set(known.get() + 1);
            test(world, theirs);
        }
    });
    assert!(known.get() > 100, "{} cases", known.get());
}

#[test]
fn finished_by_the_listener_it_is_agreed_upon_and_then_at_its_end() {
    each_known(|mut world, theirs| {
        world.pair.b.conn.finish(theirs).unwrap();
        world.pair.run();
        let id = world.id;
        assert!(world.pair.a.opened(id) && world.pair.a.ended.contains(&id));
        world.write(b"and still heard");
        world.pair.a.conn.finish(id).unwrap();
        world.pair.run();
        assert_eq!(world.pair.b.got[&theirs], world.sent);
        world.assert_over();
    });
}

#[test]
fn reset_by_the_listener_it_is_refused_or_reset_and_never_both() {
    each_known(|mut world, theirs| {
        world.pair.b.conn.reset(theirs).unwrap();
        world.pair.run();
        let (opened, refusal) = (world.pair.a.opened(world.id), world.pair.a.refusal(world.id));
        assert_eq!(world.pair.a.saw(&Event::Reset { stream: world.id }), opened);
        assert_eq!(refusal.is_some(), !opened);
        if let Some(refusal) = refusal {
            assert_eq!((&refusal.cause, refusal.data_sent), (&RefusalCause::Reset, !world.sent.is_empty()));
        }
        world.assert_over();
    });
}

#[test]
fn stopped_by_the_listener_it_takes_all_and_gives_the_answer() {
    each_known(|mut world, theirs| {
        world.pair.b.conn.stop(theirs).unwrap();
        world.pair.run();
        let id = world.id;
        world.pair.a.send_all(id, &pattern(300_000));
        world.pair.b.send_all(theirs, b"the answer");
        world.pair.run();
        assert_eq!(world.pair.a.got[&id], b"the answer");
        assert!(world.pair.b.got.get(&theirs).is_none_or(|got| got.is_empty()));
        world.assert_over();
    });
}

// ---- time

/// Just before a time, and at it.
fn around(end: &mut End, time: Duration, before: impl Fn(&End)) {
    let at = now() + time;
    let just_before = Instant::from_micros(at.as_micros() - 1);
    end.conn.handle_timeout(just_before);
    end.settle(just_before);
    before(end);
    end.conn.handle_timeout(at);
    end.settle(at);
}

#[test]
fn no_answer_in_10_seconds_is_a_refusal_whatever_was_sent() {
    for muxer in MUXERS {
        let cases: [(Open, &[u8], bool); 3] =
            [(Open::Wait, b"", false), (Open::Lazy, b"", true), (Open::Lazy, b"x", false)];
        for (how, data, by_listener) in cases {
            let mut pair = Pair::ready_over(muxer, &[], Limits::default());
            let end = if by_listener { &mut pair.b } else { &mut pair.a };
            let id = end.open(&[ECHO], how);
            end.write(id, data);
            around(end, secs(10), |end| assert_eq!(end.refusal(id), None));
            let refusal = end.refusal(id).unwrap();
            assert_eq!((&refusal.cause, refusal.data_sent), (&RefusalCause::Timeout(secs(10)), !data.is_empty()));
            assert_eq!((end.conn.stats().streams, end.error.as_ref()), (0, None), "the rest lives");
        }
    }
}

#[test]
fn a_stream_asked_for_early_has_the_time_of_the_upgrade_as_well() {
    let (mut a, mut b) = (End::dialer(Limits::default()), ByHand::listener(LISTENER));
    let id = a.open(&[ECHO], Open::Wait);
    // The peer agrees to everything and then says nothing.
    b.run_with(&mut a);
    assert!(a.is_ready());
    around(&mut a, secs(25), |a| assert_eq!(a.refusal(id), None));
    assert!(matches!(a.refusal(id).unwrap().cause, RefusalCause::Timeout(_)));
    assert_eq!(a.error, None);
}

/// A listener over mplex on a pipe that is secure already, with `count` streams that have sent their header and no more.
fn half_open(count: u8) -> End {
    let config = config_of(LISTENER, Security::defaults(), vec![Muxer::Mplex], Limits::default());
    let mut conn = Connection::secured(now(), Role::Listener, config, peer(DIALER));
    conn.set_names(known(&[ECHO]));
    let mut b = End::of(conn);
    b.recv.feed(b"\x13/multistream/1.0.0\n\x0d/mplex/6.7.0\n");
    for id in 0..count {
        b.recv.feed(&[&head(id, 0), &[0][..]].concat());
        say(&mut b, id, HEADER);
    }
    b.settle(now());
    b
}

/// The id and flag of an mplex frame.
fn head(id: u8, flag: u8) -> Vec<u8> {
    let head = u16::from(id) << 3 | u16::from(flag);
    if head < 128 { vec![head as u8] } else { vec![head as u8 | 128, (head >> 7) as u8] }
}

fn say(b: &mut End, id: u8, bytes: &[u8]) {
    b.recv.feed(&[&head(id, 2), &[bytes.len() as u8][..], bytes].concat());
    b.settle(now());
}

#[test]
fn an_inbound_stream_that_does_not_propose_is_reset_after_10_seconds() {
    let mut b = half_open(2);
    say(&mut b, 1, b"\x0c/echo/1.0.0\n");
    b.send.sent(usize::MAX / 2);
    around(&mut b, secs(10), |b| assert_eq!(b.conn.stats().streams, 2));
    assert_eq!((b.conn.stats().streams, b.error.as_ref()), (1, None), "the other lives");
    assert_eq!(b.send.ready(), [&head(0, 5), &[0][..]].concat(), "a reset");
}

#[test]
fn over_mplex_too_128_inbound_streams_negotiate_at_once() {
    let mut b = half_open(129);
    say(&mut b, 128, b"\x0c/echo/1.0.0\n");
    assert_eq!(b.inbound().len(), 0);
    say(&mut b, 7, b"\x0c/echo/1.0.0\n");
    assert_eq!(b.inbound().len(), 2, "one, and in its place the last");
    assert_eq!((b.conn.stats().streams, b.error), (129, None));
}

#[test]
fn silence_for_15_seconds_is_an_error_that_names_the_stage() {
    for role in [Role::Dialer, Role::Listener] {
        for (is_secured, stage, offered) in [(true, Stage::Muxer, "/yamux/1.0.0"), (false, Stage::Security, "/noise")] {
            for heard in [&b""[..], &HEADER[..7], HEADER] {
                let config = config_of(DIALER, Security::defaults(), Muxer::defaults(), Limits::default());
                let mut end = End::of(if is_secured {
                    Connection::secured(now(), role, config, peer(LISTENER))
                } else {
                    Connection::new(now(), role, config, None, [1; 32])
                });
                end.recv.feed(heard);
                end.settle(now());
                around(&mut end, secs(15), |end| assert_eq!(end.error, None));
                let offered = vec![name(offered)];
                assert_eq!(end.error, Some(Error::Timeout { stage, after: secs(15), offered }));
            }
        }
    }
}

#[test]
fn silence_within_the_handshake_is_the_same() {
    let mut b = End::listener(&[], Limits::default());
    b.recv.feed(&[HEADER, b"\x07/noise\n\x00"].concat());
    b.settle(now());
    around(&mut b, secs(15), |b| assert_eq!(b.error, None));
    assert_eq!(b.error, Some(Error::Timeout { stage: Stage::Handshake, after: secs(15), offered: vec![] }));
}

// ---- a close

/// Lets so many bytes of the closing end's pass each 50 ms until it is overdue or has nothing left.
fn drain(pair: &mut Pair, piece: usize) -> Duration {
    let start = pair.at;
    while pair.a.hangup() == Hangup::No {
        pair.pass(Duration::from_millis(50));
        pair.a.settle(pair.at);
        let n = pair.b.recv.feed(&pair.a.send.ready()[..piece.min(pair.a.send.ready().len())]);
        pair.a.send.sent(n);
        pair.b.settle(pair.at);
    }
    pair.at.since(start)
}

/// A pair of which `a`, whoever dialled, has written on a stream and closed.
fn closing(muxer: Muxer, by_listener: bool, how: Open, data: &[u8]) -> Pair {
    let mut pair = Pair::ready_over(muxer, &[], Limits::default());
    if by_listener {
        core::mem::swap(&mut pair.a, &mut pair.b);
    }
    pair.b.conn.set_names(known(&[ECHO]));
    (pair.a.echoes, pair.b.echoes) = (false, false);
    let id = pair.a.open(&[ECHO], how);
    if how == Open::Wait {
        pair.run();
    }
    assert_eq!(pair.a.write(id, data), data.len());
    pair.a.conn.finish(id).unwrap();
    pair.a.conn.close(pair.at);
    pair
}

#[test]
fn a_close_delivers_what_was_written_within_its_time() {
    for muxer in MUXERS {
        for by_listener in BOTH {
            for how in [Open::Wait, Open::Lazy] {
                let mut pair = closing(muxer, by_listener, how, &pattern(60_000));
                let took = drain(&mut pair, 4000);
                assert!(Duration::from_millis(700) < took && took < secs(1), "{took:?}");
                assert_eq!(pair.a.hangup(), Hangup::Write, "it waits for the other end's end");
                pair.b.recv.set_eof();
                pair.b.settle(pair.at);
                let inbound = pair.b.inbound()[0];
                assert_eq!(pair.b.got[&inbound], pattern(60_000));
                assert!(pair.b.ended.contains(&inbound));
                assert_eq!(pair.a.events.last(), Some(&Event::Closed { reason: CloseReason::Local }));
                // It has a stream of the closer's open, whose end says so: over yamux it had the goodbye before.
                let end = (pair.b.error.as_ref().map(Error::code), pair.b.conn.stats().streams);
                assert_eq!(end, (Some("eof"), 1), "{muxer}");
            }
        }
    }
}

#[test]
fn a_close_waits_no_longer_for_a_slow_reader() {
    for muxer in MUXERS {
        let mut pair = closing(muxer, false, Open::Lazy, &pattern(110_000));
        assert_eq!(drain(&mut pair, 4000), secs(1));
        assert_eq!(pair.a.hangup(), Hangup::Both);
        pair.b.recv.set_eof();
        pair.b.settle(pair.at);
        let inbound = pair.b.inbound()[0];
        let got = &pair.b.got[&inbound];
        assert!(got.len() > 60_000 && pattern(110_000).starts_with(got) && !pair.b.ended.contains(&inbound));
        assert!(matches!(pair.b.error, Some(Error::Eof { stage: Stage::Streams, streams: 1, .. })));
        assert_eq!(pair.b.conn.read(inbound), Err(ReadError::Closed), "never a clean end");
    }
}

#[test]
fn a_close_with_no_stream_open_is_told_by_each_muxer_as_it_can() {
    for (muxer, goodbye) in [(Muxer::Yamux, Goodbye::GoAway), (Muxer::Mplex, Goodbye::Eof)] {
        let mut pair = Pair::ready_over(muxer, &[ECHO], Limits::default());
        pair.a.request(&[ECHO], Open::Lazy, b"over");
        pair.run();
        pair.a.conn.close(pair.at);
        pair.run();
        assert_eq!(pair.b.events.last(), Some(&Event::Closed { reason: CloseReason::Remote(goodbye) }));
        assert_eq!((pair.a.hangup(), pair.b.hangup()), (Hangup::Both, Hangup::Both));
    }
}

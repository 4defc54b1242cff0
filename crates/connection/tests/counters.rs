//! What is counted of streams, in numbers.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use core::num::NonZeroU8;

use common::{Pair, now, pattern};
use sanswarm_connection::{Connection, Counters, Event, LabelCounters, Limits, Open, RoundTrips, StreamCounters};

const ECHO: &str = "/echo/1.0.0";
const ONE: NonZeroU8 = NonZeroU8::new(1).unwrap();
const THREE: NonZeroU8 = NonZeroU8::new(3).unwrap();

fn taken(conn: &mut Connection) -> Counters {
    let counters = conn.counters().cloned();
    let taken = conn.take_counters().map(|counters| *counters);
    assert_eq!((&taken, conn.counters()), (&counters, None), "what is taken is gone");
    taken.unwrap_or_default()
}

fn streams(change: impl FnOnce(&mut StreamCounters)) -> StreamCounters {
    let mut streams = StreamCounters::default();
    change(&mut streams);
    streams
}

/// Round trips of streams that took so many each.
fn took<const N: usize>(each: [u32; N]) -> RoundTrips {
    let mut all = RoundTrips::default();
    each.into_iter().for_each(|n| all.note(n));
    all
}

#[test]
fn streams_by_their_beginning() {
    let mut pair = Pair::ready(&[ECHO]);
    pair.b.echoes = false;
    assert_eq!((pair.a.conn.counters(), pair.b.conn.counters()), (None, None), "no stream yet");
    for names in [&[ECHO][..], &["/x", "/y", ECHO], &["/x"]] {
        pair.a.open(names, Open::Wait);
    }
    pair.a.open(&[ECHO], Open::Lazy);
    pair.run();
    let ours = taken(&mut pair.a.conn);
    let theirs = taken(&mut pair.b.conn);
    let round_trips = took([1, 3, 0]);
    assert_eq!((round_trips.count(), round_trips.sum, round_trips.counts), (3, 4, [1, 1, 0, 1, 0, 0, 0, 0]));
    assert_eq!(ours.streams, streams(|s| (s.opened, s.refused, s.round_trips) = (3, 1, round_trips)));
    assert_eq!(theirs.streams, streams(|s| (s.accepted, s.turned_away) = (3, 1)));
    assert_eq!((ours.streams.open(), theirs.streams.open()), (3, 3));
    assert!(ours.labels.is_empty() && theirs.labels.is_empty(), "none was given");
}

#[test]
fn streams_by_their_end() {
    let mut pair = Pair::ready(&[ECHO]);
    let ids: Vec<_> = (0..5).map(|_| pair.a.open(&[ECHO], Open::Wait)).collect();
    pair.run();
    let inbound = pair.b.inbound();
    pair.a.send_all(ids[0], b"x");
    pair.a.conn.reset(ids[1]).unwrap();
    pair.b.conn.reset(inbound[2]).unwrap();
    pair.run();
    let counters = taken(&mut pair.a.conn);
    let round_trips = took([1; 5]);
    let expected = |s: &mut StreamCounters| {
        (s.opened, s.finished, s.reset, s.reset_by_peer, s.round_trips) = (5, 1, 1, 1, round_trips);
    };
    assert_eq!((counters.streams, counters.streams.open()), (streams(expected), 2));
    assert_eq!(
        pair.b.conn.counters().unwrap().streams,
        streams(|s| {
            (s.accepted, s.finished, s.reset, s.reset_by_peer) = (5, 1, 1, 1);
        })
    );
    // The end of the connection ends the two that are left, and clearing up afterwards counts nothing.
    pair.a.conn.close(now());
    assert_eq!(taken(&mut pair.a.conn).streams, streams(|s| s.cut = 2));
    pair.a.conn.close(now());
    pair.run();
    for id in ids {
        let _ = (pair.a.conn.finish(id), pair.a.conn.read(id), pair.a.conn.reset(id));
    }
    assert_eq!(pair.a.conn.counters(), None);
    let mut all = counters.streams;
    all.add(&streams(|s| s.cut = 2));
    assert_eq!(all.open(), 0);
}

#[test]
fn payload_by_label_whatever_the_pieces() {
    for chunk in [1, 7, usize::MAX] {
        let mut pair = Pair::ready_with(&[ECHO, "/other"], Limits::default());
        pair.chunk = chunk;
        let data = pattern(3000);
        let lazy = pair.a.open(&[ECHO], Open::Lazy);
        pair.a.conn.set_label(lazy, THREE);
        pair.a.send_all(lazy, &data);
        let other = pair.a.request(&["/other"], Open::Lazy, b"not labelled");
        while pair.b.inbound().len() < 2 {
            // What has arrived behind the proposal is counted when the label is given, which is before anything is read.
            pair.b.reads = false;
            assert!(pair.round());
            for event in &pair.b.events {
                if let Event::Opened { stream, protocol, .. } = event
                    && protocol.as_str() == ECHO
                {
                    pair.b.conn.set_label(*stream, ONE);
                    pair.b.conn.set_label(*stream, THREE);
                    assert_eq!(pair.b.conn.label(*stream), Some(ONE), "the first one stays");
                }
            }
        }
        pair.b.reads = true;
        for stream in pair.b.inbound() {
            pair.b.take_in(now(), stream);
        }
        pair.run();
        assert_eq!((&pair.a.got[&lazy], &pair.a.got[&other][..]), (&data, &b"not labelled"[..]));
        let bytes = LabelCounters { bytes_in: 3000, bytes_out: 3000, ..LabelCounters::default() };
        let ours = taken(&mut pair.a.conn);
        let none = LabelCounters::default();
        assert_eq!(ours.labels, [none, none, LabelCounters { opened: 1, ..bytes }]);
        assert_eq!((ours.streams.opened, ours.streams.finished, ours.streams.round_trips), (2, 2, took([0, 0])));
        assert_eq!(taken(&mut pair.b.conn).labels, [LabelCounters { accepted: 1, ..bytes }]);
    }
}

#[test]
fn many_round_trips_share_the_last_place() {
    let all = took([7, 8, 300]);
    assert_eq!((all.counts, all.sum), ([0, 0, 0, 0, 0, 0, 0, 3], 315));
    let mut twice = all;
    twice.add(&all);
    assert_eq!((twice.count(), twice.sum), (6, 630));
}

//! Readers who stop: what they cost, and that nothing of theirs is lost. Alone in its program, because it counts the
//! memory of the whole process.

#![cfg(all(feature = "noise", feature = "yamux"))]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{alloc::System, collections::BTreeMap};

use common::{End, Pair, pattern};
use sanswarm_connection::{Event, Limits, Open, StreamId};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const STREAMS: usize = 64;

/// What each writer would like to write: 1 GiB in all.
const OFFERED: usize = 16 * 1024 * 1024;

/// What each writer has written in the end.
const DELIVERED: usize = 1024 * 1024;

const WINDOW: usize = 256 * 1024;

fn heap() -> usize {
    let stats = HEAP.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// The writers: how far each has come.
struct Writers {
    data: Vec<u8>,
    written: BTreeMap<StreamId, usize>,
    looked: usize,
}

impl Writers {
    /// Every writer that can writes as much as it can, up to `target`.
    fn serve(&mut self, end: &mut End, target: usize) {
        let told: Vec<_> = end.events[self.looked..].to_vec();
        self.looked = end.events.len();
        for event in told {
            if let Event::Opened { stream, .. } | Event::Writable { stream } = event {
                self.write(end, stream, target);
            }
        }
    }

    fn write(&mut self, end: &mut End, stream: StreamId, target: usize) {
        let Some(written) = self.written.get_mut(&stream) else { return };
        *written += end.write(stream, &self.data[*written..target]);
        if *written == DELIVERED && target == DELIVERED {
            end.conn.finish(stream).unwrap();
        }
    }
}

/// Carries all that goes, with writers who write up to `target`.
fn run(pair: &mut Pair, writers: &mut Writers, target: usize) {
    loop {
        let moved = pair.round();
        writers.serve(&mut pair.a, target);
        if !moved {
            return;
        }
    }
}

#[test]
fn sixty_four_stalled_readers_cost_their_windows_and_lose_nothing() {
    let mut pair = Pair::ready_with(&["/sink", "/echo"], Limits::default());
    (pair.b.echoes, pair.b.reads) = (false, false);
    let mut writers = Writers { data: pattern(OFFERED), written: BTreeMap::new(), looked: pair.a.events.len() };
    let before = heap();
    for _ in 0..STREAMS {
        writers.written.insert(pair.a.open(&["/sink"], Open::Lazy), 0);
    }
    run(&mut pair, &mut writers, OFFERED);

    (pair.forth.tap, pair.back.tap) = Default::default(); // the test's own record of what has passed
    let held = heap() - before;
    let written: usize = writers.written.values().sum();
    let buffers = 512 * 1024; // of both ends, and what the streams themselves take
    // Each window less what the negotiation took of it.
    assert!((STREAMS * (WINDOW - 64)..=STREAMS * WINDOW).contains(&written), "{written} bytes were taken");
    assert!(held <= STREAMS * (2 * WINDOW + 4096) + buffers, "{held} bytes are held for {written}");
    println!("{held} bytes are held for {written} unread ones");
    assert_eq!((&pair.a.error, &pair.b.error), (&None, &None));

    // The connection lives: others come through.
    (pair.b.echoes, pair.b.reads) = (true, true);
    let other = pair.a.request(&["/echo"], Open::Lazy, b"is anybody there");
    run(&mut pair, &mut writers, OFFERED);
    assert_eq!(pair.a.got[&other], b"is anybody there");

    // They read again: every byte is there.
    pair.b.echoes = false;
    let stalled = pair.b.inbound();
    for id in &stalled {
        pair.b.take_in(pair.at, *id);
    }
    for id in writers.written.keys().copied().collect::<Vec<_>>() {
        writers.write(&mut pair.a, id, DELIVERED);
    }
    run(&mut pair, &mut writers, DELIVERED);
    assert!(writers.written.values().all(|written| *written == DELIVERED));
    let whole = pattern(DELIVERED);
    let delivered = stalled.iter().filter(|id| pair.b.got.get(id).is_some_and(|got| *got == whole)).count();
    assert_eq!(delivered, STREAMS);
    assert_eq!((&pair.a.error, &pair.b.error), (&None, &None));
}

//! What a session holds. Alone in its program, because it counts the memory of the whole process.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::alloc::System;

use common::*;
use sanswarm_mplex::{Event, Limits, Session, StreamId};
use sanswarm_wire::{Role, SendBuf};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn heap() -> usize {
    let stats = HEAP.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// Carries what is due and was written one way, to a reader who reads at once.
fn carry(from: &mut Session, to: &mut Session, pipe: &mut SendBuf, mut opened: impl FnMut(StreamId)) {
    while from.poll_transmit(NOW, pipe) > 0 || !pipe.is_empty() {
        let mut input = pipe.ready();
        let total = input.len();
        while let (used, Some(event)) = to.handle_input(NOW, input).unwrap() {
            input = &input[used..];
            match event {
                Event::Opened { stream } => {
                    to.accept(stream);
                    opened(stream);
                }
                Event::Data { stream, len, .. } => {
                    input = &input[len..];
                    to.consumed(stream, len);
                }
                Event::Finished { .. } | Event::Reset { .. } => {}
            }
        }
        pipe.sent(total);
    }
    pipe.release();
}

/// One test, since what runs beside it would be counted too.
#[test]
fn a_session_holds_little() {
    // The thread that runs the tests makes what it needs to wait for this one.
    std::thread::sleep(core::time::Duration::from_millis(200));
    for count in [1, 100, 1000, 10_000] {
        idle_streams(count);
    }
    frames_for_nobody();
}

/// An idle stream costs at most 128 bytes a side, and nothing when it has gone.
fn idle_streams(count: usize) {
    let limits = Limits { streams: count, unaccepted: count, ..Limits::default() };
    let (mut ours, mut theirs) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let before = heap();
    let mut dialer = Session::new(Role::Dialer, limits.clone());
    let mut listener = Session::new(Role::Listener, limits);
    let mut pipe = SendBuf::default();
    ours.extend((0..count).map(|_| dialer.open().unwrap()));
    carry(&mut dialer, &mut listener, &mut pipe, |id| theirs.push(id));
    for (ours, theirs) in ours.iter().zip(&theirs) {
        dialer.write(NOW, *ours, b"question", &mut pipe).unwrap();
        carry(&mut dialer, &mut listener, &mut pipe, |_| panic!());
        listener.write(NOW, *theirs, b"answer", &mut pipe).unwrap();
        carry(&mut listener, &mut dialer, &mut pipe, |_| panic!());
    }
    let held = heap() - before;
    println!("{count} idle streams: {} bytes each, both ends", held / count);
    assert!(held <= 1024 + 2 * 128 * count, "{held} bytes for {count} streams");
    for (at, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        if at % 2 == 0 {
            dialer.finish(*ours).unwrap();
            listener.finish(*theirs).unwrap();
        } else {
            dialer.reset(*ours).unwrap();
        }
    }
    carry(&mut dialer, &mut listener, &mut pipe, |_| panic!());
    carry(&mut listener, &mut dialer, &mut pipe, |_| panic!());
    assert!(dialer.is_idle() && listener.is_idle());
    let held = heap() - before;
    assert!(held <= 2048, "{held} bytes for nothing");
}

/// Frames that concern nobody are dropped without a byte of memory, whatever they are.
fn frames_for_nobody() {
    let mut session = listener();
    let stream = opened(&mut session, 1);
    session.stop(stream).unwrap();
    let mut input = Vec::new();
    for n in 0..1000 {
        input.extend(frame(MESSAGE_INITIATOR, n, &[7; 100]));
        input.extend(head(MESSAGE_INITIATOR, 1, 0));
        input.extend(frame(CLOSE_RECEIVER, n, b"why"));
        input.extend(frame(RESET_INITIATOR, n + 2, b"why"));
    }
    let before = HEAP.stats().allocations;
    assert_eq!(session.handle_input(NOW, &input), Ok((input.len(), None)));
    assert_eq!(HEAP.stats().allocations, before);
}

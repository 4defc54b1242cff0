//! The contract of streams, `docs/streams.md`, line by line, over each muxer and over whole connections.

#![cfg(all(feature = "noise", feature = "yamux", feature = "mplex"))]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;
mod ends;

use common::{Pair, pattern};
use ends::{
    Answer, Ends, Seen, Side,
    sessions::{over_mplex, over_yamux},
    whole::Whole,
};
use sanswarm_connection::{Limits, Muxer, Open};

use Side::{A, B};

/// Everything that has streams.
fn all() -> Vec<(&'static str, Box<dyn Ends>)> {
    let pair = |muxer| Pair::ready_over(muxer, &["/contract/1.0.0"], Limits::default());
    vec![
        ("yamux", Box::new(over_yamux())),
        ("mplex", Box::new(over_mplex())),
        ("connection, yamux", Box::new(Whole::new(pair(Muxer::Yamux), Open::Wait, true))),
        ("connection, yamux, lazy", Box::new(Whole::new(pair(Muxer::Yamux), Open::Lazy, true))),
        ("connection, mplex", Box::new(Whole::new(pair(Muxer::Mplex), Open::Wait, false))),
        ("connection, mplex, lazy", Box::new(Whole::new(pair(Muxer::Mplex), Open::Lazy, false))),
    ]
}

/// Everything, with one stream that both sides know.
fn with_stream() -> Vec<(&'static str, Box<dyn Ends>)> {
    let mut all = all();
    for (what, ends) in &mut all {
        ends.open();
        ends.settle();
        assert_eq!(ends.seen(B, 0), Seen { opened: 1, ..Seen::default() }, "{what}");
        assert_eq!((ends.live(A), ends.live(B)), (1, 1), "{what}");
    }
    all
}

/// Nothing is left, on neither side.
fn assert_forgotten(what: &str, ends: &dyn Ends) {
    assert_eq!((ends.live(A), ends.live(B)), (0, 0), "{what}");
}

#[test]
fn line_1_a_stream_is_heard_of_once_and_in_order() {
    for (what, mut ends) in all() {
        for _ in 0..5 {
            ends.open();
        }
        ends.settle();
        ends.settle();
        for stream in 0..5 {
            assert_eq!(ends.seen(B, stream), Seen { opened: 1, ..Seen::default() }, "{what}");
            ends.write_all(A, stream, &[stream as u8]);
        }
        ends.settle();
        for stream in 0..5 {
            assert_eq!(ends.seen(B, stream).data, [stream as u8], "{what}");
        }
    }
}

#[test]
fn line_2_bytes_arrive_once_whole_and_in_order() {
    for (what, mut ends) in with_stream() {
        let data = pattern(700_000);
        for (at, n) in [(0, 1), (1, 12), (13, 16_384), (16_397, 1), (16_398, data.len() - 16_398)] {
            ends.write_all(A, 0, &data[at..at + n]);
            ends.write_all(B, 0, &data[at..at + n]);
        }
        ends.settle();
        assert!(ends.seen(A, 0).data == data && ends.seen(B, 0).data == data, "{what}");
    }
}

#[test]
fn line_3_finish_delivers_everything_and_leaves_the_other_half() {
    for (what, mut ends) in with_stream() {
        ends.write_all(A, 0, b"the question");
        assert_eq!(ends.finish(A, 0), Answer::Done, "{what}");
        ends.settle();
        assert_eq!((ends.seen(B, 0).data.as_slice(), ends.seen(B, 0).finished), (&b"the question"[..], 1), "{what}");
        let answer = pattern(600_000);
        ends.write_all(B, 0, &answer);
        ends.settle();
        assert!(ends.seen(A, 0).data == answer, "{what}");
        assert_eq!(ends.seen(A, 0).finished, 0, "{what}");
        assert_eq!((ends.live(A), ends.live(B)), (1, 1), "{what}");
    }
}

#[test]
fn line_4_both_finished_is_the_end_and_no_reset() {
    for (what, mut ends) in with_stream() {
        ends.write_all(A, 0, b"one");
        ends.finish(A, 0);
        ends.settle();
        ends.write_all(B, 0, b"two");
        ends.finish(B, 0);
        ends.settle();
        let (a, b) = (ends.seen(A, 0), ends.seen(B, 0));
        assert_eq!((a.data.as_slice(), a.finished, a.reset), (&b"two"[..], 1, 0), "{what}");
        assert_eq!((b.data.as_slice(), b.finished, b.reset), (&b"one"[..], 1, 0), "{what}");
        assert_forgotten(what, &*ends);
        assert_eq!(ends.write(A, 0, b"x"), Err(Answer::Gone), "{what}");
        assert_eq!((ends.finish(B, 0), ends.reset(B, 0), ends.stop(A, 0)), (Answer::Gone, Answer::Gone, Answer::Gone));
    }
}

#[test]
fn line_5_both_may_finish_at_once() {
    for (what, mut ends) in with_stream() {
        ends.write_all(A, 0, b"one");
        ends.write_all(B, 0, b"two");
        ends.finish(A, 0);
        ends.finish(B, 0);
        ends.settle();
        assert_eq!((ends.seen(A, 0).finished, ends.seen(B, 0).finished), (1, 1), "{what}");
        assert_eq!((ends.seen(A, 0).reset, ends.seen(B, 0).reset), (0, 0), "{what}");
        assert_forgotten(what, &*ends);
    }
}

#[test]
fn line_6_nothing_is_written_behind_the_finish() {
    for (what, mut ends) in with_stream() {
        ends.finish(A, 0);
        assert_eq!(ends.write(A, 0, b"late"), Err(Answer::Finished), "{what}");
        assert_eq!(ends.finish(A, 0), ends.finish_again(), "{what}");
        ends.settle();
        assert_eq!(ends.write(A, 0, b"late"), Err(Answer::Finished), "{what}");
        ends.settle();
        assert_eq!((ends.seen(B, 0).data.len(), ends.seen(B, 0).finished), (0, 1), "{what}");
    }
}

#[test]
fn line_7_a_reset_is_told_once_and_makes_keys_stale() {
    for by in [A, B] {
        for (what, mut ends) in with_stream() {
            ends.write_all(by, 0, b"before");
            assert_eq!(ends.reset(by, 0), Answer::Done, "{what}");
            assert_eq!(ends.write(by, 0, b"x"), Err(Answer::Gone), "{what}");
            assert_eq!(
                (ends.finish(by, 0), ends.stop(by, 0), ends.reset(by, 0)),
                (Answer::Gone, Answer::Gone, Answer::Gone)
            );
            ends.settle();
            let (ours, theirs) = (ends.seen(by, 0), ends.seen(by.other(), 0));
            assert_eq!((ours.reset, theirs.reset, theirs.finished), (0, 1, 0), "{what}");
            assert_eq!(ends.write(by.other(), 0, b"x"), Err(Answer::Gone), "{what}");
            assert_forgotten(what, &*ends);
        }
    }
}

#[test]
fn line_8_what_was_reset_at_once_is_never_heard_of() {
    for (what, mut ends) in all() {
        ends.open();
        assert_eq!(ends.reset(A, 0), Answer::Done, "{what}");
        ends.settle();
        assert_eq!(ends.seen(B, 0), Seen::default(), "{what}");
        assert_forgotten(what, &*ends);
    }
}

#[test]
fn line_9_a_reset_behind_a_finish() {
    for (what, mut ends) in with_stream() {
        ends.write_all(A, 0, b"all");
        ends.finish(A, 0);
        ends.settle();
        assert_eq!(ends.reset(A, 0), Answer::Done, "{what}");
        ends.settle();
        let seen = ends.seen(B, 0);
        assert_eq!((seen.data.as_slice(), seen.finished, seen.reset), (&b"all"[..], 1, 1), "{what}: its half was open");
        assert_forgotten(what, &*ends);
    }
    for (what, mut ends) in with_stream() {
        ends.finish(B, 0);
        ends.settle();
        ends.finish(A, 0);
        ends.settle();
        assert_eq!(ends.reset(A, 0), Answer::Gone, "{what}");
        ends.settle();
        assert_eq!((ends.seen(A, 0).reset, ends.seen(B, 0).reset), (0, 0), "{what}: it was over");
    }
}

#[test]
fn line_10_both_may_reset_at_once() {
    for (what, mut ends) in with_stream() {
        ends.reset(A, 0);
        ends.reset(B, 0);
        ends.settle();
        assert_eq!((ends.seen(A, 0).reset, ends.seen(B, 0).reset), (0, 0), "{what}");
        assert_forgotten(what, &*ends);
    }
}

#[test]
fn line_11_stop_drops_what_comes_and_harms_nobody() {
    for (what, mut ends) in with_stream() {
        ends.write_all(A, 0, b"read");
        ends.settle();
        assert_eq!(ends.stop(B, 0), Answer::Done, "{what}");
        ends.write_all(A, 0, &pattern(3_000_000));
        ends.write_all(B, 0, b"still writing");
        ends.finish(A, 0);
        ends.settle();
        assert_eq!(ends.seen(B, 0).data, b"read", "{what}");
        assert_eq!(ends.seen(A, 0).data, b"still writing", "{what}");
        assert_eq!((ends.seen(A, 0).reset, ends.seen(B, 0).reset), (0, 0), "{what}");
        ends.finish(B, 0);
        ends.settle();
        assert_eq!(ends.seen(A, 0).finished, 1, "{what}");
        assert_forgotten(what, &*ends);
    }
}

#[test]
fn line_12_a_reader_that_stops_stops_its_own_stream() {
    for (what, mut ends) in with_stream().into_iter().filter(|(_, ends)| ends.has_windows()) {
        ends.open();
        ends.settle();
        ends.pause(B, 0, true);
        let data = pattern(1_000_000);
        let mut written = 0;
        for _ in 0..100 {
            written += ends.write(A, 0, &data[written..]).unwrap();
            ends.settle();
        }
        assert!(written < 600_000, "{what}: {written} bytes for a reader who does not read");
        ends.write_all(A, 1, &data);
        ends.settle();
        assert!(ends.seen(B, 1).data == data, "{what}: the other stream goes on");
        ends.pause(B, 0, false);
        ends.settle();
        ends.write_all(A, 0, &data[written..]);
        ends.settle();
        assert!(ends.seen(B, 0).data == data, "{what}: and the first resumes");
    }
}

#[test]
fn line_13_a_reset_is_not_seen_by_others() {
    for (what, mut ends) in with_stream() {
        ends.open();
        ends.open();
        ends.settle();
        ends.write_all(A, 0, b"first");
        ends.write_all(A, 2, b"third");
        ends.reset(A, 1);
        ends.settle();
        for (stream, text) in [(0, &b"first"[..]), (2, b"third")] {
            let seen = ends.seen(B, stream);
            assert_eq!((seen.data.as_slice(), seen.reset, seen.finished), (text, 0, 0), "{what}");
        }
        assert_eq!((ends.live(A), ends.live(B)), (2, 2), "{what}");
    }
}

#[test]
fn what_was_read_is_read() {
    for (what, mut ends) in with_stream() {
        ends.write_all(A, 0, b"read, ");
        ends.settle();
        ends.pause(B, 0, true);
        ends.write_all(A, 0, b"unread");
        ends.settle();
        ends.reset(A, 0);
        ends.settle();
        ends.pause(B, 0, false);
        ends.settle();
        assert_eq!((ends.seen(B, 0).data.as_slice(), ends.seen(B, 0).reset), (&b"read, "[..], 1), "{what}");
    }
}

#[test]
fn what_is_finished_before_it_is_agreed_upon_still_arrives() {
    for (what, mut ends) in all() {
        ends.open();
        let n = ends.write(A, 0, b"early").unwrap();
        assert!(n == 0 || n == 5, "{what}");
        let wrote = n == 5;
        assert_eq!(ends.finish(A, 0), Answer::Done, "{what}");
        ends.settle();
        let seen = ends.seen(B, 0);
        assert_eq!((seen.opened, seen.finished, seen.reset), (1, 1, 0), "{what}");
        assert_eq!(seen.data.as_slice(), if wrote { &b"early"[..] } else { b"" }, "{what}");
    }
}

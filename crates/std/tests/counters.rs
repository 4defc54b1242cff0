//! What a node counts, over real sockets.

#![allow(clippy::unwrap_used)] // clippy sees helpers outside of #[test] as no tests

mod common;

use core::time::Duration;
use std::io::{Read, Write};

use common::*;
use sanswarm_std::{Counters, Node};

fn counters(node: &Node) -> Counters {
    node.counters().unwrap()
}

fn echo_of(node: &Node) -> [u64; 4] {
    let counters = counters(node);
    let entry = counters.protocol(&ECHO).unwrap();
    [entry.opened, entry.accepted, entry.bytes_in, entry.bytes_out]
}

#[test]
fn a_session_at_both_ends() {
    within(|| {
        let (alice, bob, info) = pair();
        for seed in 0..3 {
            round_trip(&alice.open_stream(ECHO, info.clone()).unwrap(), 100_000, seed);
        }
        // Within a second, while the connection lasts.
        eventually("alice is told", || echo_of(&alice) == [3, 0, 300_000, 300_000]);
        eventually("bob is told", || echo_of(&bob) == [0, 3, 300_000, 300_000]);
        let (a, b) = (counters(&alice).connections, counters(&bob).connections);
        assert_eq!((a.established_outbound, a.open, a.round_trips.count()), (1, 1, 1));
        assert_eq!((b.accepted, b.established_inbound, b.open, b.round_trips.count()), (1, 1, 1, 1));
        // And all at its end.
        let mut lost = alice.open_stream(ECHO, info.clone()).unwrap();
        lost.write_all(b"x").unwrap();
        lost.read_exact(&mut [0]).unwrap(); // it is agreed on
        alice.disconnect(info.id);
        for node in [&alice, &bob] {
            eventually("it has ended", || counters(node).connections.ended.sum() == 1);
            assert_eq!(counters(node).streams.open(), 0);
        }
        drop(lost);
        assert_eq!(echo_of(&alice), [4, 0, 300_001, 300_001]);
        alice.shutdown(Duration::ZERO);
        assert_eq!(alice.counters(), None);
    });
}

//! What a session says that it holds is what is given back when it goes. Alone in its process: every allocation counts.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::alloc::System;

use common::*;
use sanswarm_wire::{Role, SendBuf};
use sanswarm_yamux::{Config, Limits, Session};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What `keep_busy` makes a session hold, which is at least `least` bytes.
fn held(least: usize, keep_busy: fn(&mut Session)) -> usize {
    let limits = Limits { pongs: 100, ..Limits::default() };
    let mut session = Session::new(Role::Listener, Config { limits, ..Config::default() });
    keep_busy(&mut session);
    let told = session.heap_bytes();
    let region = Region::new(GLOBAL);
    drop(session);
    assert_eq!(region.change().bytes_deallocated, told);
    assert!(told >= least, "{told}");
    told
}

fn open(session: &mut Session) {
    (0..70).for_each(|_| assert!(session.open().is_ok()));
}

fn accept(session: &mut Session) {
    for id in 0..40 {
        let stream = opened(session, &head((DATA, SYN, 2 * id + 1, 0)));
        session.accept(stream);
    }
}

fn come_short(session: &mut Session) {
    let mut full = SendBuf::default();
    assert!(full.append(&vec![0; full.room()]));
    for id in 0..20 {
        let stream = opened(session, &head((DATA, SYN, 2 * id + 1001, 0)));
        assert_eq!(session.write(NOW, stream, b"x", &mut full), Ok(0));
    }
}

fn reset(session: &mut Session) {
    for id in 0..30 {
        let stream = opened(session, &head((DATA, SYN, 2 * id + 2001, 0)));
        session.reset(stream).unwrap();
    }
}

fn ping(session: &mut Session) {
    (0..90).for_each(|value| assert_eq!(events(session, &head((PING, SYN, 0, value))), Ok(vec![])));
}

#[test]
fn heap_bytes_are_what_goes_with_the_session() {
    // The thread that runs the tests makes what it needs to wait for this one.
    std::thread::sleep(core::time::Duration::from_millis(200));
    assert_eq!(held(0, |_| {}), 0);
    let parts = [held(70 * 40, open), held(40 * 40, accept), held(20 * 40, come_short), held(30 * 4, reset)];
    let pongs = held(90 * 4, ping);
    let all =
        held(0, |session| [open, accept, come_short, reset, ping].iter().for_each(|keep_busy| keep_busy(session)));
    assert!(all > parts[0] + parts[1] + pongs, "{all}");
}

//! What a connection holds. Alone in its process, and one test: every allocation counts.

#![cfg(any(feature = "ring", feature = "aws-lc"))]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{alloc::System, sync::Arc};

use common::*;
use sanswarm_tls::{Cipher, Handshake};
use sanswarm_wire::{Instant, RecvBuf, Role, SendBuf};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn held(region: &Region<'_, System>) -> usize {
    let stats = region.change();
    stats.bytes_allocated - stats.bytes_deallocated
}

#[test]
fn what_is_held_is_bounded_and_frames_cost_none() {
    // The thread that runs the tests makes what it needs to wait for this one.
    std::thread::sleep(core::time::Duration::from_millis(200));
    let [dialers, listeners] = [Role::Dialer, Role::Listener].map(|role| Arc::new(config(role)));
    let region = Region::new(GLOBAL);
    let mut dialer = Handshake::new(Role::Dialer, dialers.clone(), Instant::ZERO).unwrap();
    let of_dialer = held(&region);
    let mut listener = Handshake::new(Role::Listener, listeners.clone(), Instant::ZERO).unwrap();
    drop(run(&mut dialer, &mut listener, WHOLE));
    let of_both = held(&region);
    assert!(of_dialer < 4 * 1024 && of_both < 8 * 1024, "{of_dialer} {of_both}");

    let (mut a, mut b) = (dialer.finish().unwrap().0, listener.finish().unwrap().0);
    let of_both = held(&region);
    assert!(of_both < 2304, "{of_both}");
    assert!(size_of::<Cipher>() < 2048, "{}", size_of::<Cipher>());

    let (mut send, mut recv) = (SendBuf::default(), RecvBuf::default());
    send.set_framing(Cipher::framing());
    let mut echo = || {
        assert!(send.append(&[7; 16 * 1024]));
        a.seal(&mut send).unwrap();
        recv.feed(send.ready());
        send.sent(usize::MAX);
        while b.open(&mut recv).unwrap() {}
        recv.consume(usize::MAX);
    };
    (0..10).for_each(|_| echo()); // the buffers get their memory
    let region = Region::new(GLOBAL);
    (0..100).for_each(|_| echo());
    let stats = region.change();
    assert!(stats.allocations + stats.reallocations <= 30, "blocks of `RecvBuf` alone: {stats:?}");
}

//! The hand-over of `sanswarm-tokio` over all interleavings of its task and two handles: `cargo test --release` here. A wake-up
//! that is lost is a deadlock, which loom finds.
#![cfg(test)]

#[path = "../../src/handover.rs"]
mod handover;

mod sync {
    pub(crate) use loom::sync::{Mutex, MutexGuard};
}

use core::{
    future::poll_fn,
    task::{Poll, Waker},
};

use handover::{Handover, State};
use loom::{future::block_on, sync::Arc, thread};

/// An echo: what handles write, the task makes readable.
#[derive(Default)]
struct Echo {
    is_dirty: bool,
    written: usize,
    readable: usize,
    readers: Vec<Waker>,
    /// Handles that are no more.
    gone: usize,
}

impl State for Echo {
    fn is_dirty(&mut self) -> &mut bool {
        &mut self.is_dirty
    }
}

/// What the task of a connection does: work, wake, wait; until all handles have left.
fn task(shared: &Handover<Echo>, handles: usize) {
    block_on(poll_fn(|cx| {
        loop {
            let (is_over, wakers) = shared.work(|state| {
                state.readable += core::mem::take(&mut state.written);
                (state.gone == handles, core::mem::take(&mut state.readers))
            });
            wakers.into_iter().for_each(Waker::wake);
            if is_over {
                return Poll::Ready(());
            }
            if shared.poll_dirty(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }));
}

/// What a stream does: it writes, waits until it can read, and is dropped.
fn handle(shared: &Handover<Echo>) {
    shared.call(|state| {
        state.written += 1;
        state.is_dirty = true;
    });
    block_on(poll_fn(|cx| {
        shared.call(|state| {
            if state.readable > 0 {
                state.readable -= 1;
                return Poll::Ready(());
            }
            state.readers.push(cx.waker().clone());
            Poll::Pending
        })
    }));
    shared.call(|state| {
        state.gone += 1;
        state.is_dirty = true;
    });
}

/// All interleavings, or those in which threads are cut off at most so often where they could have gone on.
fn run(handles: usize, cuts: Option<usize>) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = cuts;
    model.check(move || {
        let shared = Arc::new(Handover::new(Echo::default()));
        let threads: Vec<_> = (0..handles)
            .map(|_| {
                let shared = shared.clone();
                thread::spawn(move || handle(&shared))
            })
            .collect();
        task(&shared, handles);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let left = shared.look(|state| (state.written, state.readable, state.gone));
        assert_eq!(left, (0, 0, handles));
    });
}

#[test]
fn no_wake_up_is_lost_with_one_handle() {
    run(1, None);
}

#[test]
fn no_wake_up_is_lost_with_two_handles() {
    run(2, Some(2));
}

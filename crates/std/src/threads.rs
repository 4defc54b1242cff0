//! The threads of a node: named, counted, and waited for.

use core::time::Duration;
use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

/// Stack of a thread that runs no code of the user, in bytes.
const STACK_BYTES: usize = 512 * 1024;

/// What a thread is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The control, and two threads a connection. They end promptly.
    Ours,
    /// One a listener. They end when somebody connects.
    Accept,
    /// Connects one socket; the system decides how long that takes.
    Dial,
    /// Runs a stream handler of the user.
    Handler,
    /// Asks the system for a name; it decides how long that takes.
    #[cfg(not(feature = "dns"))]
    Name,
}

impl Kind {
    /// Those that end when the user or the system lets them.
    pub(crate) const OTHERS: &[Self] = &[
        Self::Handler,
        Self::Dial,
        #[cfg(not(feature = "dns"))]
        Self::Name,
    ];
}

/// How many kinds there are.
const KINDS: usize = 5;

/// How many threads of each kind there are.
#[derive(Debug, Default)]
pub(crate) struct Threads {
    counts: Mutex<[usize; KINDS]>,
    changed: Condvar,
}

/// Locks, whatever another thread did before it panicked: what we guard is changed by whole steps only.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts one thread for as long as it lives.
struct Counted(Arc<Threads>, Kind);

impl Drop for Counted {
    fn drop(&mut self) {
        lock(&self.0.counts)[self.1 as usize] -= 1;
        self.0.changed.notify_all();
    }
}

impl Threads {
    /// Starts a thread, unless there are `max` of its kind already.
    ///
    /// # Errors
    /// What the system said; `QuotaExceeded` for `max`.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        kind: Kind,
        name: &str,
        max: usize,
        run: impl FnOnce() + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let counted = {
            let mut counts = lock(&self.counts);
            if counts[kind as usize] >= max {
                return Err(io::ErrorKind::QuotaExceeded.into());
            }
            counts[kind as usize] += 1;
            Counted(self.clone(), kind)
        };
        let mut builder = thread::Builder::new().name(name.to_owned());
        if kind != Kind::Handler {
            builder = builder.stack_size(STACK_BYTES);
        }
        builder.spawn(move || {
            let _counted = counted;
            run();
        })
    }

    /// Waits until no thread of this kind is left, for at most `time` (`None`: without end). Returns whether that is so.
    pub(crate) fn wait(&self, kind: Kind, time: Option<Duration>) -> bool {
        let some_left = |counts: &mut [usize; KINDS]| counts[kind as usize] > 0;
        let counts = lock(&self.counts);
        match time {
            Some(time) => {
                let waited = self.changed.wait_timeout_while(counts, time, some_left);
                !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
            }
            None => {
                drop(self.changed.wait_while(counts, some_left).unwrap_or_else(PoisonError::into_inner));
                true
            }
        }
    }
}

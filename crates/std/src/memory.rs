//! A pipe in memory as a socket.

use core::{
    task::{Context, Poll, Waker},
    time::Duration,
};
use std::{
    io,
    sync::{Arc, Condvar, Mutex, PoisonError},
    task::Wake,
};

use sanswarm_host::MemoryPipe;

use crate::threads::lock;

#[derive(Debug)]
pub(crate) struct Memory {
    pipe: MemoryPipe,
    readable: Arc<Signal>,
    writable: Arc<Signal>,
    /// What the pipe wakes: the signals, or what drives all sockets of a node on one thread.
    wakers: (Waker, Waker),
}

/// Wakes a thread. What comes before it waits is not lost.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    is_set: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        *lock(&self.is_set) = true;
        self.changed.notify_all();
    }
}

impl Signal {
    /// Waits for it, for at most `time` (`None`: without end).
    pub(crate) fn wait(&self, time: Option<Duration>) {
        let (is_set, is_unset) = (lock(&self.is_set), |is_set: &mut bool| !*is_set);
        let mut is_set = match time {
            Some(time) => {
                self.changed.wait_timeout_while(is_set, time, is_unset).unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.changed.wait_while(is_set, is_unset).unwrap_or_else(PoisonError::into_inner),
        };
        *is_set = false;
    }
}

impl Memory {
    pub(crate) fn new(pipe: MemoryPipe) -> Self {
        let (readable, writable) = (Arc::<Signal>::default(), Arc::<Signal>::default());
        let wakers = (readable.clone().into(), writable.clone().into());
        Self { pipe, readable, writable, wakers }
    }

    /// Has this woken from now on.
    #[cfg(feature = "poll")]
    pub(crate) fn set_waker(&mut self, waker: &Waker) {
        self.wakers = (waker.clone(), waker.clone());
    }

    /// Waits until a read does not wait. Returns whether that is so because nothing more comes.
    pub(crate) fn wait(&self) -> bool {
        loop {
            match self.poll_readable() {
                Poll::Ready(is_end) => return is_end,
                Poll::Pending => self.readable.wait(None),
            }
        }
    }

    pub(crate) fn poll_readable(&self) -> Poll<bool> {
        self.pipe.poll_readable(&Context::from_waker(&self.wakers.0))
    }

    /// Waits for room, but not for long.
    pub(crate) fn wait_writable(&self, time: Duration) {
        self.writable.wait(Some(time));
    }

    pub(crate) fn read(&self, to: &mut [u8]) -> io::Result<usize> {
        match self.pipe.poll_read(&Context::from_waker(&self.wakers.0), to) {
            Poll::Ready(n) => Ok(n),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    pub(crate) fn write(&self, from: &[u8]) -> io::Result<usize> {
        match self.pipe.poll_write(&Context::from_waker(&self.wakers.1), from) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    pub(crate) const fn pipe(&self) -> &MemoryPipe {
        &self.pipe
    }
}

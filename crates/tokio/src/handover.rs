//! How handles and a task work on one state without losing a wake-up. It is checked over all interleavings in `loom/`.

use core::task::{Context, Poll, Waker};

use crate::sync::{Mutex, MutexGuard};

/// What a task and handles work on, each for a moment.
pub(crate) trait State {
    /// Set by a handle that has changed something which the task has to see.
    fn is_dirty(&mut self) -> &mut bool;
}

/// A state behind a lock, and its task while that waits.
pub(crate) struct Handover<S>(Mutex<Shared<S>>);

struct Shared<S> {
    state: S,
    task: Option<Waker>,
}

impl<S: State> Handover<S> {
    pub(crate) fn new(state: S) -> Self {
        Self(Mutex::new(Shared { state, task: None }))
    }

    fn lock(&self) -> MutexGuard<'_, Shared<S>> {
        // A poisoned lock says that a thread panicked, not that a machine is broken: their calls are total.
        self.0.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    /// Only looks.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&mut S) -> R) -> R {
        look(&mut self.lock().state)
    }

    /// The task's work. It sees all that handles have changed until now.
    pub(crate) fn work<R>(&self, work: impl FnOnce(&mut S) -> R) -> R {
        let mut shared = self.lock();
        *shared.state.is_dirty() = false;
        work(&mut shared.state)
    }

    /// A handle's call. If it leaves the state dirty the task is woken.
    pub(crate) fn call<R>(&self, call: impl FnOnce(&mut S) -> R) -> R {
        let mut shared = self.lock();
        let result = call(&mut shared.state);
        let task = if *shared.state.is_dirty() { shared.task.take() } else { None };
        drop(shared);
        if let Some(task) = task {
            task.wake();
        }
        result
    }

    /// For the task: whether a handle has changed something. If not, it is woken when one does.
    pub(crate) fn poll_dirty(&self, cx: &Context<'_>) -> Poll<()> {
        let mut shared = self.lock();
        if *shared.state.is_dirty() {
            return Poll::Ready(());
        }
        match &mut shared.task {
            Some(task) => task.clone_from(cx.waker()),
            task => *task = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

//! The clock of a node, and its timers.

use core::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use sanswarm::{Deadline, Instant};
use tokio::time::Sleep;

/// tokio's clock, as microseconds since the node's start. It stands still where tokio's is paused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(tokio::time::Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(tokio::time::Instant::now())
    }

    pub(crate) fn now(self) -> Instant {
        Instant::from_micros(u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn at(self, at: Instant) -> tokio::time::Instant {
        // What is too far away to be told is as good as never.
        let far = Duration::from_secs(86400 * 365);
        self.0.checked_add(Duration::from_micros(at.as_micros())).unwrap_or(self.0 + far)
    }
}

/// When a machine is to be told that time has passed.
#[derive(Debug)]
pub(crate) struct Timer {
    clock: Clock,
    at: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, at: None, sleep: None }
    }

    pub(crate) fn set(&mut self, deadline: Option<Deadline>) {
        let at = deadline.map(|deadline| deadline.at);
        if at == self.at {
            return;
        }
        self.at = at;
        let Some(at) = at.map(|at| self.clock.at(at)) else { return };
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().reset(at),
            None => self.sleep = Some(Box::pin(tokio::time::sleep_until(at))),
        }
    }

    /// Whether the time has come. Once for each deadline.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (Some(_), Some(sleep)) = (self.at, &mut self.sleep) else { return Poll::Pending };
        let poll = sleep.as_mut().poll(cx);
        if poll.is_ready() {
            self.at = None;
        }
        poll
    }
}

//! Cancellation at a random point.

use core::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use crate::dice::Dice;

/// Drops a future at a random point: after some polls, or after some time.
pub(crate) async fn cut<F: Future>(dice: &mut Dice, future: F) -> Option<F::Output> {
    let (mut polls, mut future) = (dice.below(4), pin!(future));
    let mut time = pin!(tokio::time::sleep(Duration::from_micros(dice.below(20_000) as u64)));
    poll_fn(|cx| {
        if polls == 0 {
            return Poll::Ready(None);
        }
        polls -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => time.as_mut().poll(cx).map(|()| None),
        }
    })
    .await
}

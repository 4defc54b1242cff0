//! What a node tells those who want to know.

use core::{error, fmt};

use sanswarm::Event;
use tokio::sync::broadcast;

/// How many events wait for a slow listener before it loses the oldest.
const EVENTS_MAX: usize = 256;

/// Where a node's events go. There is no channel, which is large, before somebody asks for events.
#[derive(Default)]
pub(crate) enum Audience {
    #[default]
    Nobody,
    Some(broadcast::Sender<Event>),
    /// The node has ended.
    Ended,
}

impl Audience {
    pub(crate) fn subscribe(&mut self) -> Events {
        if matches!(self, Self::Nobody) {
            *self = Self::Some(broadcast::channel(EVENTS_MAX).0);
        }
        Events(if let Self::Some(sender) = self { Some(sender.subscribe()) } else { None })
    }

    pub(crate) fn tell(&self, event: Event) {
        if let Self::Some(sender) = self {
            let _ = sender.send(event);
        }
    }
}

/// The events of a node from the moment that [`Node::events`](crate::Node::events) was called: who is connected, who has
/// told what it is, who is gone, what was accepted in vain. It is bounded: a slow listener loses the oldest events.
#[derive(Debug)]
pub struct Events(pub(crate) Option<broadcast::Receiver<Event>>);

impl Events {
    /// The next event. Cancel-safe.
    ///
    /// # Errors
    /// [`EventsError`]: some were lost, and the next call gives the oldest that was not; or the node has ended.
    pub async fn next(&mut self) -> Result<Event, EventsError> {
        let Some(receiver) = &mut self.0 else { return Err(EventsError::Ended) };
        receiver.recv().await.map_err(|error| match error {
            broadcast::error::RecvError::Lagged(count) => EventsError::Missed(count),
            broadcast::error::RecvError::Closed => EventsError::Ended,
        })
    }
}

/// Why there is no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventsError {
    /// So many events were lost, because nobody took them in time.
    Missed(u64),
    /// The node has ended.
    Ended,
}

impl fmt::Display for EventsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missed(count) => write!(f, "{count} events were lost"),
            Self::Ended => f.write_str("the node has ended"),
        }
    }
}

impl error::Error for EventsError {}

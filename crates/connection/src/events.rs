//! Events that wait to be told.

use std::collections::VecDeque;

use crate::Event;

/// A queue whose first event needs no memory of its own: mostly there is one at a time.
#[derive(Debug, Default)]
pub(crate) struct Events {
    first: Option<Event>,
    /// Empty if there is no first.
    rest: VecDeque<Event>,
}

impl Events {
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn push_back(&mut self, event: Event) {
        if self.first.is_none() {
            self.first = Some(event);
        } else {
            self.rest.push_back(event);
        }
    }

    pub(crate) fn push_front(&mut self, event: Event) {
        if let Some(second) = self.first.replace(event) {
            self.rest.push_front(second);
        }
    }

    pub(crate) fn pop_front(&mut self) -> Option<Event> {
        let event = self.first.take();
        if event.is_some() {
            self.first = self.rest.pop_front();
        }
        event
    }

    /// Gives the memory of a burst back.
    pub(crate) fn release(&mut self) {
        if self.rest.is_empty() && self.rest.capacity() > 0 {
            self.rest = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use sanswarm_wire::Slab;

    use super::*;

    #[test]
    fn it_is_a_queue() {
        let mut slab = Slab::new();
        let [a, b, c] = [(); 3].map(|()| Event::Readable { stream: slab.insert(()) });
        let mut events = Events::default();
        assert_eq!(events.pop_front(), None);
        events.push_back(b.clone());
        events.push_back(c.clone());
        events.push_front(a.clone());
        assert!(!events.is_empty());
        let all: Vec<_> = core::iter::from_fn(|| events.pop_front()).collect();
        assert_eq!(all, [a.clone(), b, c]);
        events.release();
        assert!(events.is_empty() && events.rest.capacity() == 0);
        events.push_front(a.clone());
        assert_eq!((events.pop_front(), events.pop_front()), (Some(a), None));
    }
}

//! The calls of `on`, where nobody listens.

use sanswarm::{ConnId, Denied, Event, Multiaddr, ProtocolName, Role, StreamId, TransportError};

/// No span.
#[derive(Clone, Debug, Default)]
pub struct Span;

impl Span {
    /// The span of a connection.
    pub fn connection(_conn: ConnId, _role: Role, _remote: impl FnOnce() -> Option<Multiaddr>) -> Self {
        Self
    }

    /// The span of a stream, within that of its connection.
    #[must_use]
    pub fn stream(&self, _stream: StreamId, _protocol: &ProtocolName) -> Self {
        Self
    }

    /// The same future within this span.
    pub fn run<F: Future>(&self, future: F) -> F {
        future
    }

    /// Calls a stream handler within this span.
    pub fn handle<R>(&self, handler: impl FnOnce() -> R) -> R {
        handler()
    }

    /// The same future, which is a stream handler's, within this span.
    pub fn handle_async<F: Future>(self, handler: F) -> F {
        handler
    }
}

/// No events.
#[derive(Debug, Default)]
pub struct Log;

impl Log {
    /// Keeps an event, to be told later.
    pub fn note(&mut self, _event: &Event) {}

    /// There is nothing to be told.
    pub fn is_empty(&self) -> bool {
        true
    }

    /// Tells what was kept.
    pub fn tell(&mut self, _span: &Span) {}
}

/// No connection, of which a span would have to be looked up.
pub fn conn_of(_event: &Event) -> Option<ConnId> {
    None
}

/// No copy: nobody listens.
pub fn wanted(_event: &Event) -> Option<Event> {
    None
}

/// Something that happens to the node, or to a connection that has a span.
pub fn tell(_event: &Event, _span: Option<&Span>, _round_trips: impl FnOnce() -> Option<u32>) {}

/// A socket is being connected.
pub fn dialing(_conn: ConnId, _address: &Multiaddr) {}

/// There is no socket.
pub fn dial_failed(_conn: ConnId, _cause: TransportError) {}

/// An accepted socket may not stay.
pub fn denied(_remote: &Multiaddr, _denied: Denied) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_nothing() {
        assert_eq!((size_of::<Span>(), size_of::<Log>()), (0, 0));
        let future = async { 7 };
        assert_eq!(size_of_val(&Span.handle_async(async { 7 })), size_of_val(&future));
        assert!(Log.is_empty() && Span.handle(|| true));
    }
}

//! The calls, where somebody may listen.

use core::{
    fmt::{self, Display, Write},
    sync::atomic::{AtomicBool, Ordering},
};
use std::{sync::Arc, thread};

use sanswarm::{
    ConnId, Denied, Event, Multiaddr, OpenStreamError, PingError, ProtocolName, Role, StreamId, TransportError,
};
use tracing::{Instrument, Level, debug, enabled, error, field, info, info_span, trace, warn};

/// Of all spans and events.
const TARGET: &str = "sanswarm";

/// The span of a connection, or of a stream within it.
#[derive(Clone, Debug)]
pub struct Span {
    span: tracing::Span,
    /// Whether the peer was recorded: what is recorded twice is shown twice. `None` where nobody listens.
    has_peer: Option<Arc<AtomicBool>>,
}

impl Default for Span {
    fn default() -> Self {
        Self::of(tracing::Span::none())
    }
}

impl Span {
    fn of(span: tracing::Span) -> Self {
        Self { has_peer: (!span.is_disabled()).then(Arc::default), span }
    }

    /// The span of a connection: `conn`, `role`, `remote`, and `peer` once that is known.
    pub fn connection(conn: ConnId, role: Role, remote: impl FnOnce() -> Option<Multiaddr>) -> Self {
        let role = if role.is_dialer() { "dialer" } else { "listener" };
        // It belongs to no span of whoever happens to run the task that makes it.
        let span = info_span!(
            target: TARGET,
            parent: None,
            "connection",
            %conn,
            role,
            remote = field::Empty,
            peer = field::Empty
        );
        if !span.is_disabled() {
            if let Some(remote) = remote() {
                span.record("remote", field::display(remote));
            }
        }
        span.in_scope(|| debug!(target: TARGET, "has a socket"));
        Self::of(span)
    }

    /// The span of a stream, within that of its connection: `stream` and `protocol`.
    #[must_use]
    pub fn stream(&self, stream: StreamId, protocol: &ProtocolName) -> Self {
        let parent = self.span.id();
        Self::of(info_span!(target: TARGET, parent: parent, "stream", stream = ?stream.stream, %protocol))
    }

    /// Some events say who the peer is.
    fn know(&self, event: &Event) {
        if let Event::Connected { peer, .. } | Event::Opened { peer, .. } = event {
            if self.has_peer.as_ref().is_some_and(|has| !has.swap(true, Ordering::Relaxed)) {
                self.span.record("peer", field::display(peer));
            }
        }
    }

    fn tell(&self, event: &Event) {
        self.know(event);
        self.span.in_scope(|| tell_here(event));
    }

    /// The same future within this span.
    pub fn run<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        future.instrument(self.span.clone())
    }

    /// Calls a stream handler within this span. If it panics that is told.
    pub fn handle<R>(&self, handler: impl FnOnce() -> R) -> R {
        self.span.in_scope(|| {
            let _panic = Panic;
            handler()
        })
    }

    /// The same future, which is a stream handler's, within this span. If it panics that is told.
    pub fn handle_async<F: Future>(self, handler: F) -> impl Future<Output = F::Output> + use<F> {
        let watched = async {
            let _panic = Panic;
            handler.await
        };
        watched.instrument(self.span)
    }
}

/// Tells of a panic, within the span of the stream whose handler it ends.
struct Panic;

impl Drop for Panic {
    fn drop(&mut self) {
        if thread::panicking() {
            error!(target: TARGET, "a stream handler panicked");
        }
    }
}

/// A text that may be a peer's, in one line and without commands to a terminal.
struct Plain<T>(T);

impl<T: Display> Display for Plain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars()
            .try_for_each(|c| if c.is_control() { c.escape_default().fmt(self.0) } else { self.0.write_char(c) })
    }
}

/// Events of a connection that come up under its lock, to be told behind it: who listens is the user's code.
#[derive(Debug, Default)]
pub struct Log(Vec<Event>);

impl Log {
    /// Keeps an event, if it is told and somebody listens.
    pub fn note(&mut self, event: &Event) {
        self.0.extend(wanted(event));
    }

    /// Whether there is nothing to be told.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells what was kept.
    pub fn tell(&mut self, span: &Span) {
        for event in self.0.drain(..) {
            span.tell(&event);
        }
    }
}

/// The connection that an event is about.
pub fn conn_of(event: &Event) -> Option<ConnId> {
    match event {
        Event::Connected { conn, .. }
        | Event::PeerReady { conn, .. }
        | Event::PeerChanged { conn, .. }
        | Event::Disconnected { conn, .. }
        | Event::Ping { conn, .. } => Some(*conn),
        Event::Opened { stream, .. }
        | Event::Refused { stream, .. }
        | Event::Finished { stream }
        | Event::Reset { stream } => Some(stream.conn),
        _ => None,
    }
}

/// A copy of an event that is told, if somebody listens.
pub fn wanted(event: &Event) -> Option<Event> {
    let is_wanted = match event {
        Event::Readable { .. } | Event::Writable { .. } => false,
        Event::Opened { .. } | Event::Finished { .. } | Event::Ping { result: Ok(_), .. } => {
            enabled!(target: TARGET, Level::TRACE)
        }
        Event::ListenFailed { .. } => enabled!(target: TARGET, Level::WARN),
        Event::Listening { .. } | Event::Unlistened { .. } | Event::ShutDown { .. } => {
            enabled!(target: TARGET, Level::INFO)
        }
        _ => enabled!(target: TARGET, Level::DEBUG),
    };
    is_wanted.then(|| event.clone())
}

/// Something that happens to the node, or to a connection that has a span. When it is ready its round trips are asked for.
pub fn tell(event: &Event, span: Option<&Span>, round_trips: impl FnOnce() -> Option<u32>) {
    match (event, span) {
        (Event::Connected { security, muxer, .. }, Some(span)) => {
            span.know(event);
            let security = security.map(field::display);
            let told = || debug!(target: TARGET, security, %muxer, round_trips = round_trips(), "connected");
            span.span.in_scope(told);
        }
        (_, Some(span)) => span.tell(event),
        (_, None) => tell_here(event),
    }
}

fn tell_here(event: &Event) {
    match event {
        Event::Listening { address } => info!(target: TARGET, %address, "listening"),
        Event::Unlistened { address } => info!(target: TARGET, %address, "listening no more"),
        Event::ListenFailed { address, cause } => warn!(target: TARGET, %address, %cause, "cannot listen"),
        Event::ShutDown { cut } => info!(target: TARGET, cut, "shut down"),
        Event::AcceptFailed { address, error } => {
            let (stage, code) = (field::display(error.stage()), error.code());
            debug!(target: TARGET, remote = %address, stage, code, error = %Plain(error), "accepted connection failed");
        }
        Event::PeerReady { identify: Ok(info), .. } => {
            debug!(target: TARGET, agent = info.agent.as_deref().map(|agent| field::display(Plain(agent))), "identified");
        }
        Event::PeerReady { identify: Err(error), .. } => {
            debug!(target: TARGET, error = %Plain(error), "not identified");
        }
        Event::PeerChanged { .. } => debug!(target: TARGET, "identified anew"),
        Event::Disconnected { reason, rule, .. } => {
            let rule = rule.as_ref().map(field::display);
            match reason {
                Ok(reason) => debug!(target: TARGET, %reason, rule, "closed"),
                Err(error) => debug!(target: TARGET, reason = %Plain(error), code = error.code(), rule, "closed"),
            }
        }
        Event::Dialed { conn, peer, .. } => debug!(target: TARGET, %conn, %peer, "dial done"),
        Event::Ping { result: Ok(rtt), .. } => trace!(target: TARGET, ?rtt, "pinged"),
        Event::Ping { result: Err(PingError::Busy | PingError::Closed), .. } => {}
        Event::Ping { result: Err(error), .. } => debug!(target: TARGET, error = %Plain(error), "ping failed"),
        Event::OpenFailed { error, .. } => open_failed(error),
        Event::Opened { stream, protocol, request, .. } => {
            let direction = if request.is_some() { "outbound" } else { "inbound" };
            trace!(target: TARGET, stream = ?stream.stream, %protocol, direction, "stream opened");
        }
        Event::Finished { stream } => trace!(target: TARGET, stream = ?stream.stream, "stream finished by the peer"),
        Event::Reset { stream } => debug!(target: TARGET, stream = ?stream.stream, "stream reset by the peer"),
        Event::Refused { stream, refusal } => {
            debug!(target: TARGET, stream = ?stream.stream, code = refusal.code(), error = %Plain(refusal), "stream refused");
        }
        _ => {}
    }
}

/// A request of ours came to nothing. Of a dial each attempt is told, with how far it came.
fn open_failed(error: &OpenStreamError) {
    let OpenStreamError::Dial(report) = error else {
        debug!(target: TARGET, code = error.code(), error = %Plain(error), "stream refused");
        return;
    };
    let peer = report.peer.map(field::display);
    for attempt in &report.attempts {
        let (stage, code) = (attempt.stage(), attempt.code());
        debug!(target: TARGET, peer, stage, code, cause = %Plain(attempt), "dial attempt failed");
    }
    debug!(target: TARGET, peer, code = report.code(), cause = %report.cause, "dial failed");
}

/// A socket is being connected.
pub fn dialing(conn: ConnId, address: &Multiaddr) {
    debug!(target: TARGET, %conn, remote = %address, "dialing");
}

/// There is no socket.
pub fn dial_failed(conn: ConnId, cause: TransportError) {
    debug!(target: TARGET, %conn, stage = "connect", %cause, "no socket");
}

/// An accepted socket may not stay.
pub fn denied(remote: &Multiaddr, denied: Denied) {
    debug!(target: TARGET, %remote, cause = %denied, "denied");
}

//! What adapters tell `tracing`: a span for each connection and each stream that a handler has, and what happens, as events of
//! the target `sanswarm`. Without the feature `tracing` all of this is nothing, and costs nothing.
//!
//! Levels are those of the field: what an operator waits for is `info` (listening and its end), what may need an operator is
//! `warn` (a listener that failed) or `error` (a handler that panicked), connections are `debug`, streams and pings `trace`.

#[cfg(not(feature = "tracing"))]
mod off;
#[cfg(feature = "tracing")]
mod on;

#[cfg(not(feature = "tracing"))]
pub use off::{Log, Span, conn_of, denied, dial_failed, dialing, tell, wanted};
#[cfg(feature = "tracing")]
pub use on::{Log, Span, conn_of, denied, dial_failed, dialing, tell, wanted};

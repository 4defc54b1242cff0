//! Muxers: both ends of one connection, and streams between them.
//!
//! - Through a pipe: bytes are copied into a [`Pipe`](crate::pipe::Pipe) and out of it, as a socket would.
//! - Handed over: what is ready at one end is given to the other as it is. Only machines without I/O can do that.
//!
//! Payload is read as the stack gives it: ours lends slices, minip2p gives vectors, the others copy into the reader's
//! buffer. Nobody looks at it.

use std::ops::Range;

use sanswarm_mplex as mplex;
use sanswarm_yamux as yamux;

use self::{
    floor::{FramesAlone, PipeAlone},
    minip2p::Minip2p,
    ours::{HandedOver, Ours, ThroughAPipe},
    polled::Polled,
};
use crate::{Bench, Held};

mod floor;
mod minip2p;
mod ours;
mod peers;
mod polled;

/// The bytes of one write.
pub const WRITE_BYTES: usize = 64 * 1024;

/// What is echoed.
const ECHO: &[u8; 64] = &[7; 64];

/// Rounds without progress after which a bench is broken.
const PATIENCE: usize = 1000;

/// Both ends of a connection.
trait Pair: 'static {
    /// Opens one more stream, which both ends have heard of, and which has carried a byte.
    fn open(&mut self);

    /// On each of these streams, in the order in which they were opened, the dialer writes so many bytes, at most
    /// [`WRITE_BYTES`] at once, and the listener reads them.
    fn transfer(&mut self, streams: Range<usize>, bytes: usize);

    /// Opens a stream, sends 64 bytes, gets them back, closes it at both ends.
    fn echo(&mut self);
}

/// Makes a pair that will take so many streams.
type Make = fn(usize) -> Box<dyn Pair>;

/// Who goes through a pipe.
const PIPED: [(&str, Make); 8] = [
    ("sanswarm yamux", |streams| Box::new(Ours::<yamux::Session, ThroughAPipe>::new(streams))),
    ("sanswarm mplex", |streams| Box::new(Ours::<mplex::Session, ThroughAPipe>::new(streams))),
    ("yamux 0.13", |streams| Box::new(Polled::<yamux_0_13::Connection<_>>::new(streams))),
    ("yamux 0.14", |streams| Box::new(Polled::<yamux_0_14::Connection<_>>::new(streams))),
    ("tokio-yamux", |streams| Box::new(Polled::<tokio_yamux::Session<_>>::new(streams))),
    ("libp2p-mplex", |streams| Box::new(Polled::<libp2p_mplex::Multiplex<_>>::new(streams))),
    ("minip2p", |streams| Box::new(Minip2p::new(streams, true))),
    ("floor", |_| Box::new(PipeAlone::new())),
];

/// Whose frames can be handed over.
const HANDED_OVER: [(&str, Make); 4] = [
    ("sanswarm yamux", |streams| Box::new(Ours::<yamux::Session, HandedOver>::new(streams))),
    ("sanswarm mplex", |streams| Box::new(Ours::<mplex::Session, HandedOver>::new(streams))),
    ("minip2p", |streams| Box::new(Minip2p::new(streams, false))),
    ("floor", |_| Box::new(FramesAlone::new())),
];

/// Every case for every stack.
pub fn benches() -> Vec<Bench> {
    let mut benches = Vec::new();
    for (how, whose) in [("pipe", &PIPED[..]), ("handed over", &HANDED_OVER)] {
        for (case, streams, bytes, rounds) in [("1 stream", 1, 1 << 20, 8), ("100 streams", 100, 64 << 10, 8)] {
            for &(who, make) in whose {
                let round = move || {
                    let mut pair = with_streams(make, streams);
                    move || pair.transfer(0..streams, bytes)
                };
                benches.push(Bench::new(format!("mux/{case}, {how}"), who, rounds, round).moving(streams * bytes));
            }
        }
        let whose = whose.iter().filter(|(who, _)| *who != "floor");
        for &(who, make) in whose.clone() {
            let round = move || {
                let mut pair = make(1);
                move || pair.echo()
            };
            benches.push(Bench::new(format!("mux/open, echo, close, {how}"), who, 200, round));
        }
        for streams in [1, 100, 10_000] {
            for &(who, make) in whose.clone() {
                let round = move || {
                    let mut pair = with_streams(make, streams);
                    move || pair.transfer(streams / 2..streams / 2 + 1, ECHO.len())
                };
                benches.push(Bench::new(format!("mux/write 64 B, {streams} open, {how}"), who, 1000, round));
            }
        }
    }
    benches
}

/// What streams hold that do nothing.
pub fn held() -> Vec<Held> {
    let idle = |how: &str, &(who, make): &(&'static str, Make)| {
        Held::new(format!("mux/idle stream, {how}"), who, move |streams| Box::new(with_streams(make, streams)))
    };
    let piped = PIPED.iter().filter(|(who, _)| *who != "floor").map(|make| idle("pipe", make));
    let handed_over = HANDED_OVER.iter().filter(|(who, _)| *who != "floor").map(|make| idle("handed over", make));
    piped.chain(handed_over).collect()
}

fn with_streams(make: Make, streams: usize) -> Box<dyn Pair> {
    let mut pair = make(streams);
    (0..streams).for_each(|_| pair.open());
    pair
}

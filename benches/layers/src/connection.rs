//! Whole connections: Noise, yamux and the negotiation of security, muxer and streams, both ends in memory, on one thread.
//!
//! Ours beside what rust-libp2p makes of `multistream-select`, `libp2p-noise` and `yamux`, without its swarm. The socket of ours
//! is a copy from one end's send buffer to the other's receive buffer, that of rust-libp2p a pipe, copied in and out. Both
//! have one identity and one Noise key a node. rust-libp2p proposes security and muxer lazily, as its own transports do;
//! streams wait for the agreement on either side.

use crate::Bench;

mod ours;
mod rust_libp2p;

/// What streams speak.
const PROTOCOL: &str = "/sink/1.0.0";

/// The sizes of writes, and the bytes of one transfer.
const WRITES: [(&str, usize, usize); 4] =
    [("64 B", 64, 256 << 10), ("1 KiB", 1024, 1 << 20), ("16 KiB", 16 << 10, 4 << 20), ("64 KiB", 64 << 10, 4 << 20)];

/// Rounds without an end after which a bench is broken.
const PATIENCE: usize = 100_000;

/// Both ends of a connection.
trait Pair: 'static {
    /// Opens a stream, agrees on its protocol, and closes it at both ends, each of which hears that the other did.
    fn open_and_close(&mut self);

    /// Opens a stream for [`transfer`](Self::transfer).
    fn open(&mut self);

    /// The dialer writes `bytes` in pieces as long as `data`, and the listener reads them.
    fn transfer(&mut self, data: &[u8], bytes: usize);
}

/// Makes what a node makes once, and gives what makes a connection that is ready.
type Node = fn() -> Box<dyn FnMut() -> Box<dyn Pair>>;

const NODES: [(&str, Node); 3] = [
    ("sanswarm", ours::node),
    ("sanswarm with a transcript", ours::transcribed),
    ("rust-libp2p", rust_libp2p::node),
];

/// Every case for every stack.
pub fn benches() -> Vec<Bench> {
    let mut benches = Vec::new();
    for (who, node) in NODES {
        let round = move || {
            let mut node = node();
            move || drop(node())
        };
        benches.push(Bench::new("connection/handshake", who, 50, round));
    }
    for (who, node) in NODES {
        let round = move || {
            let mut pair = node()();
            move || pair.open_and_close()
        };
        benches.push(Bench::new("connection/open and close a stream", who, 200, round));
    }
    for (size, write, bytes) in WRITES {
        for (who, node) in NODES {
            let round = move || {
                let (mut pair, data) = (node()(), vec![7; write]);
                pair.open();
                move || pair.transfer(&data, bytes)
            };
            benches.push(Bench::new(format!("connection/{size} writes"), who, 4, round).moving(bytes));
        }
    }
    benches
}

//! Streams that are opened, echoed and closed at random, and given up at random points: nothing of them may stay.
//! `STREAMS=100000 cargo test --release -p sanswarm-std --test storm -- --nocapture` for many.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;
#[path = "../../host/tests/common/dice.rs"]
mod dice;
#[path = "../../host/tests/common/held.rs"]
mod held;

use core::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};
use std::{
    io::{self, ErrorKind, Read, Write},
    sync::Arc,
    thread,
};

use common::{SECOND, listen_on, pattern, start};
use dice::Dice;
use held::Held;
use sanswarm_std::{Node, Open, OpenStreamError, PeerInfo, ProtocolName, Stream, new_config};

/// So many nodes dial, and so many are dialled: each with each, 16 connections.
const NODES: usize = 4;

/// Threads that open streams.
const USERS: usize = 32;

/// Bytes that an end of a connection may hold more after many streams than after few: rings and tables that grow once.
const SLACK: usize = 8192;

/// What the other end does with a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Sends back what comes, and ends when we do.
    Echo,
    /// Lets go of it at once.
    Drop,
    /// Echoes a part, and lets go of it.
    Part,
    /// Ends its side first, and then reads ours.
    Early,
    /// Knows no such protocol.
    None,
}

const NAMES: [(Way, ProtocolName); 5] = [
    (Way::Echo, ProtocolName::from_static("/storm/echo")),
    (Way::Drop, ProtocolName::from_static("/storm/drop")),
    (Way::Part, ProtocolName::from_static("/storm/part")),
    (Way::Early, ProtocolName::from_static("/storm/early")),
    (Way::None, ProtocolName::from_static("/storm/none")),
];

/// How our end gives a stream up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// As soon as it is open.
    Open,
    /// A write or a read that waits for too long.
    Time,
    /// Another thread resets it while this one waits.
    Reset,
    /// Behind our end, without reading.
    Finish,
    Never,
}

/// How many ended in which way: whole, given up, ended by the peer.
type Tally = [AtomicUsize; 3];

fn serve(stream: &Stream, way: Way, mut dice: Dice) {
    match way {
        Way::Drop | Way::None => {}
        Way::Echo => {
            if io::copy(&mut &*stream, &mut &*stream).is_ok() {
                let _ = stream.finish();
            }
        }
        Way::Part => {
            let mut left = dice.below(30_000);
            while let Ok(Some(bytes)) = stream.read_bytes() {
                if left < bytes.len() || (&mut &*stream).write_all(&bytes).is_err() {
                    return;
                }
                left -= bytes.len();
            }
        }
        Way::Early => {
            let _ = stream.finish();
            if dice.one_in(2) {
                while let Ok(Some(_)) = stream.read_bytes() {}
            }
        }
    }
}

/// One stream from its start to its end, wherever that is. Returns the place in the tally.
fn run(node: &Node, peer: &PeerInfo, mut dice: Dice) -> usize {
    let (way, name) = NAMES[[0, 0, 0, 0, 1, 2, 3, 4][dice.below(8)]].clone();
    let stop = dice.of(&[Stop::Never, Stop::Never, Stop::Open, Stop::Time, Stop::Reset, Stop::Finish]);
    let stream = match node.open_stream_with(name, peer.clone(), dice.of(&[Open::Wait, Open::Lazy])) {
        Err(OpenStreamError::Refused(refusal)) => {
            assert_ne!(way, Way::Echo, "{refusal}");
            return 2;
        }
        Err(error) => panic!("{way:?}: {error}"),
        Ok(_) if stop == Stop::Open => return 1,
        Ok(stream) => stream,
    };
    let data = pattern(dice.of(&[0, 1, 100, 5_000, 40_000]), dice.next());
    let mut killer = None;
    match stop {
        Stop::Time => {
            let micros = 1 + dice.below(2_000) as u64;
            stream.set_read_timeout(Some(Duration::from_micros(micros))).unwrap();
            stream.set_write_timeout(Some(Duration::from_micros(micros))).unwrap();
        }
        Stop::Reset => {
            let (second, micros) = (stream.try_clone().unwrap(), dice.below(2_000) as u64);
            killer = Some(start(move || {
                thread::sleep(Duration::from_micros(micros));
                second.reset();
            }));
        }
        _ => {}
    }
    let mut got = Vec::new();
    let result = exchange(&stream, &data, stop == Stop::Finish, &mut dice, &mut got);
    drop(stream);
    killer.into_iter().for_each(|killer| killer.join().unwrap());
    assert!(data.starts_with(&got), "{way:?}: what came back is not what was sent");
    match result {
        Ok(()) if stop == Stop::Finish => 1,
        Ok(()) => {
            assert!(way == Way::Early || got.len() == data.len(), "{way:?}: {} of {}", got.len(), data.len());
            0
        }
        Err(error) if stop == Stop::Time && error.kind() == ErrorKind::TimedOut => 1,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{way:?}: {error}");
            assert!(way != Way::Echo || stop == Stop::Reset, "{error}");
            2
        }
    }
}

fn exchange(mut stream: &Stream, data: &[u8], only_write: bool, dice: &mut Dice, got: &mut Vec<u8>) -> io::Result<()> {
    for piece in data.chunks(1 + dice.below(20_000)) {
        stream.write_all(piece)?;
    }
    stream.finish()?;
    if !only_write {
        stream.read_to_end(got)?;
    }
    Ok(())
}

struct Nodes {
    dialers: Vec<Node>,
    listeners: Vec<(Node, PeerInfo)>,
}

impl Nodes {
    fn start(seed: u64) -> Self {
        let count = Arc::new(AtomicU64::new(0));
        let node = || {
            let mut config = new_config().unwrap();
            config.ping_interval = None; // so that at the end no stream is open
            Node::new(config).unwrap()
        };
        let dialers: Vec<_> = (0..NODES).map(|_| node()).collect();
        let mut listeners = Vec::new();
        for node in (0..NODES).map(|_| node()) {
            for (way, name) in NAMES.into_iter().filter(|(way, _)| *way != Way::None) {
                let count = count.clone();
                node.set_stream_handler(name, move |stream| {
                    serve(&stream, way, Dice::fork(!seed, count.fetch_add(1, Ordering::Relaxed)));
                });
            }
            let info = listen_on(&node, "/ip4/127.0.0.1/tcp/0");
            listeners.push((node, info));
        }
        for dialer in &dialers {
            for (_, info) in &listeners {
                dialer.connect(info.clone()).unwrap();
                dialer.identify(info.id).unwrap();
            }
        }
        Self { dialers, listeners }
    }

    /// Runs so many streams, some at once, and waits until all of them have ended at both ends.
    fn storm(self: &Arc<Self>, seed: u64, streams: usize, tally: &Arc<Tally>) {
        let next = Arc::new(AtomicUsize::new(0));
        let users: Vec<_> = (0..USERS)
            .map(|_| {
                let (nodes, tally, next) = (self.clone(), tally.clone(), next.clone());
                start(move || {
                    loop {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        if n >= streams {
                            return;
                        }
                        let mut dice = Dice::fork(seed, n as u64);
                        let (node, peer) = (&nodes.dialers[dice.below(NODES)], &nodes.listeners[dice.below(NODES)].1);
                        let how = run(node, peer, dice);
                        tally[how].fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        users.into_iter().for_each(|user| user.join().unwrap());
        self.rest();
    }

    /// Waits until no connection has a stream.
    fn rest(&self) {
        for dialer in &self.dialers {
            for (listener, info) in &self.listeners {
                for (node, peer) in [(dialer, info.id), (listener, dialer.id())] {
                    let streams = || node.stats(peer).expect("the connection is there from start to end").streams;
                    common::eventually("no stream", || streams() == 0);
                }
            }
        }
        thread::sleep(SECOND / 2); // until the buffers are given back
    }

    fn end(&self) {
        for node in self.dialers.iter().chain(self.listeners.iter().map(|(node, _)| node)) {
            assert_eq!(node.shutdown(5 * SECOND), 0, "no stream is left that is cut");
        }
    }
}

fn life(seed: u64, streams: usize) {
    let nodes = Arc::new(Nodes::start(seed));
    nodes.rest();
    let (idle, tally) = (Held::now(), Arc::new(Tally::default()));
    let few = streams.min(1_000);
    nodes.storm(!seed, few, &tally);
    Held::back_to(idle, usize::MAX / 2, "threads and descriptors");
    let before = Held::now();
    nodes.storm(seed, streams, &tally);
    println!("after {few} streams {before:?}, after {streams} more {:?}", Held::now());
    Held::back_to(before, 2 * NODES * NODES * SLACK, "after the storm");
    let [whole, given_up, ended_by_peer] = &*tally;
    println!("{whole:?} whole, {given_up:?} given up, {ended_by_peer:?} ended by the peer");
    assert!(tally.iter().all(|count| count.load(Ordering::Relaxed) > streams / 10));
    nodes.end();
}

#[test]
fn nothing_stays_of_streams_that_end_in_any_way() {
    let (seed, streams) = (dice::seed(), dice::number("STREAMS", 1_500));
    life(seed, 300); // What is made once.
    let before = Held::now();
    life(seed.wrapping_add(1), streams);
    Held::back_to(before, SLACK, "after the nodes");
}

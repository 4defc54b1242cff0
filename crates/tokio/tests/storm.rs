//! Streams that are opened, echoed and closed at random, and given up at random points: nothing of them may stay.
//! `STREAMS=100000 cargo test --release -p sanswarm-tokio --test storm -- --nocapture` for many.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;
#[path = "common/cut.rs"]
mod cut;
#[path = "../../host/tests/common/dice.rs"]
mod dice;
#[path = "../../host/tests/common/held.rs"]
mod held;

use core::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};
use std::sync::Arc;

use common::{payload, within};
use cut::cut;
use dice::Dice;
use held::Held;
use sanswarm_tokio::{Keypair, Node, Open, OpenStreamError, PeerInfo, ProtocolName, Stream, StreamError};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::{Builder, Handle},
    task::JoinSet,
};

/// So many nodes dial, and so many are dialled: each with each, 64 connections.
const NODES: usize = 8;

/// Streams at once, on all connections.
const AT_ONCE: usize = 512;

/// Bytes that an end of a connection may hold more after many streams than after few: rings and tables that grow once.
const SLACK: usize = 8192;

/// Bytes of heap that an idle connection may hold at each end, with its part of the nodes: with one buffer it is more.
const EACH: usize = 20 * 1024;

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
    /// Resets it after some bytes.
    Reset,
    /// Knows no such protocol.
    None,
}

const NAMES: [(Way, ProtocolName); 6] = [
    (Way::Echo, ProtocolName::from_static("/storm/echo")),
    (Way::Drop, ProtocolName::from_static("/storm/drop")),
    (Way::Part, ProtocolName::from_static("/storm/part")),
    (Way::Early, ProtocolName::from_static("/storm/early")),
    (Way::Reset, ProtocolName::from_static("/storm/reset")),
    (Way::None, ProtocolName::from_static("/storm/none")),
];

/// Where our end gives a stream up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Open,
    Write,
    Read,
    /// Behind our end, without reading.
    Finish,
    Never,
}

#[derive(Default)]
struct Tally {
    whole: AtomicUsize,
    given_up: AtomicUsize,
    ended_by_peer: AtomicUsize,
}

async fn serve(mut stream: Stream, way: Way, mut dice: Dice) {
    match way {
        Way::Drop | Way::None => {}
        Way::Echo => {
            if dice.one_in(4) {
                tokio::task::yield_now().await;
            }
            common::echo(stream).await;
        }
        Way::Part | Way::Reset => {
            let mut left = dice.below(30_000);
            while let Ok(Some(bytes)) = stream.read_bytes().await {
                if left < bytes.len() || stream.write_all(&bytes).await.is_err() {
                    break;
                }
                left -= bytes.len();
            }
            if way == Way::Reset {
                stream.reset();
            }
        }
        Way::Early => {
            let _ = stream.shutdown().await;
            if dice.one_in(2) {
                while let Ok(Some(_)) = stream.read_bytes().await {}
            }
        }
    }
}

/// Any end but that of the connection may come from the other end.
fn check(error: &std::io::Error, way: Way) {
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<StreamError>()).expect("a typed cause");
    assert!(matches!(cause, StreamError::Reset | StreamError::Refused(_)) && way != Way::Echo, "{way:?}: {error}");
}

/// One stream from its start to its end, wherever that is.
async fn run(node: Node, peer: PeerInfo, mut dice: Dice, tally: Arc<Tally>) {
    let (way, name) = NAMES[[0, 0, 0, 0, 1, 2, 3, 4, 5][dice.below(9)]].clone();
    let stop = dice.of(&[Stop::Never, Stop::Never, Stop::Open, Stop::Write, Stop::Read, Stop::Finish]);
    let opening = node.open_stream_with(name, peer, dice.of(&[Open::Wait, Open::Lazy]));
    let opened = if stop == Stop::Open { cut(&mut dice, opening).await } else { Some(opening.await) };
    let stream = match opened {
        None => {
            tally.given_up.fetch_add(1, Ordering::Relaxed);
            return;
        }
        Some(Err(OpenStreamError::Refused(refusal))) => {
            assert_ne!(way, Way::Echo, "{refusal}");
            tally.ended_by_peer.fetch_add(1, Ordering::Relaxed);
            return;
        }
        Some(Err(error)) => panic!("{way:?}: {error}"),
        Some(Ok(stream)) => stream,
    };
    let len = dice.of(&[0, 1, 100, 5_000, 40_000, 40_000 + 600_000 * usize::from(dice.clone().one_in(50))]);
    let data = payload(len, dice.next() as u8);
    let end = exchange(stream, &data, stop, way, &mut dice).await;
    match end {
        End::Whole => tally.whole.fetch_add(1, Ordering::Relaxed),
        End::GivenUp => tally.given_up.fetch_add(1, Ordering::Relaxed),
        End::ByPeer => tally.ended_by_peer.fetch_add(1, Ordering::Relaxed),
    };
}

enum End {
    Whole,
    GivenUp,
    ByPeer,
}

async fn exchange(stream: Stream, data: &[u8], stop: Stop, way: Way, dice: &mut Dice) -> End {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut got = Vec::new();
    let (mut writing_dice, mut reading_dice) = (Dice::new(dice.next()), Dice::new(dice.next()));
    let write = async {
        for piece in data.chunks(1 + writing_dice.below(20_000)) {
            writer.write_all(piece).await?;
        }
        writer.shutdown().await
    };
    let written =
        async { if stop == Stop::Write { cut(&mut Dice::new(dice.next()), write).await } else { Some(write.await) } };
    let read = async {
        match stop {
            Stop::Write | Stop::Finish => None,
            Stop::Read => cut(&mut reading_dice, reader.read_to_end(&mut got)).await,
            _ => Some(reader.read_to_end(&mut got).await),
        }
    };
    let (written, read) = if way == Way::Early || stop != Stop::Never || data.len() > 100_000 {
        tokio::join!(written, read)
    } else {
        (written.await, read.await)
    };
    assert!(data.starts_with(&got), "{way:?}: what came back is not what was sent");
    let errors = [written.as_ref().and_then(|r| r.as_ref().err()), read.as_ref().and_then(|r| r.as_ref().err())];
    errors.iter().flatten().for_each(|error| check(error, way));
    let is_cut = written.is_none() || read.is_none();
    if errors.iter().any(Option::is_some) {
        return End::ByPeer;
    }
    if is_cut {
        return End::GivenUp;
    }
    assert!(way == Way::Early || got.len() == data.len(), "{way:?}: {} of {}", got.len(), data.len());
    End::Whole
}

struct Nodes {
    dialers: Vec<Node>,
    listeners: Vec<(Node, PeerInfo)>,
}

impl Nodes {
    async fn start(seed: u64) -> Self {
        let count = Arc::new(AtomicU64::new(0));
        let config = |n: u8| {
            let mut config = sanswarm_tokio::config(Keypair::ed25519_from_bytes([n; 32]).unwrap());
            config.ping_interval = None; // so that at the end no stream is open
            config
        };
        let dialers: Vec<_> = (0..NODES as u8).map(|n| Node::new(config(n + 1)).unwrap()).collect();
        let mut listeners = Vec::new();
        for n in 0..NODES as u8 {
            let (node, info) = common::listener_on(Node::new(config(n + 101)).unwrap(), "/ip4/127.0.0.1/tcp/0").await;
            for (way, name) in NAMES.into_iter().filter(|(way, _)| *way != Way::None) {
                let count = count.clone();
                node.set_stream_handler(name, move |stream| {
                    let dice = Dice::fork(!seed, count.fetch_add(1, Ordering::Relaxed));
                    serve(stream, way, dice)
                });
            }
            listeners.push((node, info));
        }
        for dialer in &dialers {
            for (_, info) in &listeners {
                dialer.connect(info.clone()).await.unwrap();
                dialer.identify(info.id).await.unwrap();
            }
        }
        Self { dialers, listeners }
    }

    /// Runs so many streams, some at once, and waits until all of them have ended at both ends.
    async fn storm(&self, seed: u64, streams: usize, tally: &Arc<Tally>) {
        let mut running = JoinSet::new();
        for n in 0..streams {
            let mut dice = Dice::fork(seed, n as u64);
            let (node, (_, peer)) = (&self.dialers[dice.below(NODES)], &self.listeners[dice.below(NODES)]);
            running.spawn(run(node.clone(), peer.clone(), dice, tally.clone()));
            if running.len() >= AT_ONCE {
                within(running.join_next()).await.unwrap().unwrap();
            }
        }
        while let Some(done) = within(running.join_next()).await {
            done.unwrap();
        }
        within(self.rest()).await;
    }

    /// Waits until no connection has a stream or a buffer.
    async fn rest(&self) {
        for dialer in &self.dialers {
            for (listener, info) in &self.listeners {
                for (node, peer) in [(dialer, info.id), (listener, dialer.id())] {
                    loop {
                        let stats = node.stats(peer).await.expect("the connection is there from start to end");
                        if stats.streams == 0 && !stats.has_buffers {
                            break;
                        }
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                }
            }
        }
    }

    async fn end(self) {
        let all = self.dialers.iter().chain(self.listeners.iter().map(|(node, _)| node));
        for node in all {
            assert_eq!(node.shutdown(Duration::from_secs(5)).await, 0, "no stream is left that is cut");
        }
    }
}

/// Waits until there are as many tasks as before.
async fn tasks_back_to(before: usize) {
    let tasks = || Handle::current().metrics().num_alive_tasks();
    for _ in 0..500 {
        if tasks() == before {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} tasks, {before} before", tasks());
}

/// After so many streams every table has had the size that it will have again and again.
fn few_of(streams: usize) -> usize {
    streams.min(3_000).max(streams / 10)
}

async fn life(seed: u64, streams: usize) {
    let metrics = Handle::current().metrics();
    let none = metrics.num_alive_tasks();
    let empty = Held::now();
    let nodes = Nodes::start(seed).await;
    nodes.rest().await;
    let each = (Held::now().heap - empty.heap) / (2 * NODES * NODES);
    println!("{each} bytes of heap at each end of an idle connection");
    assert!(each <= EACH, "an idle connection holds {each} bytes of heap at each end");
    let (idle, tally) = (metrics.num_alive_tasks(), Arc::new(Tally::default()));
    nodes.storm(!seed, few_of(streams), &tally).await;
    tasks_back_to(idle).await;
    let few = Held::now();
    nodes.storm(seed, streams, &tally).await;
    tasks_back_to(idle).await;
    let many = Held::now();
    println!("after {} streams {few:?}, after {streams} more {many:?}", few_of(streams));
    Held::back_to(few, 2 * NODES * NODES * SLACK, "after the storm");
    let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    let Tally { whole, given_up, ended_by_peer } = &*tally;
    println!("{} whole, {} given up, {} ended by the peer", count(whole), count(given_up), count(ended_by_peer));
    assert!(count(whole) > streams / 10 && count(given_up) > streams / 10 && count(ended_by_peer) > streams / 10);
    nodes.end().await;
    tasks_back_to(none).await;
}

fn whole(seed: u64, streams: usize) {
    let runtime = Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(life(seed, streams));
}

#[test]
fn nothing_stays_of_streams_that_end_in_any_way() {
    let (seed, streams) = (dice::seed(), dice::number("STREAMS", 3_000));
    whole(seed, 500); // What is made once.
    let before = Held::now();
    whole(seed.wrapping_add(1), streams);
    Held::back_to(before, SLACK, "after the nodes");
}

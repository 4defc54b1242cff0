//! The nodes, and what is done with them.

use core::{
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};
use std::{io, sync::Arc};

use sanswarm_tokio::{Keypair, Node, Open, PeerInfo, ProtocolName, Stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinHandle,
    time::Instant,
};

use crate::{cut::cut, dice::Dice};

const ECHO: ProtocolName = ProtocolName::from_static("/soak/echo");
/// Counts what comes, and tells at its end.
const SINK: ProtocolName = ProtocolName::from_static("/soak/sink");
/// Drops its stream at once.
const DROP: ProtocolName = ProtocolName::from_static("/soak/drop");

/// Nodes that stay connected, each with each.
const STAYING: usize = 4;

/// What a worker does, again and again, and how many do it at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Streams of many MiB.
    Bulk,
    /// Streams of at most some KiB, echoed.
    Small,
    /// A byte there and back.
    PingPong,
    /// A new node connects, echoes and ends.
    Visit,
    /// A connection is closed in the middle of its streams.
    Disconnect,
    /// Calls that are given up at random points.
    Cancel,
}

const KINDS: [(Kind, usize); 6] = [
    (Kind::Bulk, 3),
    (Kind::Small, 8),
    (Kind::PingPong, 2),
    (Kind::Visit, 2),
    (Kind::Disconnect, 2),
    (Kind::Cancel, 4),
];

/// How a worker gets on.
pub(crate) struct Beat {
    pub(crate) kind: Kind,
    /// In milliseconds since the start.
    last: AtomicU64,
    pub(crate) count: AtomicU64,
}

pub(crate) struct Load {
    start: Instant,
    seed: u64,
    staying: Vec<(Node, PeerInfo)>,
    /// Two whose connections are closed all the time.
    restless: Vec<(Node, PeerInfo)>,
    pub(crate) beats: Vec<Beat>,
    /// Bytes of payload, each way counted.
    pub(crate) moved: AtomicU64,
    pub(crate) visitors: AtomicUsize,
    is_over: AtomicBool,
}

async fn node(dice: &mut Dice) -> (Node, PeerInfo) {
    let mut secret = [0; 32];
    secret.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&dice.next().to_le_bytes()));
    let mut config = sanswarm_tokio::config(Keypair::ed25519_from_bytes(secret).expect("32 bytes"));
    config.swarm.book_peers = 256; // Visitors soon fill it: then it is seen what grows beside it.
    let node = Node::new(config).expect("Ed25519 signs");
    node.set_stream_handler(ECHO, |stream| async move {
        let (mut reader, mut writer) = tokio::io::split(stream);
        if tokio::io::copy(&mut reader, &mut writer).await.is_ok() {
            let _ = writer.shutdown().await;
        }
    });
    node.set_stream_handler(SINK, sink);
    node.set_stream_handler(DROP, |stream| async move { drop(stream) });
    let address = node.listen("/ip4/127.0.0.1/tcp/0".parse().expect("an address")).await.expect("a port");
    let info = PeerInfo { id: node.id(), addrs: vec![address] };
    (node, info)
}

async fn sink(mut stream: Stream) {
    let mut count = 0_u64;
    loop {
        match stream.read_bytes().await {
            Ok(Some(bytes)) => count += bytes.len() as u64,
            Ok(None) => break,
            Err(_) => return,
        }
    }
    let _ = stream.write_u64(count).await;
    let _ = stream.shutdown().await;
}

fn pattern(len: usize, seed: u64) -> Vec<u8> {
    (0..len).map(|i| (i as u64 * 31 + (i as u64 >> 8) * 7 + seed) as u8).collect()
}

impl Load {
    pub(crate) async fn start(seed: u64) -> Self {
        let (mut staying, mut restless, mut dice) = (Vec::new(), Vec::new(), Dice::fork(seed, u64::MAX));
        for _ in 0..STAYING {
            staying.push(node(&mut dice).await);
        }
        for _ in 0..2 {
            restless.push(node(&mut dice).await);
        }
        let beat = |kind| Beat { kind, last: AtomicU64::new(0), count: AtomicU64::new(0) };
        let beats = KINDS.iter().flat_map(|(kind, count)| (0..*count).map(|_| beat(*kind))).collect();
        let (moved, visitors, is_over) = Default::default();
        Self { start: Instant::now(), seed, staying, restless, beats, moved, visitors, is_over }
    }

    pub(crate) fn stop(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Ends all nodes in good order.
    pub(crate) async fn end(&self) -> Result<(), String> {
        for (node, _) in self.staying.iter().chain(&self.restless) {
            let cut = node.shutdown(Duration::from_secs(10)).await;
            if cut > 0 {
                return Err(format!("{cut} connections were in use at the end"));
            }
        }
        Ok(())
    }

    fn beat(&self, worker: usize) {
        let now = self.start.elapsed().as_millis() as u64;
        self.beats[worker].last.store(now, Ordering::Relaxed);
    }

    fn count(&self, bytes: usize) {
        self.moved.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The kind of a worker that has stood still for so long.
    pub(crate) fn stuck(&self, time: Duration) -> Option<Kind> {
        let now = self.start.elapsed().as_millis() as u64;
        let is_late = |beat: &&Beat| beat.last.load(Ordering::Relaxed) + (time.as_millis() as u64) < now;
        self.beats.iter().find(is_late).map(|beat| beat.kind)
    }

    /// How many connections there are between nodes that last, at both ends together, and how many streams.
    pub(crate) async fn links(&self) -> (usize, usize) {
        let (mut connections, mut streams) = (0, 0);
        for nodes in [&self.staying, &self.restless] {
            for (node, _) in nodes {
                for (_, info) in nodes {
                    if let Some(stats) = node.stats(info.id).await {
                        connections += 1;
                        streams += stats.streams;
                    }
                }
            }
        }
        (connections, streams)
    }

    /// Two different nodes of those that stay.
    fn pair(&self, dice: &mut Dice) -> (&Node, PeerInfo) {
        let (a, step) = (dice.below(STAYING), 1 + dice.below(STAYING - 1));
        (&self.staying[a].0, self.staying[(a + step) % STAYING].1.clone())
    }
}

pub(crate) fn workers(load: &Arc<Load>) -> Vec<JoinHandle<()>> {
    (0..load.beats.len()).map(|worker| tokio::spawn(work(load.clone(), worker))).collect()
}

async fn work(load: Arc<Load>, worker: usize) {
    let kind = load.beats[worker].kind;
    let mut dice = Dice::fork(load.seed, worker as u64);
    while !load.is_over() {
        let done = match kind {
            Kind::Bulk => bulk(&load, worker, &mut dice).await,
            Kind::Small => small(&load, &mut dice).await,
            Kind::PingPong => ping_pong(&load, worker, &mut dice).await,
            Kind::Visit => visit(&load, &mut dice).await,
            Kind::Disconnect => disconnect(&load, &mut dice).await,
            Kind::Cancel => cancel(&load, &mut dice).await,
        };
        done.unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        load.beat(worker);
        load.beats[worker].count.fetch_add(1, Ordering::Relaxed);
    }
}

async fn open(node: &Node, name: ProtocolName, peer: PeerInfo) -> io::Result<Stream> {
    node.open_stream(name, peer).await.map_err(io::Error::other)
}

fn check(is_so: bool, what: &str) -> io::Result<()> {
    if is_so { Ok(()) } else { Err(io::Error::other(what.to_owned())) }
}

async fn bulk(load: &Load, worker: usize, dice: &mut Dice) -> io::Result<()> {
    let (node, peer) = load.pair(dice);
    let mut stream = open(node, SINK, peer).await?;
    let (block, mut sent) = (vec![dice.next() as u8; 1 + dice.below(256 * 1024)], 0_u64);
    for _ in 0..dice.below(1000) {
        stream.write_all(&block).await?;
        sent += block.len() as u64;
        load.count(block.len());
        load.beat(worker);
        if load.is_over() {
            break;
        }
    }
    stream.shutdown().await?;
    check(stream.read_u64().await? == sent, "not all has come that was sent")?;
    check(stream.read_bytes().await?.is_none(), "more than an answer")
}

async fn small(load: &Load, dice: &mut Dice) -> io::Result<()> {
    let (node, peer) = load.pair(dice);
    exchange(load, node, peer, dice).await
}

/// An echo of at most some KiB.
async fn exchange(load: &Load, node: &Node, peer: PeerInfo, dice: &mut Dice) -> io::Result<()> {
    let mut stream = open(node, ECHO, peer).await?;
    let data = pattern(dice.of(&[0, 1, 100, 4_000, 30_000]), dice.next());
    stream.write_all(&data).await?;
    stream.shutdown().await?;
    let mut got = Vec::new();
    stream.read_to_end(&mut got).await?;
    load.count(2 * data.len());
    check(got == data, "what came back is not what was sent")
}

async fn ping_pong(load: &Load, worker: usize, dice: &mut Dice) -> io::Result<()> {
    let (node, peer) = load.pair(dice);
    let mut stream = open(node, ECHO, peer).await?;
    for n in 0..dice.below(5_000) {
        stream.write_u8(n as u8).await?;
        check(stream.read_u8().await? == n as u8, "another byte came back")?;
        load.beat(worker);
        if load.is_over() {
            break;
        }
    }
    stream.shutdown().await?;
    check(stream.read_bytes().await?.is_none(), "more than was sent")
}

async fn visit(load: &Load, dice: &mut Dice) -> io::Result<()> {
    let node = Node::with_new_identity();
    load.visitors.fetch_add(1, Ordering::Relaxed);
    let peer = load.staying[dice.below(STAYING)].1.clone();
    let result = exchange(load, &node, peer, dice).await;
    // Sometimes it just goes.
    if dice.one_in(2) {
        check(node.shutdown(Duration::from_secs(5)).await == 0, "a visitor was cut")?;
    }
    load.visitors.fetch_sub(1, Ordering::Relaxed);
    result
}

async fn disconnect(load: &Load, dice: &mut Dice) -> io::Result<()> {
    let (one, other) = if dice.one_in(2) { (0, 1) } else { (1, 0) };
    let (node, peer) = (&load.restless[one].0, load.restless[other].1.clone());
    for _ in 0..dice.below(8) {
        // The other worker, or the other end, may close the connection under it: an end that is no echo is none of ours.
        let _ = exchange(load, node, peer.clone(), dice).await;
    }
    if let Ok(stream) = node.open_stream(ECHO, peer.clone()).await {
        node.disconnect(peer.id).await;
        drop(stream);
    }
    Ok(())
}

async fn cancel(load: &Load, dice: &mut Dice) -> io::Result<()> {
    let (node, peer) = load.pair(dice);
    let (name, how) = (dice.of(&[0, 1, 2]), dice.of(&[Open::Wait, Open::Lazy]));
    let name = [ECHO, SINK, DROP][name].clone();
    let opening = node.open_stream_with(name, peer, how);
    let opened = if dice.one_in(3) { cut(dice, opening).await } else { Some(opening.await) };
    // A stream that its peer drops may be refused, or end at any point.
    let Some(Ok(mut stream)) = opened else { return Ok(()) };
    let data = pattern(dice.below(60_000), dice.next());
    let _ = cut(dice, stream.write_all(&data)).await;
    if dice.one_in(2) {
        let _ = stream.shutdown().await;
    }
    let mut got = vec![0; 1 + dice.below(1000)];
    let _ = cut(dice, stream.read(&mut got)).await;
    load.count(data.len());
    Ok(())
}

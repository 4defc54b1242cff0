//! A proxy between two nodes does harm at any byte: everything ends in time and with a typed cause, what comes back is what
//! was sent, and nothing stays. `CASES=10000 cargo test --release -p sanswarm-tokio --test proxy` for many.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;
#[path = "../../host/tests/common/dice.rs"]
mod dice;
#[path = "../../host/tests/common/held.rs"]
mod held;
#[path = "../../host/tests/common/proxy.rs"]
mod proxy;

use core::{net::SocketAddr, time::Duration};
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
};

use common::{ECHO, echo, listener_on, payload};
use dice::Dice;
use held::Held;
use proxy::{Fault, Plan, Proxies};
use sanswarm_tokio::{
    Config, Event, EventsError, Keypair, Multiaddr, Node, Open, OpenStreamError, PeerId, PeerInfo, Stream, StreamError,
    core::{Muxer, Security},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::{Builder, Handle},
    task::JoinSet,
    time::{Instant, timeout},
};

/// Cases at once.
const AT_ONCE: usize = 48;

/// Every wait of a node is shorter, and of those that can follow each other a few fit in.
const HANG: Duration = Duration::from_secs(12);

/// Bytes of heap that the end of everything may leave.
const SLACK: usize = 8192;

/// Nodes that lose patience soon. Without pings nothing but the bytes and the deadlines wakes them.
fn hasty(dice: &mut Dice, pings: bool) -> Config {
    let mut secret = [0; 32];
    secret.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&dice.next().to_le_bytes()));
    let mut config = sanswarm_tokio::config(Keypair::ed25519_from_bytes(secret).unwrap());
    config.security = vec![Security::Noise];
    config.muxers = vec![Muxer::Yamux];
    #[cfg(feature = "tls")]
    config.security.push(Security::Tls);
    #[cfg(feature = "mplex")]
    config.muxers.push(Muxer::Mplex);
    let second = Duration::from_secs(1);
    config.connection.upgrade_timeout = second;
    config.connection.negotiation_timeout = second;
    config.connection.frame_timeout = second;
    config.ping_interval = pings.then_some(second / 5);
    config.ping_timeout = second;
    config.identify_timeout = second;
    config
}

/// Closes what does not answer pings any more: that is for applications to decide.
async fn watch(node: Node) {
    let mut events = node.events();
    loop {
        match events.next().await {
            Ok(Event::Ping { peer, result: Err(_), .. }) => drop(node.disconnect(peer).await),
            Err(EventsError::Ended) => return,
            _ => {}
        }
    }
}

#[derive(Default)]
struct Seen {
    /// What came of it, by fault.
    ends: BTreeMap<String, usize>,
    peers: Vec<PeerId>,
    longest: Duration,
}

/// What all cases share.
struct World {
    proxies: Proxies,
    /// Without pings, and with them.
    bobs: [(PeerInfo, SocketAddr); 2],
    seen: Mutex<Seen>,
}

/// One connection, and what becomes of it.
async fn case(world: Arc<World>, mut dice: Dice) {
    let len = dice.of(&[10, 3_000, 200_000]);
    let at = match dice.below(8) {
        0 => 0,
        1..5 => dice.below(800), // in the handshake or the negotiation
        _ => dice.below(800 + len),
    };
    let plan = Plan { fault: dice.of(&Fault::ALL), of_dialer: dice.one_in(2), at };
    let pings = !plan.fault.is_harmless();
    let (bob, at) = &world.bobs[usize::from(pings)];
    let proxy = world.proxies.open(*at, plan);
    let address: Multiaddr = format!("/ip4/127.0.0.1/tcp/{}", proxy.at.port()).parse().unwrap();
    let mut config = hasty(&mut dice, pings);
    config.security = vec![dice.of(&config.security)];
    config.muxers = vec![dice.of(&config.muxers)];
    let alice = Node::new(config).unwrap();
    let watching = tokio::spawn(watch(alice.clone()));
    let how = dice.of(&[Open::Wait, Open::Lazy]);
    let (data, start) = (payload(len, dice.next() as u8), Instant::now());
    let ending = async {
        let stream = alice.open_stream_with(ECHO, PeerInfo { id: bob.id, addrs: vec![address] }, how).await;
        match stream {
            Ok(stream) => exchange(stream, &data).await,
            Err(error) => Err(of_open(&error)),
        }
    };
    let end = timeout(HANG, ending).await.unwrap_or_else(|_| panic!("{plan:?}: it hangs"));
    assert!(end.is_ok() || (proxy.is_hit() && !plan.fault.is_harmless()), "{plan:?}: {end:?} without a cause");
    timeout(HANG, alice.shutdown(Duration::ZERO)).await.unwrap_or_else(|_| panic!("{plan:?}: shutdown hangs"));
    watching.await.unwrap();
    let name = if proxy.is_hit() { format!("{:?}", plan.fault) } else { "no fault".to_owned() };
    let mut seen = world.seen.lock().unwrap();
    *seen.ends.entry(format!("{name}: {}", end.as_ref().map_or_else(String::as_str, |()| "whole"))).or_default() += 1;
    seen.peers.push(alice.id());
    seen.longest = seen.longest.max(start.elapsed());
}

/// A code, which says nothing of bytes that were changed: they are not.
fn of_open(error: &OpenStreamError) -> String {
    let expected = ["connect", "open", "eof", "timeout", "closed", "stream-timeout", "stream-reset"];
    assert!(expected.contains(&error.code()), "{}: {error}", error.code());
    format!("open {}", error.code())
}

fn of_stream(error: &io::Error) -> String {
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<StreamError>()).expect("a typed cause");
    match cause {
        StreamError::Closed => "stream closed".to_owned(),
        StreamError::Reset => "stream reset".to_owned(),
        StreamError::Refused(refusal) => format!("stream {}", refusal.code()),
        other => panic!("{other}"),
    }
}

/// Sends and reads at once. What is read is what was sent, up to where it ends.
async fn exchange(stream: Stream, data: &[u8]) -> Result<(), String> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let write = async {
        writer.write_all(data).await?;
        writer.shutdown().await
    };
    let mut got = Vec::new();
    let (written, read) = tokio::join!(write, reader.read_to_end(&mut got));
    assert!(data.starts_with(&got), "what came back is not what was sent");
    written.map_err(|error| of_stream(&error))?;
    read.map_err(|error| of_stream(&error))?;
    assert_eq!(got.len(), data.len(), "an end that is no error is the end");
    Ok(())
}

/// A node that echoes, and where.
async fn bob(dice: &mut Dice, pings: bool) -> (Node, (PeerInfo, SocketAddr)) {
    let (bob, info) = listener_on(Node::new(hasty(dice, pings)).unwrap(), "/ip4/127.0.0.1/tcp/0").await;
    bob.set_stream_handler(ECHO, echo);
    let port: u16 = info.addrs[0].to_string().rsplit('/').next().unwrap().parse().unwrap();
    (bob, (info, SocketAddr::from(([127, 0, 0, 1], port))))
}

async fn life(seed: u64, cases: usize) -> Seen {
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let (mut bobs, mut infos) = (Vec::new(), Vec::new());
    for pings in [false, true] {
        let (bob, info) = bob(&mut Dice::fork(!seed, u64::from(pings)), pings).await;
        bobs.push((bob.clone(), tokio::spawn(watch(bob))));
        infos.push(info);
    }
    let bobs_at = infos.try_into().unwrap();
    let world = Arc::new(World { proxies: Proxies::start(), bobs: bobs_at, seen: Mutex::default() });
    let (idle, held) = (tasks(), Held::now());
    let mut running = JoinSet::new();
    for n in 0..cases {
        running.spawn(case(world.clone(), Dice::fork(seed, n as u64)));
        if running.len() >= AT_ONCE {
            running.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
    let world = Arc::into_inner(world).unwrap();
    let seen = world.seen.into_inner().unwrap();
    for peer in &seen.peers {
        gone(&bobs[0].0, *peer).await;
        gone(&bobs[1].0, *peer).await;
    }
    drop(world.proxies);
    settles(|| tasks() == idle, "tasks of connections that are gone").await;
    settles(|| Held::now().descriptors < held.descriptors, "sockets of connections that are gone").await; // and of proxies
    for (bob, watching) in bobs {
        assert_eq!(bob.shutdown(Duration::from_secs(5)).await, 0);
        watching.await.unwrap();
    }
    settles(|| tasks() == before, "tasks of nodes that have ended").await;
    seen
}

/// Waits until a peer has no connection to the node.
async fn gone(node: &Node, peer: PeerId) {
    let start = Instant::now();
    while node.stats(peer).await.is_some() {
        assert!(start.elapsed() < HANG, "a connection that does not end");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn settles(is_so: impl Fn() -> bool, what: &str) {
    for _ in 0..500 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} stay");
}

fn whole(seed: u64, cases: usize) -> Seen {
    let runtime = Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(life(seed, cases))
}

#[test]
fn nothing_hangs_and_nothing_stays_whatever_the_line_does() {
    let (seed, cases) = (dice::seed(), dice::number("CASES", 200));
    whole(seed, 24); // What is made once.
    let before = Held::now();
    let seen = whole(seed.wrapping_add(1), cases);
    seen.ends.iter().for_each(|(end, count)| println!("{count:6} {end}"));
    println!("the longest took {:?}", seen.longest);
    drop(seen);
    Held::back_to(before, SLACK, "after the nodes");
}

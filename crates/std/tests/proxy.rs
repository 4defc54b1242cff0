//! A proxy between two nodes does harm at any byte: everything ends in time and with a typed cause, what comes back is what
//! was sent, and nothing stays. `CASES=10000 cargo test --release -p sanswarm-std --test proxy` for many.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;
#[path = "../../host/tests/common/dice.rs"]
mod dice;
#[path = "../../host/tests/common/held.rs"]
mod held;
#[path = "../../host/tests/common/proxy.rs"]
mod proxy;

use core::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    sync::{Arc, Mutex, mpsc},
    thread,
};

use common::{ECHO, echo, listen_on, pattern, start};
use dice::Dice;
use held::Held;
use proxy::{Fault, Plan, Proxies};
use sanswarm_std::{
    Config, Event, Keypair, Multiaddr, Node, Open, OpenStreamError, PeerId, PeerInfo, ReadError, Refusal, Stream,
    WriteError,
    core::{Muxer, Security},
    new_config,
};

/// Cases at once.
const AT_ONCE: usize = 32;

/// Every wait of a node is shorter, and of those that can follow each other a few fit in.
const HANG: Duration = Duration::from_secs(12);

/// Bytes of heap that the end of everything may leave.
const SLACK: usize = 8192;

/// Nodes that lose patience soon. Without pings nothing but the bytes and the deadlines wakes them.
fn hasty(dice: &mut Dice, pings: bool) -> Config {
    let mut secret = [0; 32];
    secret.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&dice.next().to_le_bytes()));
    let mut config = new_config().unwrap();
    config.keypair = Keypair::ed25519_from_bytes(secret).unwrap();
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

/// Closes what does not answer pings any more: that is for applications to decide. Ends with the node.
fn watch(node: &Node) -> thread::JoinHandle<()> {
    let (node, events) = (node.clone(), node.events());
    start(move || {
        for event in events {
            if let Event::Ping { peer, result: Err(_), .. } = event {
                node.disconnect(peer);
            }
        }
    })
}

/// What a test that hangs must not do: the thread is given up.
fn within<T: Send + 'static>(plan: Plan, run: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    let thread = start(move || drop(sender.send(run())));
    let result = receiver.recv_timeout(HANG);
    assert_ne!(result.as_ref().err(), Some(&mpsc::RecvTimeoutError::Timeout), "{plan:?}: it hangs");
    thread.join().unwrap();
    result.unwrap()
}

#[derive(Default)]
struct Seen {
    /// What came of it, by fault.
    ends: BTreeMap<String, usize>,
    peers: Vec<PeerId>,
}

/// What all cases share.
struct World {
    proxies: Proxies,
    /// Without pings, and with them.
    bobs: [(PeerInfo, SocketAddr); 2],
    seen: Mutex<Seen>,
}

/// One connection, and what becomes of it.
fn case(world: &World, mut dice: Dice) {
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
    let watching = watch(&alice);
    let how = dice.of(&[Open::Wait, Open::Lazy]);
    let (peer, data, node) = (PeerInfo { id: bob.id, addrs: vec![address] }, pattern(len, dice.next()), alice.clone());
    let end = within(plan, move || match node.open_stream_with(ECHO, peer, how) {
        Ok(stream) => exchange(&stream, data),
        Err(error) => Err(of_open(&error)),
    });
    assert!(end.is_ok() || (proxy.is_hit() && !plan.fault.is_harmless()), "{plan:?}: {end:?} without a cause");
    let node = alice.clone();
    within(plan, move || node.shutdown(Duration::ZERO));
    watching.join().unwrap();
    let name = if proxy.is_hit() { format!("{:?}", plan.fault) } else { "no fault".to_owned() };
    let mut seen = world.seen.lock().unwrap();
    *seen.ends.entry(format!("{name}: {}", end.as_ref().map_or_else(String::as_str, |()| "whole"))).or_default() += 1;
    seen.peers.push(alice.id());
}

/// A code, which says nothing of bytes that were changed: they are not.
fn of_open(error: &OpenStreamError) -> String {
    let expected = ["connect", "open", "eof", "timeout", "closed", "stream-timeout", "stream-reset"];
    assert!(expected.contains(&error.code()), "{}: {error}", error.code());
    format!("open {}", error.code())
}

fn of_stream(error: &io::Error) -> String {
    let source = error.get_ref().expect("a typed cause");
    if let Some(refusal) = source.downcast_ref::<Refusal>() {
        return format!("stream {}", refusal.code());
    }
    let is_typed = source.is::<ReadError>() || source.is::<WriteError>();
    assert!(is_typed, "{error}");
    format!("stream {:?}", error.kind())
}

/// Sends and reads at once. What is read is what was sent, up to where it ends.
fn exchange(stream: &Stream, data: Vec<u8>) -> Result<(), String> {
    let (writer, sent) = (stream.try_clone().unwrap(), data.clone());
    let writing = start(move || {
        (&writer).write_all(&sent)?;
        writer.finish()
    });
    let mut got = Vec::new();
    let read = (&mut &*stream).read_to_end(&mut got);
    assert!(data.starts_with(&got), "what came back is not what was sent");
    writing.join().unwrap().map_err(|error| of_stream(&error))?;
    read.map_err(|error| of_stream(&error))?;
    assert_eq!(got.len(), data.len(), "an end that is no error is the end");
    Ok(())
}

/// A node that echoes, and where.
fn bob(dice: &mut Dice, pings: bool) -> (Node, (PeerInfo, SocketAddr)) {
    let bob = Node::new(hasty(dice, pings)).unwrap();
    bob.set_stream_handler(ECHO, echo);
    let info = listen_on(&bob, "/ip4/127.0.0.1/tcp/0");
    let port: u16 = info.addrs[0].to_string().rsplit('/').next().unwrap().parse().unwrap();
    (bob, (info, SocketAddr::from(([127, 0, 0, 1], port))))
}

fn life(seed: u64, cases: usize) -> Seen {
    let (mut bobs, mut infos) = (Vec::new(), Vec::new());
    for pings in [false, true] {
        let (bob, info) = bob(&mut Dice::fork(!seed, u64::from(pings)), pings);
        bobs.push((bob.clone(), watch(&bob)));
        infos.push(info);
    }
    let before = Held::now();
    let bobs_at = infos.try_into().unwrap();
    let world = Arc::new(World { proxies: Proxies::start(), bobs: bobs_at, seen: Mutex::default() });
    let next = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (world, next) = (world.clone(), next.clone());
            start(move || {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= cases {
                        return;
                    }
                    case(&world, Dice::fork(seed, n as u64));
                }
            })
        })
        .collect();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    let world = Arc::into_inner(world).unwrap();
    let seen = world.seen.into_inner().unwrap();
    for (peer, (bob, _)) in seen.peers.iter().flat_map(|peer| bobs.iter().map(move |bob| (peer, bob))) {
        common::eventually("the connection ends", || bob.stats(*peer).is_none());
    }
    drop(world.proxies);
    Held::back_to(before, usize::MAX / 2, "sockets and threads of connections that are gone");
    for (bob, watching) in bobs {
        assert_eq!(bob.shutdown(Duration::from_secs(5)), 0);
        watching.join().unwrap();
    }
    seen
}

#[test]
fn nothing_hangs_and_nothing_stays_whatever_the_line_does() {
    let (seed, cases) = (dice::seed(), dice::number("CASES", 120));
    drop(Proxies::start()); // The runtime makes two sockets once, if it was built with signals.
    life(seed, 24); // What is made once.
    let before = Held::now();
    let seen = life(seed.wrapping_add(1), cases);
    seen.ends.iter().for_each(|(end, count)| println!("{count:6} {end}"));
    drop(seen);
    Held::back_to(before, SLACK, "after the nodes");
}

//! Dials, peers, strangers, ends.

#![allow(clippy::unwrap_used)] // clippy sees helpers outside of #[test] as no tests

mod common;

use core::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, mpsc},
    thread,
};

use common::*;
use sanswarm_std::{
    Config, Event, IdentifyError, ListenError, Multiaddr, Node, OpenStreamError, PeerInfo, PingError, ProtocolName,
    TransportError, new_config,
};

fn quick() -> Config {
    let mut config = new_config().unwrap();
    config.connection.upgrade_timeout = Duration::from_millis(500);
    config
}

fn report(result: Result<impl Sized, OpenStreamError>) -> String {
    match result {
        Ok(_) => panic!("it should have failed"),
        Err(error) => format!("{}: {error}", error.code()),
    }
}

#[test]
fn ping_and_identify_answer() {
    within(|| {
        let (alice, bob, info) = pair();
        assert!(alice.ping(info.id).unwrap() < SECOND);
        let said = alice.identify(info.id).unwrap();
        assert!(said.protocols.iter().any(|name| name == ECHO.as_str()), "{said:?}");
        assert_eq!(said.listen_addrs, info.addrs);
        bob.identify(alice.id()).unwrap();
        let pings: Vec<_> = (0..8)
            .map(|_| {
                let alice = alice.clone();
                start(move || alice.ping(info.id))
            })
            .collect();
        assert!(pings.into_iter().all(|ping| ping.join().unwrap().is_ok()));
        let stranger = Node::with_new_identity().unwrap().id();
        assert_eq!(alice.ping(stranger), Err(PingError::Closed));
        assert_eq!(alice.identify(stranger), Err(IdentifyError::Closed));
        assert_eq!(alice.stats(stranger), None);
        let stats = alice.stats(info.id).unwrap();
        assert!(stats.round_trips >= 2 && stats.bytes_in > 300 && stats.bytes_out > 300, "{stats:?}");
    });
}

#[test]
fn events_tell_what_happens() {
    within(|| {
        let (bob, info) = server("/ip4/127.0.0.1/tcp/0");
        let alice = Node::with_new_identity().unwrap();
        let events = alice.events();
        alice.connect(info.clone()).unwrap();
        alice.identify(info.id).unwrap();
        bob.disconnect(alice.id());
        let mut told = Vec::new();
        while let Some(event) = events.recv_timeout(2 * SECOND) {
            let is_last = matches!(event, Event::Disconnected { .. });
            told.push(event);
            if is_last {
                break;
            }
        }
        assert!(matches!(told.first(), Some(Event::Connected { peer, .. }) if *peer == info.id), "{told:?}");
        assert!(told.iter().any(|event| matches!(event, Event::PeerReady { identify: Ok(_), .. })), "{told:?}");
        assert!(matches!(told.last(), Some(Event::Disconnected { .. })), "{told:?}");
        assert_eq!(events.missed(), 0);
        alice.shutdown(SECOND);
        assert_eq!(events.recv(), Some(Event::ShutDown { cut: 0 }));
        assert_eq!(events.recv(), None);
        assert_eq!(alice.events().recv(), None);
    });
}

#[test]
fn another_peer_is_refused() {
    within(|| {
        let (_bob, mut info) = server("/ip4/127.0.0.1/tcp/0");
        let alice = Node::with_new_identity().unwrap();
        info.id = Node::with_new_identity().unwrap().id();
        let text = report(alice.open_stream(ECHO, info));
        assert!(text.starts_with("wrong-peer"), "{text}");
    });
}

#[test]
fn nobody_listens_there() {
    within(|| {
        let alice = Node::with_new_identity().unwrap();
        let id = Node::with_new_identity().unwrap().id();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address: Multiaddr = format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap();
        let text = report(alice.open_stream(ECHO, PeerInfo { id, addrs: vec![address.clone()] }));
        assert!(text.contains(&format!("{address}: connect: connection refused")), "{text}");
        let text = report(alice.connect(PeerInfo { id, addrs: vec!["/dns/no-such.invalid/tcp/1".parse().unwrap()] }));
        assert!(text.contains("not resolved"), "{text}");
        assert!(report(alice.open_stream(ECHO, id)).contains("no-addresses"));
    });
}

#[test]
fn addresses_that_cannot_be_listened_on() {
    within(|| {
        let (bob, info) = server("/ip4/127.0.0.1/tcp/0");
        let alice = Node::with_new_identity().unwrap();
        let taken = ListenError::System(TransportError::AddressInUse);
        assert_eq!(alice.listen(info.addrs[0].clone()), Err(taken));
        let dns = "/dns4/localhost/tcp/0".parse().unwrap();
        assert_eq!(alice.listen(dns), Err(ListenError::System(TransportError::Unsupported)));
        assert!(matches!(alice.listen("/ip4/127.0.0.1/udp/1".parse().unwrap()), Err(ListenError::Denied(_))));
        bob.shutdown(SECOND);
        assert_eq!(bob.listen(info.addrs[0].clone()), Err(ListenError::Ended));
        alice.listen(info.addrs[0].clone()).expect("it is free again");
    });
}

/// A listener that treats whoever connects by `manners`.
fn stranger(manners: fn(TcpStream)) -> PeerInfo {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    start(move || {
        if let Ok((socket, _)) = listener.accept() {
            manners(socket);
        }
    });
    let id = Node::with_new_identity().unwrap().id();
    PeerInfo { id, addrs: vec![format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()] }
}

const HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";

fn drain(mut socket: &TcpStream) {
    let _ = std::io::copy(&mut socket, &mut std::io::sink());
}

#[test]
fn strangers_that_are_dialled_end_in_a_report() {
    within(|| {
        let alice = Node::new(quick()).unwrap();
        let manners: [fn(TcpStream); 5] = [
            |mut socket| {
                socket.write_all(HTTP).unwrap();
                drain(&socket);
            },
            |mut socket| {
                let _ = socket.write_all(&pattern(100_000, 1));
                drain(&socket);
            },
            |socket| drain(&socket),
            |_| {},
            |mut socket| {
                // Closes in the middle of the negotiation.
                let _ = socket.read(&mut [0; 10]);
                let _ = socket.write_all(b"\x13/multistream/1.0.0\n\x07/noi");
                let _ = socket.shutdown(Shutdown::Write);
                drain(&socket);
            },
        ];
        for manners in manners {
            let text = report(alice.open_stream(ECHO, stranger(manners)));
            println!("{text}");
        }
        assert_eq!(alice.shutdown(2 * SECOND), 0);
    });
}

#[test]
fn a_listener_survives_strangers() {
    within(|| {
        let bob = Node::new(quick()).unwrap();
        bob.set_stream_handler(ECHO, echo);
        let info = listen_on(&bob, "/ip4/127.0.0.1/tcp/0");
        let events = bob.events();
        let target = info.addrs[0].to_string();
        let port: u16 = target.rsplit('/').next().unwrap().parse().unwrap();
        let connect = || TcpStream::connect(("127.0.0.1", port)).unwrap();
        connect().write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        connect().write_all(&pattern(50_000, 2)).unwrap();
        connect().write_all(b"\x13/multistream/1.0.0\n").unwrap();
        drop(connect());
        let silent = connect();
        let mut cut = connect();
        cut.write_all(b"\x13/multis").unwrap();
        cut.shutdown(Shutdown::Both).unwrap();
        for _ in 0..6 {
            let event = events.recv_timeout(3 * SECOND);
            assert!(matches!(event, Some(Event::AcceptFailed { .. })), "{event:?}");
        }
        drain(&silent); // closed from there
        let alice = Node::with_new_identity().unwrap();
        round_trip(&alice.open_stream(ECHO, info).unwrap(), 1 << 20, 3);
    });
}

#[test]
fn fifty_connections() {
    within(|| {
        let (bob, info) = server("/ip4/127.0.0.1/tcp/0");
        let nodes: Vec<_> = (0..50)
            .map(|seed| {
                let info = info.clone();
                start(move || {
                    let node = Node::with_new_identity().unwrap();
                    let stream = node.open_stream(ECHO, info).unwrap();
                    round_trip(&stream, 20_000, seed);
                    (node, stream)
                })
            })
            .collect();
        let nodes: Vec<_> = nodes.into_iter().map(|node| node.join().unwrap()).collect();
        for (node, _) in &nodes {
            assert!(bob.stats(node.id()).is_some());
        }
        assert_eq!(bob.shutdown(2 * SECOND), 0);
        for (node, stream) in &nodes {
            eventually("its connection has ended", || node.stats(bob.id()).is_none());
            assert!((&mut &*stream).write(b"x").is_err());
        }
    });
}

#[test]
fn shutdown_ends_every_call() {
    within(|| {
        let (alice, _bob, info) = pair();
        let stream = alice.open_stream(ECHO, info).unwrap();
        let read = start(move || (&stream).read(&mut [0]).unwrap_err());
        let (sender, accepted) = mpsc::channel();
        let silent = stranger(|socket| drain(&socket));
        let dialer = alice.clone();
        let open = start(move || {
            sender.send(()).unwrap();
            dialer.open_stream(ECHO, silent).map(drop).unwrap_err()
        });
        accepted.recv().unwrap();
        thread::sleep(Duration::from_millis(50));
        alice.shutdown(2 * SECOND);
        read.join().unwrap();
        open.join().unwrap();
        let id = alice.id();
        assert!(alice.open_stream(ECHO, id).is_err());
        assert_eq!((alice.shutdown(SECOND), alice.disconnect(id)), (0, 0));
        assert_eq!(alice.ping(id), Err(PingError::Closed));
        alice.set_stream_handler(ECHO, echo);
    });
}

/// Carries bytes between whoever connects and `target`, until it is told to stand still with both sockets open.
fn proxy(target: u16) -> (u16, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let still = Arc::<AtomicBool>::default();
    let flag = still.clone();
    start(move || {
        let (near, _) = listener.accept().unwrap();
        let far = TcpStream::connect(("127.0.0.1", target)).unwrap();
        let carry = |mut from: &TcpStream, mut to: &TcpStream| {
            let mut block = [0; 4096];
            while !flag.load(Ordering::Relaxed) {
                let n = from.read(&mut block).unwrap_or(0);
                if n == 0 || to.write_all(&block[..n]).is_err() {
                    return;
                }
            }
            thread::sleep(5 * SECOND);
        };
        thread::scope(|scope| {
            scope.spawn(|| carry(&near, &far));
            carry(&far, &near);
        });
    });
    (port, still)
}

/// Shuts down a node whose peer does not read and whose socket is full. Returns how many connections were cut, and after
/// how long.
fn shutdown_behind_a_full_socket(close: Duration, deadline: Duration) -> (usize, Duration) {
    const STREAMS: usize = 64;
    let mut config = new_config().unwrap();
    config.connection.close_timeout = close;
    let bob = Node::new(config).unwrap();
    let flood = ProtocolName::from_static("/flood/1");
    let (sender, ready) = mpsc::channel();
    bob.set_stream_handler(&flood, move |stream| {
        stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        let _ = (&stream).read(&mut [0]);
        let error = (&stream).write_all(&vec![1; 8 << 20]).unwrap_err();
        let _ = sender.send(error.kind());
        let _ = stream.read_bytes();
    });
    let mut info = listen_on(&bob, "/ip4/127.0.0.1/tcp/0");
    let port: u16 = info.addrs[0].to_string().rsplit('/').next().unwrap().parse().unwrap();
    let (port, still) = proxy(port);
    info.addrs = vec![format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()];
    let alice = Node::with_new_identity().unwrap();
    let streams: Vec<_> = (0..STREAMS).map(|_| alice.open_stream(&flood, info.clone()).unwrap()).collect();
    streams.iter().for_each(|mut stream| stream.write_all(b"x").unwrap());
    thread::sleep(Duration::from_millis(100));
    still.store(true, Ordering::Relaxed);
    for _ in 0..STREAMS {
        assert_eq!(ready.recv_timeout(5 * SECOND), Ok(ErrorKind::TimedOut));
    }
    #[expect(clippy::disallowed_methods, reason = "the test measures time")]
    let start = std::time::Instant::now();
    (bob.shutdown(deadline), start.elapsed())
}

#[test]
fn a_goodbye_into_a_full_socket_ends_at_the_close_timeout() {
    within(|| {
        let (cut, time) = shutdown_behind_a_full_socket(Duration::from_millis(400), Duration::from_millis(300));
        assert_eq!(cut, 1, "its streams are open");
        assert!(time < 2 * SECOND, "{time:?}");
    });
}

#[test]
fn a_connection_that_outlives_the_shutdown_is_cut() {
    within(|| {
        let (cut, time) = shutdown_behind_a_full_socket(60 * SECOND, Duration::from_millis(300));
        assert_eq!(cut, 1);
        assert!(time < 3 * SECOND, "{time:?}");
    });
}

//! The driver that polls.

#![allow(clippy::unwrap_used)] // clippy sees helpers outside of #[test] as no tests

mod common;

use core::time::Duration;
use std::{collections::HashMap, io::Write, net::TcpStream, thread, time::Instant};

use common::*;
use sanswarm_std::{
    Bytes, Event, Multiaddr, Node, PeerInfo, StreamId,
    core::{Action, Instant as Time, Node as Facade},
    new_config,
    poll::Driver,
};

fn driver(listen: &str) -> (Driver, PeerInfo) {
    let mut driver = Driver::with_new_identity().unwrap();
    driver.node().set_stream_handler(ECHO);
    driver.listen(listen.parse().unwrap()).unwrap();
    let Some(Event::Listening { address }) = driver.next_event(Some(SECOND)) else { panic!("not listening") };
    let id = driver.node().id();
    (driver, PeerInfo { id, addrs: vec![address] })
}

/// Echoes until it is woken. What does not fit back is kept, and no more is read.
fn serve(mut driver: Driver) {
    let mut kept: HashMap<StreamId, (Bytes, bool)> = HashMap::new();
    while let Some(event) = driver.next_event(None) {
        let now = driver.now();
        let stream = match event {
            Event::Readable { stream } | Event::Writable { stream } => stream,
            Event::Finished { stream } => {
                kept.entry(stream).or_default().1 = true;
                stream
            }
            _ => continue,
        };
        let (rest, finished) = kept.entry(stream).or_default();
        loop {
            if rest.is_empty() {
                match driver.node().read(stream) {
                    Ok(Some(bytes)) => *rest = bytes,
                    _ => break,
                }
            }
            let Ok(n) = driver.node().write(now, stream, rest) else { break };
            let _ = rest.split_to(n);
            if !rest.is_empty() {
                break;
            }
        }
        if rest.is_empty() && *finished {
            let _ = driver.node().finish(stream);
        }
    }
}

/// Sends `data` on one stream and returns what comes back.
fn ask(driver: &mut Driver, peer: PeerInfo, data: &[u8]) -> Vec<u8> {
    let now = driver.now();
    driver.node().open_stream(now, ECHO, peer);
    let (mut sent, mut answer) = (0, Vec::new());
    loop {
        let event = driver.next_event(Some(10 * SECOND)).expect("an event in time");
        let now = driver.now();
        match event {
            Event::Opened { stream, .. } | Event::Writable { stream } => {
                sent += driver.node().write(now, stream, &data[sent..]).unwrap();
                if sent == data.len() {
                    driver.node().finish(stream).unwrap();
                }
            }
            Event::Readable { stream } | Event::Finished { stream } => {
                while let Ok(Some(bytes)) = driver.node().read(stream) {
                    answer.extend_from_slice(&bytes);
                }
                if matches!(event, Event::Finished { .. }) {
                    return answer;
                }
            }
            Event::OpenFailed { error, .. } => panic!("{error}"),
            _ => {}
        }
    }
}

/// What is listened on, one transport after the other.
const ANY: &[&str] = &[
    "/ip4/127.0.0.1/tcp/0",
    "/memory/0",
    #[cfg(feature = "ws")]
    "/ip4/127.0.0.1/tcp/0/ws",
];

#[test]
fn a_blocking_node_talks_to_a_driver() {
    ANY.iter().for_each(|any| blocking_to_driver(any));
}

fn blocking_to_driver(any: &'static str) {
    within(|| {
        let (driver, info) = driver(any);
        let waker = driver.waker();
        let server = start(move || serve(driver));
        let alice = Node::with_new_identity().unwrap();
        round_trip(&alice.open_stream(ECHO, info.clone()).unwrap(), 8 << 20, 1);
        let many: Vec<_> = (0..20)
            .map(|seed| {
                let (alice, info) = (alice.clone(), info.clone());
                start(move || round_trip(&alice.open_stream(ECHO, info).unwrap(), 1 << 20, seed))
            })
            .collect();
        many.into_iter().for_each(|one| one.join().unwrap());
        assert!(alice.ping(info.id).is_ok());
        assert_eq!(alice.shutdown(SECOND), 0);
        waker.wake();
        server.join().unwrap();
    });
}

#[test]
fn a_driver_talks_to_a_blocking_node() {
    ANY.iter().for_each(|any| driver_to_blocking(any));
}

fn driver_to_blocking(any: &'static str) {
    within(|| {
        let (_bob, info) = server(any);
        let mut driver = Driver::with_new_identity().unwrap();
        let data = pattern(4 << 20, 2);
        assert!(ask(&mut driver, info, &data) == data);
    });
}

#[test]
fn two_drivers_on_two_threads() {
    ["/ip6/::1/tcp/0"].iter().chain(&ANY[1..]).for_each(|any| two_drivers(any));
}

fn two_drivers(any: &'static str) {
    within(|| {
        let (driver, info) = driver(any);
        let waker = driver.waker();
        let server = start(move || serve(driver));
        let mut alice = Driver::with_new_identity().unwrap();
        let data = pattern(4 << 20, 3);
        assert!(ask(&mut alice, info.clone(), &data) == data);
        // Strangers come and go; the driver goes on.
        if let Some(port) = info.addrs[0].to_string().split('/').nth(4) {
            let host = if any.starts_with("/ip6") { "::1" } else { "127.0.0.1" };
            let mut socket = TcpStream::connect((host, port.parse().unwrap())).unwrap();
            socket.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
            drop(TcpStream::connect((host, port.parse().unwrap())).unwrap());
        }
        assert!(ask(&mut alice, info, &data[..1000]) == data[..1000]);
        waker.wake();
        server.join().unwrap();
    });
}

#[test]
fn nobody_there_is_a_report() {
    within(|| {
        let mut driver = Driver::with_new_identity().unwrap();
        let id = Node::with_new_identity().unwrap().id();
        let addrs = vec!["/ip4/127.0.0.1/tcp/1".parse().unwrap()];
        let now = driver.now();
        driver.node().connect(now, PeerInfo { id, addrs });
        match driver.next_event(Some(5 * SECOND)) {
            Some(Event::OpenFailed { error, .. }) => assert!(error.to_string().contains("connection refused")),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn the_waker_wakes_and_waiting_costs_nothing() {
    within(|| {
        let (mut driver, info) = driver("/ip4/127.0.0.1/tcp/0");
        let alice = Node::with_new_identity().unwrap();
        let connecting = start(move || alice.connect(info).map(|_| alice));
        while !matches!(driver.next_event(Some(5 * SECOND)).unwrap(), Event::PeerReady { .. }) {}
        let _alice = connecting.join().unwrap().unwrap();
        #[expect(clippy::disallowed_methods, reason = "the test measures time")]
        let now = Instant::now;
        // Connected and idle: nothing but its timeout ends the wait.
        while driver.next_event(Some(Duration::from_millis(100))).is_some() {}
        let (start_of_wait, mut turns) = (now(), 0);
        while start_of_wait.elapsed() < Duration::from_millis(300) {
            driver.run_once(Some(Duration::from_millis(300))).unwrap();
            turns += 1;
        }
        assert!(turns <= 3, "{turns} turns");
        let waker = driver.waker();
        let thread = start(move || {
            thread::sleep(Duration::from_millis(50));
            waker.wake();
        });
        let before = now();
        assert_eq!(driver.next_event(None), None);
        assert!(before.elapsed() < SECOND);
        thread.join().unwrap();
        // A wake before the wait counts.
        driver.waker().wake();
        assert_eq!(driver.next_event(None), None);
    });
}

/// The facade under the driver: a stream that came short goes on when the socket has made room, even if the peer is
/// silent. (It once waited for the peer's next byte.)
#[test]
fn room_alone_makes_a_stream_writable() {
    let node = || Facade::new(new_config().unwrap()).unwrap();
    let (mut alice, mut bob, now) = (node(), node(), Time::ZERO);
    let address: Multiaddr = "/ip4/127.0.0.1/tcp/4001".parse().unwrap();
    bob.set_stream_handler(ECHO);
    alice.open_stream(now, ECHO, PeerInfo { id: bob.id(), addrs: vec![address.clone()] });
    let Some(Action::Dial { conn: a, .. }) = alice.poll_action() else { panic!("nothing to dial") };
    assert!(alice.handle_dialed(now, a, [5; 32]));
    let b = bob.handle_accepted(now, address.clone(), address, [6; 32]).unwrap();
    let mut opened = None;
    for _ in 0..100 {
        while let Some(event) = alice.poll_event(now) {
            if let Event::Opened { stream, .. } = event {
                opened = Some(stream);
            }
        }
        while bob.poll_event(now).is_some() {}
        let n = bob.handle_input(b, alice.ready(a));
        alice.sent(a, n);
        let n = alice.handle_input(a, bob.ready(b));
        bob.sent(b, n);
    }
    let stream = opened.unwrap();
    assert!(alice.write(now, stream, &[7; 200_000]).unwrap() < 200_000);
    while alice.poll_event(now).is_some() {}
    alice.sent(a, alice.ready(a).len());
    let mut events = core::iter::from_fn(|| alice.poll_event(now));
    assert!(events.any(|event| event == Event::Writable { stream }));
}

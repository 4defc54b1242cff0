//! WebSocket under a node with threads.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use core::time::Duration;
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use common::{ECHO, SECOND, listen_on, pattern, round_trip, server, start, within};
use sanswarm_std::{Event, ListenError, Multiaddr, Node, PeerInfo, Stream, core::CloseReason};

const ANY: &str = "/ip4/127.0.0.1/tcp/0/ws";

#[test]
fn ping_identify_and_echo() {
    within(|| {
        let (bob, info) = server(ANY);
        assert!(info.addrs[0].to_string().ends_with("/ws"), "{info:?}");
        assert_eq!((bob.listeners(), bob.advertised()), (info.addrs.clone(), info.addrs.clone()));
        let alice = Node::with_new_identity().unwrap();
        alice.connect(info.clone()).unwrap();
        alice.ping(info.id).unwrap();
        bob.ping(alice.id()).unwrap();
        let said = alice.identify(info.id).unwrap();
        assert_eq!(said.listen_addrs, info.addrs);
        assert!(said.observed_addr.unwrap().to_string().ends_with("/ws"));
        round_trip(&alice.open_stream(ECHO, info.clone()).unwrap(), 5 << 20, 0);
        let all: Vec<_> = (0..8)
            .map(|seed| {
                let (alice, id) = (alice.clone(), info.id);
                start(move || round_trip(&alice.open_stream(ECHO, id).unwrap(), 1_000_000, seed))
            })
            .collect();
        all.into_iter().for_each(|thread| thread.join().unwrap());
        let nowhere = bob.listen("/ip4/127.0.0.1/tcp/0/ws/ws".parse().unwrap());
        assert!(matches!(nowhere, Err(ListenError::Denied(_))), "{nowhere:?}");
        assert!(bob.unlisten(info.addrs[0].clone()));
    });
}

#[test]
fn the_last_bytes_and_the_goodbye_arrive() {
    within(|| {
        let (bob, (told, got)) = (Node::with_new_identity().unwrap(), mpsc::channel());
        bob.set_stream_handler(ECHO, move |stream: Stream| {
            let mut all = Vec::new();
            let result = (&stream).read_to_end(&mut all).map_err(|error| error.kind());
            told.send((result, all)).unwrap();
        });
        let info = listen_on(&bob, ANY);
        let (alice, events) = (Node::with_new_identity().unwrap(), bob.events());
        let stream = alice.open_stream(ECHO, info).unwrap();
        let sent = pattern(1_000_000, 3);
        (&stream).write_all(&sent).unwrap();
        stream.finish().unwrap();
        drop(stream);
        assert_eq!(alice.shutdown(5 * SECOND), 0);
        let (result, all) = got.recv().unwrap();
        assert!(result == Ok(sent.len()) && all == sent, "{result:?}");
        let reason = events.into_iter().find_map(|event| match event {
            Event::Disconnected { reason, .. } => Some(reason),
            _ => None,
        });
        assert!(matches!(reason, Some(Ok(CloseReason::Remote(_)))), "{reason:?}");
    });
}

/// A port where each visitor is told this, and is listened to.
fn says(bytes: &'static [u8]) -> Multiaddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    start(move || {
        while let Ok((mut socket, _)) = listener.accept() {
            let _ = socket.write_all(bytes);
            while socket.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {}
        }
    });
    format!("/ip4/127.0.0.1/tcp/{port}/ws").parse().unwrap()
}

#[test]
fn listeners_that_are_none() {
    within(|| {
        let dial = |address: Multiaddr| {
            let mut config = sanswarm_std::new_config().unwrap();
            config.swarm.attempt = Duration::from_millis(300);
            let id = Node::with_new_identity().unwrap().id();
            Node::new(config).unwrap().connect(PeerInfo { id, addrs: vec![address] }).unwrap_err()
        };
        let cases: [(&[u8], &str); 3] = [
            (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "answer to the WebSocket request is not 101"),
            (b"\x13/multistream/1.0.0\n\r\n\r\n", "does not speak HTTP/1.1"),
            (&[b'a'; 10_000], "is too long"),
        ];
        for (bytes, text) in cases {
            let error = dial(says(bytes));
            assert_eq!(error.code(), "connect");
            assert!(error.to_string().contains(text), "{error}");
        }
        #[expect(clippy::disallowed_methods, reason = "the test measures time")]
        let start = std::time::Instant::now();
        let error = dial(says(b""));
        assert!(start.elapsed() < 2 * SECOND, "it never answers: {error}");
    });
}

#[test]
fn a_listener_survives_its_visitors() {
    within(|| {
        let mut config = sanswarm_std::new_config().unwrap();
        config.connection.upgrade_timeout = Duration::from_millis(300);
        let bob = Node::new(config).unwrap();
        bob.set_stream_handler(ECHO, common::echo);
        let info = listen_on(&bob, ANY);
        let port: u16 = info.addrs[0].to_string().split('/').nth(4).unwrap().parse().unwrap();
        let visit = |bytes: &[u8]| {
            let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
            socket.write_all(bytes).unwrap();
            socket
        };
        let events = bob.events();
        let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let _silent = visit(b"");
        let _half = visit(&request[..50]);
        let _open = visit(request);
        let mut answer = String::new();
        visit(b"\x13/multistream/1.0.0\n\r\n\r\n").read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        let mut answer = Vec::new();
        visit(&[&request[..], b"\x81\x80\0\0\0\0"].concat()).read_to_end(&mut answer).unwrap();
        assert!(answer.ends_with(b"\x88\x02\x03\xeb"), "closed with 1003: {}", answer.escape_ascii());
        // Behind an end nothing is read, and nobody waits for it.
        let mut more = visit(&[&request[..], b"\x88\x80\0\0\0\0\x82\x85\0\0\0\0hello"].concat());
        more.read_to_end(&mut answer).unwrap();
        assert!(answer.ends_with(b"\x88\x02\x03\xe8"), "closed with 1000: {}", answer.escape_ascii());
        let failed = events.into_iter().filter(|event| matches!(event, Event::AcceptFailed { .. }));
        assert_eq!(failed.take(6).count(), 6);
        let alice = Node::with_new_identity().unwrap();
        round_trip(&alice.open_stream(ECHO, info).unwrap(), 100_000, 0);
    });
}

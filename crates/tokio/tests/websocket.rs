//! WebSocket under a node.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use core::time::Duration;

use common::{ECHO, check_echo, config, echo, listener_on, payload, within};
use sanswarm_tokio::{CloseReason, Event, ListenError, Multiaddr, Node, OpenStreamError, PeerInfo, TransportError};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const ANY: &str = "/ip4/127.0.0.1/tcp/0/ws";

/// A node that echoes over WebSocket, and gives peers little time.
async fn server() -> (Node, PeerInfo) {
    let mut config = config(9);
    config.connection.upgrade_timeout = Duration::from_millis(300);
    let (bob, info) = listener_on(Node::new(config).unwrap(), ANY).await;
    bob.set_stream_handler(ECHO, echo);
    (bob, info)
}

fn port(info: &PeerInfo) -> u16 {
    info.addrs[0].to_string().split('/').nth(4).unwrap().parse().unwrap()
}

#[tokio::test]
async fn ping_identify_and_echo() {
    within(async {
        let (bob, info) = server().await;
        assert!(info.addrs[0].to_string().ends_with("/ws"), "{info:?}");
        assert_eq!((bob.listeners().await, bob.advertised().await), (info.addrs.clone(), info.addrs.clone()));
        let alice = Node::new(config(1)).unwrap();
        alice.connect(info.clone()).await.unwrap();
        alice.ping(info.id).await.unwrap();
        bob.ping(alice.id()).await.unwrap();
        let said = alice.identify(info.id).await.unwrap();
        assert_eq!(said.listen_addrs, info.addrs);
        assert!(said.observed_addr.unwrap().to_string().ends_with("/ws"));
        check_echo(alice.open_stream(ECHO, info.clone()).await.unwrap(), 1 << 20, 0).await;
        // An idle connection holds no buffer here either, and gets them back.
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(!alice.stats(info.id).await.unwrap().has_buffers);
        let mut all = tokio::task::JoinSet::new();
        for seed in 0..20 {
            let (alice, id) = (alice.clone(), info.id);
            all.spawn(async move { check_echo(alice.open_stream(ECHO, id).await.unwrap(), 300_000, seed).await });
        }
        while let Some(done) = all.join_next().await {
            done.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn all_interfaces_both_families_and_names() {
    within(async {
        let bob = Node::with_new_identity();
        bob.set_stream_handler(ECHO, echo);
        let bound = bob.listen("/ip4/0.0.0.0/tcp/0/ws".parse().unwrap()).await.unwrap();
        let port = bound.to_string().split('/').nth(4).unwrap().to_owned();
        let advertised = bob.advertised().await;
        assert!(advertised.contains(&format!("/ip4/127.0.0.1/tcp/{port}/ws").parse().unwrap()), "{advertised:?}");
        let six = bob.listen("/ip6/::1/tcp/0/ws".parse().unwrap()).await.unwrap();
        for address in [format!("/dns4/localhost/tcp/{port}/ws").parse().unwrap(), six.clone()] {
            let peer = PeerInfo { id: bob.id(), addrs: vec![address] };
            check_echo(Node::with_new_identity().open_stream(ECHO, peer).await.unwrap(), 1000, 0).await;
        }
        assert!(bob.unlisten(six).await && bob.unlisten(bound).await);
        let secure = bob.listen("/ip4/127.0.0.1/tcp/0/ws/ws".parse().unwrap()).await;
        assert!(matches!(secure, Err(ListenError::Refused(_))), "{secure:?}");
    })
    .await;
}

#[tokio::test]
async fn the_last_bytes_and_the_goodbye_arrive() {
    within(async {
        let bob = Node::with_new_identity();
        let (told, mut got) = tokio::sync::mpsc::unbounded_channel();
        bob.set_stream_handler(ECHO, move |mut stream| {
            let told = told.clone();
            async move {
                let mut all = Vec::new();
                let result = stream.read_to_end(&mut all).await.map_err(|error| error.kind());
                told.send((result, all)).unwrap();
            }
        });
        let (bob, info) = listener_on(bob, ANY).await;
        let (alice, mut events) = (Node::with_new_identity(), bob.events());
        let mut stream = alice.open_stream(ECHO, info).await.unwrap();
        let sent = payload(1_000_000, 3);
        stream.write_all(&sent).await.unwrap();
        stream.shutdown().await.unwrap();
        drop(stream);
        assert_eq!(alice.shutdown(Duration::from_secs(5)).await, 0);
        let (result, all) = got.recv().await.unwrap();
        assert_eq!(result, Ok(sent.len()));
        assert!(all == sent);
        loop {
            if let Event::Disconnected { reason, .. } = events.next().await.unwrap() {
                assert!(matches!(reason, Ok(CloseReason::Remote(_))), "{reason:?}");
                break;
            }
        }
    })
    .await;
}

/// A port where each visitor is told this, and is listened to.
async fn says(bytes: &'static [u8]) -> Multiaddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.write_all(bytes).await;
            while socket.read(&mut [0; 4096]).await.is_ok_and(|n| n > 0) {}
        }
    });
    format!("/ip4/127.0.0.1/tcp/{port}/ws").parse().unwrap()
}

#[tokio::test]
async fn listeners_that_are_none() {
    within(async {
        let dial = async |address: Multiaddr| {
            let mut config = config(2);
            config.swarm.attempt = Duration::from_millis(300);
            let id = Node::with_new_identity().id();
            Node::new(config).unwrap().connect(PeerInfo { id, addrs: vec![address] }).await.unwrap_err()
        };
        let cases: [(&[u8], &str); 4] = [
            (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "answer to the WebSocket request is not 101"),
            (
                b"HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
                "a header of the WebSocket handshake",
            ),
            (b"\x13/multistream/1.0.0\n\r\n\r\n", "does not speak HTTP/1.1"),
            (&[b'a'; 10_000], "is too long"),
        ];
        for (bytes, text) in cases {
            let error = dial(says(bytes).await).await;
            assert_eq!(error.code(), "connect");
            assert!(error.to_string().contains(text), "{error}");
        }
        let error = dial(says(b"").await).await;
        assert_eq!(error.code(), "timeout", "it never answers: {error}");
        let tcp = listener_on(Node::with_new_identity(), "/ip4/127.0.0.1/tcp/0").await;
        let address = format!("{}/ws", tcp.1.addrs[0]).parse().unwrap();
        assert!(matches!(dial(address).await, OpenStreamError::Dial(_)), "libp2p over TCP");
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let error = dial(format!("/ip4/127.0.0.1/tcp/{port}/ws").parse().unwrap()).await;
        assert!(error.to_string().contains("connection refused"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_listener_survives_its_visitors() {
    within(async {
        let (bob, info) = server().await;
        let mut events = bob.events();
        let visit = async || TcpStream::connect(("127.0.0.1", port(&info))).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let silent = visit().await;
        drop(visit().await);
        let mut plain = visit().await;
        plain.write_all(b"\x13/multistream/1.0.0\n\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        plain.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        let mut half = visit().await;
        half.write_all(&request[..50]).await.unwrap();
        let mut text = visit().await;
        text.write_all(&[&request[..], b"\x81\x80\0\0\0\0"].concat()).await.unwrap();
        let mut answer = Vec::new();
        text.read_to_end(&mut answer).await.unwrap();
        assert!(answer.ends_with(b"\x88\x02\x03\xeb"), "closed with 1003: {}", answer.escape_ascii());
        let mut endless = visit().await;
        endless.write_all(&[b'a'; 10_000]).await.unwrap();
        let mut open = visit().await;
        open.write_all(request).await.unwrap();

        let mut failed = 0;
        while failed < 7 {
            if let Event::AcceptFailed { address, .. } = events.next().await.unwrap() {
                assert!(address.to_string().ends_with("/ws"), "{address}");
                failed += 1;
            }
        }
        drop((silent, half, open));
        let alice = Node::with_new_identity();
        check_echo(alice.open_stream(ECHO, info).await.unwrap(), 100_000, 0).await;
    })
    .await;
}

#[tokio::test]
async fn a_socket_for_a_driver_of_ones_own() {
    within(async {
        let (_bob, info) = server().await;
        let mut socket = sanswarm_tokio::connect(&info.addrs[0]).await.unwrap();
        socket.write_all(b"\x13/multistream/1.0.0\n").await.unwrap();
        let mut header = [0; 20];
        socket.read_exact(&mut header).await.unwrap();
        assert_eq!(&header, b"\x13/multistream/1.0.0\n");
        socket.shutdown().await.unwrap();
        assert_eq!(socket.read(&mut [0; 9]).await.unwrap(), 0, "it was closed by both");
        let error = sanswarm_tokio::connect(&says(b"HTTP/1.1 500 \r\n\r\n").await).await.unwrap_err();
        assert!(matches!(error, TransportError::Handshake(_)), "{error}");
    })
    .await;
}

/// Over mplex, which has no flow control of its own, only the socket's stops who sends to somebody that does not read.
#[cfg(feature = "mplex")]
#[tokio::test]
async fn who_is_not_read_waits_and_loses_nothing() {
    within(async {
        let over_mplex = |seed| {
            let mut config = config(seed);
            config.muxers = vec![sanswarm_tokio::core::Muxer::Mplex];
            Node::new(config).unwrap()
        };
        let (bob, go) = (over_mplex(1), std::sync::Arc::new(tokio::sync::Notify::new()));
        let (told, mut got) = tokio::sync::mpsc::unbounded_channel();
        let begin = go.clone();
        bob.set_stream_handler(ECHO, move |mut stream| {
            let (begin, told) = (begin.clone(), told.clone());
            async move {
                begin.notified().await;
                let mut all = Vec::new();
                stream.read_to_end(&mut all).await.unwrap();
                told.send(all).unwrap();
            }
        });
        let (_bob, info) = listener_on(bob, ANY).await;
        let alice = over_mplex(2);
        let mut stream = alice.open_stream(ECHO, info).await.unwrap();
        let sent = payload(16 << 20, 5);
        let expected = sent.clone();
        let write = tokio::spawn(async move {
            stream.write_all(&sent).await.unwrap();
            stream.shutdown().await.unwrap();
        });
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert!(!write.is_finished(), "it waits");
        go.notify_one();
        write.await.unwrap();
        assert!(got.recv().await.unwrap() == expected);
    })
    .await;
}

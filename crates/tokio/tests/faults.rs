//! What a node hears of peers that are not there, not themselves, or no peers at all.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use core::time::Duration;

use common::{ECHO, check_echo, config, echo, echo_server, listener_on, within};
use sanswarm_tokio::{Event, ListenError, Multiaddr, Node, OpenStreamError, PeerInfo, ProtocolName, TransportError};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A port with this program behind it, for one connection after another.
async fn program<F: Future<Output = ()> + Send>(run: impl Fn(TcpStream) -> F + Send + 'static) -> Multiaddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            run(socket).await;
        }
    });
    format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()
}

/// A node without patience.
fn hasty(seed: u8) -> Node {
    let mut config = config(seed);
    config.connection.upgrade_timeout = Duration::from_millis(300);
    Node::new(config).unwrap()
}

async fn failure(address: Multiaddr) -> (String, OpenStreamError) {
    let id = Node::with_new_identity().id();
    let error = hasty(1).open_stream(ECHO, PeerInfo { id, addrs: vec![address] }).await.unwrap_err();
    (error.to_string(), error)
}

#[tokio::test]
async fn nobody_listens() {
    within(async {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let (text, error) = failure(format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()).await;
        assert!(text.starts_with("could not reach 12D3Koo"), "{text}");
        assert!(text.contains(&format!(": /ip4/127.0.0.1/tcp/{port}: connect: connection refused (after ")), "{text}");
        assert_eq!(error.code(), "connect");
    })
    .await;
}

#[tokio::test]
async fn another_peer_answers() {
    within(async {
        let (bob, info) = echo_server().await;
        let (text, error) = failure(info.addrs[0].clone()).await;
        assert_eq!(error.code(), "wrong-peer");
        assert!(text.contains(&bob.id().to_string()), "{text}");
    })
    .await;
}

#[tokio::test]
async fn the_peer_does_not_speak_the_protocol() {
    within(async {
        let (_bob, info) = echo_server().await;
        let alice = Node::with_new_identity();
        let names = [ProtocolName::from_static("/a/1"), ProtocolName::from_static("/b/1")];
        let error = alice.open_stream(names, info.clone()).await.unwrap_err();
        assert!(matches!(error, OpenStreamError::Refused(_)), "{error}");
        assert!(error.to_string().contains("/a/1, /b/1"), "{error}");
        check_echo(alice.open_stream(ECHO, info).await.unwrap(), 1000, 0).await;
    })
    .await;
}

#[tokio::test]
async fn the_other_end_is_no_libp2p() {
    within(async {
        let http = program(|mut socket| async move {
            let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html>400</html>\n").await;
            let _ = socket.read(&mut [0; 1024]).await;
        });
        let (text, error) = failure(http.await).await;
        assert_eq!(error.code(), "negotiation", "{text}");

        let random = program(|mut socket| async move {
            let bytes = common::payload(100_000, 77);
            let _ = socket.write_all(&bytes).await;
        });
        let (text, _) = failure(random.await).await;
        assert!(text.contains("security"), "{text}");

        let closes = program(|mut socket| async move {
            let _ = socket.read(&mut [0; 10]).await;
        });
        let (text, error) = failure(closes.await).await;
        assert_eq!(error.code(), "eof", "{text}");

        let silent = program(|socket| async move {
            tokio::time::sleep(Duration::from_secs(10)).await;
            drop(socket);
        });
        let (text, error) = failure(silent.await).await;
        assert_eq!(error.code(), "timeout", "{text}");
    })
    .await;
}

#[tokio::test]
async fn a_listener_survives_its_visitors() {
    within(async {
        let (bob, info) = listener_on(hasty(7), "/ip4/127.0.0.1/tcp/0").await;
        bob.set_stream_handler(ECHO, echo);
        let mut events = bob.events();
        let port: u16 = info.addrs[0].to_string().rsplit('/').next().unwrap().parse().unwrap();
        let visit = async || TcpStream::connect(("127.0.0.1", port)).await.unwrap();

        let silent = visit().await;
        drop(visit().await);
        let mut http = visit().await;
        http.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut random = visit().await;
        random.write_all(&common::payload(1000, 200)).await.unwrap();
        let mut middle = visit().await;
        middle.write_all(b"\x13/multistream/1.0.0\n\x07/noi").await.unwrap();
        drop(middle);
        let mut resets = visit().await;
        resets.write_all(b"\x13/multistream/1.0.0\n\x07/noise\n\x00\x20").await.unwrap();
        resets.set_zero_linger().unwrap();
        drop(resets);

        let mut failed = 0;
        while failed < 6 {
            if let Event::AcceptFailed { .. } = events.next().await.unwrap() {
                failed += 1;
            }
        }
        drop((silent, http, random));
        let alice = Node::with_new_identity();
        check_echo(alice.open_stream(ECHO, info).await.unwrap(), 100_000, 0).await;
    })
    .await;
}

#[tokio::test]
async fn addresses_that_cannot_be_listened_on() {
    within(async {
        let (bob, info) = echo_server().await;
        let error = Node::with_new_identity().listen(info.addrs[0].clone()).await.unwrap_err();
        assert_eq!(error, ListenError::Bind(TransportError::AddressInUse));
        let error = bob.listen("/ip4/127.0.0.1/udp/1".parse().unwrap()).await.unwrap_err();
        assert!(matches!(error, ListenError::Refused(_)), "{error}");
    })
    .await;
}

#[tokio::test]
async fn of_several_addresses_one_is_enough() {
    within(async {
        let (_bob, mut info) = echo_server().await;
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        info.addrs.insert(0, format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap());
        let alice = Node::with_new_identity();
        check_echo(alice.open_stream(ECHO, info).await.unwrap(), 1000, 0).await;
    })
    .await;
}

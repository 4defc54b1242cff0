//! What a node hears of peers that are not there, not themselves, or no peers at all.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;
#[path = "../../host/tests/common/proxy.rs"]
mod proxy;

use core::{net::SocketAddr, time::Duration};

use common::{ECHO, check_echo, config, echo, echo_server, listener, listener_on, payload, within};
use proxy::{Fault, Plan, Proxies};
use sanswarm_tokio::{
    Event, ListenError, Multiaddr, Node, OpenStreamError, PeerInfo, ProtocolName, Stream, StreamError, TransportError,
};
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
            let bytes = payload(100_000, 77);
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
        random.write_all(&payload(1000, 200)).await.unwrap();
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

/// Reads the number that a stream begins with, and sends so many bytes; ends if it is even.
async fn source(mut stream: Stream) {
    let len = stream.read_u32().await.unwrap() as usize;
    stream.write_all(&payload(len, 7)).await.unwrap();
    if len.is_multiple_of(2) {
        stream.shutdown().await.unwrap();
    }
    while let Ok(Some(_)) = stream.read_bytes().await {}
}

/// Of streams on which so many bytes have come before the connection ends, all of them can be read after it.
async fn delivered(proxies: &Proxies, fault: Fault, lens: &[u32]) {
    let name = ProtocolName::from_static("/source/1.0.0");
    let (bob, mut info) = listener().await;
    bob.set_stream_handler(&name, source);
    let port: u16 = info.addrs[0].to_string().rsplit('/').next().unwrap().parse().unwrap();
    let plan = Plan { fault, of_dialer: false, at: usize::MAX };
    let proxy = proxies.open(SocketAddr::from(([127, 0, 0, 1], port)), plan);
    info.addrs = vec![format!("/ip4/127.0.0.1/tcp/{}", proxy.at.port()).parse().unwrap()];
    let mut config = config(40);
    config.ping_interval = None;
    let (alice, mut streams) = (Node::new(config).unwrap(), Vec::new());
    for len in lens {
        let mut stream = alice.open_stream(&name, info.clone()).await.unwrap();
        stream.write_u32(*len).await.unwrap();
        streams.push(stream);
    }
    let all: u64 = lens.iter().map(|len| u64::from(*len)).sum();
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(30)).await;
        let now = alice.stats(bob.id()).await.unwrap().bytes_in;
        if now >= all && now == core::mem::replace(&mut before, now) {
            break;
        }
    }
    proxy.strike();
    if fault == Fault::Stall {
        alice.disconnect(bob.id()).await;
    }
    while alice.stats(bob.id()).await.is_some() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for (mut stream, len) in streams.into_iter().zip(lens) {
        let mut got = Vec::new();
        let end = stream.read_to_end(&mut got).await;
        assert!(got == payload(*len as usize, 7), "{fault:?}: {} of {len}", got.len());
        if len.is_multiple_of(2) {
            assert!(end.is_ok(), "{fault:?}: its end had come, too");
        } else {
            let error = end.unwrap_err();
            let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<StreamError>());
            assert_eq!(cause, Some(&StreamError::Closed), "{fault:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_delivered_before_the_end_of_a_connection_can_be_read_after_it() {
    within(async {
        let proxies = Proxies::start();
        for fault in [Fault::Cut, Fault::HalfCut, Fault::Reset, Fault::Stall] {
            for lens in [&[1][..], &[0, 1], &[200_000], &[200_001, 3, 100_000, 65_519, 99_999]] {
                delivered(&proxies, fault, lens).await;
            }
        }
    })
    .await;
}

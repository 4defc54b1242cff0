//! WebSocket over TLS under a node, with a certificate of a test's own authority.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{ECHO, check_echo, config, echo, listener_on, within};
use sanswarm_tokio::{ListenError, NameServers, Node, PeerInfo, TransportError, WebTls};

const ROOT: &[u8] = include_bytes!("../../websocket/tests/certificates/ca.pem");
const LEAF: &[u8] = include_bytes!("../../websocket/tests/certificates/leaf.pem");
const KEY: &[u8] = include_bytes!("../../websocket/tests/certificates/leaf.key");

async fn server(address: &str) -> (Node, PeerInfo) {
    let tls = WebTls::new().with_certificate(LEAF, KEY).unwrap();
    let (bob, info) = listener_on(Node::with_tls(config(9), NameServers::System, tls).unwrap(), address).await;
    bob.set_stream_handler(ECHO, echo);
    (bob, info)
}

fn dialer() -> Node {
    Node::with_tls(config(1), NameServers::System, WebTls::new().with_roots(ROOT).unwrap()).unwrap()
}

#[tokio::test]
async fn ping_identify_and_echo() {
    within(async {
        for end in ["wss", "tls/ws", "tls/sni/a.example/ws"] {
            let (bob, info) = server(&format!("/ip4/127.0.0.1/tcp/0/{end}")).await;
            assert!(info.addrs[0].to_string().ends_with(end), "{info:?}");
            let alice = dialer();
            alice.connect(info.clone()).await.unwrap();
            alice.ping(info.id).await.unwrap();
            bob.ping(alice.id()).await.unwrap();
            let said = alice.identify(info.id).await.unwrap();
            assert_eq!(said.listen_addrs, info.addrs);
            check_echo(alice.open_stream(ECHO, info).await.unwrap(), 1 << 20, 0).await;
        }
    })
    .await;
}

#[tokio::test]
async fn the_certificate_is_for_the_name() {
    within(async {
        let (_bob, info) = server("/ip4/127.0.0.1/tcp/0/wss").await;
        let port = info.addrs[0].to_string().split('/').nth(4).unwrap().to_owned();
        let dial = async |node: Node, host: &str, end: &str| {
            let address = format!("{host}/tcp/{port}/{end}").parse().unwrap();
            node.connect(PeerInfo { id: info.id, addrs: vec![address] }).await.map_err(|error| error.to_string())
        };
        // The name that was resolved, and the one that is said.
        assert_eq!(dial(dialer(), "/dns4/localhost", "wss").await.err(), None);
        assert_eq!(dial(dialer(), "/dns4/localhost", "tls/sni/a.example/ws").await.err(), None);
        let error = dial(dialer(), "/ip4/127.0.0.1", "tls/sni/b.example/ws").await.unwrap_err();
        assert!(error.contains("connect: the peer's certificate is for another name"), "{error}");
        let error = dial(Node::with_new_identity(), "/ip4/127.0.0.1", "wss").await.unwrap_err();
        assert!(error.contains("of an unknown issuer"), "{error}");
        let error = dial(dialer(), "/ip4/127.0.0.1", "ws").await.unwrap_err();
        assert!(error.contains("ended within the WebSocket handshake") || error.contains("reset"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn who_listens_needs_a_certificate() {
    within(async {
        let result = Node::with_new_identity().listen("/ip4/127.0.0.1/tcp/0/wss".parse().unwrap()).await;
        assert!(matches!(result, Err(ListenError::Bind(TransportError::Handshake(_)))), "{result:?}");
    })
    .await;
}

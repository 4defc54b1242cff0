//! What the tests share.

#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(clippy::unwrap_used, reason = "tests only, as in functions marked so")]

use core::time::Duration;

use sanswarm_tokio::{Config, Keypair, Node, PeerId, PeerInfo, ProtocolName, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) const ECHO: ProtocolName = ProtocolName::from_static("/echo/1.0.0");

/// A test that hangs fails.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("it hangs")
}

pub(crate) fn config(seed: u8) -> Config {
    sanswarm_tokio::config(Keypair::ed25519_from_bytes([seed; 32]).unwrap())
}

/// A node that listens, and how to reach it.
pub(crate) async fn listener_on(node: Node, address: &str) -> (Node, PeerInfo) {
    let address = node.listen(address.parse().unwrap()).await.unwrap();
    let info = PeerInfo { id: node.id(), addrs: vec![address] };
    (node, info)
}

pub(crate) async fn listener() -> (Node, PeerInfo) {
    listener_on(Node::with_new_identity(), "/ip4/127.0.0.1/tcp/0").await
}

pub(crate) async fn echo_server() -> (Node, PeerInfo) {
    let (node, info) = listener().await;
    node.set_stream_handler(ECHO, echo);
    (node, info)
}

/// Sends back what comes, and ends when the peer does.
pub(crate) async fn echo(stream: Stream) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    if tokio::io::copy(&mut reader, &mut writer).await.is_ok() {
        let _ = writer.shutdown().await;
    }
}

pub(crate) fn payload(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + (i >> 8) * 7 + usize::from(seed)) as u8).collect()
}

/// Writes and reads at once, and checks that it is an echo.
pub(crate) async fn check_echo(stream: Stream, len: usize, seed: u8) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let data = payload(len, seed);
    let expected = data.clone();
    let write = async move {
        writer.write_all(&data).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let read = async move {
        let mut got = Vec::new();
        reader.read_to_end(&mut got).await.unwrap();
        got
    };
    let ((), got) = tokio::join!(write, read);
    assert!(got == expected, "{} bytes of {}", got.len(), expected.len());
}

/// Waits until `node` has no stream to `peer` left.
pub(crate) async fn no_streams(node: &Node, peer: PeerId) {
    within(async {
        while node.stats(peer).await.is_some_and(|stats| stats.streams > 0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

//! `sanswarm perf` against `sanswarm listen --perf`, and against peers that break the protocol.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use core::time::Duration;

use common::{Listener, fails, objects, ok, within};
use sanswarm::Multiaddr;
use sanswarm_tokio::{Node, PeerInfo, ProtocolName, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PERF: ProtocolName = ProtocolName::from_static("/perf/1.0.0");

#[test]
fn each_direction_is_told_in_a_line() {
    let listener = Listener::start(&["--perf"]);
    let text = ok(&["perf", &listener.address, "--upload", "3M", "--download", "2M", "--streams", "3"]);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].starts_with("connected to 12D3KooW"), "{text}");
    assert!(lines[1].starts_with("upload   9 MiB over 3 streams in ") && lines[1].ends_with(" MiB/s"), "{text}");
    assert!(lines[2].starts_with("download 6 MiB over 3 streams in ") && lines[2].ends_with(" MiB/s"), "{text}");
}

#[test]
fn only_what_is_given_is_measured() {
    let listener = Listener::start(&["--perf"]);
    for (security, muxer) in [("noise", "yamux"), ("tls", "mplex")] {
        let listener = Listener::start(&["--perf", "--security", security, "--muxer", muxer]);
        let args = ["perf", &listener.address, "--download", "5M", "--json", "--security", security, "--muxer", muxer];
        let told = objects(&ok(&args));
        assert_eq!(told.len(), 3, "{told:?}");
        assert_eq!((&told[1]["event"], &told[1]["bytes"]), (&"download".into(), &(5 << 20).into()));
        assert_eq!((&told[2]["ok"], &told[2]["downloaded"]), (&true.into(), &(5 << 20).into()));
        assert!(told[2]["uploaded"].is_null() && told[2]["upload_mib_per_second"].is_null(), "{told:?}");
        assert!(told[2]["download_mib_per_second"].as_f64().unwrap() > 0.0);
    }
    let told = objects(&ok(&["perf", &listener.address, "--upload", "0", "--download", "0", "--json"]));
    assert_eq!((&told[3]["uploaded"], &told[3]["downloaded"]), (&0.into(), &0.into()), "no bytes are a size too");
}

#[test]
fn the_clock_ends_what_has_no_size() {
    let listener = Listener::start(&["--perf"]);
    let told = within(Duration::from_secs(20), || {
        objects(&ok(&["perf", &listener.address, "--seconds", "0.3", "--streams", "2", "--json"]))
    });
    for direction in &told[1..3] {
        assert!(direction["bytes"].as_u64().unwrap() > 1 << 16, "{direction}");
        assert!(direction["seconds"].as_f64().unwrap() >= 0.3, "{direction}");
    }
    // The downloads were cut; the listener goes on.
    ok(&["perf", &listener.address, "--upload", "1", "--download", "1"]);
}

#[test]
fn it_is_not_served_unless_that_is_asked_for() {
    let listener = Listener::start(&[]);
    let line = fails(&["perf", &listener.address], 1);
    assert!(line.contains("/perf/1.0.0"), "{line}");
    let told = objects(&common::texts(&common::sanswarm(&["perf", &listener.address, "--json"])).0);
    assert_eq!(told.last().unwrap()["code"], "protocol-refused", "{told:?}");
}

/// A node, with a `/perf/1.0.0` that does this.
async fn node<F>(handler: fn(Stream) -> F) -> (Node, String)
where
    F: Future<Output = ()> + Send + 'static,
{
    let node = Node::with_new_identity();
    node.set_stream_handler(PERF, handler);
    let bound = node.listen("/ip4/127.0.0.1/tcp/0".parse().unwrap()).await.unwrap();
    let address = format!("{bound}/p2p/{}", node.id());
    (node, address)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

async fn early(mut stream: Stream) {
    let _ = stream.write_all(b"now").await;
    while let Ok(Some(_)) = stream.read_bytes().await {}
}

/// Sends 1,000 bytes, whatever was asked for.
async fn thousand(mut stream: Stream) {
    while let Ok(Some(_)) = stream.read_bytes().await {}
    let _ = stream.write_all(&[1; 1000]).await;
    let _ = stream.shutdown().await;
}

async fn swallow(mut stream: Stream) {
    while let Ok(Some(_)) = stream.read_bytes().await {}
    core::future::pending::<()>().await;
}

async fn refuse(stream: Stream) {
    stream.reset();
}

#[test]
fn a_server_that_breaks_the_protocol() {
    fn against<F>(handler: fn(Stream) -> F, more: &[&str], part: &str)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let runtime = runtime();
        let (_node, address) = runtime.block_on(node(handler));
        let args = [&["perf", &address, "--timeout", "2"], more].concat();
        let line = within(Duration::from_secs(10), || fails(&args, 1));
        assert!(line.contains(part), "{part} in {line}");
    }
    against(early, &["--upload", "1G"], "perf: stream 0: the peer answered after ");
    against(thousand, &["--download", "999"], "perf: stream 0: more came back than the 999 bytes");
    against(thousand, &["--download", "1001"], "perf: stream 0: 1000 bytes came back of 1001");
    against(swallow, &["--download", "1"], "perf: not done within 2s");
    against(refuse, &["--upload", "1G"], "perf: stream 0: ");
}

#[test]
fn a_client_of_anothers_making() {
    let listener = Listener::start(&["--perf"]);
    runtime().block_on(async {
        let node = Node::with_new_identity();
        let peer = PeerInfo::try_from(listener.address.parse::<Multiaddr>().unwrap()).unwrap();
        let open = || async { node.open_stream(PERF, peer.clone()).await.unwrap() };
        // Up and down on one stream: nothing comes back before our end.
        let (mut stream, mut back) = (open().await, Vec::new());
        stream.write_all(&[0, 0, 0, 0, 0, 1, 0x86, 0xa0]).await.unwrap();
        stream.write_all(&[7; 300_000]).await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(200), stream.read_u8()).await;
        assert!(early.is_err(), "{early:?}");
        stream.shutdown().await.unwrap();
        stream.read_to_end(&mut back).await.unwrap();
        assert_eq!(back.len(), 100_000);
        // All there is, and then no more of it.
        let mut stream = open().await;
        stream.write_all(&[0xff; 8]).await.unwrap();
        stream.shutdown().await.unwrap();
        stream.read_exact(&mut back).await.unwrap();
        drop(stream);
        // Half a size.
        let mut stream = open().await;
        stream.write_all(&[0; 5]).await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(stream.read(&mut back).await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    });
    ok(&["perf", &listener.address, "--upload", "1"]);
}

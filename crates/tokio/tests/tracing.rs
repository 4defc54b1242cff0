//! What a node tells `tracing`.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use core::time::Duration;
use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use common::{ECHO, check_echo, config, echo, listener, within};
use sanswarm_tokio::{Gate, Node, PeerInfo, ProtocolName, Visit};
use tracing_subscriber::fmt::MakeWriter;

/// Keeps every line: level, spans with their fields, target, message, fields.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<u8>>>);

impl Recorder {
    /// The first line that has all of these, once there is one.
    async fn line(&self, parts: &[&str]) -> String {
        for _ in 0..500 {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            if let Some(line) = text.lines().find(|line| parts.iter().all(|part| line.contains(part))) {
                return line.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no line with {parts:?} in\n{}", String::from_utf8_lossy(&self.0.lock().unwrap()));
    }
}

impl Write for Recorder {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Recorder {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// One subscriber for all threads, and therefore one test in this file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_have_connection_peer_and_stream() {
    let recorder = Recorder::default();
    let builder = tracing_subscriber::fmt().with_writer(recorder.clone()).with_ansi(false);
    builder.with_max_level(tracing::Level::TRACE).init();
    let line = async |parts: &[&str]| recorder.line(parts).await;
    within(async {
        let (bob, info) = listener().await;
        line(&[" INFO sanswarm: listening", &format!("address={}", info.addrs[0])]).await;
        bob.set_stream_handler(ECHO, |stream| async {
            tracing::warn!("the user's word");
            echo(stream).await;
        });
        bob.set_stream_handler(ProtocolName::from_static("/panic"), async |_| panic!("on purpose"));
        let mut evil = config(1);
        evil.agent = "evil\n\u{1b}[2J INFO sanswarm: all is well".to_owned();
        let alice = Node::new(evil).unwrap();
        check_echo(alice.open_stream(ECHO, info.clone()).await.unwrap(), 1000, 1).await;

        // Alice is the dialer, bob the listener; each has a span of its own, with the other's id.
        let dialer = format!("role=\"dialer\" remote={} peer={}}}: sanswarm: ", info.addrs[0], bob.id());
        let dialing = line(&["DEBUG sanswarm: dialing", &info.addrs[0].to_string()]).await;
        let conn = dialing.split("conn=").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        let dialer = format!("connection{{conn={conn} {dialer}");
        line(&["DEBUG", &dialer, "connected", "security=/noise", "muxer=/yamux/1.0.0", "round_trips=1"]).await;
        line(&["TRACE", &dialer, "stream opened", "protocol=/echo/1.0.0", "direction=\"outbound\""]).await;
        let peer = format!("peer={}", alice.id());
        let theirs = ["role=\"listener\" remote=/ip4/127.0.0.1/tcp/", &peer];
        let opened =
            line(&[&theirs[..], &["TRACE", "stream opened", "protocol=/echo/1.0.0", "inbound"]].concat()).await;
        let stream = opened.split("stream=").nth(1).unwrap().split(' ').next().unwrap();
        line(&[&theirs[..], &["stream finished by the peer", &format!("stream={stream}")]].concat()).await;
        line(&["DEBUG", &peer, "identified", "agent=evil\\n\\u{1b}[2J INFO"]).await;
        // What the user says in a handler is within the spans of connection and stream.
        let span = format!("stream{{stream={stream} protocol=/echo/1.0.0}}: ");
        line(&[&theirs[..], &[" WARN", &span, "the user's word"]].concat()).await;

        alice.open_stream(ProtocolName::from_static("/none"), info.clone()).await.unwrap_err();
        line(&["DEBUG", &dialer, "stream refused", "code=\"protocol-refused\"", "/none"]).await;
        let doomed = alice.open_stream(ProtocolName::from_static("/panic"), info.clone()).await.unwrap();
        line(&["ERROR", &peer, "protocol=/panic", "a stream handler panicked"]).await;
        line(&["DEBUG", &dialer, "stream reset by the peer"]).await;
        drop(doomed);
        alice.disconnect(bob.id()).await;
        line(&["DEBUG", &dialer, "closed", "reason=we closed the connection", "rule=closed on request"]).await;
        line(&["DEBUG", theirs[0], theirs[1], "closed"]).await;

        failures(&alice, &bob, info, &line).await;
        bob.shutdown(Duration::ZERO).await;
        line(&[" INFO sanswarm: shut down"]).await;
    })
    .await;
}

async fn failures(alice: &Node, bob: &Node, bobs: PeerInfo, line: &impl AsyncFn(&[&str]) -> String) {
    // Nobody is there; and then the stranger is not let in.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let stranger = Node::new(config(3)).unwrap();
    let address = format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap();
    let info = PeerInfo { id: stranger.id(), addrs: vec![address] };
    alice.connect(info).await.unwrap_err();
    line(&["DEBUG sanswarm: no socket", "stage=\"connect\"", "cause=connection refused"]).await;
    let peer = format!("peer={}", stranger.id());
    line(&["DEBUG sanswarm: dial attempt failed", &peer, "stage=\"connect\"", "code=\"connect\""]).await;
    line(&["DEBUG sanswarm: dial failed", &peer, "every attempt failed"]).await;

    bob.set_gate(Gate::new(|visit| match visit {
        Visit::Accept { .. } => Err("closed today"),
        _ => Ok(()),
    }))
    .await;
    stranger.connect(bobs).await.unwrap_err();
    line(&["DEBUG sanswarm: denied", "remote=/ip4/127.0.0.1/tcp/", "closed today"]).await;
    line(&["DEBUG sanswarm: dial attempt failed", "stage=\"security\""]).await;
}

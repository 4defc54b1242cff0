//! What a node tells `tracing`.
#![allow(clippy::unwrap_used, reason = "a test")]

use core::time::Duration;
use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use async_executor::Executor;
use async_io::Timer;
use futures_lite::{
    AsyncReadExt, AsyncWriteExt,
    future::{block_on, or},
};
use sanswarm_smol::{
    Node,
    sanswarm::{PeerInfo, ProtocolName},
};
use tracing_subscriber::fmt::MakeWriter;

const ECHO: ProtocolName = ProtocolName::from_static("/echo/1.0.0");

/// Keeps every line: level, spans with their fields, target, message, fields.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<u8>>>);

impl Recorder {
    /// Waits for a line that has all of these.
    async fn wait(&self, parts: &[&str]) {
        let has = |text: &str| text.lines().any(|line| parts.iter().all(|part| line.contains(part)));
        for _ in 0..500 {
            if has(&String::from_utf8_lossy(&self.0.lock().unwrap())) {
                return;
            }
            Timer::after(Duration::from_millis(10)).await;
        }
        panic!("no line with {parts:?} in\n{}", String::from_utf8_lossy(&self.0.lock().unwrap()));
    }
}

impl Write for Recorder {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(&mut *self.0.lock().unwrap(), bytes)
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

fn node(tasks: &Arc<Executor<'static>>) -> Node {
    let tasks = tasks.clone();
    Node::new(sanswarm_smol::config().unwrap(), move |task| tasks.spawn(task).detach()).unwrap()
}

/// One subscriber for all threads, and therefore one test in this file.
#[test]
fn spans_have_connection_peer_and_stream() {
    let recorder = Recorder::default();
    let builder = tracing_subscriber::fmt().with_writer(recorder.clone()).with_ansi(false);
    builder.with_max_level(tracing::Level::TRACE).init();
    let tasks: Arc<Executor<'static>> = Arc::default();
    let test = async {
        let (alice, bob) = (node(&tasks), node(&tasks));
        let address = bob.listen("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
        let info = PeerInfo { id: bob.id(), addrs: vec![address.clone()] };
        recorder.wait(&[" INFO sanswarm: listening", &format!("address={address}")]).await;
        let incoming = bob.set_stream_handler(ECHO);
        let mut stream = alice.open_stream(ECHO, info.clone()).await.unwrap();
        stream.write_all(b"x").await.unwrap();
        let mut theirs = incoming.recv().await.unwrap();
        theirs.read_exact(&mut [0]).await.unwrap();
        let dialer = format!("role=\"dialer\" remote={address} peer={}}}: sanswarm: ", bob.id());
        recorder.wait(&["DEBUG sanswarm: dialing", "conn=", &address.to_string()]).await;
        recorder.wait(&["DEBUG connection{conn=", &dialer, "connected", "security=/noise", "round_trips=1"]).await;
        recorder.wait(&["TRACE connection{conn=", &dialer, "stream opened", "stream=", "protocol=/echo/1.0.0"]).await;
        let listener = format!("peer={}}}: sanswarm: ", alice.id());
        recorder.wait(&["TRACE", "role=\"listener\"", &listener, "stream opened", "direction=\"inbound\""]).await;
        drop(theirs);
        recorder.wait(&["DEBUG", &dialer, "stream reset by the peer", "stream="]).await;
        alice.open_stream(ProtocolName::from_static("/none"), info).await.unwrap_err();
        recorder.wait(&["stream refused", "code=\"protocol-refused\""]).await;
        alice.shutdown(Duration::ZERO).await;
        recorder.wait(&["DEBUG", &dialer, "closed"]).await;
        recorder.wait(&["DEBUG", &listener, "closed"]).await;
        bob.shutdown(Duration::ZERO).await;
    };
    let late = async {
        Timer::after(Duration::from_secs(30)).await;
        panic!("it takes too long");
    };
    block_on(tasks.run(or(test, late)));
}

//! Nodes and patterns that the tests share.
#![allow(dead_code, clippy::unwrap_used)] // each test file uses a part; clippy does not see that all of it is tests

use core::time::Duration;
use std::{
    io::{Read, Write},
    sync::mpsc,
    thread::{self, JoinHandle},
};

use sanswarm_std::{Node, PeerInfo, ProtocolName, Stream};

pub(crate) const ECHO: ProtocolName = ProtocolName::from_static("/echo/1.0.0");
pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Runs a test on a thread and fails it if it takes longer than a minute's third.
pub(crate) fn within<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    let thread = start(move || drop(sender.send(run())));
    match receiver.recv_timeout(20 * SECOND) {
        Ok(value) => value,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(thread.join().expect_err("it has panicked"))
        }
    }
}

pub(crate) fn start<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::Builder::new().spawn(run).unwrap()
}

pub(crate) fn echo(stream: Stream) {
    if std::io::copy(&mut &stream, &mut &stream).is_ok() {
        let _ = stream.finish();
    }
}

/// A node that echoes, and how to reach it.
pub(crate) fn server(listen: &str) -> (Node, PeerInfo) {
    let node = Node::with_new_identity().unwrap();
    node.set_stream_handler(ECHO, echo);
    let info = listen_on(&node, listen);
    (node, info)
}

pub(crate) fn listen_on(node: &Node, address: &str) -> PeerInfo {
    let address = node.listen(address.parse().unwrap()).unwrap();
    PeerInfo { id: node.id(), addrs: vec![address] }
}

/// Two nodes, the first connected to the second, which echoes.
pub(crate) fn pair() -> (Node, Node, PeerInfo) {
    let (bob, info) = server("/ip4/127.0.0.1/tcp/0");
    let alice = Node::with_new_identity().unwrap();
    alice.connect(info.clone()).unwrap();
    (alice, bob, info)
}

/// Bytes of which no two pages are the same.
pub(crate) fn pattern(len: usize, seed: u64) -> Vec<u8> {
    let mut x = seed;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        x = x.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        out.extend((x >> 20).to_le_bytes());
    }
    out.truncate(len);
    out
}

/// Sends on one thread and reads on another until the peer's end, and compares.
pub(crate) fn round_trip(stream: &Stream, len: usize, seed: u64) {
    let data = pattern(len, seed);
    let writer = stream.try_clone().unwrap();
    let sent = data.clone();
    let writing = start(move || {
        (&writer).write_all(&sent).unwrap();
        writer.finish().unwrap();
    });
    let mut answer = Vec::new();
    (&mut &*stream).read_to_end(&mut answer).unwrap();
    writing.join().unwrap();
    assert!(answer == data, "{} of {} bytes came back", answer.len(), data.len());
}

/// Waits until something is so.
pub(crate) fn eventually(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..500 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("never: {what}");
}

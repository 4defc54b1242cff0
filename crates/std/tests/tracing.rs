//! What a node tells `tracing`.

#![allow(clippy::unwrap_used)] // clippy sees helpers outside of #[test] as no tests

mod common;

use core::time::Duration;
use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use common::*;
use sanswarm_std::ProtocolName;
use tracing_subscriber::fmt::MakeWriter;

/// Keeps every line: level, spans with their fields, target, message, fields.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<u8>>>);

impl Recorder {
    /// Waits for a line that has all of these.
    fn wait(&self, parts: &[&str]) {
        eventually(&format!("a line with {parts:?}"), || {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            text.lines().any(|line| parts.iter().all(|part| line.contains(part)))
        });
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
#[test]
fn spans_have_connection_peer_and_stream() {
    let recorder = Recorder::default();
    let builder = tracing_subscriber::fmt().with_writer(recorder.clone()).with_ansi(false);
    builder.with_max_level(tracing::Level::TRACE).init();
    within(move || {
        let (alice, bob, info) = pair();
        recorder.wait(&[" INFO sanswarm: listening", &format!("address={}", info.addrs[0])]);
        round_trip(&alice.open_stream(ECHO, info.clone()).unwrap(), 1000, 1);
        let dialer = format!("role=\"dialer\" remote={} peer={}}}: sanswarm: ", info.addrs[0], bob.id());
        recorder.wait(&["DEBUG sanswarm: dialing", "conn=", &info.addrs[0].to_string()]);
        recorder.wait(&["DEBUG connection{conn=", &dialer, "connected", "muxer=/yamux/1.0.0", "round_trips=1"]);
        recorder.wait(&["TRACE connection{conn=", &dialer, "stream opened", "stream=", "protocol=/echo/1.0.0"]);
        let listener = format!("peer={}}}: ", alice.id());
        recorder.wait(&["TRACE connection{conn=", "role=\"listener\"", &listener, "stream finished by the peer"]);

        let none = ProtocolName::from_static("/none");
        alice.open_stream(&none, info.clone()).unwrap_err();
        recorder.wait(&["DEBUG", &dialer, "stream refused", "code=\"protocol-refused\""]);
        let panics = ProtocolName::from_static("/panic");
        bob.set_stream_handler(&panics, |_| {
            tracing::warn!("the user's word");
            panic!("on purpose");
        });
        let doomed = alice.open_stream(&panics, info.clone()).unwrap();
        let span = format!("peer={}}}:stream{{stream=", alice.id());
        recorder.wait(&[" WARN connection{conn=", &span, "protocol=/panic}: ", "the user's word"]);
        recorder.wait(&["ERROR connection{conn=", &span, "protocol=/panic}: ", "a stream handler panicked"]);
        recorder.wait(&["DEBUG", &dialer, "stream reset by the peer"]);
        drop(doomed);
        alice.disconnect(info.id);
        recorder.wait(&["DEBUG", &dialer, "closed", "rule=closed on request"]);
        recorder.wait(&["DEBUG", &listener, "closed"]);
        bob.shutdown(Duration::ZERO);
        recorder.wait(&[" INFO sanswarm: shut down"]);
    });
}

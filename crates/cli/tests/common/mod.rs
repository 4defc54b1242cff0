//! Runs the built command.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use core::time::Duration;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Instant,
};

/// A peer id that nobody has.
pub const NOBODY: &str = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

/// No command here takes longer; one that does is killed, and its test fails.
const DEADLINE: Duration = Duration::from_secs(30);

pub fn sanswarm(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sanswarm"));
    let child = command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id();
    let (done, wait) = mpsc::channel::<()>();
    let guard = thread::Builder::new()
        .spawn(move || {
            if wait.recv_timeout(DEADLINE) == Err(mpsc::RecvTimeoutError::Timeout) {
                let _ = Command::new("kill").arg("-9").arg(id.to_string()).status();
            }
        })
        .unwrap();
    let output = child.wait_with_output().unwrap();
    drop(done);
    guard.join().unwrap();
    output
}

/// Standard output of a command that has to succeed without a word on stderr.
pub fn ok(args: &[&str]) -> String {
    let output = sanswarm(args);
    let (out, err) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {out}{err}");
    assert_eq!(err, "", "{args:?}");
    out
}

/// The one line on stderr of a command that has to fail with this status.
pub fn fails(args: &[&str], status: i32) -> String {
    let output = sanswarm(args);
    let (out, err) = texts(&output);
    assert_eq!(output.status.code(), Some(status), "{args:?}: {out}{err}");
    assert_eq!(err.lines().count(), 1, "{args:?}: {err}");
    assert!(err.starts_with("sanswarm: ") && err.ends_with('\n'), "{args:?}: {err}");
    err
}

pub fn texts(output: &Output) -> (String, String) {
    (String::from_utf8(output.stdout.clone()).unwrap(), String::from_utf8(output.stderr.clone()).unwrap())
}

/// Every line of `out` as JSON.
pub fn objects(out: &str) -> Vec<serde_json::Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// `sanswarm listen` until it is dropped.
pub struct Listener {
    pub child: Child,
    pub address: String,
    /// Kept open: a listener that writes to a closed pipe is another test.
    pub stdout: BufReader<ChildStdout>,
}

impl Listener {
    pub fn start(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sanswarm"))
            .arg("listen")
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut address = String::new();
        stdout.read_line(&mut address).unwrap();
        Self { child, address: address.trim_end().to_owned(), stdout }
    }

    /// Host and port.
    pub fn socket(&self) -> String {
        let parts: Vec<_> = self.address.split('/').collect();
        format!("{}:{}", parts[2], parts[4])
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A listener made by hand: does `what` with the first connection. Returns the multiaddr to dial.
pub fn fake(what: impl FnOnce(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::Builder::new()
        .spawn(move || {
            let (socket, _) = listener.accept().unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            what(socket);
        })
        .unwrap();
    format!("/ip4/127.0.0.1/tcp/{port}/p2p/{NOBODY}")
}

/// Reads until the other end closes, or for some seconds.
pub fn drain(mut socket: TcpStream) {
    let mut block = [0; 4096];
    while socket.read(&mut block).is_ok_and(|n| n > 0) {}
}

/// Writes and goes on reading, so that nothing is lost by a reset.
pub fn say(mut socket: TcpStream, bytes: &[u8]) {
    let _ = socket.write_all(bytes);
    let _ = socket.shutdown(std::net::Shutdown::Write);
    drain(socket);
}

/// A directory of its own, gone when it is dropped.
pub struct Dir(pub PathBuf);

impl Dir {
    pub fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("sanswarm-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir(&dir).unwrap();
        Self(dir)
    }

    pub fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Whether `what` takes no longer than `limit`.
pub fn within<T>(limit: Duration, what: impl FnOnce() -> T) -> T {
    #[expect(clippy::disallowed_methods, reason = "a test of a real command measures real time")]
    let start = Instant::now();
    let value = what();
    assert!(start.elapsed() < limit, "took {:?}", start.elapsed());
    value
}

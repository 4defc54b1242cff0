//! `sanswarm interop`: two processes and a real Redis, as the suites' containers have it, and everything that may be
//! wrong around them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use core::time::Duration;
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Output, Stdio},
    thread,
};

use common::{Dir, texts, within};

/// A server of its own on 127.0.0.1, gone when it is dropped.
struct Redis {
    child: Child,
    port: u16,
    _dir: Dir,
}

impl Redis {
    fn start(name: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let dir = Dir::new(name);
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--dir", dir.0.to_str().unwrap()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("this test needs redis-server (Debian: apt install redis-server): {error}"));
        let redis = Self { child, port, _dir: dir };
        within(Duration::from_secs(20), || {
            while TcpStream::connect(redis.address()).is_err() {
                thread::sleep(Duration::from_millis(10));
            }
        });
        redis
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The answer to a command in one line.
    fn ask(&self, command: &str) -> String {
        let mut socket = TcpStream::connect(self.address()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer.strip_suffix("+OK\r\n").unwrap().to_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A form of the contract: its variables for tcp on this host.
#[derive(Clone, Copy)]
enum Form {
    Upper,
    Lower,
}

impl Form {
    fn variables(self, is_dialer: bool, redis: &str, security: &str, muxer: &str) -> Vec<(&'static str, String)> {
        let dialer = is_dialer.to_string();
        match self {
            Self::Upper => vec![
                ("IS_DIALER", dialer),
                ("REDIS_ADDR", redis.to_owned()),
                ("TEST_KEY", "a5b50d5e".to_owned()),
                ("TRANSPORT", "tcp".to_owned()),
                ("SECURE_CHANNEL", security.to_owned()),
                ("MUXER", muxer.to_owned()),
                ("LISTENER_IP", "0.0.0.0".to_owned()),
                ("DEBUG", "false".to_owned()),
            ],
            Self::Lower => vec![
                ("transport", "tcp".to_owned()),
                ("security", security.to_owned()),
                ("muxer", muxer.to_owned()),
                ("is_dialer", dialer),
                ("ip", "0.0.0.0".to_owned()),
                ("redis_addr", redis.to_owned()),
            ],
        }
    }

    fn timeout(self) -> &'static str {
        match self {
            Self::Upper => "TEST_TIMEOUT_SECS",
            Self::Lower => "test_timeout_seconds",
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Upper => "a5b50d5e_listener_multiaddr",
            Self::Lower => "listenerAddr",
        }
    }
}

fn start(variables: &[(&str, String)]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_sanswarm"))
        .arg("interop")
        .env_clear()
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs to its end, with so many seconds and other changes to the variables.
fn run(
    form: Form,
    mut variables: Vec<(&'static str, String)>,
    seconds: u64,
    changes: &[(&'static str, &str)],
) -> Output {
    variables.push((form.timeout(), seconds.to_string()));
    for (name, value) in changes {
        variables.retain(|(known, _)| known != name);
        variables.push((name, (*value).to_owned()));
    }
    within(Duration::from_secs(seconds + 10), || start(&variables).wait_with_output().unwrap())
}

/// Its one line on stderr, where it has to fail with this status and nothing on stdout.
fn failed(output: &Output, status: i32) -> String {
    let (out, err) = texts(output);
    assert_eq!((output.status.code(), &*out, err.lines().count()), (Some(status), "", 1), "{out}{err}");
    err
}

/// A time in milliseconds, to three places.
fn is_time(text: &str) -> bool {
    text.split_once('.').is_some_and(|(_, places)| places.len() == 3) && text.parse::<f64>().is_ok_and(|ms| ms > 0.0)
}

fn check_result(form: Form, out: &str) {
    match form {
        Form::Upper => {
            let lines: Vec<_> = out.lines().collect();
            assert_eq!((lines.len(), lines[0], lines[3]), (4, "latency:", "  unit: ms"), "{out}");
            assert!(lines[1].strip_prefix("  handshake_plus_one_rtt: ").is_some_and(is_time), "{out}");
            assert!(lines[2].strip_prefix("  ping_rtt: ").is_some_and(is_time), "{out}");
        }
        Form::Lower => {
            assert_eq!(out.lines().count(), 1, "{out}");
            let told: serde_json::Value = serde_json::from_str(out).unwrap();
            let times = ["handshakePlusOneRTTMillis", "pingRTTMilllis"].map(|name| told[name].as_f64().unwrap());
            assert!(told.as_object().unwrap().len() == 2 && times[0] > times[1] && times[1] > 0.0, "{out}");
        }
    }
}

#[test]
#[ignore = "needs redis-server: cargo test -p sanswarm-cli --test interop -- --ignored"]
fn both_ends_meet_in_each_form_over_each_protocol() {
    let redis = Redis::start("interop-matrix");
    for form in [Form::Upper, Form::Lower] {
        for (transport, security, muxer) in [
            ("tcp", "noise", "yamux"),
            ("tcp", "noise", "mplex"),
            ("tcp", "tls", "yamux"),
            ("tcp", "tls", "mplex"),
            ("ws", "noise", "yamux"),
            ("ws", "tls", "mplex"),
        ] {
            let variables = |is_dialer| {
                let mut variables = form.variables(is_dialer, &redis.address(), security, muxer);
                let is_transport = |(name, _): &&mut (&str, String)| name.eq_ignore_ascii_case("transport");
                variables.iter_mut().filter(is_transport).for_each(|(_, value)| *value = transport.to_owned());
                variables
            };
            // Whoever is first waits for the other.
            let mut listener = start(&variables(false));
            let output = run(form, variables(true), 20, &[]);
            let (out, err) = texts(&output);
            assert_eq!((output.status.code(), &*err), (Some(0), ""), "{transport} {security} {muxer}: {out}");
            check_result(form, &out);
            listener.kill().unwrap();
            let (out, err) = texts(&listener.wait_with_output().unwrap());
            assert_eq!((&*out, &*err), ("", ""), "{transport} {security} {muxer}");
        }
    }
}

#[test]
#[ignore = "needs redis-server: cargo test -p sanswarm-cli --test interop -- --ignored"]
fn a_dialer_may_be_there_first() {
    let redis = Redis::start("interop-first");
    for form in [Form::Upper, Form::Lower] {
        let mut variables = form.variables(true, &redis.address(), "noise", "yamux");
        variables.push((form.timeout(), "20".to_owned()));
        let dialer = start(&variables);
        within(Duration::from_secs(10), || {
            while !redis.ask("INFO clients").contains("blocked_clients:1") {
                thread::sleep(Duration::from_millis(10));
            }
        });
        let mut listener = start(&form.variables(false, &redis.address(), "noise", "yamux"));
        let output = dialer.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{:?}", texts(&output));
        check_result(form, &texts(&output).0);
        listener.kill().unwrap();
        listener.wait().unwrap();
    }
}

#[test]
#[ignore = "needs redis-server: cargo test -p sanswarm-cli --test interop -- --ignored"]
fn a_listener_pushes_an_address_to_dial_and_fails_if_nobody_kills_it() {
    let redis = Redis::start("interop-listener");
    for form in [Form::Upper, Form::Lower] {
        let mut variables = form.variables(false, &redis.address(), "tls", "yamux");
        variables.push((form.timeout(), "2".to_owned()));
        let listener = start(&variables);
        let told = redis.ask(&format!("BLPOP {} 10", form.key()));
        let address = told.lines().last().unwrap();
        assert!(address.starts_with("/ip4/127.0.0.1/tcp/") && address.contains("/p2p/12D3KooW"), "{told}");
        let output = within(Duration::from_secs(10), || listener.wait_with_output().unwrap());
        assert!(failed(&output, 1).contains("interop: not done within 2s"));
    }
}

#[test]
#[ignore = "needs redis-server: cargo test -p sanswarm-cli --test interop -- --ignored"]
fn debug_says_on_stderr_what_happens() {
    let redis = Redis::start("interop-debug");
    let variables = |is_dialer| Form::Upper.variables(is_dialer, &redis.address(), "noise", "yamux");
    let mut listener = start(&variables(false));
    let output = run(Form::Upper, variables(true), 20, &[("DEBUG", "true")]);
    let (out, err) = texts(&output);
    check_result(Form::Upper, &out);
    assert!(err.contains("interop: dials /ip4/127.0.0.1/tcp/") && err.contains("connected: 12D3KooW"), "{err}");
    listener.kill().unwrap();
    listener.wait().unwrap();
}

#[test]
fn variables_that_are_missing_or_wrong_are_wrong_usage() {
    for form in [Form::Upper, Form::Lower] {
        let all = form.variables(true, "127.0.0.1:1", "noise", "yamux");
        for (name, _) in all.iter().filter(|(name, _)| !["ip", "redis_addr", "LISTENER_IP", "DEBUG"].contains(name)) {
            let line = failed(&run(form, all.clone(), 1, &[(name, "")]), 2);
            assert!(line.contains(&format!("the environment variable {name} is not set")), "{line}");
            if !["TEST_KEY", "REDIS_ADDR"].contains(name) {
                let line = failed(&run(form, all.clone(), 1, &[(name, "x\ny")]), 2);
                assert!(line.contains(&format!("usage: {name} 'x\\ny' is not ")), "{line}");
            }
        }
        let name = if matches!(form, Form::Upper) { "TRANSPORT" } else { "transport" };
        let line = failed(&run(form, all, 1, &[(name, "quic-v1")]), 2);
        assert!(line.contains(&format!("not supported: {name} quic-v1")), "{line}");
    }
    let output = start(&[]).wait_with_output().unwrap();
    assert!(failed(&output, 2).contains("TRANSPORT is not set"));
}

#[test]
fn a_redis_that_is_not_there() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = format!("127.0.0.1:{port}");
    for form in [Form::Upper, Form::Lower] {
        for is_dialer in [true, false] {
            let variables = form.variables(is_dialer, &nobody, "noise", "yamux");
            let line = failed(&run(form, variables, 1, &[]), 1);
            assert!(line.contains(&format!("redis: {nobody}: ")) && line.contains("refused"), "{line}");
        }
    }
    let variables = Form::Upper.variables(true, "no port", "noise", "yamux");
    assert!(failed(&run(Form::Upper, variables, 1, &[]), 1).contains("redis: no port: "));
}

#[test]
#[ignore = "needs redis-server: cargo test -p sanswarm-cli --test interop -- --ignored"]
fn a_redis_that_is_none_or_has_nothing_for_us() {
    let silent = common::fake(common::drain);
    let socket = |address: &str| address.split('/').nth(4).map(|port| format!("127.0.0.1:{port}")).unwrap();
    let dialer = |redis: &str| Form::Upper.variables(true, redis, "noise", "yamux");
    let line = failed(&run(Form::Upper, dialer(&socket(&silent)), 1, &[]), 1);
    assert!(line.contains("redis: not done within 1s"), "{line}");
    let web = common::fake(|socket| common::say(socket, b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    let line = failed(&run(Form::Upper, dialer(&socket(&web)), 5, &[]), 1);
    assert!(line.contains("redis: 'HTTP/1.1 400 Bad Request' is no answer"), "{line}");

    let redis = Redis::start("interop-nothing");
    let line = failed(&run(Form::Upper, dialer(&redis.address()), 2, &[]), 1);
    assert!(line.contains("redis: nothing came under a5b50d5e_listener_multiaddr within 1s"), "{line}");
    redis.ask("RPUSH a5b50d5e_listener_multiaddr nowhere");
    let line = failed(&run(Form::Upper, dialer(&redis.address()), 5, &[]), 1);
    assert!(line.contains("address: 'nowhere' is no multiaddr"), "{line}");
    redis.ask("SET a5b50d5e_listener_multiaddr x");
    for is_dialer in [true, false] {
        let variables = Form::Upper.variables(is_dialer, &redis.address(), "noise", "yamux");
        assert!(failed(&run(Form::Upper, variables, 5, &[]), 1).contains("redis: it refuses: WRONGTYPE"));
    }
}

#[test]
#[ignore = "needs redis-server: cargo test -p sanswarm-cli --test interop -- --ignored"]
fn a_listener_that_speaks_something_else() {
    let redis = Redis::start("interop-else");
    let mut listener = start(&Form::Upper.variables(false, &redis.address(), "tls", "yamux"));
    let variables = Form::Upper.variables(true, &redis.address(), "noise", "yamux");
    let line = failed(&run(Form::Upper, variables, 5, &[]), 1);
    assert!(line.contains("/noise"), "{line}");
    listener.kill().unwrap();
    listener.wait().unwrap();
}

//! Every bad end is one typed line that names its stage, in time; and a listener outlives all of them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use core::time::Duration;
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
};

use common::{Listener, NOBODY, drain, fails, fake, objects, ok, sanswarm, say, texts, within};
use sanswarm_tokio::{Node, ProtocolName, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const HEADER: &[u8] = b"\x13/multistream/1.0.0\n";

/// The command fails with status 1 and one line that has all of `parts`, before its deadline by far.
fn fails_with(args: &[&str], parts: &[&str]) {
    let line = within(Duration::from_secs(10), || fails(args, 1));
    for part in parts {
        assert!(line.contains(part), "{part} in {line}");
    }
}

#[test]
fn a_wrong_multiaddr() {
    for verb in ["ping", "echo", "identify"] {
        fails_with(&[verb, "127.0.0.1:4001"], &["address: ", "127.0.0.1:4001"]);
        fails_with(&[verb, "/ip4/127.0.0.1/tcp/4001"], &["address: ", "/p2p/"]);
        fails_with(&[verb, "/ip4/127.0.0.1/tcp/99999/p2p/x"], &["address: "]);
    }
    fails_with(&["listen", "here\n\x1b[2J"], &["address: ", "here\\n\\u{1b}[2J"]);
}

#[test]
fn nobody_listens() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("/ip4/127.0.0.1/tcp/{port}/p2p/{NOBODY}");
    fails_with(&["ping", &address], &[NOBODY, &format!("tcp/{port}: connect: "), "refused"]);
}

#[test]
fn another_peer() {
    let listener = Listener::start(&[]);
    let (place, got) = listener.address.split_once("/p2p/").unwrap();
    let address = format!("{place}/p2p/{NOBODY}");
    fails_with(&["identify", &address], &["handshake: ", &format!("expected peer {NOBODY}"), got]);
    ok(&["ping", &listener.address, "--count", "1"]);
}

#[test]
fn an_http_server() {
    let head = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    let address = fake(move |socket| say(socket, &[&head[..], &[b'x'; 200]].concat()));
    fails_with(&["ping", &address], &["security: no message of multistream-select: ", "we offered /noise"]);
    // So little that it could be the beginning of a long line.
    let address = fake(|socket| say(socket, head));
    fails_with(&["ping", &address], &["security: ", "ended"]);
}

#[test]
fn random_bytes() {
    // What they say differs; that they end, with the stage, does not.
    for seed in 0..16u32 {
        let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
        let bytes: Vec<u8> = core::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 11) as u8
        })
        .take(5000)
        .collect();
        let address = fake(move |socket| say(socket, &bytes));
        fails_with(&["ping", &address, "--timeout", "2"], &["security: "]);
    }
}

#[test]
fn random_bytes_for_a_handshake() {
    let bytes = [HEADER, b"\x07/noise\n", &[0, 200], &[7; 200]].concat();
    let address = fake(move |socket| say(socket, &bytes));
    fails_with(&["ping", &address], &["handshake: "]);
}

#[test]
fn a_peer_that_closes_in_the_middle() {
    fails_with(&["ping", &fake(drop)], &["security: "]);
    fails_with(&["ping", &fake(|socket| say(socket, &HEADER[..7]))], &["security: ", "ended"]);
    fails_with(&["ping", &fake(|socket| say(socket, HEADER))], &["security: ", "ended"]);
    let bytes = [HEADER, b"\x07/noise\n", &[0, 200, 1, 2, 3]].concat();
    fails_with(&["ping", &fake(move |socket| say(socket, &bytes))], &["handshake: ", "ended"]);
}

#[test]
fn a_silent_peer() {
    let address = fake(drain);
    let line = within(Duration::from_secs(4), || fails(&["ping", &address, "--timeout", "1"], 1));
    assert!(line.contains("security: not done within 1s"), "{line}");
}

/// A listener that accepts nothing and whose queue is full: the system drops what else comes.
#[cfg(target_os = "linux")]
fn hole() -> (String, tokio::net::TcpListener, Vec<TcpStream>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let listener = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        socket.listen(1).unwrap()
    });
    let place = listener.local_addr().unwrap();
    let mut filled = Vec::new();
    while let Ok(socket) = TcpStream::connect_timeout(&place, Duration::from_millis(300)) {
        filled.push(socket);
        assert!(filled.len() < 100, "the queue is never full");
    }
    (format!("/ip4/127.0.0.1/tcp/{}", place.port()), listener, filled)
}

#[test]
#[cfg(target_os = "linux")]
fn a_place_that_drops_what_is_sent_to_it() {
    let (place, _listener, _filled) = hole();
    let line =
        within(Duration::from_secs(4), || fails(&["ping", &format!("{place}/p2p/{NOBODY}"), "--timeout", "1"], 1));
    assert!(line.contains("connect: no answer in time (after 10"), "{line}");
}

/// Places where four different things go wrong, the first with the peer's id.
#[cfg(target_os = "linux")]
fn wrong_places(peer: &str) -> (Vec<String>, impl Drop) {
    struct Open(#[expect(dead_code, reason = "kept open")] (tokio::net::TcpListener, Vec<TcpStream>));
    impl Drop for Open {
        fn drop(&mut self) {}
    }
    let bare = |address: String| address.split_once("/p2p/").unwrap().0.to_owned();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (place, listener, filled) = hole();
    let page = b"HTTP/1.1 400 Bad Request\r\nServer: an example of one\r\nConnection: close\r\n\r\n<html></html>";
    let http = fake(|socket| say(socket, page));
    let places = vec![format!("/ip4/127.0.0.1/tcp/{port}/p2p/{peer}"), bare(fake(drain)), place, bare(http)];
    (places, Open((listener, filled)))
}

#[test]
#[cfg(target_os = "linux")]
fn of_five_addresses_the_last_works() {
    let listener = Listener::start(&[]);
    let (place, peer) = listener.address.split_once("/p2p/").unwrap();
    let (places, _open) = wrong_places(peer);
    let mut args = vec!["ping"];
    args.extend(places.iter().map(String::as_str));
    args.extend([place, "--count", "1", "--json"]);
    let out = within(Duration::from_secs(5), || ok(&args));
    let told = objects(&out);
    assert_eq!((&told[0]["event"], &told[0]["peer"]), (&"connected".into(), &peer.into()));
    assert_eq!((told.len(), &told[2]["ok"], &told[2]["count"]), (3, &true.into(), &1.into()));
    // Those of another peer are not tried, and of which peer they are must be said.
    let other = format!("{place}/p2p/{NOBODY}");
    ok(&["ping", place, &listener.address, &other, "--count", "1"]);
    fails_with(&["ping", place, place], &["address: ", "/p2p/<peer id>"]);
}

#[test]
#[cfg(target_os = "linux")]
fn of_four_addresses_none_works() {
    let (places, _open) = wrong_places(NOBODY);
    let mut args = vec!["ping"];
    args.extend(places.iter().map(String::as_str));
    args.extend(["--timeout", "1", "--json"]);
    let output = within(Duration::from_secs(5), || sanswarm(&args));
    let (out, err) = texts(&output);
    assert_eq!((output.status.code(), err.lines().count()), (Some(1), 1), "{out}{err}");
    let told = objects(&out);
    assert_eq!((told.len(), &told[0]["ok"], &told[0]["code"]), (1, &false.into(), &"all-failed".into()));
    let mut all: Vec<_> = told[0]["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attempt| {
            let place = places.iter().position(|place| place.starts_with(attempt["address"].as_str().unwrap()));
            (place.unwrap(), attempt["stage"].as_str().unwrap(), attempt["code"].as_str().unwrap())
        })
        .collect();
    all.sort_unstable();
    let expected = [
        (0, "connect", "connect"),
        (1, "security", "timeout"),
        (2, "connect", "timeout"),
        (3, "security", "negotiation"),
    ];
    assert_eq!(all, expected, "{out}");
}

#[test]
fn a_peer_that_drips() {
    let address = fake(|mut socket| {
        for byte in HEADER {
            std::thread::sleep(Duration::from_millis(200));
            if socket.write_all(&[*byte]).is_err() {
                return;
            }
        }
    });
    let line = within(Duration::from_secs(4), || fails(&["echo", &address, "--timeout", "1"], 1));
    assert!(line.contains("security: not done within 1s"), "{line}");
}

#[test]
fn no_common_security() {
    let address = fake(|socket| say(socket, &[HEADER, b"\x03na\n"].concat()));
    fails_with(&["ping", &address], &["security: ", "/noise"]);
}

#[test]
fn no_common_muxer() {
    let listener = Listener::start(&["--muxer", "mplex"]);
    let cause = "muxer: nothing in common; we offered /yamux/1.0.0, the peer /mplex/6.7.0";
    fails_with(&["ping", &listener.address], &[cause]);
    let output = sanswarm(&["ping", &listener.address, "--json"]);
    let attempt = &objects(&texts(&output).0)[0]["attempts"][0];
    assert_eq!((&attempt["stage"], &attempt["code"]), (&"muxer".into(), &"nothing-in-common".into()));
    assert_eq!((&attempt["offered"][0], &attempt["remote"][0]), (&"/yamux/1.0.0".into(), &"/mplex/6.7.0".into()));
    ok(&["ping", &listener.address, "--count", "1", "--muxer", "mplex"]);
}

#[test]
fn a_failure_in_json() {
    let address = fake(|socket| say(socket, &[HEADER, b"\x03na\n"].concat()));
    let output = sanswarm(&["ping", &address, "--json"]);
    let (out, err) = texts(&output);
    let told = objects(&out);
    assert_eq!((output.status.code(), told.len(), err.lines().count()), (Some(1), 1, 1), "{out}{err}");
    assert_eq!((&told[0]["ok"], &told[0]["code"]), (&false.into(), &"nothing-in-common".into()));
    assert!(err.contains(told[0]["error"].as_str().unwrap()));
    let attempt = &told[0]["attempts"][0];
    assert_eq!(attempt["stage"], "security");
    assert!(address.starts_with(attempt["address"].as_str().unwrap()), "{attempt}");
    assert!(attempt["ms"].as_f64().is_some());
}

/// A node whose `/echo/1.0.0` does this, if anything.
fn peer<F>(handler: Option<fn(Stream) -> F>, test: impl FnOnce(&str))
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (_node, address) = runtime.block_on(async {
        let node = Node::with_new_identity();
        if let Some(handler) = handler {
            node.set_stream_handler(ProtocolName::from_static("/echo/1.0.0"), handler);
        }
        let bound = node.listen("/ip4/127.0.0.1/tcp/0".parse().unwrap()).await.unwrap();
        let address = format!("{bound}/p2p/{}", node.id());
        (node, address)
    });
    test(&address);
}

async fn flip(mut stream: Stream) {
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all).await;
    all[500] ^= 1;
    let _ = stream.write_all(&all).await;
    let _ = stream.shutdown().await;
}

async fn shorten(mut stream: Stream) {
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all).await;
    let _ = stream.write_all(&all[1..]).await;
    let _ = stream.shutdown().await;
}

async fn lengthen(mut stream: Stream) {
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all).await;
    let _ = stream.write_all(&all).await;
    let _ = stream.write_all(b"!").await;
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
fn an_unknown_protocol() {
    peer(None::<fn(Stream) -> core::future::Ready<()>>, |address| {
        fails_with(&["echo", address], &["stream: ", "speaks none of /echo/1.0.0"]);
    });
}

#[test]
fn an_echo_that_is_none() {
    fn args(address: &str) -> [&str; 6] {
        ["echo", address, "--bytes", "1000", "--timeout", "1"]
    }
    peer(Some(flip), |address| fails_with(&args(address), &["echo: stream 0: other bytes"]));
    peer(Some(shorten), |address| fails_with(&args(address), &["echo: stream 0: 999 bytes came back of 1000"]));
    peer(Some(lengthen), |address| fails_with(&args(address), &["echo: stream 0: 1001 bytes came back of 1000"]));
    peer(Some(swallow), |address| fails_with(&args(address), &["echo: not done within 1s"]));
    peer(Some(refuse), |address| fails_with(&args(address), &["echo: stream 0: ", "reset"]));
}

#[test]
fn a_listener_outlives_all_of_them() {
    let listener = Listener::start(&["--timeout", "1"]);
    let socket = listener.socket();
    let mut open = Vec::new();
    let noise = [HEADER, b"\x07/noise\n", &[0, 32], &[9; 32], &[0, 5], b"hello"].concat();
    for bytes in [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".as_slice(), &[0xff; 3000], b"", HEADER, &noise, &[0; 100]] {
        for keep in [false, true] {
            let mut raw = TcpStream::connect(&socket).unwrap();
            let _ = raw.write_all(bytes);
            if keep {
                open.push(raw);
            }
        }
    }
    ok(&["echo", &listener.address, "--bytes", "100K"]);
    // Those that stay silent are closed.
    for mut raw in open {
        raw.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
        let mut block = [0; 1024];
        let end = loop {
            match raw.read(&mut block) {
                Ok(0) => break true,
                Ok(_) => {}
                Err(error) => break error.kind() == std::io::ErrorKind::ConnectionReset,
            }
        };
        assert!(end, "an idle connection was not closed");
    }
    ok(&["ping", &listener.address, "--count", "1"]);
}

#[test]
fn output_that_nobody_reads_ends_the_command_without_a_word() {
    let listener = Listener::start(&[]);
    let args = ["ping", &listener.address, "--count", "20"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_sanswarm"));
    let mut child = command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = within(Duration::from_secs(10), || child.wait_with_output().unwrap());
    assert_eq!((output.status.code(), texts(&output).1.as_str()), (Some(1), ""));
}

#[test]
fn explain_tells_stage_cause_and_both_lists() {
    let mplex = Listener::start(&["--muxer", "mplex"]);
    let output = sanswarm(&["explain", &mplex.address]);
    let (out, err) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{out}{err}");
    let cause = "muxer: nothing in common; we offered /yamux/1.0.0, the peer /mplex/6.7.0";
    assert_eq!(err, format!("sanswarm: {cause}\n"));
    for line in ["failed at    muxer", "we offered   /yamux/1.0.0", "the peer has /mplex/6.7.0", "ended by     us"] {
        assert!(out.contains(line), "{line} in\n{out}");
    }
    let told = objects(&texts(&sanswarm(&["explain", &mplex.address, "--json"])).0);
    let last = told.last().unwrap();
    assert_eq!(
        (&last["ok"], &last["code"], &last["stage"]),
        (&false.into(), &"nothing-in-common".into(), &"muxer".into())
    );
    assert_eq!((&last["offered"][0], &last["remote"][0]), (&"/yamux/1.0.0".into(), &"/mplex/6.7.0".into()));
}

#[test]
fn explain_asks_for_the_list_behind_a_refusal() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().unwrap().port());
    let server = std::thread::Builder::new().spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        say(socket, &[HEADER, b"\x03na\n"].concat());
        let (socket, _) = listener.accept().unwrap();
        say(socket, &[HEADER, b"\x13\x05/tls\n\x0b/plain/1.0\n\n"].concat());
    });
    let output = sanswarm(&["explain", &address]);
    let (out, err) = texts(&output);
    assert!(out.contains("the peer has /tls, /plain/1.0"), "{out}{err}");
    server.unwrap().join().unwrap();
}

#[test]
fn explain_shows_what_is_no_libp2p() {
    let head = [b"HTTP/1.1 400 Bad Request\r\n".as_slice(), &[b'x'; 200]].concat();
    let output = sanswarm(&["explain", &fake(move |socket| say(socket, &head))]);
    let (out, err) = texts(&output);
    assert!(out.contains("bytes that are no message"), "{out}{err}");
    assert!(out.contains("failed at    security"), "{out}{err}");
    fails_with(&["explain", "/ip4/127.0.0.1/tcp/1"], &["connect: "]);
    assert!(fails(&["explain", "/ip4/127.0.0.1/udp/1/quic-v1"], 2).contains("connect: "));
}

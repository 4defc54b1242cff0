//! The verbs, with one another.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use core::time::Duration;
use std::io::Read;

use common::{Dir, Listener, fails, objects, ok, within};

#[test]
fn demo_prints_a_ladder_and_a_verified_digest() {
    let text = ok(&["demo", "--bytes", "300000", "--streams", "3"]);
    for part in ["connect", "/noise", "/yamux/1.0.0", "/echo/1.0.0 x 3", "293.0 KiB verified", "round trips", "sha256 "]
    {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn demo_speaks_each_security_protocol() {
    for (security, name) in [("tls", "/tls/1.0.0"), ("plaintext", "/plaintext/2.0.0"), ("noise,tls", "/noise")] {
        let text = ok(&["demo", "--bytes", "300000", "--streams", "2", "--security", security]);
        assert!(text.contains(name) && text.contains("verified"), "{text}");
    }
}

#[test]
fn every_verb_speaks_websocket() {
    let text = ok(&["demo", "--bytes", "300000", "--streams", "2", "--transport", "ws"]);
    assert!(text.contains("connect   ws ") && text.contains("verified"), "{text}");
    let listener = Listener::start(&["--transport", "ws"]);
    let address = &*listener.address;
    assert!(address.contains("/ws/p2p/"), "{address}");
    ok(&["ping", address, "--count", "2"]);
    assert!(ok(&["echo", address, "--bytes", "100K", "--streams", "5"]).contains("500 KiB each way over 5 streams"));
    ok(&["identify", address]);
    assert!(ok(&["explain", address]).contains("ready: /noise, /yamux/1.0.0"));
    let tcp = address.replace("/ws/", "/");
    assert!(fails(&["ping", &tcp, "--count", "1"], 1).contains("security"), "it is no TCP listener");
}

#[test]
fn tls_below_websocket_takes_its_files() {
    let certificates = concat!(env!("CARGO_MANIFEST_DIR"), "/../websocket/tests/certificates");
    let [ca, leaf, key] = ["ca.pem", "leaf.pem", "leaf.key"].map(|name| format!("{certificates}/{name}"));
    let wss = ["--transport", "wss"];
    let listener = Listener::start(&[&wss[..], &["--tls-certificate", &leaf, "--tls-key", &key]].concat());
    let address = &*listener.address;
    assert!(address.contains("/tls/ws/p2p/"), "{address}");
    ok(&["ping", address, "--count", "1", "--tls-roots", &ca]);
    assert!(ok(&["explain", address, "--tls-roots", &ca]).contains("ready: "));
    let line = fails(&["ping", address], 1);
    assert!(line.contains("connect: the peer's certificate is of an unknown issuer"), "{line}");
    assert!(
        fails(&["listen", "--transport", "wss"], 1).contains("the certificate for TLS below the WebSocket is missing")
    );
    assert!(fails(&["listen", "--tls-key", &key], 2).contains("--tls-certificate and --tls-key need each other"));
    let line = fails(&["listen", "--tls-certificate", &ca, "--tls-key", &key], 1);
    assert!(
        line.contains("ca.pem: the certificate for TLS below the WebSocket is missing or cannot be used"),
        "{line}"
    );
    assert!(fails(&["ping", address, "--tls-roots", "/nowhere"], 1).contains("/nowhere: "));
}

#[test]
fn demo_tells_each_step_in_json() {
    let told = objects(&ok(&["demo", "--json", "--bytes", "1M", "--half-close", "late"]));
    let steps: Vec<_> = told[..told.len() - 1].iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["connect", "security", "muxer", "stream", "echo"]);
    let security = &told[1];
    assert_eq!(security["name"], "/noise");
    assert_eq!(security["round_trips"], 1, "{security}");
    // With the muxer in the handshake's extensions it costs nothing more.
    assert_eq!((&told[2]["name"], &told[2]["round_trips"]), (&"/yamux/1.0.0".into(), &0.into()));
    let mut at = 0.0;
    for step in &told[..told.len() - 1] {
        assert!(step["at_ms"].as_f64().unwrap() >= at && step["took_ms"].as_f64().unwrap() >= 0.0, "{step}");
        at = step["at_ms"].as_f64().unwrap();
    }
    let echo = &told[4];
    assert!(echo["bytes_out"].as_u64().unwrap() > 1 << 20 && echo["bytes_in"].as_u64().unwrap() > 1 << 20, "{echo}");
    let last = told.last().unwrap();
    assert_eq!(last["ok"], true);
    assert_eq!(last["sha256"].as_str().unwrap().len(), 64);
}

/// Streams that stop each other show here: nothing but the periodic ping would wake them, after 15 s.
#[test]
fn demo_does_not_stall() {
    for _ in 0..4 {
        within(Duration::from_secs(10), || ok(&["demo", "--bytes", "16M", "--streams", "4"]));
    }
}

#[test]
fn listen_answers_ping_echo_and_identify() {
    let listener = Listener::start(&[]);
    let address = &*listener.address;
    let text = ok(&["ping", address, "--count", "2"]);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines[0].starts_with("connected to 12D3KooW") && lines[0].ends_with("/noise, /yamux/1.0.0"), "{text}");
    assert!(lines[1].starts_with("seq=1 time=") && lines[3].starts_with("2 round trips: min "), "{text}");

    let text = ok(&["echo", address, "--bytes", "100K", "--streams", "5"]);
    assert!(text.contains("500 KiB each way over 5 streams"), "{text}");
    let text = ok(&["identify", address]);
    for part in
        ["agent             sanswarm/", "ipfs/0.1.0", "speaks            /echo/1.0.0", "sees us at        /ip4/127"]
    {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn verbs_speak_mplex_where_it_is_named() {
    let listener = Listener::start(&["--muxer", "yamux,mplex"]);
    let address = &*listener.address;
    let text = ok(&["ping", address, "--count", "1", "--muxer", "mplex"]);
    assert!(text.lines().next().unwrap().ends_with("/noise, /mplex/6.7.0"), "{text}");
    let text = ok(&["ping", address, "--count", "1", "--muxer", "mplex,yamux"]);
    assert!(text.lines().next().unwrap().ends_with("/noise, /mplex/6.7.0"), "the dialer's order counts: {text}");
    let text = ok(&["ping", address, "--count", "1"]);
    assert!(text.lines().next().unwrap().ends_with("/noise, /yamux/1.0.0"), "never unless named: {text}");
    let text = ok(&["echo", address, "--bytes", "2000000", "--streams", "5", "--muxer", "mplex"]);
    assert!(text.contains("over 5 streams"), "{text}");
    let text = ok(&["identify", address, "--muxer", "mplex"]);
    assert!(text.contains("/noise, /mplex/6.7.0") && text.contains("agent             sanswarm/"), "{text}");
    assert!(ok(&["demo", "--bytes", "1M", "--muxer", "mplex"]).contains("/mplex/6.7.0"));
    // A listener that does not know it says no.
    let listener = Listener::start(&[]);
    assert!(fails(&["ping", &listener.address, "--muxer", "mplex"], 1).contains("/mplex/6.7.0"));
}

#[test]
fn every_verb_tells_json() {
    let listener = Listener::start(&["--json", "--verbose"]);
    let address = objects(&listener.address)[0]["address"].as_str().unwrap().to_owned();
    let peer = address.rsplit('/').next().unwrap();
    let told = objects(&ok(&["ping", &address, "--count", "1", "--json"]));
    assert_eq!((&told[0]["event"], &told[0]["security"]), (&"connected".into(), &"/noise".into()));
    assert_eq!((&told[1]["event"], &told[1]["seq"]), (&"pong".into(), &1.into()));
    assert_eq!((&told[2]["ok"], told[2]["peer"].as_str()), (&true.into(), Some(peer)));
    assert!(told[2]["min_ms"].as_f64().unwrap() <= told[2]["max_ms"].as_f64().unwrap());
    let told = objects(&ok(&["echo", &address, "--bytes", "0", "--json"]));
    // SHA-256 of nothing.
    assert_eq!(told[1]["sha256"], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    let told = objects(&ok(&["identify", &address, "--json"]));
    assert_eq!((&told[0]["ok"], &told[0]["protocol_version"]), (&true.into(), &"ipfs/0.1.0".into()));
    assert!(told[0]["protocols"].as_array().unwrap().contains(&"/ipfs/id/1.0.0".into()));
}

#[test]
fn a_late_half_close_needs_no_end_of_the_peer() {
    let listener = Listener::start(&[]);
    for bytes in ["0", "1", "65536", "300000"] {
        let args = ["echo", &listener.address, "--half-close", "late", "--bytes", bytes, "--streams", "3"];
        ok(&args);
    }
    // And the listener goes on.
    ok(&["echo", &listener.address]);
}

#[test]
fn listens_on_ipv6_and_not_twice() {
    let listener = Listener::start(&["/ip6/::1/tcp/0"]);
    assert!(listener.address.starts_with("/ip6/::1/tcp/"), "{}", listener.address);
    ok(&["ping", &listener.address, "--count", "1"]);
    let taken = listener.address.split("/p2p/").next().unwrap();
    assert!(fails(&["listen", taken], 1).contains("listen: "));
}

#[test]
fn a_listener_on_all_interfaces_prints_what_can_be_dialled() {
    let mut listener = Listener::start(&["/ip4/0.0.0.0/tcp/0"]);
    let first = listener.address.clone();
    assert!(first.starts_with("/ip4/127."), "{first}");
    ok(&["ping", &first, "--count", "1"]);
    let by_name = first.replacen("/ip4/127.0.0.1/", "/dns4/localhost/", 1);
    assert!(ok(&["ping", &by_name, "--count", "1"]).contains("connected to"), "{by_name}");
    // All others were printed with it.
    listener.child.kill().unwrap();
    let mut rest = String::new();
    listener.stdout.read_to_string(&mut rest).unwrap();
    let behind_host = |address: &str| address.split('/').skip(3).collect::<Vec<_>>().join("/");
    for address in rest.lines() {
        assert!(!address.contains("/0.0.0.0/") && behind_host(address) == behind_host(&first), "{address}");
    }
}

#[test]
#[cfg(unix)]
fn a_signal_ends_listen_in_good_order() {
    for signal in ["-INT", "-TERM"] {
        let mut listener = Listener::start(&[]);
        let id = listener.child.id().to_string();
        assert!(std::process::Command::new("kill").args([signal, &id]).status().unwrap().success());
        let status = within(Duration::from_secs(5), || listener.child.wait().unwrap());
        assert_eq!(status.code(), Some(0), "{signal}");
    }
}

#[test]
fn a_key_makes_the_peer_id() {
    let dir = Dir::new("loopback");
    let file = dir.file("k");
    let first = Listener::start(&["--key", &file]).address.split("/p2p/").nth(1).unwrap().to_owned();
    let again = Listener::start(&["--key", &file]).address.split("/p2p/").nth(1).unwrap().to_owned();
    assert_eq!(first, again);
}

#[test]
fn explain_shows_a_conversation_and_what_came_of_it() {
    let listener = Listener::start(&[]);
    let text = ok(&["explain", &listener.address]);
    for part in [
        "-> security               20  header",
        "-> security                8  proposes /noise",
        "<- handshake                  offers /yamux/1.0.0",
        "-> session          1     12  DATA SYN 36 bytes",
        "<- stream           1     16  agrees to /ipfs/id/1.0.0",
        "== connection                 ended: we closed the connection",
        "agreed       /noise, /yamux/1.0.0",
        "and 1 round trip(s)",
        "agent        sanswarm/",
        "ping         ",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let (address, _) = listener.address.split_once("/p2p/").unwrap();
    let told = objects(&ok(&["explain", address, "--json"]));
    assert_eq!(told[0]["event"], "dial");
    let said = |what: &str| told.iter().filter(|object| object["what"] == what).count();
    assert!(said("header") >= 6 && said("handshake") == 3 && said("identity") == 1 && said("yamux") > 4, "{told:?}");
    let last = told.last().unwrap();
    assert_eq!(
        (&last["ok"], &last["muxer"], &last["ready_round_trips"]),
        (&true.into(), &"/yamux/1.0.0".into(), &1.into())
    );
}

//! Arguments, help, keys.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;

use common::{Dir, fails, objects, ok, sanswarm, texts};

const VERBS: [&str; 10] = ["demo", "listen", "ping", "echo", "perf", "identify", "crowd", "interop", "keygen", "sim"];

#[test]
fn every_verb_has_a_help_text_with_an_example() {
    let all = ok(&["--help"]);
    for verb in VERBS {
        assert!(all.contains(&format!("  {verb}")), "{verb}");
        let text = ok(&[verb, "--help"]);
        assert!(text.starts_with(&format!("sanswarm {verb}: ")), "{text}");
        assert!(text.contains("usage: sanswarm") && text.contains("example:\n  sanswarm"), "{text}");
        assert!(text.contains("--json"), "{text}");
        assert!(text.lines().all(|line| line.len() <= 120), "{text}");
        assert_eq!(text, ok(&[verb, "-h"]));
    }
    assert!(ok(&["--version"]).starts_with("sanswarm 0."));
}

#[test]
fn wrong_usage_is_status_2_and_one_line() {
    for args in [
        &[][..],
        &["dance"],
        &["ping"],
        &["perf"],
        &["explain", "a", "b"],
        &["keygen", "x"],
        &["demo", "--bytes", "many"],
        &["demo", "--bytes"],
        &["demo", "--surprise"],
        &["listen", "--port", "70000"],
        &["demo", "--half-close", "never"],
        &["demo", "--log", "loud"],
        &["--log"],
    ] {
        assert!(fails(args, 2).contains("usage: "), "{args:?}");
    }
}

#[test]
fn what_is_not_there_is_status_2_and_says_so() {
    for (option, value) in [("--transport", "quic"), ("--transport", "tcp,quic")] {
        let line = fails(&["listen", option, value], 2);
        assert!(line.contains("not supported: "), "{line}");
    }
    let quic = format!("/ip4/127.0.0.1/udp/1/quic-v1/p2p/{}", common::NOBODY);
    assert!(fails(&["ping", &quic], 2).contains("no transport"));
    fails(&["listen", "/ip4/127.0.0.1/udp/0/quic-v1"], 2);
}

#[test]
fn wrong_usage_is_told_in_json_too() {
    let output = sanswarm(&["listen", "--transport", "quic", "--json"]);
    let told = objects(&texts(&output).0);
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0]["ok"], &told[0]["code"]), (&false.into(), &"not-supported".into()));
}

#[test]
fn a_name_that_is_offered_twice_is_taken() {
    ok(&["demo", "--security", "noise,noise", "--bytes", "1", "--streams", "1"]);
}

#[test]
fn keygen_keeps_an_identity() {
    let dir = Dir::new("keygen");
    let file = dir.file("node.key");
    let first = ok(&["keygen", "--key", &file]);
    assert!(first.starts_with("12D3KooW"), "{first}");
    let bytes = fs::read(&file).unwrap();
    // The protobuf of libp2p: type Ed25519, then 64 bytes.
    assert_eq!(bytes[..4], [8, 1, 0x12, 64]);
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&fs::metadata(&file).unwrap()) & 0o777, 0o600);
    assert_eq!(ok(&["keygen", "--key", &file]), first);
    assert_eq!(fs::read(&file).unwrap(), bytes);
    let told = objects(&ok(&["keygen", "--key", &file, "--json"]));
    assert_eq!((told[0]["peer"].as_str(), &told[0]["made"]), (Some(first.trim_end()), &false.into()));
    // A node that uses it has its id.
    let listener = common::Listener::start(&["--key", &file]);
    assert!(listener.address.ends_with(first.trim_end()), "{}", listener.address);
}

#[test]
fn keygen_without_a_file_prints_the_key() {
    let line = ok(&["keygen"]);
    let (peer, key) = line.trim_end().split_once(' ').unwrap();
    assert!(peer.starts_with("12D3KooW") && key.starts_with("CAES"), "{line}");
    let told = objects(&ok(&["keygen", "--json"]));
    assert!(told[0]["private_key"].as_str().unwrap().starts_with("CAES"));
    assert_ne!(told[0]["peer"].as_str(), Some(peer));
}

#[test]
fn a_bad_key_file_is_one_line() {
    let dir = Dir::new("badkey");
    let file = dir.file("bad.key");
    fs::write(&file, b"not a key").unwrap();
    assert!(fails(&["keygen", "--key", &file], 1).contains("key: "));
    assert!(fails(&["listen", "--key", &dir.file("no/such/folder")], 1).contains("key: "));
    assert_eq!(fs::read(&file).unwrap(), b"not a key");
}

#[test]
fn what_happens_within_is_told_on_stderr_where_that_is_asked_for() {
    let listener = common::Listener::start(&[]);
    let peer = listener.address.rsplit('/').next().unwrap();
    for (level, lines) in [("error", false), ("info", false), ("debug", true), ("TRACE", true)] {
        let output = sanswarm(&["--log", level, "ping", &listener.address, "--count", "1"]);
        let (out, err) = texts(&output);
        assert_eq!((output.status.code(), out.lines().count()), (Some(0), 3), "{out}{err}");
        let within =
            |what: &str| err.lines().any(|line| line.contains("DEBUG connection{conn=") && line.contains(what));
        assert_eq!(within(&format!("peer={peer}}}: sanswarm: connected security=/noise")), lines, "{level}: {err}");
        assert_eq!(
            (within("closed reason="), err.contains("pinged rtt=")),
            (lines, level == "TRACE"),
            "{level}: {err}"
        );
        assert!(!err.contains('\u{1b}'), "{err}");
    }
}

//! Many connections at once.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::process::{Command, Stdio};

use common::{Listener, objects, ok, sanswarm, texts};

#[test]
fn a_crowd_comes_stays_and_leaves() {
    let listener = Listener::start(&["--max-connections", "60"]);
    let args = ["crowd", &listener.address, "--connections", "60", "--seconds", "1"];
    let told = objects(&ok(&[&args[..], &["--json"]].concat()));
    assert!(told[0]["descriptors"].as_u64().unwrap() > 124, "{}", told[0]);
    assert_eq!((&told[1]["event"], &told[1]["connections"]), (&"established".into(), &60.into()));
    assert!(told[1]["connect_p99_ms"].as_f64().unwrap() >= told[1]["connect_p50_ms"].as_f64().unwrap());
    let last = &told[2];
    assert_eq!((&last["ok"], &last["connections"], &last["lost"]), (&true.into(), &60.into(), &0.into()));
    assert!(last["pings"].as_u64().unwrap() >= 2 && last["ping_p50_ms"].as_f64().unwrap() > 0.0, "{last}");
    // They have left: as many find room again.
    let text = ok(&args);
    assert!(text.contains("60 connections wanted") && text.contains("60 established, 0 failed in "), "{text}");
    assert!(text.contains("pings after it  p50 "), "{text}");
    #[cfg(target_os = "linux")]
    assert!(text.contains("KiB a connection"), "{text}");
}

#[test]
fn those_that_find_no_room_are_counted_by_stage_and_cause() {
    let listener = Listener::start(&["--max-connections", "10"]);
    let output = sanswarm(&["crowd", &listener.address, "--connections", "30", "--seconds", "1", "--json"]);
    let (out, err) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{out}{err}");
    let told = objects(&out);
    let count = |event: &str| -> u64 {
        let of = told.iter().filter(|line| line["event"] == event);
        of.map(|line| line["count"].as_u64().unwrap()).sum()
    };
    // Who is refused may have had the last word of the handshake, and lose it then.
    assert_eq!(count("failed") + count("lost"), 20, "{out}");
    let failed = told.iter().filter(|line| line["event"] == "failed");
    assert!(failed.into_iter().all(|line| line["stage"].is_string() && line["code"].is_string()), "{out}");
    let last = told.last().unwrap();
    assert_eq!((&last["ok"], &last["connections"]), (&false.into(), &10.into()), "{out}");
    assert!(err.starts_with("sanswarm: crowd: of 30 connections "), "{err}");
}

/// With a limit of descriptors that neither can raise.
fn limited(descriptors: u32, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n {descriptors} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_sanswarm")]);
    let output = command.args(args).stdin(Stdio::null()).output().unwrap();
    (output.status.code(), texts(&output).1)
}

#[test]
fn too_few_descriptors_end_both_at_once_with_one_line() {
    let address = format!("/ip4/127.0.0.1/tcp/1/p2p/{}", common::NOBODY);
    for args in [&["listen", "--max-connections", "1000"][..], &["crowd", &address, "--connections", "1000"]] {
        let (status, err) = limited(500, args);
        assert_eq!((status, err.lines().count()), (Some(1), 1), "{err}");
        assert!(err.starts_with("sanswarm: descriptors: this process may have 500, and "), "{err}");
    }
}

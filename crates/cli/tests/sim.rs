//! `sanswarm sim`: runs, their digests, the page, and many seeds.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;

use common::{Dir, fails, objects, ok, sanswarm, texts};

const SMALL: [&str; 8] = ["sim", "--nodes", "4", "--degree", "2", "--for", "60", "--faults"];

fn small<'a>(more: &[&'a str]) -> Vec<&'a str> {
    SMALL.into_iter().chain(["3"]).chain(more.iter().copied()).collect()
}

/// What a command prints whose run breaks a law.
fn broken(args: &[&str]) -> (String, String) {
    let output = sanswarm(args);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
    texts(&output)
}

fn digest(text: &str) -> &str {
    text.lines().find_map(|line| line.strip_prefix("digest")).unwrap().trim()
}

#[test]
fn the_same_seed_prints_the_same_digest() {
    let (one, two) = (ok(&small(&["--seed", "7"])), ok(&small(&["--seed", "7"])));
    assert_eq!(digest(&one), digest(&two));
    assert!(digest(&one) != digest(&ok(&small(&["--seed", "8"]))));
    assert!(one.contains("scenario         mixed\n") && one.contains("hosts            4\n"), "{one}");
}

#[test]
fn json_says_all_of_it() {
    let out = ok(&small(&["--seed", "7", "--json"]));
    let [object] = &objects(&out)[..] else { panic!("{out}") };
    assert_eq!(object["ok"], true);
    assert_eq!((object["nodes"].as_u64(), object["connections"].as_u64()), (Some(4), Some(4)));
    assert!(object["virtual_seconds"].as_f64().unwrap() >= 60.0, "{out}");
    assert!(object["events_per_second"].as_u64().unwrap() > 0 && object["violation"].is_null(), "{out}");
    assert_eq!(object["digest"], digest(&ok(&small(&["--seed", "7"]))));
}

#[test]
fn the_page_holds_the_run() {
    let dir = Dir::new("sim");
    let file = dir.file("run.html");
    ok(&small(&["--seed", "7", "--html", &file]));
    let page = fs::read_to_string(&file).unwrap();
    let (_, rest) = page.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
    let data: serde_json::Value = serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap();
    assert_eq!(data["hosts"], 4);
    assert_eq!(data["faults"].as_array().unwrap().len(), 3);
    assert!(data["connections"].as_array().unwrap().len() >= 4 && !data["streams"].as_array().unwrap().is_empty());
    assert!(data["violation"].is_null());
}

#[test]
fn a_broken_law_is_one_object_and_a_command_that_repeats_it() {
    let args = ["sim", "--nodes", "2", "--for", "5", "--loss", "90", "--seed", "1"];
    let (out, err) = broken(&[&args[..], &["--json"]].concat());
    let [object] = &objects(&out)[..] else { panic!("{out}") };
    assert_eq!(object["ok"], false);
    assert!(object["violation"].as_str().unwrap().starts_with("liveness "), "{out}");
    let repeat = object["repeat"].as_str().unwrap();
    assert!(repeat.starts_with("sanswarm sim --scenario mixed --seed 1") && err.contains(repeat), "{err}");
    let again: Vec<_> = repeat.split(' ').skip(1).collect();
    assert!(broken(&again).1.contains(repeat));
}

#[test]
fn many_seeds_close_with_a_count() {
    let args = ["sim", "--scenario", "soak", "--for", "8", "--seeds", "4", "--threads", "2"];
    let out = ok(&args);
    assert!(out.ends_with("\n4 passed, 0 failed\n"), "{out}");
    let json = ok(&[&args[..], &["--json"]].concat());
    let mut digests: Vec<_> = objects(&json).iter().map(|run| run["digest"].as_str().unwrap().to_owned()).collect();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), 4, "{json}");
}

#[test]
fn wrong_options_are_status_2() {
    for args in [
        &["--nodes", "1"][..],
        &["--scenario", "dance"],
        &["--loss", "100"],
        &["--only", "a"],
        &["--for", "0"],
        &["--muxer", "yamux"],
        &["--seeds", "0"],
    ] {
        let args: Vec<_> = ["sim"].into_iter().chain(args.iter().copied()).collect();
        assert!(fails(&args, 2).contains("usage: "), "{args:?}");
    }
}

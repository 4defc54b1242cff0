//! The pages on errors and limits name all that the source has.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::{collections::BTreeSet, fs, path::PathBuf};

const ERRORS: &str = include_str!("../../../docs/errors.md");
const LIMITS: &str = include_str!("../../../docs/limits.md");

fn source(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The text between the brace behind `start` and its partner.
fn block<'a>(text: &'a str, start: &str) -> &'a str {
    let from = text.find(start).unwrap_or_else(|| panic!("no {start}"));
    let open = from + text[from..].find('{').unwrap();
    let mut depth = 0;
    for (at, c) in text[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[open + 1..open + at];
        }
    }
    panic!("{start} does not end")
}

/// The string literals in all functions `code`.
fn codes(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = text;
    while let Some(at) = rest.find("pub fn code(&self)") {
        rest = &rest[at..];
        let body = block(rest, "pub fn code(&self)");
        found.extend(body.split('"').skip(1).step_by(2).map(str::to_owned));
        rest = &rest[10..];
    }
    found
}

fn all_codes() -> BTreeSet<String> {
    let all: BTreeSet<_> =
        ["node/src/error.rs", "connection/src/error.rs"].into_iter().flat_map(|path| codes(&source(path))).collect();
    assert!(all.len() > 15, "{all:?}");
    all
}

#[test]
fn every_code_is_on_the_page_of_errors() {
    for code in all_codes() {
        assert!(ERRORS.contains(&format!("| `{code}` |")), "docs/errors.md does not list the code `{code}`");
    }
}

#[test]
fn the_page_of_errors_has_no_code_that_the_source_has_not() {
    let all = all_codes();
    let mut in_codes = false;
    for line in ERRORS.lines() {
        if line.starts_with("## ") {
            in_codes = line.starts_with("## Codes");
        }
        let Some(code) = line.strip_prefix("| `").filter(|_| in_codes).and_then(|rest| rest.split('`').next()) else {
            continue;
        };
        assert!(all.contains(code), "docs/errors.md lists `{code}`, which is no code");
    }
}

/// The names of an enum's variants.
fn variants(text: &str, name: &str) -> Vec<String> {
    let body = block(text, &format!("pub enum {name} "));
    let is_variant = |line: &&str| line.starts_with("    ") && line[4..].starts_with(|c: char| c.is_ascii_uppercase());
    let word = |line: &str| line.trim().chars().take_while(char::is_ascii_alphanumeric).collect();
    body.lines().filter(is_variant).map(word).collect()
}

#[test]
fn every_variant_is_on_the_page_of_errors() {
    let all = [
        ("node/src/error.rs", &["OpenStreamError"][..]),
        ("node/src/peer.rs", &["IdentifyError"]),
        ("node/src/service.rs", &["PingError"]),
        ("connection/src/connection.rs", &["CloseReason"]),
        ("connection/src/error.rs", &["Error", "RefusalCause", "OpenError", "ReadError", "WriteError"]),
        ("swarm/src/dial.rs", &["DialError", "AttemptFailure"]),
        ("swarm/src/error.rs", &["TransportError", "Denied", "ListenError"]),
    ];
    for (path, names) in all {
        let text = source(path);
        for name in names {
            let variants = variants(&text, name);
            assert!(variants.len() > 1, "{name}");
            for variant in variants {
                let named = ["`", "::"].iter().any(|before| {
                    ["`", "(", " "].iter().any(|after| ERRORS.contains(&format!("{before}{variant}{after}")))
                });
                assert!(named, "docs/errors.md does not name {name}::{variant}");
            }
        }
    }
}

/// The public fields of a struct.
fn fields(text: &str, name: &str) -> Vec<String> {
    let body = block(text, &format!("pub struct {name} "));
    let field = |line: &str| Some(line.trim().strip_prefix("pub ")?.split(':').next()?.to_owned());
    body.lines().filter_map(field).collect()
}

#[test]
fn every_limit_is_on_the_page_of_limits() {
    let all = [
        ("node", "node/src/config.rs", &["Config"][..]),
        ("connection", "connection/src/config.rs", &["Limits"]),
        ("swarm", "swarm/src/limits.rs", &["Limits"]),
        ("noise", "noise/src/config.rs", &["Config", "Limits"]),
        ("tls", "tls/src/config.rs", &["Config", "Limits"]),
        ("yamux", "yamux/src/config.rs", &["Config", "Limits"]),
        ("mplex", "mplex/src/config.rs", &["Limits"]),
        ("multistream-select", "multistream-select/src/limits.rs", &["Limits"]),
        ("identify", "identify/src/limits.rs", &["Limits"]),
        ("ping", "ping/src/pinger.rs", &["Config"]),
        ("perf", "perf/src/limits.rs", &["Limits"]),
        ("websocket", "websocket/src/limits.rs", &["Limits"]),
    ];
    for (section, path, names) in all {
        let start = LIMITS.find(&format!("## `{section}`")).unwrap_or_else(|| panic!("no section {section}"));
        let page = LIMITS[start + 3..].split("\n## ").next().unwrap();
        for name in names {
            let fields = fields(&source(path), name);
            assert!(!fields.is_empty(), "{path} {name}");
            for field in fields {
                assert!(
                    page.contains(&format!("| `{field}` |")),
                    "docs/limits.md: {section} lacks `{field}` of {name}"
                );
            }
        }
    }
}

/// Every file with a `Limits` is one of those above.
#[test]
fn no_limits_are_forgotten() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    let mut folders: Vec<_> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path().join("src")).collect();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if fs::read_to_string(&path).is_ok_and(|text| text.contains("pub struct Limits ")) {
                found.push(path.display().to_string());
            }
        }
    }
    for path in found {
        let crate_of = path.split('/').rev().nth(2).unwrap().to_owned();
        assert!(LIMITS.contains(&format!("## `{crate_of}`")), "docs/limits.md has no section for {path}");
    }
}

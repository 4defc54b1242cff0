//! Every state and every message: what happens is written down in `STATES.md`, tables and diagrams, and compared.
//!
//! After a change that is meant: `UPDATE_STATES=1 cargo test -p sanswarm-multistream-select --test states`.

#![allow(clippy::unwrap_used, reason = "tests")]

use core::fmt::Write as _;
use std::{collections::BTreeMap, fs, sync::Arc};

use sanswarm_multistream::{HEADER_LINE, NA_LINE, ProtocolName, encode};
use sanswarm_multistream_select::{Error, Greeting, Mode, Names, Negotiator, Outcome, State};

const FIRST: ProtocolName = ProtocolName::from_static("/first");
const SECOND: ProtocolName = ProtocolName::from_static("/second");

fn line(text: &[u8]) -> Vec<u8> {
    let mut line = Vec::new();
    encode(text, &mut line);
    line
}

/// What can come: a name for the table, and the bytes. `None` is the end of the input.
fn messages() -> Vec<(&'static str, Option<Vec<u8>>)> {
    vec![
        ("the header", Some(HEADER_LINE.to_vec())),
        ("`/first`", Some(line(b"/first"))),
        ("`/second`", Some(line(b"/second"))),
        ("`/other`", Some(line(b"/other"))),
        ("`na`", Some(NA_LINE.to_vec())),
        ("`ls`", Some(line(b"ls"))),
        ("lines in a line", Some(line(b"\x07/first\n\x07/third\n"))),
        ("names in a line", Some(line(b"/first\n/third\n"))),
        ("an empty line", Some(line(b""))),
        ("a part of a line", Some(b"\x07/fir".to_vec())),
        ("a length of 0", Some(vec![0])),
        ("a length beyond the limit", Some(vec![0xff, 0xff])),
        ("a length not minimal", Some(vec![0x83, 0])),
        ("a line without newline", Some(b"\x03naX".to_vec())),
        ("the end", None),
    ]
}

/// A side of the dialogue: its title, what it is, and how each of its states is reached.
struct Side {
    title: &'static str,
    about: &'static str,
    new: fn() -> Negotiator,
    ways: &'static [(&'static str, &'static [&'static [u8]])],
}

const SIDES: [Side; 4] = [
    Side {
        title: "Dialer",
        about: "It proposes `/first`, then `/second`.",
        new: || Negotiator::dialer(Arc::new([FIRST, SECOND]), Mode::Wait),
        ways: &[
            ("start", &[]),
            ("first", &[HEADER_LINE]),
            ("second", &[HEADER_LINE, NA_LINE]),
            ("agreed", &[HEADER_LINE, b"\x07/first\n"]),
            ("refused", &[HEADER_LINE, NA_LINE, NA_LINE]),
            ("failed", &[HEADER_LINE, b"\x00"]),
        ],
    },
    Side {
        title: "Listener",
        about: "It knows `/first` and `/second` and tells no list, as by default. It greets with its first reply.",
        new: || Negotiator::listener(Arc::new(Names::new([FIRST, SECOND])), Greeting::WithReply),
        ways: &[
            ("start", &[]),
            ("open", &[HEADER_LINE]),
            ("has refused", &[HEADER_LINE, b"\x07/other\n"]),
            ("agreed", &[HEADER_LINE, b"\x07/first\n"]),
            ("failed", &[HEADER_LINE, b"\x00"]),
        ],
    },
    Side {
        title: "Listener with a list",
        about: "The same, but it answers `ls` by its list, once.",
        new: || Negotiator::listener(Arc::new(Names::new([FIRST, SECOND]).with_list()), Greeting::WithReply),
        ways: &[("open", &[HEADER_LINE]), ("has told", &[HEADER_LINE, b"\x03ls\n"])],
    },
    Side {
        title: "Query",
        about: "It asks `ls`.",
        new: Negotiator::query,
        ways: &[
            ("start", &[]),
            ("asked", &[HEADER_LINE]),
            ("listed", &[HEADER_LINE, b"\x08/first\n\n"]),
            ("refused", &[HEADER_LINE, NA_LINE]),
            ("failed", &[HEADER_LINE, b"\x00"]),
        ],
    },
];

fn sent(negotiator: &mut Negotiator) -> Vec<u8> {
    let mut out = Vec::new();
    negotiator.encode(usize::MAX, &mut out);
    out
}

/// The texts of what was sent, for a table.
fn spoken(mut bytes: &[u8]) -> String {
    let mut texts = Vec::new();
    while let Some((&len, rest)) = bytes.split_first() {
        let (line, behind) = rest.split_at(len.into());
        let text = line.strip_suffix(b"\n").unwrap();
        texts.push(match text {
            b"/multistream/1.0.0" => "header".to_string(),
            _ if text.contains(&b'\n') || text.is_empty() => "the list".to_string(),
            _ => format!("`{}`", text.escape_ascii()),
        });
        bytes = behind;
    }
    texts.join(", ")
}

fn variant(error: &Error) -> String {
    let text = match error {
        Error::Line(line) => format!("Line({line:?})"),
        other => format!("{other:?}"),
    };
    let end = text.find(" {").map_or(text.len(), |at| at);
    let closing = if text.starts_with("Line(") && !text[..end].ends_with(')') { ")" } else { "" };
    format!("{}{closing}", &text[..end])
}

struct Cell {
    text: String,
    state: State,
}

/// What `message` does to a negotiator.
fn step(mut negotiator: Negotiator, message: Option<&[u8]>) -> Cell {
    sent(&mut negotiator);
    let before = negotiator.state();
    let said = match message {
        None => format!("error `{}`", variant(&negotiator.handle_eof())),
        Some(bytes) => match negotiator.handle_input(bytes) {
            Err(error) => format!("error `{}`", variant(&error)),
            Ok((0, None)) => "nothing used".to_string(),
            Ok((used, outcome)) => {
                assert_eq!(used, bytes.len(), "whole messages");
                match outcome {
                    None => "used".to_string(),
                    Some(Outcome::Agreed(name)) => format!("**agreed** on `{name}`"),
                    Some(Outcome::Refused) => "**refused**".to_string(),
                    Some(Outcome::Listed(names)) => format!("**listed** {} names", names.len()),
                }
            }
        },
    };
    let state = negotiator.state();
    let reply = spoken(&sent(&mut negotiator));
    let mut text = said;
    if !reply.is_empty() {
        write!(text, "; sends {reply}").unwrap();
    }
    if state != before {
        write!(text, " → {state:?}").unwrap();
    }
    Cell { text, state }
}

fn reach(side: &Side, way: &[&[u8]]) -> Negotiator {
    let mut negotiator = (side.new)();
    for message in way {
        sent(&mut negotiator);
        let _ = negotiator.handle_input(message);
    }
    negotiator
}

fn chapter(side: &Side, out: &mut String) {
    let states: Vec<_> = side.ways.iter().map(|(label, way)| (label, reach(side, way))).collect();
    writeln!(out, "\n## {}\n\n{}\n", side.title, side.about).unwrap();
    let head: Vec<_> = states.iter().map(|(label, n)| format!("{label}: `{:?}`", n.state())).collect();
    writeln!(out, "| what comes | {} |", head.join(" | ")).unwrap();
    writeln!(out, "|---|{}", "---|".repeat(head.len())).unwrap();
    let mut arrows = BTreeMap::<(State, State), Vec<&str>>::new();
    for (label, bytes) in messages() {
        let cells: Vec<_> = states.iter().map(|(_, n)| (n.state(), step(n.clone(), bytes.as_deref()))).collect();
        let texts: Vec<_> = cells.iter().map(|(_, cell)| cell.text.as_str()).collect();
        writeln!(out, "| {label} | {} |", texts.join(" | ")).unwrap();
        for (from, cell) in cells {
            let labels = arrows.entry((from, cell.state)).or_default();
            // What fails is in the table: in the diagram it would hide the rest.
            if from != cell.state && cell.state != State::Failed && !labels.contains(&label) {
                labels.push(label);
            }
        }
    }
    writeln!(out, "\n```mermaid\nstateDiagram-v2\n    [*] --> {:?}", states[0].1.state()).unwrap();
    for ((from, to), labels) in arrows {
        if !labels.is_empty() {
            writeln!(out, "    {from:?} --> {to:?}: {}", labels.join(", ").replace('`', "")).unwrap();
        } else if to == State::Failed && from != to {
            writeln!(out, "    {from:?} --> Failed: anything else").unwrap();
        }
    }
    out.push_str("```\n");
}

#[test]
fn the_tables_and_diagrams_are_what_happens() {
    let mut text = String::from(
        "# States of the negotiator\n\nMade by `tests/states.rs` from what the code does; do not edit. Each cell says what a message does in a state, and\n\
         what is sent because of it. An error stays: every later message gets it again. A part of a line in front of the end\n\
         makes it `EofInMessage`.\n",
    );
    for side in &SIDES {
        chapter(side, &mut text);
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/STATES.md");
    if std::env::var_os("UPDATE_STATES").is_some() {
        fs::write(path, &text).unwrap();
    }
    let written = fs::read_to_string(path).unwrap_or_default();
    assert!(written == text, "STATES.md is out of date; the tables are now:\n{text}");
}

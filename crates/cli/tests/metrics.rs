//! `sanswarm listen --metrics`: what a scraper sees.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use core::time::Duration;
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use common::{Listener, fails, objects, ok, within};

/// A listener and the host and port of its metrics.
fn listener(args: &[&str]) -> (Listener, String) {
    let mut listener = Listener::start(&[&["--metrics", "127.0.0.1:0"], args].concat());
    let mut url = String::new();
    listener.stdout.read_line(&mut url).unwrap();
    let host = url.trim_end().strip_prefix("http://").unwrap().strip_suffix("/metrics").unwrap();
    (listener, host.to_owned())
}

/// The answer to these bytes, to its end.
fn ask(host: &str, request: &[u8]) -> String {
    let mut socket = TcpStream::connect(host).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answer = Vec::new();
    // Who refuses a request may do so before all of it was written.
    let _ = socket.write_all(request);
    let _ = socket.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

/// Head and body of the answer to a GET.
fn get(host: &str, path: &str) -> (String, String) {
    let answer = ask(host, format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    assert_eq!(length, Some(body.len()), "{head}");
    (head.to_owned(), body.to_owned())
}

/// A family's type, and its values by name and labels.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    values: BTreeMap<(String, BTreeMap<String, String>), f64>,
}

type Families = BTreeMap<String, Family>;

/// Text format 0.0.4, and stricter: HELP, then TYPE, then at least one sample, each once, no blank line, no timestamp.
fn parse(page: &str) -> Families {
    assert!(page.ends_with('\n'));
    let mut families = Families::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let (name, help) = line.strip_prefix("# HELP ").unwrap_or_else(|| panic!("{line}")).split_once(' ').unwrap();
        assert!(is_name(name, true) && help.len() > 5 && help.ends_with('.') && !help.contains('\\'), "{line}");
        let line = lines.next().unwrap();
        let kind = line.strip_prefix(&format!("# TYPE {name} ")).unwrap_or_else(|| panic!("{line}"));
        assert!(["counter", "gauge", "histogram", "summary"].contains(&kind), "{line}");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
        let mut family = Family { kind: kind.to_owned(), ..Family::default() };
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let (sample, labels, value) = sample(line);
            let suffix = sample.strip_prefix(name).unwrap_or_else(|| panic!("{line}"));
            let suffixes: &[&str] = match kind {
                "histogram" => &["_bucket", "_sum", "_count"],
                "summary" => &["_sum", "_count"],
                _ => &[""],
            };
            assert!(suffixes.contains(&suffix) && value >= 0.0, "{line}");
            assert_eq!(family.values.insert((sample, labels), value), None, "{line}");
        }
        assert!(!family.values.is_empty(), "{name} has no sample");
        if kind == "histogram" {
            check_histogram(name, &family);
        }
        assert!(families.insert(name.to_owned(), family).is_none(), "{name} comes twice");
    }
    families
}

fn is_name(text: &str, colons: bool) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || (colons && c == ':');
    text.starts_with(is_first) && text.chars().all(|c| is_first(c) || c.is_ascii_digit())
}

/// Name, labels, value.
fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let wrong = || -> ! { panic!("{line}") };
    let (name, mut rest) = line.split_at(line.find(['{', ' ']).unwrap_or_else(|| wrong()));
    assert!(is_name(name, true), "{line}");
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, behind) = rest.split_once("=\"").unwrap_or_else(|| wrong());
            assert!(is_name(label, false), "{line}");
            let (mut value, mut chars) = (String::new(), behind.char_indices());
            let end = loop {
                match chars.next().unwrap_or_else(|| wrong()) {
                    (at, '"') => break at,
                    (_, '\\') => value.push(match chars.next().unwrap_or_else(|| wrong()).1 {
                        'n' => '\n',
                        c @ ('"' | '\\') => c,
                        _ => wrong(),
                    }),
                    (_, c) => value.push(c),
                }
            };
            assert_eq!(labels.insert(label.to_owned(), value), None, "{line}");
            rest = &behind[end + 1..];
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => break,
            }
        }
        rest = rest.strip_prefix('}').unwrap_or_else(|| wrong());
    }
    let value = rest.strip_prefix(' ').unwrap_or_else(|| wrong());
    assert!(!value.contains(' '), "{line}");
    (name.to_owned(), labels, value.parse().unwrap_or_else(|_| wrong()))
}

fn check_histogram(name: &str, family: &Family) {
    let of = |suffix: &str| -> Vec<_> {
        let is_it = |(key, _): &(&(String, BTreeMap<String, String>), &f64)| key.0 == format!("{name}{suffix}");
        family.values.iter().filter(is_it).map(|((_, labels), value)| (labels.get("le").cloned(), *value)).collect()
    };
    let bound = |le: &Option<String>| le.as_ref().unwrap().replace("+Inf", "inf").parse::<f64>().unwrap();
    let mut buckets = of("_bucket");
    buckets.sort_by(|a, b| bound(&a.0).total_cmp(&bound(&b.0)));
    assert!(buckets.is_sorted_by(|a, b| a.1 <= b.1), "{name}: {buckets:?}");
    assert_eq!(buckets.last().unwrap(), &(Some("+Inf".to_owned()), of("_count")[0].1));
    assert_eq!((of("_sum").len(), of("_count").len()), (1, 1));
}

fn value(families: &Families, name: &str, labels: &[(&str, &str)]) -> f64 {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let key = (name.to_owned(), labels);
    let value = families.values().find_map(|family| family.values.get(&key).copied());
    value.unwrap_or_else(|| panic!("no {name} in {families:#?}"))
}

fn scrape(host: &str) -> Families {
    let (head, body) = get(host, "/metrics");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.to_lowercase().contains("content-type: text/plain; version=0.0.4"), "{head}");
    parse(&body)
}

/// All counters of `after` are at least what they were.
fn check_growth(before: &Families, after: &Families) {
    let names: BTreeSet<_> = before.keys().collect();
    assert_eq!(names, after.keys().collect());
    for (name, family) in before.iter().filter(|(_, family)| family.kind != "gauge") {
        for (key, value) in &family.values {
            assert!(after[name].values[key] >= *value, "{name} has become less");
        }
    }
}

const ECHO: [(&str, &str); 2] = [("protocol", "/echo/1.0.0"), ("direction", "in")];

#[test]
fn every_line_is_right_while_there_is_traffic() {
    let (listener, host) = listener(&[]);
    let first = scrape(&host);
    assert_eq!(value(&first, "sanswarm_stream_bytes_total", &ECHO), 0.0);
    let address = listener.address.clone();
    let traffic =
        thread::Builder::new().spawn(move || ok(&["echo", &address, "--bytes", "8M", "--streams", "4"])).unwrap();
    let (mut last, mut scrapes) = (first, 0);
    while !traffic.is_finished() {
        let next = scrape(&host);
        check_growth(&last, &next);
        (last, scrapes) = (next, scrapes + 1);
    }
    traffic.join().unwrap();
    assert!(scrapes > 3, "{scrapes}");
    let done = within(Duration::from_secs(20), || {
        loop {
            let next = scrape(&host);
            check_growth(&last, &next);
            last = next;
            if value(&last, "sanswarm_connections_closed_total", &[("cause", "peer")]) > 0.0 {
                return last;
            }
            thread::sleep(Duration::from_millis(20));
        }
    });
    for direction in ["in", "out"] {
        let labels = [ECHO[0], ("direction", direction)];
        assert_eq!(value(&done, "sanswarm_stream_bytes_total", &labels), f64::from(32 << 20));
    }
    assert_eq!(value(&done, "sanswarm_streams_total", &ECHO), 4.0);
    assert_eq!(value(&done, "sanswarm_connections_established_total", &[("role", "listener")]), 1.0);
    assert_eq!(value(&done, "sanswarm_connections_open", &[]), 0.0);
    assert_eq!(value(&done, "sanswarm_streams_open", &[]), 0.0);
    assert_eq!(value(&done, "sanswarm_connection_round_trips_count", &[]), 1.0);
    let peer = listener.address.rsplit('/').next().unwrap();
    assert_eq!(value(&done, "sanswarm_info", &[("peer", peer), ("version", env!("CARGO_PKG_VERSION"))]), 1.0);
}

#[test]
fn the_page_on_observability_lists_what_is_served() {
    let page = include_str!("../../../docs/observability.md");
    let table = page.split("| metric |").nth(1).unwrap().split("\n\n").next().unwrap();
    let row = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let ticked = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let mut listed = BTreeMap::new();
    for cells in table.lines().skip(2).map(row) {
        ticked(&cells[1]).into_iter().for_each(|name| drop(listed.insert(name, ticked(&cells[2]))));
    }
    let (_listener, host) = listener(&[]);
    let served = scrape(&host);
    assert_eq!(listed.keys().collect::<Vec<_>>(), served.keys().collect::<Vec<_>>());
    for (name, family) in &served {
        let labels: BTreeSet<_> = family.values.keys().flat_map(|(_, labels)| labels.keys()).collect();
        // Values may be told with an earlier metric that has the same label.
        let known: BTreeSet<_> = listed[name].iter().chain(listed.values().flatten()).collect();
        assert!(labels.iter().all(|label| listed[name].contains(label)), "{name}: {labels:?}");
        for (label, value) in family.values.keys().flat_map(|(_, labels)| labels) {
            let is_free = ["version", "peer", "le", "protocol"].contains(&label.as_str());
            assert!(is_free || known.contains(value), "{name}: {label}={value}");
        }
    }
}

#[test]
fn who_asks_for_something_else_is_told_so() {
    let (_listener, host) = listener(&[]);
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "404"),
        ("GET /metrics/x HTTP/1.1\r\nHost: x\r\n\r\n", "404"),
        ("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", "405"),
        ("DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "405"),
        ("nonsense\r\n\r\n", "400"),
        ("\x13/multistream/1.0.0\n", "400"),
        (&format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20)), "431"),
    ] {
        let answer = ask(&host, request.as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:.50}: {answer}");
    }
    let (head, body) = {
        let answer = ask(&host, b"HEAD /metrics?x=y HTTP/1.1\r\nHost: x\r\n\r\n");
        answer.split_once("\r\n\r\n").map(|(head, body)| (head.to_owned(), body.to_owned())).unwrap()
    };
    assert!(head.starts_with("HTTP/1.1 200 OK") && body.is_empty(), "{head}{body}");
    // Two requests on one connection: the first is answered, and that is all.
    let two = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2);
    assert_eq!(ask(&host, two.as_bytes()).matches("HTTP/1.1 200").count(), 1);
    scrape(&host);
}

#[test]
fn who_is_silent_is_not_waited_for_long() {
    let (listener, host) = listener(&[]);
    let mut silent: Vec<_> = (0..50).map(|_| TcpStream::connect(&host).unwrap()).collect();
    silent[0].write_all(b"GET /met").unwrap();
    // They come in turns of eight, each for five seconds at most; whoever waits behind those that hang up is served at once.
    within(Duration::from_secs(15), || {
        for socket in &mut silent[..8] {
            let _ = socket.read(&mut [0]);
        }
        silent.drain(8..);
        scrape(&host);
    });
    // The node did not notice.
    ok(&["ping", &listener.address, "--count", "1"]);
}

#[test]
fn an_address_that_cannot_be_had_is_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let line = fails(&["listen", "--metrics", &address], 1);
    assert!(line.starts_with(&format!("sanswarm: metrics: {address}: ")), "{line}");
    assert!(fails(&["listen", "--metrics", "192.0.2.1:9100"], 1).contains("metrics: 192.0.2.1:9100: "));
    for wrong in ["", "9100", "localhost:9100", "127.0.0.1", "127.0.0.1:x", "http://127.0.0.1:9100"] {
        assert!(fails(&["listen", "--metrics", wrong], 2).contains("is not an IP address and a port"), "{wrong}");
    }
}

#[test]
fn the_url_is_told_in_json_too() {
    let mut listener = Listener::start(&["--metrics", "[::1]:0", "--json"]);
    let mut line = String::new();
    listener.stdout.read_line(&mut line).unwrap();
    let url = objects(&line)[0]["metrics"].as_str().unwrap().to_owned();
    let host = url.strip_prefix("http://").unwrap().strip_suffix("/metrics").unwrap();
    assert_eq!(scrape(host)["sanswarm_streams_open"].kind, "gauge");
}

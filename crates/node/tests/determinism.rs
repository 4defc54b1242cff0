//! Same seeds, same inputs: same bytes, same events.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{A, B, CHAT, ECHO, Net, config, millis, pattern, peer, secs};
use sanswarm::Event;

/// All bytes that went over each line, and all events of each node.
type Trace = (Vec<Vec<u8>>, Vec<Vec<Event>>);

fn run(seed: u64, chunk: usize, latency: u64) -> Trace {
    let mut one = config(1);
    one.ping_interval = Some(secs(2));
    one.seed = seed;
    let mut net = Net::with(vec![one, config(2), config(3)]);
    net.chunk = chunk;
    net.latency = millis(latency);
    net.users[A].node.set_stream_handler(CHAT);
    let requests: Vec<_> = (0..5).map(|_| net.open([CHAT, ECHO])).collect();
    net.pass(secs(1));
    for (i, request) in requests.iter().enumerate() {
        let stream = net.users[A].stream(*request);
        net.send_all(A, stream, &pattern(10_000 * (i + 1)));
    }
    let (now, info) = (net.now, net.users[A].info());
    let theirs = net.users[2].node.open_stream(now, CHAT, info);
    net.pass(secs(1));
    let stream = net.users[2].stream(theirs);
    net.users[2].node.reset(stream).unwrap();
    net.users[B].node.set_stream_handler(CHAT);
    net.pass(secs(5));
    let now = net.now;
    net.users[A].node.disconnect(now, peer(2));
    net.pass(secs(1));
    let taps = net.pipes.iter().flat_map(|pipe| &pipe.lines).map(|line| line.tap.clone()).collect();
    (taps, net.users.into_iter().map(|user| user.events).collect())
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_events() {
    let (one, two) = (run(7, usize::MAX, 3), run(7, usize::MAX, 3));
    assert!(one.0.iter().all(|tap| !tap.is_empty()));
    assert!(one.0 == two.0, "bytes");
    assert_eq!(one.1, two.1);
}

#[test]
fn another_seed_gives_other_pings_and_the_same_events() {
    let (one, two) = (run(7, usize::MAX, 3), run(8, usize::MAX, 3));
    assert!(one.0 != two.0);
    assert_eq!(one.1, two.1);
}

/// The events of each node about each of its streams and connections, in their order.
fn by_stream(trace: Trace) -> Vec<Vec<String>> {
    let line = |event: &Event| match event {
        // How often payload is announced depends on how it comes.
        Event::Readable { .. } | Event::Writable { .. } | Event::Ping { .. } => None,
        event => Some(format!("{event:?}")),
    };
    let sorted = |events: &Vec<Event>| {
        let mut lines: Vec<_> = events.iter().filter_map(line).collect();
        lines.sort();
        lines
    };
    trace.1.iter().map(sorted).collect()
}

#[test]
fn pieces_of_any_size_give_the_same_events() {
    let whole = by_stream(run(7, usize::MAX, 0));
    for chunk in [1, 17, 1000] {
        assert_eq!(by_stream(run(7, chunk, 0)), whole, "{chunk}");
    }
}

//! One scenario, once through `Node`s and once through `Control`s and `Link`s whose messages the test carries.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "../common/mod.rs"]
mod common;
mod sides;

use std::collections::BTreeMap;

use common::{CHAT, ECHO, address, config, millis, peer};
use sanswarm::{Action, ConnId, Event, Instant, Node, OpenId, PeerInfo, ProtocolName, StreamId};
use sides::{Carry, Side, Split};

const LATER: ProtocolName = ProtocolName::from_static("/later/1.0.0");

/// Two sides, a wire, and what was seen.
struct Stage<S> {
    sides: [S; 2],
    conns: [Option<ConnId>; 2],
    events: [Vec<Event>; 2],
    now: Instant,
}

impl<S: Side> Stage<S> {
    /// Lets all happen that needs no time. The second side echoes, and ends where the first does.
    fn run(&mut self) {
        loop {
            let mut busy = false;
            for i in 0..2 {
                while let Some(event) = self.sides[i].event(self.now) {
                    busy = true;
                    self.act(i, &event);
                    self.events[i].push(event);
                }
                while let Some(action) = self.sides[i].action() {
                    busy = true;
                    self.obey(i, action);
                }
            }
            for i in 0..2 {
                let (Some(from), Some(to)) = (self.conns[i], self.conns[1 - i]) else { continue };
                let bytes = self.sides[i].take(from);
                assert_eq!(self.sides[1 - i].feed(to, &bytes), bytes.len());
                busy |= !bytes.is_empty();
            }
            if !busy {
                return;
            }
        }
    }

    fn act(&mut self, i: usize, event: &Event) {
        match event {
            Event::Readable { stream } => {
                while let Some(bytes) = self.sides[i].read(*stream) {
                    if i == 1 {
                        self.sides[i].write(self.now, *stream, &bytes);
                    }
                }
            }
            Event::Finished { stream } if i == 1 => self.sides[i].finish(*stream),
            _ => {}
        }
    }

    fn obey(&mut self, i: usize, action: Action) {
        match action {
            Action::Dial { conn, .. } => {
                self.sides[i].dialed(self.now, conn, [5; 32]);
                let far = self.sides[1 - i].accepted(self.now, [6; 32]);
                self.conns[i] = Some(conn);
                self.conns[1 - i] = Some(far);
            }
            Action::Shutdown { .. } | Action::Close { .. } => {
                if let Some(far) = self.conns[1 - i] {
                    self.sides[1 - i].eof(far);
                }
            }
            other => panic!("{other:?}"),
        }
    }

    fn stream(&self, id: OpenId) -> StreamId {
        let stream = self.events[0].iter().find_map(|event| match event {
            Event::Opened { request, stream, .. } if *request == Some(id) => Some(*stream),
            _ => None,
        });
        stream.expect("it is open")
    }

    /// Dial, identify, ping, streams: echoed, half-closed, refused, reset; a late handler; close.
    fn play(sides: [S; 2]) -> [Vec<Event>; 2] {
        let (conns, events) = Default::default();
        let mut stage = Self { sides, conns, events, now: Instant::from_micros(5) };
        let (now, far) = (stage.now, PeerInfo { id: peer(2), addrs: vec![address(1)] });
        stage.sides[1].handle(ECHO);
        let first = stage.sides[0].open(now, ECHO, far.clone());
        let refused = stage.sides[0].open(now, CHAT, far.clone());
        stage.run();
        stage.now = stage.now + millis(20);
        stage.sides[0].timeout(stage.now);
        stage.sides[1].timeout(stage.now);
        let now = stage.now;
        stage.sides[0].ping();
        stage.run();
        let more: Vec<_> = (0..3).map(|_| stage.sides[0].open(now, ECHO, far.clone())).collect();
        stage.run();
        for (i, id) in more.iter().chain([&first]).enumerate() {
            let stream = stage.stream(*id);
            stage.sides[0].write(now, stream, &common::pattern(3000 * (i + 1)));
        }
        stage.run();
        let half = stage.stream(more[0]);
        stage.sides[0].finish(half);
        stage.run();
        let gone = stage.stream(more[1]);
        stage.sides[0].reset(gone);
        stage.run();
        stage.sides[1].handle(LATER);
        stage.run();
        stage.sides[1].ping();
        stage.run();
        stage.sides[0].close(now);
        stage.run();
        let unanswered = |id: OpenId| {
            !stage.events[0].iter().any(|e| matches!(e, Event::OpenFailed { request, .. } if *request == id))
        };
        assert!(!unanswered(refused));
        stage.events
    }
}

/// The events of each stream and of each connection, in their order: what a user who looks at one of them sees. Streams
/// are named by their request, or by their place among the inbound ones: slots depend on when another stream has gone.
fn sorted(events: &[Event]) -> BTreeMap<String, Vec<String>> {
    let mut by: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut names: BTreeMap<StreamId, String> = BTreeMap::new();
    for event in events {
        let mut text = format!("{event:?}");
        if let Event::Opened { stream, request, .. } = event {
            let name = request.map_or_else(|| format!("inbound {}", names.len()), |request| format!("{request:?}"));
            names.insert(*stream, name);
        }
        let key = match event {
            Event::Opened { stream, .. }
            | Event::Readable { stream }
            | Event::Writable { stream }
            | Event::Finished { stream }
            | Event::Reset { stream }
            | Event::Refused { stream, .. } => {
                text = text.replace(&format!("{stream:?}"), "it");
                names[stream].clone()
            }
            Event::OpenFailed { request, .. } | Event::Dialed { request, .. } => format!("{request:?}"),
            Event::Connected { conn, .. }
            | Event::PeerReady { conn, .. }
            | Event::PeerChanged { conn, .. }
            | Event::Ping { conn, .. }
            | Event::Disconnected { conn, .. } => format!("{conn:?}"),
            _ => text.clone(),
        };
        by.entry(key).or_default().push(text);
    }
    by
}

fn by_nodes() -> [Vec<Event>; 2] {
    Stage::play([1, 2].map(|seed| Node::new(config(seed)).unwrap()))
}

fn by_parts(carry: Carry) -> [Vec<Event>; 2] {
    Stage::play([1, 2].map(|seed| Split::new(seed, carry)))
}

#[test]
fn the_scenario_has_everything_in_it() {
    let [one, two] = by_nodes();
    let text = format!("{one:?} {two:?}");
    for kind in [
        "Connected",
        "PeerReady",
        "PeerChanged",
        "Ping",
        "Opened",
        "OpenFailed",
        "Readable",
        "Finished",
        "Reset",
        "Disconnected",
    ] {
        assert!(text.contains(kind), "{kind}");
    }
    assert!(matches!(one.last(), Some(Event::Disconnected { .. })), "{one:?}");
}

#[test]
fn control_and_links_with_eager_messages_tell_what_nodes_tell() {
    let (nodes, parts) = (by_nodes(), by_parts(Carry::Eager));
    for i in 0..2 {
        assert_eq!(sorted(&parts[i]), sorted(&nodes[i]), "side {i}");
    }
}

#[test]
fn control_and_links_with_delayed_messages_tell_what_nodes_tell() {
    let (nodes, parts) = (by_nodes(), by_parts(Carry::Delayed));
    for i in 0..2 {
        assert_eq!(sorted(&parts[i]), sorted(&nodes[i]), "side {i}");
    }
}

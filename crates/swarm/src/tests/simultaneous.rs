//! Two nodes that dial each other at once: over a grid of latencies, skews and speeds, both end with one connection, the
//! same one, are never without one in between, and no stream is cut.

use std::collections::BTreeMap;

use super::*;

/// A fact on its way to one of the two ends.
#[derive(Clone, Copy, Debug)]
enum Fact {
    Dial,
    Accepted { pipe: usize },
    Dialed { pipe: usize },
    Ready { pipe: usize },
    Closed { pipe: usize },
    StreamOpens { pipe: usize },
    StreamEnds { pipe: usize },
}

/// A socket between the two: its name at each end, where it is known.
#[derive(Clone, Copy, Debug, Default)]
struct Pipe {
    ends: [Option<ConnId>; 2],
    ready: [bool; 2],
    closed: [bool; 2],
    /// How many streams each end knows of.
    streams: [usize; 2],
}

struct World {
    swarms: [Swarm; 2],
    ids: [u8; 2],
    latency: u64,
    /// How much longer each further pipe takes to become ready at its listener.
    drag: u64,
    pipes: Vec<Pipe>,
    facts: BTreeMap<(u64, usize), (usize, Fact)>,
    serial: usize,
    now: u64,
    /// Which end has had a connection.
    connected: [bool; 2],
}

impl World {
    fn new(ids: [u8; 2], latency: u64, skew: i64, drag: u64) -> Self {
        let swarms = ids.map(|id| {
            let mut swarm = Swarm::new(peer(id), Limits::default());
            swarm.add_transport(Transport::tcp());
            swarm
        });
        let (pipes, facts) = (Vec::new(), BTreeMap::new());
        let mut world = Self { swarms, ids, latency, drag, pipes, facts, serial: 0, now: 0, connected: [false; 2] };
        world.push(1000, 0, Fact::Dial);
        world.push(1000_u64.saturating_add_signed(skew), 1, Fact::Dial);
        world
    }

    fn push(&mut self, at: u64, end: usize, fact: Fact) {
        self.serial += 1;
        self.facts.insert((at, self.serial), (end, fact));
    }

    fn run(&mut self) {
        loop {
            let fact = self.facts.keys().next().map(|(at, _)| *at);
            let timer = |swarm: &Swarm| swarm.poll_timeout().map(|deadline| deadline.at.as_micros() / 1000);
            let timers = self.swarms.iter().filter_map(timer).min();
            let Some(at) = fact.into_iter().chain(timers).min() else { return };
            assert!(at < 600_000, "they never come to rest");
            self.now = at;
            for end in 0..2 {
                self.swarms[end].handle_timeout(ms(at));
                self.act(end);
            }
            while let Some(((due, serial), (end, fact))) = self.facts.pop_first() {
                if due > at {
                    self.facts.insert((due, serial), (end, fact));
                    break;
                }
                self.take(end, fact);
                self.act(end);
            }
            for end in 0..2 {
                let has = self.swarms[end].is_connected(&peer(self.ids[1 - end]));
                self.connected[end] |= has;
                assert!(has || !self.connected[end], "end {end} is without a connection at {at}: {:?}", self.pipes);
            }
        }
    }

    fn take(&mut self, end: usize, fact: Fact) {
        let (now, far) = (ms(self.now), 1 - end);
        let (latency, drag) = (self.latency, self.drag);
        match fact {
            Fact::Dial => drop(self.swarms[end].dial(now, Some(peer(self.ids[far])), &addrs([self.ids[far]]))),
            Fact::Accepted { pipe } => {
                let conn = self.swarms[end].handle_accepted(now, addr(self.ids[end]), addr(self.ids[far])).unwrap();
                self.pipes[pipe].ends[end] = Some(conn);
                self.push(self.now + latency, far, Fact::Dialed { pipe });
                self.push(self.now + 3 * latency + drag * pipe as u64, end, Fact::Ready { pipe });
            }
            Fact::Dialed { pipe } => {
                if let Some(conn) = self.pipes[pipe].ends[end].filter(|_| !self.pipes[pipe].closed[end]) {
                    self.swarms[end].handle_dialed(now, conn);
                    self.push(self.now + 3 * latency, end, Fact::Ready { pipe });
                }
            }
            Fact::Ready { pipe } => {
                let Some(conn) = self.pipes[pipe].ends[end].filter(|_| !self.pipes[pipe].closed[end]) else { return };
                let is_ready = self.swarms[end].handle_ready(now, conn, peer(self.ids[far])).is_ok();
                self.pipes[pipe].ready[end] = is_ready;
                // Streams that came with the last flight of the upgrade.
                self.swarms[end].handle_streams(now, conn, self.pipes[pipe].streams[end]);
            }
            Fact::Closed { pipe } => {
                let Some(conn) = self.pipes[pipe].ends[end].filter(|_| !self.pipes[pipe].closed[end]) else { return };
                assert_eq!(self.pipes[pipe].streams[end], 0, "a stream was cut by the other end");
                self.pipes[pipe].closed[end] = true;
                self.swarms[end].handle_closed(now, conn);
            }
            Fact::StreamOpens { pipe } => self.stream(end, pipe, 1),
            Fact::StreamEnds { pipe } => self.stream(end, pipe, -1),
        }
    }

    fn stream(&mut self, end: usize, pipe: usize, change: isize) {
        let Pipe { ends, ready, closed, streams } = &mut self.pipes[pipe];
        assert!(!closed[end], "a stream on a pipe that is gone");
        streams[end] = streams[end].checked_add_signed(change).unwrap();
        if let Some(conn) = ends[end].filter(|_| ready[end]) {
            self.swarms[end].handle_streams(ms(self.now), conn, streams[end]);
        }
    }

    fn pipe_of(&self, end: usize, conn: ConnId) -> usize {
        self.pipes.iter().position(|pipe| pipe.ends[end] == Some(conn)).unwrap()
    }

    fn act(&mut self, end: usize) {
        let (now, far, latency) = (self.now, 1 - end, self.latency);
        for action in self.swarms[end].actions() {
            match action {
                Action::Dial { conn, .. } => {
                    let mut pipe = Pipe::default();
                    pipe.ends[end] = Some(conn);
                    self.pipes.push(pipe);
                    self.push(now + latency, far, Fact::Accepted { pipe: self.pipes.len() - 1 });
                }
                Action::Abandon { conn } | Action::Close { conn, .. } => {
                    let pipe = self.pipe_of(end, conn);
                    assert_eq!(self.pipes[pipe].streams[end], 0, "a stream is cut");
                    self.pipes[pipe].closed[end] = true;
                    self.swarms[end].handle_closed(ms(now), conn);
                    self.push(now + latency, far, Fact::Closed { pipe });
                }
                other => panic!("{other:?}"),
            }
        }
        for event in self.swarms[end].events() {
            match event {
                // The stream that it was dialled for, which lives longer than any grace.
                Event::Dialed { conn, .. } => {
                    let pipe = self.pipe_of(end, conn);
                    self.stream(end, pipe, 1);
                    self.push(now + latency, far, Fact::StreamOpens { pipe });
                    for end in 0..2 {
                        self.push(now + 25_000 + latency * end as u64, end, Fact::StreamEnds { pipe });
                    }
                }
                Event::DialFailed { .. } => panic!("{event:?}"),
                _ => {}
            }
        }
    }

    /// The pipes that are left at an end, and the one that it prefers.
    fn left(&self, end: usize) -> (usize, usize) {
        let conns: Vec<_> = self.swarms[end].connections(&peer(self.ids[1 - end])).collect();
        (conns.len(), self.pipe_of(end, conns[0]))
    }
}

/// How a case ended, as a letter: the smaller peer's connection stays or the larger one's; a capital where both dials had
/// become connections.
fn letter(world: &World, kept: usize) -> char {
    let conn = world.pipes[kept].ends[0].and_then(|conn| world.swarms[0].connection(conn));
    let by_first = conn.is_some_and(|conn| conn.role.is_dialer());
    let are_two = world.pipes.iter().filter(|pipe| pipe.ready == [true; 2]).count() == 2;
    match (by_first == (world.ids[0] < world.ids[1]), are_two) {
        (true, false) => 's',
        (true, true) => 'S',
        (false, false) => 'l',
        (false, true) => 'L',
    }
}

/// Prints the table of all cases with `--nocapture`: a row for each latency, a column for each skew.
#[test]
fn both_end_with_the_same_connection_and_never_without_one() {
    let (mut both_dialled, mut doubles) = (0, 0);
    for ids in [[2, 3], [3, 2]] {
        for drag in [0, 7, 90] {
            println!(
                "\nend 0 is peer {}, end 1 is peer {}; each further handshake takes {drag} ms longer",
                ids[0], ids[1]
            );
            println!("latency, ms | skew from -6 latencies (end 1 dials first) to +6, in quarters");
            for latency in [1, 3, 10, 40, 150, 400] {
                let mut row = String::new();
                for step in -24..=24 {
                    let skew = step * latency as i64 / 4;
                    let mut world = World::new(ids, latency, skew, drag);
                    world.run();
                    let at = format!("ids {ids:?}, latency {latency}, skew {skew}, drag {drag}");
                    let left = [world.left(0), world.left(1)];
                    assert_eq!(left[0], left[1], "{at}");
                    assert_eq!(left[0].0, 1, "{at}");
                    both_dialled += usize::from(world.pipes.len() == 2);
                    let letter = letter(&world, left[0].1);
                    assert_ne!(letter, 'L', "of two the one that the smaller peer has dialled stays: {at}");
                    doubles += usize::from(letter == 'S');
                    row.push(letter);
                }
                println!("{latency:>11} | {row}");
            }
        }
    }
    println!("\n{both_dialled} of 1764 cases with two dials, {doubles} with two connections");
    assert!(both_dialled > 500 && doubles > 300, "the grid holds the case that it is about: {both_dialled}, {doubles}");
}

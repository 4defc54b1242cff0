//! A little network: nodes, their sockets as byte queues, and time that passes when a test says so.
#![allow(dead_code, unused_imports, reason = "each test file uses a part")]

mod hand;
mod pipe;
mod user;

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

pub(crate) use hand::{Hand, Served};
pub(crate) use pipe::{Line, Pipe, Place, Tip};
use sanswarm::{Action, Config, ConnId, Denied, Instant, Multiaddr, OpenId, PeerInfo, ProtocolName, TransportError};
pub(crate) use user::{User, config, keypair, pattern, peer};

pub(crate) const ECHO: ProtocolName = ProtocolName::from_static("/echo/1.0.0");
pub(crate) const CHAT: ProtocolName = ProtocolName::from_static("/chat/1.0.0");

/// The first two nodes of a network.
pub(crate) const A: usize = 0;
pub(crate) const B: usize = 1;

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The address of the node with this index, or of a place that a test makes.
pub(crate) fn address(index: usize) -> Multiaddr {
    format!("/ip4/127.0.0.1/tcp/{}", 4001 + index).parse().expect("an address")
}

pub(crate) struct Net {
    pub(crate) users: Vec<User>,
    pub(crate) pipes: Vec<Pipe>,
    pub(crate) places: BTreeMap<Multiaddr, Place>,
    pub(crate) now: Instant,
    pub(crate) latency: Duration,
    /// The most that is delivered or taken at once.
    pub(crate) chunk: usize,
    /// What a line holds before it is full.
    pub(crate) room: usize,
    pub(crate) dials: Vec<(usize, Multiaddr)>,
    pub(crate) abandoned: Vec<(usize, ConnId)>,
    pub(crate) denied: Vec<Denied>,
    pub(crate) listens: Vec<(usize, Multiaddr)>,
    secrets: u8,
}

impl Net {
    /// `n` nodes that echo on `/echo/1.0.0`, all but the first.
    pub(crate) fn new(n: usize) -> Self {
        Self::with((0..n).map(|i| config(i as u8 + 1)).collect())
    }

    pub(crate) fn with(configs: Vec<Config>) -> Self {
        let users: Vec<_> = configs.into_iter().enumerate().map(|(i, config)| User::new(config, address(i))).collect();
        let mut net = Self {
            places: (0..users.len()).map(|i| (address(i), Place::Node(i))).collect(),
            users,
            pipes: Vec::new(),
            now: Instant::from_micros(1_000_000),
            latency: Duration::ZERO,
            chunk: usize::MAX,
            room: 64 * 1024,
            dials: Vec::new(),
            abandoned: Vec::new(),
            denied: Vec::new(),
            listens: Vec::new(),
            secrets: 0,
        };
        for user in net.users.iter_mut().skip(1) {
            user.node.set_stream_handler(ECHO);
        }
        net
    }

    /// Two nodes that are connected and know each other: each one's name of the connection.
    pub(crate) fn connected() -> (Self, ConnId, ConnId) {
        let mut net = Self::new(2);
        let (a, b) = net.connect();
        (net, a, b)
    }

    pub(crate) fn connect(&mut self) -> (ConnId, ConnId) {
        let info = self.users[B].info();
        let now = self.now;
        self.users[A].node.connect(now, info);
        self.run();
        (*self.users[A].conns().last().expect("connected"), *self.users[B].conns().last().expect("connected"))
    }

    /// Puts a hand-made peer at an address and connects the first node to it, as peer 9.
    pub(crate) fn connect_hand(&mut self, make: impl Fn() -> Hand + 'static) -> OpenId {
        self.places.insert(address(7), Place::Hand(Box::new(make)));
        let now = self.now;
        let id = self.users[A].node.connect(now, PeerInfo { id: peer(9), addrs: vec![address(7)] });
        self.run();
        id
    }

    /// Asks for a stream from the first node to the second.
    pub(crate) fn open(&mut self, protocols: impl Into<sanswarm::Protocols>) -> OpenId {
        let (info, now) = (self.users[B].info(), self.now);
        self.users[A].node.open_stream(now, protocols, info)
    }

    /// Asks the first node for a stream to whoever must be at the given addresses.
    pub(crate) fn open_at(&mut self, peer: sanswarm::PeerId, addrs: Vec<Multiaddr>) -> OpenId {
        let now = self.now;
        self.users[A].node.open_stream(now, ECHO, PeerInfo { id: peer, addrs })
    }

    pub(crate) fn send_all(&mut self, user: usize, stream: sanswarm::StreamId, data: &[u8]) {
        let now = self.now;
        self.users[user].send_all(now, stream, data);
    }

    // ---- time

    /// Lets everything happen that no timer is needed for.
    pub(crate) fn run(&mut self) {
        for _ in 0..2_000_000 {
            if self.round() {
                continue;
            }
            let Some(at) = self.next_arrival() else { return };
            self.go_to(at);
        }
        panic!("it never comes to rest");
    }

    /// Lets time pass, with all that happens in it.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            while self.round() {}
            let timers = self.users.iter().filter_map(|user| Some(user.node.poll_timeout()?.at));
            let hands = self.pipes.iter().flat_map(|pipe| &pipe.tips).filter_map(Tip::timeout);
            let next = timers.chain(hands).chain(self.next_arrival()).min();
            match next.filter(|at| *at < end) {
                Some(at) => self.go_to(at),
                None => break,
            }
        }
        self.go_to(end);
        while self.round() {}
    }

    fn go_to(&mut self, at: Instant) {
        self.now = self.now.max(at);
        for user in &mut self.users {
            user.node.handle_timeout(self.now);
        }
        for tip in self.pipes.iter_mut().flat_map(|pipe| &mut pipe.tips) {
            if let Tip::Hand(hand) = tip {
                hand.handle_timeout(self.now);
            }
        }
    }

    /// When the next byte arrives that is under way. What a full node does not take waits for the node.
    fn next_arrival(&self) -> Option<Instant> {
        let lines = self.pipes.iter().flat_map(|pipe| &pipe.lines);
        let next = |line: &Line| match line.queue.front() {
            Some((at, _)) => Some(*at),
            None => line.end.filter(|_| !line.end_told),
        };
        lines.filter_map(next).filter(|at| *at > self.now).min()
    }

    /// One piece of everything. Returns whether something happened.
    pub(crate) fn round(&mut self) -> bool {
        let mut moved = false;
        for pipe in 0..self.pipes.len() {
            moved |= self.deliver(pipe, 0) | self.deliver(pipe, 1);
        }
        for i in 0..self.users.len() {
            moved |= self.users[i].poll(self.now);
            while let Some(action) = self.users[i].node.poll_action() {
                moved = true;
                self.act(i, action);
            }
            while self.users[i].node.poll_transmit().is_some() {}
        }
        for pipe in 0..self.pipes.len() {
            moved |= self.collect(pipe, 0) | self.collect(pipe, 1);
        }
        moved
    }

    // ---- sockets

    /// Brings what has arrived on a line to its end.
    fn deliver(&mut self, pipe: usize, line: usize) -> bool {
        let (now, chunk) = (self.now, self.chunk);
        let Pipe { tips, lines } = &mut self.pipes[pipe];
        let (tip, line) = (&mut tips[1 - line], &mut lines[line]);
        let mut moved = false;
        if let Some((at, bytes)) = line.queue.front_mut() {
            if *at > now {
                return false;
            }
            let piece = &bytes[..bytes.len().min(chunk)];
            let n = match tip {
                Tip::Node(i, conn) => self.users[*i].node.handle_input(*conn, piece),
                Tip::Hand(hand) => hand.feed(piece),
                Tip::Gone => piece.len(),
            };
            bytes.drain(..n);
            line.queued -= n;
            if bytes.is_empty() {
                line.queue.pop_front();
            }
            moved = n > 0;
        }
        if line.queue.is_empty() && line.end.is_some_and(|at| at <= now) && !line.end_told {
            line.end_told = true;
            moved = true;
            match tip {
                Tip::Node(i, conn) => self.users[*i].node.handle_eof(*conn),
                Tip::Hand(hand) => hand.set_eof(),
                Tip::Gone => {}
            }
        }
        moved
    }

    /// Takes what the end of a line has to send.
    fn collect(&mut self, pipe: usize, line: usize) -> bool {
        let (now, latency, chunk, room) = (self.now, self.latency, self.chunk, self.room);
        let Pipe { tips, lines } = &mut self.pipes[pipe];
        let (tip, line) = (&mut tips[line], &mut lines[line]);
        let room = room.saturating_sub(line.queued).min(chunk);
        let bytes = match tip {
            Tip::Node(i, conn) => {
                let node = &mut self.users[*i].node;
                let ready = node.ready(*conn);
                let bytes = ready[..ready.len().min(room)].to_vec();
                if !bytes.is_empty() {
                    node.sent(*conn, bytes.len());
                }
                bytes
            }
            Tip::Hand(hand) => hand.step(now, room),
            Tip::Gone => Vec::new(),
        };
        if let Tip::Hand(hand) = tip {
            if hand.is_over() && line.end.is_none() {
                line.end = Some(now + latency);
            }
        }
        if bytes.is_empty() {
            return false;
        }
        line.tap.extend_from_slice(&bytes);
        line.queued += bytes.len();
        line.queue.push_back((now + latency, bytes));
        true
    }

    fn act(&mut self, i: usize, action: Action) {
        match action {
            Action::Dial { conn, address } => {
                self.dials.push((i, address.clone()));
                self.dial(i, conn, &address);
            }
            Action::Abandon { conn } => self.abandoned.push((i, conn)),
            Action::Listen { address } => {
                self.listens.push((i, address.clone()));
                self.users[i].node.handle_listening(address);
            }
            Action::Shutdown { conn } => self.hang_up(i, conn, false),
            Action::Close { conn } => self.hang_up(i, conn, true),
            other => panic!("{other:?}"),
        }
    }

    fn dial(&mut self, i: usize, conn: ConnId, to: &Multiaddr) {
        let (now, ours, theirs) = (self.now, self.secret(), self.secret());
        let far = match self.places.get(to) {
            None => {
                return self.users[i].node.handle_dial_failed(now, conn, TransportError::Refused);
            }
            Some(Place::Hole) => return,
            Some(Place::Hand(make)) => Tip::Hand(Box::new(make())),
            Some(Place::Node(j)) => {
                let (j, from) = (*j, self.users[i].address.clone());
                match self.users[j].node.handle_accepted(now, to.clone(), from, theirs) {
                    Ok(far) => Tip::Node(j, far),
                    Err(denied) => {
                        self.denied.push(denied);
                        Tip::Gone
                    }
                }
            }
        };
        let mut lines: [Line; 2] = Default::default();
        if let Tip::Gone = far {
            lines[1].end = Some(now);
        }
        let mut near = Tip::Node(i, conn);
        if !self.users[i].node.handle_dialed(now, conn, ours) {
            // It was given up before we came to it.
            lines[0].end = Some(now);
            near = Tip::Gone;
        }
        self.pipes.push(Pipe { tips: [near, far], lines });
    }

    /// Carries bytes between two pipes that tests have made by hand.
    pub(crate) fn join(&mut self, a: ConnId, b: ConnId) {
        self.pipes.push(Pipe { tips: [Tip::Node(A, a), Tip::Node(B, b)], lines: Default::default() });
    }

    fn hang_up(&mut self, i: usize, id: ConnId, both: bool) {
        let end = self.now + self.latency;
        for Pipe { tips, lines } in &mut self.pipes {
            for (at, tip) in tips.iter_mut().enumerate() {
                if matches!(tip, Tip::Node(j, conn) if *j == i && *conn == id) {
                    lines[at].end.get_or_insert(end);
                    if both {
                        *tip = Tip::Gone;
                    }
                }
            }
        }
    }

    /// The socket of a connection breaks at once, in both directions and for both ends.
    pub(crate) fn cut(&mut self, pipe: usize) {
        let Pipe { tips, lines } = &mut self.pipes[pipe];
        for (tip, line) in tips.iter_mut().zip(lines) {
            if let Tip::Node(i, conn) = tip {
                self.users[*i].node.handle_broken(*conn);
            }
            *tip = Tip::Gone;
            line.queue.clear();
            line.queued = 0;
        }
    }

    /// The hand-made peer at the far end of the last pipe.
    pub(crate) fn hand(&mut self) -> &mut Hand {
        match &mut self.pipes.last_mut().expect("a pipe").tips[1] {
            Tip::Hand(hand) => hand,
            _ => panic!("a node is there"),
        }
    }

    pub(crate) fn secret(&mut self) -> [u8; 32] {
        self.secrets += 1;
        [self.secrets; 32]
    }
}

//! A node where there is no clock, no thread and no socket, as in a WebAssembly page: the host calls in when a message has
//! come or a timer has fired, says what time it is, and takes messages and the next timer back. The transport is one of the
//! host's own (WebSocket here), which `add_transport` announces.

use core::time::Duration;
use std::collections::VecDeque;

use sanswarm::{
    Action, Config, ConnId, Event, Instant, Keypair, Multiaddr, Node, PeerInfo, ProtocolName, Transport,
    TransportSecurity,
};

const ECHO: ProtocolName = ProtocolName::from_static("/echo/1.0.0");

/// The module: what it exports to its host. Nothing in it asks for the time.
struct Module {
    node: Node,
    conn: Option<ConnId>,
    heard: Vec<u8>,
}

/// What a call gives back to the host.
#[derive(Default)]
struct Wishes {
    connect: Option<Multiaddr>,
    messages: Vec<Vec<u8>>,
    /// Call `on_timer` then.
    timer: Option<Instant>,
}

impl Module {
    fn new(seed: u8) -> Self {
        let keypair = Keypair::ed25519_from_bytes([seed; 32]).expect("32 bytes");
        let mut node = Node::new(Config::new(keypair, [seed + 1; 32])).expect("Ed25519 signs");
        let is_web_socket = |address: &Multiaddr| address.to_string().ends_with("/wss");
        node.swarm().add_transport(Transport { matches: is_web_socket, security: TransportSecurity::Raw });
        Self { node, conn: None, heard: Vec::new() }
    }

    fn open(&mut self, now: Instant, peer: PeerInfo) -> Wishes {
        self.node.open_stream(now, ECHO, peer);
        self.wishes(now)
    }

    fn on_connected(&mut self, now: Instant, secret: [u8; 32]) -> Wishes {
        let conn = self.conn.expect("it was asked for");
        self.node.handle_dialed(now, conn, secret);
        self.wishes(now)
    }

    fn on_accepted(&mut self, now: Instant, address: &Multiaddr, secret: [u8; 32]) -> Wishes {
        self.conn = self.node.handle_accepted(now, address.clone(), address.clone(), secret).ok();
        self.wishes(now)
    }

    fn on_message(&mut self, now: Instant, message: &[u8]) -> Wishes {
        let mut rest = message;
        while let (Some(conn), false) = (self.conn, rest.is_empty()) {
            let n = self.node.handle_input(conn, rest);
            rest = &rest[n..];
            self.events(now);
        }
        self.wishes(now)
    }

    fn on_timer(&mut self, now: Instant) -> Wishes {
        self.node.handle_timeout(now);
        self.wishes(now)
    }

    fn events(&mut self, now: Instant) {
        while let Some(event) = self.node.poll_event(now) {
            match event {
                Event::Opened { stream, request: Some(_), .. } => {
                    self.node.write(now, stream, b"hello").expect("it is open");
                }
                Event::Readable { stream } => {
                    while let Ok(Some(bytes)) = self.node.read(stream) {
                        self.heard.extend_from_slice(&bytes);
                    }
                }
                _ => {}
            }
        }
    }

    fn wishes(&mut self, now: Instant) -> Wishes {
        let mut wishes = Wishes::default();
        loop {
            self.events(now);
            while let Some(action) = self.node.poll_action() {
                if let Action::Dial { conn, address } = action {
                    (self.conn, wishes.connect) = (Some(conn), Some(address));
                }
            }
            let Some(conn) = self.node.poll_transmit() else { break };
            wishes.messages.push(self.node.ready(conn).to_vec());
            self.node.sent(conn, usize::MAX);
        }
        wishes.timer = self.node.poll_timeout().map(|deadline| deadline.at);
        wishes
    }
}

/// The host: two pages and what is under way between them, 40 ms each way. Time is what it says.
fn main() {
    let (mut alice, mut bob) = (Module::new(1), Module::new(101));
    bob.node.set_stream_handler(ECHO);
    let address: Multiaddr = "/dns4/bob.example/tcp/443/wss".parse().expect("an address");
    let mut now = Instant::ZERO;
    let wishes = alice.open(now, PeerInfo { id: bob.node.id(), addrs: vec![address.clone()] });
    assert_eq!(wishes.connect, Some(address.clone()), "the host's transport");

    let latency = Duration::from_millis(40);
    let mut way: VecDeque<(Instant, bool, Vec<u8>)> = VecDeque::new();
    now = now + latency;
    let mut timers = [None; 2];
    for (to_bob, wishes) in [(false, bob.on_accepted(now, &address, [7; 32])), (true, alice.on_connected(now, [8; 32]))]
    {
        way.extend(wishes.messages.into_iter().map(|message| (now + latency, to_bob, message)));
        timers[usize::from(!to_bob)] = wishes.timer;
    }
    while bob.heard.is_empty() {
        // The next thing that happens: a message, or a timer.
        let (next, timer) = (way.front().map(|(at, ..)| *at), timers.iter().flatten().min().copied());
        let is_message = next.is_some_and(|at| timer.is_none_or(|timer| at <= timer));
        let message = if is_message { way.pop_front() } else { None };
        now = message.as_ref().map_or(timer, |_| next).expect("something is to happen");
        let calls = match message {
            Some((_, true, message)) => vec![(1, bob.on_message(now, &message))],
            Some((_, false, message)) => vec![(0, alice.on_message(now, &message))],
            None => vec![(0, alice.on_timer(now)), (1, bob.on_timer(now))],
        };
        for (page, wishes) in calls {
            way.extend(wishes.messages.into_iter().map(|message| (now + latency, page == 0, message)));
            timers[page] = wishes.timer;
        }
    }
    assert_eq!(bob.heard, b"hello");
    println!("bob heard hello at {} ms by the host's count", now.as_micros() / 1000);
}

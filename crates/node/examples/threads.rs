//! A node driven by hand from threads of the standard library: one thread owns the node, one more for each socket waits in
//! `read` and hands in what comes. (`sanswarm-std` is this with everything: names, limits of threads, streams as `Read`.)

#![allow(clippy::disallowed_methods, reason = "a driver reads the clock")]

use core::net::SocketAddr;
use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
};

use sanswarm::{
    Action, Config, ConnId, Event, Instant, Keypair, Multiaddr, Node, PeerInfo, ProtocolName, StreamId, TransportError,
};

const ECHO: ProtocolName = ProtocolName::from_static("/echo/1.0.0");

/// What the threads tell the one that owns the node.
enum Fact {
    Accepted(TcpStream),
    Dialed(ConnId, std::io::Result<TcpStream>),
    Bytes(ConnId, Vec<u8>),
    End(ConnId),
}

struct Driver {
    node: Node,
    start: std::time::Instant,
    sockets: BTreeMap<ConnId, TcpStream>,
    facts: (Sender<Fact>, Receiver<Fact>),
    secret: u8,
}

fn multiaddr(addr: SocketAddr) -> Multiaddr {
    format!("/ip4/{}/tcp/{}", addr.ip(), addr.port()).parse().expect("an IPv4 address")
}

fn spawn(run: impl FnOnce() + Send + 'static) {
    thread::Builder::new().spawn(run).expect("a thread");
}

impl Driver {
    fn new(seed: u8) -> Self {
        let keypair = Keypair::ed25519_from_bytes([seed; 32]).expect("32 bytes");
        let node = Node::new(Config::new(keypair, [seed + 1; 32])).expect("Ed25519 signs");
        Self { node, start: std::time::Instant::now(), sockets: BTreeMap::new(), facts: channel(), secret: seed }
    }

    fn now(&self) -> Instant {
        Instant::from_micros(self.start.elapsed().as_micros() as u64)
    }

    fn listen(&self) -> Multiaddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = multiaddr(listener.local_addr().expect("bound"));
        let facts = self.facts.0.clone();
        spawn(move || {
            for socket in listener.incoming().flatten() {
                if facts.send(Fact::Accepted(socket)).is_err() {
                    return;
                }
            }
        });
        address
    }

    /// Runs until the user has what it wants.
    fn run(&mut self, mut user: impl FnMut(&mut Node, Instant, Event) -> bool) {
        loop {
            let now = self.now();
            self.node.handle_timeout(now);
            while let Some(event) = self.node.poll_event(now) {
                if user(&mut self.node, now, event) {
                    return;
                }
            }
            while let Some(action) = self.node.poll_action() {
                self.act(action);
            }
            let mut sent = false;
            while let Some(conn) = self.node.poll_transmit() {
                let Some(socket) = self.sockets.get_mut(&conn) else { continue };
                // It blocks: a peer that does not read stops this node. The std adapter has a thread for that.
                let n = socket.write(self.node.ready(conn)).unwrap_or(usize::MAX);
                self.node.sent(conn, n);
                sent = true;
            }
            if sent {
                continue;
            }
            let fact = match self.node.poll_timeout() {
                Some(deadline) => self.facts.1.recv_timeout(deadline.at.since(self.now())),
                None => self.facts.1.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            if let Ok(fact) = fact {
                self.handle(fact);
            }
        }
    }

    fn handle(&mut self, fact: Fact) {
        let now = self.now();
        self.secret += 2; // in earnest: 32 bytes of the system's randomness
        match fact {
            Fact::Accepted(socket) => {
                let (local, remote) = (socket.local_addr().expect("open"), socket.peer_addr().expect("open"));
                if let Ok(conn) = self.node.handle_accepted(now, multiaddr(local), multiaddr(remote), [self.secret; 32])
                {
                    self.add(conn, socket);
                }
            }
            Fact::Dialed(conn, Ok(socket)) => {
                if self.node.handle_dialed(now, conn, [self.secret; 32]) {
                    self.add(conn, socket);
                }
            }
            Fact::Dialed(conn, Err(_)) => self.node.handle_dial_failed(now, conn, TransportError::Refused),
            Fact::Bytes(conn, bytes) => {
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let n = self.node.handle_input(conn, rest);
                    rest = &rest[n..];
                    // Bytes of a small example fit. In earnest the rest waits here until the node has room.
                    assert!(n > 0 || rest.is_empty(), "more than the node has room for");
                }
            }
            Fact::End(conn) => self.node.handle_eof(conn),
        }
    }

    fn add(&mut self, conn: ConnId, socket: TcpStream) {
        let (mut reader, facts) = (socket.try_clone().expect("a descriptor"), self.facts.0.clone());
        self.sockets.insert(conn, socket);
        spawn(move || {
            let mut block = [0; 4096];
            loop {
                let fact = match reader.read(&mut block) {
                    Ok(n) if n > 0 => Fact::Bytes(conn, block[..n].to_vec()),
                    _ => Fact::End(conn),
                };
                let is_end = matches!(fact, Fact::End(_));
                if facts.send(fact).is_err() || is_end {
                    return;
                }
            }
        });
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Dial { conn, address } => {
                let text = address.to_string();
                let parts: Vec<_> = text.split('/').collect();
                let (host, facts) = (format!("{}:{}", parts[2], parts[4]), self.facts.0.clone());
                spawn(move || drop(facts.send(Fact::Dialed(conn, TcpStream::connect(host)))));
            }
            Action::Shutdown { conn } => {
                self.sockets.get(&conn).map(|socket| socket.shutdown(Shutdown::Write));
            }
            Action::Abandon { conn } | Action::Close { conn } => {
                self.sockets.remove(&conn).map(|socket| socket.shutdown(Shutdown::Both));
            }
            _ => {}
        }
    }
}

fn read_all(node: &mut Node, stream: StreamId) -> Vec<u8> {
    let mut all = Vec::new();
    while let Ok(Some(bytes)) = node.read(stream) {
        all.extend_from_slice(&bytes);
    }
    all
}

fn main() {
    let (mut alice, mut bob) = (Driver::new(1), Driver::new(101));
    bob.node.set_stream_handler(ECHO);
    let peer = PeerInfo { id: bob.node.id(), addrs: vec![bob.listen()] };
    spawn(move || {
        bob.run(|node, now, event| {
            if let Event::Readable { stream } = event {
                let bytes = read_all(node, stream);
                node.write(now, stream, &bytes).expect("it is open");
            }
            false
        });
    });

    let now = alice.now();
    alice.node.open_stream(now, ECHO, peer);
    let mut answer = Vec::new();
    alice.run(|node, now, event| {
        match event {
            Event::Opened { stream, .. } => drop(node.write(now, stream, b"hello").expect("it is open")),
            Event::Readable { stream } => answer.extend(read_all(node, stream)),
            Event::OpenFailed { error, .. } => panic!("{error}"),
            _ => {}
        }
        answer.len() >= 5
    });
    assert_eq!(answer, b"hello");
    println!("bob echoed hello");
}

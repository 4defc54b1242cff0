//! A node in a game: the loop ticks 60 times a second, never waits for the network, and gives the node what time is its own.
//! Sockets are non-blocking; what a tick finds is done, and the rest comes with the next.

use core::{net::SocketAddr, time::Duration};
use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use sanswarm::{
    Action, Config, ConnId, Event, Instant, Keypair, Multiaddr, Node, PeerInfo, ProtocolName, TransportError,
};

const POSITION: ProtocolName = ProtocolName::from_static("/position/1.0.0");
const TICK: Duration = Duration::from_micros(16_667);

type Dialed = (ConnId, std::io::Result<TcpStream>);

/// A player: its node and its sockets.
struct Player {
    node: Node,
    now: Instant,
    listener: TcpListener,
    sockets: BTreeMap<ConnId, TcpStream>,
    /// Connecting is the one thing that the standard library can only wait for: a thread does.
    dialed: (Sender<Dialed>, Receiver<Dialed>),
    secret: u8,
}

fn multiaddr(addr: SocketAddr) -> Multiaddr {
    format!("/ip4/{}/tcp/{}", addr.ip(), addr.port()).parse().expect("an IPv4 address")
}

impl Player {
    fn new(seed: u8) -> Self {
        let keypair = Keypair::ed25519_from_bytes([seed; 32]).expect("32 bytes");
        let node = Node::new(Config::new(keypair, [seed + 1; 32])).expect("Ed25519 signs");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        Self { node, now: Instant::ZERO, listener, sockets: BTreeMap::new(), dialed: channel(), secret: seed }
    }

    fn secret(&mut self) -> [u8; 32] {
        self.secret += 2; // in a game: 32 bytes of the system's randomness
        [self.secret; 32]
    }

    /// One frame: what has arrived goes in, what the node wants is done, what it says is given to the game.
    fn tick(&mut self, mut game: impl FnMut(&mut Node, Instant, Event)) {
        self.now = self.now + TICK; // a fixed step needs no clock
        self.node.handle_timeout(self.now);
        while let Ok((socket, remote)) = self.listener.accept() {
            let (local, secret) = (multiaddr(self.listener.local_addr().expect("bound")), self.secret());
            if let Ok(conn) = self.node.handle_accepted(self.now, local, multiaddr(remote), secret) {
                self.add(conn, socket);
            }
        }
        while let Ok((conn, result)) = self.dialed.1.try_recv() {
            let secret = self.secret();
            match result {
                Ok(socket) if self.node.handle_dialed(self.now, conn, secret) => self.add(conn, socket),
                Ok(_) => {}
                Err(_) => self.node.handle_dial_failed(self.now, conn, TransportError::Refused),
            }
        }
        self.read(&mut game);
        loop {
            while let Some(event) = self.node.poll_event(self.now) {
                game(&mut self.node, self.now, event);
            }
            let Some(action) = self.node.poll_action() else { break };
            self.act(action);
        }
        while let Some(conn) = self.node.poll_transmit() {
            self.write(conn);
        }
    }

    fn add(&mut self, conn: ConnId, socket: TcpStream) {
        socket.set_nonblocking(true).expect("a socket");
        self.sockets.insert(conn, socket);
    }

    /// Reads what has arrived. Events are taken between reads, because room comes with use.
    fn read(&mut self, game: &mut impl FnMut(&mut Node, Instant, Event)) {
        for (conn, socket) in &mut self.sockets {
            while self.node.wants_input(*conn) {
                let Some(recv) = self.node.recv_buf(*conn) else { break };
                match socket.read(recv.spare()) {
                    Ok(0) => self.node.handle_eof(*conn),
                    Ok(n) => recv.filled(n),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(_) => self.node.handle_broken(*conn),
                }
                self.node.wake(*conn);
                while let Some(event) = self.node.poll_event(self.now) {
                    game(&mut self.node, self.now, event);
                }
            }
        }
    }

    fn write(&mut self, conn: ConnId) {
        let Some(socket) = self.sockets.get_mut(&conn) else { return };
        match socket.write(self.node.ready(conn)) {
            Ok(n) => self.node.sent(conn, n),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.node.handle_broken(conn),
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Dial { conn, address } => {
                let text = address.to_string();
                let parts: Vec<_> = text.split('/').collect();
                let (host, done) = (format!("{}:{}", parts[2], parts[4]), self.dialed.0.clone());
                let connect = move || drop(done.send((conn, TcpStream::connect(host))));
                thread::Builder::new().spawn(connect).expect("a thread");
            }
            Action::Shutdown { conn } => {
                self.sockets.get(&conn).map(|socket| socket.shutdown(Shutdown::Write));
            }
            Action::Abandon { conn } | Action::Close { conn } => drop(self.sockets.remove(&conn)),
            _ => {}
        }
    }
}

fn main() {
    let (mut alice, mut bob) = (Player::new(1), Player::new(101));
    bob.node.set_stream_handler(POSITION);
    let address = multiaddr(bob.listener.local_addr().expect("bound"));
    alice.node.open_stream(alice.now, POSITION, PeerInfo { id: bob.node.id(), addrs: vec![address] });
    let (mut opened, mut heard) = (None, false);
    for tick in 0..600 {
        alice.tick(|node, now, event| {
            if let Event::Opened { stream, .. } = event {
                node.write(now, stream, b"I am at 3, 4").expect("it is open");
                opened = Some(tick);
            }
        });
        bob.tick(|node, _, event| {
            if let Event::Readable { stream } = event {
                while let Ok(Some(bytes)) = node.read(stream) {
                    heard |= &bytes[..] == b"I am at 3, 4";
                }
            }
        });
        if heard {
            println!("open in tick {}, heard in tick {tick}", opened.expect("open before"));
            return;
        }
        thread::sleep(TICK); // a game would draw
    }
    panic!("nothing was heard in ten seconds");
}

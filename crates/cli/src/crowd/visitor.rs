//! One of the crowd: a node with an identity of its own, and its one connection, driven by a task.

use core::{future::pending, time::Duration};
use std::io;

use sanswarm::{Action, ConnId, Event, Instant, Multiaddr, Node, OpenStreamError, PeerInfo};
use tokio::{
    io::Interest,
    net::TcpStream,
    sync::{OwnedSemaphorePermit, mpsc::UnboundedSender, watch},
    time,
};

use crate::key;

/// What a visitor has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It is connected, so long after it began.
    Ready(Duration),
    /// It could not connect: how far it came, and why it came no further.
    Failed { stage: &'static str, code: &'static str },
    /// It was connected, and is not any more, though it was not asked to leave.
    Lost { code: &'static str },
    /// The peer has answered it.
    Pong(Duration),
    /// The peer has not answered it.
    Silent,
}

pub(crate) struct Visitor {
    node: Node,
    peer: PeerInfo,
    start: time::Instant,
    socket: Option<(ConnId, TcpStream)>,
    /// What is to be dialled next.
    dial: Option<(ConnId, Multiaddr)>,
    /// The socket took no more.
    is_full: bool,
    /// It is connected, and no ping is under way.
    may_ping: bool,
    is_leaving: bool,
    is_over: bool,
    told: UnboundedSender<Told>,
    /// The right to be one of those that connect, until it is connected.
    permit: Option<OwnedSemaphorePermit>,
}

impl Visitor {
    pub(crate) fn new(node: Node, peer: PeerInfo, told: UnboundedSender<Told>, permit: OwnedSemaphorePermit) -> Self {
        Self {
            node,
            peer,
            start: time::Instant::now(),
            socket: None,
            dial: None,
            is_full: false,
            may_ping: false,
            is_leaving: false,
            is_over: false,
            told,
            permit: Some(permit),
        }
    }

    /// Connects, stays until told to leave, and says goodbye. With an interval it pings the peer meanwhile.
    pub(crate) async fn run(mut self, interval: Option<Duration>, mut leave: watch::Receiver<bool>) {
        self.node.connect(Instant::ZERO, self.peer.clone());
        let mut next_ping = None;
        loop {
            self.turn();
            if self.is_over {
                return;
            }
            if let Some((conn, address)) = self.dial.take() {
                self.connect(conn, &address).await;
                continue;
            }
            if core::mem::take(&mut self.may_ping) {
                next_ping = interval.map(|interval| time::Instant::now() + interval);
            }
            let deadline = self.node.poll_timeout().map(|deadline| self.start + deadline.at.since(Instant::ZERO));
            tokio::select! {
                () = readiness(self.socket.as_ref(), &self.node, self.is_full) => self.read(),
                () = until(deadline) => {}
                () = until(next_ping) => {
                    self.node.ping(&self.peer.id);
                    next_ping = None;
                }
                _ = leave.wait_for(|leave| *leave), if !self.is_leaving => {
                    self.is_leaving = true;
                    let now = self.now();
                    self.is_over = self.node.close_all(now) == 0;
                }
            }
        }
    }

    fn now(&self) -> Instant {
        Instant::ZERO + self.start.elapsed()
    }

    async fn connect(&mut self, conn: ConnId, address: &Multiaddr) {
        let socket = sanswarm_tokio::connect(address).await;
        let now = self.now();
        match (socket, key::secret()) {
            (Ok(socket), Ok(secret)) => {
                if self.node.handle_dialed(now, conn, secret) {
                    self.socket = Some((conn, socket));
                }
            }
            (Err(cause), _) => self.node.handle_dial_failed(now, conn, cause),
            (Ok(_), Err(_)) => self.node.handle_dial_failed(now, conn, sanswarm::TransportError::Unsupported),
        }
    }

    /// Does all that is to be done now.
    fn turn(&mut self) {
        self.is_full = false;
        let now = self.now();
        self.node.handle_timeout(now);
        loop {
            while let Some(event) = self.node.poll_event(now) {
                self.handle_event(now, event);
            }
            while let Some(action) = self.node.poll_action() {
                self.act(action);
            }
            while self.node.poll_transmit().is_some() {} // There is one connection.
            if !self.write() {
                return;
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Dial { conn, address } => self.dial = Some((conn, address)),
            // The goodbye has gone, or cannot.
            Action::Close { .. } | Action::Shutdown { .. } => {
                if !self.is_over && !self.is_leaving && self.permit.is_none() {
                    let _ = self.told.send(Told::Lost { code: "closed" });
                }
                self.is_over = true;
            }
            _ => {}
        }
    }

    fn handle_event(&mut self, now: Instant, event: Event) {
        let told = match event {
            Event::Connected { .. } => {
                self.permit = None;
                self.may_ping = true;
                Told::Ready(now.since(Instant::ZERO))
            }
            Event::OpenFailed { error, .. } => {
                self.is_over = true;
                failed(&error)
            }
            Event::Disconnected { reason, .. } => {
                self.is_over = true;
                if self.is_leaving {
                    return;
                }
                Told::Lost { code: reason.as_ref().map_or_else(|error| error.code(), |_| "closed") }
            }
            Event::Ping { result, .. } => {
                self.may_ping = true;
                result.map_or(Told::Silent, Told::Pong)
            }
            _ => return,
        };
        let _ = self.told.send(told);
    }

    fn read(&mut self) {
        let Some((conn, socket)) = &self.socket else { return };
        let Some(recv) = self.node.recv_buf(*conn).filter(|recv| recv.wants()) else { return };
        match recv.fill(|spare| socket.try_read_buf(spare)) {
            Ok(0) => recv.set_eof(),
            Ok(_) => {}
            Err(error) if is_not_now(&error) => {}
            Err(_) => return self.node.handle_broken(*conn),
        }
        self.node.wake(*conn);
    }

    /// Writes what is ready. Returns whether anything came of it.
    fn write(&mut self) -> bool {
        let Some((conn, socket)) = &self.socket else { return false };
        let ready = self.node.ready(*conn);
        if ready.is_empty() {
            return false;
        }
        match socket.try_write(ready) {
            Ok(n) => self.node.sent(*conn, n),
            Err(error) if is_not_now(&error) => {
                self.is_full = true;
                return false;
            }
            Err(_) => self.node.handle_broken(*conn),
        }
        true
    }
}

fn is_not_now(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Waits until the socket has something to give, or takes what it would not take before.
async fn readiness(socket: Option<&(ConnId, TcpStream)>, node: &Node, is_full: bool) {
    let Some((conn, socket)) = socket else { return pending().await };
    let interest = match (node.wants_input(*conn), is_full) {
        (true, true) => Interest::READABLE | Interest::WRITABLE,
        (true, false) => Interest::READABLE,
        (false, true) => Interest::WRITABLE,
        (false, false) => return pending().await,
    };
    let _ = socket.ready(interest).await;
}

async fn until(deadline: Option<time::Instant>) {
    match deadline {
        Some(at) => time::sleep_until(at).await,
        None => pending().await,
    }
}

fn failed(error: &OpenStreamError) -> Told {
    let stage = match error {
        OpenStreamError::Dial(report) => report.attempts.last().map_or("dial", |attempt| attempt.stage()),
        _ => "streams",
    };
    Told::Failed { stage, code: error.code() }
}

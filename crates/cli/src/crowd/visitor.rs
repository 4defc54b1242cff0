//! One of the crowd: a node with an identity of its own, and its one connection, driven by a task.

use core::{
    future::{pending, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};
use std::io::ErrorKind;

use sanswarm::{Action, ConnId, Event, Instant, Multiaddr, Node, OpenStreamError, PeerInfo};
use sanswarm_tokio::Socket;
use tokio::{
    io::{AsyncReadExt, AsyncWrite},
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
    socket: Option<(ConnId, Socket)>,
    /// What is to be dialled next.
    dial: Option<(ConnId, Multiaddr)>,
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
            if next_ping.is_none() && self.permit.is_none() {
                next_ping = interval.map(|interval| time::Instant::now() + interval);
            }
            let deadline = self.node.poll_timeout().map(|deadline| self.start + deadline.at.since(Instant::ZERO));
            tokio::select! {
                () = poll_fn(|cx| poll_socket(self.socket.as_mut(), &mut self.node, cx)) => {}
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
        let now = self.now();
        self.node.handle_timeout(now);
        loop {
            while let Some(event) = self.node.poll_event(now) {
                self.handle_event(now, event);
            }
            while let Some(action) = self.node.poll_action() {
                self.act(action);
            }
            if self.node.poll_transmit().is_none() {
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
            Event::Ping { result: Ok(time), .. } => Told::Pong(time),
            Event::Ping { result: Err(_), .. } => Told::Silent,
            _ => return,
        };
        let _ = self.told.send(told);
    }
}

/// Sends what is ready and reads what has come. Ready if the node has to look at what came of it.
fn poll_socket(socket: Option<&mut (ConnId, Socket)>, node: &mut Node, cx: &mut Context<'_>) -> Poll<()> {
    let Some((conn, socket)) = socket else { return Poll::Pending };
    let mut poll = Poll::Pending;
    let ready = node.ready(*conn);
    if !ready.is_empty() {
        match Pin::new(&mut *socket).poll_write(cx, ready) {
            Poll::Pending => {}
            Poll::Ready(result) => {
                match result {
                    Ok(n) => node.sent(*conn, n),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => node.handle_broken(*conn),
                }
                poll = Poll::Ready(());
            }
        }
    }
    let Some(recv) = node.recv_buf(*conn).filter(|recv| recv.wants()) else { return poll };
    let Poll::Ready(result) = recv.fill(|spare| pin!(socket.read_buf(spare)).poll(cx)) else {
        recv.release(); // Most of a crowd does nothing most of the time.
        return poll;
    };
    match result {
        Ok(0) => recv.set_eof(),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::Interrupted => {}
        Err(_) => node.handle_broken(*conn),
    }
    node.wake(*conn);
    Poll::Ready(())
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

//! The task of one connection: it moves bytes between the socket and the machine, and tells who waits.

use core::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};
use std::{io, sync::Arc};

use sanswarm::{ConnId, Deadline, Event, Hangup, Instant, Link, OpenId, OpenStreamError, RecvBuf, ToControl, ToLink};
use tokio::{
    io::{AsyncReadExt, AsyncWrite},
    sync::mpsc::{Sender, UnboundedReceiver},
};

use crate::{
    Stream,
    facts::Fact,
    shared::{LinkShared, LinkState, NodeShared, Slot},
    socket::Socket,
    time::Timer,
};

/// After so many bytes, in and out, the task lets others run.
const TURN_BYTES: usize = 256 * 1024;

/// How long a connection on which nothing moves keeps its buffers: who asks and answers should not get them anew each time.
const GRACE: Duration = Duration::from_millis(200);

pub(crate) struct LinkTask {
    conn: ConnId,
    shared: Arc<LinkShared>,
    node: Arc<NodeShared>,
    socket: Socket,
    recv: RecvBuf,
    /// What goes out now, taken from the machine's buffer whole, so that streams can be written to meanwhile.
    out: Vec<u8>,
    /// How much of `out` has gone.
    written: usize,
    orders: UnboundedReceiver<ToLink>,
    inbox: Vec<ToLink>,
    facts: Sender<Fact>,
    timer: Timer,
    /// The socket takes no more bytes: what is to be sent is lost.
    is_broken: bool,
    /// The sending half of the socket is shut down.
    is_shut: bool,
    /// Whether streams have been told that the connection has ended.
    told_end: bool,
    /// Bytes moved since the task last waited.
    moved: usize,
    /// When something was last done, beside looking at the time.
    active_at: Instant,
    /// When the buffers are given back, if nothing is done until then. `None`: they have been.
    release_at: Option<Instant>,
    todo: Todo,
}

/// What came of a turn, to be done without the lock.
#[derive(Default)]
struct Todo {
    wakers: Vec<Waker>,
    opened: Vec<(Stream, Option<OpenId>)>,
    failed: Vec<(OpenId, OpenStreamError)>,
    messages: Vec<ToControl>,
}

impl LinkTask {
    pub(crate) fn new(
        link: Link,
        socket: Socket,
        node: Arc<NodeShared>,
        orders: UnboundedReceiver<ToLink>,
        facts: Sender<Fact>,
    ) -> Self {
        Self {
            conn: link.id(),
            timer: Timer::new(node.clock),
            recv: link.recv_buf(),
            shared: Arc::new(LinkShared::new(node.clock, link)),
            node,
            socket,
            out: Vec::new(),
            written: 0,
            orders,
            inbox: Vec::new(),
            facts,
            is_broken: false,
            is_shut: false,
            told_end: false,
            moved: 0,
            active_at: Instant::ZERO,
            release_at: None,
            todo: Todo::default(),
        }
    }

    pub(crate) fn shared(&self) -> Arc<LinkShared> {
        self.shared.clone()
    }

    /// Runs the connection until its socket can be closed.
    pub(crate) async fn run(mut self) {
        let mut timed_out = false;
        loop {
            let hangup = self.turn(timed_out);
            if !self.tell().await {
                return; // The node is no more.
            }
            match hangup {
                Hangup::Both => break,
                Hangup::Write => self.shut().await,
                Hangup::No => {}
            }
            if self.moved >= TURN_BYTES {
                self.moved = 0;
                tokio::task::yield_now().await;
            }
            timed_out = poll_fn(|cx| self.poll_wait(cx)).await;
        }
        self.orders.close();
        while let Some(message) = self.orders.recv().await {
            let _ = self.facts.send(Fact::Undelivered(message)).await;
        }
        let cut = !self.out.is_empty() || self.shared.has_unsent();
        let _ = self.facts.send(Fact::LinkEnded { conn: self.conn, cut }).await;
    }

    /// Lets the machine use what has come in and say what is to go out. Returns what to do with the socket.
    fn turn(&mut self, timed_out: bool) -> Hangup {
        let shared = self.shared.clone();
        shared.work(|state| self.turn_with(state, timed_out))
    }

    fn turn_with(&mut self, state: &mut LinkState, timed_out: bool) -> Hangup {
        let now = self.node.clock.now();
        state.turns += 1;
        for message in self.inbox.drain(..) {
            state.link.handle_link(now, message);
        }
        if timed_out {
            state.link.handle_timeout(now);
        }
        self.drive(now, state);
        self.release(now, state, timed_out);
        self.todo.messages.extend(core::iter::from_fn(|| state.link.poll_control()));
        if state.link.is_ended() && !core::mem::replace(&mut self.told_end, true) {
            self.todo.wakers.append(&mut state.take_wakers());
        }
        state.bytes_in = self.recv.total();
        let deadline = state.link.poll_timeout();
        let release = self.release_at.map(|at| Deadline { at, why: "buffers" });
        self.timer.set(Deadline::sooner(deadline, release));
        match state.link.hangup(&state.send) {
            // The goodbye is out of the machine's buffer and not gone yet. Without a deadline its time is over.
            Hangup::Write | Hangup::Both if !self.out.is_empty() && deadline.is_some() => Hangup::No,
            hangup => hangup,
        }
    }

    /// Gives the buffers back when they have rested for long enough.
    fn release(&mut self, now: Instant, state: &mut LinkState, timed_out: bool) {
        if !timed_out {
            self.active_at = now;
            // Not anew with each turn: when this time has come, it is seen what has happened since.
            self.release_at.get_or_insert(now + GRACE);
        } else if self.release_at.is_some_and(|at| at <= now) {
            let until = self.active_at + GRACE;
            self.release_at = (until > now).then_some(until);
            if self.release_at.is_none() {
                self.recv.release();
                state.send.release();
                self.socket.release();
                if self.out.is_empty() {
                    self.out = Vec::new();
                }
            }
        }
        state.has_buffers = self.release_at.is_some();
    }

    fn drive(&mut self, now: Instant, state: &mut LinkState) {
        // Two quiet rounds: `poll_transmit` of the first sees the room that there is, the events of the second pass on whose
        // turn it is, and a stream that negotiates uses its turn in the second's `poll_transmit`.
        let mut quiet = 0;
        while quiet < 2 {
            quiet += 1;
            if self.take_events(now, state) {
                quiet = 0;
            }
            // While the socket is full, small writes gather and are sealed together later.
            if !self.out.is_empty() {
                return;
            }
            if state.link.poll_transmit(now, &mut state.send) > 0 {
                quiet = 0;
            }
            if state.send.take_ready(&mut self.out) {
                quiet = 0;
                state.link.poll_transmit(now, &mut state.send); // It sees the room that there is now.
            }
            if self.is_broken {
                self.out.clear();
            }
        }
    }

    fn take_events(&mut self, now: Instant, state: &mut LinkState) -> bool {
        let mut any = false;
        while let Some(event) = state.link.poll_event(now, &mut self.recv) {
            any = true;
            self.handle_event(state, event);
        }
        any
    }

    fn handle_event(&mut self, state: &mut LinkState, event: Event) {
        let Todo { wakers, .. } = &mut self.todo;
        match event {
            Event::Opened { request, stream, protocol, peer, .. } => {
                state.slots.insert(stream, Slot::default());
                let stream = Stream::new(self.shared.clone(), stream, peer, protocol);
                self.todo.opened.push((stream, request));
            }
            Event::OpenFailed { request, error } => self.todo.failed.push((request, error)),
            Event::Readable { stream } | Event::Finished { stream } => {
                wakers.extend(state.slots.get_mut(&stream).and_then(|slot| slot.reader.take()));
            }
            Event::Writable { stream } => {
                wakers.extend(state.slots.get_mut(&stream).and_then(|slot| slot.writer.take()));
            }
            Event::Reset { stream } => {
                let slot = state.slots.get_mut(&stream);
                wakers.extend(slot.into_iter().flat_map(|slot| [slot.reader.take(), slot.writer.take()]).flatten());
            }
            Event::Refused { stream, refusal } => {
                let Some(slot) = state.slots.get_mut(&stream) else { return };
                wakers.extend([slot.reader.take(), slot.writer.take()].into_iter().flatten());
                slot.refusal = Some(refusal);
            }
            _ => {}
        }
    }

    /// Tells everyone what the turn has brought. Returns whether there still is a node.
    async fn tell(&mut self) -> bool {
        for waker in self.todo.wakers.drain(..) {
            waker.wake();
        }
        for (request, error) in self.todo.failed.drain(..) {
            if let Some(pending) = self.node.take_pending(request) {
                pending.fail(error);
            }
        }
        for message in self.todo.messages.drain(..) {
            if self.facts.send(Fact::FromLink { conn: self.conn, message }).await.is_err() {
                return false;
            }
        }
        for (stream, request) in self.todo.opened.drain(..) {
            if request.is_some() || self.shared.is_admitted() {
                self.node.deliver(stream, request);
            } else if self.facts.send(Fact::Opened { conn: self.conn, stream }).await.is_err() {
                return false;
            }
        }
        true
    }

    async fn shut(&mut self) {
        if !core::mem::replace(&mut self.is_shut, true) {
            // This never waits. If it fails the socket is broken, which reading will show.
            let _ = poll_fn(|cx| Pin::new(&mut self.socket).poll_shutdown(cx)).await;
        }
    }

    /// Waits until the machine has something to do. Ready with `true` if its time has come.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut is_ready = self.poll_write(cx);
        is_ready |= self.poll_read(cx);
        while let Poll::Ready(Some(message)) = self.orders.poll_recv(cx) {
            self.inbox.push(message);
            is_ready = true;
        }
        is_ready |= self.shared.poll_dirty(cx).is_ready();
        if self.timer.poll(cx).is_ready() {
            return Poll::Ready(true);
        }
        if is_ready {
            return Poll::Ready(false);
        }
        self.moved = 0;
        Poll::Pending
    }

    /// Writes what can be written. Returns whether that was all of it, or the last.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> bool {
        if self.out.is_empty() {
            return false;
        }
        while self.written < self.out.len() {
            match Pin::new(&mut self.socket).poll_write(cx, &self.out[self.written..]) {
                Poll::Pending => return false,
                Poll::Ready(Ok(n)) if n > 0 => {
                    self.written += n;
                    self.moved += n;
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                // What the peer had sent before can still be read; then reading will fail, too.
                Poll::Ready(_) => {
                    self.is_broken = true;
                    break;
                }
            }
        }
        self.out.clear();
        self.written = 0;
        true
    }

    /// Reads once, if the machine has room. Returns whether something came of it.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.recv.wants() {
            return false;
        }
        let socket = &mut self.socket;
        match self.recv.fill(|spare| pin!(socket.read_buf(spare)).poll(cx)) {
            Poll::Pending => return false,
            Poll::Ready(Ok(0)) => self.recv.set_eof(),
            Poll::Ready(Ok(n)) => self.moved += n,
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Poll::Ready(Err(_)) => {
                self.recv.set_eof();
                self.is_broken = true;
                self.out.clear();
                self.written = 0;
            }
        }
        true
    }
}

impl Drop for LinkTask {
    /// However the task ends: nobody waits for it in vain.
    fn drop(&mut self) {
        let mut wakers = self.shared.work(|state| {
            state.is_gone = true;
            state.take_wakers()
        });
        wakers.append(&mut self.todo.wakers);
        for waker in wakers {
            waker.wake();
        }
    }
}

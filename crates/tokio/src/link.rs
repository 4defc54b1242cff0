//! The task of one connection: it moves bytes between the socket and the machine, and tells who waits.

use core::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};
use std::{io, sync::Arc};

use sanswarm::{ConnId, Deadline, Event, Hangup, Instant, Link, OpenId, OpenStreamError, RecvBuf, ToControl};
use sanswarm_host::trace::Log;
use tokio::{
    io::{AsyncReadExt, AsyncWrite},
    sync::mpsc::{Sender, error::TrySendError},
};

use crate::{
    Stream,
    facts::Fact,
    shared::{LinkShared, LinkState, NodeShared, Slot},
    socket::Socket,
    time::Timer,
};

/// After so many bytes, in and out, the task lets others run.
const TURN_BYTES: usize = 64 * 1024;

/// How often a task pauses before it sends: who is told of what has come in may read it, so that less piles up, and what he
/// writes goes out with what the machine has to say of it.
const PAUSES: usize = 2;

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
    log: Log,
}

impl Todo {
    /// Whether somebody is to be told who may read or write then.
    fn is_for_streams(&self) -> bool {
        !(self.wakers.is_empty() && self.opened.is_empty())
    }

    fn release(&mut self) {
        self.wakers.shrink_to_fit();
        self.opened.shrink_to_fit();
        self.failed.shrink_to_fit();
        self.messages.shrink_to_fit();
    }
}

impl LinkTask {
    pub(crate) fn new(link: Link, socket: Socket, node: Arc<NodeShared>, facts: Sender<Fact>) -> Self {
        Self {
            conn: link.id(),
            timer: Timer::new(node.clock),
            recv: link.recv_buf(),
            shared: Arc::new(LinkShared::new(node.clock, link)),
            node,
            socket,
            out: Vec::new(),
            written: 0,
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
    pub(crate) async fn run(&mut self) {
        let mut timed_out = false;
        loop {
            let Some(hangup) = self.turns(timed_out).await else { return };
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
        let undelivered = self.shared.work(|state| {
            state.is_gone = true;
            core::mem::take(&mut state.orders)
        });
        for message in undelivered {
            report(&self.facts, Fact::Undelivered(message)).await;
        }
        let cut = !self.out.is_empty() || self.shared.has_unsent();
        report(&self.facts, Fact::LinkEnded { conn: self.conn, cut }).await;
    }

    /// Takes turns until there is nothing to do. Returns what to do with the socket; `None`: the node is no more.
    async fn turns(&mut self, timed_out: bool) -> Option<Hangup> {
        let shared = self.shared.clone();
        for pauses in (0..=PAUSES).rev() {
            let hangup = shared.work(|state| self.turn(state, timed_out && pauses == PAUSES, pauses > 0));
            if !self.tell().await {
                return None;
            }
            if hangup.is_some() {
                return hangup;
            }
            step_aside().await;
        }
        Some(Hangup::No)
    }

    /// Lets the machine use what has come in and say what is to go out. Returns what to do with the socket. If it `may_pause`,
    /// that is `None` where somebody is to be told of something first.
    fn turn(&mut self, state: &mut LinkState, timed_out: bool, may_pause: bool) -> Option<Hangup> {
        let now = self.node.clock.now();
        state.turns += 1;
        let mut orders = core::mem::take(&mut state.orders);
        for message in orders.drain(..) {
            state.link.handle_link(now, message);
        }
        state.orders = orders;
        if timed_out {
            state.link.handle_timeout(now);
        }
        let pauses = self.drive(now, state, may_pause);
        self.todo.messages.extend(core::iter::from_fn(|| state.link.poll_control()));
        if pauses {
            return None;
        }
        self.release(now, state, timed_out);
        if state.link.is_ended() && !core::mem::replace(&mut self.told_end, true) {
            self.todo.wakers.append(&mut state.take_wakers());
        }
        state.bytes_in = self.recv.total();
        let deadline = state.link.poll_timeout();
        let release = self.release_at.map(|at| Deadline { at, why: "buffers" });
        self.timer.set(Deadline::sooner(deadline, release));
        Some(match state.link.hangup(&state.send) {
            // The goodbye is out of the machine's buffer and not gone yet. Without a deadline its time is over.
            Hangup::Write | Hangup::Both if !self.out.is_empty() && deadline.is_some() => Hangup::No,
            hangup => hangup,
        })
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
                state.link.shrink();
                state.orders.shrink_to_fit();
                self.todo.release();
                self.socket.release();
                if self.out.is_empty() {
                    self.out = Vec::new();
                }
            }
        }
        state.has_buffers = self.recv.holds_memory() || state.send.holds_memory();
    }

    /// Returns whether it has left off where somebody is to be told of something, if it `may_pause`.
    fn drive(&mut self, now: Instant, state: &mut LinkState, may_pause: bool) -> bool {
        // Two quiet rounds: `poll_transmit` of the first sees the room that there is, the events of the second pass on whose
        // turn it is, and a stream that negotiates uses its turn in the second's `poll_transmit`.
        let mut quiet = 0;
        while quiet < 2 {
            quiet += 1;
            if self.take_events(now, state) {
                quiet = 0;
                if may_pause && self.todo.is_for_streams() {
                    // An agreement goes before all that a handler does, who may reset the stream at once.
                    state.link.poll_transmit(now, &mut state.send);
                    return true;
                }
            }
            // While the socket is full, small writes gather and are sealed together later.
            if !self.out.is_empty() {
                return false;
            }
            if state.link.poll_transmit(now, &mut state.send) > 0 {
                quiet = 0;
                continue; // Who is told of an event of this may write more.
            }
            if state.send.take_ready(&mut self.out) {
                quiet = 0;
                state.link.poll_transmit(now, &mut state.send); // It sees the room that there is now.
            }
            if self.is_broken {
                self.out.clear();
            }
        }
        false
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
        let Todo { wakers, log, .. } = &mut self.todo;
        log.note(&event);
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
        self.todo.log.tell(&self.shared.span);
        for waker in self.todo.wakers.drain(..) {
            waker.wake();
        }
        for (request, error) in self.todo.failed.drain(..) {
            if let Some(pending) = self.node.take_pending(request) {
                pending.fail(error);
            }
        }
        for message in self.todo.messages.drain(..) {
            if !report(&self.facts, Fact::FromLink { conn: self.conn, message }).await {
                return false;
            }
        }
        for (stream, request) in self.todo.opened.drain(..) {
            if request.is_some() || self.shared.is_admitted() {
                self.node.deliver(stream, request);
            } else if !report(&self.facts, Fact::Opened { conn: self.conn, stream }).await {
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
        // Who holds no buffer gets one when there is something to put into it.
        let holds = self.release_at.is_some();
        if !holds && socket.poll_read_ready(cx).is_pending() {
            return false;
        }
        match self.recv.fill(|spare| pin!(socket.read_buf(spare)).poll(cx)) {
            Poll::Pending => {
                if !holds {
                    self.recv.release();
                }
                return false;
            }
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

/// Tells the control, once it has room for it. Returns whether there still is a node.
fn report(control: &Sender<Fact>, fact: Fact) -> impl Future<Output = bool> {
    // A fact is large, and would be part of the task for as long as that lives.
    let later = match control.try_send(fact) {
        Ok(()) => Ok(true),
        Err(TrySendError::Closed(_)) => Ok(false),
        Err(TrySendError::Full(fact)) => Err(Box::pin(control.send(fact))),
    };
    async {
        match later {
            Ok(is_told) => is_told,
            Err(later) => later.await.is_ok(),
        }
    }
}

/// Lets the tasks run that were woken before. (tokio's own way asks the system for news, too.)
async fn step_aside() {
    let mut is_second = false;
    poll_fn(|cx| {
        if core::mem::replace(&mut is_second, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
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

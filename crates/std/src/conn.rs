//! One connection: its machines behind one lock, and what its two threads and its streams do under it.

use core::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use sanswarm::{ConnId, Event, Hangup, Instant, Link, OpenId, RecvBuf, Refusal, SendBuf, StreamId, ToLink};
use sanswarm_host::trace::{Log, Span};

use crate::{
    LinkStats, Stream,
    shared::{Command, Shared},
    socket::Socket,
    threads::lock,
};

/// Messages to the control that may wait. With more of them the read thread rests, so that a peer cannot fill the memory.
const UNTOLD_MAX: usize = 32;

/// One connection, shared by its threads, its streams and the control.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) id: ConnId,
    pub(crate) shared: Arc<Shared>,
    pub(crate) span: Span,
    inner: Mutex<Inner>,
    /// The write thread waits here.
    due: Condvar,
    /// The read thread waits here.
    room: Condvar,
    /// Messages to the control that it has not handled.
    untold: AtomicUsize,
    /// The control has let the connection in. Until it has, inbound streams wait with it.
    admitted: AtomicBool,
}

/// The machines. Locked for work in memory only, never across a call on the socket.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) link: Link,
    pub(crate) send: SendBuf,
    /// `None` while the read thread reads into it, which is only when bytes are there.
    pub(crate) recv: Option<RecvBuf>,
    pub(crate) slots: BTreeMap<StreamId, Slot>,
    /// `None` once the connection is over, so that a stream that is kept does not keep the socket.
    pub(crate) socket: Option<Arc<Socket>>,
    /// The write thread waits, until then at the latest.
    pub(crate) writer: Waiting,
    pub(crate) reader_waits: bool,
    /// The read thread shall end.
    pub(crate) stop: bool,
    /// Nothing can be sent any more: what was to be sent is lost.
    pub(crate) broken: bool,
    /// Bytes were left over when it broke.
    pub(crate) unsent: bool,
    /// The threads are gone: nobody drives the link.
    pub(crate) dead: bool,
    /// What was last done about the socket.
    pub(crate) hung_up: Hangup,
    told_end: bool,
    bytes_in: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    No,
    Until(Option<Instant>),
}

/// What the handle of a stream has on its connection.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    pub(crate) wait: Arc<Wait>,
    /// The rest of a slice that a read took in part.
    pub(crate) unread: Bytes,
    /// Bytes taken from the link since the write thread was told that credit may be due.
    pub(crate) taken: usize,
    /// All was read to the peer's end.
    pub(crate) at_end: bool,
    /// We have finished our side.
    pub(crate) finished: bool,
    /// The peer did not agree after all.
    pub(crate) refused: Option<Refusal>,
}

/// Where the calls of one stream wait, under the lock of its connection.
#[derive(Debug, Default)]
pub(crate) struct Wait {
    pub(crate) readable: Condvar,
    pub(crate) writable: Condvar,
}

/// What has come about under the lock and is handed over after it.
#[derive(Default)]
pub(crate) struct Fresh {
    streams: Vec<(Stream, Option<OpenId>)>,
    log: Log,
}

pub(crate) type Guard<'a> = MutexGuard<'a, Inner>;

impl Conn {
    pub(crate) fn new(link: Link, socket: Arc<Socket>, shared: Arc<Shared>) -> Arc<Self> {
        let span = Span::connection(link.id(), link.role(), || link.remote());
        let inner = Inner {
            send: SendBuf::default(),
            recv: Some(link.recv_buf()),
            slots: BTreeMap::new(),
            socket: Some(socket),
            writer: Waiting::No,
            reader_waits: false,
            stop: false,
            broken: false,
            unsent: false,
            dead: false,
            hung_up: Hangup::No,
            told_end: false,
            bytes_in: 0,
            link,
        };
        Arc::new(Self {
            id: inner.link.id(),
            shared,
            span,
            inner: Mutex::new(inner),
            due: Condvar::new(),
            room: Condvar::new(),
            untold: AtomicUsize::new(0),
            admitted: AtomicBool::new(false),
        })
    }

    pub(crate) fn lock(&self) -> Guard<'_> {
        lock(&self.inner)
    }

    pub(crate) fn now(&self) -> Instant {
        self.shared.clock.now()
    }

    // ---- the machines

    /// Lets the link go on until it rests: uses what has arrived, tells who waits, gathers what is to be sent.
    ///
    /// While the read thread has the buffer this does nothing: that thread calls it a moment later.
    pub(crate) fn pump(self: &Arc<Self>, inner: &mut Inner, fresh: &mut Fresh) {
        let Some(mut recv) = inner.recv.take() else { return };
        let now = self.now();
        if inner.link.poll_timeout().is_some_and(|deadline| deadline.at <= now) {
            inner.link.handle_timeout(now);
        }
        // Two quiet rounds: what left the buffer makes room, which the first sees and the events of the second tell.
        let mut quiet = 0;
        while quiet < 2 {
            quiet += 1;
            while let Some(event) = inner.link.poll_event(now, &mut recv) {
                quiet = 0;
                self.handle_event(inner, event, fresh);
            }
            while let Some(message) = inner.link.poll_control() {
                quiet = 0;
                self.untold.fetch_add(1, Ordering::Relaxed);
                self.shared.command(Command::Told { conn: self.clone(), message });
            }
            if inner.link.poll_transmit(now, &mut inner.send) > 0 {
                quiet = 0;
            }
        }
        inner.bytes_in = recv.total();
        inner.recv = Some(recv);
        if inner.link.is_ended() && !core::mem::replace(&mut inner.told_end, true) {
            inner.slots.values().for_each(|slot| slot.wait.wake());
        }
        self.wake_reader(inner);
    }

    fn handle_event(self: &Arc<Self>, inner: &mut Inner, event: Event, fresh: &mut Fresh) {
        fresh.log.note(&event);
        match event {
            Event::Opened { request, stream, protocol, peer, .. } => {
                let slot = Slot::default();
                let wait = slot.wait.clone();
                inner.slots.insert(stream, slot);
                fresh.streams.push((Stream::new(self.clone(), stream, wait, protocol, peer), request));
            }
            Event::OpenFailed { request, error } => self.shared.answer_open(request, error),
            Event::Readable { stream } | Event::Finished { stream } => {
                inner.slots.get(&stream).inspect(|slot| slot.wait.readable.notify_all());
            }
            Event::Writable { stream } => {
                inner.slots.get(&stream).inspect(|slot| slot.wait.writable.notify_all());
            }
            Event::Reset { stream } => {
                inner.slots.get(&stream).inspect(|slot| slot.wait.wake());
            }
            Event::Refused { stream, refusal } => {
                if let Some(slot) = inner.slots.get_mut(&stream) {
                    slot.refused = Some(refusal);
                    slot.wait.wake();
                }
            }
            _ => {}
        }
    }

    /// Hands new streams to who asked for them, or to their handlers. Not under the lock: a stream that nobody takes is
    /// dropped, which takes the lock.
    pub(crate) fn hand_over(&self, fresh: &mut Fresh) {
        fresh.log.tell(&self.span);
        for (stream, request) in fresh.streams.drain(..) {
            if let Some(request) = request {
                self.shared.answer_stream(request, stream);
            } else if self.is_admitted() {
                self.shared.serve(stream);
            } else {
                self.shared.command(Command::Inbound { stream });
            }
        }
    }

    // ---- waiting and waking

    /// Wakes the write thread if it waits: there is something for it to look at.
    pub(crate) fn wake_writer(&self, inner: &mut Inner) {
        if inner.writer != Waiting::No {
            inner.writer = Waiting::No;
            self.due.notify_one();
        }
    }

    /// Wakes the write thread if there is something to send, to hang up, or an earlier deadline.
    pub(crate) fn settle(&self, inner: &mut Inner) {
        let Waiting::Until(armed) = inner.writer else { return };
        let next = inner.link.poll_timeout().map(|deadline| deadline.at);
        let is_sooner = next.is_some_and(|at| armed.is_none_or(|armed| at < armed));
        if is_sooner || !inner.send.is_empty() || inner.hangup() > inner.hung_up {
            self.wake_writer(inner);
        }
    }

    fn wake_reader(&self, inner: &mut Inner) {
        if inner.reader_waits && self.may_read(inner) {
            inner.reader_waits = false;
            self.room.notify_one();
        }
    }

    /// Makes the read thread end, unless it is in a call on the socket.
    pub(crate) fn stop_reader(&self, inner: &mut Inner) {
        inner.stop = true;
        self.wake_reader(inner);
    }

    /// Whether the read thread should go on.
    pub(crate) fn may_read(&self, inner: &Inner) -> bool {
        let wants = inner.recv.as_ref().is_some_and(RecvBuf::wants);
        inner.stop || (wants && self.untold.load(Ordering::Relaxed) < UNTOLD_MAX)
    }

    /// The write thread waits here, until it is woken or the link's next deadline.
    pub(crate) fn wait_due<'a>(&self, mut inner: Guard<'a>) -> Guard<'a> {
        let next = inner.link.poll_timeout().map(|deadline| deadline.at);
        inner.writer = Waiting::Until(next);
        let waits = |inner: &mut Inner| inner.writer != Waiting::No;
        let mut inner = match next {
            Some(at) => {
                let time = self.shared.clock.until(at);
                self.due.wait_timeout_while(inner, time, waits).unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.due.wait_while(inner, waits).unwrap_or_else(PoisonError::into_inner),
        };
        inner.writer = Waiting::No;
        inner
    }

    /// The read thread waits here until it may go on.
    pub(crate) fn wait_room<'a>(&self, mut inner: Guard<'a>) -> Guard<'a> {
        while !self.may_read(&inner) {
            inner.reader_waits = true;
            inner = self.room.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        inner.reader_waits = false;
        inner
    }

    /// A call on a stream waits here. Returns whether the time is over.
    pub(crate) fn wait_on<'a>(&self, cond: &Condvar, inner: Guard<'a>, until: Option<Instant>) -> (Guard<'a>, bool) {
        let Some(until) = until else {
            return (cond.wait(inner).unwrap_or_else(PoisonError::into_inner), false);
        };
        let time = self.shared.clock.until(until);
        if time == Duration::ZERO {
            return (inner, true);
        }
        (cond.wait_timeout(inner, time).unwrap_or_else(PoisonError::into_inner).0, false)
    }

    // ---- the control's calls

    pub(crate) fn admit(&self) {
        self.admitted.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_admitted(&self) -> bool {
        self.admitted.load(Ordering::Relaxed)
    }

    /// The control has handled a message.
    pub(crate) fn handled(&self) {
        if self.untold.fetch_sub(1, Ordering::Relaxed) == UNTOLD_MAX {
            self.wake_reader(&mut self.lock());
        }
    }

    /// Takes a message from the control; gives it back if nobody drives the link any more.
    pub(crate) fn tell(&self, message: ToLink) -> Result<(), ToLink> {
        let mut inner = self.lock();
        if inner.dead {
            return Err(message);
        }
        inner.link.handle_link(self.now(), message);
        self.wake_writer(&mut inner);
        Ok(())
    }

    /// Breaks the connection off: its threads end at once.
    pub(crate) fn cut(&self) {
        let socket = {
            let mut inner = self.lock();
            inner.broken = true;
            self.wake_writer(&mut inner);
            inner.socket.clone()
        };
        if let Some(socket) = socket {
            socket.cut();
        }
    }

    /// Ends the link without threads, or after them.
    pub(crate) fn end(self: &Arc<Self>) {
        let mut fresh = Fresh::default();
        let mut inner = self.lock();
        if let Some(recv) = &mut inner.recv {
            recv.set_eof();
        }
        self.pump(&mut inner, &mut fresh);
        inner.dead = true;
        let cut = inner.unsent || !inner.send.is_empty();
        inner.send = SendBuf::default();
        inner.recv = None;
        inner.socket = None;
        inner.slots.values().for_each(|slot| slot.wait.wake());
        drop(inner);
        self.hand_over(&mut fresh);
        self.shared.command(Command::Ended { conn: self.id, cut });
    }

    /// How many it took until the connection was ready.
    pub(crate) fn round_trips(&self) -> Option<u32> {
        Some(self.lock().link.stats().ready?.round_trips)
    }

    pub(crate) fn stats(&self) -> LinkStats {
        let inner = self.lock();
        let stats = inner.link.stats();
        LinkStats {
            round_trips: stats.round_trips,
            bytes_in: inner.bytes_in,
            bytes_out: inner.send.total(),
            streams: stats.streams,
        }
    }
}

impl Fresh {
    pub(crate) fn is_empty(&self) -> bool {
        self.streams.is_empty() && self.log.is_empty()
    }
}

impl Inner {
    pub(crate) fn hangup(&self) -> Hangup {
        self.link.hangup(&self.send)
    }

    /// Whether the link has waited long enough for its goodbye to go out.
    pub(crate) fn is_overdue(&self) -> bool {
        self.link.is_ended() && self.link.poll_timeout().is_none() && self.hangup() == Hangup::Both
    }
}

impl Wait {
    pub(crate) fn wake(&self) {
        self.readable.notify_all();
        self.writable.notify_all();
    }
}

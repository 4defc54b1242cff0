//! What tasks and handles share: memory only, behind locks that are held for memory work only.

use core::{
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll, Waker},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sanswarm::{Link, OpenId, Refusal, SendBuf, StreamId, ToLink};

use sanswarm_host::{Handlers, trace::Span};

use crate::{
    LinkStats, Stream,
    events::Audience,
    facts::Pending,
    handover::{Handover, State},
    time::Clock,
};

/// What a stream handler is behind its type: it is called in a task of the stream's own.
pub(crate) type Run = Arc<dyn Fn(Stream) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What the tasks of a node and its handles share.
pub(crate) struct NodeShared {
    pub(crate) clock: Clock,
    pub(crate) handlers: Mutex<Handlers<Run>>,
    /// Requests without an answer. The control task puts them in; it answers those that fail, links the others.
    pub(crate) pending: Mutex<BTreeMap<OpenId, Pending>>,
    pub(crate) events: Mutex<Audience>,
}

impl NodeShared {
    pub(crate) fn new() -> Self {
        Self { clock: Clock::start(), handlers: Mutex::default(), pending: Mutex::default(), events: Mutex::default() }
    }

    pub(crate) fn take_pending(&self, request: OpenId) -> Option<Pending> {
        lock(&self.pending).remove(&request)
    }

    /// Gives a new stream to whom it is for. If nobody waits for it any more it is dropped, which resets it.
    pub(crate) fn deliver(&self, stream: Stream, request: Option<OpenId>) {
        if let Some(request) = request {
            match self.take_pending(request) {
                Some(Pending::Stream(reply)) => drop(reply.send(Ok(stream))),
                _ => drop(stream),
            }
            return;
        }
        let candidates = lock(&self.handlers).of(stream.protocol());
        if let Some(run) = candidates.choose(stream.protocol()) {
            // The call is in the task too: it is the user's code.
            let span = stream.span();
            tokio::spawn(span.handle_async(async move { run(stream).await }));
        }
    }
}

/// A poisoned lock says that a thread panicked, not that a machine is broken: their calls are total.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the task of a link shares with the handles of its streams.
pub(crate) struct LinkShared {
    pub(crate) clock: Clock,
    state: Handover<LinkState>,
    pub(crate) span: Span,
    is_admitted: AtomicBool,
}

pub(crate) struct LinkState {
    pub(crate) link: Link,
    pub(crate) send: SendBuf,
    pub(crate) slots: BTreeMap<StreamId, Slot>,
    /// What the control wants of it.
    pub(crate) orders: Vec<ToLink>,
    /// A handle has changed something: the task has to look.
    pub(crate) is_dirty: bool,
    /// The task is no more.
    pub(crate) is_gone: bool,
    pub(crate) bytes_in: u64,
    pub(crate) turns: u64,
    pub(crate) has_buffers: bool,
}

/// What is known of a stream that has a handle.
#[derive(Default)]
pub(crate) struct Slot {
    pub(crate) reader: Option<Waker>,
    pub(crate) writer: Option<Waker>,
    /// Bytes read since the task was last told to look whether credit is due.
    pub(crate) read: usize,
    /// It was open before the agreement, which did not come about.
    pub(crate) refusal: Option<Refusal>,
}

impl LinkShared {
    pub(crate) fn new(clock: Clock, link: Link) -> Self {
        let span = Span::connection(link.id(), link.role(), || link.remote());
        let state = LinkState {
            link,
            send: SendBuf::default(),
            slots: BTreeMap::new(),
            orders: Vec::new(),
            is_dirty: false,
            is_gone: false,
            bytes_in: 0,
            turns: 0,
            has_buffers: false,
        };
        Self { clock, state: Handover::new(state), span, is_admitted: AtomicBool::new(false) }
    }

    /// Whether the control has let the connection in. Until then its streams are not for the handlers.
    pub(crate) fn is_admitted(&self) -> bool {
        self.is_admitted.load(Ordering::Acquire)
    }

    pub(crate) fn admit(&self) {
        self.is_admitted.store(true, Ordering::Release);
    }

    /// The task's work: see [`Handover::work`].
    pub(crate) fn work<R>(&self, work: impl FnOnce(&mut LinkState) -> R) -> R {
        self.state.work(work)
    }

    /// A call of a handle. If it leaves the state dirty the task is woken.
    pub(crate) fn call<R>(&self, call: impl FnOnce(&mut LinkState) -> R) -> R {
        self.state.call(call)
    }

    /// Hands the task an order of the control. Gives it back if the connection has ended.
    pub(crate) fn order(&self, message: ToLink) -> Result<(), ToLink> {
        self.call(|state| {
            if state.is_gone {
                return Err(message);
            }
            state.orders.push(message);
            state.is_dirty = true;
            Ok(())
        })
    }

    /// For the task: whether a handle has changed something. If not, it is woken when one does.
    pub(crate) fn poll_dirty(&self, cx: &Context<'_>) -> Poll<()> {
        self.state.poll_dirty(cx)
    }

    /// Whether bytes wait to be sent.
    pub(crate) fn has_unsent(&self) -> bool {
        self.state.look(|state| !state.send.is_empty())
    }

    pub(crate) fn stats(&self) -> LinkStats {
        self.state.look(|state| {
            let stats = state.link.stats();
            LinkStats {
                round_trips: stats.round_trips,
                streams: stats.streams,
                bytes_in: state.bytes_in,
                bytes_out: state.send.total(),
                turns: state.turns,
                has_buffers: state.has_buffers,
                secured: stats.secured,
                ready: stats.ready,
            }
        })
    }
}

impl State for LinkState {
    fn is_dirty(&mut self) -> &mut bool {
        &mut self.is_dirty
    }
}

impl LinkState {
    /// Takes all wakers out: what the streams waited for will not come.
    pub(crate) fn take_wakers(&mut self) -> Vec<Waker> {
        self.slots.values_mut().flat_map(|slot| slot.reader.take().into_iter().chain(slot.writer.take())).collect()
    }
}

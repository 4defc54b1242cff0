//! Pipes in memory, between nodes of one process: `/memory/N`. They need no system and no runtime: whoever waits leaves a
//! [`Waker`], be it a task's or one that wakes a thread.

use core::task::{Context, Poll, Waker};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sanswarm::{Multiaddr, TransportError, multiaddr::Protocol};

/// What a pipe holds in each direction, in bytes. With more a writer waits for the reader.
const BYTES_MAX: usize = 64 * 1024;

/// Dialers that may wait for a listener to take them. Those beyond are refused.
const BACKLOG: usize = 128;

/// Where everybody of the process meets.
static PLACES: Mutex<Places> = Mutex::new(Places { listeners: BTreeMap::new(), next: 1 });

struct Places {
    listeners: BTreeMap<u64, Arc<Mutex<Queue>>>,
    /// Where the search for a free number begins.
    next: u64,
}

impl Places {
    /// A number that nobody listens on, and that is not given soon again.
    fn free(&mut self) -> u64 {
        loop {
            let number = self.next;
            self.next = self.next.checked_add(1).unwrap_or(1);
            if !self.listeners.contains_key(&number) {
                return number;
            }
        }
    }
}

/// Dialers of one listener.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<(MemoryPipe, u64)>,
    is_closed: bool,
    waker: Option<Waker>,
}

/// A place in memory where nodes of the process can be dialled, until it is dropped.
pub struct MemoryListener {
    number: u64,
    queue: Arc<Mutex<Queue>>,
}

/// One end of a pipe in memory. Dropping it ends both directions.
pub struct MemoryPipe {
    input: Arc<Mutex<Way>>,
    output: Arc<Mutex<Way>>,
}

/// One direction.
#[derive(Default)]
struct Way {
    bytes: VecDeque<u8>,
    /// Nothing more will be written.
    is_finished: bool,
    /// Nothing more will be read.
    is_cut: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

fn wait(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

/// The number of `/memory/…`, then perhaps `/p2p/…`, which says nothing here. `None`: it is another address.
pub fn memory_number(address: &Multiaddr) -> Option<u64> {
    let mut parts = address.iter();
    let Protocol::Memory(number) = parts.next()? else { return None };
    matches!((parts.next(), parts.next()), (None | Some(Protocol::P2p(_)), None)).then_some(number)
}

fn address_of(number: u64) -> Multiaddr {
    Multiaddr::empty().with(Protocol::Memory(number))
}

impl MemoryListener {
    /// Listens on a number; 0 is any that is free.
    ///
    /// # Errors
    /// [`TransportError::AddressInUse`].
    pub fn bind(number: u64) -> Result<Self, TransportError> {
        let mut places = lock(&PLACES);
        let number = if number == 0 { places.free() } else { number };
        let queue = Arc::<Mutex<Queue>>::default();
        if places.listeners.contains_key(&number) {
            return Err(TransportError::AddressInUse);
        }
        places.listeners.insert(number, queue.clone());
        Ok(Self { number, queue })
    }

    /// The address that was bound.
    pub fn address(&self) -> Multiaddr {
        address_of(self.number)
    }

    /// Takes the next dialer: a pipe, and what is told as its address, where nobody listens. `None`: the listener was
    /// closed.
    pub fn poll_accept(&self, cx: &Context<'_>) -> Poll<Option<(MemoryPipe, Multiaddr)>> {
        let mut queue = lock(&self.queue);
        match queue.waiting.pop_front() {
            Some((pipe, number)) => Poll::Ready(Some((pipe, address_of(number)))),
            None if queue.is_closed => Poll::Ready(None),
            None => {
                wait(&mut queue.waker, cx);
                Poll::Pending
            }
        }
    }

    /// Ends it: its number is free, those who wait are refused, and who accepts is woken.
    pub fn close(&self) {
        let mut places = lock(&PLACES);
        if places.listeners.get(&self.number).is_some_and(|queue| Arc::ptr_eq(queue, &self.queue)) {
            places.listeners.remove(&self.number);
        }
        drop(places);
        let mut queue = lock(&self.queue);
        queue.is_closed = true;
        let (waiting, waker) = (core::mem::take(&mut queue.waiting), queue.waker.take());
        drop(queue);
        drop(waiting);
        wake(waker);
    }
}

impl Drop for MemoryListener {
    fn drop(&mut self) {
        self.close();
    }
}

impl MemoryPipe {
    /// Two ends.
    pub fn pair() -> (Self, Self) {
        let (one, other) = (Arc::<Mutex<Way>>::default(), Arc::<Mutex<Way>>::default());
        (Self { input: one.clone(), output: other.clone() }, Self { input: other, output: one })
    }

    /// Connects to who listens on a number.
    ///
    /// # Errors
    /// [`TransportError::Refused`]: nobody does, or too many wait there already.
    pub fn dial(number: u64) -> Result<Self, TransportError> {
        let mut places = lock(&PLACES);
        let queue = places.listeners.get(&number).cloned().ok_or(TransportError::Refused)?;
        let ours = places.free();
        drop(places);
        let (pipe, theirs) = Self::pair();
        let mut queue = lock(&queue);
        if queue.is_closed || queue.waiting.len() >= BACKLOG {
            return Err(TransportError::Refused);
        }
        queue.waiting.push_back((theirs, ours));
        let waker = queue.waker.take();
        drop(queue);
        wake(waker);
        Ok(pipe)
    }

    /// Ready when a read does not wait; with `true` if that is so because nothing more comes.
    pub fn poll_readable(&self, cx: &Context<'_>) -> Poll<bool> {
        let mut way = lock(&self.input);
        if way.bytes.is_empty() && !way.is_finished && !way.is_cut {
            wait(&mut way.reader, cx);
            return Poll::Pending;
        }
        Poll::Ready(way.bytes.is_empty())
    }

    /// How much a read gives at most, in bytes.
    pub fn readable(&self) -> usize {
        lock(&self.input).bytes.len()
    }

    /// Reads. 0: the other end has finished, or this one was cut.
    pub fn poll_read(&self, cx: &Context<'_>, to: &mut [u8]) -> Poll<usize> {
        if self.poll_readable(cx).is_pending() {
            return Poll::Pending;
        }
        let mut way = lock(&self.input);
        let n = way.bytes.len().min(to.len());
        let (front, back) = way.bytes.as_slices();
        let split = front.len().min(n);
        to[..split].copy_from_slice(&front[..split]);
        to[split..n].copy_from_slice(&back[..n - split]);
        way.bytes.drain(..n);
        let writer = if n > 0 { way.writer.take() } else { None };
        drop(way);
        wake(writer);
        Poll::Ready(n)
    }

    /// Writes as much as there is room for.
    ///
    /// # Errors
    /// [`io::ErrorKind::BrokenPipe`]: the other end is gone, or this one has finished.
    pub fn poll_write(&self, cx: &Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let mut way = lock(&self.output);
        if way.is_cut || way.is_finished {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let n = from.len().min(BYTES_MAX - way.bytes.len());
        if n == 0 && !from.is_empty() {
            wait(&mut way.writer, cx);
            return Poll::Pending;
        }
        way.bytes.extend(&from[..n]);
        let reader = way.reader.take();
        drop(way);
        wake(reader);
        Poll::Ready(Ok(n))
    }

    /// Ends what we write. What was written can be read.
    pub fn finish(&self) {
        let mut way = lock(&self.output);
        way.is_finished = true;
        let wakers = [way.reader.take(), way.writer.take()];
        drop(way);
        wakers.into_iter().for_each(wake);
    }

    /// Ends both directions at once: who waits at either end is woken.
    pub fn cut(&self) {
        self.finish();
        let mut way = lock(&self.input);
        (way.is_cut, way.bytes) = (true, VecDeque::new());
        let wakers = [way.reader.take(), way.writer.take()];
        drop(way);
        wakers.into_iter().for_each(wake);
    }

    /// Gives the memory of our direction back if nothing is in it.
    pub fn release(&self) {
        let mut way = lock(&self.output);
        if way.bytes.is_empty() {
            way.bytes = VecDeque::new();
        }
    }
}

impl Drop for MemoryPipe {
    fn drop(&mut self) {
        self.cut();
    }
}

impl core::fmt::Debug for MemoryListener {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("MemoryListener").field("number", &self.number).finish_non_exhaustive()
    }
}

impl core::fmt::Debug for MemoryPipe {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("MemoryPipe")
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Count {
        fn taken(&self) -> usize {
            self.0.swap(0, Ordering::Relaxed)
        }
    }

    fn counted() -> (Arc<Count>, Waker) {
        let count = Arc::<Count>::default();
        (count.clone(), count.into())
    }

    #[test]
    fn bytes_go_both_ways_in_bounds_and_wake() {
        let ((left, l), (right, r)) = (counted(), counted());
        let (cx_left, cx_right) = (&Context::from_waker(&l), &Context::from_waker(&r));
        let (a, b) = MemoryPipe::pair();
        let mut to = vec![0; 100_000];
        assert!(b.poll_read(cx_right, &mut to).is_pending());
        assert!(matches!(a.poll_write(cx_left, &[7; 100_000]), Poll::Ready(Ok(BYTES_MAX))));
        assert_eq!((left.taken(), right.taken()), (0, 1));
        assert!(a.poll_write(cx_left, &[8]).is_pending());
        assert_eq!((b.poll_readable(cx_right), b.readable()), (Poll::Ready(false), BYTES_MAX));
        assert_eq!(b.poll_read(cx_right, &mut to[..1]), Poll::Ready(1));
        assert_eq!(left.taken(), 1);
        assert!(matches!(a.poll_write(cx_left, &[8, 9]), Poll::Ready(Ok(1))));
        assert_eq!(b.poll_read(cx_right, &mut to), Poll::Ready(BYTES_MAX));
        assert_eq!((to[0], to[BYTES_MAX - 1], left.taken()), (7, 8, 0));
        assert!(matches!(b.poll_write(cx_right, b"back"), Poll::Ready(Ok(4))));
        assert_eq!(a.poll_read(cx_left, &mut to), Poll::Ready(4));
    }

    #[test]
    fn an_end_comes_behind_what_was_written_and_a_cut_at_once() {
        let (count, waker) = counted();
        let cx = &Context::from_waker(&waker);
        let (a, b) = MemoryPipe::pair();
        let mut to = [0; 9];
        assert!(a.poll_write(cx, b"last").is_ready());
        a.finish();
        assert!(matches!(a.poll_write(cx, b"x"), Poll::Ready(Err(_))));
        assert_eq!((b.poll_read(cx, &mut to), b.poll_read(cx, &mut to)), (Poll::Ready(4), Poll::Ready(0)));
        assert!(matches!(b.poll_write(cx, b"still"), Poll::Ready(Ok(5))), "the other direction is open");
        assert_eq!(a.poll_read(cx, &mut to), Poll::Ready(5));
        assert!(a.poll_read(cx, &mut to).is_pending());
        count.taken();
        drop(b);
        assert_eq!((count.taken(), a.poll_read(cx, &mut to)), (1, Poll::Ready(0)));
        let (a, b) = MemoryPipe::pair();
        assert!(a.poll_readable(cx).is_pending());
        a.cut();
        assert_eq!(a.poll_readable(cx), Poll::Ready(true));
        assert_eq!((count.taken(), a.poll_read(cx, &mut to)), (1, Poll::Ready(0)));
        assert!(matches!(b.poll_write(cx, b"x"), Poll::Ready(Err(_))));
    }

    #[test]
    fn listeners_have_numbers_and_an_end() {
        let (count, waker) = counted();
        let cx = &Context::from_waker(&waker);
        let listener = MemoryListener::bind(0).unwrap();
        let number = memory_number(&listener.address()).unwrap();
        assert_eq!(MemoryListener::bind(number).err(), Some(TransportError::AddressInUse));
        assert!(listener.poll_accept(cx).is_pending());
        let a = MemoryPipe::dial(number).unwrap();
        assert_eq!(count.taken(), 1);
        let Poll::Ready(Some((b, theirs))) = listener.poll_accept(cx) else { panic!("nobody came") };
        assert!(MemoryPipe::dial(memory_number(&theirs).unwrap()).is_err(), "nobody listens at the dialer's address");
        assert!(a.poll_write(cx, b"hi").is_ready());
        assert_eq!(b.poll_read(cx, &mut [0; 9]), Poll::Ready(2));
        let waiting: Vec<_> = core::iter::from_fn(|| MemoryPipe::dial(number).ok()).take(1000).collect();
        assert_eq!(waiting.len(), BACKLOG);
        drop(listener);
        assert_eq!(waiting[0].poll_read(cx, &mut [0; 9]), Poll::Ready(0), "refused after all");
        assert_eq!(MemoryPipe::dial(number).err(), Some(TransportError::Refused));
        assert!(MemoryListener::bind(number).is_ok());
    }

    #[test]
    fn addresses_of_memory_have_a_number_and_perhaps_a_peer() {
        let of = |text: &str| memory_number(&text.parse().unwrap());
        let peer = "12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5";
        assert_eq!((of("/memory/7"), of(&format!("/memory/7/p2p/{peer}"))), (Some(7), Some(7)));
        assert_eq!((of("/ip4/1.2.3.4/tcp/7"), of("/memory/7/ws"), of(&format!("/p2p/{peer}"))), (None, None, None));
    }
}

//! The asynchronous muxers, both ends polled on one thread. There is no executor: connections are polled in turn, streams
//! only after they were woken, by a waker that sets a flag. That is less than any executor does.

use std::{
    hint::black_box,
    ops::Range,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures::io::{AsyncRead, AsyncWrite};

use super::{ECHO, PATIENCE, Pair, WRITE_BYTES};

/// A connection of some crate.
pub trait Connection: 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + 'static;

    /// Whether reading and writing streams moves the connection, so that nobody has to drive it. Driving it all the same
    /// would make it queue what readers then take.
    const STREAMS_DRIVE: bool = false;

    /// Both ends of a new connection that takes `streams` streams.
    fn pair(streams: usize) -> (Self, Self)
    where
        Self: Sized;

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Self::Stream>;

    /// Drives the connection too.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Self::Stream>;
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Who reads or writes one stream, whether it was woken, and the bytes that it has yet to move.
struct Task {
    flag: Arc<Flag>,
    waker: Waker,
    left: usize,
    /// What was written has yet to be flushed.
    unflushed: bool,
}

impl Task {
    fn new() -> Self {
        let flag = Arc::<Flag>::default();
        Self { waker: Waker::from(flag.clone()), flag, left: 0, unflushed: false }
    }

    fn start(&mut self, bytes: usize) {
        self.left = bytes;
        self.flag.0.store(true, Ordering::Relaxed);
    }

    fn is_woken(&self) -> bool {
        (self.left > 0 || self.unflushed) && self.flag.0.swap(false, Ordering::Relaxed)
    }

    fn write(&mut self, stream: &mut (impl AsyncWrite + Unpin), data: &[u8]) -> usize {
        let (mut cx, mut done) = (Context::from_waker(&self.waker), 0);
        while self.left > 0 {
            let piece = &data[..data.len().min(self.left)];
            let Poll::Ready(n) = Pin::new(&mut *stream).poll_write(&mut cx, piece) else { break };
            let n = n.expect("open");
            self.left -= n;
            done += n;
        }
        self.unflushed = (self.unflushed || done > 0) && Pin::new(stream).poll_flush(&mut cx).is_pending();
        done
    }

    fn read(&mut self, stream: &mut (impl AsyncRead + Unpin), buffer: &mut [u8]) -> usize {
        let (mut cx, mut done) = (Context::from_waker(&self.waker), 0);
        while self.left > 0 {
            let Poll::Ready(n) = Pin::new(&mut *stream).poll_read(&mut cx, buffer) else { break };
            let n = n.expect("open");
            assert!(n > 0, "the stream goes on");
            black_box(&buffer[..n]);
            self.left -= n;
            done += n;
        }
        done
    }
}

/// Both ends of a connection, with the streams that were opened on it: the near end writes, the far end reads.
pub struct Polled<C: Connection> {
    dialer: C,
    listener: C,
    near: Vec<C::Stream>,
    far: Vec<C::Stream>,
    /// By stream, once bytes are transferred: who writes at the near end and who reads at the far end.
    writers: Vec<Task>,
    readers: Vec<Task>,
    data: Vec<u8>,
    buffer: Vec<u8>,
}

impl<C: Connection> Polled<C> {
    /// Without streams.
    pub fn new(streams: usize) -> Self {
        let (dialer, listener) = C::pair(streams + 10);
        Self {
            dialer,
            listener,
            near: Vec::with_capacity(streams),
            far: Vec::with_capacity(streams),
            writers: Vec::new(),
            readers: Vec::new(),
            data: vec![7; WRITE_BYTES],
            buffer: vec![0; WRITE_BYTES],
        }
    }

    /// Lets both ends do what they can. Nobody opens a stream meanwhile.
    fn drive(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        assert!(self.dialer.poll_accept(&mut cx).is_pending(), "nobody opens streams");
        assert!(self.listener.poll_accept(&mut cx).is_pending(), "nobody opens streams");
    }

    fn until<T>(&mut self, mut poll: impl FnMut(&mut Self, &mut Context<'_>) -> Poll<T>) -> T {
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..PATIENCE {
            if let Poll::Ready(value) = poll(self, &mut cx) {
                return value;
            }
            self.drive();
        }
        panic!("it takes too long");
    }

    fn send(&mut self, stream: &mut C::Stream, bytes: &[u8]) {
        let n = self.until(|_, cx| Pin::new(&mut *stream).poll_write(cx, bytes));
        assert_eq!(n.expect("open"), bytes.len());
        self.until(|_, cx| Pin::new(&mut *stream).poll_flush(cx)).expect("open");
    }

    fn receive(&mut self, stream: &mut C::Stream, len: usize) {
        let mut buffer = [0; ECHO.len()];
        let n = self.until(|_, cx| Pin::new(&mut *stream).poll_read(cx, &mut buffer));
        assert_eq!(n.expect("open"), len);
    }

    /// Opens a stream and sends the first bytes, which a peer must see to accept it.
    fn connect(&mut self, first: &[u8]) -> (C::Stream, C::Stream) {
        let mut near = self.until(|this, cx| this.dialer.poll_open(cx));
        let n = self.until(|_, cx| Pin::new(&mut near).poll_write(cx, first));
        assert_eq!(n.expect("open"), first.len());
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..PATIENCE {
            let _ = Pin::new(&mut near).poll_flush(&mut cx);
            assert!(self.dialer.poll_accept(&mut cx).is_pending(), "nobody opens streams");
            if let Poll::Ready(mut far) = self.listener.poll_accept(&mut cx) {
                self.receive(&mut far, first.len());
                return (near, far);
            }
        }
        panic!("it takes too long");
    }
}

impl<C: Connection> Pair for Polled<C> {
    fn open(&mut self) {
        let (mut near, mut far) = self.connect(&ECHO[..1]);
        self.send(&mut far, &ECHO[..1]);
        self.receive(&mut near, 1);
        self.near.push(near);
        self.far.push(far);
    }

    fn transfer(&mut self, streams: Range<usize>, bytes: usize) {
        self.writers.resize_with(self.near.len(), Task::new);
        self.readers.resize_with(self.far.len(), Task::new);
        let tasks = self.writers[streams.clone()].iter_mut().chain(&mut self.readers[streams.clone()]);
        tasks.for_each(|task| task.start(bytes));
        let (mut left, mut idle) = (streams.len() * bytes, 0);
        while left > 0 {
            let mut moved = 0;
            for i in streams.clone() {
                if self.writers[i].is_woken() {
                    moved += self.writers[i].write(&mut self.near[i], &self.data);
                }
            }
            if !C::STREAMS_DRIVE {
                self.drive();
            }
            for i in streams.clone() {
                if self.readers[i].is_woken() {
                    let n = self.readers[i].read(&mut self.far[i], &mut self.buffer);
                    (moved, left) = (moved + n, left - n);
                }
            }
            idle = if moved == 0 { idle + 1 } else { 0 };
            assert!(idle < PATIENCE, "it goes on");
        }
    }

    fn echo(&mut self) {
        let (mut near, mut far) = self.connect(ECHO);
        self.send(&mut far, ECHO);
        self.receive(&mut near, ECHO.len());
        self.until(|_, cx| Pin::new(&mut near).poll_close(cx)).expect("open");
        self.receive(&mut far, 0);
        self.until(|_, cx| Pin::new(&mut far).poll_close(cx)).expect("open");
        self.receive(&mut near, 0);
        drop((near, far));
        self.drive();
    }
}

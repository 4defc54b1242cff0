//! The pipe in memory between two ends, as a socket would be: what is sent is copied in, and copied out where it is
//! received.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    rc::Rc,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use futures::io::{AsyncRead, AsyncWrite};

/// The most bytes on their way in one direction.
pub const PIPE_BYTES: usize = 256 * 1024;

/// One direction.
#[derive(Debug)]
pub struct Pipe {
    bytes: Vec<u8>,
    taken: usize,
}

impl Pipe {
    /// Empty, with all its memory.
    pub fn new() -> Self {
        Self { bytes: Vec::with_capacity(PIPE_BYTES), taken: 0 }
    }

    /// Copies as many of `bytes` in as there is room for.
    pub fn put(&mut self, bytes: &[u8]) -> usize {
        let n = bytes.len().min(PIPE_BYTES - self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..n]);
        n
    }

    /// What has not been taken out.
    pub fn front(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    /// Says that the first `n` bytes were copied out.
    pub fn took(&mut self, n: usize) {
        self.taken += n;
        if self.taken == self.bytes.len() {
            self.bytes.clear();
            self.taken = 0;
        }
    }
}

impl Default for Pipe {
    fn default() -> Self {
        Self::new()
    }
}

/// One end of a pipe for crates that want an asynchronous one, on one thread, with a wake-up only where somebody waits:
/// as little work as such a pipe can be.
#[derive(Debug)]
pub struct Duplex {
    incoming: Rc<RefCell<Direction>>,
    outgoing: Rc<RefCell<Direction>>,
}

#[derive(Debug, Default)]
struct Direction {
    pipe: Pipe,
    closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Duplex {
    /// Both ends.
    pub fn pair() -> (Self, Self) {
        let (a, b) = (Rc::<RefCell<Direction>>::default(), Rc::<RefCell<Direction>>::default());
        (Self { incoming: a.clone(), outgoing: b.clone() }, Self { incoming: b, outgoing: a })
    }

    fn poll_take(&self, cx: &Context<'_>, copy: impl FnOnce(&[u8]) -> usize) -> Poll<usize> {
        self.incoming.borrow_mut().poll_take(cx, copy)
    }

    fn poll_put(&self, cx: &Context<'_>, bytes: &[u8]) -> Poll<usize> {
        self.outgoing.borrow_mut().poll_put(cx, bytes)
    }

    fn close(&self) {
        self.outgoing.borrow_mut().close();
    }
}

impl Direction {
    /// Lets `copy` copy what has arrived; nothing at the end of the input.
    fn poll_take(&mut self, cx: &Context<'_>, copy: impl FnOnce(&[u8]) -> usize) -> Poll<usize> {
        let front = self.pipe.front();
        if front.is_empty() && !self.closed {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let n = copy(front);
        self.pipe.took(n);
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
        Poll::Ready(n)
    }

    fn poll_put(&mut self, cx: &Context<'_>, bytes: &[u8]) -> Poll<usize> {
        let n = self.pipe.put(bytes);
        if n == 0 && !bytes.is_empty() {
            self.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(n)
    }

    fn close(&mut self) {
        self.closed = true;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// The same for crates that want a pipe which may change threads. A clone is the same end; dropping one closes nothing, so
/// that the memory of a pipe serves many connections, one after the other.
#[derive(Clone, Debug)]
pub struct SharedDuplex {
    incoming: Arc<Mutex<Direction>>,
    outgoing: Arc<Mutex<Direction>>,
}

impl SharedDuplex {
    /// Both ends.
    pub fn pair() -> (Self, Self) {
        let (a, b) = (Arc::<Mutex<Direction>>::default(), Arc::<Mutex<Direction>>::default());
        (Self { incoming: a.clone(), outgoing: b.clone() }, Self { incoming: b, outgoing: a })
    }

    /// Drops what is on its way in both directions, and keeps the memory.
    pub fn clear(&self) {
        for direction in [&self.incoming, &self.outgoing] {
            let direction = &mut *direction.lock().expect("one thread");
            direction.pipe.took(direction.pipe.front().len());
            (direction.closed, direction.reader, direction.writer) = (false, None, None);
        }
    }
}

impl AsyncRead for SharedDuplex {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let copy = |front: &[u8]| {
            let n = front.len().min(buffer.len());
            buffer[..n].copy_from_slice(&front[..n]);
            n
        };
        self.incoming.lock().expect("one thread").poll_take(cx, copy).map(Ok)
    }
}

impl AsyncWrite for SharedDuplex {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.outgoing.lock().expect("one thread").poll_put(cx, bytes).map(Ok)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Duplex {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let copy = |front: &[u8]| {
            let n = front.len().min(buffer.len());
            buffer[..n].copy_from_slice(&front[..n]);
            n
        };
        self.poll_take(cx, copy).map(Ok)
    }
}

impl AsyncWrite for Duplex {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_put(cx, bytes).map(Ok)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.close();
        Poll::Ready(Ok(()))
    }
}

impl tokio::io::AsyncRead for Duplex {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let copy = |front: &[u8]| {
            let n = front.len().min(buffer.remaining());
            buffer.put_slice(&front[..n]);
            n
        };
        self.poll_take(cx, copy).map(|_| Ok(()))
    }
}

impl tokio::io::AsyncWrite for Duplex {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_put(cx, bytes).map(Ok)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.close();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Duplex {
    fn drop(&mut self) {
        self.close();
    }
}

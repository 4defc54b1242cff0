//! A pipe in memory for crates that want an asynchronous one.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use futures::io::{AsyncRead, AsyncWrite};

/// One end of a pipe in memory: what is written to one end is read from the other. On one thread, unbounded, with a
/// wake-up only where somebody waits; as little work as such a pipe can be.
#[derive(Debug)]
pub struct Duplex {
    incoming: Rc<RefCell<Direction>>,
    outgoing: Rc<RefCell<Direction>>,
}

#[derive(Debug, Default)]
struct Direction {
    bytes: Vec<u8>,
    read: usize,
    closed: bool,
    reader: Option<Waker>,
}

impl Direction {
    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

impl Duplex {
    /// Both ends.
    pub fn pair() -> (Self, Self) {
        let (a, b) = (Rc::<RefCell<Direction>>::default(), Rc::<RefCell<Direction>>::default());
        (Self { incoming: a.clone(), outgoing: b.clone() }, Self { incoming: b, outgoing: a })
    }
}

impl AsyncRead for Duplex {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let incoming = &mut *self.incoming.borrow_mut();
        let left = &incoming.bytes[incoming.read..];
        if left.is_empty() && !incoming.closed {
            incoming.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let n = left.len().min(buffer.len());
        buffer[..n].copy_from_slice(&left[..n]);
        incoming.read += n;
        if incoming.read == incoming.bytes.len() {
            incoming.bytes.clear();
            incoming.read = 0;
        }
        Poll::Ready(Ok(n))
    }
}

impl AsyncWrite for Duplex {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outgoing = &mut *self.outgoing.borrow_mut();
        outgoing.bytes.extend_from_slice(bytes);
        outgoing.wake();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outgoing = &mut *self.outgoing.borrow_mut();
        outgoing.closed = true;
        outgoing.wake();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Duplex {
    fn drop(&mut self) {
        let outgoing = &mut *self.outgoing.borrow_mut();
        outgoing.closed = true;
        outgoing.wake();
    }
}

//! A stream, as a handle.

use core::{
    fmt,
    pin::Pin,
    task::{Context, Poll, Waker},
};
use std::{
    io::{self, ErrorKind},
    sync::Arc,
};

use futures_io::{AsyncRead, AsyncWrite};
use sanswarm::{Bytes, PeerId, ProtocolName, ReadError, Refusal, StreamId, WriteError};

use crate::node::Shared;

/// A stream to a peer. Closing finishes our side; reading goes on. Nothing is held back: flushing is never needed.
///
/// Dropping a stream that was not closed resets it, so that the peer can tell what was cut from what is whole. Of one that was
/// closed what was written is delivered, and what is unread is thrown away.
pub struct Stream {
    shared: Arc<Shared>,
    id: StreamId,
    peer: PeerId,
    protocol: ProtocolName,
    /// What is left of the slice that was read last.
    rest: Bytes,
    is_closed: bool,
    is_read: bool,
}

/// What is known of a stream that has a handle.
#[derive(Default)]
pub(crate) struct Slot {
    pub(crate) wakers: Vec<Waker>,
    /// It was open before the agreement, which did not come about.
    pub(crate) refusal: Option<Refusal>,
}

impl Slot {
    fn wait<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        if !self.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Why a stream is no more.
    fn gone(&self, kind: ErrorKind) -> io::Error {
        match &self.refusal {
            Some(refusal) => io::Error::new(ErrorKind::ConnectionRefused, refusal.clone()),
            None => io::Error::new(kind, "the peer has reset the stream"),
        }
    }
}

impl Stream {
    pub(crate) fn new(shared: Arc<Shared>, id: StreamId, peer: PeerId, protocol: ProtocolName) -> Self {
        Self { shared, id, peer, protocol, rest: Bytes::new(), is_closed: false, is_read: false }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// What was agreed on. If the peer had said before that it speaks it, the agreement may be yet to come.
    pub fn protocol(&self) -> &ProtocolName {
        &self.protocol
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let id = this.id;
        if this.rest.is_empty() && !this.is_read && !out.is_empty() {
            let read = this.shared.call(|state, _| {
                let slot = state.slots.entry(id).or_default();
                match state.node.read(id) {
                    Ok(Some(slice)) => Poll::Ready(Ok(Some(slice))),
                    Ok(None) => slot.wait(cx),
                    Err(ReadError::Finished) => Poll::Ready(Ok(None)),
                    Err(ReadError::Closed) => Poll::Ready(Err(closed(ErrorKind::ConnectionReset))),
                    Err(ReadError::Gone) => Poll::Ready(Err(slot.gone(ErrorKind::ConnectionReset))),
                }
            });
            match core::task::ready!(read)? {
                Some(slice) => this.rest = slice,
                None => this.is_read = true,
            }
        }
        let n = this.rest.len().min(out.len());
        out[..n].copy_from_slice(&this.rest.split_to(n));
        Poll::Ready(Ok(n))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let id = self.id;
        self.shared.call(|state, now| {
            let slot = state.slots.entry(id).or_default();
            match state.node.write(now, id, data) {
                Ok(0) if !data.is_empty() => slot.wait(cx),
                Ok(n) => Poll::Ready(Ok(n)),
                Err(error) => Poll::Ready(Err(written(slot, error))),
            }
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Finishes our side. It does not wait for the peer.
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let id = this.id;
        let result = this.shared.call(|state, _| match state.node.finish(id) {
            Ok(()) | Err(WriteError::Finished) => Ok(()),
            Err(error) => Err(written(state.slots.entry(id).or_default(), error)),
        });
        this.is_closed |= result.is_ok();
        Poll::Ready(result)
    }
}

fn written(slot: &Slot, error: WriteError) -> io::Error {
    match error {
        WriteError::Closed => closed(ErrorKind::BrokenPipe),
        WriteError::Finished => io::Error::new(ErrorKind::BrokenPipe, "our side of the stream is closed"),
        WriteError::Gone => slot.gone(ErrorKind::BrokenPipe),
    }
}

fn closed(kind: ErrorKind) -> io::Error {
    io::Error::new(kind, "the connection has ended")
}

impl Drop for Stream {
    fn drop(&mut self) {
        let (id, is_closed, is_over) = (self.id, self.is_closed, self.is_closed && self.is_read);
        // Wakers are the user's code too: they are dropped without the lock.
        let _slot = self.shared.call(|state, _| {
            if !is_over {
                // Gone already, or the connection has ended: all the same.
                let _ = if is_closed { state.node.stop(id) } else { state.node.reset(id) };
            }
            state.slots.remove(&id)
        });
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("id", &self.id).field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

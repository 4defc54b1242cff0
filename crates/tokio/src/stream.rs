//! A stream, as a handle.

use core::{
    fmt,
    ops::Deref,
    pin::Pin,
    task::{Context, Poll, Waker},
};
use std::{
    io::{self, IoSlice},
    sync::Arc,
};

use bytes::{Buf, Bytes};
use sanswarm::{PeerId, ProtocolName, ReadError, StreamId, WriteError};
use sanswarm_host::trace::Span;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    StreamError,
    shared::{LinkShared, LinkState},
};

/// So much is read from a stream before its task looks whether credit is due. Credit is given back in steps of half a
/// window, which is 128 KiB or more: a peer never waits for less.
const READ_BYTES: usize = 16 * 1024;

/// A stream to a peer.
///
/// `shutdown` finishes our side: the peer sees the end after all that was written, and reading goes on. Flushing is
/// never needed. Reading and writing may be done by two tasks, through [`tokio::io::split`].
///
/// **Dropping** a stream that was not shut down resets it, at both ends and in both directions: so the peer can tell a
/// message that was cut from one that is whole. Of one that was shut down what was written is delivered; if it was not
/// read to its end, the rest is not wanted and is thrown away.
///
/// I/O errors hold a [`StreamError`]. When the connection ends, what has arrived can still be read.
pub struct Stream {
    link: Arc<LinkShared>,
    id: StreamId,
    peer: PeerId,
    protocol: ProtocolName,
    /// What is left of the slice that was read last.
    rest: Bytes,
    /// We have finished.
    is_finished: bool,
    /// The peer has finished, and all was read.
    is_read: bool,
}

impl Stream {
    pub(crate) fn new(link: Arc<LinkShared>, id: StreamId, peer: PeerId, protocol: ProtocolName) -> Self {
        Self { link, id, peer, protocol, rest: Bytes::new(), is_finished: false, is_read: false }
    }

    /// The stream's name, and its connection's.
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// Who is at the other end.
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// What was agreed on. If the peer had said before that it speaks it, the agreement may be yet to come.
    pub fn protocol(&self) -> &ProtocolName {
        &self.protocol
    }

    /// What its handler runs within.
    pub(crate) fn span(&self) -> Span {
        self.link.span.stream(self.id, &self.protocol)
    }

    /// Ends the stream at once in both directions. What is unread or unsent is lost.
    pub fn reset(mut self) {
        self.is_finished = false; // so that dropping resets it, whatever was done before
        self.is_read = false;
    }

    /// The next bytes, as they arrived, without a copy. `None`: the peer has finished, and all was read. Cancel-safe.
    ///
    /// # Errors
    /// As reading: [`io::ErrorKind::ConnectionReset`] or [`io::ErrorKind::ConnectionRefused`], with a [`StreamError`].
    pub async fn read_bytes(&mut self) -> io::Result<Option<Bytes>> {
        core::future::poll_fn(|cx| self.poll_bytes(cx)).await
    }

    /// [`read_bytes`](Self::read_bytes) for those who poll.
    ///
    /// # Errors
    /// As [`read_bytes`](Self::read_bytes).
    pub fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Ok(Some(core::mem::take(&mut self.rest))));
        }
        if self.is_read {
            return Poll::Ready(Ok(None));
        }
        let (id, link) = (self.id, &self.link);
        let result = link.call(|state| read(state, id, cx.waker()));
        if let Poll::Ready(Ok(None)) = result {
            self.is_read = true;
        }
        result.map_err(StreamError::reading)
    }
}

impl Stream {
    /// Writes as much of the parts, one after the other, as there is room for.
    fn write_parts(&self, cx: &Context<'_>, parts: &[impl Deref<Target = [u8]>]) -> Poll<io::Result<usize>> {
        if parts.iter().all(|part| part.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        let (id, link) = (self.id, &self.link);
        link.call(|state| {
            state.is_dirty = true;
            let (now, mut written) = (link.clock.now(), 0);
            for part in parts.iter().filter(|part| !part.is_empty()) {
                match state.link.write(now, id, part, &mut state.send) {
                    Ok(_) if state.is_gone => return Poll::Ready(Err(StreamError::Closed.writing())),
                    Ok(n) => {
                        written += n;
                        if n < part.len() {
                            break;
                        }
                    }
                    // The next call tells.
                    Err(_) if written > 0 => break,
                    Err(error) => {
                        let refusal = state.slots.get(&id).and_then(|slot| slot.refusal.as_ref());
                        return Poll::Ready(Err(StreamError::of_write(error, refusal).writing()));
                    }
                }
            }
            if written == 0 {
                set_waker(&mut state.slots.entry(id).or_default().writer, cx.waker());
                return Poll::Pending;
            }
            Poll::Ready(Ok(written))
        })
    }
}

/// Reads from the machine, and if nothing is there sees to it that the reader is woken.
fn read(state: &mut LinkState, id: StreamId, waker: &Waker) -> Poll<Result<Option<Bytes>, StreamError>> {
    let slot = state.slots.entry(id).or_default();
    let was_held = state.link.is_held();
    match state.link.read(id) {
        Ok(Some(slice)) => {
            // Credit may be due, or input may come again. (`poll_transmit` here would tell, and would pass turns of writers on, unseen by the task.)
            slot.read += slice.len();
            if slot.read >= READ_BYTES || (was_held && !state.link.is_held()) {
                slot.read = 0;
                state.is_dirty = true;
            }
            Poll::Ready(Ok(Some(slice)))
        }
        Ok(None) if state.is_gone => Poll::Ready(Err(StreamError::Closed)),
        Ok(None) => {
            set_waker(&mut slot.reader, waker);
            Poll::Pending
        }
        Err(ReadError::Finished) => {
            // The last stream of a connection that goes away, for example.
            state.is_dirty = true;
            Poll::Ready(Ok(None))
        }
        Err(error) => Poll::Ready(Err(StreamError::of_read(error, slot.refusal.as_ref()))),
    }
}

fn set_waker(slot: &mut Option<Waker>, waker: &Waker) {
    match slot {
        Some(slot) => slot.clone_from(waker),
        None => *slot = Some(waker.clone()),
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        match this.poll_bytes(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Ready(Ok(None)) => {}
            Poll::Ready(Ok(Some(mut slice))) => {
                let n = slice.len().min(buf.remaining());
                buf.put_slice(&slice[..n]);
                slice.advance(n);
                this.rest = slice;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.write_parts(cx, &[data])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write_parts(cx, parts)
    }

    /// A head and a body go in one write, and mostly in one frame.
    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Nothing is held back: this is ready at once.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Finishes our side. It does not wait for the peer.
    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_finished {
            return Poll::Ready(Ok(()));
        }
        let id = this.id;
        let result = this.link.call(|state| {
            state.is_dirty = true;
            let refusal = state.slots.get(&id).and_then(|slot| slot.refusal.as_ref());
            match state.link.finish(id) {
                Ok(()) | Err(WriteError::Finished) => Ok(()),
                Err(error) => Err(StreamError::of_write(error, refusal)),
            }
        });
        this.is_finished = result.is_ok();
        Poll::Ready(result.map_err(StreamError::writing))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let (id, finished, read) = (self.id, self.is_finished, self.is_read);
        // Their wakers are the user's code too: they are dropped without the lock.
        let _slot = self.link.call(|state| {
            if !finished || !read {
                // Gone already, or the connection has ended: all the same.
                let _ = if finished { state.link.stop(id) } else { state.link.reset(id) };
                state.is_dirty = true;
            }
            state.slots.remove(&id)
        });
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("id", &self.id)
            .field("peer", &self.peer)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

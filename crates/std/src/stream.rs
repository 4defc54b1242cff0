//! A stream as blocking code sees it.

use core::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use std::{
    io::{self, Read, Write},
    sync::Arc,
};

use bytes::Bytes;
use sanswarm::{Instant, PeerId, ProtocolName, ReadError, Refusal, StreamId, WriteError};
use sanswarm_host::trace::Span;

use crate::conn::{Conn, Guard, Wait};

/// So much is read from a stream before the write thread looks whether credit is due. Credit is given back in steps of half
/// a window, which is 128 KiB or more: a peer never waits for less.
const TELL_BYTES: usize = 16 * 1024;

/// A stream to a peer. As with a `TcpStream`, `&Stream` reads and writes too, so that two threads can share it, and
/// [`try_clone`](Self::try_clone) gives a second handle on the same stream.
///
/// When the last handle is dropped, a stream that was not [finished](Self::finish) is reset; one that was finished, but
/// not read to its end, is stopped: what the peer still sends is thrown away.
///
/// Calls end with an error when the stream or its connection does. The source of such an error is a [`ReadError`], a
/// [`WriteError`] or a [`Refusal`].
pub struct Stream {
    handle: Arc<Handle>,
}

struct Handle {
    conn: Arc<Conn>,
    id: StreamId,
    wait: Arc<Wait>,
    protocol: ProtocolName,
    peer: PeerId,
    /// In microseconds; 0 is none.
    read_timeout: AtomicU64,
    write_timeout: AtomicU64,
}

impl Stream {
    pub(crate) fn new(conn: Arc<Conn>, id: StreamId, wait: Arc<Wait>, protocol: ProtocolName, peer: PeerId) -> Self {
        let (read_timeout, write_timeout) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { handle: Arc::new(Handle { conn, id, wait, protocol, peer, read_timeout, write_timeout }) }
    }

    /// What its handler runs within.
    pub(crate) fn span(&self) -> Span {
        self.handle.conn.span.stream(self.handle.id, &self.handle.protocol)
    }

    /// What was agreed on; or, where payload may be written before the agreement, what was proposed.
    pub fn protocol(&self) -> &ProtocolName {
        &self.handle.protocol
    }

    /// Who is at the other end.
    pub fn peer(&self) -> PeerId {
        self.handle.peer
    }

    /// The stream's name in the events and logs of its node.
    pub fn id(&self) -> StreamId {
        self.handle.id
    }

    /// A second handle on the same stream. It cannot fail; it returns a `Result` as `TcpStream::try_clone` does.
    ///
    /// # Errors
    /// None.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { handle: self.handle.clone() })
    }

    /// Waits for the next piece that the peer has sent, and takes it without a copy. `None`: the peer has finished.
    ///
    /// # Errors
    /// `TimedOut` after the read timeout; `ConnectionReset` if the stream was reset or refused; `BrokenPipe` if the
    /// connection has ended.
    pub fn read_bytes(&self) -> io::Result<Option<Bytes>> {
        self.handle.read(usize::MAX)
    }

    /// Finishes our side: the peer sees its end after all that was written. Reading goes on. Again does nothing.
    ///
    /// # Errors
    /// As [`read_bytes`](Self::read_bytes), without the timeout.
    pub fn finish(&self) -> io::Result<()> {
        let Handle { conn, id, .. } = &*self.handle;
        let mut inner = conn.lock();
        if inner.slots.get(id).is_some_and(|slot| slot.finished) {
            return Ok(());
        }
        inner.link.finish(*id).map_err(|error| self.handle.write_error(&inner, error))?;
        if let Some(slot) = inner.slots.get_mut(id) {
            slot.finished = true;
        }
        conn.wake_writer(&mut inner);
        Ok(())
    }

    /// Ends the stream at once in both directions, for all its handles.
    pub fn reset(self) {
        let Handle { conn, id, wait, .. } = &*self.handle;
        let mut inner = conn.lock();
        let _ = inner.link.reset(*id);
        wait.wake();
        conn.wake_writer(&mut inner);
    }

    /// How long a read may wait. `None`, as at first: without end. Rounded up to microseconds.
    ///
    /// # Errors
    /// `InvalidInput` for a time of zero, as with a `TcpStream`.
    pub fn set_read_timeout(&self, time: Option<Duration>) -> io::Result<()> {
        set_timeout(&self.handle.read_timeout, time)
    }

    /// How long a write may wait for room. `None`, as at first: without end. Rounded up to microseconds.
    ///
    /// # Errors
    /// `InvalidInput` for a time of zero, as with a `TcpStream`.
    pub fn set_write_timeout(&self, time: Option<Duration>) -> io::Result<()> {
        set_timeout(&self.handle.write_timeout, time)
    }
}

impl Handle {
    /// Waits for bytes and takes at most `max` of them; `None` at the end.
    fn read(&self, max: usize) -> io::Result<Option<Bytes>> {
        let conn = &self.conn;
        let until = self.until(&self.read_timeout);
        let mut inner = conn.lock();
        loop {
            let state = &mut *inner;
            let Some(slot) = state.slots.get_mut(&self.id) else { return Err(reset(ReadError::Gone)) };
            if slot.at_end {
                return Ok(None);
            }
            if slot.unread.is_empty() {
                let was_held = state.link.is_held();
                match state.link.read(self.id) {
                    Ok(Some(slice)) => {
                        slot.taken += slice.len();
                        slot.unread = slice;
                        if slot.taken >= TELL_BYTES || (was_held && !state.link.is_held()) {
                            slot.taken = 0;
                            conn.wake_writer(state);
                        }
                        continue;
                    }
                    Ok(None) => {}
                    Err(ReadError::Finished) => {
                        slot.at_end = true;
                        conn.settle(state);
                        return Ok(None);
                    }
                    Err(error) => return Err(self.read_error(&inner, error)),
                }
                let is_late;
                (inner, is_late) = conn.wait_on(&self.wait.readable, inner, until);
                if is_late {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                continue;
            }
            let n = max.min(slot.unread.len());
            return Ok(Some(slot.unread.split_to(n)));
        }
    }

    /// Waits until some of `data` is taken and returns how much.
    fn write(&self, data: &[u8]) -> io::Result<usize> {
        let conn = &self.conn;
        let until = self.until(&self.write_timeout);
        let mut inner = conn.lock();
        loop {
            let now = conn.now();
            let state = &mut *inner;
            let n = match state.link.write(now, self.id, data, &mut state.send) {
                Ok(n) => n,
                Err(error) => return Err(self.write_error(&inner, error)),
            };
            if !state.send.is_empty() {
                conn.wake_writer(state);
            }
            if n > 0 || data.is_empty() {
                return Ok(n);
            }
            let is_late;
            (inner, is_late) = conn.wait_on(&self.wait.writable, inner, until);
            if is_late {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    fn until(&self, timeout: &AtomicU64) -> Option<Instant> {
        let micros = timeout.load(Ordering::Relaxed);
        (micros > 0).then(|| self.conn.now() + Duration::from_micros(micros))
    }

    fn refusal(&self, inner: &Guard<'_>) -> Option<Refusal> {
        inner.slots.get(&self.id)?.refused.clone()
    }

    fn read_error(&self, inner: &Guard<'_>, error: ReadError) -> io::Error {
        match (self.refusal(inner), error) {
            (Some(refusal), _) => reset(refusal),
            (None, ReadError::Closed) => io::Error::new(io::ErrorKind::BrokenPipe, error),
            (None, _) => reset(error),
        }
    }

    fn write_error(&self, inner: &Guard<'_>, error: WriteError) -> io::Error {
        match (self.refusal(inner), error) {
            (Some(refusal), _) => reset(refusal),
            (None, WriteError::Gone) => reset(error),
            (None, _) => io::Error::new(io::ErrorKind::BrokenPipe, error),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut inner = self.conn.lock();
        let Some(slot) = inner.slots.remove(&self.id) else { return };
        let done = match (slot.finished, slot.at_end) {
            (false, _) => inner.link.reset(self.id),
            (true, false) => inner.link.stop(self.id),
            (true, true) => return,
        };
        if done.is_ok() {
            self.conn.wake_writer(&mut inner);
        }
    }
}

impl Read for &Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let Some(slice) = self.handle.read(buf.len())? else { return Ok(0) };
        buf[..slice.len()].copy_from_slice(&slice);
        Ok(slice.len())
    }
}

impl Write for &Stream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.handle.write(data)
    }

    /// Nothing to do: what was written is sent as soon as the socket takes it.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }
}

impl Write for Stream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        (&*self).write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Handle { id, protocol, peer, .. } = &*self.handle;
        f.debug_struct("Stream").field("id", id).field("protocol", protocol).field("peer", peer).finish()
    }
}

fn reset(source: impl core::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, source)
}

fn set_timeout(timeout: &AtomicU64, time: Option<Duration>) -> io::Result<()> {
    let micros = match time {
        None => 0,
        Some(Duration::ZERO) => return Err(io::ErrorKind::InvalidInput.into()),
        Some(time) => u64::try_from(time.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX),
    };
    timeout.store(micros, Ordering::Relaxed);
    Ok(())
}

//! Our muxers, with the buffers that a connection has.

use std::{hint::black_box, ops::Range};

use bytes::BufMut;
use sanswarm_wire::{Inbox, Instant, Key, RecvBuf, Role, SendBuf};

use super::{ECHO, PATIENCE, Pair, WRITE_BYTES};
use crate::pipe::Pipe;

/// Nothing in memory takes time that a timer would notice.
const NOW: Instant = Instant::ZERO;

/// What a muxer has to say here.
pub enum Event {
    Opened(Key),
    Data { id: Key, len: usize, last: bool },
    Finished,
}

/// The verbs that all our muxers have.
pub trait Session: 'static {
    fn new(role: Role, streams: usize) -> Self;
    fn open(&mut self) -> Key;
    fn accept(&mut self, id: Key);
    fn handle_input(&mut self, plain: &[u8]) -> (usize, Option<Event>);
    fn consumed(&mut self, id: Key, bytes: usize);
    fn write(&mut self, id: Key, data: &[u8], send: &mut SendBuf) -> usize;
    fn poll_writable(&mut self) -> Option<Key>;
    fn finish(&mut self, id: Key);
    fn poll_transmit(&mut self, send: &mut SendBuf) -> usize;
    fn len(&self) -> usize;
}

macro_rules! session {
    ($crate_name:ident, $streams:ident => $limits:expr) => {
        impl Session for $crate_name::Session {
            fn new(role: Role, $streams: usize) -> Self {
                Self::new(role, $limits)
            }

            fn open(&mut self) -> Key {
                self.open().expect("open")
            }

            fn accept(&mut self, id: Key) {
                self.accept(id);
            }

            #[inline]
            fn handle_input(&mut self, plain: &[u8]) -> (usize, Option<Event>) {
                let (used, event) = self.handle_input(NOW, plain).expect("no fault");
                let event = event.map(|event| match event {
                    $crate_name::Event::Opened { stream } => Event::Opened(stream),
                    $crate_name::Event::Data { stream, len, last } => Event::Data { id: stream, len, last },
                    $crate_name::Event::Finished { .. } => Event::Finished,
                    event => panic!("{event:?}"),
                });
                (used, event)
            }

            fn consumed(&mut self, id: Key, bytes: usize) {
                self.consumed(id, bytes);
            }

            fn write(&mut self, id: Key, data: &[u8], send: &mut SendBuf) -> usize {
                self.write(NOW, id, data, send).expect("open")
            }

            fn poll_writable(&mut self) -> Option<Key> {
                self.poll_writable()
            }

            fn finish(&mut self, id: Key) {
                self.finish(id).expect("open");
            }

            fn poll_transmit(&mut self, send: &mut SendBuf) -> usize {
                self.poll_transmit(NOW, send)
            }

            fn len(&self) -> usize {
                self.len()
            }
        }
    };
}

session!(sanswarm_yamux, streams => {
    let limits = sanswarm_yamux::Limits { streams, ..sanswarm_yamux::Limits::default() };
    sanswarm_yamux::Config { limits, ..sanswarm_yamux::Config::default() }
});
session!(sanswarm_mplex, streams => sanswarm_mplex::Limits { streams, ..sanswarm_mplex::Limits::default() });

/// Who moves the bytes of a connection, and who holds those that have arrived.
pub trait Carrier: 'static {
    fn new(streams: usize) -> Self;

    /// Carries all that is ready to the session that it is for, and reads it there at once.
    fn carry<S: Session>(&mut self, send: &mut SendBuf, to: &mut S) -> Heard;

    /// Gives memory back that an idle connection does not have.
    fn release(&mut self);
}

/// What an end has heard.
#[derive(Default)]
pub struct Heard {
    opened: Option<Key>,
    bytes: usize,
    finished: bool,
}

/// What is ready at one end is read by the other where it is.
pub struct HandedOver;

impl Carrier for HandedOver {
    fn new(_: usize) -> Self {
        Self
    }

    fn carry<S: Session>(&mut self, send: &mut SendBuf, to: &mut S) -> Heard {
        let (mut heard, mut at, ready) = (Heard::default(), 0, send.ready());
        loop {
            let (used, event) = to.handle_input(&ready[at..]);
            at += used;
            match event {
                Some(Event::Opened(stream)) => heard.opened = Some(stream),
                Some(Event::Data { id, len, last }) => {
                    black_box(&ready[at..at + len]);
                    at += len;
                    to.consumed(id, len);
                    (heard.bytes, heard.finished) = (heard.bytes + len, heard.finished | last);
                }
                Some(Event::Finished) => heard.finished = true,
                None => break,
            }
        }
        send.sent(at);
        heard
    }

    fn release(&mut self) {}
}

/// As a connection does it, without a cipher: through a pipe into a receive buffer, payload as slices of it into the
/// inbox of its stream, and from there to the reader.
pub struct ThroughAPipe {
    pipe: Pipe,
    recv: RecvBuf,
    /// By the slot of the stream.
    inboxes: Vec<Inbox>,
}

impl ThroughAPipe {
    fn receive<S: Session>(&mut self, to: &mut S, heard: &mut Heard) {
        loop {
            let (used, event) = to.handle_input(self.recv.plain());
            self.recv.consume(used);
            match event {
                Some(Event::Opened(id)) => heard.opened = Some(id),
                Some(Event::Data { id, len, last }) => {
                    if self.inboxes.len() <= id.index() {
                        self.inboxes.resize_with(id.index() + 1, Inbox::new);
                    }
                    let inbox = &mut self.inboxes[id.index()];
                    inbox.push_from(&mut self.recv, len);
                    // The connection would tell the reader now, who reads at once.
                    while let Some(slice) = inbox.pop() {
                        heard.bytes += black_box(&slice).len();
                        to.consumed(id, slice.len());
                    }
                    heard.finished |= last;
                }
                Some(Event::Finished) => heard.finished = true,
                None => break,
            }
        }
    }
}

impl Carrier for ThroughAPipe {
    fn new(streams: usize) -> Self {
        let inboxes = Vec::with_capacity(streams);
        Self { pipe: Pipe::new(), recv: RecvBuf::default(), inboxes }
    }

    fn carry<S: Session>(&mut self, send: &mut SendBuf, to: &mut S) -> Heard {
        let mut heard = Heard::default();
        while !send.ready().is_empty() || !self.pipe.front().is_empty() {
            let put = self.pipe.put(send.ready());
            send.sent(put);
            let front = self.pipe.front();
            let taken = self.recv.fill(|spare| {
                let n = front.len().min(spare.remaining_mut());
                spare.put_slice(&front[..n]);
                n
            });
            self.pipe.took(taken);
            if put == 0 && taken == 0 {
                break;
            }
            self.recv.reveal_all();
            self.receive(to, &mut heard);
        }
        heard
    }

    fn release(&mut self) {
        self.recv.release();
    }
}

/// One end.
struct End<S, C> {
    session: S,
    send: SendBuf,
    /// What brings the bytes of this end to the other.
    carrier: C,
}

impl<S: Session, C: Carrier> End<S, C> {
    fn new(role: Role, streams: usize) -> Self {
        Self { session: S::new(role, streams), send: SendBuf::default(), carrier: C::new(streams) }
    }

    /// Sends all that is due to the other end.
    fn flush(&mut self, other: &mut Self) -> Heard {
        self.session.poll_transmit(&mut self.send);
        self.carrier.carry(&mut self.send, &mut other.session)
    }
}

/// Both ends of a connection, with the streams that were opened on it.
pub struct Ours<S, C> {
    dialer: End<S, C>,
    listener: End<S, C>,
    streams: Vec<Key>,
    /// By the dialer's slot: what it has yet to write.
    left: Vec<usize>,
    data: Vec<u8>,
}

impl<S: Session, C: Carrier> Ours<S, C> {
    /// Without streams.
    pub fn new(streams: usize) -> Self {
        Self {
            dialer: End::new(Role::Dialer, streams + 10),
            listener: End::new(Role::Listener, streams + 10),
            streams: Vec::with_capacity(streams),
            left: Vec::with_capacity(streams),
            data: vec![7; WRITE_BYTES],
        }
    }

    /// Writes what is left of one stream's bytes until a write comes short.
    fn write(&mut self, id: Key) {
        let left = &mut self.left[id.index()];
        while *left > 0 {
            let piece = &self.data[..self.data.len().min(*left)];
            let n = self.dialer.session.write(id, piece, &mut self.dialer.send);
            *left -= n;
            if n < piece.len() {
                return;
            }
        }
    }
}

impl<S: Session, C: Carrier> Pair for Ours<S, C> {
    fn open(&mut self) {
        let id = self.dialer.session.open();
        assert_eq!(self.dialer.session.write(id, &ECHO[..1], &mut self.dialer.send), 1);
        let opened = self.dialer.flush(&mut self.listener).opened.expect("opened");
        self.listener.session.accept(opened);
        assert_eq!(self.listener.session.write(opened, &ECHO[..1], &mut self.listener.send), 1);
        assert_eq!(self.listener.flush(&mut self.dialer).bytes, 1);
        self.streams.push(id);
        self.left.resize(self.left.len().max(id.index() + 1), 0);
        for end in [&mut self.dialer, &mut self.listener] {
            end.send.release();
            end.carrier.release();
        }
    }

    fn transfer(&mut self, streams: Range<usize>, bytes: usize) {
        let (mut left, mut idle) = (streams.len() * bytes, 0);
        for index in streams {
            let id = self.streams[index];
            self.left[id.index()] = bytes;
            self.write(id);
        }
        while left > 0 {
            let heard = self.dialer.flush(&mut self.listener).bytes;
            self.listener.flush(&mut self.dialer);
            self.dialer.session.poll_transmit(&mut self.dialer.send); // It sees the room that there is now.
            while let Some(id) = self.dialer.session.poll_writable() {
                self.write(id);
            }
            idle = if heard == 0 { idle + 1 } else { 0 };
            assert!(idle < PATIENCE, "it goes on");
            left -= heard;
        }
    }

    fn echo(&mut self) {
        let id = self.dialer.session.open();
        assert_eq!(self.dialer.session.write(id, ECHO, &mut self.dialer.send), ECHO.len());
        let heard = self.dialer.flush(&mut self.listener);
        assert_eq!(heard.bytes, ECHO.len());
        let opened = heard.opened.expect("opened");
        self.listener.session.accept(opened);
        assert_eq!(self.listener.session.write(opened, ECHO, &mut self.listener.send), ECHO.len());
        assert_eq!(self.listener.flush(&mut self.dialer).bytes, ECHO.len());
        self.dialer.session.finish(id);
        assert!(self.dialer.flush(&mut self.listener).finished);
        self.listener.session.finish(opened);
        assert!(self.listener.flush(&mut self.dialer).finished);
        debug_assert_eq!((self.dialer.session.len(), self.listener.session.len()), (0, 0));
    }
}

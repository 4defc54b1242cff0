//! Two yamux sessions against each other, by operations, with bytes carried in any pieces.
//!
//! Input: a byte of flags (1: narrow limits at the dialer, 2: at the listener, 4: small send buffers), then operations
//! of two bytes: see `Pair::step`. At the end all is accepted, written and read that can be, then all streams are
//! finished.
//!
//! - Neither end finds a fault in the other.
//! - No byte is lost, doubled or reordered, in either direction; nothing comes behind the end, and the end comes once.
//! - What is unread of a stream is within its window, the window within its limit, and what all windows have grown
//!   within the session's.
//! - `write` takes what `write_room` says, and a stream that could not go on is told when it can: everything wanted is
//!   written in the end.
//! - At the end both know the same streams; when all are over both are idle, nothing waits, and the memory is given
//!   back.

#![no_main]

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use libfuzzer_sys::fuzz_target;
use sanswarm_fuzz::Input;
use sanswarm_wire::{Instant, Role, SendBuf};
use sanswarm_yamux::{Config, Event, GoAway, Limits, OpenError, Session, StreamId};

/// The most that is written at a time, in bytes.
const WRITE_BYTES: usize = 100_000;

/// Bytes of no order, once and a piece more: a prime number of them, so that no piece that is lost leaves the rest as
/// it is.
static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 1u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let mut bytes: Vec<_> = (0..CYCLE).map(next).collect();
    bytes.extend_from_within(..CYCLE);
    bytes.extend_from_within(..CYCLE);
    bytes
});
const CYCLE: usize = 65_521;

/// What the end of `role` writes on a stream behind `at` bytes: at most [`WRITE_BYTES`].
fn bytes(role: Role, stream: u32, at: usize, len: usize) -> &'static [u8] {
    let start = (at + stream as usize * 4099 + usize::from(role.is_dialer()) * 257) % CYCLE;
    &BYTES[start..start + len]
}

/// What one end knows of a stream.
struct Stream {
    key: StreamId,
    /// Bytes that are to be written, and that were.
    wanted: usize,
    written: usize,
    /// A write was short: it goes on when it is told.
    waits: bool,
    got: usize,
    unread: usize,
    accepted: bool,
    finished: bool,
    ended: bool,
    stopped: bool,
}

impl Stream {
    fn new(key: StreamId, accepted: bool) -> Self {
        let (wanted, written, got, unread) = (0, 0, 0, 0);
        let (waits, finished, ended, stopped) = (false, false, false, false);
        Self { key, wanted, written, waits, got, unread, accepted, finished, ended, stopped }
    }
}

struct End {
    role: Role,
    session: Session,
    limits: Limits,
    send: SendBuf,
    hand: Vec<u8>,
    /// By id on the wire: those that are live, or were finished by both ends.
    streams: BTreeMap<u32, Stream>,
    goes_away: bool,
    pongs: usize,
}

impl End {
    fn new(role: Role, narrow: bool, small: bool) -> Self {
        let mut limits = Limits::default();
        if narrow {
            limits = Limits {
                window_bytes_max: 600_000,
                session_window_bytes: 300_000,
                streams: 4,
                unacknowledged: 1,
                unaccepted: 2,
                control: 1,
                pongs: 1,
                ..limits
            };
        }
        Self {
            role,
            session: Session::new(role, Config { limits: limits.clone(), ..Config::default() }),
            limits,
            send: SendBuf::new(if small { 0 } else { SendBuf::CAPACITY }),
            hand: Vec::new(),
            streams: BTreeMap::new(),
            goes_away: false,
            pongs: 0,
        }
    }

    fn pick(&self, which: u8) -> Option<u32> {
        self.streams.keys().nth(usize::from(which).checked_rem(self.streams.len())?).copied()
    }

    fn open(&mut self, may: bool) {
        match self.session.open() {
            Ok(key) => {
                assert!(may);
                let id = self.session.wire_id(key).expect("it is open");
                assert_eq!(!id.is_multiple_of(2), self.role.is_dialer());
                assert!(self.streams.insert(id, Stream::new(key, true)).is_none());
            }
            Err(OpenError::Limit { name, value }) => assert_eq!((name, value), ("streams", self.limits.streams)),
            Err(error) => assert!(error == OpenError::GoingAway, "{error:?}"),
        }
    }

    /// Writes as much as is wanted and goes.
    fn write(&mut self, now: Instant, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let most = (stream.wanted - stream.written).min(WRITE_BYTES);
        if most == 0 || stream.finished {
            return;
        }
        let data = bytes(self.role, id, stream.written, most);
        let room = self.session.write_room(stream.key, &self.send);
        let taken = self.session.write(now, stream.key, data, &mut self.send).expect("it is open");
        assert_eq!(taken, room.min(most), "write_room tells what write takes");
        stream.accepted = true;
        stream.written += taken;
        // Less than all: it is told. All of this piece: we go on by ourselves.
        stream.waits = taken < most;
    }

    /// Those that were told go on.
    fn go_on(&mut self, now: Instant) -> bool {
        let mut progress = false;
        for _ in 0..1000 {
            let Some(key) = self.session.poll_writable() else { return progress };
            let id = self.session.wire_id(key).expect("who may write is live");
            let stream = &self.streams[&id];
            let left = stream.wanted - stream.written;
            if left == 0 || stream.finished {
                self.session.decline(key);
            } else {
                self.write(now, id);
            }
            progress |= self.streams[&id].wanted - self.streams[&id].written < left;
        }
        panic!("it tells without end");
    }

    fn read(&mut self, id: u32, most: usize) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let n = stream.unread.min(most);
        stream.unread -= n;
        self.session.consumed(stream.key, n);
    }

    fn reset(&mut self, id: u32) {
        let Some(stream) = self.streams.remove(&id) else { return };
        let is_over = is_over(&stream, &self.session);
        assert_eq!(self.session.reset(stream.key).is_ok(), !is_over);
        assert!(self.session.reset(stream.key).is_err(), "it is forgotten");
    }

    fn receive(&mut self, now: Instant, bytes: &[u8]) {
        self.hand.extend(bytes);
        loop {
            let (used, event) = self.session.handle_input(now, &self.hand).expect("both ends are honest");
            assert!(used <= self.hand.len());
            self.hand.drain(..used);
            let Some(event) = event else { return };
            self.event(event);
            self.within_limits();
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Opened { stream } => {
                let id = self.session.wire_id(stream).expect("it is open");
                assert_ne!(!id.is_multiple_of(2), self.role.is_dialer());
                assert!(self.streams.insert(id, Stream::new(stream, false)).is_none(), "an id is used once");
            }
            Event::Data { stream, len, last } => {
                let role = if self.role.is_dialer() { Role::Listener } else { Role::Dialer };
                let id = self.id(stream);
                let stream = self.streams.get_mut(&id).expect("it is live");
                assert!(!stream.ended && !stream.stopped && len > 0);
                for piece in self.hand[..len].chunks(WRITE_BYTES) {
                    assert!(
                        *piece == *bytes(role, id, stream.got, piece.len()),
                        "{len} bytes of {id} at {}",
                        stream.got
                    );
                    stream.got += piece.len();
                }
                self.hand.drain(..len);
                stream.unread += len;
                stream.ended = last;
            }
            Event::Finished { stream } => {
                let id = self.id(stream);
                let stream = self.streams.get_mut(&id).expect("it is live");
                assert!(!core::mem::replace(&mut stream.ended, true), "the end comes once");
            }
            Event::Reset { stream } => {
                let id = self.id(stream);
                self.streams.remove(&id);
            }
            Event::Pong { .. } => self.pongs -= 1,
            Event::GoAway { .. } => self.goes_away = true,
        }
    }

    fn id(&self, key: StreamId) -> u32 {
        *self.streams.iter().find(|(_, stream)| stream.key == key).expect("it is live").0
    }

    fn within_limits(&self) {
        let mut growth = 0;
        for stream in self.streams.values() {
            let Some(window) = self.session.recv_window(stream.key) else { continue };
            assert!(stream.unread <= window as usize && window <= self.limits.window_bytes_max.max(256 * 1024));
            growth += (window - self.limits.window_bytes) as usize;
        }
        assert!(growth <= self.limits.session_window_bytes);
    }
}

/// Whether both ends have finished a stream, as far as this end has sent and heard.
fn is_over(stream: &Stream, session: &Session) -> bool {
    session.wire_id(stream.key).is_none()
}

struct Pair {
    ends: [End; 2],
    now: Instant,
}

impl Pair {
    /// One operation, of the end that the highest bit names, by the lowest four bits; the second byte says of which
    /// stream or how much.
    fn step(&mut self, op: u8, arg: u8) {
        let (who, now) = (usize::from(op >> 7), self.now);
        let end = &mut self.ends[who];
        let id = end.pick(arg & 15);
        let much = usize::from(arg >> 4);
        match op & 15 {
            0 => end.open(!end.goes_away),
            1 | 2 => {
                let Some(stream) = id.and_then(|id| end.streams.get_mut(&id)).filter(|stream| !stream.finished) else {
                    return;
                };
                stream.wanted += if op & 1 == 1 { much * 13 + 1 } else { much * 40_000 };
                // Who waits is told. `write` may be called all the same, and takes what there is room for.
                if is_over(stream, &end.session) {
                    stream.wanted = stream.written;
                } else if !stream.waits || much % 2 == 0 {
                    end.write(now, id.unwrap_or_default());
                }
            }
            3 => drop(id.map(|id| end.read(id, much * much * 1000 + 1))),
            4 => {
                let Some(stream) = id.and_then(|id| end.streams.get_mut(&id)) else { return };
                stream.wanted = stream.written;
                (stream.finished, stream.accepted, stream.waits) = (true, true, false);
                let _ = end.session.finish(stream.key);
            }
            5 if much < 4 => drop(id.map(|id| end.reset(id))),
            6 if much < 4 => {
                let Some(stream) = id.and_then(|id| end.streams.get_mut(&id)) else { return };
                (stream.stopped, stream.unread) = (true, 0);
                let _ = end.session.stop(stream.key);
            }
            7 => end.pongs += usize::from(end.session.ping(now)),
            8 => _ = end.session.poll_transmit(now, &mut end.send),
            9..=11 => _ = self.carry(who, usize::from(arg) * usize::from(arg) + 1),
            12 => self.now = self.now + Duration::from_micros(u64::from(arg) * u64::from(arg) * 20),
            13 if arg == 0 => {
                end.session.go_away(GoAway::Normal);
                end.goes_away = true;
            }
            14 => _ = end.go_on(now),
            15 => {
                let Some(stream) = id.and_then(|id| end.streams.get_mut(&id)) else { return };
                stream.accepted = true;
                end.session.accept(stream.key);
            }
            _ => {}
        }
    }

    fn carry(&mut self, who: usize, most: usize) -> usize {
        let [a, b] = &mut self.ends;
        let (from, to) = if who == 0 { (a, b) } else { (b, a) };
        // Who is held takes nothing until its replies have gone.
        let before = to.hand.len();
        let ready = from.send.ready();
        let n = if before > 64 * 1024 { 0 } else { ready.len().min(most) };
        to.receive(self.now, &ready[..n]);
        from.send.sent(n);
        before + n - to.hand.len() + n
    }

    /// Everything that can happen happens.
    fn settle(&mut self) {
        for _ in 0..20_000 {
            let mut progress = false;
            self.now = self.now + Duration::from_millis(1);
            for who in [0, 1] {
                let now = self.now;
                let end = &mut self.ends[who];
                for id in end.streams.keys().copied().collect::<Vec<_>>() {
                    end.read(id, usize::MAX);
                    let stream = end.streams.get_mut(&id).expect("it is there");
                    if !core::mem::replace(&mut stream.accepted, true) {
                        end.session.accept(stream.key);
                    }
                    if !stream.waits && !stream.finished && stream.written < stream.wanted {
                        end.write(now, id);
                        progress = true;
                    }
                }
                progress |= end.go_on(now);
                progress |= end.session.poll_transmit(now, &mut end.send) > 0;
                progress |= end.go_on(now); // the room that it has just seen
                progress |= self.carry(who, usize::MAX) > 0;
            }
            if !progress {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    fn agree(&self) {
        let [a, b] = &self.ends;
        for (from, to) in [(a, b), (b, a)] {
            assert!(from.send.is_empty() && from.hand.is_empty() && !from.session.is_held());
            assert_eq!(from.pongs, 0, "every ping is answered");
            let live = from.streams.values().filter(|stream| !is_over(stream, &from.session)).count();
            assert_eq!(from.session.len(), live);
            for (id, stream) in &from.streams {
                assert!(stream.finished || stream.written == stream.wanted, "{id} waits for ever");
                let Some(other) = to.streams.get(id) else {
                    // Its peer has reset it, and the reset has come; or it was over before.
                    assert!(is_over(stream, &from.session), "one end has forgotten {id}");
                    continue;
                };
                assert_eq!(other.ended, stream.finished, "the end of {id}");
                assert!(other.stopped || other.got == stream.written, "bytes of {id}");
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let flags = input.byte();
    let small = flags & 4 != 0;
    let ends = [End::new(Role::Dialer, flags & 1 != 0, small), End::new(Role::Listener, flags & 2 != 0, small)];
    let mut pair = Pair { ends, now: Instant::ZERO };
    for _ in 0..400 {
        let (Some(op), arg) = (input.maybe(), input.byte()) else { break };
        pair.step(op, arg);
    }
    pair.settle();
    pair.agree();
    for end in &mut pair.ends {
        for stream in end.streams.values_mut() {
            stream.finished = true;
            let _ = end.session.finish(stream.key);
        }
    }
    pair.settle();
    pair.agree();
    for end in &mut pair.ends {
        assert!(end.session.is_idle() && end.session.is_empty());
        assert!(end.session.heap_bytes() < 4096, "{} bytes of an idle session", end.session.heap_bytes());
    }
});

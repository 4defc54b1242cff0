//! Receive windows that grow with what is on its way, and credit that follows the reader.

mod common;

use core::time::Duration;

use common::{
    pair::{End, Link, carry},
    *,
};
use sanswarm_wire::{Instant, Role, SendBuf};
use sanswarm_yamux::{Config, Event, Limits, Session};

const MIB: u32 = 1024 * 1024;

fn at(millis: u64) -> Instant {
    Instant::from_micros(millis * 1000)
}

/// Two ends and a link in each direction: `delay` in ms one way, `rate` in bytes a ms.
struct Net {
    ends: [End; 2],
    links: [Link; 2],
    millis: u64,
}

impl Net {
    fn new(limits: Limits, delay: u64, rate: usize) -> Self {
        let config = Config { limits, ..Config::default() };
        Self {
            ends: [Role::Dialer, Role::Listener].map(|role| End::new(role, config.clone(), 4 * 1024 * 1024)),
            links: [(); 2].map(|()| Link::new(Duration::from_millis(delay), rate)),
            millis: 0,
        }
    }

    /// Runs for so many ms. The dialer always has more to write; the listener reads up to `read` bytes a ms.
    fn run(&mut self, millis: u64, read: usize) {
        let [a, b] = &mut self.ends;
        for _ in 0..millis {
            self.millis += 1;
            let now = at(self.millis);
            a.take_turns(now);
            self.links[0].step(now, a, b);
            for wire in b.halves.keys().copied().collect::<Vec<_>>() {
                b.read(wire, read);
            }
            self.links[1].step(now, b, a);
        }
    }

    fn window(&self, wire: u32) -> u32 {
        let (id, _) = self.ends[1].halves[&wire];
        self.ends[1].session.recv_window(id).expect("live")
    }

    fn read(&self) -> usize {
        self.ends[1].halves.values().map(|(_, half)| half.read).sum()
    }

    fn offer(&mut self) -> u32 {
        let wire = self.ends[0].open().expect("few");
        self.ends[0].offer(at(self.millis), wire, 1 << 40);
        wire
    }
}

#[test]
fn a_window_grows_until_it_fills_the_link() {
    // 100 ms there and back, 40 MB/s: 4 MB are on their way, 16 times the initial window.
    let mut net = Net::new(Limits::default(), 50, 40_000);
    let wire = net.offer();
    net.run(1000, usize::MAX);
    let slow = net.read();
    net.run(2000, usize::MAX);
    let before = net.read();
    net.run(1000, usize::MAX);
    let rate = (net.read() - before) / 1000;
    assert!(rate > 39_000, "{rate} bytes a ms when grown");
    assert!(slow < 30_000_000, "{slow} in the first second");
    let window = net.window(wire);
    assert!((8 * MIB..=16 * MIB).contains(&window), "two to four times what is on its way: {window}");
    let round_trip = net.ends[1].session.round_trip().unwrap().as_millis();
    assert!((100..=110).contains(&round_trip), "{round_trip}");
}

#[test]
fn a_window_that_is_hardly_an_obstacle_hardly_grows() {
    // 5 MB/s over 20 ms: 100 KB are on their way. What waits before a pong doubles the round trip that is measured.
    let mut net = Net::new(Limits::default(), 10, 5_000);
    let wire = net.offer();
    net.run(9000, usize::MAX);
    assert!(net.read() > 44_000_000);
    assert!(net.window(wire) <= 4 * WINDOW, "{}", net.window(wire));
}

#[test]
fn a_slow_reader_gets_no_larger_window() {
    // The link would carry 40 MB/s; 0.5 MB/s is read, so 50 KB would do.
    let mut net = Net::new(Limits::default(), 50, 40_000);
    let wire = net.offer();
    net.run(3000, 500);
    assert_eq!(net.window(wire), WINDOW);
    let half = &net.ends[1].halves[&wire].1;
    assert!(half.inbox.len() <= WINDOW as usize);
}

#[test]
fn growth_is_bounded_for_a_stream() {
    let limits = Limits { window_bytes_max: MIB + 5, ..Limits::default() };
    let mut net = Net::new(limits, 50, 40_000);
    let wire = net.offer();
    net.run(3000, usize::MAX);
    assert_eq!(net.window(wire), MIB + 5);
}

#[test]
fn growth_is_bounded_for_the_session_and_comes_back_when_a_stream_ends() {
    let limits = Limits { session_window_bytes: MIB as usize, ..Limits::default() };
    let mut net = Net::new(limits, 50, 100_000);
    let (first, second) = (net.offer(), net.offer());
    net.run(3000, usize::MAX);
    assert_eq!(net.window(first) + net.window(second), 2 * WINDOW + MIB);
    let (first_had, second_had) = (net.window(first), net.window(second));
    net.ends[0].reset(first);
    net.run(1500, usize::MAX);
    assert!(net.ends[1].halves[&first].1.gone);
    assert_eq!(net.window(second), WINDOW + MIB, "{first_had} and {second_had} before");
}

#[test]
fn no_growth_without_a_limit_for_it() {
    for limits in
        [Limits { session_window_bytes: 0, ..Limits::default() }, Limits { window_bytes_max: 1, ..Limits::default() }]
    {
        let mut net = Net::new(limits, 50, 40_000);
        let wire = net.offer();
        net.run(1000, usize::MAX);
        assert_eq!(net.window(wire), WINDOW);
        assert_eq!(net.ends[1].session.round_trip(), None, "and nothing is measured for it");
    }
}

/// A listener with one accepted stream that has received `n` bytes.
fn received(limits: Limits, n: usize) -> (Session, sanswarm_yamux::StreamId) {
    let mut session = Session::new(Role::Listener, Config { limits, ..Config::default() });
    let stream = opened(&mut session, &head((DATA, SYN, 1, 0)));
    session.accept(stream);
    due(&mut session);
    events(&mut session, &data(0, 1, &vec![0; n])).expect("within the window");
    (session, stream)
}

#[test]
fn credit_comes_when_half_of_the_window_was_read() {
    let (mut session, stream) = received(Limits::default(), WINDOW as usize);
    let half = WINDOW as usize / 2;
    session.consumed(stream, half - 1);
    assert_eq!(due(&mut session), []);
    session.consumed(stream, 1);
    let measures = (PING, SYN, 0, 0);
    assert_eq!(due(&mut session), [(WINDOW_UPDATE, 0, 1, half as u32), measures]);
    session.consumed(stream, usize::MAX);
    assert_eq!(due(&mut session), [(WINDOW_UPDATE, 0, 1, half as u32)], "never more than arrived");
    session.consumed(stream, usize::MAX);
    assert_eq!(due(&mut session), []);
}

#[test]
fn short_exchanges_and_idle_sessions_measure_nothing() {
    for window_bytes in [WINDOW, 2 * MIB] {
        let limits = Limits { window_bytes, ..Limits::default() };
        let mut session = Session::new(Role::Listener, Config { limits, ..Config::default() });
        let stream = opened(&mut session, &data(SYN, 1, &[0; 100_000]));
        session.consumed(stream, 100_000);
        let mut send = SendBuf::default();
        assert_eq!(session.write(NOW, stream, b"hello", &mut send), Ok(5));
        session.finish(stream).unwrap();
        session.poll_transmit(NOW, &mut send);
        assert!(heads(send.ready()).iter().all(|(kind, ..)| *kind != PING), "{:?}", heads(send.ready()));
        session.poll_transmit(at(1_000_000), &mut send);
        assert_eq!((session.poll_timeout(), session.round_trip()), (None, None));
    }
}

#[test]
fn nobody_waits_for_an_answer_that_only_measures() {
    let (mut session, stream) = received(Limits::default(), WINDOW as usize);
    session.consumed(stream, WINDOW as usize);
    assert_eq!(due(&mut session), [(WINDOW_UPDATE, 0, 1, WINDOW), (PING, SYN, 0, 0)]);
    assert_eq!(session.poll_timeout(), None, "a peer that answers no ping gets no larger window, and that is all");
    assert_eq!(session.handle_timeout(at(1_000_000)), Ok(()));
    let answer = head((PING, ACK, 0, 0));
    assert_eq!(session.handle_input(at(80), &answer), Ok((12, None)), "the owner has not asked");
    assert_eq!(session.round_trip(), Some(Duration::from_millis(80)));
    events(&mut session, &data(RST, 1, b"")).unwrap();
    assert!(session.is_idle());
}

#[test]
fn one_measurement_serves_for_ten_seconds() {
    let mut pings = Vec::new();
    let (mut session, stream) = received(Limits::default(), 0);
    for seconds in 0..25 {
        let now = at(seconds * 1000);
        let half = WINDOW as usize / 2;
        let mut input = data(0, 1, &vec![0; half]);
        feed(&mut session, &mut input).unwrap();
        session.consumed(stream, half);
        let mut send = SendBuf::default();
        session.poll_transmit(now, &mut send);
        let sent = heads(send.ready());
        assert_eq!(sent[0], (WINDOW_UPDATE, 0, 1, half as u32), "slow, so it does not grow");
        if let [_, (PING, SYN, 0, value)] = sent[..] {
            pings.push(seconds);
            session.handle_input(now + Duration::from_millis(30), &head((PING, ACK, 0, value))).unwrap();
        }
    }
    assert_eq!(pings, [0, 11, 22]);
}

#[test]
fn a_ping_of_the_owner_measures_too() {
    let mut session = dialer();
    session.ping(at(0));
    session.poll_transmit(at(0), &mut SendBuf::default());
    let pong = Event::Pong { rtt: Duration::from_millis(7) };
    assert_eq!(session.handle_input(at(7), &head((PING, ACK, 0, 0))), Ok((12, Some(pong))));
    assert_eq!(session.round_trip(), Some(Duration::from_millis(7)));
}

#[test]
fn a_stopped_stream_does_not_grow() {
    let mut net = Net::new(Limits::default(), 50, 40_000);
    let wire = net.offer();
    net.run(60, usize::MAX);
    net.ends[1].stop(wire);
    net.run(2000, usize::MAX);
    assert_eq!(net.window(wire), WINDOW, "what is dropped needs no speed");
    assert!(net.ends[0].halves[&wire].1.written > 3 * WINDOW as usize, "but it flows");
}

#[test]
fn a_body_of_a_stream_that_is_gone_may_be_as_long_as_its_window_was() {
    let mut net = Net::new(Limits::default(), 50, 40_000);
    let wire = net.offer();
    net.run(3000, usize::MAX);
    let window = net.window(wire);
    let b = &mut net.ends[1];
    b.reset(wire);
    let big = head((DATA, 0, 77, window));
    assert_eq!(b.session.handle_input(NOW, &big), Ok((12, None)));
    let mut listener = listener();
    assert!(listener.handle_input(NOW, &big).is_err(), "no window of this one was so large");
}

#[test]
fn window_limits_are_put_in_range() {
    let cases = [
        (Limits { window_bytes: 0, ..Limits::default() }, WINDOW),
        (Limits { window_bytes: u32::MAX, ..Limits::default() }, 1024 * MIB),
        (Limits { window_bytes: 5 * MIB, window_bytes_max: 0, ..Limits::default() }, 5 * MIB),
    ];
    for (limits, window) in cases {
        let mut session = Session::new(Role::Dialer, Config { limits, ..Config::default() });
        let stream = session.open().unwrap();
        assert_eq!(session.recv_window(stream), Some(window));
        assert_eq!(due(&mut session), [(WINDOW_UPDATE, SYN, 1, window - WINDOW)]);
    }
}

/// Credit follows the reader only: what arrives gives nothing back, however long it goes on.
#[test]
fn a_reader_who_does_not_read_is_sent_one_window() {
    let mut net = Net::new(Limits::default(), 5, 40_000);
    let wire = net.offer();
    net.run(2000, 0);
    let [a, b] = &mut net.ends;
    assert_eq!((a.half(wire).written, b.half(wire).arrived), (WINDOW as usize, WINDOW as usize));
    carry(at(2001), b, a, usize::MAX);
    assert_eq!(a.session.poll_writable(), None);
}

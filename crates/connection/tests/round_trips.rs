//! The table of round trips, line by line: flights are counted and timed over a link with latency, against a peer of ours
//! and against listeners as those of go, js, py and rust are. `--nocapture` shows each flight and what was said in it.

#![cfg(all(feature = "noise", feature = "yamux"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
mod peers;

use core::time::Duration;
use std::collections::VecDeque;

use common::{DIALER, End, LISTENER, config_of, known, name, now, peer};
use peers::{ALL, GO, JS, Manner, PY, Peer, RUST};
use sanswarm_connection::{
    Connection, Direction, Error, Event, Limits, Muxer, Open, Security, Stage, StreamId,
    transcript::{Entry, Level},
};
use sanswarm_wire::{Instant, Role};

const ECHO: &str = "/echo/1.0.0";
const HEADER: &[u8] = b"\x13/multistream/1.0.0\n";
const ONE_WAY: Duration = Duration::from_millis(50);

/// Whoever listens.
trait Far {
    /// Takes bytes and gives what it says to them.
    fn handle(&mut self, at: Instant, bytes: &[u8]) -> Vec<u8>;
    /// Whether its bytes have ended.
    fn has_hung_up(&self) -> bool;
}

impl Far for Peer {
    fn handle(&mut self, _: Instant, bytes: &[u8]) -> Vec<u8> {
        Self::handle(self, bytes)
    }

    fn has_hung_up(&self) -> bool {
        self.is_over()
    }
}

impl Far for End {
    fn handle(&mut self, at: Instant, bytes: &[u8]) -> Vec<u8> {
        assert_eq!(self.recv.feed(bytes), bytes.len());
        self.settle(at);
        let out = self.send.ready().to_vec();
        self.send.sent(out.len());
        out
    }

    fn has_hung_up(&self) -> bool {
        self.error.is_some()
    }
}

/// What goes in one direction at once.
struct Flight {
    sent: Instant,
    from: Direction,
    bytes: Vec<u8>,
    said: Vec<String>,
}

/// A dialer and whom it dials, with 50 ms between them.
struct Link {
    a: End,
    far: Box<dyn Far>,
    at: Instant,
    /// All that was sent, and which of it is under way.
    flights: Vec<Flight>,
    under_way: VecDeque<usize>,
    /// What the transcript told of the other direction.
    untold: Vec<Entry>,
    /// Before this nothing is counted.
    start: (Instant, u32),
}

impl Link {
    /// A dialer that offers these.
    fn new(security: &[Security], muxers: &[Muxer], far: Box<dyn Far>) -> Self {
        let config = config_of(DIALER, security.to_vec(), muxers.to_vec(), Limits::default());
        let conn = Connection::new(now(), Role::Dialer, config, Some(peer(LISTENER)), [DIALER + 2; 32]);
        let mut a = End::of(conn);
        a.conn.set_transcript(Level::Frames);
        let (flights, under_way) = Default::default();
        let mut link = Self { a, far, at: now(), flights, under_way, untold: Vec::new(), start: (now(), 0) };
        link.hear(&[]);
        link
    }

    /// The same, used for a while before anything is counted.
    fn used(far: Box<dyn Far>) -> Self {
        let mut link = Self::new(&Security::defaults(), &[Muxer::Yamux], far);
        link.run(|_| false);
        assert!(link.a.is_ready() && link.under_way.is_empty());
        link.flights.clear();
        link.start = (link.at, link.a.conn.stats().round_trips);
        link
    }

    /// Lets time pass until `done` or until nothing is under way.
    fn run(&mut self, done: impl Fn(&End) -> bool) {
        loop {
            self.speak();
            let Some(index) = self.under_way.pop_front() else { return };
            let Flight { sent, from, ref bytes, .. } = self.flights[index];
            self.at = sent + ONE_WAY;
            let bytes = bytes.clone();
            match from {
                Direction::Outbound => self.hear(&bytes),
                Direction::Inbound => {
                    assert_eq!(self.a.recv.feed(&bytes), bytes.len());
                    self.a.settle(self.at);
                    self.flights[index].said = self.entries(Direction::Inbound);
                }
            }
            if done(&self.a) {
                return;
            }
        }
    }

    /// What the dialer has to say goes on its way.
    fn speak(&mut self) {
        self.a.settle(self.at);
        let bytes = self.a.send.ready().to_vec();
        self.a.send.sent(bytes.len());
        let said = self.entries(Direction::Outbound);
        self.launch(Direction::Outbound, bytes, said);
    }

    /// The other end takes bytes, and its answer goes on its way.
    fn hear(&mut self, bytes: &[u8]) {
        let answer = self.far.handle(self.at, bytes);
        self.launch(Direction::Inbound, answer, Vec::new());
        if self.far.has_hung_up() && self.under_way.is_empty() {
            self.a.recv.set_eof();
        }
    }

    fn launch(&mut self, from: Direction, bytes: Vec<u8>, said: Vec<String>) {
        if !bytes.is_empty() {
            self.under_way.push_back(self.flights.len());
            self.flights.push(Flight { sent: self.at, from, bytes, said });
        }
    }

    /// Takes what the transcript tells of one direction. The rest is told with the next flight.
    fn entries(&mut self, of: Direction) -> Vec<String> {
        let mut all: Vec<Entry> = core::mem::take(&mut self.untold);
        all.extend(core::iter::from_fn(|| self.a.conn.poll_transcript()));
        let (these, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|entry| entry.direction == of);
        self.untold = others;
        these.iter().map(line).collect()
    }

    /// Shows the flights and checks what they cost: by the clock, and by the connection's own count.
    fn expect(&self, what: &str, round_trips: u32) {
        println!("{what}:");
        for flight in &self.flights {
            let ms = flight.sent.since(self.start.0).as_millis();
            let arrow = if flight.from == Direction::Outbound { "->" } else { "<-" };
            println!("  {ms:>3} ms {arrow} {:>3} bytes: {}", flight.bytes.len(), flight.said.join("; "));
        }
        let took = self.at.since(self.start.0);
        println!("  {:>3} ms: {} round trips", took.as_millis(), took.as_millis() / (2 * ONE_WAY.as_millis()));
        assert_eq!(took, 2 * ONE_WAY * round_trips, "{what}: by the clock");
        assert_eq!(self.a.conn.stats().round_trips - self.start.1, round_trips, "{what}: by the connection");
    }

    /// What the dialer said in each of its flights.
    fn said(&self) -> Vec<&[String]> {
        self.flights.iter().filter(|f| f.from == Direction::Outbound).map(|f| &f.said[..]).collect()
    }

    /// Asks for an echo and waits for the first byte of it.
    fn ask(&mut self, list: &[&'static str], how: Open) {
        let id = self.a.conn.open(self.at, common::names(list), how).unwrap();
        self.a.send_all(id, b"ping");
        self.run(answered(id));
        assert_eq!(self.a.got.get(&id).map(|got| &got[..]), Some(&b"ping"[..]), "{:?}", self.a.error);
    }
}

fn answered(id: StreamId) -> impl Fn(&End) -> bool {
    move |a| a.got.get(&id).is_some_and(|got| !got.is_empty())
}

fn line(entry: &Entry) -> String {
    let stream = entry.stream.map(|stream| format!(" {}", stream.number)).unwrap_or_default();
    format!("{}{stream}: {}", entry.layer, entry.what).replace(&peer(LISTENER).to_string(), "the listener")
}

fn assert_said(said: &[String], expected: &[&str]) {
    let said: Vec<_> = said.iter().filter(|line| !line.starts_with("channel") && !line.contains("PING")).collect();
    assert_eq!(said, expected);
}

// ---- who is dialled

fn by_hand(manner: Manner) -> Box<dyn Far> {
    Box::new(Peer::new(manner, &["/noise"], &["/yamux/1.0.0"], &[ECHO]))
}

/// A listener of ours that offers these.
fn ours(security: &[Security], muxers: &[Muxer]) -> Box<dyn Far> {
    let config = config_of(LISTENER, security.to_vec(), muxers.to_vec(), Limits::default());
    let mut conn = Connection::new(now(), Role::Listener, config, None, [LISTENER + 2; 32]);
    conn.set_names(known(&[ECHO]));
    let mut end = End::of(conn);
    end.echoes = true;
    Box::new(end)
}

fn ours_by_default() -> Box<dyn Far> {
    ours(&Security::defaults(), &[Muxer::Yamux])
}

/// Everyone, with a name.
fn everyone() -> Vec<(&'static str, Box<dyn Far>)> {
    let by_hand = ALL.map(|manner| (manner.name, by_hand(manner)));
    by_hand.into_iter().chain([("ours", ours_by_default())]).collect()
}

/// What is built in of what can be offered.
fn securities() -> Vec<Security> {
    vec![
        Security::Noise,
        #[cfg(feature = "tls")]
        Security::Tls,
        #[cfg(feature = "plaintext")]
        Security::Plaintext,
    ]
}

/// Two offers of which the first is agreed upon. Where there is one protocol only, the same one twice: to the negotiation
/// that is as good as two.
fn two_securities() -> Vec<Security> {
    vec![Security::Noise, securities()[securities().len() - 1]]
}

// ---- the lines

#[test]
fn a_fresh_connection_with_one_security_protocol_answers_after_2_round_trips() {
    for security in securities() {
        let mut link = Link::new(&[security], &[Muxer::Yamux], ours(&[security], &[Muxer::Yamux]));
        link.ask(&[ECHO], Open::Lazy);
        link.expect(&format!("fresh, {security} offered, ours"), 2);
    }
    for manner in ALL {
        let mut link = Link::new(&[Security::Noise], &[Muxer::Yamux], by_hand(manner));
        link.ask(&[ECHO], Open::Lazy);
        link.expect(&format!("fresh, /noise offered, {}", manner.name), 2);
        let [first, second] = link.said()[..] else { panic!("two flights of the dialer's") };
        assert_said(first, &["security: header", "security: proposes /noise", "handshake: handshake, turn 1"]);
        let muxer = ["muxer: header", "muxer: proposes /yamux/1.0.0"];
        let last = [
            "session 1: DATA SYN 33 bytes",
            "stream 1: header",
            "stream 1: proposes /echo/1.0.0",
            "session 1: DATA 4 bytes",
            "session 1: DATA FIN 0 bytes",
        ];
        let muxer = if manner.names_muxers { &[][..] } else { &muxer };
        assert_said(second, &[&["handshake: handshake, turn 3"], muxer, &last].concat());
    }
}

#[test]
fn a_fresh_connection_with_two_security_protocols_answers_after_3_round_trips() {
    let two = two_securities();
    let everyone =
        everyone().into_iter().filter(|(name, _)| *name != "ours").chain([("ours", ours(&two, &[Muxer::Yamux]))]);
    for (name, far) in everyone {
        let mut link = Link::new(&two, &[Muxer::Yamux], far);
        link.ask(&[ECHO], Open::Lazy);
        link.expect(&format!("fresh, two security protocols offered, {name}"), 3);
        assert_said(link.said()[0], &["security: header", "security: proposes /noise"]);
        assert_said(link.said()[1], &["handshake: handshake, turn 1"]);
    }
}

#[cfg(feature = "mplex")]
#[test]
fn a_fresh_connection_with_several_muxers_answers_after_3_round_trips_where_the_peer_names_none() {
    let both = [Muxer::Yamux, Muxer::Mplex];
    for manner in ALL {
        let mut link = Link::new(&[Security::Noise], &both, by_hand(manner));
        link.ask(&[ECHO], Open::Lazy);
        let trips = if manner.names_muxers { 2 } else { 3 };
        link.expect(&format!("fresh, two muxers offered, {}", manner.name), trips);
        if !manner.names_muxers {
            let proposal = ["handshake: handshake, turn 3", "muxer: header", "muxer: proposes /yamux/1.0.0"];
            assert_said(link.said()[1], &proposal);
        }
    }
}

#[test]
fn a_new_lazy_stream_answers_after_1_round_trip() {
    for (name, far) in everyone() {
        let mut link = Link::used(far);
        link.ask(&[ECHO], Open::Lazy);
        link.expect(&format!("a new stream, lazy, {name}"), 1);
        let said = [
            "session 1: DATA SYN 33 bytes",
            "stream 1: header",
            "stream 1: proposes /echo/1.0.0",
            "session 1: DATA 4 bytes",
            "session 1: DATA FIN 0 bytes",
        ];
        assert_said(link.said()[0], &said);
    }
}

#[test]
fn a_new_stream_that_waits_answers_after_2_round_trips() {
    for (name, far) in everyone() {
        let mut link = Link::used(far);
        link.ask(&[ECHO], Open::Wait);
        link.expect(&format!("a new stream, not lazy, {name}"), 2);
        let said = ["session 1: DATA SYN 33 bytes", "stream 1: header", "stream 1: proposes /echo/1.0.0"];
        assert_said(link.said()[0], &said);
    }
}

#[test]
fn a_refused_security_protocol_is_an_error_after_1_round_trip() {
    for manner in ALL {
        let far = Box::new(Peer::new(manner, &["/other/1.0.0"], &["/yamux/1.0.0"], &[ECHO]));
        let mut link = Link::new(&[Security::Noise], &[Muxer::Yamux], far);
        link.run(|a| a.error.is_some());
        link.expect(&format!("security refused, {}", manner.name), 1);
        let (offered, remote) = (vec![name("/noise")], Vec::new());
        assert_eq!(link.a.error, Some(Error::NothingInCommon { stage: Stage::Security, offered, remote }));
    }
}

// ---- what costs more, and by how much

#[cfg(feature = "tls")]
#[test]
fn a_security_protocol_that_is_refused_first_takes_one_more() {
    let two = [Security::Tls, Security::Noise];
    for (name, far) in everyone() {
        let mut link = Link::new(&two, &[Muxer::Yamux], far);
        link.ask(&[ECHO], Open::Lazy);
        link.expect(&format!("fresh, two security protocols offered, the first refused, {name}"), 4);
        assert_said(link.said()[0], &["security: header", "security: proposes /tls/1.0.0"]);
        assert_said(link.said()[1], &["security: proposes /noise"]);
    }
    let mut link = Link::new(&two, &[Muxer::Yamux], ours(&two, &[Muxer::Yamux]));
    link.ask(&[ECHO], Open::Lazy);
    link.expect("fresh, /tls/1.0.0 and /noise offered, the first taken, ours", 3);
}

#[test]
fn a_fresh_connection_that_waits_with_its_request_takes_one_more() {
    for (name, far) in everyone() {
        let mut link = Link::new(&[Security::Noise], &[Muxer::Yamux], far);
        link.ask(&[ECHO], Open::Wait);
        link.expect(&format!("fresh, the stream not lazy, {name}"), 3);
    }
}

#[test]
fn each_name_that_is_refused_first_takes_one_more() {
    for (name, far) in everyone() {
        let mut link = Link::used(far);
        link.ask(&["/none", "/nothing", ECHO], Open::Lazy);
        link.expect(&format!("a new stream, two names refused first, {name}"), 4);
    }
}

#[cfg(feature = "mplex")]
#[test]
fn a_muxer_that_is_refused_first_takes_one_more() {
    for manner in [PY, RUST] {
        let mut link = Link::new(&[Security::Noise], &[Muxer::Mplex, Muxer::Yamux], by_hand(manner));
        link.ask(&[ECHO], Open::Lazy);
        link.expect(&format!("fresh, two muxers offered, the first refused, {}", manner.name), 4);
    }
    for manner in [GO, JS] {
        let mut link = Link::new(&[Security::Noise], &[Muxer::Mplex, Muxer::Yamux], by_hand(manner));
        link.ask(&[ECHO], Open::Lazy);
        link.expect(&format!("fresh, two muxers offered, the second named by {}", manner.name), 2);
    }
}

#[test]
fn the_dialer_knows_its_peer_after_1_round_trip() {
    for (name, far) in everyone() {
        let mut link = Link::new(&[Security::Noise], &[Muxer::Yamux], far);
        link.run(|a| a.conn.stats().secured.is_some());
        link.expect(&format!("fresh, until the peer is known, {name}"), 1);
        let mark = link.a.conn.stats().secured.unwrap();
        assert_eq!((mark.after, mark.round_trips), (2 * ONE_WAY, 1), "{name}");
    }
}

// ---- whoever dials us

/// A dialer that waits for the header before it proposes anything, and for the agreement before it says more, as py does.
/// Says each line when it has heard what the last one waits for. Returns when it had heard it.
fn dial_slowly(script: &[(Vec<u8>, &[u8])]) -> Vec<Duration> {
    let config = config_of(LISTENER, Security::defaults(), vec![Muxer::Yamux], Limits::default());
    let mut conn = Connection::secured(now(), Role::Listener, config, peer(DIALER));
    conn.set_names(known(&[ECHO]));
    let mut b = End::of(conn);
    b.echoes = true;
    let mut at = now();
    // What is on its way to the dialer, and when it arrives.
    let mut back = VecDeque::from([(at + ONE_WAY, b.handle(at, &[]))]);
    let (mut heard, mut times) = (Vec::new(), Vec::new());
    for (line, answer) in script {
        let arrives = at + ONE_WAY;
        back.push_back((arrives + ONE_WAY, b.handle(arrives, line)));
        while !heard.windows(answer.len()).any(|bytes| bytes == *answer) {
            let (when, bytes) = back.pop_front().expect("an answer");
            (at, heard) = (when, [heard, bytes].concat());
        }
        heard.clear();
        times.push(at.since(now()));
    }
    assert!(b.saw(&Event::Ready { peer: peer(DIALER), security: None, muxer: Muxer::Yamux }));
    times
}

#[test]
fn a_dialer_that_waits_for_our_header_has_it_before_it_could_ask() {
    let frame = |flags: u8, body: &[u8]| [&[0, 0, 0, flags, 0, 0, 0, 1, 0, 0, 0, body.len() as u8][..], body].concat();
    let echo: &[u8] = b"\x0c/echo/1.0.0\n";
    let yamux: &[u8] = b"\x0d/yamux/1.0.0\n";
    let times = dial_slowly(&[
        (HEADER.to_vec(), HEADER),
        (yamux.to_vec(), yamux),
        (frame(1, HEADER), HEADER),
        (frame(0, echo), echo),
        (frame(0, b"ping"), b"ping"),
    ]);
    println!("to a dialer that waits for every answer: {times:?}");
    // The first header crosses the dialer's own; everything else is a round trip of the dialer's choosing.
    assert_eq!(times, [1, 3, 5, 7, 9].map(|halves| ONE_WAY * halves));
}

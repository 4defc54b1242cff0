//! A man in the middle who changes, drops, adds, repeats, swaps or keeps back whatever he likes: never another peer than
//! the true one, never payload that was not sent, and always an end of which both are told in time.

#![cfg(all(feature = "noise", feature = "yamux"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use core::ops::Range;
use std::sync::{Arc, LazyLock};

use common::{DIALER, End, LISTENER, config_of, known, now, peer, secs};
use proptest::prelude::*;
use sanswarm_connection::{Config, Connection, Event, Hangup, Limits, Muxer, Open, Security};
use sanswarm_wire::{Deadline, Instant, Role};

const ECHO: &str = "/echo/1.0.0";

/// What is asked on each stream, and echoed: two of the dialer's, then one of the listener's.
const ASKED: [&[u8]; 3] =
    [b"lazily asked by the dialer", b"asked by the dialer, who waits", b"the listener asks as well"];

/// Where in a direction's bytes something is done, and what: so many are dropped, these come in their place, and the next
/// one is changed by a mask.
#[derive(Clone, Debug, Default)]
struct Edit {
    at: usize,
    drop: usize,
    insert: Vec<u8>,
    mask: u8,
}

/// What the man in the middle does in one direction.
#[derive(Clone, Debug)]
struct Way {
    edits: Vec<Edit>,
    /// Nothing passes from here on.
    cut: usize,
    /// Whether an end of the bytes is told, there or where the sender hangs up.
    tells_end: bool,
    /// What has come in, and how much of what comes next is dropped.
    came: usize,
    drops: usize,
    mask: u8,
    /// What is to go out.
    hand: Vec<u8>,
    /// All that came in, and where a flight of it ended.
    tap: Vec<u8>,
    flights: Vec<usize>,
}

impl Way {
    fn new(mut edits: Vec<Edit>) -> Self {
        edits.sort_by_key(|edit| core::cmp::Reverse(edit.at));
        let (hand, tap, flights) = Default::default();
        Self { edits, cut: usize::MAX, tells_end: true, came: 0, drops: 0, mask: 0, hand, tap, flights }
    }

    fn honest() -> Self {
        Self::new(Vec::new())
    }

    fn cut(at: usize, tells_end: bool) -> Self {
        Self { cut: at, tells_end, ..Self::honest() }
    }

    fn flip(at: usize, mask: u8) -> Self {
        Self::new(vec![Edit { at, mask, ..Edit::default() }])
    }

    fn pass(&mut self, bytes: &[u8]) {
        self.tap.extend_from_slice(bytes);
        if !bytes.is_empty() {
            self.flights.push(self.tap.len());
        }
        self.edit();
        for byte in bytes {
            if self.drops > 0 {
                self.drops -= 1;
            } else if self.came < self.cut {
                self.hand.push(*byte ^ core::mem::take(&mut self.mask));
            }
            self.came += 1;
            self.edit();
        }
    }

    fn edit(&mut self) {
        while let Some(edit) = self.edits.pop_if(|edit| edit.at <= self.came) {
            self.drops += edit.drop;
            self.mask ^= edit.mask;
            if self.came < self.cut {
                self.hand.extend(edit.insert);
            }
        }
    }
}

#[derive(Clone, Debug)]
struct Setup {
    security: Security,
    /// Of the dialer and of the listener.
    configs: [Arc<Config>; 2],
    chunk: usize,
    /// Every how manieth position is tried, where not all are: TLS takes its time, and says more.
    stride: usize,
}

impl Setup {
    fn new(security: Security, muxer: Muxer, stride: usize) -> Self {
        let config = |seed| config_of(seed, vec![security], vec![muxer], Limits::default());
        Self { security, configs: [config(DIALER), config(LISTENER)], chunk: usize::MAX, stride }
    }

    /// Whether the same is said each time, and each byte of it counts. TLS has randomness of its own, and some bytes in
    /// its heads that nobody reads.
    fn is_exact(&self) -> bool {
        self.security == Security::Noise
    }
}

/// All that keeps a secret.
static SETUPS: LazyLock<Vec<Setup>> = LazyLock::new(|| {
    vec![
        Setup::new(Security::Noise, Muxer::Yamux, 1),
        #[cfg(feature = "mplex")]
        Setup::new(Security::Noise, Muxer::Mplex, 3),
        #[cfg(feature = "tls")]
        Setup::new(Security::Tls, Muxer::Yamux, 7),
    ]
});

/// Two honest ends and what is between them.
struct Talk {
    a: End,
    b: End,
    at: Instant,
    forth: Way,
    back: Way,
    chunk: usize,
    asked: [sanswarm_connection::StreamId; 3],
}

impl Talk {
    fn new(setup: &Setup, forth: Way, back: Way) -> Self {
        let end = |config: &Arc<Config>, seed, role, expected| {
            let mut conn = Connection::new(now(), role, config.clone(), expected, [seed + 2; 32]);
            conn.set_names(known(&[ECHO]));
            let mut end = End::of(conn);
            end.echoes = true;
            end
        };
        let mut a = end(&setup.configs[0], DIALER, Role::Dialer, Some(peer(LISTENER)));
        let mut b = end(&setup.configs[1], LISTENER, Role::Listener, None);
        let asked = [
            a.request(&[ECHO], Open::Lazy, ASKED[0]),
            a.request(&[ECHO], Open::Wait, ASKED[1]),
            b.request(&[ECHO], Open::Wait, ASKED[2]),
        ];
        Self { a, b, at: now(), forth, back, chunk: setup.chunk, asked }
    }

    /// The whole of it: until nothing moves and nothing waits for time, and then until both ends have ended.
    fn run(setup: &Setup, forth: Way, back: Way) -> Self {
        let mut talk = Self::new(setup, forth, back);
        talk.rest();
        talk.pass_time();
        talk.check();
        // Who has not seen a fault is ready, and closes as any user does in the end.
        let ended = |end: &End| end.error.is_some() || end.events.iter().any(|e| matches!(e, Event::Closed { .. }));
        for end in [&mut talk.a, &mut talk.b] {
            assert!(ended(end) || end.is_ready(), "after {:?}: no end and not ready", talk.at);
            end.conn.close(talk.at);
        }
        talk.rest();
        talk.pass_time();
        assert!(ended(&talk.a) && ended(&talk.b));
        assert_eq!((talk.a.hangup(), talk.b.hangup()), (Hangup::Both, Hangup::Both));
        talk.check();
        talk
    }

    fn rest(&mut self) {
        for _ in 0..100_000 {
            let moved = self.a.settle(self.at) | self.b.settle(self.at);
            let n = carry(&mut self.a, &mut self.b, &mut self.forth, self.chunk)
                + carry(&mut self.b, &mut self.a, &mut self.back, self.chunk);
            if !moved && n == 0 {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    /// Lets every deadline pass. There are few, and none is far.
    fn pass_time(&mut self) {
        let start = self.at;
        for _ in 0..20 {
            let Some(next) = Deadline::sooner(self.a.conn.poll_timeout(), self.b.conn.poll_timeout()) else { return };
            self.at = next.at.max(self.at);
            // 15 s for the upgrade, 10 s for a stream that waits for it, 60 s for a frame that is not whole, at one end and then, by
            // its goodbye, at the other; 1 s for each goodbye.
            assert!(self.at.since(start) <= secs(147), "{}", next.why);
            self.a.conn.handle_timeout(self.at);
            self.b.conn.handle_timeout(self.at);
            self.rest();
        }
        panic!("there is always one more deadline");
    }

    /// What must hold whatever the man in the middle did.
    fn check(&self) {
        for (end, other) in [(&self.a, LISTENER), (&self.b, DIALER)] {
            for event in &end.events {
                match event {
                    Event::Ready { peer: got, .. } => assert_eq!(*got, peer(other)),
                    Event::Opened { protocol, .. } => assert_eq!(protocol.as_str(), ECHO),
                    _ => {}
                }
            }
        }
        let [lazy, waits, listeners] = self.asked;
        let own = [(&self.a, lazy, 0), (&self.a, waits, 1), (&self.b, listeners, 2)];
        for (end, id, which) in own {
            let got = end.got.get(&id).map_or(&[][..], |got| got);
            assert!(ASKED[which].starts_with(got), "an echo of what was asked");
            assert!(!end.ended.contains(&id) || got == ASKED[which], "an end before the end");
        }
        for (end, asked) in [(&self.a, &ASKED[2..]), (&self.b, &ASKED[..2])] {
            let inbound = end.inbound();
            assert!(inbound.len() <= asked.len(), "a stream that nobody opened");
            let mut whole: Vec<_> = inbound.iter().filter_map(|id| end.got.get(id).map(|got| (id, &got[..]))).collect();
            whole.retain(|(_, got)| !got.is_empty());
            for (id, got) in &whole {
                let text = asked.iter().find(|text| text.starts_with(got)).expect("something that was asked");
                assert!(!end.ended.contains(id) || got == text, "an end before the end");
            }
            assert!(!whole.iter().any(|(id, got)| whole.iter().any(|(i, g)| i != id && g[0] == got[0])), "asked twice");
        }
    }

    /// Whether all echoes have come.
    fn is_whole(&self) -> bool {
        let [lazy, waits, listeners] = self.asked;
        let came = |end: &End, id, which: usize| end.ended.contains(&id) && end.got[&id] == ASKED[which];
        came(&self.a, lazy, 0) && came(&self.a, waits, 1) && came(&self.b, listeners, 2)
    }
}

fn carry(from: &mut End, to: &mut End, way: &mut Way, chunk: usize) -> usize {
    let n = from.send.ready().len();
    way.pass(from.send.ready());
    from.send.sent(n);
    let fed = if to.recv.wants() { to.recv.feed(&way.hand[..way.hand.len().min(chunk)]) } else { 0 };
    way.hand.drain(..fed);
    let was_eof = to.recv.is_eof();
    let over = from.hangup() >= Hangup::Write || way.came >= way.cut;
    if over && way.tells_end && way.hand.is_empty() {
        to.recv.set_eof();
    }
    n + fed + usize::from(to.recv.is_eof() && !was_eof)
}

/// A talk that nobody disturbs: the bytes of the two directions, and where their flights end.
fn undisturbed(setup: &Setup) -> [(Vec<u8>, Vec<usize>); 2] {
    let mut talk = Talk::new(setup, Way::honest(), Way::honest());
    talk.rest();
    assert!(talk.is_whole());
    [(talk.forth.tap, talk.forth.flights), (talk.back.tap, talk.back.flights)]
}

/// One direction is disturbed, the other is not.
fn disturbed(setup: &Setup, forth: bool, way: Way) -> Talk {
    if forth { Talk::run(setup, way, Way::honest()) } else { Talk::run(setup, Way::honest(), way) }
}

/// The flights as ranges.
fn ranges(flights: &[usize]) -> Vec<Range<usize>> {
    flights.iter().scan(0, |start, end| Some(core::mem::replace(start, *end)..*end)).collect()
}

// ---- every position

#[test]
fn nothing_is_missing_where_nobody_is_in_the_middle() {
    for setup in SETUPS.iter() {
        let talk = Talk::run(setup, Way::honest(), Way::honest());
        assert!(talk.is_whole() && talk.a.error.is_none() && talk.b.error.is_none());
    }
}

#[test]
fn a_changed_byte_anywhere() {
    for setup in SETUPS.iter() {
        for ((all, _), forth) in undisturbed(setup).iter().zip([true, false]) {
            for at in (0..all.len()).step_by(setup.stride) {
                let talk = disturbed(setup, forth, Way::flip(at, 1 << (at % 8)));
                let is_noticed = !talk.is_whole() || talk.a.error.is_some() || talk.b.error.is_some();
                assert!(is_noticed || !setup.is_exact(), "unnoticed at {at}");
            }
        }
    }
}

/// Each bit of the negotiation and of the handshake.
#[test]
fn a_changed_bit_anywhere_in_the_handshake() {
    let setup = &SETUPS[0];
    for ((_, flights), forth) in undisturbed(setup).iter().zip([true, false]) {
        // The dialer's second flight begins with the last message of the handshake, 186 bytes.
        let handshake = if forth { flights[0] + 186 } else { flights[1] };
        for at in 0..handshake {
            for bit in 0..8 {
                let talk = disturbed(setup, forth, Way::flip(at, 1 << bit));
                assert!(!(talk.a.is_ready() && talk.b.is_ready()), "unnoticed at {at}, bit {bit}");
            }
        }
    }
}

#[test]
fn a_byte_too_few_or_too_many_anywhere() {
    let setup = &SETUPS[0];
    for ((all, _), forth) in undisturbed(setup).iter().zip([true, false]) {
        for (at, byte) in all.iter().enumerate() {
            disturbed(setup, forth, Way::new(vec![Edit { at, drop: 1, ..Edit::default() }]));
            disturbed(setup, forth, Way::new(vec![Edit { at, insert: vec![*byte], ..Edit::default() }]));
        }
    }
}

#[test]
fn an_end_or_silence_anywhere() {
    for setup in SETUPS.iter() {
        for ((all, _), forth) in undisturbed(setup).iter().zip([true, false]) {
            for at in (0..=all.len()).step_by(setup.stride) {
                for tells_end in [true, false] {
                    let talk = disturbed(setup, forth, Way::cut(at, tells_end));
                    assert!(at == all.len() || !talk.is_whole() || !setup.is_exact());
                }
            }
        }
    }
}

// ---- whole flights

/// A flight of either direction comes again, or in the place of another, or in the face of its sender.
#[test]
fn a_flight_again_or_instead_of_another() {
    for setup in SETUPS.iter() {
        let both = undisturbed(setup);
        let all: Vec<&[u8]> = both.iter().flat_map(|(all, f)| ranges(f).into_iter().map(|r| &all[r])).collect();
        for ((_, flights), forth) in both.iter().zip([true, false]) {
            for place in ranges(flights) {
                for flight in &all {
                    for (at, drop) in [(place.start, 0), (place.end, 0), (place.start, place.len())] {
                        let edit = Edit { at, drop, insert: flight.to_vec(), mask: 0 };
                        disturbed(setup, forth, Way::new(vec![edit]));
                    }
                }
            }
        }
    }
}

#[test]
fn two_flights_swapped_or_one_lost() {
    for setup in SETUPS.iter() {
        for ((all, flights), forth) in undisturbed(setup).iter().zip([true, false]) {
            let flights = ranges(flights);
            for (i, one) in flights.iter().enumerate() {
                let lost = Edit { at: one.start, drop: one.len(), ..Edit::default() };
                disturbed(setup, forth, Way::new(vec![lost.clone()]));
                for other in &flights[i + 1..] {
                    let insert = all[one.clone()].to_vec();
                    let later = Edit { at: other.start, drop: other.len(), insert, mask: 0 };
                    let earlier = Edit { insert: all[other.clone()].to_vec(), ..lost.clone() };
                    disturbed(setup, forth, Way::new(vec![lost.clone(), later.clone()]));
                    disturbed(setup, forth, Way::new(vec![earlier, later]));
                }
            }
        }
    }
}

/// What was recorded of another session between the same two, with other ephemeral keys.
#[test]
fn a_recorded_session_is_worth_nothing() {
    for setup in SETUPS.iter() {
        let [(forth, _), (back, _)] = undisturbed(setup);
        for (role, seed, recorded) in [(Role::Dialer, DIALER, &back), (Role::Listener, LISTENER, &forth)] {
            for chunk in [1, 100, recorded.len()] {
                let config = setup.configs[usize::from(seed == LISTENER)].clone();
                let expected = role.is_dialer().then(|| peer(LISTENER));
                let mut end = End::of(Connection::new(now(), role, config, expected, [93; 32]));
                end.settle(now());
                for piece in recorded.chunks(chunk) {
                    assert_eq!(end.recv.feed(piece), piece.len());
                    end.settle(now());
                }
                assert!(end.error.is_some() && end.events.is_empty(), "{:?}", end.events);
            }
        }
    }
}

// ---- anything

#[derive(Clone, Debug)]
enum Trick {
    Flip {
        mask: u8,
    },
    Drop {
        len: usize,
    },
    Insert {
        bytes: Vec<u8>,
    },
    /// What was said at another place, in either direction.
    Repeat {
        forth: bool,
        from: prop::sample::Index,
        len: usize,
    },
    /// The next bytes come behind those that follow them.
    Swap {
        len: usize,
    },
}

fn trick() -> impl Strategy<Value = Trick> {
    prop_oneof![
        3 => (1u8..).prop_map(|mask| Trick::Flip { mask }),
        2 => prop_oneof![1usize..20, 1usize..600].prop_map(|len| Trick::Drop { len }),
        2 => prop::collection::vec(any::<u8>(), 1..80).prop_map(|bytes| Trick::Insert { bytes }),
        3 => (any::<bool>(), any::<prop::sample::Index>(), prop_oneof![1usize..40, 1usize..600])
            .prop_map(|(forth, from, len)| Trick::Repeat { forth, from, len }),
        2 => prop_oneof![1usize..20, 1usize..300].prop_map(|len| Trick::Swap { len }),
    ]
}

/// A trick as edits of what an undisturbed talk says in these two directions, the tricked one first.
fn edits(trick: &Trick, at: usize, this: &[u8], other: &[u8]) -> Vec<Edit> {
    let part = |bytes: &[u8], from: usize, len: usize| bytes[from..bytes.len().min(from + len)].to_vec();
    match trick {
        Trick::Flip { mask } => vec![Edit { at, mask: *mask, ..Edit::default() }],
        Trick::Drop { len } => vec![Edit { at, drop: *len, ..Edit::default() }],
        Trick::Insert { bytes } => vec![Edit { at, insert: bytes.clone(), ..Edit::default() }],
        Trick::Repeat { forth, from, len } => {
            let of = if *forth { this } else { other };
            vec![Edit { at, insert: part(of, from.index(of.len()), *len), ..Edit::default() }]
        }
        Trick::Swap { len } => {
            let lost = Edit { at, drop: *len, ..Edit::default() };
            vec![lost, Edit { at: at + 2 * len, insert: part(this, at, *len), ..Edit::default() }]
        }
    }
}

proptest! {
    #[test]
    fn any_tricks_anywhere_in_both_directions(
        setup in 0..SETUPS.len(),
        chunk in prop_oneof![Just(usize::MAX), 1usize..100],
        tricks in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>(), trick()), 0..5),
        cut in prop::option::weighted(0.3, (any::<bool>(), 0usize..1500)),
        tells_end in any::<bool>(),
    ) {
        let setup = &Setup { chunk, ..SETUPS[setup].clone() };
        let [(forth, _), (back, _)] = undisturbed(setup);
        let mut all = [Vec::new(), Vec::new()];
        for (goes_forth, at, trick) in &tricks {
            let (this, other) = if *goes_forth { (&forth, &back) } else { (&back, &forth) };
            all[usize::from(!goes_forth)].extend(edits(trick, at.index(this.len()), this, other));
        }
        let [mut there, mut here] = all.map(|edits| Way { tells_end, ..Way::new(edits) });
        match cut {
            Some((true, at)) => there.cut = at,
            Some((false, at)) => here.cut = at,
            None => {}
        }
        let talk = Talk::run(setup, there, here);
        prop_assert!(!tricks.is_empty() || cut.is_some() || talk.is_whole());
    }
}

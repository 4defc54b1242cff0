//! What a session holds: readers who stop, streams that are idle, sessions that have become idle.

mod common;

use common::{
    pair::{End, carry},
    *,
};
use sanswarm_wire::{Role, SendBuf};
use sanswarm_yamux::{Config, GoAway, Limits, Session};

/// 64 streams, each offered 16 MiB, and readers who have stopped; then they read on.
#[test]
fn readers_who_stop_cost_a_window_each_and_nothing_is_lost() {
    const STREAMS: usize = 64;
    const OFFERED: usize = (1 << 30) / STREAMS;
    let mut ends = [Role::Dialer, Role::Listener].map(|role| End::new(role, Config::default(), SendBuf::CAPACITY));
    let [a, b] = &mut ends;
    let wires: Vec<u32> = (0..STREAMS).map(|_| a.open().expect("few")).collect();
    for wire in &wires {
        a.offer(NOW, *wire, OFFERED);
    }
    let mut carried = 1;
    while carried > 0 {
        a.take_turns(NOW);
        a.session.poll_transmit(NOW, &mut a.send);
        a.take_turns(NOW);
        b.session.poll_transmit(NOW, &mut b.send);
        carried = carry(NOW, a, b, usize::MAX) + carry(NOW, b, a, usize::MAX);
    }
    // Each holds its window and no more, the session next to nothing, and it lives.
    for wire in &wires {
        assert_eq!(b.half(*wire).inbox.len(), WINDOW as usize);
        assert_eq!(a.half(*wire).written, WINDOW as usize);
    }
    assert!(a.session.heap_bytes() + b.session.heap_bytes() < 256 * STREAMS);
    assert!(a.send.is_empty() && b.recv.is_empty());
    assert!(a.session.ping(NOW));
    a.session.poll_transmit(NOW, &mut a.send);
    carry(NOW, a, b, usize::MAX);
    b.session.poll_transmit(NOW, &mut b.send);
    carry(NOW, b, a, usize::MAX);
    assert_eq!(a.said.len(), 1, "the pong");
    // One reads on: it goes on, and only it.
    let first = wires[0];
    while b.half(first).read < OFFERED {
        b.read(first, usize::MAX);
        b.session.poll_transmit(NOW, &mut b.send);
        carry(NOW, b, a, usize::MAX);
        a.take_turns(NOW);
        a.session.poll_transmit(NOW, &mut a.send);
        carry(NOW, a, b, usize::MAX);
    }
    assert!(wires[1..].iter().all(|wire| b.half(*wire).inbox.len() == WINDOW as usize));
    // All read on: each byte comes.
    while wires.iter().any(|wire| b.half(*wire).read < OFFERED) {
        for wire in &wires {
            b.read(*wire, usize::MAX);
        }
        b.session.poll_transmit(NOW, &mut b.send);
        carry(NOW, b, a, usize::MAX);
        a.take_turns(NOW);
        a.session.poll_transmit(NOW, &mut a.send);
        carry(NOW, a, b, usize::MAX);
    }
}

/// Two ends with `count` streams that have been opened and accepted, one at a time.
fn opened_pair(count: usize) -> [End; 2] {
    let limits = Limits { streams: count, unacknowledged: count, unaccepted: count, ..Limits::default() };
    let config = Config { limits, ..Config::default() };
    let mut ends = [Role::Dialer, Role::Listener].map(|role| End::new(role, config.clone(), SendBuf::CAPACITY));
    let [a, b] = &mut ends;
    for _ in 0..count {
        let wire = a.open().expect("within the limit");
        a.offer(NOW, wire, 5);
        carry(NOW, a, b, usize::MAX);
        b.read(wire, 5);
        b.offer(NOW, wire, 5);
        b.session.poll_transmit(NOW, &mut b.send);
        carry(NOW, b, a, usize::MAX);
        a.read(wire, 5);
    }
    ends
}

#[test]
fn an_idle_stream_costs_at_most_128_bytes_a_side() {
    for count in [100, 999, 5000] {
        for end in opened_pair(count) {
            assert_eq!(end.session.len(), count);
            let each = end.session.heap_bytes() / count;
            assert!(each <= 128, "{each} bytes for each of {count}");
        }
    }
}

#[test]
fn a_session_that_has_become_idle_gives_its_memory_back() {
    let mut ends = opened_pair(3000);
    let [a, b] = &mut ends;
    // Work for every queue: short writes, credit, resets, pongs.
    for wire in a.halves.keys().copied().collect::<Vec<_>>() {
        a.offer(NOW, wire, 100);
    }
    assert!(a.session.heap_bytes() > 3000 * 40);
    for (i, wire) in a.halves.keys().copied().collect::<Vec<_>>().into_iter().enumerate() {
        if i % 2 == 0 { a.reset(wire) } else { b.reset(wire) }
    }
    b.session.ping(NOW);
    for _ in 0..100 {
        a.session.poll_transmit(NOW, &mut a.send);
        carry(NOW, a, b, usize::MAX);
        b.session.poll_transmit(NOW, &mut b.send);
        carry(NOW, b, a, usize::MAX);
    }
    for end in [a, b] {
        assert!(end.session.is_idle());
        assert!(end.session.heap_bytes() <= 2048, "{}", end.session.heap_bytes());
    }
}

#[test]
fn tables_stay_while_streams_are_live() {
    let mut ends = opened_pair(100);
    let [a, b] = &mut ends;
    let before = b.session.heap_bytes();
    let wire = *a.halves.keys().next().expect("100 streams");
    a.reset(wire);
    a.session.poll_transmit(NOW, &mut a.send);
    carry(NOW, a, b, usize::MAX);
    assert_eq!((b.session.len(), b.session.heap_bytes()), (99, before));
}

#[test]
fn room_for_a_few_replies_is_kept() {
    for (replies, kept) in [(16, true), (17, false)] {
        let mut session = dialer();
        let stream = session.open().unwrap();
        due(&mut session);
        session.go_away(GoAway::Normal);
        due(&mut session);
        let before = session.heap_bytes();
        for i in 1..=replies {
            assert_eq!(events(&mut session, &head((DATA, SYN, 2 * i, 0))), Ok(vec![]));
        }
        let while_owed = session.heap_bytes();
        assert!(while_owed >= before + 4 * replies as usize);
        assert_eq!(due(&mut session).len(), replies as usize);
        assert_eq!(session.heap_bytes(), if kept { while_owed } else { before });
        assert!(session.recv_window(stream).is_some());
    }
}

#[test]
fn stream_after_stream_takes_no_more_memory() {
    let (mut session, mut send) = (dialer(), SendBuf::default());
    let mut most = 0;
    for i in 0..10_000u32 {
        let stream = session.open().unwrap();
        session.write(NOW, stream, b"hello", &mut send).unwrap();
        session.finish(stream).unwrap();
        session.poll_transmit(NOW, &mut send);
        send.sent(usize::MAX);
        events(&mut session, &data(ACK | FIN, 2 * i + 1, b"bye")).unwrap();
        assert!(session.is_idle());
        most = most.max(session.heap_bytes());
        assert_eq!(session.heap_bytes(), most, "kept, not taken and given back each time");
    }
    assert!(most <= 1024, "{most}");
}

#[test]
fn a_fresh_session_holds_nothing() {
    let session = Session::new(Role::Dialer, Config::default());
    assert_eq!(session.heap_bytes(), 0);
    assert!(size_of::<Session>() <= 640, "{}", size_of::<Session>());
}

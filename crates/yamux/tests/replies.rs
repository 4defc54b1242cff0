//! Replies: bounded, and never behind payload.

mod common;

use common::{pair::End, pair::carry, *};
use sanswarm_wire::{Framing, Role, SendBuf};
use sanswarm_yamux::{Config, GoAway, Limits, Session};

/// A session whose buffer is full of payload, and the stream that filled it.
fn full() -> (Session, SendBuf) {
    let (mut session, mut send) = (listener(), SendBuf::new(64 * 1024));
    let stream = opened(&mut session, &head((DATA, SYN, 1, 0)));
    assert!(session.write(NOW, stream, &vec![0; 200_000], &mut send).is_ok_and(|n| n < 200_000));
    assert!(send.room() <= 12, "no room for payload");
    (session, send)
}

/// The heads behind the payload that was there.
fn behind(send: &SendBuf, payload: usize) -> Vec<Head> {
    heads(&send.ready()[payload..])
}

#[test]
fn replies_find_room_in_a_buffer_full_of_payload() {
    let (mut session, mut send) = full();
    let payload = send.ready().len();
    let busy = opened(&mut session, &data(SYN, 3, &vec![0; WINDOW as usize]));
    let gone = opened(&mut session, &head((DATA, SYN, 5, 0)));
    events(&mut session, &head((PING, SYN, 0, 7))).unwrap();
    session.consumed(busy, WINDOW as usize);
    session.reset(gone).unwrap();
    session.ping(NOW);
    session.go_away(GoAway::Normal);
    session.poll_transmit(NOW, &mut send);
    let replies =
        [(PING, ACK, 0, 7), (PING, SYN, 0, 0), (DATA, RST, 5, 0), (WINDOW_UPDATE, 0, 3, WINDOW), (GO_AWAY, 0, 0, 0)];
    assert_eq!(behind(&send, payload), replies);
}

#[test]
fn a_flood_of_pings_keeps_no_credit_and_no_reset_waiting() {
    let (mut session, mut send) = full();
    let payload = send.ready().len();
    let busy = opened(&mut session, &data(SYN, 3, &vec![0; WINDOW as usize]));
    session.consumed(busy, WINDOW as usize);
    let flood = head((PING, SYN, 0, 9)).repeat(5000);
    let (mut input, mut rounds) = (flood, 0);
    while !input.is_empty() && send.control_room() >= 12 {
        feed(&mut session, &mut input).unwrap();
        assert!(session.is_held(), "eight pongs are owed and no more is taken");
        session.poll_transmit(NOW, &mut send);
        rounds += 1;
        if rounds == 1 {
            assert!(behind(&send, payload).contains(&(WINDOW_UPDATE, 0, 3, WINDOW)), "in the first flush");
        }
    }
    // The peer reads nothing: the buffer is full, what is owed is bounded, and the rest of the flood is the peer's.
    assert!(input.len() > 12 * 4000);
    feed(&mut session, &mut input).unwrap();
    assert!(session.is_held());
    assert_eq!(session.poll_transmit(NOW, &mut send), 0);
    assert!(session.heap_bytes() < 2048, "{}", session.heap_bytes());
    // It reads again, and all is answered.
    let mut pongs = behind(&send, payload).iter().filter(|head| **head == (PING, ACK, 0, 9)).count();
    while !input.is_empty() || session.is_held() {
        send.sent(usize::MAX);
        session.poll_transmit(NOW, &mut send);
        pongs += heads(send.ready()).iter().filter(|head| **head == (PING, ACK, 0, 9)).count();
        feed(&mut session, &mut input).unwrap();
    }
    send.sent(usize::MAX);
    session.poll_transmit(NOW, &mut send);
    assert_eq!(pongs + heads(send.ready()).len(), 5000);
}

#[test]
fn what_does_not_fit_is_sent_later_and_once() {
    // Room for `spare` bytes of control frames, whole heads or not; each flush sends what fits, in order.
    for spare in [0, 11, 12, 23, 24, 36, 48, 60] {
        let (mut session, mut send) = (listener(), SendBuf::new(16 * 1024));
        let busy = opened(&mut session, &data(SYN, 1, &vec![0; WINDOW as usize]));
        let gone = opened(&mut session, &head((DATA, SYN, 3, 0)));
        session.open().unwrap();
        events(&mut session, &[head((PING, SYN, 0, 7)), head((PING, SYN, 0, 8))].concat()).unwrap();
        session.reset(gone).unwrap();
        session.consumed(busy, WINDOW as usize);
        session.go_away(GoAway::Other(5));
        let all = [
            (PING, ACK, 0, 7),
            (PING, ACK, 0, 8),
            (DATA, RST, 3, 0),
            (WINDOW_UPDATE, SYN, 2, 0),
            (WINDOW_UPDATE, 0, 1, WINDOW),
            (PING, SYN, 0, 0),
            (GO_AWAY, 0, 0, 5),
        ];
        let mut sent = Vec::new();
        while sent.len() < all.len() {
            let filler = send.control_room() - spare;
            assert!(send.append(&vec![0; filler]));
            let n = session.poll_transmit(NOW, &mut send);
            assert_eq!(n, (spare / 12).min(all.len() - sent.len()) * 12);
            sent.extend(heads(&send.ready()[filler..]));
            send.sent(usize::MAX);
            if spare < 12 {
                assert!(!session.is_idle());
                break;
            }
        }
        assert_eq!(sent, all[..sent.len()]);
        assert_eq!(session.poll_transmit(NOW, &mut send) == 0, spare >= 12);
    }
}

#[test]
fn heads_are_never_split_by_a_frame_of_the_cipher() {
    let (mut session, mut send) = (dialer(), SendBuf::default());
    send.set_framing(Framing { prefix: 2, suffix: 3, plain_max: 30 });
    for _ in 0..5 {
        session.open().unwrap();
    }
    let mut sent = Vec::new();
    while session.poll_transmit(NOW, &mut send) > 0 {
        sent.extend(heads(send.open_frame().unwrap()));
        send.close_frame(b"..", b"...");
    }
    assert_eq!(sent, [1, 3, 5, 7, 9].map(|id| (WINDOW_UPDATE, SYN, id, 0)));
}

#[test]
fn resets_that_are_owed_hold_the_input_and_are_given_back() {
    let limits = Limits { control: 1000, unaccepted: 1, ..Limits::default() };
    let mut session = Session::new(Role::Listener, Config { limits, ..Config::default() });
    let syns: Vec<u8> = (0..1200).flat_map(|i| head((DATA, SYN, 2 * i + 1, 0))).collect();
    let mut input = syns.clone();
    feed(&mut session, &mut input).unwrap();
    assert!(session.is_held());
    assert_eq!(input.len(), 12 * 199, "one is open, a thousand are refused, the others wait outside");
    assert!(session.heap_bytes() > 4000);
    assert_eq!(due(&mut session).len(), 1000);
    assert!(!session.is_held() && session.heap_bytes() < 1000, "{}", session.heap_bytes());
}

/// Two ends that flood each other with pings and resets while both have payload to send: all gets through.
#[test]
fn payload_and_replies_share_a_small_buffer() {
    let mut ends = [Role::Dialer, Role::Listener].map(|role| End::new(role, Config::default(), 16 * 1024));
    let [a, b] = &mut ends;
    let (up, down) = (a.open().unwrap(), b.open().unwrap());
    a.offer(NOW, up, 500_000);
    b.offer(NOW, down, 500_000);
    let mut pongs = 0;
    for round in 0.. {
        assert!(round < 3000, "stuck");
        for is_a in [true, false] {
            let (me, other) = if is_a { (&mut *a, &mut *b) } else { (&mut *b, &mut *a) };
            me.session.ping(NOW);
            if let Some(wire) = me.open() {
                me.session.poll_transmit(NOW, &mut me.send);
                me.reset(wire);
            }
            me.take_turns(NOW);
            me.session.poll_transmit(NOW, &mut me.send);
            carry(NOW, me, other, 9000);
            for wire in other.halves.keys().copied().collect::<Vec<_>>() {
                other.read(wire, usize::MAX);
            }
        }
        pongs += a.said.drain(..).count() + b.said.drain(..).count();
        if a.half(up).left + b.half(down).left == 0 && a.half(down).read + b.half(up).read == 1_000_000 {
            break;
        }
    }
    assert!(pongs > 50, "{pongs}");
}

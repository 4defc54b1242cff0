//! What a transcript tells of a connection.

#![cfg(all(feature = "noise", feature = "yamux", feature = "mplex"))]

mod common;

use common::{LISTENER, Pair, peer};
use sanswarm_connection::{
    Direction, Limits, Muxer, Open,
    transcript::{ENTRIES_MAX, Entry, Layer, Level, What},
};

const ECHO: &str = "/echo/1.0.0";

fn on(mut pair: Pair, level: Level) -> Pair {
    pair.a.conn.set_transcript(level);
    pair.b.conn.set_transcript(level);
    pair
}

fn entries(end: &mut common::End) -> Vec<Entry> {
    core::iter::from_fn(|| end.conn.poll_transcript()).collect()
}

/// An entry as a line: direction, layer, stream, what, bytes.
fn line(entry: &Entry) -> String {
    let arrow = if entry.direction == Direction::Outbound { ">" } else { "<" };
    let stream = entry.stream.map(|s| format!(" {}", s.number)).unwrap_or_default();
    format!("{arrow} {}{stream}: {} ({})", entry.layer, entry.what, entry.bytes)
}

fn lines(end: &mut common::End) -> Vec<String> {
    entries(end).iter().map(line).collect()
}

/// What both ends write down of a lazy echo.
fn echo(muxer: Muxer, level: Level, chunk: usize) -> [Vec<String>; 2] {
    let pair = Pair::over(muxer, &[ECHO], Limits::default());
    let mut pair = on(Pair { chunk, ..pair }, level);
    pair.a.request(&[ECHO], Open::Lazy, b"secret text");
    pair.run();
    [lines(&mut pair.a), lines(&mut pair.b)]
}

#[test]
fn the_dialer_of_an_echo_sees_every_layer() {
    let mut pair = on(Pair::new(&[ECHO]), Level::Negotiation);
    pair.a.request(&["/none", ECHO], Open::Wait, b"secret text");
    pair.run();
    let them = peer(LISTENER);
    let expected = [
        "> security: header (20)",
        "> security: proposes /noise (8)",
        "> handshake: handshake, turn 1 (34)",
        "< security: header (20)",
        "< security: agrees to /noise (8)",
        "< handshake: handshake, turn 2 (218)",
        &format!("< handshake: is {them} (0)"),
        "> handshake: handshake, turn 3 (186)",
        "< handshake: offers /yamux/1.0.0 (0)",
        "> stream 1: header (20)",
        "> stream 1: proposes /none (7)",
        "< connection: ready: /noise, /yamux/1.0.0 (0)",
        "< stream 1: header (20)",
        "< stream 1: na: does not speak it (4)",
        "> stream 1: proposes /echo/1.0.0 (13)",
        "< stream 1: agrees to /echo/1.0.0 (13)",
    ];
    assert_eq!(lines(&mut pair.a), expected);
}

#[test]
fn frames_are_shown_with_their_streams() {
    let mut pair = on(Pair::new(&[ECHO]), Level::Frames);
    pair.a.request(&[ECHO], Open::Lazy, b"secret text");
    pair.run();
    pair.a.conn.close(pair.at);
    pair.run();
    let (dialer, listener) = (lines(&mut pair.a), lines(&mut pair.b));
    let after = dialer.iter().position(|line| line.starts_with("> session")).unwrap();
    let expected = [
        "> session 1: DATA SYN 33 bytes (12)",
        "> stream 1: header (20)",
        "> stream 1: proposes /echo/1.0.0 (13)",
        "> channel: frame of 45 bytes (63)",
        "< connection: ready: /noise, /yamux/1.0.0 (0)",
        "> session 1: DATA 11 bytes (12)",
        "> session 1: DATA FIN 0 bytes (12)",
        "> channel: frame of 35 bytes (53)",
        "< channel: frame of 80 bytes (98)",
        "< session 1: DATA ACK 33 bytes (12)",
        "< stream 1: header (20)",
        "< stream 1: agrees to /echo/1.0.0 (13)",
        "< session 1: DATA 11 bytes (12)",
        "< session 1: DATA FIN 0 bytes (12)",
        "> connection: ended: we closed the connection (0)",
        "> session: GO_AWAY 0 (12)",
        "> channel: frame of 12 bytes (30)",
    ];
    assert_eq!(dialer[after..], expected);
    let end = [
        "< session: GO_AWAY 0 (12)",
        "< connection: ended: the peer said good-bye and no stream was left (0)",
        "> session: GO_AWAY 0 (12)",
        "> channel: frame of 12 bytes (30)",
    ];
    assert_eq!(listener[listener.len() - 4..], end);
}

#[test]
fn what_one_end_sent_the_other_end_got() {
    for muxer in [Muxer::Yamux, Muxer::Mplex] {
        for chunk in [1, 7, usize::MAX] {
            let [dialer, listener] = echo(muxer, Level::Frames, chunk);
            let only = |lines: &[String], arrow: &str| -> Vec<String> {
                let told = |line: &&String| line.starts_with(arrow) && !line.ends_with("(0)");
                let mut lines: Vec<_> = lines.iter().filter(told).map(|line| line[2..].to_owned()).collect();
                lines.sort();
                lines
            };
            assert_eq!(only(&dialer, ">"), only(&listener, "<"), "{muxer} {chunk}");
            assert_eq!(only(&dialer, "<"), only(&listener, ">"), "{muxer} {chunk}");
            assert!(!dialer.iter().chain(&listener).any(|line| line.contains("secret")));
        }
    }
}

#[test]
fn a_negotiation_that_fails_is_shown_with_both_lists() {
    let mut pair = on(Pair::of_muxers(&[Muxer::Yamux], &[Muxer::Mplex]), Level::Negotiation);
    pair.run();
    let got = lines(&mut pair.a);
    assert_eq!(got[got.len() - 2], "< handshake: offers /mplex/6.7.0 (0)");
    let failed = "muxer: nothing in common; we offered /yamux/1.0.0, the peer /mplex/6.7.0";
    assert_eq!(got.last().unwrap(), &format!("> connection: failed: {failed} (0)"));
}

#[test]
fn what_is_no_libp2p_is_shown_as_that() {
    let mut pair = on(Pair::new(&[]), Level::Negotiation);
    pair.a.settle(pair.at);
    pair.a
        .recv
        .feed(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n");
    pair.a.settle(pair.at);
    let got = lines(&mut pair.a);
    assert_eq!(got[3], "< security: bytes that are no message (88)");
    assert!(got[4].starts_with("> connection: failed: security: "), "{got:?}");
}

#[test]
fn times_and_round_trips_are_told() {
    let mut pair = on(Pair::new(&[ECHO]), Level::Negotiation);
    pair.at = pair.at + common::secs(3);
    pair.a.request(&[ECHO], Open::Wait, b"x");
    pair.run();
    let all = entries(&mut pair.a);
    assert!(all.iter().all(|entry| entry.at == pair.at));
    let trips: Vec<u32> = all.iter().map(|entry| entry.round_trips).collect();
    assert!(trips.is_sorted());
    assert_eq!((trips[0], trips[trips.len() - 1]), (0, 2));
    let layers: Vec<Layer> = all.iter().map(|entry| entry.layer).collect();
    assert!(!layers.contains(&Layer::Session) && !layers.contains(&Layer::Channel));
}

#[test]
fn it_is_off_by_default_and_can_be_turned_off() {
    let mut pair = Pair::new(&[ECHO]);
    pair.run();
    assert_eq!(pair.a.conn.poll_transcript(), None);
    let mut pair = on(Pair::new(&[ECHO]), Level::Frames);
    pair.a.settle(pair.at);
    pair.a.conn.set_transcript(Level::Off);
    pair.run();
    assert_eq!(pair.a.conn.poll_transcript(), None);
}

#[test]
fn what_nobody_takes_is_bounded_and_counted() {
    let mut pair = on(Pair::ready(&[ECHO]), Level::Negotiation);
    for _ in 0..400 {
        pair.a.request(&[ECHO], Open::Wait, b"");
        pair.run();
    }
    let all = entries(&mut pair.a);
    assert_eq!(all.len(), ENTRIES_MAX + 1);
    assert_eq!(all[ENTRIES_MAX].what, What::Lost(400 * 4 - ENTRIES_MAX as u64));
    pair.a.request(&[ECHO], Open::Wait, b"");
    pair.run();
    assert_eq!(entries(&mut pair.a).len(), 4, "it goes on once it was taken");
}

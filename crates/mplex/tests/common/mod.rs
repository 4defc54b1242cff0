//! Frames by hand, and what a session makes of them.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use sanswarm_mplex::{Error, Event, Limits, Session, StreamId};
use sanswarm_wire::{Instant, Role, SendBuf};

pub(crate) const NOW: Instant = Instant::ZERO;

// The flags of the spec: of two the first is sent by the end that did not open the stream.
pub(crate) const NEW: u64 = 0;
pub(crate) const MESSAGE_RECEIVER: u64 = 1;
pub(crate) const MESSAGE_INITIATOR: u64 = 2;
pub(crate) const CLOSE_RECEIVER: u64 = 3;
pub(crate) const CLOSE_INITIATOR: u64 = 4;
pub(crate) const RESET_RECEIVER: u64 = 5;
pub(crate) const RESET_INITIATOR: u64 = 6;

/// Flag, id, length.
pub(crate) type Head = (u64, u64, usize);

pub(crate) fn varint(mut n: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n >= 0x80 {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
    bytes
}

/// The varint at the front of `bytes`, and what follows.
fn read_varint(bytes: &[u8]) -> (u64, &[u8]) {
    let len = bytes.iter().position(|b| *b < 0x80).expect("a whole varint") + 1;
    let value = bytes[..len].iter().rev().fold(0, |n, b| n << 7 | u64::from(b & 0x7f));
    (value, &bytes[len..])
}

/// A head that announces `length` bytes.
pub(crate) fn head(flag: u64, id: u64, length: usize) -> Vec<u8> {
    [varint(id << 3 | flag), varint(length as u64)].concat()
}

pub(crate) fn frame(flag: u64, id: u64, body: &[u8]) -> Vec<u8> {
    [head(flag, id, body.len()), body.to_vec()].concat()
}

/// The heads in `bytes`, without the bodies.
pub(crate) fn heads(mut bytes: &[u8]) -> Vec<Head> {
    let mut heads = Vec::new();
    while !bytes.is_empty() {
        let (first, rest) = read_varint(bytes);
        let (length, rest) = read_varint(rest);
        heads.push((first & 7, first >> 3, length as usize));
        bytes = &rest[length as usize..];
    }
    heads
}

pub(crate) fn dialer() -> Session {
    Session::new(Role::Dialer, Limits::default())
}

pub(crate) fn listener() -> Session {
    Session::new(Role::Listener, Limits::default())
}

/// All that comes of `input`, payload included. What is not used stays.
pub(crate) fn feed(session: &mut Session, now: Instant, input: &mut Vec<u8>) -> Result<Vec<(Event, Vec<u8>)>, Error> {
    let mut seen = Vec::new();
    loop {
        let (used, event) = session.handle_input(now, input)?;
        input.drain(..used);
        match event {
            Some(event @ Event::Data { len, .. }) => seen.push((event, input.drain(..len).collect())),
            Some(event) => seen.push((event, Vec::new())),
            None => return Ok(seen),
        }
    }
}

/// The events of whole `input`, all of which must be used.
pub(crate) fn events(session: &mut Session, input: &[u8]) -> Result<Vec<Event>, Error> {
    let mut input = input.to_vec();
    let seen = feed(session, NOW, &mut input)?;
    assert!(input.is_empty(), "{} bytes left", input.len());
    Ok(seen.into_iter().map(|(event, _)| event).collect())
}

/// The stream that the peer opens with `id`.
pub(crate) fn opened(session: &mut Session, id: u64) -> StreamId {
    match events(session, &head(NEW, id, 0)).expect("no error")[..] {
        [Event::Opened { stream }] => stream,
        ref other => panic!("{other:?}"),
    }
}

/// The heads that are due.
pub(crate) fn due(session: &mut Session) -> Vec<Head> {
    let mut send = SendBuf::default();
    let n = session.poll_transmit(NOW, &mut send);
    assert_eq!(n, send.ready().len());
    heads(send.ready())
}

/// The session fails with `error` on `input`, says so again, and sends nothing more.
pub(crate) fn assert_fatal(mut session: Session, input: &[u8], error: Error) {
    let _ = session.open();
    assert_eq!(events(&mut session, input), Err(error));
    assert_eq!(session.handle_input(NOW, &head(NEW, 99, 0)), Err(error), "sticky");
    assert_eq!(session.handle_timeout(NOW), Err(error));
    assert_eq!(due(&mut session), []);
    assert!(!session.is_held());
}

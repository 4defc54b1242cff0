//! Frames by hand, and one end of a connection with its payload.
#![allow(dead_code, clippy::unwrap_used, reason = "helpers of tests")]

pub(crate) mod pair;

use sanswarm_wire::{Instant, Role, SendBuf};
use sanswarm_yamux::{Config, Error, Event, Session, StreamId};

pub(crate) const NOW: Instant = Instant::ZERO;
pub(crate) const WINDOW: u32 = 256 * 1024;

pub(crate) const DATA: u8 = 0;
pub(crate) const WINDOW_UPDATE: u8 = 1;
pub(crate) const PING: u8 = 2;
pub(crate) const GO_AWAY: u8 = 3;

pub(crate) const SYN: u16 = 1;
pub(crate) const ACK: u16 = 2;
pub(crate) const FIN: u16 = 4;
pub(crate) const RST: u16 = 8;

/// A head: type, flags, stream, length.
pub(crate) type Head = (u8, u16, u32, u32);

pub(crate) fn head((kind, flags, stream, length): Head) -> Vec<u8> {
    let mut bytes = vec![0, kind];
    bytes.extend(flags.to_be_bytes());
    bytes.extend(stream.to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes
}

/// A data frame with its body.
pub(crate) fn data(flags: u16, stream: u32, body: &[u8]) -> Vec<u8> {
    [head((DATA, flags, stream, body.len() as u32)), body.to_vec()].concat()
}

/// The heads in `bytes`, without the bodies.
pub(crate) fn heads(mut bytes: &[u8]) -> Vec<Head> {
    let mut heads = Vec::new();
    while let [0, kind, f0, f1, s0, s1, s2, s3, l0, l1, l2, l3, rest @ ..] = bytes {
        let length = u32::from_be_bytes([*l0, *l1, *l2, *l3]);
        heads.push((*kind, u16::from_be_bytes([*f0, *f1]), u32::from_be_bytes([*s0, *s1, *s2, *s3]), length));
        bytes = if *kind == DATA { &rest[length as usize..] } else { rest };
    }
    assert!(bytes.is_empty(), "half a head: {bytes:?}");
    heads
}

pub(crate) fn dialer() -> Session {
    Session::new(Role::Dialer, Config::default())
}

pub(crate) fn listener() -> Session {
    Session::new(Role::Listener, Config::default())
}

/// All that comes of `input`, payload included. What is not used stays.
pub(crate) fn feed(session: &mut Session, input: &mut Vec<u8>) -> Result<Vec<(Event, Vec<u8>)>, Error> {
    let mut seen = Vec::new();
    loop {
        let (used, event) = session.handle_input(NOW, input)?;
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
    let seen = feed(session, &mut input)?;
    assert!(input.is_empty(), "{} bytes left", input.len());
    Ok(seen.into_iter().map(|(event, _)| event).collect())
}

/// The stream that the peer opens with `input`.
pub(crate) fn opened(session: &mut Session, input: &[u8]) -> StreamId {
    match events(session, input).expect("no error")[..] {
        [Event::Opened { stream }, ..] => stream,
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

/// The session fails with `error` on `input`, says so again, and sends one GoAway and nothing else.
pub(crate) fn assert_fatal(mut session: Session, input: &[u8], error: Error) {
    assert_eq!(events(&mut session, input), Err(error));
    assert_eq!(session.handle_input(NOW, &head((PING, SYN, 0, 1))), Err(error), "sticky");
    assert_eq!(due(&mut session), [(GO_AWAY, 0, 0, 1)]);
    assert_eq!(due(&mut session), []);
}

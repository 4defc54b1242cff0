//! One end of a WebSocket against any bytes, behind a real handshake or in its place, compared with a plain reference and with
//! itself in pieces.
//!
//! Input: a byte whose lowest bit is the end (0 dials, 1 listens) and whose next one says whether the handshake is done already, a
//! byte for the sizes of pieces, a byte for the room of reads; then what the peer sends until its end.
//!
//! - Behind a handshake payload and end are those of the reference; in its place nothing is payload but behind a good head.
//! - Pieces and room do not matter. What is to be sent stays within its limit, whatever comes in.
//! - An end stays, and nothing is taken behind it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sanswarm_fuzz::{Input, Pieces};
use sanswarm_websocket::{Error, Limits, Socket, Target};

/// Small reads, so that their borders fall anywhere.
const LIMITS: Limits = Limits { head_bytes: 8192, recv_bytes: 1024, send_bytes: 16 * 1024 };

type End = Option<Result<(), Error>>;

/// Both ends, and their handshake done.
fn pair() -> (Socket, Socket) {
    let target = Target { host: "a.b".to_owned(), path: "/".to_owned(), secure: false };
    let mut dialer = Socket::client(&target, [7; 32], LIMITS).expect("a good target");
    let mut listener = Socket::server(LIMITS);
    let request = take(&mut dialer);
    feed(&mut listener, &request, |n| n, 9);
    let answer = take(&mut listener);
    feed(&mut dialer, &answer, |n| n, 9);
    assert!(dialer.is_open() && listener.is_open());
    (dialer, listener)
}

fn take(socket: &mut Socket) -> Vec<u8> {
    let bytes = socket.ready().to_vec();
    socket.sent(bytes.len());
    bytes
}

/// Gives bytes in pieces, and returns the payload that came of them.
fn feed(socket: &mut Socket, mut bytes: &[u8], mut piece: impl FnMut(usize) -> usize, room: usize) -> Vec<u8> {
    let (mut payload, mut to) = (Vec::new(), vec![0; room]);
    while !bytes.is_empty() && socket.end().is_none() {
        let spare = socket.spare();
        let n = piece(bytes.len()).min(bytes.len()).min(spare.len());
        assert!(n > 0, "all input before has been used");
        spare[..n].copy_from_slice(&bytes[..n]);
        socket.filled(n);
        bytes = &bytes[n..];
        loop {
            let n = socket.read(&mut to);
            payload.extend_from_slice(&to[..n]);
            if n == 0 {
                break;
            }
        }
        assert!(socket.ready().len() <= LIMITS.send_bytes + 200);
    }
    payload
}

/// A whole conversation from the peer, and its end.
fn hear(mut socket: Socket, wire: &[u8], piece: impl FnMut(usize) -> usize, room: usize) -> (Vec<u8>, Vec<u8>, End) {
    let payload = feed(&mut socket, wire, piece, room);
    socket.handle_eof();
    assert_eq!(socket.read(&mut [0; 9]), 0);
    let end = socket.end();
    assert!(end.is_some() && socket.spare().is_empty(), "it has an end");
    socket.filled(9);
    assert_eq!((socket.read(&mut [0; 9]), socket.end()), (0, end), "which stays");
    socket.finish();
    assert_eq!(socket.write(b"x"), Err(Error::Finished));
    (payload, take(&mut socket), end)
}

/// What frames say (RFC 6455, section 5), read as plainly as can be.
fn reference(mut wire: &[u8], masked: bool) -> (Vec<u8>, Result<(), Error>) {
    let (mut payload, mut within) = (Vec::new(), false);
    loop {
        if wire.is_empty() {
            return (payload, Ok(()));
        }
        let Some(&[first, second]) = wire.first_chunk() else { return (payload, Err(Error::Cut)) };
        let (opcode, last, has_mask) = (first & 15, first & 128 != 0, second & 128 != 0);
        let more = match second & 127 {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let head = 2 + more + if has_mask { 4 } else { 0 };
        if wire.len() < head {
            return (payload, Err(Error::Cut));
        }
        let len = match more {
            0 => u64::from(second & 127),
            _ => wire[2..2 + more].iter().fold(0, |all, byte| all << 8 | u64::from(*byte)),
        };
        let control = opcode & 8 != 0;
        let fault = match opcode {
            3..=7 | 11..=15 => Some(Error::Opcode { opcode }),
            _ if first & 0x70 != 0 => Some(Error::Reserved),
            _ if masked && !has_mask => Some(Error::Unmasked),
            _ if !masked && has_mask => Some(Error::Masked),
            _ if len >> 63 != 0 => Some(Error::Length),
            1 => Some(Error::Text),
            _ if control && (!last || len > 125 || (opcode == 8 && len == 1)) => Some(Error::Control),
            _ if !control && (opcode == 0) != within => Some(Error::Fragment),
            _ => None,
        };
        if let Some(fault) = fault {
            return (payload, Err(fault));
        }
        let there = (wire.len() - head).min(usize::try_from(len).unwrap_or(usize::MAX));
        let key = if has_mask { &wire[head - 4..head] } else { &[0; 4] };
        let plain: Vec<u8> = wire[head..head + there].iter().zip(key.iter().cycle()).map(|(a, b)| a ^ b).collect();
        wire = &wire[head + there..];
        let is_whole = there as u64 == len;
        if !control {
            payload.extend(plain);
            within = !last;
        } else if opcode == 8 && is_whole {
            let code = plain.first_chunk().map_or(1000, |code| u16::from_be_bytes(*code));
            let is_good = matches!(code, 1000 | 1001);
            return (payload, if is_good { Ok(()) } else { Err(Error::Closed { code }) });
        }
        if !is_whole {
            return (payload, Err(Error::Cut));
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let (role, pieces, room) = (input.byte(), input.byte(), 1 + usize::from(input.byte()));
    let wire = input.rest();
    let (listens, open) = (role & 1 != 0, role & 2 != 0);
    let fresh = || match (open, listens) {
        (true, false) => pair().0,
        (true, true) => pair().1,
        (false, true) => Socket::server(LIMITS),
        (false, false) => {
            let target = Target { host: "a.b".to_owned(), path: "/".to_owned(), secure: false };
            Socket::client(&target, [7; 32], LIMITS).expect("a good target")
        }
    };
    let whole = hear(fresh(), wire, |n| n, 2000);
    let mut sizes = Pieces::new(pieces);
    assert_eq!(hear(fresh(), wire, |_| sizes.size(), room), whole, "in pieces");
    assert_eq!(hear(fresh(), wire, |_| 1, 1), whole, "byte by byte");
    if open {
        let (payload, end) = reference(wire, listens);
        assert_eq!((whole.0, whole.2), (payload, Some(end)));
    } else if !wire.windows(4).any(|end| end == b"\r\n\r\n") {
        assert!(whole.0.is_empty() && whole.2 != Some(Ok(())), "there was no head");
    }
});

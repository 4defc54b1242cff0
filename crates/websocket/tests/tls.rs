//! TLS below, with a certificate of a test's own authority (made by openssl, valid until 2125).

#![allow(clippy::unwrap_used, reason = "tests")]

use sanswarm_websocket::{Error, Flaw, Limits, Socket, Target, WebTls};

const ROOT: &[u8] = include_bytes!("certificates/ca.pem");
const LEAF: &[u8] = include_bytes!("certificates/leaf.pem");
const KEY: &[u8] = include_bytes!("certificates/leaf.key");

fn listener() -> Socket {
    let tls = WebTls::new().with_certificate(LEAF, KEY).unwrap();
    Socket::secure_server(&tls, Limits::default()).unwrap()
}

fn dialer(name: &str, tls: &WebTls) -> Socket {
    let target = Target { host: name.to_owned(), path: "/".to_owned(), secure: true };
    Socket::secure_client(&target, name, tls, [1; 32], Limits::default()).unwrap()
}

/// Carries what is ready, `chunk` at a time, and returns the payload that comes out, read `room` at a time.
fn carry(from: &mut Socket, to: &mut Socket, chunk: usize, room: usize) -> Vec<u8> {
    let (mut payload, mut part) = (Vec::new(), vec![0; room]);
    loop {
        let spare = to.spare();
        let n = from.ready().len().min(chunk).min(spare.len());
        spare[..n].copy_from_slice(&from.ready()[..n]);
        to.filled(n);
        from.sent(n);
        while let read @ 1.. = to.read(&mut part) {
            payload.extend_from_slice(&part[..read]);
        }
        if from.ready().is_empty() || to.end().is_some() {
            return payload;
        }
    }
}

fn shake(dialer: &mut Socket, listener: &mut Socket, chunk: usize) {
    for _ in 0..4 {
        carry(dialer, listener, chunk, 100);
        carry(listener, dialer, chunk, 100);
    }
}

#[test]
fn payload_is_carried_in_pieces_of_any_size() {
    let tls = WebTls::new().with_roots(ROOT).unwrap();
    for (name, chunk, room) in [("a.example", 99_999, 99_999), ("127.0.0.1", 1, 1), ("localhost", 777, 1000)] {
        let (mut dialer, mut listener) = (dialer(name, &tls), listener());
        shake(&mut dialer, &mut listener, chunk);
        assert!(dialer.is_open() && listener.is_open(), "{name}: {:?} {:?}", dialer.end(), listener.end());
        let payload: Vec<u8> = (0..100_000u32).map(|i| (i * 7) as u8).collect();
        assert_eq!(dialer.write(&payload), Ok(payload.len()));
        assert!(carry(&mut dialer, &mut listener, chunk, room) == payload);
        assert_eq!(listener.write(&payload), Ok(payload.len()));
        assert!(carry(&mut listener, &mut dialer, chunk, room) == payload);
        dialer.write(b"bye").unwrap();
        dialer.finish();
        assert_eq!(carry(&mut dialer, &mut listener, chunk, room), b"bye");
        assert_eq!(listener.end(), Some(Ok(())));
        carry(&mut listener, &mut dialer, chunk, room);
        assert_eq!(dialer.end(), Some(Ok(())));
    }
}

#[test]
fn what_is_not_read_stays_and_says_so() {
    let tls = WebTls::new().with_roots(ROOT).unwrap();
    let (mut dialer, mut listener) = (dialer("a.example", &tls), listener());
    shake(&mut dialer, &mut listener, 99_999);
    dialer.write(&[7; 1000]).unwrap();
    let n = dialer.ready().len();
    listener.spare()[..n].copy_from_slice(dialer.ready());
    listener.filled(n);
    assert_eq!(listener.read(&mut [0; 1]), 1);
    assert!(listener.has_input() && listener.spare().is_empty());
    assert_eq!(listener.read(&mut [0; 2000]), 999);
    assert!(!listener.has_input());
}

#[test]
fn certificates_that_are_not_trusted() {
    let trusts = WebTls::new().with_roots(ROOT).unwrap();
    for (name, tls, flaw) in [("b.example", &trusts, Flaw::Name), ("a.example", &WebTls::new(), Flaw::Issuer)] {
        let (mut dialer, mut listener) = (dialer(name, tls), listener());
        shake(&mut dialer, &mut listener, 99_999);
        assert_eq!(dialer.end(), Some(Err(Error::Certificate(flaw))));
        assert!(matches!(listener.end(), Some(Err(Error::Alert { .. }))), "{:?}", listener.end());
        assert!(!dialer.is_open() && !listener.is_open());
    }
}

#[test]
fn peers_that_speak_no_tls() {
    let tls = WebTls::new().with_roots(ROOT).unwrap();
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x13/multistream/1.0.0\n", &[0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5]] {
        for mut socket in [listener(), dialer("a.example", &tls)] {
            socket.spare()[..bytes.len()].copy_from_slice(bytes);
            socket.filled(bytes.len());
            assert_eq!((socket.read(&mut [0; 9]), socket.end()), (0, Some(Err(Error::Tls))));
            assert!(!socket.ready().is_empty(), "an alert");
        }
    }
    let mut cut = listener();
    cut.handle_eof();
    assert_eq!((cut.read(&mut [0; 9]), cut.end()), (0, Some(Err(Error::Cut))));
}

#[test]
fn credentials_that_are_none() {
    assert_eq!(Socket::secure_server(&WebTls::new(), Limits::default()).err(), Some(Error::Credentials));
    assert!(!WebTls::new().can_listen());
    for (chain, key) in [(LEAF, &b"x"[..]), (b"x", KEY), (b"", KEY), (ROOT, KEY), (LEAF, b"")] {
        assert_eq!(WebTls::new().with_certificate(chain, key).err(), Some(Error::Credentials));
    }
    for roots in [&b""[..], b"x", KEY, b"\x30\x00"] {
        assert_eq!(WebTls::new().with_roots(roots).err(), Some(Error::Credentials));
    }
    let target = Target { host: "a".to_owned(), path: "/".to_owned(), secure: true };
    let bad = Socket::secure_client(&target, "a b", &WebTls::new(), [1; 32], Limits::default());
    assert_eq!(bad.err(), Some(Error::Target));
}

//! Two ends, and one end with a peer that does not behave.

#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use sanswarm_websocket::{Error, Limits, Socket, Target};

fn client() -> Socket {
    let target = Target { host: "a.b".to_owned(), path: "/".to_owned(), secure: false };
    Socket::client(&target, [3; 32], Limits::default()).unwrap()
}

/// Gives bytes to a socket, `chunk` at a time, and reads what comes of them, `room` at a time.
fn feed(socket: &mut Socket, mut bytes: &[u8], chunk: usize, room: usize) -> Vec<u8> {
    let mut payload = Vec::new();
    loop {
        let spare = socket.spare();
        let n = bytes.len().min(chunk).min(spare.len());
        spare[..n].copy_from_slice(&bytes[..n]);
        socket.filled(n);
        bytes = &bytes[n..];
        let mut to = vec![0; room];
        loop {
            let read = socket.read(&mut to);
            payload.extend_from_slice(&to[..read]);
            if read == 0 {
                break;
            }
        }
        if bytes.is_empty() || socket.end().is_some() {
            return payload;
        }
    }
}

/// Takes what is ready, `chunk` at a time.
fn take(socket: &mut Socket, chunk: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while !socket.ready().is_empty() {
        let n = socket.ready().len().min(chunk);
        bytes.extend_from_slice(&socket.ready()[..n]);
        socket.sent(n);
    }
    bytes
}

/// Two ends that have shaken hands.
fn pair() -> (Socket, Socket) {
    let (mut client, mut server) = (client(), Socket::server(Limits::default()));
    assert_eq!(client.write(b"early"), Ok(0), "not now");
    assert_eq!(server.write(b"early"), Ok(0), "not now");
    assert!(feed(&mut server, &take(&mut client, 9999), 9999, 9).is_empty());
    assert!(feed(&mut client, &take(&mut server, 9999), 9999, 9).is_empty());
    assert!(client.is_open() && server.is_open());
    (client, server)
}

#[test]
fn payload_goes_both_ways_and_both_ends_close() {
    let (mut client, mut server) = pair();
    assert_eq!(client.write(b"hello"), Ok(5));
    assert_eq!(server.write(b"world"), Ok(5));
    let frame = take(&mut client, 9999);
    assert_eq!((frame[0], frame[1], frame.len()), (0x82, 0x85, 11), "one message, masked");
    assert_eq!(feed(&mut server, &frame, 9999, 9999), b"hello");
    assert_eq!(take(&mut server, 9999), b"\x82\x05world");

    // The last bytes and the end arrive; what the other end says after it is read.
    client.write(b"bye").unwrap();
    client.finish();
    client.finish();
    assert_eq!(client.write(b"more"), Err(Error::Finished));
    server.write(b"last").unwrap();
    let last = take(&mut server, 9999);
    assert_eq!(feed(&mut server, &take(&mut client, 9999), 9999, 9999), b"bye");
    assert_eq!((server.end(), server.write(b"x")), (Some(Ok(())), Err(Error::Finished)));
    assert_eq!(feed(&mut client, &last, 9999, 9999), b"last");
    assert_eq!(client.end(), None);
    let close = take(&mut server, 9999);
    assert_eq!(close, b"\x88\x02\x03\xe8", "1000");
    assert!(feed(&mut client, &close, 9999, 9999).is_empty());
    assert_eq!(client.end(), Some(Ok(())));
    assert!(client.ready().is_empty() && client.spare().is_empty(), "its Close was sent before");
}

#[test]
fn same_secret_same_bytes() {
    let bytes = || take(&mut client(), 9999);
    assert_eq!(bytes(), bytes());
    let target = Target { host: "a.b".to_owned(), path: "/".to_owned(), secure: false };
    let mut other = Socket::client(&target, [4; 32], Limits::default()).unwrap();
    assert_ne!(bytes(), take(&mut other, 9999));
}

#[test]
fn pings_are_answered_and_pongs_are_not() {
    let (mut client, _) = pair();
    assert_eq!(feed(&mut client, b"\x82\x02ab\x89\x02hi\x8a\x02no\x82\x02cd", 9999, 9999), b"abcd");
    let pong = take(&mut client, 9999);
    assert_eq!((pong[0], pong[1], pong.len()), (0x8a, 0x82, 8), "one, masked");
    // Without a reader at the other end, of many Pings the last is answered, and nothing piles up.
    let (_, mut server) = pair();
    let ping = |n: u8| [0x89, 0x81, 0, 0, 0, 0, n];
    for i in 0..100_000u32 {
        feed(&mut server, &ping(i as u8), 9999, 9);
    }
    assert!(server.ready().len() < Limits::default().send_bytes + 200, "{}", server.ready().len());
    assert!(take(&mut server, 9999).ends_with(&[0x8a, 1, 99_999u32 as u8]));
}

#[test]
fn no_frame_is_too_long_and_none_is_gathered() {
    let (mut client, _) = pair();
    // Of 2^40 bytes, which never come.
    assert!(feed(&mut client, b"\x82\x7f\0\0\x01\0\0\0\0\0", 9999, 9).is_empty());
    for _ in 0..100 {
        assert_eq!(feed(&mut client, &[7; 50_000], 50_000, 999).len(), 50_000);
    }
    client.handle_eof();
    assert_eq!((client.read(&mut [0; 9]), client.end()), (0, Some(Err(Error::Cut))));
}

#[test]
fn what_is_not_read_or_not_sent_is_bounded() {
    let (mut client, _) = pair();
    let limits = Limits::default();
    assert_eq!(client.spare().len(), limits.recv_bytes);
    client.spare()[..4].copy_from_slice(b"\x82\x02ab");
    client.filled(4);
    assert!(client.spare().is_empty(), "not before that is read");
    assert_eq!((client.has_input(), client.payload_max()), (true, 4));
    assert_eq!(client.read(&mut [0; 1]), 1);
    assert!(client.spare().is_empty());
    client.filled(usize::MAX);
    client.sent(usize::MAX);

    let (mut client, _) = pair();
    let mut taken = 0;
    loop {
        match client.write(&[0; 50_000]).unwrap() {
            0 => break,
            n => taken += n,
        }
    }
    assert!(taken <= limits.send_bytes && taken > limits.send_bytes - 8192, "{taken}");
    assert!(client.ready().len() <= limits.send_bytes);
    client.sent(60_000);
    assert_eq!(client.write(&[0; 50_000]), Ok(50_000));
    let (ready, mut out) = (client.ready().to_vec(), vec![1, 2, 3]);
    assert!(client.take_ready(&mut out) && out == ready && client.ready().is_empty());
    assert!(!client.take_ready(&mut out) && out.is_empty());
}

#[test]
fn an_end_is_a_cut_only_within_something() {
    let ends = |bytes: &[u8]| {
        let (mut client, _) = pair();
        feed(&mut client, bytes, 9999, 9);
        client.handle_eof();
        client.read(&mut [0; 9]);
        client.end()
    };
    assert_eq!(ends(b""), Some(Ok(())));
    assert_eq!(ends(b"\x82\x02ab"), Some(Ok(())));
    assert_eq!(ends(b"\x82"), Some(Err(Error::Cut)));
    assert_eq!(ends(b"\x82\x02a"), Some(Err(Error::Cut)));
    assert_eq!(ends(b"\x88\x00"), Some(Ok(())));
    assert_eq!(ends(b"\x88\x02\x03\xe9"), Some(Ok(())), "going away");
    assert_eq!(ends(b"\x88\x02\x03\xea"), Some(Err(Error::Closed { code: 1002 })));
    let mut server = Socket::server(Limits::default());
    feed(&mut server, b"GET / HT", 9999, 9);
    server.handle_eof();
    server.read(&mut []);
    assert_eq!(server.end(), Some(Err(Error::Cut)));
}

#[test]
fn a_fault_is_told_after_what_came_before_it_and_stays() {
    let (mut client, _) = pair();
    assert_eq!(feed(&mut client, b"\x82\x02ab\x81\x02cd\x82\x02ef", 9999, 9999), b"ab");
    assert_eq!(client.end(), Some(Err(Error::Text)));
    assert!(!client.has_input(), "what is behind it is not waited for");
    let close = take(&mut client, 9999);
    assert_eq!((close[0], close[1], close.len()), (0x88, 0x82, 8));
    let code = [close[2] ^ close[6], close[3] ^ close[7]];
    assert_eq!(u16::from_be_bytes(code), 1003, "a kind of data that is not taken");
    client.filled(10);
    assert_eq!((client.read(&mut [0; 9]), client.end()), (0, Some(Err(Error::Text))));

    let mut server = Socket::server(Limits::default());
    feed(&mut server, b"\x13/multistream/1.0.0\n\r\n\r\n", 9999, 9);
    assert_eq!(server.end(), Some(Err(Error::Head)));
    assert!(take(&mut server, 9999).starts_with(b"HTTP/1.1 400 "));
    let mut server = Socket::server(Limits::default());
    feed(&mut server, &[b'a'; 10_000], 9999, 9);
    assert_eq!(server.end(), Some(Err(Error::HeadTooLong { limit: 8192 })));
    assert!(take(&mut server, 9999).starts_with(b"HTTP/1.1 400 "));
}

#[test]
fn an_idle_socket_holds_no_buffer() {
    let (mut client, mut server) = pair();
    client.write(b"hello").unwrap();
    feed(&mut server, &take(&mut client, 9999), 9999, 9);
    client.release();
    server.release();
    client.write(b"again").unwrap();
    assert_eq!(feed(&mut server, &take(&mut client, 9999), 9999, 9), b"again");
}

/// A whole talk, in pieces: what each end read, what it sent, and how it ended.
type Seen = (Vec<u8>, Vec<u8>, Option<Result<(), Error>>, Option<Result<(), Error>>);

fn talk(writes: &[Vec<u8>], noise: &[u8], chunk: usize, room: usize) -> Seen {
    let (mut client, mut server) = (client(), Socket::server(Limits::default()));
    feed(&mut server, &take(&mut client, chunk), chunk, room);
    feed(&mut client, &take(&mut server, chunk), chunk, room);
    let (mut up, mut down) = (Vec::new(), Vec::new());
    for write in writes {
        client.write(write).unwrap();
        server.write(write).unwrap();
        up.extend(feed(&mut server, &take(&mut client, chunk), chunk, room));
        down.extend(feed(&mut client, &take(&mut server, chunk), chunk, room));
    }
    // Whatever the peer may send, it is the same in pieces.
    up.extend(feed(&mut server, noise, chunk, room));
    down.extend(feed(&mut client, noise, chunk, room));
    (up, down, server.end(), client.end())
}

proptest! {
    #[test]
    fn chunks_do_not_matter(
        writes in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..6),
        noise in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0x82), Just(0x02), Just(0x80), Just(2)], 0..40),
        chunk in 1usize..400,
        room in 1usize..400,
    ) {
        let whole = talk(&writes, &noise, 9999, 9999);
        prop_assert!(whole.0.starts_with(&writes.concat()) && whole.1.starts_with(&writes.concat()));
        prop_assert_eq!(&talk(&writes, &noise, chunk, room), &whole);
        prop_assert_eq!(&talk(&writes, &noise, 1, 1), &whole);
    }
}

//! WebSocket: messages from a client to a server (masked) and back (not masked), both ends in memory.
//!
//! - Each message is one frame. Ours goes through `write`, `ready`, `spare` and `read`, as the adapters have it, and is read
//!   into a buffer of the caller's; tungstenite's is a `Bytes`, and comes out as one.
//! - The floor is two copies of the message, without frames.

use std::{
    cell::RefCell,
    io::{self, Read, Write},
    rc::Rc,
};

use bytes::Bytes;
use sanswarm_websocket::{Limits, Socket, Target};
use tungstenite::{
    Message, WebSocket,
    protocol::{Role, WebSocketConfig},
};

use crate::Bench;

const SIZES: [(&str, usize); 3] = [("64 B", 64), ("1 KiB", 1024), ("64 KiB", 64 * 1024)];

/// The bytes of messages of one round, each way.
const ROUND_BYTES: usize = 64 * 1024;

/// All cases.
pub fn benches() -> Vec<Bench> {
    let mut all = Vec::new();
    for (name, size) in SIZES {
        let (case, count) = (format!("websocket, messages of {name} there and back"), ROUND_BYTES / size);
        let add = |who, prepare: Box<dyn Fn() -> Box<dyn FnMut()>>| {
            Bench::new(case.clone(), who, 200, prepare).moving(2 * ROUND_BYTES)
        };
        all.push(add("sanswarm", Box::new(move || ours(size, count))));
        all.push(add("tungstenite", Box::new(move || theirs(size, count))));
        all.push(add("floor: copies", Box::new(move || copies(size, count))));
    }
    all
}

fn ours(size: usize, count: usize) -> Box<dyn FnMut()> {
    let target = Target { host: "a.b".to_owned(), path: "/".to_owned(), secure: false };
    let mut client = Socket::client(&target, [7; 32], Limits::default()).expect("a good target");
    let mut server = Socket::server(Limits::default());
    let (message, mut to) = (vec![7; size], vec![0; 2 * ROUND_BYTES]);
    carry(&mut client, &mut server, &mut to);
    carry(&mut server, &mut client, &mut to);
    assert!(client.is_open() && server.is_open());
    Box::new(move || {
        for there in [true, false] {
            let (from, other) = if there { (&mut client, &mut server) } else { (&mut server, &mut client) };
            let (mut written, mut read) = (0, 0);
            while read < size * count {
                let left = size - written % size;
                let n = if written < size * count { from.write(&message[..left]).expect("it is open") } else { 0 };
                written += n;
                // All that there is room for goes at once.
                if n < left {
                    read += carry(from, other, &mut to);
                }
            }
            assert_eq!(read, size * count);
        }
    })
}

fn carry(from: &mut Socket, to: &mut Socket, payload: &mut [u8]) -> usize {
    let mut len = 0;
    while !from.ready().is_empty() {
        let spare = to.spare();
        let n = from.ready().len().min(spare.len());
        spare[..n].copy_from_slice(&from.ready()[..n]);
        to.filled(n);
        from.sent(n);
        while let n @ 1.. = to.read(payload) {
            len += n;
        }
    }
    len
}

/// One direction of a pipe, which would block where it is empty.
#[derive(Clone, Default)]
struct Way(Rc<RefCell<(Vec<u8>, usize)>>);

struct Pipe {
    input: Way,
    output: Way,
}

impl Read for Pipe {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let (bytes, read) = &mut *self.input.0.borrow_mut();
        let n = to.len().min(bytes.len() - *read);
        if n == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        to[..n].copy_from_slice(&bytes[*read..*read + n]);
        *read += n;
        if *read == bytes.len() {
            bytes.clear();
            *read = 0;
        }
        Ok(n)
    }
}

impl Write for Pipe {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.output.0.borrow_mut().0.extend_from_slice(from);
        Ok(from.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn theirs(size: usize, count: usize) -> Box<dyn FnMut()> {
    let (up, down, message) = (Way::default(), Way::default(), Bytes::from(vec![7; size]));
    let config = Some(WebSocketConfig::default());
    let pipe = Pipe { input: down.clone(), output: up.clone() };
    let mut client = WebSocket::from_raw_socket(pipe, Role::Client, config);
    let mut server = WebSocket::from_raw_socket(Pipe { input: up, output: down }, Role::Server, config);
    Box::new(move || {
        for there in [true, false] {
            let (from, to) = if there { (&mut client, &mut server) } else { (&mut server, &mut client) };
            for _ in 0..count {
                from.write(Message::Binary(message.clone())).expect("it is open");
            }
            from.flush().expect("it is open");
            let mut read = 0;
            while read < size * count {
                read += to.read().expect("a message").len();
            }
            assert_eq!(read, size * count);
        }
    })
}

fn copies(size: usize, count: usize) -> Box<dyn FnMut()> {
    let (message, mut wire, mut to) = (vec![7u8; size], vec![0u8; ROUND_BYTES], vec![0u8; ROUND_BYTES]);
    Box::new(move || {
        for _ in 0..2 {
            for i in 0..count {
                wire[i * size..][..size].copy_from_slice(std::hint::black_box(&message));
            }
            to.copy_from_slice(std::hint::black_box(&wire));
            std::hint::black_box(&mut to);
        }
    })
}

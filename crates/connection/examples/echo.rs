//! Two ends in one process and an echo between them: no socket, no clock, no thread.

use std::sync::Arc;

use libp2p_identity::Keypair;
use sanswarm_connection::{Config, Connection, Direction, Event, Limits, Muxer, Open, Security};
use sanswarm_multistream::ProtocolName;
use sanswarm_multistream_select::Names;
use sanswarm_wire::{Instant, RecvBuf, Role, SendBuf};

/// One end: a connection and its two buffers.
struct End {
    conn: Connection,
    recv: RecvBuf,
    send: SendBuf,
}

impl End {
    fn new(role: Role, secret: u8) -> Self {
        let keypair = Keypair::ed25519_from_bytes([secret; 32]).expect("32 bytes");
        let (security, muxers) = (Security::defaults(), Muxer::defaults());
        let config = Config::new(&keypair, [secret + 1; 32], security, muxers, Limits::default()).expect("it signs");
        let conn = Connection::new(Instant::ZERO, role, Arc::new(config), None, [secret + 2; 32]);
        Self { conn, recv: RecvBuf::default(), send: SendBuf::default() }
    }
}

/// What a socket would do: carries what is ready to the other end.
fn carry(now: Instant, from: &mut End, to: &mut End) -> usize {
    while from.conn.poll_transmit(now, &mut from.send) > 0 {}
    let n = to.recv.feed(from.send.ready());
    from.send.sent(n);
    n
}

fn main() {
    let echo = ProtocolName::from_static("/echo/1.0.0");
    let (mut dialer, mut listener) = (End::new(Role::Dialer, 10), End::new(Role::Listener, 20));
    listener.conn.set_names(Arc::new(Names::new([echo.clone()])));
    let now = Instant::ZERO;
    let stream = dialer.conn.open(now, Arc::new([echo]), Open::Wait).expect("a new connection takes streams");
    let mut answer = Vec::new();
    loop {
        while let Some(event) = dialer.conn.poll_event(now, &mut dialer.recv).expect("no fault") {
            match event {
                Event::Opened { stream, .. } => {
                    dialer.conn.write(now, stream, b"hello", &mut dialer.send).expect("open");
                    dialer.conn.finish(stream).expect("open");
                }
                Event::Readable { stream } => {
                    while let Ok(Some(bytes)) = dialer.conn.read(stream) {
                        answer.extend_from_slice(&bytes);
                    }
                }
                other => println!("dialer: {other:?}"),
            }
        }
        while let Some(event) = listener.conn.poll_event(now, &mut listener.recv).expect("no fault") {
            match event {
                Event::Readable { stream } => {
                    while let Ok(Some(bytes)) = listener.conn.read(stream) {
                        listener.conn.write(now, stream, &bytes, &mut listener.send).expect("open");
                    }
                }
                Event::Finished { stream } => listener.conn.finish(stream).expect("open"),
                Event::Opened { direction, .. } => assert_eq!(direction, Direction::Inbound),
                other => println!("listener: {other:?}"),
            }
        }
        if carry(now, &mut dialer, &mut listener) + carry(now, &mut listener, &mut dialer) == 0 {
            break;
        }
    }
    assert_eq!(answer, b"hello");
    println!("stream {stream:?} echoed hello after {} round trips", dialer.conn.stats().round_trips);
}

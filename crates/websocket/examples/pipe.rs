//! Two ends in memory: the handshake, a message, and the end.

use sanswarm_websocket::{Limits, Socket, Target};

/// Carries what is ready at one end to the other, and returns the payload that comes out there.
fn carry(from: &mut Socket, to: &mut Socket) -> Vec<u8> {
    let (n, mut payload) = (from.ready().len(), [0; 64]);
    to.spare()[..n].copy_from_slice(from.ready());
    to.filled(n);
    from.sent(n);
    let n = to.read(&mut payload);
    payload[..n].to_vec()
}

fn main() -> Result<(), sanswarm_websocket::Error> {
    let target = Target { host: "example.org".to_owned(), path: "/".to_owned(), secure: false };
    let mut dialer = Socket::client(&target, [7; 32], Limits::default())?;
    let mut listener = Socket::server(Limits::default());

    carry(&mut dialer, &mut listener);
    carry(&mut listener, &mut dialer);
    assert!(dialer.is_open() && listener.is_open());

    assert_eq!(dialer.write(b"hello")?, 5);
    dialer.finish();
    assert_eq!(carry(&mut dialer, &mut listener), b"hello");
    assert_eq!(listener.end(), Some(Ok(())), "the dialer has closed");
    carry(&mut listener, &mut dialer);
    assert_eq!(dialer.end(), Some(Ok(())), "and was answered");
    println!("hello");
    Ok(())
}

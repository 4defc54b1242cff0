//! Two nodes that poll, each on its thread, and an echo between them, over TCP on this host.

use sanswarm_std::{Event, PeerInfo, ProtocolName, poll::Driver};

const ECHO: ProtocolName = ProtocolName::from_static("/echo/1.0.0");

/// Bob's side of one event: what fits back out. (A server that must not lose a byte keeps the rest for `Writable`.)
fn echo(bob: &mut Driver, event: Event) {
    let now = bob.now();
    match event {
        Event::Readable { stream } => {
            while let Ok(Some(bytes)) = bob.node().read(stream) {
                let _ = bob.node().write(now, stream, &bytes);
            }
        }
        Event::Finished { stream } => drop(bob.node().finish(stream)),
        _ => {}
    }
}

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let (mut alice, mut bob) = (Driver::with_new_identity()?, Driver::with_new_identity()?);
    bob.node().set_stream_handler(ECHO);
    bob.listen("/ip4/127.0.0.1/tcp/0".parse()?)?;
    let Some(Event::Listening { address }) = bob.next_event(None) else { return Err("not listening".into()) };
    let peer = PeerInfo { id: bob.node().id(), addrs: vec![address] };
    let waker = bob.waker();
    let server = std::thread::Builder::new().spawn(move || {
        while let Some(event) = bob.next_event(None) {
            echo(&mut bob, event);
        }
    })?;

    let now = alice.now();
    alice.node().open_stream(now, ECHO, peer);
    let mut answer = Vec::new();
    while let Some(event) = alice.next_event(None) {
        let now = alice.now();
        match event {
            Event::Opened { stream, .. } => {
                alice.node().write(now, stream, b"hello")?;
                alice.node().finish(stream)?;
            }
            Event::Readable { stream } => {
                while let Ok(Some(bytes)) = alice.node().read(stream) {
                    answer.extend_from_slice(&bytes);
                }
            }
            Event::Finished { .. } => break,
            Event::OpenFailed { error, .. } => return Err(error.into()),
            _ => {}
        }
    }
    assert_eq!(answer, b"hello");
    waker.wake(); // Bob's `next_event` gives `None`
    server.join().map_err(|_| "bob panicked")?;
    println!("bob echoed hello");
    Ok(())
}

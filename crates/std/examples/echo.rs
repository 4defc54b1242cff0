//! Two nodes in one process and an echo between them, over TCP on this host.

use std::io::{Read, Write};

use sanswarm_std::{Node, PeerInfo, ProtocolName};

const ECHO: ProtocolName = ProtocolName::from_static("/echo/1.0.0");

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let (alice, bob) = (Node::with_new_identity()?, Node::with_new_identity()?);
    bob.set_stream_handler(ECHO, |stream| {
        // On a thread of its own. An error means that the peer is gone; the stream is reset then.
        if std::io::copy(&mut &stream, &mut &stream).is_ok() {
            let _ = stream.finish();
        }
    });
    let address = bob.listen("/ip4/127.0.0.1/tcp/0".parse()?)?;

    let mut stream = alice.open_stream(ECHO, PeerInfo { id: bob.id(), addrs: vec![address] })?;
    stream.write_all(b"hello")?;
    stream.finish()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    assert_eq!(answer, "hello");
    println!("bob echoed {answer}; a ping takes {:?}", alice.ping(bob.id())?);
    Ok(())
}

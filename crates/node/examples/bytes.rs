//! Two ends in one process and an echo between them: no socket, no clock, no thread.

use sanswarm::{Action, Config, ConnId, Event, Instant, Keypair, Multiaddr, Node, PeerInfo, ProtocolName};

const ECHO: ProtocolName = ProtocolName::from_static("/echo/1.0.0");

fn node(secret: u8) -> Node {
    let keypair = Keypair::ed25519_from_bytes([secret; 32]).expect("32 bytes");
    Node::new(Config::new(keypair, [secret + 1; 32])).expect("Ed25519 signs")
}

/// Carries what one node has to send to the other.
fn carry(from: &mut Node, a: ConnId, to: &mut Node, b: ConnId) -> usize {
    let n = to.handle_input(b, from.ready(a));
    from.sent(a, n);
    n
}

fn main() {
    let now = Instant::ZERO; // no clock here: time is what we say it is
    let (mut alice, mut bob) = (node(1), node(3));
    let address: Multiaddr = "/ip4/127.0.0.1/tcp/4001".parse().expect("an address");
    bob.set_stream_handler(ECHO);

    // The outline's call. It asks us to dial; our "socket" is connected at once.
    let request = alice.open_stream(now, ECHO, PeerInfo { id: bob.id(), addrs: vec![address.clone()] });
    let Some(Action::Dial { conn: a, .. }) = alice.poll_action() else { panic!("an address to dial") };
    assert!(alice.handle_dialed(now, a, [5; 32])); // 32 random bytes, please
    let b = bob.handle_accepted(now, address.clone(), address, [6; 32]).expect("room for one");

    let mut answer = Vec::new();
    loop {
        let mut busy = 0;
        while let Some(event) = alice.poll_event(now) {
            busy += 1;
            match event {
                Event::Opened { request: Some(r), stream, .. } if r == request => {
                    alice.write(now, stream, b"hello").expect("it is open");
                    alice.finish(stream).expect("it is open");
                }
                Event::Readable { stream } => {
                    while let Ok(Some(bytes)) = alice.read(stream) {
                        answer.extend_from_slice(&bytes);
                    }
                }
                _ => {}
            }
        }
        while let Some(event) = bob.poll_event(now) {
            busy += 1;
            match event {
                Event::Readable { stream } => {
                    while let Ok(Some(bytes)) = bob.read(stream) {
                        bob.write(now, stream, &bytes).expect("it is open");
                    }
                }
                Event::Finished { stream } => bob.finish(stream).expect("it is open"),
                _ => {}
            }
        }
        busy += carry(&mut alice, a, &mut bob, b) + carry(&mut bob, b, &mut alice, a);
        if busy == 0 {
            break;
        }
    }
    assert_eq!(answer, b"hello");
    println!("bob echoed hello, after {} round trips", alice.stats(a).expect("connected").round_trips);
}

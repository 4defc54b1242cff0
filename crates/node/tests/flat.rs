//! One connection among many costs what it costs alone.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{ECHO, config, peer};
use sanswarm::{Action, ConnId, Event, Instant, Node, PeerInfo};

/// A hub with `n` peers, each connected to it.
struct Hub {
    hub: Node,
    spokes: Vec<(Node, ConnId, ConnId)>,
}

const NOW: Instant = Instant::ZERO;

fn carry(from: &mut Node, a: ConnId, to: &mut Node, b: ConnId) -> usize {
    let n = to.handle_input(b, from.ready(a));
    from.sent(a, n);
    n
}

impl Hub {
    fn new(n: usize) -> Self {
        let mut with = config(1);
        with.swarm.established = n + 1;
        let mut hub = Node::new(with).unwrap();
        hub.set_stream_handler(ECHO);
        let mut this = Self { hub, spokes: Vec::new() };
        for i in 0..n {
            let mut seed = [7; 32];
            seed[..8].copy_from_slice(&(i as u64).to_le_bytes());
            let mut with = config(2);
            with.keypair = sanswarm::Keypair::ed25519_from_bytes(seed).unwrap();
            let mut spoke = Node::new(with).unwrap();
            let address: sanswarm::Multiaddr = "/ip4/127.0.0.1/tcp/4001".parse().unwrap();
            spoke.connect(NOW, PeerInfo { id: peer(1), addrs: vec![address.clone()] });
            let Some(Action::Dial { conn, .. }) = spoke.poll_action() else { panic!() };
            assert!(spoke.handle_dialed(NOW, conn, [5; 32]));
            let far = this.hub.handle_accepted(NOW, address.clone(), address, [6; 32]).unwrap();
            this.spokes.push((spoke, conn, far));
            this.settle(i);
        }
        this
    }

    /// Lets one peer and the hub talk until they rest. Returns how often the hub said something.
    fn settle(&mut self, i: usize) -> usize {
        let (spoke, near, far) = &mut self.spokes[i];
        let mut count = 0;
        loop {
            let mut busy = 0;
            while spoke.poll_event(NOW).is_some() {
                busy += 1;
            }
            while self.hub.poll_event(NOW).is_some() {
                busy += 1;
                count += 1;
            }
            while self.hub.poll_transmit().is_some() {
                count += 1;
            }
            while spoke.poll_transmit().is_some() {}
            busy += carry(spoke, *near, &mut self.hub, *far) + carry(&mut self.hub, *far, spoke, *near);
            if busy == 0 {
                return count;
            }
        }
    }

    /// Opens a stream on one connection; what the hub has told the driver and the user about it.
    fn open(&mut self, i: usize) -> (usize, Vec<ConnId>) {
        let (spoke, near, far) = &mut self.spokes[i];
        spoke.open_stream(NOW, ECHO, peer(1));
        while spoke.poll_event(NOW).is_some() {}
        carry(spoke, *near, &mut self.hub, *far);
        let mut touched = Vec::new();
        while let Some(event) = self.hub.poll_event(NOW) {
            if let Event::Opened { stream, .. } = event {
                touched.push(stream.conn);
            }
        }
        while let Some(conn) = self.hub.poll_transmit() {
            touched.push(conn);
        }
        (self.settle(i), touched)
    }
}

/// What a driver is told is all that it has to look at: of 1,000 connections, the one that something happened on. That the
/// node itself looks at no other is counted in `src/node/tests.rs`.
#[test]
fn of_a_thousand_connections_only_the_one_that_something_happened_on_is_told() {
    let mut few = Hub::new(2);
    let mut many = Hub::new(1000);
    let (alone, _) = few.open(1);
    for i in [1, 500, 999] {
        let (count, touched) = many.open(i);
        assert_eq!(count, alone, "as many calls as in a small node");
        assert!(!touched.is_empty() && touched.iter().all(|conn| *conn == many.spokes[i].2), "{touched:?}");
    }
}

//! What a node remembers of its peers.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{A, B, ECHO, Net, address, config, peer, secs};
use sanswarm::{Event, Node, PeerRecord, Source};

/// A network of two, of which the second says where it listens.
fn told(record_seq: Option<u64>) -> Net {
    let mut theirs = config(2);
    theirs.record_seq = record_seq;
    let mut net = Net::with(vec![config(1), theirs]);
    net.users[B].node.handle_listening(address(1));
    net.connect();
    net
}

fn known(net: &Net) -> Vec<(sanswarm::Multiaddr, Source)> {
    let all = net.users[A].node.addresses(net.now, &peer(2));
    all.into_iter().map(|(address, known)| (address, known.source)).collect()
}

#[test]
fn what_identify_tells_is_enough_to_dial_again() {
    let mut net = told(None);
    assert_eq!(known(&net), [(address(1), Source::Identify)]);
    assert!(net.users[A].node.known_protocols(&peer(2)).contains(&ECHO.as_str().to_owned()));
    let now = net.now;
    net.users[A].node.disconnect(now, peer(2));
    net.run();
    let request = net.users[A].node.open_stream(now, ECHO, peer(2));
    net.run();
    net.users[A].stream(request);
}

#[test]
fn a_signed_record_is_sent_checked_and_renewed() {
    let mut net = told(Some(70));
    assert_eq!(known(&net), [(address(1), Source::Signed)]);
    let record = |net: &Net| {
        let info = net.users[A].node.info(&peer(2)).unwrap();
        PeerRecord::open(info.signed_peer_record.as_ref().unwrap()).unwrap()
    };
    let first = record(&net);
    assert_eq!((first.peer, &first.addrs[..]), (peer(2), &[address(1)][..]));
    net.users[B].node.handle_listening(address(9));
    net.run();
    let second = record(&net);
    assert!(second.seq > first.seq && first.seq >= 70, "{} {}", first.seq, second.seq);
    assert_eq!(known(&net).len(), 2);
}

#[test]
fn a_snapshot_outlives_the_node() {
    let net = told(None);
    let bytes = net.users[A].node.snapshot(net.now);
    let mut node = Node::new(config(1)).unwrap();
    assert_eq!(node.restore(net.now, &bytes), Ok(1));
    assert_eq!(node.known_peers().collect::<Vec<_>>(), [peer(2)]);
    assert_eq!(node.addresses(net.now, &peer(2)), net.users[A].node.addresses(net.now, &peer(2)));
    let late = net.now + secs(3601);
    node.open_stream(late, ECHO, peer(2));
    let event = node.poll_event(late);
    assert!(matches!(&event, Some(Event::OpenFailed { error, .. }) if error.code() == "no-addresses"), "{event:?}");
}

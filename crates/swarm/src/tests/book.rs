//! The peer book.

use libp2p_identity::Keypair;

use super::*;

const HOUR: u64 = 3_600_000;

fn parse(text: &str) -> Multiaddr {
    text.parse().unwrap()
}

fn known(swarm: &Swarm, at: u64, id: u8) -> Vec<(Multiaddr, Source)> {
    swarm.addresses(ms(at), &peer(id)).into_iter().map(|(address, known)| (address, known.source)).collect()
}

fn says(addrs: &[Multiaddr]) -> Identified<'_> {
    Identified { addrs, ..Identified::default() }
}

#[test]
fn an_address_is_remembered_dialled_and_forgotten_in_time() {
    let mut swarm = swarm();
    assert!(swarm.add_address(ms(0), peer(2), &addr(1).with_p2p(peer(2)).unwrap(), Some(Duration::from_secs(9))));
    assert!(!swarm.add_address(ms(0), peer(2), &addr(1).with_p2p(peer(3)).unwrap(), None));
    assert!(!swarm.add_address(ms(0), peer(2), &parse("/ip4/0.0.0.0/tcp/1"), None));
    let dial = swarm.dial(ms(1), Some(peer(2)), &[]);
    assert_eq!(swarm.dialing()[0].1, addr(1));
    swarm.cancel(ms(1), dial);
    swarm.actions();
    swarm.events();
    swarm.dial(ms(1), Some(peer(2)), &addrs([2]));
    assert_eq!(swarm.dialing()[0].1, addr(2), "what is given comes first");
    swarm.handle_timeout(ms(251));
    assert_eq!(swarm.dialing()[0].1, addr(1));
    assert_eq!(known(&swarm, 8_999, 2).len(), 1);
    assert_eq!(known(&swarm, 9_000, 2), []);
    swarm.events();
    let late = swarm.dial(ms(9_001), Some(peer(7)), &[]);
    assert_eq!(cause(&swarm.events()[0]), (late, DialError::NoAddresses));
    assert!(swarm.forget(&peer(2)) && !swarm.forget(&peer(2)));
}

#[test]
fn what_worked_comes_first_and_what_fails_is_worth_less() {
    let mut swarm = swarm_with(Limits { backoff: Duration::ZERO, ..Limits::default() });
    swarm.handle_identified(ms(0), peer(2), says(&addrs([1, 2]))).unwrap();
    swarm.add_address(ms(0), peer(2), &addr(3), None);
    assert_eq!(known(&swarm, 0, 2)[0], (addr(3), Source::Application));
    // The first two fail, the third works.
    swarm.dial(ms(0), Some(peer(2)), &[]);
    for host in [3, 1] {
        let (conn, address) = swarm.dialing()[0].clone();
        assert_eq!(address, addr(host));
        swarm.handle_dial_failed(ms(0), conn, REFUSED);
    }
    let (conn, address) = swarm.dialing()[0].clone();
    assert_eq!(address, addr(2));
    swarm.handle_ready(ms(0), conn, peer(2)).unwrap();
    let all = swarm.addresses(ms(0), &peer(2));
    let summary: Vec<_> =
        all.iter().map(|(address, known)| (address.clone(), known.worked, known.confidence)).collect();
    assert_eq!(summary, [(addr(2), true, 96), (addr(3), false, 64), (addr(1), false, 16)]);
    swarm.handle_closed(ms(0), conn);
    swarm.events();
    // What the peer itself has named is forgotten after some failures, what the application has named is not.
    for _ in 0..9 {
        swarm.dial(ms(0), Some(peer(2)), &[]);
        while let Some(Action::Dial { conn, .. }) = swarm.poll_action() {
            swarm.handle_dial_failed(ms(0), conn, REFUSED);
        }
    }
    assert_eq!(known(&swarm, 0, 2), [(addr(3), Source::Application)]);
}

#[test]
fn the_book_is_bounded() {
    let limits = Limits { book_peers: 3, book_addresses: 2, book_text: 10, ..Limits::default() };
    let mut swarm = swarm_with(limits);
    let protocols = ["/abc", "/much-too-long", "/d"].map(str::to_owned);
    for id in 2..=5 {
        let addrs = addrs(1..=5);
        let said = Identified { addrs: &addrs, protocols: &protocols, agent: Some("four"), record: None };
        swarm.handle_identified(ms(0), peer(id), said).unwrap();
        assert!(known(&swarm, 0, id).len() <= 2);
    }
    assert_eq!(swarm.known_peers().collect::<Vec<_>>(), [peer(3), peer(4), peer(5)]);
    assert_eq!(
        (swarm.agent(&peer(5)), swarm.protocols(&peer(5))),
        (Some("four"), &["/abc".to_owned(), "/d".to_owned()][..])
    );
    swarm.add_address(ms(0), peer(3), &addr(9), None);
    assert_eq!(known(&swarm, 0, 3)[0], (addr(9), Source::Application), "the least worth made way");
    swarm.handle_identified(ms(0), peer(3), says(&addrs([8]))).unwrap();
    assert_eq!(known(&swarm, 0, 3)[0].0, addr(9));
    swarm.handle_identified(ms(0), peer(6), says(&[])).unwrap();
    assert_eq!(swarm.known_peers().collect::<Vec<_>>(), [peer(5), peer(3), peer(6)], "the one used last stays");
    let mut none = swarm_with(Limits { book_peers: 0, ..Limits::default() });
    assert!(!none.add_address(ms(0), peer(2), &addr(1), None));
}

#[test]
fn of_a_public_peer_no_private_address_is_believed() {
    let mut swarm = swarm();
    let said = ["/ip4/127.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/1", "/ip4/20.0.0.1/tcp/1", "/ip4/0.0.0.0/tcp/1"].map(parse);
    let from = |host: &str| parse(&format!("/ip4/{host}/tcp/9"));
    for (id, host, believed) in [(2, "20.0.0.9", 1), (3, "10.0.0.9", 2), (4, "127.0.0.1", 3)] {
        let conn = swarm.handle_accepted(ms(0), addr(0), from(host)).unwrap();
        swarm.handle_ready(ms(0), conn, peer(id)).unwrap();
        swarm.handle_identified(ms(0), peer(id), says(&said)).unwrap();
        assert_eq!(known(&swarm, 0, id).len(), believed, "{host}");
    }
    assert_eq!(known(&swarm, HOUR, 2), [], "for an hour");
}

#[test]
fn signed_records_count_in_the_place_of_what_is_only_said() {
    let key = Keypair::ed25519_from_bytes([7; 32]).unwrap();
    let them = key.public().to_peer_id();
    let mut swarm = swarm();
    let record = |seq, host| PeerRecord::seal(&key, seq, &addrs([host])).unwrap();
    let (said, newer, older) = (addrs([9]), record(5, 1), record(4, 2));
    let hear = |swarm: &mut Swarm, id, record: &[u8]| {
        let record = Some(record);
        swarm.handle_identified(ms(0), id, Identified { addrs: &said, record, ..Identified::default() })
    };
    let of = |swarm: &Swarm| -> Vec<_> {
        swarm.addresses(ms(0), &them).into_iter().map(|(address, known)| (address, known.source)).collect()
    };
    assert_eq!(hear(&mut swarm, them, &newer), Ok(()));
    assert_eq!(of(&swarm), [(addr(1), Source::Signed)]);
    assert_eq!(hear(&mut swarm, them, &older), Err(RecordError::Old { newest: 5 }));
    assert_eq!(of(&swarm), [(addr(1), Source::Signed), (addr(9), Source::Identify)]);
    assert_eq!(hear(&mut swarm, peer(2), &newer), Err(RecordError::WrongPeer { got: them }));
    assert_eq!(known(&swarm, 0, 2), [(addr(9), Source::Identify)]);
}

#[test]
fn a_snapshot_comes_back_as_it_was() {
    let mut swarm = swarm();
    let protocols = ["/a".to_owned()];
    let list = addrs([1, 2]);
    let said = Identified { addrs: &list, protocols: &protocols, agent: Some("x/1"), record: None };
    swarm.handle_identified(ms(0), peer(3), said).unwrap();
    swarm.add_address(ms(0), peer(2), &addr(5), None);
    swarm.handle_identified(ms(0), peer(4), says(&addrs([7]))).unwrap();
    swarm.dial(ms(0), Some(peer(4)), &[]);
    let conn = swarm.dialing()[0].0;
    swarm.handle_ready(ms(0), conn, peer(4)).unwrap();
    let bytes = swarm.snapshot(ms(1000));

    let mut other = super::swarm();
    assert_eq!(other.restore(ms(50_000), &bytes), Ok(3));
    assert_eq!(other.known_peers().collect::<Vec<_>>(), [peer(3), peer(2), peer(4)]);
    for id in 2..=4 {
        assert_eq!(known(&other, 50_000, id), known(&swarm, 1000, id));
    }
    assert_eq!((other.agent(&peer(3)), other.protocols(&peer(3))), (Some("x/1"), &protocols[..]));
    assert!(other.addresses(ms(50_000), &peer(4))[0].1.worked);
    assert_eq!(known(&other, 50_000 + HOUR - 1001, 3).len(), 2, "the time left is what it was");
    assert_eq!(known(&other, 50_000 + HOUR - 1000, 3).len(), 0);
    assert_eq!(known(&other, 50_000 + HOUR, 2).len(), 1);
    assert_eq!(other.snapshot(ms(50_000)), bytes, "the same bytes");

    let mut small = swarm_with(Limits { book_peers: 2, book_addresses: 1, ..Limits::default() });
    assert_eq!(small.restore(ms(0), &bytes), Ok(3));
    assert_eq!(small.known_peers().collect::<Vec<_>>(), [peer(2), peer(4)]);
}

#[test]
fn a_bad_snapshot_is_an_error_or_does_no_harm() {
    let mut swarm = swarm();
    assert_eq!(swarm.restore(ms(0), &[]), Err(SnapshotError::Version(0)));
    assert_eq!(swarm.restore(ms(0), &[8, 2]), Err(SnapshotError::Version(2)));
    assert_eq!(swarm.restore(ms(0), b"\xff\xff"), Err(SnapshotError::Malformed));
    swarm.handle_identified(ms(0), peer(3), says(&addrs([1, 2, 3]))).unwrap();
    let bytes = swarm.snapshot(ms(0));
    for at in 0..bytes.len() {
        for flip in [1, 0x80, 0xff] {
            let mut bad = bytes.clone();
            bad[at] ^= flip;
            let _ = super::swarm().restore(ms(0), &bad);
        }
        let _ = super::swarm().restore(ms(0), &bytes[..at]);
    }
}

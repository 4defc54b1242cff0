//! Every request has exactly one answer, and a failure says what was tried.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{A, B, CHAT, ECHO, Hand, Net, Place, address, config, millis, pattern, peer, secs};
use sanswarm::{DialError, Event, Open, OpenError, OpenStreamError, ProtocolName, RefusalCause};

const IDENTIFY: &str = "/ipfs/id/1.0.0";
const MANY: ProtocolName = ProtocolName::from_static("/many/1.0.0");

#[test]
fn a_protocol_that_nobody_handles_is_refused() {
    let mut net = Net::new(2);
    let request = net.open(CHAT);
    net.run();
    let OpenStreamError::Refused(refusal) = net.users[A].failure(request) else { panic!() };
    assert_eq!((&refusal.offered[..], &refusal.cause), (&[CHAT][..], &RefusalCause::NotSupported));
    assert_eq!(net.users[A].failure(request).code(), "protocol-refused");
    assert_eq!(net.users[A].answers(request), 1);
}

#[test]
fn of_several_names_the_first_common_one_is_taken() {
    let mut net = Net::new(2);
    net.users[B].node.set_stream_handler(CHAT);
    let request = net.open([MANY, CHAT, ECHO]);
    net.run();
    let stream = net.users[A].stream(request);
    let agreed =
        |e: &Event| matches!(e, Event::Opened { stream: s, protocol, .. } if *s == stream && *protocol == CHAT);
    assert_eq!(net.users[A].count(agreed), 1);
}

#[test]
fn no_name_at_all_is_an_error() {
    let mut net = Net::new(2);
    let request = net.open(Vec::new());
    net.run();
    assert_eq!(net.users[A].failure(request), &OpenStreamError::Open(OpenError::NoName));
}

#[test]
fn requests_to_one_peer_share_one_dial() {
    let mut net = Net::new(2);
    let requests = [net.open(ECHO), net.open(CHAT), net.open(ECHO)];
    net.run();
    assert_eq!(net.dials.len(), 1);
    assert!(net.users[A].opened(requests[0]).is_some() && net.users[A].opened(requests[2]).is_some());
    assert_eq!(net.users[A].failure(requests[1]).code(), "protocol-refused");
    for request in requests {
        assert_eq!(net.users[A].answers(request), 1);
    }
}

#[test]
fn a_request_to_a_connected_peer_needs_no_address_and_no_dial() {
    let (mut net, conn, _) = Net::connected();
    let now = net.now;
    let request = net.users[A].node.open_stream(now, ECHO, peer(2));
    net.run();
    assert_eq!(net.users[A].stream(request).conn, conn);
    assert_eq!(net.dials.len(), 1);
}

#[test]
fn the_listener_of_a_connection_may_open_streams_too() {
    let (mut net, _, b) = Net::connected();
    net.users[A].node.set_stream_handler(CHAT);
    let now = net.now;
    let request = net.users[B].node.open_stream(now, CHAT, peer(1));
    net.run();
    assert_eq!(net.users[B].stream(request).conn, b);
    assert_eq!(net.dials.len(), 1);
}

#[test]
fn a_connection_that_ends_before_the_agreement_answers_its_requests() {
    let (mut net, a, _) = Net::connected();
    net.latency = millis(50);
    // Not listed by identify, so that the agreement is waited for.
    let request = net.open(CHAT);
    net.round();
    net.cut(0);
    net.run();
    assert!(matches!(net.users[A].failure(request), OpenStreamError::Closed(Err(_))));
    assert_eq!(net.users[A].answers(request), 1);
    let user = &net.users[A];
    let failed = user.position(|e| matches!(e, Event::OpenFailed { .. })).unwrap();
    let gone = user.position(|e| matches!(e, Event::Disconnected { conn, .. } if *conn == a)).unwrap();
    assert!(failed < gone, "{:?}", user.events);
}

#[test]
fn our_own_close_answers_requests_that_wait() {
    let (mut net, a, _) = Net::connected();
    net.latency = millis(50);
    let now = net.now;
    let early = net.open(CHAT);
    net.round();
    net.users[A].node.close(now, a);
    net.run();
    assert_eq!(net.users[A].failure(early), &OpenStreamError::Closed(Ok(sanswarm::CloseReason::Local)));
    assert_eq!(net.users[A].failure(early).code(), "closed");
}

#[test]
fn a_request_and_a_close_in_one_breath_have_one_answer() {
    let (mut net, a, _) = Net::connected();
    let now = net.now;
    let request = net.open(ECHO);
    net.users[A].node.close(now, a);
    net.run();
    assert_eq!(net.users[A].answers(request), 1, "{:?}", net.users[A].events);
}

#[test]
fn a_cancelled_request_is_answered_once_and_its_dial_abandoned() {
    let mut net = Net::new(1);
    net.places.insert(address(7), Place::Hole);
    let request = net.open_at(peer(9), vec![address(7)]);
    net.run();
    let now = net.now;
    assert!(net.users[A].node.cancel(now, request));
    assert!(!net.users[A].node.cancel(now, request));
    net.run();
    assert_eq!(net.users[A].failure(request).code(), "cancelled");
    assert_eq!((net.users[A].answers(request), net.abandoned.len()), (1, 1));
    let conn = net.abandoned[0].1;
    assert!(!net.users[A].node.handle_dialed(now, conn, [5; 32]), "too late: the driver drops the socket");
    net.pass(secs(60));
    assert_eq!(net.users[A].events.len(), 1);
}

#[test]
fn cancelling_one_of_two_requests_leaves_the_other() {
    let mut net = Net::new(2);
    let (one, two) = (net.open(ECHO), net.open(ECHO));
    let now = net.now;
    assert!(net.users[A].node.cancel(now, one));
    net.run();
    assert_eq!(net.users[A].failure(one).code(), "cancelled");
    assert!(net.users[A].opened(two).is_some());
}

#[test]
fn an_answered_request_cannot_be_cancelled() {
    let mut net = Net::new(2);
    let request = net.open(ECHO);
    net.run();
    let now = net.now;
    assert!(!net.users[A].node.cancel(now, request));
    assert_eq!(net.users[A].answers(request), 1);
}

#[test]
fn more_dials_than_the_limit_are_told_which_limit() {
    let mut with = config(1);
    with.swarm.dials = 1;
    let mut net = Net::with(vec![with]);
    net.places.insert(address(7), Place::Hole);
    net.open_at(peer(9), vec![address(7)]);
    let request = net.open_at(peer(8), vec![address(7)]);
    net.run();
    assert_eq!(net.users[A].report(request).cause, DialError::Limit { name: "dials", value: 1 });
    assert_eq!(net.users[A].failure(request).code(), "limit");
}

#[test]
fn more_streams_than_the_limit_are_told_which_limit() {
    let mut with = config(1);
    with.connection.streams = 3;
    let mut net = Net::with(vec![with, config(2)]);
    net.users[B].node.set_stream_handler(ECHO);
    net.connect();
    let requests: Vec<_> = (0..5).map(|_| net.open(ECHO)).collect();
    net.run();
    let failed: Vec<_> = requests.iter().filter(|r| net.users[A].opened(**r).is_none()).collect();
    assert_eq!(failed.len(), 2);
    let limit = OpenError::Limit { name: "streams", value: 3 };
    assert_eq!(net.users[A].failure(*failed[0]), &OpenStreamError::Open(limit));
    assert_eq!(net.users[A].failure(*failed[0]).code(), "open");
}

#[test]
fn a_name_that_identify_lists_costs_one_round_trip() {
    let (mut net, _, _) = Net::connected();
    net.latency = millis(100);
    let start = net.now;
    let request = net.open([MANY, ECHO]);
    net.round();
    let stream = net.users[A].stream(request);
    net.send_all(A, stream, b"at once");
    net.run();
    assert_eq!(net.users[A].got[&stream], b"at once");
    assert_eq!(net.now.since(start), millis(200), "there and back");
    let tap = net.pipes[0].lines[0].tap.len();
    assert!(tap > 0);
}

#[test]
fn a_stream_to_a_stranger_takes_two_round_trips_and_does_not_wait_for_identify() {
    for how in [Open::Lazy, Open::Wait] {
        let mut net = Net::new(2);
        net.latency = millis(50);
        let (info, now) = (net.users[B].info(), net.now);
        let request = net.users[A].node.open_stream_with(now, ECHO, info, how);
        net.pass(millis(100));
        let is_ready = |e: &Event| matches!(e, Event::PeerReady { .. });
        assert_eq!(net.users[A].count(is_ready), 0, "identify is on, and its answer is under way");
        if how == Open::Lazy {
            let stream = net.users[A].stream(request);
            net.send_all(A, stream, b"hello");
            net.pass(millis(100));
            assert_eq!(net.users[A].got[&stream], b"hello", "2 round trips to the first byte of the answer");
        } else {
            assert_eq!(net.users[A].opened(request), None);
            net.pass(millis(100));
            net.users[A].stream(request);
        }
        assert_eq!(net.users[A].count(is_ready), 1);
    }
}

#[test]
fn only_the_name_that_identify_lists_is_offered() {
    let mut net = Net::new(1);
    let info = sanswarm_identify::Info { protocols: vec![MANY.as_str().to_owned()], ..Default::default() };
    let says = info.encode(&Default::default());
    // It lies: it lists a name that it does not speak.
    net.connect_hand(move || Hand::serves(&[IDENTIFY, "/echo/1.0.0"], Some(says.clone()), false));
    let now = net.now;
    let request = net.users[A].node.open_stream(now, [ECHO, MANY], peer(9));
    net.round();
    let stream = net.users[A].stream(request);
    assert_eq!(net.users[A].node.write(now, stream, b"hello"), Ok(5));
    net.run();
    let refusal = net.users[A].events.iter().find_map(|e| match e {
        Event::Refused { stream: s, refusal } if *s == stream => Some(refusal),
        _ => None,
    });
    let refusal = refusal.expect("it lied");
    assert_eq!((&refusal.offered[..], refusal.data_sent), (&[MANY][..], true));
    assert_eq!(net.users[A].answers(request), 1, "it was open to the user before");
    assert!(net.users[A].node.write(now, stream, b"more").is_err());
}

#[test]
fn a_lazy_stream_that_was_written_to_at_once_waits_for_room_and_loses_nothing() {
    let (mut net, _, _) = Net::connected();
    let request = net.open(ECHO);
    net.round();
    let stream = net.users[A].stream(request);
    let data = pattern(700_000);
    net.send_all(A, stream, &data);
    net.run();
    assert!(net.users[A].got[&stream] == data);
}

#[test]
fn a_new_stream_is_agreed_on_while_others_fill_the_socket() {
    let (mut net, _, _) = Net::connected();
    net.users[B].node.set_stream_handler(CHAT);
    net.chunk = 5000;
    net.latency = millis(1);
    let bulk: Vec<_> = (0..4).map(|_| net.open(ECHO)).collect();
    net.run();
    let streams: Vec<_> = bulk.iter().map(|r| net.users[A].stream(*r)).collect();
    for stream in &streams {
        net.send_all(A, *stream, &pattern(3_000_000));
    }
    for _ in 0..200 {
        net.round();
    }
    assert!(net.users[A].got.values().all(|got| got.len() < 3_000_000), "the bulk is under way");
    let late = [net.open(CHAT), net.open([MANY, CHAT]), net.open(ECHO)];
    net.pass(millis(40));
    for request in late {
        assert!(net.users[A].opened(request).is_some(), "{request:?}");
        let stream = net.users[A].stream(request);
        net.send_all(A, stream, b"in between");
    }
    net.pass(millis(40));
    assert!(net.users[A].got.values().any(|got| got.len() < 3_000_000 && got.len() > 10), "still under way");
    for request in late {
        assert_eq!(net.users[A].got[&net.users[A].stream(request)], b"in between");
    }
    net.run();
    for stream in streams {
        assert!(net.users[A].got[&stream] == pattern(3_000_000));
    }
}

#[test]
fn an_asked_for_lazy_stream_needs_no_identify() {
    let mut net = Net::new(2);
    net.latency = millis(100);
    let (info, now) = (net.users[B].info(), net.now);
    let request = net.users[A].node.open_stream_with(now, ECHO, info, Open::Lazy);
    net.pass(millis(201));
    let stream = net.users[A].stream(request);
    net.send_all(A, stream, b"fast");
    net.run();
    assert_eq!(net.users[A].got[&stream], b"fast");
}

#[test]
fn a_request_to_whom_we_are_just_being_connected_by_needs_no_second_connection() {
    let mut net = Net::new(2);
    net.latency = millis(50);
    let (now, info) = (net.now, net.users[A].info());
    net.users[A].node.set_stream_handler(CHAT);
    let theirs = net.users[B].node.open_stream(now, CHAT, info);
    let ours = net.open(ECHO);
    net.pass(secs(3));
    assert_eq!((net.users[A].answers(ours), net.users[B].answers(theirs)), (1, 1));
    assert!(net.users[A].opened(ours).is_some() && net.users[B].opened(theirs).is_some());
}

#[test]
fn a_stream_of_known_names_only_waits_for_what_the_peer_lists() {
    let mut net = Net::new(2);
    net.latency = millis(20);
    let (info, now) = (net.users[B].info(), net.now);
    // The race: asked for before anything is known of the peer.
    let ask = |net: &mut Net, names: [ProtocolName; 2]| {
        net.users[A].node.open_stream_with(now, names, info.clone(), Open::KnownOnly)
    };
    let (good, bad) = (ask(&mut net, [CHAT, ECHO]), ask(&mut net, [CHAT, ProtocolName::from_static("/none")]));
    net.run();
    let user = &net.users[A];
    let ready = user.position(|e| matches!(e, Event::PeerReady { .. })).unwrap();
    let opened = user.position(|e| matches!(e, Event::Opened { request: Some(r), .. } if *r == good)).unwrap();
    assert!(ready < opened, "it waited");
    assert_eq!(user.failure(bad).code(), "not-listed");
    assert_eq!(user.count(|e| matches!(e, Event::PeerReady { .. })), 1);
    // Now that it is known: at once, both ways.
    let (good, bad) = (ask(&mut net, [CHAT, ECHO]), ask(&mut net, [CHAT, ProtocolName::from_static("/none")]));
    while net.round() {}
    net.users[A].stream(good);
    assert_eq!(net.users[A].failure(bad).code(), "not-listed");
}

#[test]
fn known_names_only_of_a_peer_that_never_tells_fail_with_peer_ready() {
    let mut net = Net::new(1);
    net.connect_hand(|| Hand::serves(&["/echo/1.0.0", IDENTIFY], None, false));
    let now = net.now;
    let request = net.users[A].node.open_stream_with(now, ECHO, peer(9), Open::KnownOnly);
    net.pass(secs(4));
    assert_eq!(net.users[A].answers(request), 0, "it may tell yet");
    net.pass(secs(20));
    let user = &net.users[A];
    assert_eq!(user.failure(request).code(), "not-listed");
    assert_eq!(user.count(|e| matches!(e, Event::PeerReady { .. })), 1);
    assert_eq!(user.answers(request), 1);
}

#[test]
fn so_many_requests_wait_and_all_are_answered_when_the_connection_ends() {
    let mut net = Net::new(1);
    net.connect_hand(|| Hand::serves(&[IDENTIFY], None, false));
    let now = net.now;
    let ask = |net: &mut Net| net.users[A].node.open_stream_with(now, ECHO, peer(9), Open::KnownOnly);
    let requests: Vec<_> = (0..257).map(|_| ask(&mut net)).collect();
    net.run();
    assert_eq!(net.users[A].failure(requests[256]).code(), "not-listed");
    net.users[A].node.disconnect(now, peer(9));
    net.pass(secs(2));
    for request in &requests[..256] {
        assert_eq!(net.users[A].failure(*request).code(), "closed");
        assert_eq!(net.users[A].answers(*request), 1);
    }
}

#[test]
fn handlers_by_predicate_take_what_has_no_handler_of_its_own() {
    let mut net = Net::new(2);
    let name = |text: &'static str| ProtocolName::from_static(text);
    let any_chat = net.users[B].node.set_stream_handler_where(|name| name.as_str().starts_with("/chat/"));
    let own = net.users[B].node.set_stream_handler(name("/chat/2"));
    let handler_of = |net: &mut Net, text: &'static str| {
        let request = net.open(name(text));
        net.run();
        net.users[A].opened(request)?;
        net.users[B].events.iter().rev().find_map(|event| match event {
            Event::Opened { handler, protocol, .. } if protocol.as_str() == text => *handler,
            _ => None,
        })
    };
    assert_eq!(handler_of(&mut net, "/chat/1"), Some(any_chat));
    assert_eq!(handler_of(&mut net, "/chat/2"), Some(own));
    assert_eq!(handler_of(&mut net, "/talk/1"), None);
    assert!(net.users[B].node.remove_stream_handler(own));
    assert_eq!(handler_of(&mut net, "/chat/2"), Some(any_chat), "the predicate's now");
    let late = net.users[B].node.set_stream_handler_where(|name| name.as_str() != "/none");
    assert_eq!(handler_of(&mut net, "/chat/3"), Some(any_chat), "set first");
    assert!(net.users[B].node.remove_stream_handler(any_chat) && !net.users[B].node.remove_stream_handler(any_chat));
    assert_eq!(handler_of(&mut net, "/chat/4"), Some(late));
}

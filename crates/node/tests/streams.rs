//! Streams: half-close, reset, stop, and full buffers on both sides.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{A, B, CHAT, ECHO, Net, pattern, peer};
use sanswarm::{Event, ReadError, WriteError};

#[test]
fn a_stream_ends_when_both_sides_have_finished() {
    let (mut net, a, b) = Net::connected();
    let request = net.open(ECHO);
    net.run();
    let before = net.users[A].node.stats(a).unwrap().streams;
    let stream = net.users[A].stream(request);
    net.send_all(A, stream, b"bye");
    net.run();
    assert_eq!(net.users[A].node.read(stream), Err(ReadError::Gone));
    assert_eq!(net.users[A].node.stats(a).unwrap().streams, before - 1);
    assert_eq!(net.users[B].node.stats(b).unwrap().streams, before - 1);
}

#[test]
fn after_identify_no_stream_is_left() {
    let (net, a, b) = Net::connected();
    assert_eq!(net.users[A].node.stats(a).unwrap().streams, 0);
    assert_eq!(net.users[B].node.stats(b).unwrap().streams, 0);
}

#[test]
fn a_push_leaves_no_stream() {
    let (mut net, a, b) = Net::connected();
    for _ in 0..50 {
        net.users[A].node.set_stream_handler(CHAT);
        net.run();
    }
    assert_eq!(net.users[A].node.stats(a).unwrap().streams, 0);
    assert_eq!(net.users[B].node.stats(b).unwrap().streams, 0);
}

#[test]
fn both_ends_have_one_wire_id_for_a_stream() {
    let (mut net, _, _) = Net::connected();
    let requests = [net.open(ECHO), net.open(ECHO)];
    net.run();
    let (a, b) = (&net.users[A], &net.users[B]);
    let ours = requests.map(|request| a.node.wire_id(a.stream(request)).unwrap());
    let theirs: Vec<_> = b.inbound().into_iter().map(|stream| b.node.wire_id(stream).unwrap()).collect();
    assert_eq!(theirs, ours);
    assert!(ours[0] != ours[1] && ours.iter().all(|id| id % 2 == 1), "{ours:?}");
    let stream = a.stream(requests[0]);
    net.users[A].node.reset(stream).unwrap();
    assert_eq!(net.users[A].node.wire_id(stream), None);
}

#[test]
fn half_close_leaves_the_other_direction() {
    let (mut net, _, _) = Net::connected();
    let request = net.open(ECHO);
    net.run();
    net.users[B].echoes = false;
    let (stream, now) = (net.users[A].stream(request), net.now);
    net.users[A].node.finish(stream).unwrap();
    assert_eq!(net.users[A].node.write(now, stream, b"x"), Err(WriteError::Finished));
    net.run();
    let theirs = net.users[B].inbound()[0];
    assert!(net.users[B].ended.contains(&theirs));
    assert_eq!(net.users[B].node.write(now, theirs, b"late"), Ok(4));
    net.run();
    assert_eq!(net.users[A].got[&stream], b"late");
}

#[test]
fn reset_is_told_to_the_peer_and_ends_both_directions() {
    let (mut net, _, _) = Net::connected();
    let request = net.open(ECHO);
    net.run();
    let (stream, now) = (net.users[A].stream(request), net.now);
    net.users[A].node.write(now, stream, b"x").unwrap();
    net.run();
    net.users[A].node.reset(stream).unwrap();
    net.run();
    let theirs = net.users[B].inbound()[0];
    assert!(net.users[B].has(&Event::Reset { stream: theirs }));
    assert_eq!(net.users[B].node.write(now, theirs, b"x"), Err(WriteError::Gone));
    assert_eq!(net.users[A].node.reset(stream), Err(WriteError::Gone));
}

#[test]
fn stop_drops_what_comes_and_writing_goes_on() {
    let (mut net, _, _) = Net::connected();
    let request = net.open(ECHO);
    net.run();
    let stream = net.users[A].stream(request);
    net.users[A].node.stop(stream).unwrap();
    let data = pattern(600_000);
    net.send_all(A, stream, &data);
    net.run();
    let theirs = net.users[B].inbound()[0];
    assert!(net.users[B].got[&theirs] == data, "the echo does not stand in its way");
    assert!(!net.users[A].got.contains_key(&stream));
}

#[test]
fn a_reader_who_does_not_read_stops_the_writer_and_nothing_is_lost() {
    let (mut net, a, _) = Net::connected();
    net.users[B].reads = false;
    let request = net.open(ECHO);
    net.run();
    let stream = net.users[A].stream(request);
    let data = pattern(2_000_000);
    net.send_all(A, stream, &data);
    net.run();
    let theirs = net.users[B].inbound()[0];
    assert!(net.users[B].got.is_empty());
    assert!(net.users[A].node.stats(a).is_some());
    net.users[B].reads = true;
    let now = net.now;
    net.users[B].take_in(now, theirs);
    assert!(net.users[B].got[&theirs].len() <= 256 * 1024, "no more than the window was held");
    net.run();
    assert!(net.users[B].got[&theirs] == data && net.users[A].got[&stream] == data);
}

#[test]
fn two_nodes_that_fill_each_others_sockets_do_not_block() {
    let (mut net, _, _) = Net::connected();
    net.room = 3000;
    net.chunk = 700;
    net.users[A].node.set_stream_handler(CHAT);
    let (now, mut open) = (net.now, Vec::new());
    for _ in 0..5 {
        open.push((A, net.open(ECHO)));
        open.push((B, net.users[B].node.open_stream(now, CHAT, peer(1))));
    }
    net.run();
    let data = pattern(400_000);
    for (user, request) in &open {
        let stream = net.users[*user].stream(*request);
        net.send_all(*user, stream, &data);
    }
    net.run();
    for (user, request) in &open {
        let user = &net.users[*user];
        assert!(user.got[&user.stream(*request)] == data);
    }
}

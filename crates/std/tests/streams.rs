//! Streams between two nodes.

#![allow(clippy::unwrap_used)] // clippy sees helpers outside of #[test] as no tests

mod common;

use core::time::Duration;
use std::{
    io::{ErrorKind, Read, Write},
    sync::mpsc,
    thread,
};

use common::*;
use sanswarm_std::{Node, OpenStreamError, ProtocolName, ReadError, WriteError};

#[test]
fn one_stream_echoes_a_mebibyte() {
    within(|| {
        let (alice, _bob, info) = pair();
        round_trip(&alice.open_stream(ECHO, info).unwrap(), 1 << 20, 1);
    });
}

#[test]
fn twenty_streams_echo_a_mebibyte_each() {
    within(|| {
        let (alice, _bob, info) = pair();
        let one = |seed| {
            let (alice, info) = (alice.clone(), info.clone());
            start(move || round_trip(&alice.open_stream(ECHO, info).unwrap(), 1 << 20, seed))
        };
        let all: Vec<_> = (0..20).map(one).collect();
        all.into_iter().for_each(|one| one.join().unwrap());
        eventually("no stream is left", || alice.stats(info.id).unwrap().streams <= 1);
    });
}

#[test]
fn ipv6_and_names_work() {
    within(|| {
        let alice = Node::with_new_identity().unwrap();
        let (_bob, info) = server("/ip6/::1/tcp/0");
        round_trip(&alice.open_stream(ECHO, info).unwrap(), 10_000, 2);

        let (_carol, mut info) = server("/ip4/127.0.0.1/tcp/0");
        let name = info.addrs[0].to_string().replace("/ip4/127.0.0.1", "/dns4/localhost");
        info.addrs = vec![name.parse().unwrap()];
        round_trip(&alice.open_stream(ECHO, info).unwrap(), 10_000, 3);
    });
}

#[test]
fn each_side_finishes_on_its_own() {
    within(|| {
        let early = ProtocolName::from_static("/early/1");
        let (alice, bob, info) = pair();
        bob.set_stream_handler(&early, |mut stream| {
            // Says all that it has to say first, then listens.
            stream.write_all(b"hello and goodbye").unwrap();
            stream.finish().unwrap();
            assert_eq!(stream.write(b"more").unwrap_err().kind(), ErrorKind::BrokenPipe);
            let mut rest = String::new();
            stream.read_to_string(&mut rest).unwrap();
            assert_eq!(rest, "still here");
        });
        let mut stream = alice.open_stream(early, info.clone()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello and goodbye");
        assert_eq!(stream.read(&mut [0; 9]).unwrap(), 0, "the end stays the end");
        stream.write_all(b"still ").unwrap();
        stream.write_all(b"here").unwrap();
        stream.finish().unwrap();
        stream.finish().unwrap();
        drop(stream);
        eventually("both are done", || alice.stats(info.id).unwrap().streams <= 1);
    });
}

#[test]
fn a_dropped_stream_is_reset_at_the_other_end() {
    within(|| {
        let wait = ProtocolName::from_static("/wait/1");
        let (sender, ends) = mpsc::channel();
        let (alice, bob, info) = pair();
        bob.set_stream_handler(&wait, move |mut stream| {
            sender.send(stream.read(&mut [0; 10]).map_err(|error| error.kind())).unwrap();
            if let Ok(1) = stream.read(&mut [0; 10]) {
                sender.send(Ok(1)).unwrap();
            }
        });
        drop(alice.open_stream(&wait, info.clone()).unwrap());
        assert_eq!(ends.recv().unwrap(), Err(ErrorKind::ConnectionReset));

        let clone = alice.open_stream(&wait, info.clone()).unwrap();
        let stream = clone.try_clone().unwrap();
        stream.reset();
        assert_eq!(ends.recv().unwrap(), Err(ErrorKind::ConnectionReset));
        let error = (&clone).read(&mut [0]).unwrap_err();
        let source = error.get_ref().and_then(|source| source.downcast_ref());
        assert_eq!(source, Some(&ReadError::Gone));

        // Finished and not read: what was written arrives, what comes back is thrown away.
        let mut stream = alice.open_stream(ECHO, info.clone()).unwrap();
        stream.write_all(&pattern(300_000, 4)).unwrap();
        stream.finish().unwrap();
        drop(stream);
        eventually("nothing is left", || alice.stats(info.id).unwrap().streams <= 1);
        eventually("nothing is left there", || bob.stats(alice.id()).unwrap().streams <= 1);
    });
}

#[test]
fn a_slow_reader_stops_nobody_else() {
    within(|| {
        let (alice, _bob, info) = pair();
        // Its echo is never read, so it stands still after a few windows.
        let slow = alice.open_stream(ECHO, info.clone()).unwrap();
        slow.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        let data = pattern(100_000, 5);
        let mut taken = 0;
        let error = loop {
            match (&slow).write(&data) {
                Ok(n) => taken += n,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(taken > 200_000, "{taken}");
        round_trip(&alice.open_stream(ECHO, info).unwrap(), 1 << 20, 6);
    });
}

#[test]
fn both_sides_write_before_they_read() {
    const LEN: usize = 8 << 20;
    within(|| {
        let flood = ProtocolName::from_static("/flood/1");
        let (alice, bob, info) = pair();
        bob.set_stream_handler(&flood, |stream| round_trip(&stream, LEN, 7));
        let stream = alice.open_stream(flood, info).unwrap();
        round_trip(&stream, LEN, 7);
    });
}

#[test]
fn timeouts_end_calls_and_nothing_else() {
    within(|| {
        let (alice, _bob, info) = pair();
        let mut stream = alice.open_stream(ECHO, info).unwrap();
        assert_eq!(stream.set_read_timeout(Some(Duration::ZERO)).unwrap_err().kind(), ErrorKind::InvalidInput);
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(stream.read_bytes().unwrap_err().kind(), ErrorKind::TimedOut);
        stream.set_read_timeout(None).unwrap();
        stream.write_all(b"later").unwrap();
        assert_eq!(stream.read_bytes().unwrap().unwrap(), "later");
        stream.finish().unwrap();
        assert_eq!(stream.read_bytes().unwrap(), None);
        assert_eq!(stream.read_bytes().unwrap(), None);
    });
}

#[test]
fn a_waiting_call_is_woken_by_the_end() {
    within(|| {
        let (alice, bob, info) = pair();
        let streams: Vec<_> = (0..3).map(|_| alice.open_stream(ECHO, info.clone()).unwrap()).collect();
        let waiting = streams[0].try_clone().unwrap();
        let waiting = start(move || (&waiting).read(&mut [0]).unwrap_err());
        let opening = alice.clone();
        thread::sleep(Duration::from_millis(50));
        assert_eq!(bob.disconnect(alice.id()), 1);
        let error = waiting.join().unwrap();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        assert_eq!(error.get_ref().and_then(|source| source.downcast_ref()), Some(&ReadError::Closed));
        let error = (&streams[1]).write(b"x").unwrap_err();
        assert_eq!(error.get_ref().and_then(|source| source.downcast_ref()), Some(&WriteError::Closed));
        assert!(streams[2].finish().is_err());
        // And the next one dials anew.
        eventually("it is gone", || opening.stats(info.id).is_none());
        round_trip(&opening.open_stream(ECHO, info).unwrap(), 1000, 8);
    });
}

#[test]
fn two_threads_share_a_stream() {
    within(|| {
        let (alice, _bob, info) = pair();
        let stream = alice.open_stream(ECHO, info).unwrap();
        thread::scope(|scope| {
            // The reader waits first; the write comes from another thread.
            let reader = scope.spawn(|| {
                let mut text = [0; 5];
                (&stream).read_exact(&mut text).unwrap();
                text
            });
            thread::sleep(Duration::from_millis(30));
            (&stream).write_all(b"hello").unwrap();
            assert_eq!(&reader.join().unwrap(), b"hello");
        });
    });
}

#[test]
fn handlers_are_replaced_and_removed() {
    within(|| {
        let (alice, bob, info) = pair();
        let once = |text: &'static [u8]| {
            move |mut stream: sanswarm_std::Stream| {
                stream.write_all(text).unwrap();
                stream.finish().unwrap();
                let _ = stream.read(&mut [0]);
            }
        };
        let name = ProtocolName::from_static("/once/1");
        let ask = || {
            let mut stream = alice.open_stream(&name, info.clone())?;
            let mut text = Vec::new();
            // What identify lists is opened without waiting, and may be refused or reset by now.
            match stream.finish().and_then(|()| stream.read_to_end(&mut text)) {
                Ok(_) => Ok(Some(text)),
                Err(_) => Ok(None),
            }
        };
        bob.set_stream_handler(&name, once(b"one"));
        assert_eq!(ask(), Ok(Some(b"one".to_vec())));
        let handler = bob.set_stream_handler(&name, once(b"two"));
        assert_eq!(ask(), Ok(Some(b"two".to_vec())));
        assert!(bob.remove_stream_handler(handler));
        assert!(!bob.remove_stream_handler(handler));
        assert!(matches!(ask(), Ok(None) | Err(OpenStreamError::Refused(_))));
        // A handler that panics harms its stream only.
        bob.set_stream_handler(&name, |_| panic!("on purpose"));
        assert_eq!(ask(), Ok(None));
        round_trip(&alice.open_stream(ECHO, info.clone()).unwrap(), 1000, 9);
    });
}

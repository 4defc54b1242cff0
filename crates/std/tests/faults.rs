//! What is left of a connection whose line is cut.

#![allow(clippy::unwrap_used)] // clippy sees helpers outside of #[test] as no tests

mod common;
#[path = "../../host/tests/common/proxy.rs"]
mod proxy;

use core::{net::SocketAddr, time::Duration};
use std::{
    io::{Read, Write},
    thread,
};

use common::{eventually, listen_on, pattern, within};
use proxy::{Fault, Plan, Proxies};
use sanswarm_std::{Node, ProtocolName, ReadError, Stream, new_config};

const SOURCE: ProtocolName = ProtocolName::from_static("/source/1.0.0");

/// Reads the number that a stream begins with, and sends so many bytes; ends if it is even.
fn source(mut stream: Stream) {
    let mut len = [0; 4];
    stream.read_exact(&mut len).unwrap();
    let len = u32::from_be_bytes(len) as usize;
    stream.write_all(&pattern(len, 7)).unwrap();
    if len.is_multiple_of(2) {
        stream.finish().unwrap();
    }
    while let Ok(Some(_)) = stream.read_bytes() {}
}

/// Of streams on which so many bytes have come before the connection ends, all of them can be read after it.
fn delivered(proxies: &Proxies, fault: Fault, lens: &[u32]) {
    let node = || {
        let mut config = new_config().unwrap();
        config.ping_interval = None;
        config.connection.close_timeout = Duration::from_millis(50);
        Node::new(config).unwrap()
    };
    let bob = node();
    bob.set_stream_handler(SOURCE, source);
    let mut info = listen_on(&bob, "/ip4/127.0.0.1/tcp/0");
    let port: u16 = info.addrs[0].to_string().rsplit('/').next().unwrap().parse().unwrap();
    let plan = Plan { fault, of_dialer: false, at: usize::MAX };
    let proxy = proxies.open(SocketAddr::from(([127, 0, 0, 1], port)), plan);
    info.addrs = vec![format!("/ip4/127.0.0.1/tcp/{}", proxy.at.port()).parse().unwrap()];
    let (alice, mut streams) = (node(), Vec::new());
    for len in lens {
        let mut stream = alice.open_stream(SOURCE, info.clone()).unwrap();
        stream.write_all(&len.to_be_bytes()).unwrap();
        streams.push(stream);
    }
    let all: u64 = lens.iter().map(|len| u64::from(*len)).sum();
    let mut before = 0;
    loop {
        thread::sleep(Duration::from_millis(30));
        let now = alice.stats(bob.id()).unwrap().bytes_in;
        if now >= all && now == core::mem::replace(&mut before, now) {
            break;
        }
    }
    proxy.strike();
    if fault == Fault::Stall {
        alice.disconnect(bob.id());
    }
    eventually("the end of the connection", || alice.stats(bob.id()).is_none());
    for (mut stream, len) in streams.into_iter().zip(lens) {
        let mut got = Vec::new();
        let end = stream.read_to_end(&mut got);
        assert!(got == pattern(*len as usize, 7), "{fault:?}: {} of {len}", got.len());
        if len.is_multiple_of(2) {
            assert!(end.is_ok(), "{fault:?}: its end had come, too");
        } else {
            let error = end.unwrap_err();
            let cause = error.get_ref().and_then(|inner| inner.downcast_ref());
            assert_eq!(cause, Some(&ReadError::Closed), "{fault:?}");
        }
    }
    assert_eq!(alice.shutdown(Duration::ZERO), 0);
    bob.shutdown(Duration::ZERO);
}

#[test]
fn what_was_delivered_before_the_end_of_a_connection_can_be_read_after_it() {
    within(|| {
        let proxies = Proxies::start();
        for fault in [Fault::Cut, Fault::HalfCut, Fault::Reset, Fault::Stall] {
            for lens in [&[1][..], &[0, 1], &[200_000], &[200_001, 3, 100_000, 65_519, 99_999]] {
                delivered(&proxies, fault, lens);
            }
        }
    });
}

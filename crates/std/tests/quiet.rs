//! What a node leaves behind, and what it costs while nothing happens. One test: it looks at the whole process.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // clippy sees helpers outside of #[test] as no tests

mod common;

use core::time::Duration;
use std::{fs, thread};

use common::*;
use sanswarm_std::Node;

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// CPU time of the process, in ticks of 10 ms.
fn ticks() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// How often our threads were put to sleep or off the CPU.
fn switches() -> u64 {
    let mut sum = 0;
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let Ok(status) = fs::read_to_string(task.unwrap().path().join("status")) else { continue };
        if status.starts_with("Name:\tsanswarm") {
            let counts = status.lines().filter(|line| line.contains("voluntary_ctxt_switches"));
            sum += counts.filter_map(|line| line.rsplit('\t').next()?.parse::<u64>().ok()).sum::<u64>();
        }
    }
    sum
}

#[test]
fn idle_costs_nothing_and_shutdown_leaves_nothing() {
    let before = threads();
    let (bob, info) = server("/ip4/127.0.0.1/tcp/0");
    let others: Vec<_> = (0..20).map(|_| Node::with_new_identity().unwrap()).collect();
    let mut streams = Vec::new();
    for node in &others {
        let stream = node.open_stream(ECHO, info.clone()).unwrap();
        node.identify(info.id).unwrap();
        streams.push(stream);
    }
    assert!(threads() > before + 80, "{} threads", threads());
    thread::sleep(Duration::from_millis(1500)); // What is told a second late is told then.
    let (cpu, switched) = (ticks(), switches());
    thread::sleep(Duration::from_millis(300));
    let (cpu, switched) = (ticks() - cpu, switches() - switched);
    assert!(cpu <= 1, "{cpu} ticks of CPU time");
    assert!(switched <= 5, "{switched} wake-ups");

    assert_eq!(bob.shutdown(Duration::from_millis(200)), 20, "each has a stream");
    for node in &others[10..] {
        assert_eq!(node.shutdown(2 * SECOND), 0);
    }
    drop(others); // and the rest ends by itself
    drop(streams);
    eventually("all threads have ended", || threads() <= before);
    drop(bob);
}

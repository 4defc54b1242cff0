//! The built-in scenarios: they keep the laws, and a seed is a run.
#![allow(clippy::unwrap_used, reason = "a test")]

use core::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use sanswarm_sim::{Digest, Kind, Outcome, Scenario};

fn small(kind: Kind, seed: u64) -> Scenario {
    let mut scenario = Scenario::new(kind, seed);
    if matches!(kind, Kind::Mixed | Kind::Calm | Kind::Storm) {
        (scenario.nodes, scenario.degree) = (8, 4);
        scenario.time = scenario.time.min(Duration::from_secs(120));
    }
    match kind {
        Kind::Mixed => scenario.faults = 8,
        Kind::Soak | Kind::Hostile => scenario.time = Duration::from_secs(12),
        _ => {}
    }
    scenario
}

fn passes(outcome: &Outcome) -> Digest {
    if let Some(violation) = &outcome.violation {
        panic!("{violation}\nto repeat: cargo run -p sanswarm-cli -- sim {}", outcome.scenario);
    }
    outcome.digest
}

#[test]
fn every_scenario_keeps_the_laws_and_is_the_same_run_twice() {
    for kind in Kind::ALL {
        for seed in 1..=2 {
            let scenario = small(kind, seed);
            let (one, two) = (scenario.run(), scenario.run());
            assert_eq!(passes(&one), passes(&two), "{scenario}");
            assert_eq!(one, two);
            assert!(one.counts.connections > 0 && one.counts.events > 100, "{one:?}");
        }
    }
}

#[test]
fn another_seed_is_another_run() {
    let digests = [1, 2, 3].map(|seed| small(Kind::Calm, seed).run().digest);
    assert!(digests[0] != digests[1] && digests[1] != digests[2] && digests[0] != digests[2]);
}

#[test]
fn what_a_calm_network_was_asked_for_has_come_about() {
    let outcome = small(Kind::Calm, 5).run();
    passes(&outcome);
    let counts = outcome.counts;
    assert_eq!((counts.connections, counts.failed, counts.faults), (16, 0, 0), "8 hosts dial 2 others each");
    assert!((60..120).contains(&counts.streams), "8 hosts, 90 s, one each 10 s: {counts:?}");
    assert!(counts.pings >= 32 * 3, "{counts:?}");
}

#[test]
fn the_digest_of_a_seed_does_not_depend_on_the_number_of_threads() {
    let digests = |threads| -> Vec<Digest> {
        Scenario::run_seeds(10, 6, threads, |seed| small(Kind::Soak, seed), |_| true).iter().map(passes).collect()
    };
    let one = digests(1);
    assert_eq!(one.len(), 6);
    assert_eq!(digests(2), one);
    assert_eq!(digests(4), one);
}

#[test]
fn a_recorded_run_is_the_same_run() {
    let scenario = small(Kind::Soak, 3);
    let recorded = Scenario { record: 1000, ..scenario.clone() };
    let mut net = recorded.build();
    let outcome = recorded.run_with(&mut net, |_| {});
    assert_eq!(outcome.digest, scenario.run().digest);
    let record = net.record();
    assert!(!record.connections.is_empty() && !record.streams.is_empty() && !record.faults.is_empty());
    assert!(record.streams.iter().any(|stream| stream.ended.is_some() && stream.bytes > 0));
}

#[test]
fn the_arguments_name_what_is_not_usual() {
    let usual = Scenario::new(Kind::Soak, 9);
    assert_eq!(usual.to_string(), "--scenario soak --seed 9");
    let other = Scenario { nodes: 2, time: Duration::from_millis(7500), only: Some(vec![3, 5]), ..usual };
    assert_eq!(other.to_string(), "--scenario soak --seed 9 --nodes 2 --for 7.5 --faults 15 --only 3,5");
}

#[test]
fn soaks_run_over_both_muxers() {
    static MUXERS: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];
    for seed in 1..=4 {
        let scenario = small(Kind::Soak, seed);
        let mut net = scenario.build();
        net.set_trace(|_, _, what| {
            let what = what.to_string();
            for (count, muxer) in MUXERS.iter().zip(["muxer: Yamux", "muxer: Mplex"]) {
                count.fetch_add(usize::from(what.starts_with("Connected") && what.contains(muxer)), Ordering::Relaxed);
            }
        });
        passes(&scenario.run_with(&mut net, |_| {}));
    }
    assert!(MUXERS.iter().all(|count| count.load(Ordering::Relaxed) > 4), "{MUXERS:?}");
}

#[test]
fn visitors_come_and_go_and_meet_limits() {
    // A seed without faults: what fails does so by a limit, a rest, or because somebody has thought better of it.
    let outcome = Scenario::new(Kind::Visits, 8).run();
    passes(&outcome);
    let (counts, nodes) = (outcome.counts, outcome.scenario.nodes as u64);
    assert!(counts.connections > 4 * nodes * (nodes - 1) / 2, "they come again and again");
    assert!(counts.streams > 100 && counts.failed > 10, "{counts:?}");
}

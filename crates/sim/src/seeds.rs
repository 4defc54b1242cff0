//! Tests under many seeds.

use core::ops::Range;

use crate::{App, Network, Violation};

/// The variable that says which one seed a test shall run.
const SEED: &str = "SANSWARM_SIM_SEED";

/// Runs a test under each seed twice, and compares the digests: for `#[test]` functions. With `SANSWARM_SIM_SEED` set, only
/// that seed runs.
///
/// # Panics
/// With the seed and the command that repeats it, if a run breaks a law or is not the same the second time.
pub fn for_seeds<A: App>(seeds: Range<u64>, test: impl Fn(&mut Network<A>) -> Result<(), Violation>) {
    let one = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
    let seeds = one.map_or(seeds, |seed: u64| seed..seed + 1);
    for seed in seeds {
        let run = || {
            let mut net = Network::new(seed);
            let result = test(&mut net);
            (net.digest(), result)
        };
        let (digest, result) = run();
        let name = std::thread::current().name().unwrap_or("").to_owned();
        let repeat = format!("seed {seed}; to repeat: {SEED}={seed} cargo test {name}");
        if let Err(violation) = result {
            panic!("{violation}\n{repeat}");
        }
        let (again, _) = run();
        assert!(digest == again, "two runs with one seed differ: {digest} and {again}\n{repeat}");
    }
}

//! Runs seeds of a built-in scenario until one breaks a law: `seeds [SCENARIO] [FIRST] [COUNT]`.
//!
//! `sanswarm sim --seeds` can do more; this needs no more than the crate itself.

use core::sync::atomic::{AtomicU64, Ordering};
use sanswarm_sim::{Kind, Scenario};
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, usual| args.get(at).and_then(|text| text.parse().ok()).unwrap_or(usual);
    let kind = args.first().and_then(|name| Kind::named(name)).unwrap_or(Kind::Soak);
    let (first, count) = (number(1, 1), number(2, 20));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let runs = AtomicU64::new(0);
    let outcomes = Scenario::run_seeds(
        first,
        count,
        threads,
        |seed| Scenario::new(kind, seed),
        |outcome| {
            runs.fetch_add(1, Ordering::Relaxed);
            outcome.violation.is_none()
        },
    );
    let failed = outcomes.iter().find_map(|outcome| Some((&outcome.scenario, outcome.violation.as_ref()?)));
    match failed {
        Some((scenario, violation)) => {
            println!("seed {} breaks a law: {violation}", scenario.seed);
            ExitCode::FAILURE
        }
        None => {
            println!("{} seeds of {} break no law", runs.into_inner(), kind.name());
            ExitCode::SUCCESS
        }
    }
}

//! Does one thing a given number of times, for an instruction counter: `count ID ROUNDS`. Without arguments it lists
//! the ids, how many rounds are enough for each, and what part of a round the unit of its counts is. See `benches/count.py`.

use std::{env, process::ExitCode};

use sanswarm_benches_layers::benches;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let [id, rounds] = &args[..] else {
        for bench in benches() {
            println!("{}\t{}\t{}", bench.id(), bench.rounds, bench.unit());
        }
        return ExitCode::SUCCESS;
    };
    let (Some(bench), Ok(rounds)) = (benches().into_iter().find(|bench| bench.id() == *id), rounds.parse::<u64>())
    else {
        eprintln!("no such bench, or not a number: {id} {rounds}");
        return ExitCode::FAILURE;
    };
    let mut round = bench.prepare();
    for _ in 0..rounds {
        round();
    }
    ExitCode::SUCCESS
}

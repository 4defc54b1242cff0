//! Nodes at full load over 127.0.0.1 for as long as is asked for: bulk, small streams, ping-pong, connects and disconnects,
//! cancellations, all at once. `cargo run --release -p sanswarm-tokio --example soak -- 30` runs for 30 minutes (default 1).
//!
//! It fails if memory, descriptors or tasks grow (the median of the last third against that of the second), if anything
//! stands still for 10 seconds, if a byte or an answer is wrong, or if something is left at the end.

#[path = "../../tests/common/cut.rs"]
mod cut;
#[path = "../../../host/tests/common/dice.rs"]
mod dice;
#[path = "../../../host/tests/common/held.rs"]
mod held;
mod load;
mod watch;

use core::time::Duration;
use std::{process::ExitCode, sync::Arc};

use held::Held;
use load::Load;
use tokio::runtime::{Builder, Handle};
use watch::Watch;

/// Bytes of heap that the end of everything may leave: what libraries and the runtime make once.
const SLACK: usize = 1 << 20;

async fn run(time: Duration, seed: u64) -> Result<(), String> {
    let metrics = Handle::current().metrics();
    let before = metrics.num_alive_tasks();
    let load = Arc::new(Load::start(seed).await);
    let workers = load::workers(&load);
    let mut watch = Watch::new(load.clone(), time);
    let result = watch.run().await;
    load.stop();
    if result.is_ok() {
        for worker in workers {
            worker.await.map_err(|error| format!("a worker has failed: {error}"))?;
        }
    }
    result?;
    load.end().await?;
    drop(watch);
    for _ in 0..500 {
        if metrics.num_alive_tasks() == before {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err(format!("{} tasks are left", metrics.num_alive_tasks() - before))
}

fn main() -> ExitCode {
    let minutes = std::env::args().nth(1).map_or(Some(1.0), |text| text.parse::<f64>().ok());
    let Some(minutes) = minutes.filter(|minutes| (0.1..=100_000.0).contains(minutes)) else {
        eprintln!("usage: soak [MINUTES]");
        return ExitCode::from(2);
    };
    let seed = dice::seed();
    let runtime = || Builder::new_multi_thread().enable_all().build().expect("a runtime");
    drop(runtime()); // The first one makes two sockets that stay, if it was built with signals.
    let before = Held::now();
    let runtime = runtime();
    let result = runtime.block_on(run(Duration::from_secs_f64(minutes * 60.0), seed));
    if let Err(fault) = result {
        println!("FAILED: {fault}");
        std::process::exit(1); // Whatever hangs is not waited for.
    }
    drop(runtime);
    let after = Held::now();
    println!("at the end {after:?}, {before:?} before");
    Held::back_to(before, SLACK, "at the end");
    println!("passed");
    ExitCode::SUCCESS
}

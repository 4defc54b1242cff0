//! What the process holds, second by second, and whether it grows.

use core::{sync::atomic::Ordering, time::Duration};
use std::{fs, sync::Arc};

use tokio::{runtime::Handle, time::Instant};

use crate::{
    held::Held,
    load::{Kind, Load},
};

/// Whoever stands still for so long hangs.
const HANG: Duration = Duration::from_secs(10);

/// How often a line is printed.
const LINE: Duration = Duration::from_secs(10);

/// What is looked at, and by how much it may differ whatever it is.
const COLUMNS: [(&str, f64); 4] = [("resident MiB", 1.0), ("heap MiB", 0.5), ("descriptors", 3.0), ("tasks", 6.0)];

/// How much the median of the last third may be above that of the second.
const GROWTH: f64 = 1.05;

pub(crate) struct Watch {
    load: Arc<Load>,
    time: Duration,
    samples: [Vec<f64>; COLUMNS.len()],
}

const MIB: f64 = (1 << 20) as f64;

/// In MiB; 0 where the system does not tell.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}

impl Watch {
    pub(crate) fn new(load: Arc<Load>, time: Duration) -> Self {
        Self { load, time, samples: Default::default() }
    }

    /// Looks each second until the time is over or something is wrong.
    pub(crate) async fn run(&mut self) -> Result<(), String> {
        let (start, mut line) = (Instant::now(), Instant::now() + LINE);
        println!("     s  resident      heap  descriptors  tasks  connections  streams  visitors   moved  {}", heads());
        while start.elapsed() < self.time {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let (held, tasks) = (Held::now(), Handle::current().metrics().num_alive_tasks());
            let values = [resident(), held.heap as f64 / MIB, held.descriptors as f64, tasks as f64];
            self.samples.iter_mut().zip(values).for_each(|(samples, value)| samples.push(value));
            if let Some(kind) = self.load.stuck(HANG) {
                return Err(format!("{kind:?} stands still for {HANG:?}"));
            }
            if Instant::now() >= line {
                line += LINE;
                self.tell(start.elapsed(), values).await?;
            }
        }
        self.judge()
    }

    async fn tell(&self, elapsed: Duration, [resident, heap, descriptors, tasks]: [f64; 4]) -> Result<(), String> {
        let links = tokio::time::timeout(HANG, self.load.links()).await;
        let (connections, streams) = links.map_err(|_| "a node does not answer".to_owned())?;
        let moved = self.load.moved.load(Ordering::Relaxed) as f64 / MIB / 1024.0;
        let (seconds, visitors) = (elapsed.as_secs(), self.load.visitors.load(Ordering::Relaxed));
        println!(
            "{seconds:6} {resident:5.1} MiB {heap:5.1} MiB {descriptors:12} {tasks:6} {:12} {streams:8} {visitors:9} {moved:7.2}  {}",
            connections / 2,
            self.counts()
        );
        Ok(())
    }

    /// How often each kind of work was done.
    fn counts(&self) -> String {
        let of = |kind| self.load.beats.iter().filter(move |beat| beat.kind == kind);
        let counts = KINDS.map(|kind| of(kind).map(|beat| beat.count.load(Ordering::Relaxed)).sum::<u64>());
        counts.map(|count| format!("{count:10}")).join(" ")
    }

    /// The median of the last third must not be above that of the second.
    fn judge(&self) -> Result<(), String> {
        let mut faults = Vec::new();
        for ((name, slack), samples) in COLUMNS.iter().zip(&self.samples) {
            let third = samples.len() / 3;
            if third == 0 {
                continue;
            }
            let (before, after) = (median(&samples[third..2 * third]), median(&samples[2 * third..]));
            println!("{name}: {before:.1} in the second third, {after:.1} in the last");
            if after > before * GROWTH + slack {
                faults.push(format!("{name} grow from {before:.1} to {after:.1}"));
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
    }
}

const KINDS: [Kind; 6] = [Kind::Bulk, Kind::Small, Kind::PingPong, Kind::Visit, Kind::Disconnect, Kind::Cancel];

fn heads() -> String {
    KINDS.map(|kind| format!("{:>10}", format!("{kind:?}"))).join(" ")
}

fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

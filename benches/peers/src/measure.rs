//! Clocks and counters.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::node::Fault;

/// Processor time of all threads of this process, in user space and in the kernel.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Memory of this process that is in RAM, in bytes.
pub fn resident() -> Result<u64, Fault> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// Takes all measures of what runs between two calls.
#[derive(Clone, Copy)]
pub struct Meter {
    allocations: Option<fn() -> (usize, usize)>,
}

/// A measurement under way.
pub struct Running {
    meter: Meter,
    wall: Instant,
    cpu: Duration,
    allocations: usize,
}

impl Meter {
    /// With a counter of allocations, if there is one.
    pub fn new(allocations: Option<fn() -> (usize, usize)>) -> Self {
        Self { allocations }
    }

    /// Begins.
    pub fn start(self) -> Running {
        let allocations = self.allocations.map_or(0, |count| count().0);
        Running { meter: self, wall: Instant::now(), cpu: cpu(), allocations }
    }

    /// The bytes that are allocated now, if they are counted.
    pub fn held(self) -> Option<usize> {
        self.allocations.map(|count| count().1)
    }
}

impl Running {
    /// Ends, and prints what it took.
    pub fn stop(self) {
        let (wall, cpu) = (self.wall.elapsed(), cpu() - self.cpu);
        tell("wall_s", wall.as_secs_f64());
        tell("cpu_s", cpu.as_secs_f64());
        if let Some(count) = self.meter.allocations {
            tell("allocations", (count().0 - self.allocations) as f64);
        }
    }
}

/// Prints a figure.
pub fn tell(name: &str, value: f64) {
    println!("{name}\t{value}");
}

/// Prints the median and the 99th percentile, in microseconds.
pub fn tell_times(mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
    tell("p50_us", at(0.5));
    tell("p99_us", at(0.99));
}

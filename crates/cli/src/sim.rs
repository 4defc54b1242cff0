//! `sanswarm sim`.

use core::{fmt::Display, time::Duration};
use std::{fs, path::PathBuf};

use lexopt::{Parser, ValueExt};
use sanswarm_sim::{Caption, Kind, Network, Outcome, Scenario, Traffic};
use tokio::time::Instant;

use crate::{
    args,
    failure::{Failure, Usage},
    json::Object,
    output,
};

/// How many smaller runs are tried when one has failed.
const SHRINK_RUNS: usize = 100;

/// Entries of each kind that a page shows.
const RECORD_MAX: usize = 50_000;

/// The options of this verb.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    kind: Option<Kind>,
    seed: Option<u64>,
    seeds: Option<u64>,
    threads: Option<usize>,
    nodes: Option<usize>,
    degree: Option<usize>,
    time: Option<Duration>,
    faults: Option<usize>,
    only: Option<Vec<usize>>,
    latency: Option<Duration>,
    lost_per_million: Option<u32>,
    html: Option<PathBuf>,
    trace: bool,
    fail_fast: bool,
}

/// Reads one option.
pub(crate) fn option(name: &str, parser: &mut Parser, options: &mut Options) -> Result<(), Usage> {
    let mut text = || Ok::<_, Usage>(parser.value()?.string()?);
    match name {
        "scenario" => {
            let value = text()?;
            let wanted = "mixed, calm, soak, hostile, storm or visits";
            let kind = Kind::named(&value).ok_or(Usage::Value { option: "--scenario", value, wanted })?;
            options.kind = Some(kind);
        }
        "seed" => options.seed = Some(number("--seed", &text()?, 0, u64::MAX)?),
        "seeds" => options.seeds = Some(number("--seeds", &text()?, 1, 1 << 32)?),
        "threads" => options.threads = Some(number("--threads", &text()?, 1, 1024)? as usize),
        "nodes" => options.nodes = Some(number("--nodes", &text()?, 2, 100_000)? as usize),
        "degree" => options.degree = Some(number("--degree", &text()?, 1, 1000)? as usize),
        "faults" => options.faults = Some(number("--faults", &text()?, 0, 1_000_000)? as usize),
        "for" => options.time = Some(Duration::from_secs_f64(decimal("--for", &text()?, 1.0, 31_536_000.0)?)),
        "latency" => {
            options.latency = Some(Duration::from_secs_f64(decimal("--latency", &text()?, 0.0, 60_000.0)? / 1e3));
        }
        "loss" => options.lost_per_million = Some((decimal("--loss", &text()?, 0.0, 90.0)? * 1e4) as u32),
        "only" => options.only = Some(numbers(&text()?)?),
        "html" => options.html = Some(parser.value()?.into()),
        "trace" => options.trace = true,
        "fail-fast" => options.fail_fast = true,
        _ => return Err(Usage::NoSuchOption { name: name.to_owned(), verb: Some(args::Verb::Sim) }),
    }
    Ok(())
}

fn number(option: &'static str, text: &str, least: u64, most: u64) -> Result<u64, Usage> {
    let wanted = "a whole number in its range; see --help";
    let value = text.to_owned();
    text.parse().ok().filter(|n| (least..=most).contains(n)).ok_or(Usage::Value { option, value, wanted })
}

fn decimal(option: &'static str, text: &str, least: f64, most: f64) -> Result<f64, Usage> {
    let wanted = "a number in its range; see --help";
    let value = text.to_owned();
    text.parse().ok().filter(|n| (least..=most).contains(n)).ok_or(Usage::Value { option, value, wanted })
}

fn numbers(list: &str) -> Result<Vec<usize>, Usage> {
    if list == "none" {
        return Ok(Vec::new());
    }
    list.split(',').map(|n| number("--only", n, 0, 1_000_000).map(|n| n as usize)).collect()
}

impl Options {
    fn scenario(&self, seed: u64) -> Scenario {
        let mut scenario = Scenario::new(self.kind.unwrap_or(Kind::Mixed), seed);
        scenario.nodes = self.nodes.unwrap_or(scenario.nodes);
        scenario.degree = self.degree.unwrap_or(scenario.degree);
        scenario.time = self.time.unwrap_or(scenario.time);
        scenario.faults = self.faults.unwrap_or_else(|| scenario.usual_faults());
        scenario.only = self.only.clone();
        scenario.link.latency = self.latency.unwrap_or(scenario.link.latency);
        scenario.link.lost_per_million = self.lost_per_million.unwrap_or(scenario.link.lost_per_million);
        scenario.record = if self.html.is_some() { RECORD_MAX } else { 0 };
        scenario
    }
}

pub(crate) fn run(options: &args::Options) -> Result<(), Failure> {
    let first = options.sim.seed.unwrap_or(1);
    match options.sim.seeds {
        Some(count) => run_many(&options.sim, first, count, options.json),
        None => run_one(&options.sim, first, options.json),
    }
}

// ---- one run

fn run_one(options: &Options, seed: u64, json: bool) -> Result<(), Failure> {
    let scenario = options.scenario(seed);
    let (start, before) = (Instant::now(), memory("VmRSS:"));
    let mut net = scenario.build();
    if options.trace {
        net.set_trace(|at, host, what| output::note(format_args!("{:.6} host {host}: {what}", seconds(at))));
    }
    let mut told = Instant::now();
    let is_watched = output::is_watched() && !options.trace;
    let outcome = scenario.run_with(&mut net, |net| {
        if is_watched && told.elapsed() > Duration::from_millis(200) {
            told = Instant::now();
            let counts = net.counts();
            output::progress(format_args!(
                "{:.0} s, {} connections, {} streams, {} events",
                seconds(net.now()),
                counts.connections,
                counts.streams,
                counts.events
            ));
        }
    });
    if is_watched {
        output::progress("");
    }
    let real = start.elapsed();
    let peak = memory("VmHWM:").zip(before).map(|(peak, before)| peak.saturating_sub(before) / scenario.nodes as u64);
    if let Some(file) = &options.html {
        let page = page(&net, &outcome, real);
        fs::write(file, page).map_err(|cause| Failure::File { file: file.clone(), cause })?;
    }
    let failed = outcome.violation.is_some();
    let repeat = failed.then(|| outcome.clone().shrink(SHRINK_RUNS));
    if json {
        output::line(object(&outcome, Some(real), peak, repeat.as_ref()).end())?;
    } else {
        for (name, value) in facts(&outcome, real, peak) {
            output::line(format_args!("{name:<16} {value}"))?;
        }
    }
    if let Some(repeat) = &repeat {
        tell_broken(&outcome, repeat);
        return Err(Failure::Violation { failed: 1, of: 1 });
    }
    Ok(())
}

fn facts(outcome: &Outcome, real: Duration, peak: Option<u64>) -> Vec<(&'static str, String)> {
    let (scenario, counts) = (&outcome.scenario, &outcome.counts);
    let rate = counts.events as f64 / real.as_secs_f64().max(1e-9);
    let mut facts: Vec<(&str, String)> = vec![
        ("scenario", scenario.kind.name().to_owned()),
        ("seed", scenario.seed.to_string()),
        ("hosts", scenario.nodes.to_string()),
        ("connections", counts.connections.to_string()),
        ("streams", counts.streams.to_string()),
        ("bytes", output::size(counts.bytes)),
        ("on the wire", output::size(counts.wire_bytes)),
        ("pings", counts.pings.to_string()),
        ("faults", counts.faults.to_string()),
        ("failed requests", counts.failed.to_string()),
        ("virtual time", format!("{:.1} s", outcome.time.as_secs_f64())),
        ("real time", format!("{:.2} s", real.as_secs_f64())),
        ("events", counts.events.to_string()),
        ("events a second", format!("{rate:.0}")),
    ];
    facts.extend(peak.map(|peak| ("peak a host", output::size(peak))));
    facts.push(("digest", outcome.digest.to_string()));
    facts
}

fn page(net: &Network<Traffic>, outcome: &Outcome, real: Duration) -> String {
    let start = sanswarm::Instant::from_micros(net.now().as_micros() - outcome.time.as_micros() as u64);
    let caption = Caption {
        title: format!("sanswarm sim {}", outcome.scenario),
        facts: facts(outcome, real, None).into_iter().skip(1).map(|(name, value)| (name.to_owned(), value)).collect(),
        violation: outcome.violation.clone(),
    };
    net.record().page(net.len(), start, net.now(), &caption)
}

fn object(outcome: &Outcome, real: Option<Duration>, peak: Option<u64>, repeat: Option<&Outcome>) -> Object {
    let (scenario, counts) = (&outcome.scenario, &outcome.counts);
    let mut object = Object::new()
        .flag("ok", outcome.violation.is_none())
        .text("scenario", scenario.kind.name())
        .number("seed", scenario.seed)
        .number("nodes", scenario.nodes as u64)
        .number("connections", counts.connections)
        .number("streams", counts.streams)
        .number("bytes", counts.bytes)
        .number("wire_bytes", counts.wire_bytes)
        .number("pings", counts.pings)
        .number("faults", counts.faults)
        .number("failed_requests", counts.failed)
        .decimal("virtual_seconds", outcome.time.as_secs_f64());
    if let Some(real) = real {
        object = object.decimal("real_seconds", real.as_secs_f64());
    }
    object = object.number("events", counts.events);
    if let Some(real) = real {
        object = object.number("events_per_second", (counts.events as f64 / real.as_secs_f64().max(1e-9)) as u64);
    }
    object = object.text("digest", outcome.digest);
    if let Some(peak) = peak {
        object = object.number("peak_bytes_per_node", peak);
    }
    let repeat = repeat.map(|repeat| command(&repeat.scenario));
    object.opt_text("violation", outcome.violation.as_ref()).opt_text("repeat", repeat)
}

fn command(scenario: impl Display) -> String {
    format!("sanswarm sim {scenario}")
}

/// Says what was broken, and how to see it again.
fn tell_broken(outcome: &Outcome, smaller: &Outcome) {
    for outcome in [outcome, smaller] {
        if let Some(violation) = &outcome.violation {
            output::note(violation);
            output::note(format_args!("repeat: {}", command(&outcome.scenario)));
        }
        if outcome.scenario == smaller.scenario {
            return;
        }
    }
}

// ---- many runs

fn run_many(options: &Options, first: u64, count: u64, json: bool) -> Result<(), Failure> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = options.threads.unwrap_or(processors);
    let start = Instant::now();
    let told = |outcome: &Outcome| {
        if let Some(violation) = &outcome.violation {
            output::note(format_args!("{}: {violation}", command(&outcome.scenario)));
        }
        if json {
            let _ = output::line(object(outcome, None, None, None).end());
        }
        outcome.violation.is_none() || !options.fail_fast
    };
    let outcomes = Scenario::run_seeds(first, count, threads, |seed| options.scenario(seed), told);
    let failed = outcomes.iter().filter(|outcome| outcome.violation.is_some()).count();
    let sum = |of: fn(&Outcome) -> u64| outcomes.iter().map(of).sum::<u64>();
    if let Some(outcome) = outcomes.iter().find(|outcome| outcome.violation.is_some()) {
        let smaller = outcome.clone().shrink(SHRINK_RUNS);
        tell_broken(outcome, &smaller);
    }
    if !json {
        output::line(format_args!(
            "{count} runs: {} connections, {} streams, {}, {} faults, {:.0} virtual seconds in {:.1} s",
            sum(|outcome| outcome.counts.connections),
            sum(|outcome| outcome.counts.streams),
            output::size(sum(|outcome| outcome.counts.bytes)),
            sum(|outcome| outcome.counts.faults),
            outcomes.iter().map(|outcome| outcome.time.as_secs_f64()).sum::<f64>(),
            start.elapsed().as_secs_f64()
        ))?;
        output::line(format_args!("{} passed, {failed} failed", outcomes.len() - failed))?;
    }
    if failed > 0 { Err(Failure::Violation { failed, of: outcomes.len() }) } else { Ok(()) }
}

// ---- helpers

fn seconds(at: sanswarm::Instant) -> f64 {
    at.as_micros() as f64 / 1e6
}

/// A line of this process's status, in bytes. `None` where the system has no such file.
fn memory(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

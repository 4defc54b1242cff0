//! What came of a crowd.

use core::time::Duration;
use std::{collections::BTreeMap, fs};

use tokio::time::Instant;

use super::visitor::Told;
use crate::{
    failure::Failure,
    json::Object,
    output::{self, ms, size},
};

/// Times, as they are told of.
#[derive(Debug, Default)]
struct Times(Vec<Duration>);

impl Times {
    /// The time that `percent` of them do not exceed.
    fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        sorted.get(rank).map_or(f64::NAN, |time| ms(*time))
    }

    fn text(&self) -> String {
        if self.0.is_empty() {
            return "none".to_owned();
        }
        let [half, most, all] = [50, 99, 100].map(|percent| self.percentile(percent));
        format!("p50 {half:.3} ms, p99 {most:.3} ms, max {all:.3} ms")
    }

    fn object(&self, object: Object, prefix: &str) -> Object {
        let object = object.number(&format!("{prefix}s"), self.0.len() as u64);
        [(50, "p50"), (99, "p99"), (100, "max")].into_iter().fold(object, |object, (percent, name)| {
            object.decimal(&format!("{prefix}_{name}_ms"), self.percentile(percent))
        })
    }
}

#[derive(Debug)]
pub(super) struct Report {
    wanted: usize,
    json: bool,
    start: Instant,
    /// When all had come or failed.
    came: Option<Duration>,
    /// Memory of this process before the first came, in bytes.
    empty: Option<u64>,
    full: Option<u64>,
    connects: Times,
    pings_coming: Times,
    pings_staying: Times,
    /// By stage and cause.
    failed: BTreeMap<(&'static str, &'static str), usize>,
    lost: BTreeMap<&'static str, usize>,
    silent: usize,
}

impl Report {
    pub(super) fn new(wanted: usize, json: bool) -> Self {
        Self {
            wanted,
            json,
            start: Instant::now(),
            came: None,
            empty: resident(),
            full: None,
            connects: Times::default(),
            pings_coming: Times::default(),
            pings_staying: Times::default(),
            failed: BTreeMap::new(),
            lost: BTreeMap::new(),
            silent: 0,
        }
    }

    pub(super) fn add(&mut self, told: Told) {
        match told {
            Told::Ready(time) => self.connects.0.push(time),
            Told::Failed { stage, code } => *self.failed.entry((stage, code)).or_default() += 1,
            Told::Lost { code } => *self.lost.entry(code).or_default() += 1,
            Told::Pong(time) if self.came.is_none() => self.pings_coming.0.push(time),
            Told::Pong(time) => self.pings_staying.0.push(time),
            Told::Silent => self.silent += 1,
        }
    }

    fn established(&self) -> usize {
        self.connects.0.len()
    }

    fn failures(&self) -> usize {
        self.failed.values().sum()
    }

    fn losses(&self) -> usize {
        self.lost.values().sum()
    }

    /// Whether somebody is still to come.
    pub(super) fn is_coming(&self) -> bool {
        self.established() + self.failures() < self.wanted
    }

    pub(super) fn tell_limit(&self, limit: u64) -> Result<(), Failure> {
        if self.json {
            return output::line(Object::new().text("event", "limit").number("descriptors", limit).end());
        }
        output::line(format_args!("{limit} descriptors allowed, {} connections wanted", self.wanted))
    }

    pub(super) fn tell_established(&mut self) -> Result<(), Failure> {
        let took = self.start.elapsed();
        (self.came, self.full) = (Some(took), resident());
        let (established, failed) = (self.established(), self.failures());
        if self.json {
            for ((stage, code), count) in &self.failed {
                let object = Object::new().text("event", "failed").text("stage", stage).text("code", code);
                output::line(object.number("count", *count as u64).end())?;
            }
            let object = Object::new().text("event", "established").number("connections", established as u64);
            let object = object.number("failed", failed as u64).decimal("seconds", took.as_secs_f64());
            let object = self.pings_coming.object(self.connects.object(object, "connect"), "ping");
            return output::line(object.end());
        }
        let rate = established as f64 / took.as_secs_f64();
        output::line(format_args!("{established} established, {failed} failed in {took:.1?} ({rate:.0} a second)"))?;
        for ((stage, code), count) in &self.failed {
            output::line(format_args!("  {count} failed: {stage}: {code}"))?;
        }
        output::line(format_args!("each            {}", self.connects.text()))?;
        output::line(format_args!("pings meanwhile {}", self.pings_coming.text()))
    }

    /// The rest. A crowd that is not whole to the end is a failure.
    pub(super) fn tell(&self) -> Result<(), Failure> {
        let staying = self.established() - self.losses();
        let whole = staying == self.wanted && self.silent == 0;
        let each = match (self.empty, self.full) {
            (Some(empty), Some(full)) if staying > 0 => Some(full.saturating_sub(empty) / staying as u64),
            _ => None,
        };
        if self.json {
            for (code, count) in &self.lost {
                let object = Object::new().text("event", "lost").text("code", code);
                output::line(object.number("count", *count as u64).end())?;
            }
            let object = Object::new().flag("ok", whole).number("connections", staying as u64);
            let object = object.number("failed", self.failures() as u64).number("lost", self.losses() as u64);
            let object = self.pings_staying.object(object, "ping").number("unanswered", self.silent as u64);
            let object = object.opt_number("resident_bytes", self.full).opt_number("bytes_each", each);
            output::line(object.end())?;
        } else {
            for (code, count) in &self.lost {
                output::line(format_args!("  {count} lost: {code}"))?;
            }
            output::line(format_args!("pings after it  {}", self.pings_staying.text()))?;
            if let (Some(full), Some(each)) = (self.full, each) {
                output::line(format_args!("this process    {}, {} a connection", size(full), size(each)))?;
            }
        }
        let (failed, lost, unanswered) = (self.failures(), self.losses(), self.silent);
        if whole { Ok(()) } else { Err(Failure::Crowd { wanted: self.wanted, failed, lost, unanswered }) }
    }
}

/// Memory of this process that is in use, in bytes, where the system tells.
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times = Times((1..=200).rev().map(Duration::from_millis).collect());
        assert_eq!([50, 99, 100].map(|percent| times.percentile(percent)), [100.0, 198.0, 200.0]);
        assert_eq!(Times(vec![Duration::from_millis(7)]).percentile(50), 7.0);
        assert_eq!(Times::default().text(), "none");
    }

    #[test]
    fn a_crowd_is_whole_if_nobody_failed_or_left() {
        let mut report = Report::new(2, true);
        report.add(Told::Ready(Duration::from_millis(1)));
        assert!(report.is_coming());
        report.add(Told::Failed { stage: "connect", code: "connect" });
        assert!(!report.is_coming());
        report.came = Some(Duration::from_secs(1));
        report.add(Told::Lost { code: "eof" });
        let failure = report.tell().unwrap_err();
        assert_eq!(failure.code(), "crowd");
        assert_eq!(failure.to_string(), "crowd: of 2 connections 1 failed and 1 were lost; 0 pings were not answered");
    }
}

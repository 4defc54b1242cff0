//! What each step of a connection cost, as a table.

use core::time::Duration;

use sanswarm::Mark;
use sanswarm_tokio::LinkStats;

use crate::{
    failure::Failure,
    json::Object,
    output::{self, ms},
};

/// The counts of a connection at one point.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) round_trips: u32,
    pub(crate) bytes_out: u64,
    pub(crate) bytes_in: u64,
}

impl From<Mark> for Counts {
    fn from(mark: Mark) -> Self {
        Self { round_trips: mark.round_trips, bytes_out: mark.bytes_out, bytes_in: mark.bytes_in }
    }
}

impl From<LinkStats> for Counts {
    fn from(stats: LinkStats) -> Self {
        Self { round_trips: stats.round_trips, bytes_out: stats.bytes_out, bytes_in: stats.bytes_in }
    }
}

/// A ladder that is being climbed: each step tells what it cost beyond the one before.
#[derive(Debug)]
pub(crate) struct Ladder {
    json: bool,
    at: Duration,
    before: Counts,
}

impl Ladder {
    /// Starts with the head of the table.
    pub(crate) fn start(json: bool) -> Result<Self, Failure> {
        if !json {
            output::line(row(&["step", "", "at ms", "took ms", "round trips", "bytes out", "bytes in"]))?;
        }
        Ok(Self { json, at: Duration::ZERO, before: Counts::default() })
    }

    /// A step is done, so long after the start. Without counts it is the transport's own business.
    pub(crate) fn step(&mut self, step: &str, name: &str, at: Duration, counts: Option<Counts>) -> Result<(), Failure> {
        // Two clocks are read: never let a step take less than nothing.
        let at = at.max(self.at);
        let (took, before) = (at - self.at, self.before);
        self.at = at;
        let cost = counts.map(|now| {
            self.before = now;
            [
                u64::from(now.round_trips - before.round_trips.min(now.round_trips)),
                now.bytes_out.saturating_sub(before.bytes_out),
                now.bytes_in.saturating_sub(before.bytes_in),
            ]
        });
        if self.json {
            let object = Object::new().text("event", "step").text("step", step).text("name", name);
            let object = object.decimal("at_ms", ms(at)).decimal("took_ms", ms(took));
            let Some([trips, sent, got]) = cost else { return output::line(object.end()) };
            let object = object.number("round_trips", trips).number("bytes_out", sent).number("bytes_in", got);
            return output::line(object.end());
        }
        let [trips, sent, got] =
            cost.map_or_else(|| ["-", "-", "-"].map(str::to_owned), |numbers| numbers.map(|number| number.to_string()));
        output::line(row(&[step, name, &format!("{:.2}", ms(at)), &format!("{:.2}", ms(took)), &trips, &sent, &got]))
    }
}

fn row([step, name, at, took, trips, sent, got]: &[&str; 7]) -> String {
    format!("{step:<10}{name:<20}{at:>9}{took:>10}{trips:>13}{sent:>12}{got:>12}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let head = row(&["step", "", "at ms", "took ms", "round trips", "bytes out", "bytes in"]);
        let line = row(&["muxer", "/yamux/1.0.0", "1.00", "0.10", "0", "12", "67108864"]);
        assert_eq!(head.len(), line.len());
    }
}

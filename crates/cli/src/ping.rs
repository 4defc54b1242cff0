//! `sanswarm ping`.

use core::time::Duration;

use sanswarm_tokio::Node;

use crate::{
    args::Options,
    failure::Failure,
    json::Object,
    output::{self, ms},
    session::{self, Connected, Patience},
};

/// As ping(8).
const INTERVAL: Duration = Duration::from_secs(1);

pub(crate) async fn run(options: &Options) -> Result<(), Failure> {
    let target = session::target(options)?;
    let patience = Patience::new(options, 30);
    let node = session::node(options, Some(patience))?;
    let connected = session::connect(&node, target, patience).await?;
    connected.tell(options.json)?;
    let mut times = Times::default();
    let count = options.count.unwrap_or(4);
    for seq in 1..=count {
        let time = one(&node, &connected, patience).await?;
        times.add(time);
        tell(options.json, seq, time)?;
        if seq < count {
            tokio::time::sleep(INTERVAL.saturating_sub(time)).await;
        }
    }
    session::leave(&node).await;
    times.tell(options.json, &connected)
}

async fn one(node: &Node, connected: &Connected, patience: Patience) -> Result<Duration, Failure> {
    let ping = async { node.ping(connected.peer).await.map_err(Failure::Ping) };
    patience.anew().wait("ping", ping).await
}

fn tell(json: bool, seq: u32, time: Duration) -> Result<(), Failure> {
    if json {
        let object = Object::new().text("event", "pong").number("seq", seq.into());
        return output::line(object.decimal("ms", ms(time)).end());
    }
    output::line(format_args!("seq={seq} time={:.3} ms", ms(time)))
}

/// The round-trip times so far.
#[derive(Debug, Default)]
struct Times {
    count: u32,
    min: Option<Duration>,
    max: Duration,
    sum: Duration,
}

impl Times {
    fn add(&mut self, time: Duration) {
        self.count += 1;
        self.min = Some(self.min.map_or(time, |min| min.min(time)));
        self.max = self.max.max(time);
        self.sum += time;
    }

    fn tell(&self, json: bool, connected: &Connected) -> Result<(), Failure> {
        let (min, max) = (ms(self.min.unwrap_or_default()), ms(self.max));
        let (avg, count) = (ms(self.sum) / f64::from(self.count.max(1)), self.count);
        if json {
            let object = Object::new().flag("ok", true).text("peer", connected.peer).number("count", count.into());
            return output::line(object.decimal("min_ms", min).decimal("avg_ms", avg).decimal("max_ms", max).end());
        }
        let s = if count == 1 { "" } else { "s" };
        output::line(format_args!("{count} round trip{s}: min {min:.3} ms, avg {avg:.3} ms, max {max:.3} ms"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_times() {
        let mut times = Times::default();
        for n in [3, 1, 2] {
            times.add(Duration::from_millis(n));
        }
        assert_eq!((times.count, times.min), (3, Some(Duration::from_millis(1))));
        assert_eq!((times.max, times.sum), (Duration::from_millis(3), Duration::from_millis(6)));
    }
}

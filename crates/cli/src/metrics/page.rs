//! The page: every counter in Prometheus' text format 0.0.4.

use core::fmt::{Display, Write};
use std::{fs, time::SystemTime};

use sanswarm::{Counters, PeerId, ProtocolCounters, RoundTrips};

/// What all protocols are called that have no entry of their own.
const OTHERS: &str = "other";

pub(crate) fn page(counters: &Counters, peer: PeerId, start: SystemTime) -> String {
    let mut page = Page::default();
    page.family("sanswarm_info", "gauge", "The program and its identity.");
    page.sample("", &[("version", env!("CARGO_PKG_VERSION")), ("peer", &peer.to_string())], 1);
    connections(&mut page, counters);
    dials(&mut page, counters);
    streams(&mut page, counters);
    pings(&mut page, counters);
    process(&mut page, start);
    page.out
}

fn connections(page: &mut Page, counters: &Counters) {
    let c = &counters.connections;
    page.family("sanswarm_connections_open", "gauge", "Connections that are ready or closing.");
    page.sample("", &[], c.open);
    page.family("sanswarm_connections_pending", "gauge", "Connections that are not ready yet, by our end's role.");
    page.samples("role", &[("dialer", c.pending_outbound), ("listener", c.pending_inbound)]);
    page.family("sanswarm_connections_accepted_total", "counter", "Sockets of listeners that were taken in.");
    page.sample("", &[], c.accepted);
    page.family(
        "sanswarm_connections_accept_failed_total",
        "counter",
        "Accepted connections that never became ready, by the stage that they did not end.",
    );
    let f = &c.accept_failed;
    let stages = [("security", f.security), ("handshake", f.handshake), ("muxer", f.muxer), ("other", f.other)];
    page.samples("stage", &stages);
    page.family(
        "sanswarm_connections_established_total",
        "counter",
        "Connections that became ready, by our end's role.",
    );
    page.samples("role", &[("dialer", c.established_outbound), ("listener", c.established_inbound)]);
    page.family(
        "sanswarm_connections_denied_total",
        "counter",
        "Sockets that were not taken in, and connections that were not let stay, by cause.",
    );
    let d = &c.denied;
    page.samples(
        "cause",
        &[
            ("limit", d.limit),
            ("wrong_peer", d.wrong_peer),
            ("ourselves", d.ourselves),
            ("blocked", d.blocked),
            ("gate", d.gate),
            ("shutting_down", d.shutting_down),
        ],
    );
    page.family(
        "sanswarm_connections_closed_total",
        "counter",
        "Connections that were ready and have ended, by cause.",
    );
    let e = &c.ended;
    page.samples(
        "cause",
        &[
            ("requested", e.requested),
            ("idle", e.idle),
            ("surplus", e.surplus),
            ("trimmed", e.trimmed),
            ("silent", e.silent),
            ("blocked", e.blocked),
            ("shutdown", e.shutdown),
            ("cut", e.cut),
            ("peer", e.peer),
            ("error", e.error),
        ],
    );
    let help = "Round trips from the first byte until a connection was ready, as our end sees them.";
    page.round_trips("sanswarm_connection_round_trips", help, &c.round_trips);
}

fn dials(page: &mut Page, counters: &Counters) {
    let d = &counters.dials;
    page.family("sanswarm_dials_total", "counter", "Requests for a connection, by how they were answered.");
    page.samples(
        "outcome",
        &[
            ("reused", d.reused),
            ("succeeded", d.succeeded),
            ("failed", d.failed),
            ("timed_out", d.timed_out),
            ("cancelled", d.cancelled),
            ("refused", d.refused),
        ],
    );
    page.family("sanswarm_dials_pending", "gauge", "Requests for a connection that have no answer yet.");
    page.sample("", &[], d.pending());
    let a = &counters.attempts;
    page.family(
        "sanswarm_dial_attempts_total",
        "counter",
        "Addresses that were tried: succeeded, or the stage that they failed at, or why they were given up.",
    );
    page.samples(
        "outcome",
        &[
            ("succeeded", a.succeeded),
            ("resolve", a.resolve),
            ("connect", a.connect),
            ("security", a.upgrade.security),
            ("handshake", a.upgrade.handshake),
            ("muxer", a.upgrade.muxer),
            ("upgrade", a.upgrade.other),
            ("denied", a.denied),
            ("abandoned", a.abandoned),
        ],
    );
}

fn streams(page: &mut Page, counters: &Counters) {
    let s = &counters.streams;
    page.family("sanswarm_streams_open", "gauge", "Streams that were agreed on and have not ended.");
    page.sample("", &[], s.open());
    page.family("sanswarm_streams_total", "counter", "Streams that were agreed on, by protocol and who opened them.");
    page.by_protocol(&counters.protocols, |protocol| [protocol.accepted, protocol.opened]);
    page.family("sanswarm_streams_refused_total", "counter", "Streams that were not agreed on, by who would not.");
    page.samples("by", &[("peer", s.refused), ("us", s.turned_away)]);
    page.family("sanswarm_streams_ended_total", "counter", "Streams that were agreed on and have ended, by how.");
    let ends = [("finished", s.finished), ("reset", s.reset), ("reset_by_peer", s.reset_by_peer), ("cut", s.cut)];
    page.samples("cause", &ends);
    page.family("sanswarm_stream_bytes_total", "counter", "Bytes of payload, by protocol and direction.");
    page.by_protocol(&counters.protocols, |protocol| [protocol.bytes_in, protocol.bytes_out]);
    let help = "Round trips until a stream of ours was agreed on; none where payload did not wait.";
    page.round_trips("sanswarm_stream_round_trips", help, &s.round_trips);
}

fn pings(page: &mut Page, counters: &Counters) {
    let p = &counters.pings;
    page.family("sanswarm_pings_total", "counter", "Pings of ours, by how they were answered.");
    page.samples("outcome", &[("answered", p.answered), ("failed", p.failed)]);
    page.family("sanswarm_ping_round_trip_seconds", "summary", "Time that answered pings took.");
    page.sample("_sum", &[], Micros(p.micros));
    page.sample("_count", &[], p.answered);
    page.family("sanswarm_ping_last_round_trip_seconds", "gauge", "Time that the last answered ping took.");
    page.sample("", &[], Micros(p.last_micros));
}

/// What Prometheus' own clients tell, as far as it costs a look into a file.
fn process(page: &mut Page, start: SystemTime) {
    let since = start.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    page.family("process_start_time_seconds", "gauge", "When the process began to serve, in Unix time.");
    page.sample("", &[], format_args!("{:.3}", since.as_secs_f64()));
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    if let Some(kib) = resident.map(|kib: u64| kib << 10) {
        page.family("process_resident_memory_bytes", "gauge", "Memory that the process holds.");
        page.sample("", &[], kib);
    }
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        page.family("process_open_fds", "gauge", "File descriptors that are open.");
        page.sample("", &[], entries.count().saturating_sub(1)); // less the one that reads them
    }
}

/// Microseconds, written as seconds.
struct Micros(u64);

impl Display for Micros {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// The text so far.
#[derive(Default)]
struct Page {
    out: String,
    /// Of the family that is being written.
    name: &'static str,
}

impl Page {
    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.name = name;
        let _ = writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.out, "{}{suffix}", self.name);
        for (i, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.out, "{}{label}=\"{}\"", if i == 0 { "{" } else { "," }, Escaped(text));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.out, "{end} {value}");
    }

    fn samples(&mut self, label: &str, values: &[(&str, u64)]) {
        for (text, value) in values {
            self.sample("", &[(label, text)], value);
        }
    }

    /// `of` gives what is counted inwards, then outwards.
    fn by_protocol(&mut self, protocols: &[ProtocolCounters], of: impl Fn(&ProtocolCounters) -> [u64; 2]) {
        for protocol in protocols {
            let name = protocol.name.as_ref().map_or(OTHERS, |name| name.as_str());
            for (direction, value) in ["in", "out"].into_iter().zip(of(protocol)) {
                self.sample("", &[("protocol", name), ("direction", direction)], value);
            }
        }
    }

    fn round_trips(&mut self, name: &'static str, help: &str, round_trips: &RoundTrips) {
        self.family(name, "histogram", help);
        let mut below = 0;
        for (n, count) in round_trips.counts.iter().enumerate() {
            below += count;
            let bound = if n + 1 < round_trips.counts.len() { n.to_string() } else { "+Inf".to_owned() };
            self.sample("_bucket", &[("le", &bound)], below);
        }
        self.sample("_sum", &[], round_trips.sum);
        self.sample("_count", &[], below);
    }
}

/// A label's value.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_escaped() {
        let mut page = Page::default();
        page.family("x", "counter", "An x.");
        page.sample("_y", &[("a", "\\ \"b\"\n"), ("c", "é")], 7);
        assert_eq!(page.out, "# HELP x An x.\n# TYPE x counter\nx_y{a=\"\\\\ \\\"b\\\"\\n\",c=\"é\"} 7\n");
    }

    #[test]
    fn buckets_add_up() {
        let mut all = RoundTrips::default();
        [0, 1, 1, 9].into_iter().for_each(|n| all.note(n));
        let mut page = Page::default();
        page.round_trips("x", "An x.", &all);
        let values: Vec<_> = page.out.lines().skip(2).map(|line| line.split_once(' ').unwrap_or_default()).collect();
        assert_eq!(
            values[..3],
            [("x_bucket{le=\"0\"}", "1"), ("x_bucket{le=\"1\"}", "3"), ("x_bucket{le=\"2\"}", "3")]
        );
        assert_eq!(
            values[6..],
            [("x_bucket{le=\"6\"}", "3"), ("x_bucket{le=\"+Inf\"}", "4"), ("x_sum", "11"), ("x_count", "4")]
        );
        assert_eq!([Micros(1_500_000).to_string(), Micros(7).to_string()], ["1.500000", "0.000007"]);
    }
}

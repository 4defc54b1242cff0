//! A conversation on paper: a line for each thing that was said, then what came of it.

use core::time::Duration;

use sanswarm::{ConnectionError, Multiaddr, Muxer, PeerId, Security, Stats};
use sanswarm_connection::{
    Config, Direction,
    transcript::{Entry, What},
};
use sanswarm_identify as identify;

use crate::{
    failure::Failure,
    json::Object,
    output::{self, ms, plain},
};

/// What was found out.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) ready: Option<(PeerId, Option<Security>, Muxer)>,
    pub(super) identify: Option<Result<identify::Info, String>>,
    pub(super) ping: Option<Result<Duration, String>>,
}

impl Findings {
    /// Whether nothing is left to ask.
    pub(super) fn is_complete(&self) -> bool {
        self.identify.is_some() && self.ping.is_some()
    }
}

/// Where the lines go.
pub(super) struct Printer {
    json: bool,
    offered: [Vec<String>; 2],
}

impl Printer {
    /// Says who we are and what we offer.
    pub(super) fn start(json: bool, address: &Multiaddr, config: &Config) -> Result<Self, Failure> {
        let texts = |names: &[sanswarm::ProtocolName]| names.iter().map(|name| name.as_str().to_owned()).collect();
        let offered: [Vec<String>; 2] = [texts(config.security()), texts(config.muxers())];
        if json {
            let object = Object::new().text("event", "dial").text("address", address).text("us", config.local());
            output::line(object.texts("security", &offered[0]).texts("muxers", &offered[1]).end())?;
        } else {
            output::line(format_args!("{} dials {address}", config.local()))?;
            output::line(format_args!("offering {}; {}\n", offered[0].join(", "), offered[1].join(", ")))?;
            output::line("   at ms  trips     layer       stream  bytes  what")?;
        }
        Ok(Self { json, offered })
    }

    pub(super) fn entry(&self, entry: &Entry) -> Result<(), Failure> {
        let at = entry.at.as_micros() as f64 / 1e3;
        let stream = entry.stream.map(|stream| stream.number);
        if self.json {
            let direction = if entry.direction == Direction::Outbound { "out" } else { "in" };
            let object = Object::new().text("event", "said").decimal("at_ms", at);
            let object = object.number("round_trips", entry.round_trips.into()).text("direction", direction);
            let object = object.text("layer", entry.layer).opt_number("stream", stream);
            let object = object.text("what", entry.what.code()).text("text", &entry.what);
            return output::line(object.number("bytes", entry.bytes as u64).end());
        }
        let arrow = match (&entry.what, entry.direction) {
            (What::Ready(..) | What::Ended(_) | What::Lost(_), _) => "==",
            (_, Direction::Outbound) => "->",
            (_, Direction::Inbound) => "<-",
        };
        let stream = stream.map_or_else(String::new, |number| number.to_string());
        let bytes = if entry.bytes > 0 { entry.bytes.to_string() } else { String::new() };
        let what = plain(&entry.what.to_string());
        let (trips, layer) = (entry.round_trips, entry.layer);
        output::line(format_args!("{at:>8.2}  {trips:>5}  {arrow} {layer:<10} {stream:>7} {bytes:>6}  {what}"))
    }

    /// Says what came of it. A failure is told by the command's last words too.
    pub(super) fn end(&self, findings: &Findings, stats: &Stats, result: Result<(), Failure>) -> Result<(), Failure> {
        if self.json {
            // A failure's object is the command's own.
            return result.and_then(|()| output::line(self.summary(findings, stats).end()));
        }
        output::line("")?;
        if let Some((peer, security, muxer)) = &findings.ready {
            output::line(format_args!("peer         {peer}"))?;
            let security = security.map_or_else(|| "none".to_owned(), |security| security.to_string());
            output::line(format_args!("agreed       {security}, {muxer}"))?;
        }
        if let Some(mark) = stats.ready {
            let trips = mark.round_trips;
            output::line(format_args!("ready        after {:.2} ms and {trips} round trip(s)", ms(mark.after)))?;
        }
        match &findings.identify {
            Some(Ok(info)) => said(info)?,
            Some(Err(why)) => output::line(format_args!("identify     {}", plain(why)))?,
            None => {}
        }
        match &findings.ping {
            Some(Ok(time)) => output::line(format_args!("ping         {:.3} ms", ms(*time)))?,
            Some(Err(why)) => output::line(format_args!("ping         {}", plain(why)))?,
            None => {}
        }
        let (sent, got, trips) = (stats.bytes_out, stats.bytes_in, stats.round_trips);
        output::line(format_args!("in all       {trips} round trip(s), {sent} bytes out, {got} bytes in"))?;
        if let Err(Failure::Explain(error)) = &result {
            self.failure(error)?;
        }
        result
    }

    fn summary(&self, findings: &Findings, stats: &Stats) -> Object {
        let mut object = Object::new().flag("ok", true);
        if let Some((peer, security, muxer)) = &findings.ready {
            object = object.text("peer", peer).opt_text("security", *security).text("muxer", muxer);
        }
        if let Some(Ok(info)) = &findings.identify {
            object = object.opt_text("agent", info.agent_version.as_deref()).texts("protocols", &info.protocols);
        }
        if let Some(Ok(time)) = &findings.ping {
            object = object.decimal("ping_ms", ms(*time));
        }
        if let Some(mark) = stats.ready {
            object = object.decimal("ready_ms", ms(mark.after)).number("ready_round_trips", mark.round_trips.into());
        }
        let object = object.number("round_trips", stats.round_trips.into());
        object.number("bytes_out", stats.bytes_out).number("bytes_in", stats.bytes_in)
    }

    fn failure(&self, error: &ConnectionError) -> Result<(), Failure> {
        output::line(format_args!("failed at    {}", error.stage()))?;
        output::line(format_args!("cause        {}", plain(&error.to_string())))?;
        output::line(format_args!(
            "ended by     {}",
            if error.by() == Direction::Inbound { "the peer" } else { "us" }
        ))?;
        let ours = error
            .offered()
            .map_or_else(|| self.offered.concat(), |names| names.iter().map(|n| n.as_str().to_owned()).collect());
        output::line(format_args!("we offered   {}", ours.join(", ")))?;
        let theirs = error.remote();
        let theirs = if theirs.is_empty() { "- (it did not say)".to_owned() } else { theirs.join(", ") };
        output::line(format_args!("the peer has {}", plain(&theirs)))
    }
}

fn said(info: &identify::Info) -> Result<(), Failure> {
    let agent = info.agent_version.as_deref().map_or_else(|| "-".to_owned(), plain);
    output::line(format_args!("agent        {agent}"))?;
    output::line(format_args!("speaks       {}", plain(&info.protocols.join(", "))))
}

//! `sanswarm demo`: a listener and a dialer in one process, and what each step between them costs.

use core::net::Ipv4Addr;

use sanswarm::PeerInfo;
use sanswarm_tokio::{LinkStats, Node};
use tokio::time::Instant;

use crate::{
    args::Options,
    echo::{self, Plan},
    failure::Failure,
    ladder::{Counts, Ladder},
    output,
    session::{self, Connected, Patience},
};

pub(crate) async fn run(options: &Options) -> Result<(), Failure> {
    let patience = Patience::new(options, 60);
    let (security, muxers) = (options.security.clone(), options.muxers.clone());
    let listener = session::node(&Options { security, muxers, ..Options::default() }, Some(patience))?;
    let dialer = session::node(options, Some(patience))?;
    listener.set_stream_handler(session::ECHO, echo::serve);
    let address = options.transport.address(Ipv4Addr::LOCALHOST.into(), options.port);
    let listen = async { listener.listen(address).await.map_err(Failure::Listen) };
    let address = patience.wait("listen", listen).await?;
    let peer = PeerInfo { id: listener.id(), addrs: vec![address.clone()] };
    if !options.json {
        output::line(format_args!("{} dials {}\n     at {address}\n", dialer.id(), peer.id))?;
    }
    climb(&dialer, peer, options, patience).await?;
    session::leave(&dialer).await;
    session::leave(&listener).await;
    Ok(())
}

async fn climb(dialer: &Node, peer: PeerInfo, options: &Options, patience: Patience) -> Result<(), Failure> {
    let mut ladder = Ladder::start(options.json)?;
    let start = Instant::now();
    let connected = session::connect(dialer, peer, patience).await?;
    upgraded(&mut ladder, options.transport.name(), &connected, stats(dialer, &connected).await?)?;
    let plan = plan(options);
    let streams = patience.wait("stream", echo::open(dialer, connected.peer, session::ECHO, plan.bytes.len())).await?;
    let name = format!("{} x {}", session::ECHO, streams.len());
    ladder.step("stream", &name, start.elapsed(), Some(stats(dialer, &connected).await?.into()))?;
    let report = patience.wait("echo", echo::echo(streams, &plan)).await?;
    let name = format!("{} verified", output::size(plan.total()));
    ladder.step("echo", &name, start.elapsed(), Some(stats(dialer, &connected).await?.into()))?;
    if !options.json {
        output::line("")?;
    }
    report.tell(options.json, &connected)
}

/// The steps up to the muxer. The connection's own clock starts when the transport's connect is done.
fn upgraded(ladder: &mut Ladder, transport: &str, connected: &Connected, stats: LinkStats) -> Result<(), Failure> {
    let (Some(secured), Some(ready)) = (stats.secured, stats.ready) else { return Err(Failure::Gone) };
    let dialed = connected.elapsed.saturating_sub(ready.after);
    ladder.step("connect", transport, dialed, None)?;
    ladder.step("security", &connected.security(), dialed + secured.after, Some(Counts::from(secured)))?;
    ladder.step("muxer", &connected.muxer.to_string(), dialed + ready.after, Some(Counts::from(ready)))
}

async fn stats(node: &Node, connected: &Connected) -> Result<LinkStats, Failure> {
    node.stats(connected.peer).await.ok_or(Failure::Gone)
}

/// Bytes are counted over all streams; the first ones take what does not divide.
fn plan(options: &Options) -> Plan {
    let (total, streams) = (options.bytes.unwrap_or(64 << 20), options.streams.unwrap_or(4) as u64);
    let bytes = (0..streams).map(|i| total / streams + u64::from(i < total % streams)).collect();
    Plan { bytes, half_close: options.half_close }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_on_one_stream() {
        let plan = plan(&Options { bytes: Some(10), streams: Some(4), ..Options::default() });
        assert_eq!(plan.bytes, [3, 3, 2, 2]);
        assert_eq!(plan.total(), 10);
    }
}

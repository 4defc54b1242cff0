//! `sanswarm listen`.

use core::net::Ipv4Addr;
use std::io;

use sanswarm::{Event, multiaddr::Protocol};
use sanswarm_tokio::{Events, EventsError};

use crate::{
    args::Options, descriptors, echo, failure::Failure, json::Object, metrics::Exporter, output, perf, session,
};

pub(crate) async fn run(options: &Options) -> Result<(), Failure> {
    let address = match &options.address {
        Some(text) => session::address(text)?,
        None => options.transport.address(Ipv4Addr::LOCALHOST.into(), options.port),
    };
    limit(options)?;
    let metrics = match options.metrics {
        Some(address) => Some(Exporter::bind(address).await?),
        None => None,
    };
    let node = session::node(options, None)?;
    if options.verbose {
        tokio::spawn(log(node.events(), options.json));
    }
    node.set_stream_handler(session::ECHO, echo::serve);
    if options.perf {
        node.set_stream_handler(session::PERF, perf::serve);
    }
    // Before anybody can know that we are there, and send one.
    let signal = Signals::new().map_err(Failure::Runtime)?;
    node.listen(address).await.map_err(Failure::Listen)?;
    for address in node.advertised().await {
        let address = address.with(Protocol::P2p(node.id()));
        if options.json {
            output::line(Object::new().text("address", &address).end())?;
        } else {
            output::line(&address)?;
        }
    }
    if let Some(metrics) = metrics {
        let url = metrics.url()?;
        tokio::spawn(metrics.serve(node.clone()));
        if options.json {
            output::line(Object::new().text("metrics", url).end())?;
        } else {
            output::line(url)?;
        }
    }
    signal.wait().await;
    session::leave(&node).await;
    Ok(())
}

/// Sees to it that there are descriptors for all connections that there may be.
fn limit(options: &Options) -> Result<(), Failure> {
    let Some(connections) = options.connections else {
        descriptors::raise();
        return Ok(());
    };
    let handshakes = sanswarm::SwarmLimits::default().pending_inbound;
    let limit = descriptors::enough_for((connections + handshakes) as u64)?;
    output::note(format_args!("{limit} descriptors allowed, {connections} connections at most"));
    Ok(())
}

/// Says what happens.
pub(crate) async fn log(mut events: Events, json: bool) {
    loop {
        let (name, text) = match events.next().await {
            Ok(event) => match describe(&event) {
                Some(what) => what,
                None => continue,
            },
            Err(EventsError::Missed(count)) => ("missed", format!("{count} events")),
            Err(EventsError::Ended) => return,
        };
        output::note(format_args!("{name}: {text}"));
        if json && output::line(Object::new().text("event", name).text("text", text).end()).is_err() {
            return;
        }
    }
}

fn describe(event: &Event) -> Option<(&'static str, String)> {
    Some(match event {
        Event::Connected { peer, address, muxer, .. } => ("connected", format!("{peer} from {address}, {muxer}")),
        Event::PeerReady { peer, identify: Ok(info), .. } => {
            ("identified", format!("{peer} is {}", info.agent.as_deref().unwrap_or("-")))
        }
        Event::PeerReady { peer, identify: Err(error), .. } => ("identified", format!("{peer} is not: {error}")),
        Event::Disconnected { peer, reason: Ok(reason), .. } => ("disconnected", format!("{peer}: {reason:?}")),
        Event::Disconnected { peer, reason: Err(error), .. } => ("disconnected", format!("{peer}: {error}")),
        Event::AcceptFailed { address, error } => ("accept-failed", format!("{address}: {error}")),
        Event::ListenFailed { address, cause } => ("listen-failed", format!("{address}: {cause}")),
        _ => return None,
    })
}

/// SIGINT and SIGTERM.
#[derive(Debug)]
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    pub(crate) async fn wait(mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    pub(crate) async fn wait(self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}

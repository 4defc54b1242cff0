//! `sanswarm crowd`.

mod report;
mod visitor;

use core::time::Duration;
use std::sync::Arc;

use sanswarm::{Config, Node, PeerInfo};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::Instant,
};

use crate::{args::Options, descriptors, failure::Failure, key, listen::Signals, session};
use report::Report;
use visitor::{Told, Visitor};

/// Handshakes at once: a listener has a limit, and more are not faster.
const AT_ONCE: usize = 64;

/// How often the peer is pinged meanwhile.
const PING: Duration = Duration::from_millis(100);

/// How long goodbyes may take.
const GOODBYE: Duration = Duration::from_secs(5);

pub(crate) async fn run(options: &Options) -> Result<(), Failure> {
    let target = session::target(options)?;
    let connections = options.connections.unwrap_or(1000);
    let limit = descriptors::enough_for(connections as u64)?;
    let mut report = Report::new(connections, options.json);
    report.tell_limit(limit)?;
    let signals = Signals::new().map_err(Failure::Runtime)?;
    let (told, mut heard) = mpsc::unbounded_channel();
    let (leave, leaving) = watch::channel(false);
    let coming = tokio::spawn(come(options.clone(), target, told, leaving));
    let result = tokio::select! {
        result = hear(&mut report, &mut heard, options) => result,
        () = signals.wait() => Ok(()),
    };
    coming.abort();
    let _ = leave.send(true);
    let end = async { while heard.recv().await.is_some() {} };
    let _ = tokio::time::timeout(GOODBYE, end).await;
    result?;
    report.tell()
}

/// Starts visitors, one after another, at the rate that was asked for.
async fn come(
    options: Options,
    target: PeerInfo,
    told: mpsc::UnboundedSender<Told>,
    leaving: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let rate = options.rate.unwrap_or(500);
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    let at_once = Arc::new(Semaphore::new(AT_ONCE));
    for n in 0..options.connections.unwrap_or(1000) {
        ticks.tick().await;
        let Ok(permit) = at_once.clone().acquire_owned().await else { break };
        let visitor = Visitor::new(node(&options)?, target.clone(), told.clone(), permit);
        // One of them pings, and so has what is between it and the peer for itself.
        tokio::spawn(visitor.run((n == 0).then_some(PING), leaving.clone()));
    }
    Ok(())
}

fn node(options: &Options) -> Result<Node, Failure> {
    let mut config = Config::new(key::generate()?, key::secret()?);
    config.ping_interval = None; // The peer pings.
    if let Some(security) = &options.security {
        config.security.clone_from(security);
    }
    if let Some(muxers) = &options.muxers {
        config.muxers.clone_from(muxers);
    }
    if let Some(after) = options.timeout {
        config.connection.upgrade_timeout = after;
    }
    Node::new(config).map_err(Failure::Signing)
}

/// Listens to the visitors until all have come or failed, and then for as long as they are to stay.
async fn hear(
    report: &mut Report,
    heard: &mut mpsc::UnboundedReceiver<Told>,
    options: &Options,
) -> Result<(), Failure> {
    while report.is_coming() {
        report.add(heard.recv().await.ok_or(Failure::Gone)?);
    }
    report.tell_established()?;
    let until = Instant::now() + options.seconds.unwrap_or(Duration::from_secs(10));
    while let Ok(Some(told)) = tokio::time::timeout_at(until, heard.recv()).await {
        report.add(told);
    }
    Ok(())
}

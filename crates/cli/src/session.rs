//! What all verbs with a node share: its configuration, its target, its connection, its patience.

use core::time::Duration;
use std::path::Path;

use sanswarm::{Config, Event, Multiaddr, Muxer, PeerId, PeerInfo, ProtocolName, Security};
use sanswarm_tokio::{Events, EventsError, NameServers, Node, WebTls};
use tokio::time::Instant;

use crate::{
    args::Options,
    descriptors,
    failure::{Failure, Usage},
    json::Object,
    key,
    output::{self, ms},
};

/// The protocol of the `echo` verb.
pub(crate) const ECHO: ProtocolName = ProtocolName::from_static("/echo/1.0.0");

/// The protocol of the `perf` verb.
pub(crate) const PERF: ProtocolName = ProtocolName::from_static(sanswarm_perf::NAME);

/// How much later than the machines we give up ourselves: their errors say more.
const GRACE: Duration = Duration::from_millis(250);

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// How long a verb waits in all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    until: Instant,
    after: Duration,
}

impl Patience {
    pub(crate) fn new(options: &Options, default: u64) -> Self {
        let after = options.timeout.unwrap_or(Duration::from_secs(default));
        Self { until: Instant::now() + after + GRACE, after }
    }

    /// When it ends for what tells more of its end than we can: a little earlier than for us.
    pub(crate) fn until(self) -> Instant {
        self.until - GRACE
    }

    /// As much again, from now on.
    pub(crate) fn anew(self) -> Self {
        Self { until: Instant::now() + self.after + GRACE, ..self }
    }

    /// Waits for something, but not for ever.
    pub(crate) async fn wait<T, E: Into<Failure>>(
        self,
        stage: &'static str,
        what: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout_at(self.until, what).await {
            Ok(result) => result.map_err(Into::into),
            Err(_) => Err(Failure::Timeout { stage, after: self.after }),
        }
    }

    /// Makes the machines give up when we do.
    fn bound(self, config: &mut Config) {
        let limits = &mut config.connection;
        limits.upgrade_timeout = self.after;
        limits.negotiation_timeout = self.after;
        config.identify_timeout = self.after;
        config.ping_timeout = self.after;
        config.swarm.attempt = self.after + GRACE / 4;
        config.swarm.inbound_upgrade = self.after + GRACE / 4;
        config.swarm.dial = self.after + GRACE / 2;
    }
}

/// A node with the identity of the options.
pub(crate) fn node(options: &Options, patience: Option<Patience>) -> Result<Node, Failure> {
    let (keypair, _) = key::load_or_make(options.key.as_deref())?;
    let mut config = Config::new(keypair, key::secret()?);
    let [a, b, c, d, e, f, g, h, ..] = key::secret()?;
    config.seed = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    if let Some(security) = &options.security {
        config.security.clone_from(security);
    }
    if let Some(muxers) = &options.muxers {
        config.muxers.clone_from(muxers);
    }
    match (patience, options.timeout) {
        (Some(patience), _) => patience.bound(&mut config),
        (None, Some(after)) => {
            config.connection.upgrade_timeout = after;
            config.swarm.inbound_upgrade = after + GRACE;
        }
        (None, None) => {}
    }
    if let Some(connections) = options.connections {
        descriptors::allow(&mut config, connections);
    }
    Node::with_tls(config, NameServers::System, tls(options)?).map_err(Failure::Signing)
}

/// What the options say about the TLS below a WebSocket.
pub(crate) fn tls(options: &Options) -> Result<WebTls, Failure> {
    let files = &options.tls;
    let read = |file: &Path| std::fs::read(file).map_err(|cause| Failure::File { file: file.to_owned(), cause });
    let of = |file: &Path| {
        let file = file.to_owned();
        move |cause| Failure::Credentials { file, cause }
    };
    let mut tls = WebTls::new();
    if let Some(file) = &files.roots {
        tls = tls.with_roots(&read(file)?).map_err(of(file))?;
    }
    match (&files.certificate, &files.key) {
        (Some(certificate), Some(key)) => {
            tls.with_certificate(&read(certificate)?, &read(key)?).map_err(of(certificate))
        }
        (None, None) => Ok(tls),
        _ => Err(Usage::Half { option: "--tls-certificate", other: "--tls-key" }.into()),
    }
}

/// Reads a multiaddr.
pub(crate) fn address(text: &str) -> Result<Multiaddr, Failure> {
    text.parse().map_err(|cause| Failure::Address { text: text.to_owned(), cause })
}

/// The peer to dial, at all the addresses given. One of them has to name it.
pub(crate) fn target(options: &Options) -> Result<PeerInfo, Failure> {
    let texts = options.address.iter().chain(&options.more);
    let addrs: Vec<_> = texts.map(|text| address(text)).collect::<Result<_, _>>()?;
    let mut named = addrs.iter().map(|address| PeerInfo::try_from(address.clone()));
    let first = named.next().unwrap_or_else(|| PeerInfo::try_from(Multiaddr::empty()));
    let PeerInfo { id, .. } = first.or_else(|error| named.find_map(Result::ok).ok_or(Failure::NoPeerId(error)))?;
    Ok(PeerInfo { id, addrs })
}

/// A connection, as the first line of a verb tells of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connected {
    pub(crate) peer: PeerId,
    pub(crate) security: Option<Security>,
    pub(crate) muxer: Muxer,
    pub(crate) elapsed: Duration,
}

impl Connected {
    pub(crate) fn security(&self) -> String {
        self.security.map_or_else(|| "none".to_owned(), |security| security.to_string())
    }

    /// Says so, as text or as an object.
    pub(crate) fn tell(&self, json: bool) -> Result<(), Failure> {
        let (security, elapsed) = (self.security(), ms(self.elapsed));
        if json {
            let object = Object::new().text("event", "connected").text("peer", self.peer).text("security", security);
            return output::line(object.text("muxer", self.muxer).decimal("ms", elapsed).end());
        }
        output::line(format_args!("connected to {} in {elapsed:.1} ms: {security}, {}", self.peer, self.muxer))
    }
}

/// Connects to a peer.
pub(crate) async fn connect(node: &Node, peer: PeerInfo, patience: Patience) -> Result<Connected, Failure> {
    let start = Instant::now();
    let mut events = node.events();
    let id = peer.id;
    patience.wait("connect", node.connect(peer)).await?;
    let elapsed = start.elapsed();
    let (security, muxer) = patience.wait("connect", agreed(&mut events, id)).await?;
    Ok(Connected { peer: id, security, muxer, elapsed })
}

/// What the two ends agreed on.
async fn agreed(events: &mut Events, id: PeerId) -> Result<(Option<Security>, Muxer), Failure> {
    loop {
        match events.next().await {
            Ok(Event::Connected { peer, security, muxer, .. }) if peer == id => return Ok((security, muxer)),
            Ok(_) | Err(EventsError::Missed(_)) => {}
            Err(EventsError::Ended) => return Err(Failure::Gone),
        }
    }
}

/// Says goodbye.
pub(crate) async fn leave(node: &Node) {
    node.shutdown(GOODBYE).await;
}

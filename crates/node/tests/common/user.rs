//! A node, what its user does, and what the user has seen.

use std::collections::{BTreeMap, BTreeSet};

use sanswarm::{
    Attempt, Bytes, Config, ConnId, DialReport, Event, Info, Instant, Keypair, Multiaddr, Node, OpenId,
    OpenStreamError, PeerId, PeerInfo, ReadError, StreamId,
};

pub(crate) fn keypair(seed: u8) -> Keypair {
    Keypair::ed25519_from_bytes([seed; 32]).expect("32 bytes")
}

pub(crate) fn peer(seed: u8) -> PeerId {
    keypair(seed).public().to_peer_id()
}

/// A configuration without pings, so that only what a test starts happens.
pub(crate) fn config(seed: u8) -> Config {
    let mut config = Config::new(keypair(seed), [seed + 100; 32]);
    config.seed = u64::from(seed);
    config.ping_interval = None;
    config
}

/// Bytes that tell their place.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

/// What the user sends on one stream.
#[derive(Debug, Default)]
struct Outbox {
    data: Vec<u8>,
    sent: usize,
    finish: bool,
}

pub(crate) struct User {
    pub(crate) node: Node,
    pub(crate) address: Multiaddr,
    pub(crate) events: Vec<Event>,
    /// Sends back what it reads on inbound streams.
    pub(crate) echoes: bool,
    /// Reads all that comes.
    pub(crate) reads: bool,
    pub(crate) got: BTreeMap<StreamId, Vec<u8>>,
    /// Streams on which the peer has finished.
    pub(crate) ended: BTreeSet<StreamId>,
    inbound: BTreeSet<StreamId>,
    outboxes: BTreeMap<StreamId, Outbox>,
}

impl User {
    pub(crate) fn new(config: Config, address: Multiaddr) -> Self {
        Self {
            node: Node::new(config).expect("Ed25519 signs"),
            address,
            events: Vec::new(),
            echoes: true,
            reads: true,
            got: BTreeMap::new(),
            ended: BTreeSet::new(),
            inbound: BTreeSet::new(),
            outboxes: BTreeMap::new(),
        }
    }

    /// Takes events until there are none, and acts on them. Returns whether something came.
    pub(crate) fn poll(&mut self, now: Instant) -> bool {
        let mut came = false;
        while let Some(event) = self.node.poll_event(now) {
            came = true;
            self.act(now, &event);
            self.events.push(event);
            assert!(self.events.len() < 1_000_000, "events without end");
        }
        came
    }

    fn act(&mut self, now: Instant, event: &Event) {
        match event {
            Event::Opened { stream, handler, .. } => {
                if handler.is_some() {
                    self.inbound.insert(*stream);
                }
                self.push_out(now, *stream);
            }
            Event::Writable { stream } => self.push_out(now, *stream),
            Event::Readable { stream } if self.reads => self.take_in(now, *stream),
            Event::Finished { stream } => {
                self.ended.insert(*stream);
                if self.reads {
                    self.take_in(now, *stream);
                }
            }
            _ => {}
        }
    }

    /// Reads all that is there, and echoes it if that is what this user does.
    pub(crate) fn take_in(&mut self, now: Instant, id: StreamId) {
        let (mut bytes, mut end) = (Vec::new(), false);
        loop {
            match self.node.read(id) {
                Ok(Some(slice)) => bytes.extend_from_slice(&slice),
                Err(ReadError::Finished) => end = true,
                _ => break,
            }
            if end {
                break;
            }
        }
        self.got.entry(id).or_default().extend_from_slice(&bytes);
        if self.echoes && self.inbound.contains(&id) {
            let outbox = self.outboxes.entry(id).or_default();
            outbox.data.extend_from_slice(&bytes);
            outbox.finish |= end;
            self.push_out(now, id);
        }
    }

    fn push_out(&mut self, now: Instant, id: StreamId) {
        let Some(outbox) = self.outboxes.get_mut(&id) else { return };
        if outbox.sent < outbox.data.len() {
            outbox.sent += self.node.write(now, id, &outbox.data[outbox.sent..]).unwrap_or(0);
        }
        if outbox.sent == outbox.data.len() && core::mem::take(&mut outbox.finish) {
            let _ = self.node.finish(id);
        }
    }

    /// Sends all of `data` as room comes, and then finishes.
    pub(crate) fn send_all(&mut self, now: Instant, id: StreamId, data: &[u8]) {
        self.outboxes.insert(id, Outbox { data: data.to_vec(), sent: 0, finish: true });
        self.push_out(now, id);
    }

    pub(crate) fn read(&mut self, id: StreamId) -> Result<Option<Bytes>, ReadError> {
        self.node.read(id)
    }

    pub(crate) fn info(&self) -> PeerInfo {
        PeerInfo { id: self.node.id(), addrs: vec![self.address.clone()] }
    }

    // ---- what the user has seen

    /// Where in the events the first one of this kind is.
    pub(crate) fn position(&self, kind: impl Fn(&Event) -> bool) -> Option<usize> {
        self.events.iter().position(kind)
    }

    pub(crate) fn count(&self, kind: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|event| kind(event)).count()
    }

    pub(crate) fn has(&self, event: &Event) -> bool {
        self.events.contains(event)
    }

    /// How many events say how a request ended.
    pub(crate) fn answers(&self, id: OpenId) -> usize {
        self.count(|event| match event {
            Event::Opened { request, .. } => *request == Some(id),
            Event::OpenFailed { request, .. } => *request == id,
            _ => false,
        })
    }

    pub(crate) fn opened(&self, id: OpenId) -> Option<StreamId> {
        self.events.iter().find_map(|event| match event {
            Event::Opened { request, stream, .. } if *request == Some(id) => Some(*stream),
            _ => None,
        })
    }

    #[track_caller]
    pub(crate) fn stream(&self, id: OpenId) -> StreamId {
        self.opened(id).unwrap_or_else(|| panic!("{id:?} is not open: {:?}", self.events))
    }

    #[track_caller]
    pub(crate) fn failure(&self, id: OpenId) -> &OpenStreamError {
        let found = self.events.iter().find_map(|event| match event {
            Event::OpenFailed { request, error } if *request == id => Some(error),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("{id:?} has not failed: {:?}", self.events))
    }

    #[track_caller]
    pub(crate) fn report(&self, id: OpenId) -> &DialReport {
        match self.failure(id) {
            OpenStreamError::Dial(report) => report,
            other => panic!("{other:?}"),
        }
    }

    /// The only address of a dial that failed.
    #[track_caller]
    pub(crate) fn attempt(&self, id: OpenId) -> &Attempt {
        let [attempt] = &self.report(id).attempts[..] else { panic!("{:?}", self.report(id)) };
        attempt
    }

    /// The inbound streams, in the order in which they came.
    pub(crate) fn inbound(&self) -> Vec<StreamId> {
        let inbound = |event: &Event| match event {
            Event::Opened { handler: Some(_), stream, .. } => Some(*stream),
            _ => None,
        };
        self.events.iter().filter_map(inbound).collect()
    }

    pub(crate) fn conns(&self) -> Vec<ConnId> {
        let connected = |event: &Event| match event {
            Event::Connected { conn, .. } => Some(*conn),
            _ => None,
        };
        self.events.iter().filter_map(connected).collect()
    }

    pub(crate) fn disconnected(&self, id: ConnId) -> Vec<&Event> {
        let is = |event: &&Event| matches!(event, Event::Disconnected { conn, .. } if *conn == id);
        self.events.iter().filter(is).collect()
    }

    pub(crate) fn identified(&self) -> Vec<&Info> {
        let info = |event| match event {
            &Event::PeerReady { identify: Ok(ref info), .. } | &Event::PeerChanged { ref info, .. } => Some(info),
            _ => None,
        };
        self.events.iter().filter_map(info).collect()
    }
}

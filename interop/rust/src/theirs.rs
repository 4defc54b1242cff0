//! A rust-libp2p peer: TCP, Noise, yamux or mplex, ping, identify and [`ECHO`](crate::ECHO) streams.

use std::time::Duration;

use futures::StreamExt as _;
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, Transport as _,
    core::upgrade::Version,
    identify, identity, noise, ping,
    swarm::{self, NetworkBehaviour, SwarmEvent, dial_opts::DialOpts},
    tcp, yamux,
};
use libp2p_stream::{Control, OpenStreamError};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinHandle,
};
use tokio_util::compat::FuturesAsyncReadCompatExt as _;

use crate::{AnyPipe, ECHO, Muxer, THEIR_AGENT, inbound::Inbound, soon};

#[derive(NetworkBehaviour)]
#[behaviour(to_swarm = "Said")]
struct Behaviour {
    inbound: Inbound,
    outbound: libp2p_stream::Behaviour,
    ping: ping::Behaviour,
    identify: identify::Behaviour,
}

/// What the behaviours of a rust-libp2p peer say.
#[derive(Debug)]
pub enum Said {
    /// The outcome of a ping.
    Ping(ping::Event),
    /// What identify has done.
    Identify(Box<identify::Event>),
}

impl From<ping::Event> for Said {
    fn from(event: ping::Event) -> Self {
        Self::Ping(event)
    }
}

impl From<identify::Event> for Said {
    fn from(event: identify::Event) -> Self {
        Self::Identify(Box::new(event))
    }
}

impl From<std::convert::Infallible> for Said {
    fn from(event: std::convert::Infallible) -> Self {
        match event {}
    }
}

impl From<()> for Said {
    fn from((): ()) -> Self {
        unreachable!("libp2p-stream says nothing")
    }
}

/// An event of the rust-libp2p swarm.
pub type TheirsEvent = SwarmEvent<Said>;

enum Order {
    Dial(DialOpts),
    Disconnect(PeerId),
}

/// A rust-libp2p peer that listens on loopback. Dropped, it is gone.
pub struct Theirs {
    /// Who it is.
    pub id: PeerId,
    /// Where it listens, with `/p2p/…`.
    pub address: Multiaddr,
    orders: UnboundedSender<Order>,
    events: UnboundedReceiver<TheirsEvent>,
    inbound: UnboundedReceiver<libp2p::Stream>,
    outbound: Control,
    task: JoinHandle<()>,
}

impl Theirs {
    /// Starts a peer that speaks one muxer and negotiates all layers by `version`.
    ///
    /// # Panics
    /// If it cannot listen.
    pub async fn start(version: Version, muxer: Muxer) -> Self {
        let (streams, inbound) = unbounded_channel();
        let mut swarm = swarm(version, muxer, streams);
        let loopback = "/ip4/127.0.0.1/tcp/0".parse().expect("an address");
        swarm.listen_on(loopback).expect("loopback can be listened on");
        let (to_task, orders) = unbounded_channel();
        let (to_test, events) = unbounded_channel();
        let id = *swarm.local_peer_id();
        let outbound = swarm.behaviour().outbound.new_control();
        let address = soon("listening", async {
            loop {
                if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                    return address;
                }
            }
        });
        let address = address.await.with(libp2p::multiaddr::Protocol::P2p(id));
        let task = tokio::spawn(run(swarm, orders, to_test));
        Self { id, address, orders: to_task, events, inbound, outbound, task }
    }

    /// Connects to the peer that an address names.
    ///
    /// # Panics
    /// If that fails.
    pub async fn connect(&mut self, address: &Multiaddr) {
        let _ = self.orders.send(Order::Dial(DialOpts::from(address.clone())));
        self.next("a connection", |event| match event {
            SwarmEvent::ConnectionEstablished { .. } => Some(()),
            SwarmEvent::OutgoingConnectionError { error, .. } => panic!("the dial failed: {error:?}"),
            _ => None,
        })
        .await;
    }

    /// Closes all connections to a peer.
    pub fn disconnect(&self, peer: PeerId) {
        let _ = self.orders.send(Order::Disconnect(peer));
    }

    /// Opens a stream to a connected peer.
    ///
    /// # Errors
    /// Those of libp2p-stream.
    pub async fn open(&self, peer: PeerId, protocol: &'static str) -> Result<AnyPipe, OpenStreamError> {
        let mut control = self.outbound.clone();
        let stream = soon("opening a stream", control.open_stream(peer, StreamProtocol::new(protocol))).await?;
        Ok(Box::new(stream.compat()))
    }

    /// The next inbound stream of [`ECHO`].
    pub async fn accept(&mut self) -> AnyPipe {
        let stream = soon("an inbound stream", self.inbound.recv()).await.expect("the peer runs");
        Box::new(stream.compat())
    }

    /// The next event that `pick` picks. Events before it are dropped.
    pub async fn next<T>(&mut self, what: &str, mut pick: impl FnMut(TheirsEvent) -> Option<T>) -> T {
        let picked = async {
            loop {
                let event = self.events.recv().await.expect("the peer runs");
                if let Some(value) = pick(event) {
                    return value;
                }
            }
        };
        soon(what, picked).await
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn swarm(version: Version, muxer: Muxer, streams: UnboundedSender<libp2p::Stream>) -> Swarm<Behaviour> {
    let keypair = identity::Keypair::generate_ed25519();
    let transport = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(version)
        .authenticate(noise::Config::new(&keypair).expect("an Ed25519 key signs"));
    let transport = match muxer {
        Muxer::Mplex => transport.multiplex(libp2p_mplex::Config::default()).boxed(),
        _ => transport.multiplex(yamux::Config::default()).boxed(),
    };
    let about = identify::Config::new("/interop/1.0.0".to_owned(), keypair.public());
    let behaviour = Behaviour {
        inbound: Inbound { protocol: StreamProtocol::new(ECHO), streams },
        outbound: libp2p_stream::Behaviour::new(),
        ping: ping::Behaviour::new(ping::Config::new()),
        identify: identify::Behaviour::new(about.with_agent_version(THEIR_AGENT.to_owned())),
    };
    let config = swarm::Config::with_tokio_executor()
        .with_substream_upgrade_protocol_override(version)
        .with_idle_connection_timeout(Duration::from_secs(60));
    Swarm::new(transport, behaviour, keypair.public().to_peer_id(), config)
}

async fn run(mut swarm: Swarm<Behaviour>, mut orders: UnboundedReceiver<Order>, events: UnboundedSender<TheirsEvent>) {
    loop {
        tokio::select! {
            event = swarm.select_next_some() => {
                if events.send(event).is_err() {
                    return;
                }
            }
            order = orders.recv() => match order {
                Some(Order::Dial(how)) => swarm.dial(how).expect("a dial can start"),
                Some(Order::Disconnect(peer)) => swarm.disconnect_peer_id(peer).expect("it is connected"),
                None => return,
            },
        }
    }
}

//! A sanswarm peer with the verbs of [`Theirs`](crate::Theirs).

use sanswarm_tokio::{
    Event, Events, EventsError, Keypair, Multiaddr, Node, OpenStreamError, PeerId, PeerInfo, ProtocolName,
    core::multiaddr::Protocol,
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::{AnyPipe, ECHO, Muxer, soon};

/// A sanswarm peer that listens on loopback. Dropped, it is gone.
pub struct Ours {
    /// The node.
    pub node: Node,
    /// Where it listens, with `/p2p/…`.
    pub address: Multiaddr,
    events: Events,
    inbound: UnboundedReceiver<AnyPipe>,
}

impl Ours {
    /// Starts a node with a new identity that speaks one muxer.
    ///
    /// # Panics
    /// If it cannot listen.
    pub async fn start(muxer: Muxer) -> Self {
        let mut config = sanswarm_tokio::config(Keypair::generate_ed25519());
        config.muxers = vec![muxer];
        let node = Node::new(config).expect("an Ed25519 key signs");
        let events = node.events();
        let (to_test, inbound) = unbounded_channel();
        node.set_stream_handler(ProtocolName::from_static(ECHO), move |stream| {
            // A test that has ended takes no more streams.
            let _ = to_test.send(Box::new(stream) as AnyPipe);
            async {}
        });
        let loopback = "/ip4/127.0.0.1/tcp/0".parse().expect("an address");
        let bound = soon("listening", node.listen(loopback)).await.expect("loopback can be listened on");
        let address = bound.with(Protocol::P2p(node.id()));
        Self { node, address, events, inbound }
    }

    /// Who it is.
    pub fn id(&self) -> PeerId {
        self.node.id()
    }

    /// Connects to the peer that an address names.
    ///
    /// # Panics
    /// If that fails.
    pub async fn connect(&self, address: &Multiaddr) {
        let peer = PeerInfo::try_from(address.clone()).expect("it ends in /p2p");
        soon("a connection", self.node.connect(peer)).await.expect("the dial succeeds");
    }

    /// Opens a stream to a connected peer.
    ///
    /// # Errors
    /// Those of the node.
    pub async fn open(&self, peer: PeerId, protocol: &'static str) -> Result<AnyPipe, OpenStreamError> {
        let opening = self.node.open_stream(ProtocolName::from_static(protocol), peer);
        Ok(Box::new(soon("opening a stream", opening).await?))
    }

    /// The next inbound stream of [`ECHO`].
    pub async fn accept(&mut self) -> AnyPipe {
        soon("an inbound stream", self.inbound.recv()).await.expect("the node runs")
    }

    /// The next event that `pick` picks. Events before it are dropped.
    pub async fn next<T>(&mut self, what: &str, mut pick: impl FnMut(Event) -> Option<T>) -> T {
        let picked = async {
            loop {
                match self.events.next().await {
                    Ok(event) => {
                        if let Some(value) = pick(event) {
                            return value;
                        }
                    }
                    Err(EventsError::Missed(_)) => {}
                    Err(EventsError::Ended) => panic!("the node has ended"),
                }
            }
        };
        soon(what, picked).await
    }
}

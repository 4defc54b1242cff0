//! litep2p: each protocol is a task of the user's with a service, which tells of connections and gives substreams.

use std::{collections::HashMap, io, time::Duration};

use litep2p::{
    Litep2p, Litep2pEvent, PeerId, ProtocolName,
    codec::ProtocolCodec,
    config::ConfigBuilder,
    protocol::{
        Direction, TransportEvent, TransportService, UserProtocol,
        libp2p::{identify, ping},
    },
    substream::Substream,
    transport::tcp::config::Config as TcpConfig,
    types::{SubstreamId, multiaddr::Multiaddr},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{mpsc, oneshot},
};

use crate::node::{ECHO, Fault, Node, SINK, Stream, serve};

/// As long as a case may take.
const LONG: Duration = Duration::from_secs(600);

type Reply<T> = oneshot::Sender<Result<T, Fault>>;

impl Stream for Substream {
    async fn read(&mut self, block: &mut [u8]) -> io::Result<usize> {
        AsyncReadExt::read(self, block).await
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes).await
    }

    async fn flush(&mut self) -> io::Result<()> {
        AsyncWriteExt::flush(self).await
    }

    async fn finish(&mut self) -> io::Result<()> {
        self.shutdown().await
    }
}

/// Of one protocol.
enum Ask {
    /// Tell when the peer is connected.
    Await(PeerId, Reply<()>),
    Open(PeerId, Reply<Substream>),
    Close(PeerId),
}

/// Of the node.
enum Command {
    Dial(Multiaddr, Reply<()>),
    /// Tell when the peer is gone.
    Closed(PeerId, Reply<()>),
}

struct Protocol {
    name: &'static str,
    asks: mpsc::UnboundedReceiver<Ask>,
    connected: Vec<PeerId>,
    waiting: Vec<(PeerId, Reply<()>)>,
    opens: HashMap<SubstreamId, Reply<Substream>>,
}

impl Protocol {
    fn new(name: &'static str, asks: mpsc::UnboundedReceiver<Ask>) -> Self {
        Self { name, asks, connected: Vec::new(), waiting: Vec::new(), opens: HashMap::new() }
    }

    fn handle_ask(&mut self, ask: Ask, service: &mut TransportService) {
        match ask {
            Ask::Await(peer, reply) if self.connected.contains(&peer) => drop(reply.send(Ok(()))),
            Ask::Await(peer, reply) => self.waiting.push((peer, reply)),
            Ask::Open(peer, reply) => match service.open_substream(peer) {
                Ok(id) => drop(self.opens.insert(id, reply)),
                Err(error) => drop(reply.send(Err(format!("{error:?}").into()))),
            },
            Ask::Close(peer) => drop(service.force_close(peer)),
        }
    }

    fn handle_event(&mut self, event: TransportEvent) {
        match event {
            TransportEvent::ConnectionEstablished { peer, .. } => {
                self.connected.push(peer);
                for (_, reply) in self.waiting.extract_if(.., |(waits, _)| *waits == peer) {
                    let _ = reply.send(Ok(()));
                }
            }
            TransportEvent::ConnectionClosed { peer } => self.connected.retain(|known| *known != peer),
            TransportEvent::SubstreamOpened { direction: Direction::Inbound, substream, .. } => {
                tokio::spawn(serve(substream, self.name));
            }
            TransportEvent::SubstreamOpened { direction: Direction::Outbound(id), substream, .. } => {
                if let Some(reply) = self.opens.remove(&id) {
                    let _ = reply.send(Ok(substream));
                }
            }
            TransportEvent::SubstreamOpenFailure { substream, error } => {
                if let Some(reply) = self.opens.remove(&substream) {
                    let _ = reply.send(Err(format!("{error:?}").into()));
                }
            }
            TransportEvent::DialFailure { .. } => {}
        }
    }
}

#[async_trait::async_trait]
impl UserProtocol for Protocol {
    fn protocol(&self) -> ProtocolName {
        ProtocolName::from(self.name)
    }

    fn codec(&self) -> ProtocolCodec {
        ProtocolCodec::Unspecified
    }

    async fn run(mut self: Box<Self>, mut service: TransportService) -> litep2p::Result<()> {
        use futures::StreamExt;
        loop {
            tokio::select! {
                ask = self.asks.recv() => match ask {
                    Some(ask) => self.handle_ask(ask, &mut service),
                    None => return Ok(()),
                },
                event = service.next() => match event {
                    Some(event) => self.handle_event(event),
                    None => return Ok(()),
                },
            }
        }
    }
}

async fn drive(mut node: Litep2p, mut commands: mpsc::UnboundedReceiver<Command>) {
    let (mut dials, mut closes) = (Vec::<Reply<()>>::new(), Vec::<(PeerId, Reply<()>)>::new());
    loop {
        let event = tokio::select! {
            event = node.next_event() => event,
            command = commands.recv() => {
                match command {
                    None => return,
                    Some(Command::Dial(address, reply)) => match node.dial_address(address).await {
                        Ok(()) => dials.push(reply),
                        Err(error) => drop(reply.send(Err(format!("{error:?}").into()))),
                    },
                    Some(Command::Closed(peer, reply)) => closes.push((peer, reply)),
                }
                continue;
            }
        };
        match event {
            None => return,
            Some(Litep2pEvent::ConnectionEstablished { .. }) => {
                dials.drain(..).for_each(|reply| drop(reply.send(Ok(()))));
            }
            Some(Litep2pEvent::ConnectionClosed { peer, .. }) => {
                for (_, reply) in closes.extract_if(.., |(waits, _)| *waits == peer) {
                    let _ = reply.send(Ok(()));
                }
            }
            Some(failed) => dials.drain(..).for_each(|reply| drop(reply.send(Err(format!("{failed:?}").into())))),
        }
    }
}

/// A handle on a node, with identify and ping or without.
#[derive(Clone)]
pub struct Lite<const SERVICES: bool> {
    commands: mpsc::UnboundedSender<Command>,
    echo: mpsc::UnboundedSender<Ask>,
    sink: mpsc::UnboundedSender<Ask>,
}

impl<const SERVICES: bool> Lite<SERVICES> {
    fn start(listen: &[&str]) -> Result<(Self, PeerId, Vec<Multiaddr>), Fault> {
        let ((echo, echo_asks), (sink, sink_asks)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let listen_addresses = listen.iter().map(|address| address.parse()).collect::<Result<_, _>>()?;
        // With `reuse_port`, its default, dials leave from the listener's port, and one that is dialled again is in use.
        let tcp = TcpConfig { listen_addresses, reuse_port: false, nodelay: true, ..TcpConfig::default() };
        let mut config = ConfigBuilder::new()
            .with_tcp(tcp)
            .with_keep_alive_timeout(LONG)
            .with_user_protocol(Box::new(Protocol::new(ECHO, echo_asks)))
            .with_user_protocol(Box::new(Protocol::new(SINK, sink_asks)));
        if SERVICES {
            let (ping, mut pongs) = ping::Config::default();
            let (identify, mut infos) = identify::Config::new("ipfs/0.1.0".to_owned(), None);
            tokio::spawn(async move {
                use futures::StreamExt;
                loop {
                    tokio::select! {
                        Some(_) = pongs.next() => {}
                        Some(_) = infos.next() => {}
                        else => return,
                    }
                }
            });
            config = config.with_libp2p_ping(ping).with_libp2p_identify(identify);
        }
        let node = Litep2p::new(config.build()).map_err(|error| format!("{error:?}"))?;
        let (id, addresses) = (*node.local_peer_id(), node.listen_addresses().cloned().collect());
        let (commands, receiver) = mpsc::unbounded_channel();
        tokio::spawn(drive(node, receiver));
        Ok((Self { commands, echo, sink }, id, addresses))
    }

    async fn ask<T, A>(to: &mpsc::UnboundedSender<A>, ask: impl FnOnce(Reply<T>) -> A) -> Result<T, Fault> {
        let (reply, answer) = oneshot::channel();
        to.send(ask(reply)).map_err(|_| "the node is gone")?;
        answer.await?
    }
}

impl<const SERVICES: bool> Node for Lite<SERVICES> {
    type Target = (PeerId, Multiaddr);
    type Stream = Substream;

    async fn dialer() -> Result<Self, Fault> {
        Ok(Self::start(&[])?.0)
    }

    async fn listener() -> Result<(Self, Self::Target), Fault> {
        let (node, id, addresses) = Self::start(&["/ip4/127.0.0.1/tcp/0"])?;
        Ok((node, (id, addresses.into_iter().next().ok_or("no address")?)))
    }

    async fn connect(&self, (peer, address): &Self::Target) -> Result<(), Fault> {
        Self::ask(&self.commands, |reply| Command::Dial(address.clone(), reply)).await?;
        Self::ask(&self.echo, |reply| Ask::Await(*peer, reply)).await?;
        Self::ask(&self.sink, |reply| Ask::Await(*peer, reply)).await
    }

    async fn open(&self, (peer, _): &Self::Target, protocol: &'static str) -> Result<Substream, Fault> {
        let to = if protocol == ECHO { &self.echo } else { &self.sink };
        Self::ask(to, |reply| Ask::Open(*peer, reply)).await
    }

    async fn disconnect(&self, (peer, _): &Self::Target) -> Result<(), Fault> {
        let (reply, closed) = oneshot::channel();
        self.commands.send(Command::Closed(*peer, reply)).map_err(|_| "the node is gone")?;
        self.echo.send(Ask::Close(*peer)).map_err(|_| "the protocol is gone")?;
        closed.await?
    }
}

//! rust-libp2p. Streams that come are served by tasks of their own; streams that are opened come from `libp2p-stream`, whose
//! queue of those that come holds one, and so is not used for them.

use std::{collections::HashMap, convert::Infallible, io, time::Duration};

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::{
    Multiaddr, PeerId, Stream as Libp2pStream, StreamProtocol, Swarm, SwarmBuilder, identify, noise, ping,
    swarm::{NetworkBehaviour, SwarmEvent, behaviour::toggle::Toggle, dial_opts::DialOpts},
    tcp, yamux,
};
use libp2p_stream::Control;
use tokio::sync::{mpsc, oneshot};

use crate::node::{ECHO, Fault, Node, SINK, Stream, serve};

impl Stream for Libp2pStream {
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
        self.close().await
    }
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    inbound: inbound::Behaviour,
    outbound: libp2p_stream::Behaviour,
    identify: Toggle<identify::Behaviour>,
    ping: Toggle<ping::Behaviour>,
}

enum Command {
    Connect(PeerId, Multiaddr, oneshot::Sender<Result<(), Fault>>),
    Disconnect(PeerId, oneshot::Sender<Result<(), Fault>>),
}

/// A handle on a swarm, with identify and ping or without.
#[derive(Clone)]
pub struct RustLibp2p<const SERVICES: bool> {
    commands: mpsc::UnboundedSender<Command>,
    control: Control,
}

fn swarm(services: bool) -> Result<Swarm<Behaviour>, Fault> {
    let builder = SwarmBuilder::with_new_identity().with_tokio();
    let builder = builder.with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)?;
    let builder = builder.with_behaviour(|keypair| {
        let identify = identify::Config::new("ipfs/0.1.0".to_owned(), keypair.public());
        Behaviour {
            inbound: inbound::Behaviour,
            outbound: libp2p_stream::Behaviour::new(),
            identify: services.then(|| identify::Behaviour::new(identify)).into(),
            ping: services.then(ping::Behaviour::default).into(),
        }
    })?;
    Ok(builder.with_swarm_config(|c| c.with_idle_connection_timeout(Duration::from_secs(600))).build())
}

async fn drive(mut swarm: Swarm<Behaviour>, mut commands: mpsc::UnboundedReceiver<Command>) {
    let (mut dials, mut closes) = (HashMap::new(), HashMap::new());
    loop {
        let event = tokio::select! {
            event = swarm.select_next_some() => event,
            command = commands.recv() => {
                match command {
                    None => return,
                    Some(Command::Connect(peer, address, reply)) => {
                        let dial = DialOpts::peer_id(peer).addresses(vec![address]).build();
                        match swarm.dial(dial) {
                            Ok(()) => drop(dials.insert(peer, reply)),
                            Err(error) => drop(reply.send(Err(error.into()))),
                        }
                    }
                    Some(Command::Disconnect(peer, reply)) => {
                        closes.insert(peer, reply);
                        let _ = swarm.disconnect_peer_id(peer);
                    }
                }
                continue;
            }
        };
        let (waiting, result) = match event {
            SwarmEvent::ConnectionEstablished { peer_id, .. } => (dials.remove(&peer_id), Ok(())),
            SwarmEvent::ConnectionClosed { peer_id, .. } => (closes.remove(&peer_id), Ok(())),
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer_id), error, .. } => {
                (dials.remove(&peer_id), Err(error.into()))
            }
            _ => continue,
        };
        if let Some(reply) = waiting {
            let _ = reply.send(result);
        }
    }
}

impl<const SERVICES: bool> RustLibp2p<SERVICES> {
    fn start(swarm: Swarm<Behaviour>) -> Self {
        let (commands, receiver) = mpsc::unbounded_channel();
        let control = swarm.behaviour().outbound.new_control();
        tokio::spawn(drive(swarm, receiver));
        Self { commands, control }
    }

    async fn ask(&self, command: impl FnOnce(oneshot::Sender<Result<(), Fault>>) -> Command) -> Result<(), Fault> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).map_err(|_| "the swarm is gone")?;
        answer.await?
    }
}

impl<const SERVICES: bool> Node for RustLibp2p<SERVICES> {
    type Target = (PeerId, Multiaddr);
    type Stream = Libp2pStream;

    async fn dialer() -> Result<Self, Fault> {
        Ok(Self::start(swarm(SERVICES)?))
    }

    async fn listener() -> Result<(Self, Self::Target), Fault> {
        let mut swarm = swarm(SERVICES)?;
        swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse()?)?;
        let address = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                break address;
            }
        };
        let target = (*swarm.local_peer_id(), address);
        Ok((Self::start(swarm), target))
    }

    async fn connect(&self, (peer, address): &Self::Target) -> Result<(), Fault> {
        self.ask(|reply| Command::Connect(*peer, address.clone(), reply)).await
    }

    async fn open(&self, target: &Self::Target, protocol: &'static str) -> Result<Libp2pStream, Fault> {
        let mut control = self.control.clone();
        let stream = control.open_stream(target.0, StreamProtocol::new(protocol)).await;
        stream.map_err(|error| error.to_string().into())
    }

    async fn disconnect(&self, (peer, _): &Self::Target) -> Result<(), Fault> {
        self.ask(|reply| Command::Disconnect(*peer, reply)).await
    }
}

/// Serves streams that come, each by a task of its own.
mod inbound {
    use std::{
        future::{Ready, ready},
        task::{Context, Poll},
    };

    use libp2p::{
        core::{Endpoint, InboundUpgrade, UpgradeInfo, transport::PortUse, upgrade::DeniedUpgrade},
        swarm::{
            ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, SubstreamProtocol,
            THandler, THandlerInEvent, THandlerOutEvent, ToSwarm, handler::ConnectionEvent,
        },
    };

    use super::*;

    #[derive(Clone)]
    pub(super) struct Protocols;

    impl UpgradeInfo for Protocols {
        type Info = StreamProtocol;
        type InfoIter = [StreamProtocol; 2];

        fn protocol_info(&self) -> Self::InfoIter {
            [StreamProtocol::new(ECHO), StreamProtocol::new(SINK)]
        }
    }

    impl InboundUpgrade<Libp2pStream> for Protocols {
        type Output = (Libp2pStream, StreamProtocol);
        type Error = Infallible;
        type Future = Ready<Result<Self::Output, Infallible>>;

        fn upgrade_inbound(self, stream: Libp2pStream, protocol: StreamProtocol) -> Self::Future {
            ready(Ok((stream, protocol)))
        }
    }

    pub(super) struct Handler;

    impl ConnectionHandler for Handler {
        type FromBehaviour = Infallible;
        type ToBehaviour = Infallible;
        type InboundProtocol = Protocols;
        type OutboundProtocol = DeniedUpgrade;
        type InboundOpenInfo = ();
        type OutboundOpenInfo = ();

        fn listen_protocol(&self) -> SubstreamProtocol<Protocols> {
            SubstreamProtocol::new(Protocols, ())
        }

        fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<DeniedUpgrade, (), Infallible>> {
            Poll::Pending
        }

        fn on_behaviour_event(&mut self, event: Infallible) {
            match event {}
        }

        fn on_connection_event(&mut self, event: ConnectionEvent<'_, Protocols, DeniedUpgrade>) {
            if let ConnectionEvent::FullyNegotiatedInbound(negotiated) = event {
                let (stream, protocol) = negotiated.protocol;
                tokio::spawn(async move { serve(stream, protocol.as_ref()).await });
            }
        }

        fn connection_keep_alive(&self) -> bool {
            true
        }
    }

    pub(super) struct Behaviour;

    impl NetworkBehaviour for Behaviour {
        type ConnectionHandler = Handler;
        type ToSwarm = Infallible;

        fn handle_established_inbound_connection(
            &mut self,
            _: ConnectionId,
            _: PeerId,
            _: &Multiaddr,
            _: &Multiaddr,
        ) -> Result<THandler<Self>, ConnectionDenied> {
            Ok(Handler)
        }

        fn handle_established_outbound_connection(
            &mut self,
            _: ConnectionId,
            _: PeerId,
            _: &Multiaddr,
            _: Endpoint,
            _: PortUse,
        ) -> Result<THandler<Self>, ConnectionDenied> {
            Ok(Handler)
        }

        fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

        fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
            match event {}
        }

        fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
            Poll::Pending
        }
    }
}

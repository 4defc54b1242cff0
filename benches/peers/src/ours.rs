//! `sanswarm-tokio`.

use std::io;

use sanswarm_tokio::{Keypair, Node as Tokio, PeerInfo, ProtocolName, Stream as TokioStream, config};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::node::{ECHO, Fault, Node, SINK, Stream, serve};

impl Stream for TokioStream {
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

/// A handle on a node.
#[derive(Clone)]
pub struct Ours(Tokio);

fn node() -> Result<Tokio, Fault> {
    let mut config = config(Keypair::generate_ed25519());
    // More than the cases do.
    config.swarm.established = 10_000;
    config.swarm.accepts_per_second = 1_000_000;
    Ok(Tokio::new(config)?)
}

impl Node for Ours {
    type Target = PeerInfo;
    type Stream = TokioStream;

    async fn dialer() -> Result<Self, Fault> {
        Ok(Self(node()?))
    }

    async fn listener() -> Result<(Self, PeerInfo), Fault> {
        let node = node()?;
        for protocol in [ECHO, SINK] {
            let name = ProtocolName::from_static(protocol);
            node.set_stream_handler(name, move |stream| serve(stream, protocol));
        }
        let address = node.listen("/ip4/127.0.0.1/tcp/0".parse()?).await?;
        let target = PeerInfo { id: node.id(), addrs: vec![address] };
        Ok((Self(node), target))
    }

    async fn connect(&self, target: &PeerInfo) -> Result<(), Fault> {
        self.0.connect(target.clone()).await?;
        Ok(())
    }

    async fn open(&self, target: &PeerInfo, protocol: &'static str) -> Result<TokioStream, Fault> {
        Ok(self.0.open_stream(ProtocolName::from_static(protocol), target.id).await?)
    }

    async fn disconnect(&self, target: &PeerInfo) -> Result<(), Fault> {
        match self.0.disconnect(target.id).await {
            1 => Ok(()),
            n => Err(format!("{n} connections were closed").into()),
        }
    }
}

//! Measures the adapter over TCP on 127.0.0.1, both ends on one thread: bytes one way, and a byte there and back.
//! `cargo run --release -p sanswarm-smol --example figures`, pinned to one processor for figures that compare.

#![allow(clippy::disallowed_methods, reason = "it measures")]

use core::time::Duration;
use std::time::Instant;

use async_executor::Executor;
use async_io::block_on;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use sanswarm_smol::sanswarm::{PeerInfo, ProtocolName};
use sanswarm_smol::{Node, Stream};

const ECHO: ProtocolName = ProtocolName::from_static("/echo/1.0.0");
/// Takes every byte, and tells how many there were behind the end.
const SINK: ProtocolName = ProtocolName::from_static("/sink/1.0.0");
const BYTES: u64 = 1 << 29;
const PINGS: usize = 20_000;
static EXECUTOR: Executor<'_> = Executor::new();

type Fault = Box<dyn core::error::Error>;

fn node() -> Node {
    let config = sanswarm_smol::config().expect("randomness");
    Node::new(config, |task| EXECUTOR.spawn(task).detach()).expect("Ed25519 signs")
}

async fn bulk(mut stream: Stream) -> Result<f64, Fault> {
    let (block, start) = (vec![7; 64 * 1024], Instant::now());
    for _ in 0..BYTES / block.len() as u64 {
        stream.write_all(&block).await?;
    }
    stream.close().await?;
    let mut sum = [0; 8];
    stream.read_exact(&mut sum).await?;
    assert_eq!(u64::from_be_bytes(sum), BYTES);
    Ok(BYTES as f64 / start.elapsed().as_secs_f64() / f64::from(1 << 30))
}

async fn pings(mut stream: Stream) -> Result<Duration, Fault> {
    let mut times = Vec::with_capacity(PINGS);
    for _ in 0..PINGS {
        let start = Instant::now();
        stream.write_all(b"!").await?;
        stream.read_exact(&mut [0]).await?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times[PINGS / 2])
}

async fn echo(mut stream: Stream) -> std::io::Result<()> {
    let mut block = [0; 64];
    loop {
        match stream.read(&mut block).await? {
            0 => return stream.close().await,
            n => stream.write_all(&block[..n]).await?,
        }
    }
}

async fn sink(mut stream: Stream) -> std::io::Result<()> {
    let (mut block, mut sum) = (vec![0; 64 * 1024], 0);
    loop {
        match stream.read(&mut block).await? {
            0 => break,
            n => sum += n as u64,
        }
    }
    stream.write_all(&u64::to_be_bytes(sum)).await?;
    stream.close().await
}

async fn measure() -> Result<(), Fault> {
    let (alice, bob) = (node(), node());
    let address = bob.listen("/ip4/127.0.0.1/tcp/0".parse()?)?;
    let info = PeerInfo { id: bob.id(), addrs: vec![address] };
    let (echoes, sinks) = (bob.set_stream_handler(ECHO), bob.set_stream_handler(SINK));
    EXECUTOR.spawn(async move { echo(echoes.recv().await.expect("a stream")).await }).detach();
    EXECUTOR.spawn(async move { sink(sinks.recv().await.expect("a stream")).await }).detach();
    println!("a byte there and back: p50 {:?}", pings(alice.open_stream(ECHO, info.clone()).await?).await?);
    println!("one way: {:.3} GiB/s", bulk(alice.open_stream(SINK, info).await?).await?);
    Ok(())
}

fn main() -> Result<(), Fault> {
    block_on(EXECUTOR.run(measure()))
}

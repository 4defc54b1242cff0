//! Two nodes over TCP and an echo between them, on one thread.

use async_executor::Executor;
use futures_lite::{AsyncReadExt, AsyncWriteExt, future::block_on};
use sanswarm_smol::Node;
use sanswarm_smol::sanswarm::{PeerInfo, ProtocolName};

const ECHO: ProtocolName = ProtocolName::from_static("/echo/1.0.0");
static EXECUTOR: Executor<'_> = Executor::new();

fn node() -> Node {
    // With smol itself: `smol::spawn(task).detach()`.
    let config = sanswarm_smol::config().expect("randomness");
    Node::new(config, |task| EXECUTOR.spawn(task).detach()).expect("Ed25519 signs")
}

async fn echo() -> Result<(), Box<dyn core::error::Error>> {
    let (alice, bob) = (node(), node());
    let address = bob.listen("/ip4/127.0.0.1/tcp/0".parse()?)?;
    let incoming = bob.set_stream_handler(ECHO);
    let served = EXECUTOR.spawn(async move {
        let (mut reader, mut writer) = futures_lite::io::split(incoming.recv().await.ok()?);
        futures_lite::io::copy(&mut reader, &mut writer).await.ok()?;
        writer.close().await.ok()
    });

    let mut stream = alice.open_stream(ECHO, PeerInfo { id: bob.id(), addrs: vec![address] }).await?;
    stream.write_all(b"hello").await?;
    stream.close().await?; // our side ends; reading goes on
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    assert_eq!((answer.as_str(), served.await), ("hello", Some(())));
    println!("bob echoed {answer}");
    Ok(())
}

fn main() -> Result<(), Box<dyn core::error::Error>> {
    block_on(EXECUTOR.run(echo()))
}

//! Two nodes over TCP and an echo between them.

use sanswarm_tokio::{Node, PeerInfo, ProtocolName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const ECHO: ProtocolName = ProtocolName::from_static("/echo/1.0.0");

#[tokio::main]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    let (alice, bob) = (Node::with_new_identity(), Node::with_new_identity());

    let address = bob.listen("/ip4/127.0.0.1/tcp/0".parse()?).await?;
    bob.set_stream_handler(ECHO, async |stream| {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
        let _ = writer.shutdown().await;
    });

    let mut stream = alice.open_stream(ECHO, PeerInfo { id: bob.id(), addrs: vec![address] }).await?;
    stream.write_all(b"hello").await?;
    stream.shutdown().await?; // our side ends; reading goes on
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    assert_eq!(answer, "hello");
    println!("bob echoed {answer}");
    Ok(())
}

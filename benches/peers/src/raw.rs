//! TCP alone: a connection is a stream, and the first byte says which protocol. The floor, without security and muxer.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::node::{ECHO, Fault, Node, SINK, Stream, serve};

/// A socket.
pub struct Socket(TcpStream);

impl Stream for Socket {
    async fn read(&mut self, block: &mut [u8]) -> io::Result<usize> {
        self.0.read(block).await
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await
    }

    async fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    async fn finish(&mut self) -> io::Result<()> {
        self.0.shutdown().await
    }
}

/// Nothing but a name.
#[derive(Clone)]
pub struct Raw;

impl Node for Raw {
    type Target = SocketAddr;
    type Stream = Socket;

    async fn dialer() -> Result<Self, Fault> {
        Ok(Self)
    }

    async fn listener() -> Result<(Self, SocketAddr), Fault> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                tokio::spawn(async move {
                    socket.set_nodelay(true)?;
                    let protocol = if socket.read_u8().await? == 0 { ECHO } else { SINK };
                    serve(Socket(socket), protocol).await;
                    Ok::<_, io::Error>(())
                });
            }
        });
        Ok((Self, address))
    }

    async fn connect(&self, _target: &SocketAddr) -> Result<(), Fault> {
        Ok(())
    }

    async fn open(&self, target: &SocketAddr, protocol: &'static str) -> Result<Socket, Fault> {
        let mut socket = TcpStream::connect(target).await?;
        socket.set_nodelay(true)?;
        socket.write_u8(u8::from(protocol != ECHO)).await?;
        Ok(Socket(socket))
    }

    async fn disconnect(&self, _target: &SocketAddr) -> Result<(), Fault> {
        Ok(())
    }
}

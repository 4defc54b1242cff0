//! What a stack has to do, and what its nodes serve.

use std::{error::Error, future::Future, io};

/// Whatever went wrong. The process ends with it.
pub type Fault = Box<dyn Error + Send + Sync>;

/// Returns every byte.
pub const ECHO: &str = "/echo/1.0.0";
/// Takes every byte, and behind the end returns their number, in 8 bytes.
pub const SINK: &str = "/sink/1.0.0";

/// What is written and read in one go.
pub const BLOCK: usize = 64 * 1024;

/// One stream.
pub trait Stream: Send + Sized + 'static {
    /// Reads some bytes; 0 is the end.
    fn read(&mut self, block: &mut [u8]) -> impl Future<Output = io::Result<usize>> + Send;
    /// Writes all bytes. They may wait in a buffer.
    fn write(&mut self, bytes: &[u8]) -> impl Future<Output = io::Result<()>> + Send;
    /// Sees to it that what was written goes out.
    fn flush(&mut self) -> impl Future<Output = io::Result<()>> + Send;
    /// Ends our side.
    fn finish(&mut self) -> impl Future<Output = io::Result<()>> + Send;
}

/// A node and its runtime's tasks.
pub trait Node: Clone + Send + Sync + Sized + 'static {
    /// Whom to dial.
    type Target: Clone + Send + Sync + 'static;
    /// Its streams.
    type Stream: Stream;

    /// A node that dials.
    fn dialer() -> impl Future<Output = Result<Self, Fault>>;
    /// A node that listens on 127.0.0.1 and serves both protocols.
    fn listener() -> impl Future<Output = Result<(Self, Self::Target), Fault>>;
    /// Connects, until streams can be opened.
    fn connect(&self, target: &Self::Target) -> impl Future<Output = Result<(), Fault>> + Send;
    /// Opens a stream, once connected.
    fn open(
        &self,
        target: &Self::Target,
        protocol: &'static str,
    ) -> impl Future<Output = Result<Self::Stream, Fault>> + Send;
    /// Closes the connection, until this end knows that it is closed.
    fn disconnect(&self, target: &Self::Target) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// Serves a stream to its end. A stream that breaks is dropped.
pub async fn serve(mut stream: impl Stream, protocol: &str) {
    let _ = if protocol == ECHO { echo(&mut stream).await } else { sink(&mut stream).await };
}

async fn echo(stream: &mut impl Stream) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    loop {
        match stream.read(&mut block).await? {
            0 => return stream.finish().await,
            n => {
                stream.write(&block[..n]).await?;
                stream.flush().await?;
            }
        }
    }
}

async fn sink(stream: &mut impl Stream) -> io::Result<()> {
    let (mut block, mut sum) = (vec![0; BLOCK], 0u64);
    loop {
        match stream.read(&mut block).await? {
            0 => break,
            n => sum += n as u64,
        }
    }
    stream.write(&sum.to_be_bytes()).await?;
    stream.flush().await?;
    stream.finish().await
}

/// Reads so many bytes.
pub async fn read_exact(stream: &mut impl Stream, bytes: &mut [u8]) -> io::Result<()> {
    let mut at = 0;
    while at < bytes.len() {
        match stream.read(&mut bytes[at..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => at += n,
        }
    }
    Ok(())
}

//! sanswarm and rust-libp2p in one process: one peer of each kind with the same few verbs, so that a test is written once
//! and runs in both directions.

mod inbound;
mod ours;
mod theirs;

use std::{io, time::Duration};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub use ours::Ours;
pub use sanswarm_tokio::core::Muxer;
pub use theirs::{Said, Theirs, TheirsEvent};

/// What the tests speak on most streams.
pub const ECHO: &str = "/echo/1.0.0";

/// What rust-libp2p says of itself.
pub const THEIR_AGENT: &str = "interop-rust/0.57.1";

/// No step of a test takes longer than this; one that does has failed.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A stream of either stack.
pub trait Pipe: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Pipe for T {}

/// A stream of either stack, in a box.
pub type AnyPipe = Box<dyn Pipe>;

/// Waits for `step`, but not forever.
///
/// # Panics
/// After [`PATIENCE`].
pub async fn soon<T>(what: &str, step: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, step).await {
        Ok(value) => value,
        Err(_) => panic!("not within {PATIENCE:?}: {what}"),
    }
}

/// `len` bytes that tell their place and their stream.
pub fn payload(len: usize, stream: usize) -> Vec<u8> {
    (0..len).map(|i| (i.wrapping_mul(31) ^ (i >> 8) ^ stream.wrapping_mul(167)) as u8).collect()
}

/// Sends back all that comes, then ends. Returns how many bytes that were.
///
/// # Errors
/// Those of the stream.
pub async fn echo(mut stream: AnyPipe) -> io::Result<usize> {
    let (mut total, mut buffer) = (0, vec![0; 16 * 1024]);
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            stream.shutdown().await?;
            return Ok(total);
        }
        stream.write_all(&buffer[..n]).await?;
        stream.flush().await?;
        total += n;
    }
}

/// Writes `data`, ends, and reads to the end, both at once. Returns what was read.
///
/// Both in one task: while a lazy rust-libp2p stream awaits its agreement, a reader in another task takes the writer's
/// place as the one to be woken, and the writer sleeps for ever, between two rust-libp2p peers too.
///
/// # Errors
/// Those of the stream.
pub async fn exchange(stream: AnyPipe, data: &[u8]) -> io::Result<Vec<u8>> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut answer = Vec::new();
    let write = async {
        for piece in data.chunks(13_000) {
            writer.write_all(piece).await?;
        }
        writer.shutdown().await
    };
    tokio::try_join!(write, reader.read_to_end(&mut answer))?;
    Ok(answer)
}

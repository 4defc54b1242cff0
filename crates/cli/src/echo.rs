//! `/echo/1.0.0`: the verb, its two halves of a stream, and the handler that answers.

use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use std::sync::Arc;

use sanswarm::{PeerId, ProtocolName};
use sanswarm_tokio::{Node, Stream};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    task::JoinSet,
    time::Instant,
};

use crate::{
    args::{HalfClose, Options},
    failure::Failure,
    json::Object,
    output::{self, mib_per_second, size},
    pattern::{Pattern, combine},
    session::{self, Connected, ECHO, Patience},
};

/// What is written and read in one go.
const BLOCK: usize = 64 * 1024;

/// How often progress is shown.
const TICK: Duration = Duration::from_millis(100);

/// `sanswarm echo`.
pub(crate) async fn run(options: &Options) -> Result<(), Failure> {
    let target = session::target(options)?;
    let patience = Patience::new(options, 30);
    let node = session::node(options, Some(patience))?;
    let connected = session::connect(&node, target, patience).await?;
    connected.tell(options.json)?;
    let plan = Plan {
        bytes: vec![options.bytes.unwrap_or(1 << 20); options.streams.unwrap_or(1)],
        half_close: options.half_close,
    };
    let streams = patience.wait("stream", open(&node, connected.peer, ECHO, plan.bytes.len())).await?;
    let report = patience.wait("echo", echo(streams, &plan)).await?;
    session::leave(&node).await;
    report.tell(options.json, &connected)
}

/// How much is to be echoed.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// On each stream.
    pub(crate) bytes: Vec<u64>,
    pub(crate) half_close: HalfClose,
}

impl Plan {
    pub(crate) fn total(&self) -> u64 {
        self.bytes.iter().fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) total: u64,
    pub(crate) streams: usize,
    pub(crate) digest: [u8; 32],
    pub(crate) elapsed: Duration,
}

impl Report {
    pub(crate) fn tell(&self, json: bool, connected: &Connected) -> Result<(), Failure> {
        let (digest, rate) = (output::hex(&self.digest), mib_per_second(self.total, self.elapsed));
        let (total, streams, seconds) = (self.total, self.streams, self.elapsed.as_secs_f64());
        if json {
            let object = Object::new().flag("ok", true).text("peer", connected.peer);
            let object = object.text("security", connected.security()).text("muxer", connected.muxer);
            let object = object.number("total_bytes", total).number("streams", streams as u64);
            let object = object.text("sha256", digest).decimal("seconds", seconds);
            return output::line(object.decimal("mib_per_second", rate).end());
        }
        let plural = if streams == 1 { "" } else { "s" };
        output::line(format_args!("sha256 {digest}: what came back is what was sent"))?;
        output::line(format_args!(
            "{} each way over {streams} stream{plural} in {seconds:.3} s: {rate:.1} MiB/s each way",
            size(total)
        ))
    }
}

/// Opens streams: one, and when it is agreed on all the others at once. js-libp2p closes a connection on which more than
/// ten streams come before it has got round to the first.
pub(crate) async fn open(
    node: &Node,
    peer: PeerId,
    protocol: ProtocolName,
    streams: usize,
) -> Result<Vec<Stream>, Failure> {
    let first = node.open_stream(protocol.clone(), peer).await?;
    let mut tasks = JoinSet::new();
    for _ in 1..streams {
        let (node, protocol) = (node.clone(), protocol.clone());
        tasks.spawn(async move { node.open_stream(protocol, peer).await });
    }
    let mut open = vec![first];
    while let Some(done) = tasks.join_next().await {
        open.push(done.map_err(|_| Failure::Gone)??);
    }
    Ok(open)
}

/// Echoes over streams, all at once, and verifies what comes back.
pub(crate) async fn echo(streams: Vec<Stream>, plan: &Plan) -> Result<Report, Failure> {
    let start = Instant::now();
    let back = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for (i, (stream, bytes)) in streams.into_iter().zip(plan.bytes.iter().copied()).enumerate() {
        let (half_close, back) = (plan.half_close, back.clone());
        tasks.spawn(async move { Ok::<_, Failure>((i, one(i, stream, bytes, half_close, &back).await?)) });
    }
    let mut digests = vec![[0; 32]; tasks.len()];
    let mut tick = tokio::time::interval(TICK);
    let watched = output::is_watched();
    let result = loop {
        let done = tokio::select! {
            done = tasks.join_next() => done,
            _ = tick.tick(), if watched => {
                let done = size(back.load(Ordering::Relaxed));
                output::progress(format_args!("echo: {done} of {}", size(plan.total())));
                continue;
            }
        };
        match done {
            None => break Ok(()),
            Some(Err(_)) => break Err(Failure::Gone),
            Some(Ok(Err(failure))) => break Err(failure),
            Some(Ok(Ok((i, digest)))) => digests[i] = digest,
        }
    };
    if watched {
        output::progress("");
    }
    result?;
    Ok(Report { total: plan.total(), streams: digests.len(), digest: combine(&digests), elapsed: start.elapsed() })
}

/// Echoes over one stream. Both directions go on at once: neither end has to hold more than a window.
async fn one(
    i: usize,
    stream: Stream,
    bytes: u64,
    half_close: HalfClose,
    back: &AtomicU64,
) -> Result<[u8; 32], Failure> {
    let broken = |cause| Failure::Stream { stream: i, cause };
    let (reader, mut writer) = tokio::io::split(stream);
    let send = async {
        let digest = write(&mut writer, Pattern::new(i, bytes)).await?;
        if half_close == HalfClose::Early {
            writer.shutdown().await?;
        }
        Ok(digest)
    };
    let receive = read(reader, bytes, half_close, back);
    let (sent, (got, received)) = tokio::try_join!(send, receive).map_err(broken)?;
    if got != bytes {
        return Err(Failure::Length { stream: i, got, expected: bytes });
    }
    if received != sent {
        return Err(Failure::Digest { stream: i });
    }
    if half_close == HalfClose::Late {
        writer.shutdown().await.map_err(broken)?;
    }
    Ok(sent)
}

async fn write(writer: &mut (impl AsyncWrite + Unpin), mut pattern: Pattern) -> std::io::Result<[u8; 32]> {
    let mut block = vec![0; BLOCK];
    loop {
        match pattern.fill(&mut block) {
            0 => return Ok(pattern.digest()),
            n => writer.write_all(&block[..n]).await?,
        }
    }
}

/// Reads to the end, or, late, until there is as much as was sent; in either case no more than one block too much.
async fn read(
    mut reader: impl AsyncRead + Unpin,
    bytes: u64,
    half_close: HalfClose,
    back: &AtomicU64,
) -> std::io::Result<(u64, [u8; 32])> {
    let mut block = vec![0; BLOCK];
    let (mut got, mut digest) = (0, Sha256::new());
    while got <= bytes && !(half_close == HalfClose::Late && got == bytes) {
        match reader.read(&mut block).await? {
            0 => break,
            n => {
                digest.update(&block[..n]);
                got += n as u64;
                back.fetch_add(n as u64, Ordering::Relaxed);
            }
        }
    }
    Ok((got, digest.finalize().into()))
}

/// Sends back what comes, until its end. A peer that never ends its side, or resets it, ends the handler with its stream.
pub(crate) async fn serve(mut stream: Stream) {
    while let Ok(Some(bytes)) = stream.read_bytes().await {
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
    let _ = stream.shutdown().await;
}

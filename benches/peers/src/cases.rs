//! What is measured, over any stack with streams to read and write.

use std::{
    io,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::{
    measure::{Meter, resident, tell, tell_times},
    node::{BLOCK, ECHO, Fault, Node, SINK, Stream, read_exact},
};

/// What is measured; `n` says how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// `n` bytes one way over a number of streams of one connection.
    Bulk {
        /// How many.
        streams: u64,
    },
    /// `n` bytes one way over one stream of each of a number of connections, of as many pairs of nodes.
    Many {
        /// How many.
        connections: u64,
    },
    /// `n` times one byte there and back, one after the other, on one stream.
    Pings,
    /// `n` times a connection, a stream on it, a byte there and back, and the end of both.
    Connections,
    /// `n` times a stream, a byte there and back, and its end at both sides.
    Streams,
    /// `n` connections of one listener, each with a dialer of its own, that do nothing.
    Idle,
}

impl Case {
    /// The case of this name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "bulk-1" => Self::Bulk { streams: 1 },
            "bulk-100" => Self::Bulk { streams: 100 },
            "many-1" => Self::Many { connections: 1 },
            "many-2" => Self::Many { connections: 2 },
            "many-8" => Self::Many { connections: 8 },
            "pings" => Self::Pings,
            "connections" => Self::Connections,
            "streams" => Self::Streams,
            "idle" => Self::Idle,
            _ => return None,
        })
    }
}

/// What a measurement does once before, so that windows have grown and code is in the caches: a share of `n`.
pub const WARM_UP: u64 = 8;

/// How long connections are idle before their memory is looked at: what runs once on a connection is done then.
pub const REST: Duration = Duration::from_millis(1500);

/// Dials at once where many connections are made.
const DIALS: usize = 16;

/// Measures a case.
pub async fn run<N: Node>(case: Case, n: u64, meter: Meter) -> Result<(), Fault> {
    match case {
        Case::Bulk { streams } => bulk::<N>(1, streams, n, meter).await,
        Case::Many { connections } => bulk::<N>(connections, 1, n, meter).await,
        Case::Pings => pings::<N>(n, meter).await,
        Case::Connections => connections::<N>(n, meter).await,
        Case::Streams => streams::<N>(n, meter).await,
        Case::Idle => idle::<N>(n as usize, meter).await,
    }
}

/// Two nodes, connected.
struct Pair<N: Node> {
    dialer: N,
    _listener: N,
    target: N::Target,
}

async fn pair<N: Node>() -> Result<Pair<N>, Fault> {
    let ((listener, target), dialer) = (N::listener().await?, N::dialer().await?);
    dialer.connect(&target).await?;
    Ok(Pair { dialer, _listener: listener, target })
}

async fn bulk<N: Node>(connections: u64, streams: u64, bytes: u64, meter: Meter) -> Result<(), Fault> {
    let mut pairs = Vec::new();
    for _ in 0..connections {
        pairs.push(pair::<N>().await?);
    }
    let each = bytes / connections / streams;
    let open = async || {
        let mut open = Vec::new();
        for pair in &pairs {
            for _ in 0..streams {
                open.push(pair.dialer.open(&pair.target, SINK).await?);
            }
        }
        Ok::<_, Fault>(open)
    };
    transfer(open().await?, each / WARM_UP).await?;
    let streams_of_all = open().await?;
    let running = meter.start();
    transfer(streams_of_all, each).await?;
    running.stop();
    tell("bytes", (each * connections * streams) as f64);
    Ok(())
}

/// Writes so many bytes on each stream, all at once, until the other end says that it has them.
async fn transfer<S: Stream>(streams: Vec<S>, bytes: u64) -> Result<(), Fault> {
    let mut tasks = JoinSet::new();
    for mut stream in streams {
        tasks.spawn(async move {
            let block = vec![7; BLOCK];
            let mut left = bytes;
            while left > 0 {
                let n = left.min(BLOCK as u64);
                stream.write(&block[..n as usize]).await?;
                left -= n;
            }
            stream.flush().await?;
            stream.finish().await?;
            let mut sum = [0; 8];
            read_exact(&mut stream, &mut sum).await?;
            match u64::from_be_bytes(sum) {
                sum if sum == bytes => Ok::<_, Fault>(()),
                sum => Err(format!("{sum} bytes came of {bytes}").into()),
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// One byte there and back.
async fn ping(stream: &mut impl Stream) -> io::Result<()> {
    stream.write(b"!").await?;
    stream.flush().await?;
    read_exact(stream, &mut [0]).await
}

// What is measured runs in a task of its own, as users have it: a runtime of one thread looks at the future that it blocks on
// only when nothing else is to be done, and asks the system for news each time.

async fn pings<N: Node>(n: u64, meter: Meter) -> Result<(), Fault> {
    let pair = pair::<N>().await?;
    let mut stream = pair.dialer.open(&pair.target, ECHO).await?;
    let task = async move {
        for _ in 0..n / WARM_UP {
            ping(&mut stream).await?;
        }
        let mut times = Vec::with_capacity(n as usize);
        let running = meter.start();
        for _ in 0..n {
            let start = Instant::now();
            ping(&mut stream).await?;
            times.push(start.elapsed());
        }
        running.stop();
        tell_times(times);
        Ok(())
    };
    tokio::spawn(task).await?
}

async fn connections<N: Node>(n: u64, meter: Meter) -> Result<(), Fault> {
    let ((_listener, target), dialer) = (N::listener().await?, N::dialer().await?);
    let task = async move {
        for _ in 0..n / WARM_UP {
            connection(&dialer, &target).await?;
        }
        let running = meter.start();
        for _ in 0..n {
            connection(&dialer, &target).await?;
        }
        running.stop();
        Ok(())
    };
    tokio::spawn(task).await?
}

/// A connection, a stream on it, a byte there and back, and the end of both.
async fn connection<N: Node>(dialer: &N, target: &N::Target) -> Result<(), Fault> {
    dialer.connect(target).await?;
    let mut stream = dialer.open(target, ECHO).await?;
    ping(&mut stream).await?;
    stream.finish().await?;
    drop(stream);
    dialer.disconnect(target).await
}

async fn streams<N: Node>(n: u64, meter: Meter) -> Result<(), Fault> {
    let Pair { dialer, target, _listener } = pair::<N>().await?;
    let task = async move {
        for _ in 0..n / WARM_UP {
            stream(&dialer, &target).await?;
        }
        let running = meter.start();
        for _ in 0..n {
            stream(&dialer, &target).await?;
        }
        running.stop();
        Ok(())
    };
    tokio::spawn(task).await?
}

/// A stream, a byte there and back, and its end at both sides.
async fn stream<N: Node>(dialer: &N, target: &N::Target) -> Result<(), Fault> {
    let mut stream = dialer.open(target, ECHO).await?;
    ping(&mut stream).await?;
    stream.finish().await?;
    match stream.read(&mut [0]).await? {
        0 => Ok(()),
        _ => Err("more than an echo".into()),
    }
}

/// The nodes are there before: only what the connections cost is counted.
async fn idle<N: Node>(n: usize, meter: Meter) -> Result<(), Fault> {
    let (_listener, target) = N::listener().await?;
    let mut dialers = Vec::new();
    for _ in 0..n {
        dialers.push(N::dialer().await?);
    }
    tokio::time::sleep(REST).await;
    let (before, held) = (resident()?, meter.held());
    let mut tasks = JoinSet::new();
    for dialer in &dialers {
        if tasks.len() == DIALS {
            tasks.join_next().await.ok_or("a task is gone")???;
        }
        let (dialer, target) = (dialer.clone(), target.clone());
        tasks.spawn(async move { dialer.connect(&target).await });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    tokio::time::sleep(REST).await;
    let running = meter.start();
    tokio::time::sleep(REST).await;
    running.stop(); // what they cost while they are idle
    tell("rss_bytes", resident()?.saturating_sub(before) as f64 / n as f64);
    if let (Some(before), Some(now)) = (held, meter.held()) {
        tell("heap_bytes", (now as f64 - before as f64) / n as f64);
    }
    // They are there still.
    for dialer in [&dialers[0], &dialers[n - 1]] {
        ping(&mut dialer.open(&target, ECHO).await?).await?;
    }
    Ok(())
}

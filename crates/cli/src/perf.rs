//! `/perf/1.0.0`: the verb, which measures an upload and then a download, and the handler that serves.

use core::{
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};
use std::{io, sync::Arc};

use sanswarm_perf::{Client, Limits, Server};
use sanswarm_tokio::Stream;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    task::JoinSet,
    time::Instant,
};

use crate::{
    args::Options,
    echo,
    failure::{ExchangeError, Failure},
    json::Object,
    output::{self, mib_per_second, size},
    session::{self, Connected, PERF, Patience},
};

/// On each stream, where nothing is said.
const BYTES: u64 = 64 << 20;

/// How long a run may take that is not measured by the clock, in seconds, and how much longer one may that is.
const PATIENCE: u64 = 60;

/// How often progress is shown.
const TICK: Duration = Duration::from_millis(100);

/// `sanswarm perf`.
pub(crate) async fn run(options: &Options) -> Result<(), Failure> {
    let target = session::target(options)?;
    let works = works(options);
    let clock = options.seconds.unwrap_or_default().as_secs() + u64::from(options.seconds.is_some());
    let patience = Patience::new(options, PATIENCE + clock.saturating_mul(works.len() as u64));
    let node = session::node(options, Some(patience))?;
    let connected = session::connect(&node, target, patience).await?;
    connected.tell(options.json)?;
    let mut reports = Vec::new();
    for work in works {
        let streams = options.streams.unwrap_or(1);
        let streams = patience.wait("stream", echo::open(&node, connected.peer, PERF, streams)).await?;
        let report = patience.wait("perf", measure(streams, work)).await?;
        report.tell(options.json)?;
        reports.push(report);
    }
    session::leave(&node).await;
    if options.json { summary(&connected, &reports) } else { Ok(()) }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Upload,
    Download,
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Download => "download",
        }
    }
}

/// One direction, to be measured alone: what goes the other way is eight bytes and an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Work {
    direction: Direction,
    /// On each stream, at most.
    bytes: u64,
    /// How long it goes on, at most.
    time: Option<Duration>,
}

/// What the options ask for: the directions that are named, or both.
fn works(options: &Options) -> Vec<Work> {
    let named = [(Direction::Upload, options.upload), (Direction::Download, options.download)];
    let all = named.iter().all(|(_, bytes)| bytes.is_none());
    // The clock ends what nobody gave a size.
    let default = options.bytes.unwrap_or(if options.seconds.is_some() { u64::MAX } else { BYTES });
    let work = |(direction, bytes): (_, Option<u64>)| {
        let bytes = if all { Some(default) } else { bytes };
        bytes.map(|bytes| Work { direction, bytes, time: options.seconds })
    };
    named.into_iter().filter_map(work).collect()
}

/// What came of one direction.
#[derive(Clone, Copy, Debug)]
struct Report {
    direction: Direction,
    bytes: u64,
    streams: usize,
    /// From the first byte of the requests to the end of the last answer.
    elapsed: Duration,
}

impl Report {
    fn rate(&self) -> f64 {
        mib_per_second(self.bytes, self.elapsed)
    }

    fn tell(&self, json: bool) -> Result<(), Failure> {
        let (name, bytes, streams, seconds) =
            (self.direction.name(), self.bytes, self.streams, self.elapsed.as_secs_f64());
        if json {
            let object = Object::new().text("event", name).number("bytes", bytes).number("streams", streams as u64);
            return output::line(object.decimal("seconds", seconds).decimal("mib_per_second", self.rate()).end());
        }
        let plural = if streams == 1 { "" } else { "s" };
        let (bytes, rate) = (size(bytes), self.rate());
        output::line(format_args!("{name:8} {bytes} over {streams} stream{plural} in {seconds:.3} s: {rate:.1} MiB/s"))
    }
}

/// The last line for machines. What was not measured is null.
fn summary(connected: &Connected, reports: &[Report]) -> Result<(), Failure> {
    let of = |direction| reports.iter().find(|report| report.direction == direction);
    let rate = |report: Option<&Report>| report.map_or(f64::NAN, Report::rate);
    let (up, down) = (of(Direction::Upload), of(Direction::Download));
    let object = Object::new().flag("ok", true).text("peer", connected.peer);
    let object = object.text("security", connected.security()).text("muxer", connected.muxer);
    let object = object.opt_number("uploaded", up.map(|report| report.bytes));
    let object = object.decimal("upload_mib_per_second", rate(up));
    let object = object.opt_number("downloaded", down.map(|report| report.bytes));
    output::line(object.decimal("download_mib_per_second", rate(down)).end())
}

/// One direction over all streams at once.
async fn measure(streams: Vec<Stream>, work: Work) -> Result<Report, Failure> {
    let (start, count) = (Instant::now(), streams.len());
    let until = work.time.map(|time| start + time);
    let moved = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for (i, stream) in streams.into_iter().enumerate() {
        let moved = moved.clone();
        tasks.spawn(async move {
            let done = Exchange::new(stream, work).run(until, &moved).await;
            done.map_err(|cause| Failure::Exchange { stream: i, cause })
        });
    }
    let (mut bytes, mut tick, watched) = (0, tokio::time::interval(TICK), output::is_watched());
    loop {
        let done = tokio::select! {
            done = tasks.join_next() => done,
            _ = tick.tick(), if watched => {
                let so_far = size(moved.load(Ordering::Relaxed));
                output::progress(format_args!("{}: {so_far}", work.direction.name()));
                continue;
            }
        };
        match done {
            None => break,
            Some(Ok(moved)) => bytes += moved?,
            Some(Err(_)) => return Err(Failure::Gone),
        }
    }
    let elapsed = start.elapsed();
    if watched {
        output::progress("");
    }
    Ok(Report { direction: work.direction, bytes, streams: count, elapsed })
}

/// A client and its stream.
#[derive(Debug)]
struct Exchange {
    stream: Stream,
    client: Client,
    direction: Direction,
    /// What was counted of it so far.
    counted: u64,
}

impl Exchange {
    fn new(stream: Stream, work: Work) -> Self {
        let client = match work.direction {
            Direction::Upload => Client::new(work.bytes, 0),
            Direction::Download => Client::new(0, work.bytes),
        };
        Self { stream, client, direction: work.direction, counted: 0 }
    }

    /// Goes on to the end, or to the end of its time. Returns how many bytes were moved.
    async fn run(mut self, until: Option<Instant>, moved: &AtomicU64) -> Result<u64, ExchangeError> {
        let alarm = tokio::time::sleep_until(until.unwrap_or_else(Instant::now));
        tokio::pin!(alarm);
        let mut is_timed = until.is_some();
        while !self.client.is_done() {
            tokio::select! {
                biased;
                () = &mut alarm, if is_timed => {
                    if self.direction == Direction::Download {
                        break; // dropping the stream resets it: the rest is not wanted
                    }
                    is_timed = false;
                    self.client.stop();
                }
                stepped = core::future::poll_fn(|cx| self.poll_step(cx)) => stepped?,
            }
            let so_far = self.moved();
            moved.fetch_add(so_far - self.counted, Ordering::Relaxed);
            self.counted = so_far;
        }
        Ok(self.moved())
    }

    fn moved(&self) -> u64 {
        self.client.uploaded() + self.client.downloaded()
    }

    /// One read or write. It listens while it uploads: a peer that answers too early is found out at once.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ExchangeError>> {
        if let Poll::Ready(read) = self.stream.poll_bytes(cx) {
            let done = match read? {
                Some(bytes) => self.client.handle_input(&bytes),
                None => self.client.handle_eof(),
            };
            return Poll::Ready(done.map_err(ExchangeError::Perf));
        }
        if self.client.poll_finish() {
            return Poll::Ready(Ok(ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?));
        }
        if self.client.ready().is_empty() {
            return Poll::Pending;
        }
        let n = ready!(Pin::new(&mut self.stream).poll_write(cx, self.client.ready()))?;
        self.client.sent(n);
        Poll::Ready(Ok(()))
    }
}

/// Serves one exchange. A client that breaks the protocol finds its stream reset.
pub(crate) async fn serve(mut stream: Stream) {
    let _ = answer(&mut stream).await;
}

async fn answer(stream: &mut Stream) -> io::Result<()> {
    let mut server = Server::new(Limits::default());
    while let Some(bytes) = stream.read_bytes().await? {
        server.handle_input(&bytes).map_err(io::Error::other)?;
    }
    server.handle_eof().map_err(io::Error::other)?;
    while !server.poll_finish() {
        let n = stream.write(server.ready()).await?;
        server.sent(n);
    }
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_what_is_asked_for() {
        let of = |upload, download, seconds: Option<u64>| {
            let seconds = seconds.map(Duration::from_secs);
            let works = works(&Options { upload, download, seconds, ..Options::default() });
            works.iter().map(|work| (work.direction.name(), work.bytes)).collect::<Vec<_>>()
        };
        assert_eq!(of(None, None, None), [("upload", BYTES), ("download", BYTES)]);
        assert_eq!(of(None, None, Some(1)), [("upload", u64::MAX), ("download", u64::MAX)]);
        let named = Options { bytes: Some(7), ..Options::default() };
        assert_eq!(works(&named).iter().map(|work| work.bytes).collect::<Vec<_>>(), [7, 7]);
        assert_eq!(of(Some(5), None, None), [("upload", 5)]);
        assert_eq!(of(None, Some(0), Some(1)), [("download", 0)]);
        assert_eq!(of(Some(1), Some(2), None), [("upload", 1), ("download", 2)]);
    }
}

//! minip2p: an endpoint is a loop that waits for events. The listener's runs in a thread; the dialer's is the case.

use std::{
    collections::HashMap,
    thread,
    time::{Duration, Instant},
};

use minip2p::{
    ConnectOutcome, ConnectionId, Endpoint, EndpointEvent, EndpointWaitOutcome, PeerAddr, StreamId, StreamWriter,
    WriteProgress,
};

use crate::{
    cases::{Case, REST, WARM_UP},
    measure::{Meter, resident, tell, tell_times},
    node::{BLOCK, ECHO, Fault, SINK},
};

static PAYLOAD: [u8; BLOCK] = [7; BLOCK];

/// How long an event is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a writer may hold for all its streams.
const HELD: usize = 64 << 20;

type Name = (ConnectionId, StreamId);

/// Listening or not, an endpoint needs an address: that makes its transport.
fn endpoint() -> Result<Endpoint, Fault> {
    Ok(Endpoint::builder().protocol(ECHO).protocol(SINK).listen_on("/ip4/127.0.0.1/tcp/0")?.bind()?)
}

/// Serves both protocols until the process ends. Returns where.
fn listener() -> Result<PeerAddr, Fault> {
    let mut endpoint = endpoint()?;
    let address = endpoint.listen()?;
    thread::spawn(move || {
        let (mut writer, mut sums) = (StreamWriter::new(HELD), HashMap::<Name, Option<u64>>::new());
        loop {
            let Ok(outcome) = endpoint.wait(PATIENCE) else { return };
            let EndpointWaitOutcome::Event(event) = outcome else { continue };
            writer.observe(&mut endpoint, &event);
            // A stream whose connection is gone can be served no more: the dialer closes both in one go.
            let _ = serve(&mut endpoint, &mut writer, &mut sums, event);
        }
    });
    Ok(address)
}

/// Of a stream to sink there is a sum.
fn serve(
    endpoint: &mut Endpoint,
    writer: &mut StreamWriter,
    sums: &mut HashMap<Name, Option<u64>>,
    event: EndpointEvent,
) -> Result<(), Fault> {
    match event {
        EndpointEvent::StreamReady { conn_id, stream_id, protocol_id, .. } => {
            sums.insert((conn_id, stream_id), (protocol_id == SINK).then_some(0));
        }
        EndpointEvent::StreamData { conn_id, stream_id, data, .. } => match sums.get_mut(&(conn_id, stream_id)) {
            Some(Some(sum)) => *sum += data.len() as u64,
            Some(None) => drop(writer.write(endpoint, conn_id, stream_id, data)?),
            None => {}
        },
        EndpointEvent::StreamRemoteWriteClosed { conn_id, stream_id, .. } => {
            if let Some(Some(sum)) = sums.remove(&(conn_id, stream_id)) {
                writer.write(endpoint, conn_id, stream_id, sum.to_be_bytes().to_vec())?;
            }
            writer.close_write(endpoint, conn_id, stream_id)?;
        }
        _ => {}
    }
    Ok(())
}

struct Dialer {
    endpoint: Endpoint,
    writer: StreamWriter,
    target: PeerAddr,
}

impl Dialer {
    fn new(target: PeerAddr) -> Result<Self, Fault> {
        Ok(Self { endpoint: endpoint()?, writer: StreamWriter::new(HELD), target })
    }

    /// Waits for an event of which something is wanted.
    fn wait<T>(&mut self, mut wanted: impl FnMut(&EndpointEvent) -> Option<T>) -> Result<T, Fault> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let EndpointWaitOutcome::Event(event) = self.endpoint.wait(until)? {
                self.writer.observe(&mut self.endpoint, &event);
                if let Some(found) = wanted(&event) {
                    return Ok(found);
                }
            }
        }
        Err("an event did not come".into())
    }

    fn connect(&mut self) -> Result<(), Fault> {
        let id = self.endpoint.connect(&self.target.clone())?;
        self.wait(|event| match event {
            EndpointEvent::ConnectSettled { connect_id, outcome, .. } if *connect_id == id => Some(match outcome {
                ConnectOutcome::Connected { .. } => Ok(()),
                other => Err(format!("{other:?}").into()),
            }),
            _ => None,
        })?
    }

    fn disconnect(&mut self) -> Result<(), Fault> {
        let peer = self.target.peer_id().clone();
        self.endpoint.disconnect(&peer)?;
        self.wait(|event| matches!(event, EndpointEvent::ConnectionClosed { .. }).then_some(()))
    }

    fn open(&mut self, protocol: &str) -> Result<Name, Fault> {
        let peer = self.target.peer_id().clone();
        let name = self.endpoint.open_stream(&peer, protocol)?;
        self.wait(|event| match event {
            EndpointEvent::StreamReady { conn_id, stream_id, .. } => ((*conn_id, *stream_id) == name).then_some(()),
            _ => None,
        })?;
        Ok(name)
    }

    /// One byte there and back.
    fn ping(&mut self, (conn, stream): Name) -> Result<(), Fault> {
        self.endpoint.send_stream(conn, stream, b"!".as_slice())?;
        self.wait(|event| match event {
            EndpointEvent::StreamData { conn_id, stream_id, .. } => {
                ((*conn_id, *stream_id) == (conn, stream)).then_some(())
            }
            _ => None,
        })
    }

    fn finish(&mut self, (conn, stream): Name) -> Result<(), Fault> {
        Ok(self.writer.close_write(&mut self.endpoint, conn, stream)?)
    }

    /// Writes so many bytes on each stream, all at once, until the other end says that it has them.
    fn transfer(&mut self, streams: &[Name], bytes: u64) -> Result<(), Fault> {
        let mut left: HashMap<Name, u64> = streams.iter().map(|name| (*name, bytes)).collect();
        let mut writable = streams.to_vec();
        while !left.is_empty() {
            for (conn, stream) in writable.drain(..) {
                let left = left.get_mut(&(conn, stream)).ok_or("a stream that is done")?;
                loop {
                    let n = (*left).min(BLOCK as u64);
                    if n == 0 {
                        self.writer.close_write(&mut self.endpoint, conn, stream)?;
                        break;
                    }
                    *left -= n;
                    let block = &PAYLOAD[..n as usize];
                    if self.writer.write(&mut self.endpoint, conn, stream, block)? == WriteProgress::Pending {
                        break;
                    }
                }
            }
            let EndpointWaitOutcome::Event(event) = self.endpoint.wait(PATIENCE)? else {
                return Err("an event did not come".into());
            };
            if let Some(accepted) = self.writer.observe(&mut self.endpoint, &event) {
                writable.push((accepted.conn_id, accepted.stream_id));
            }
            if let EndpointEvent::StreamData { conn_id, stream_id, data, .. } = event {
                if *data != bytes.to_be_bytes() {
                    return Err(format!("{data:?} for {bytes} bytes").into());
                }
                left.remove(&(conn_id, stream_id));
            }
        }
        Ok(())
    }
}

fn dialer() -> Result<Dialer, Fault> {
    let mut dialer = Dialer::new(listener()?)?;
    dialer.connect()?;
    Ok(dialer)
}

/// Measures a case.
pub fn run(case: Case, n: u64, meter: Meter) -> Result<(), Fault> {
    match case {
        Case::Bulk { streams } => bulk(streams, n, meter),
        Case::Many { connections } => many(connections, n, meter),
        Case::Pings => pings(n, meter),
        Case::Connections => connections(n, meter),
        Case::Streams => streams(n, meter),
        Case::Idle => idle(n as usize, meter),
    }
}

fn bulk(streams: u64, bytes: u64, meter: Meter) -> Result<(), Fault> {
    let mut dialer = dialer()?;
    let each = bytes / streams;
    let open = |dialer: &mut Dialer| (0..streams).map(|_| dialer.open(SINK)).collect::<Result<Vec<_>, _>>();
    let names = open(&mut dialer)?;
    dialer.transfer(&names, each / WARM_UP)?;
    let names = open(&mut dialer)?;
    let running = meter.start();
    dialer.transfer(&names, each)?;
    running.stop();
    tell("bytes", (each * streams) as f64);
    Ok(())
}

/// Each pair has two threads.
fn many(connections: u64, bytes: u64, meter: Meter) -> Result<(), Fault> {
    let each = bytes / connections;
    let mut pairs = Vec::new();
    for _ in 0..connections {
        let mut dialer = dialer()?;
        let name = dialer.open(SINK)?;
        dialer.transfer(&[name], each / WARM_UP)?;
        let name = dialer.open(SINK)?;
        pairs.push((dialer, name));
    }
    let running = meter.start();
    thread::scope(|scope| {
        let all: Vec<_> =
            pairs.iter_mut().map(|(dialer, name)| scope.spawn(|| dialer.transfer(&[*name], each))).collect();
        all.into_iter().try_for_each(|done| done.join().map_err(|_| "a panic")?)
    })?;
    running.stop();
    tell("bytes", (each * connections) as f64);
    Ok(())
}

fn pings(n: u64, meter: Meter) -> Result<(), Fault> {
    let mut dialer = dialer()?;
    let name = dialer.open(ECHO)?;
    for _ in 0..n / WARM_UP {
        dialer.ping(name)?;
    }
    let mut times = Vec::with_capacity(n as usize);
    let running = meter.start();
    for _ in 0..n {
        let start = Instant::now();
        dialer.ping(name)?;
        times.push(start.elapsed());
    }
    running.stop();
    tell_times(times);
    Ok(())
}

fn connections(n: u64, meter: Meter) -> Result<(), Fault> {
    let mut dialer = Dialer::new(listener()?)?;
    let mut once = || {
        dialer.connect()?;
        let name = dialer.open(ECHO)?;
        dialer.ping(name)?;
        dialer.finish(name)?;
        dialer.disconnect()
    };
    for _ in 0..n / WARM_UP {
        once()?;
    }
    let running = meter.start();
    for _ in 0..n {
        once()?;
    }
    running.stop();
    Ok(())
}

fn streams(n: u64, meter: Meter) -> Result<(), Fault> {
    let mut dialer = dialer()?;
    let mut once = || {
        let name = dialer.open(ECHO)?;
        dialer.ping(name)?;
        dialer.finish(name)?;
        dialer.wait(|event| match event {
            EndpointEvent::StreamClosed { conn_id, stream_id, .. } => ((*conn_id, *stream_id) == name).then_some(()),
            _ => None,
        })
    };
    for _ in 0..n / WARM_UP {
        once()?;
    }
    let running = meter.start();
    for _ in 0..n {
        once()?;
    }
    running.stop();
    Ok(())
}

/// All dialers in one thread, one after the other. What they cost while they are idle is not measured: each would want a
/// thread that waits.
fn idle(n: usize, meter: Meter) -> Result<(), Fault> {
    let target = listener()?;
    let mut dialers = Vec::new();
    for _ in 0..n {
        dialers.push(Dialer::new(target.clone())?);
    }
    thread::sleep(REST);
    let (before, held) = (resident()?, meter.held());
    for dialer in &mut dialers {
        dialer.connect()?;
    }
    let until = Instant::now() + REST;
    while Instant::now() < until {
        for dialer in &mut dialers {
            let Dialer { endpoint, writer, .. } = dialer;
            for event in endpoint.poll()? {
                writer.observe(endpoint, &event);
            }
        }
    }
    tell("rss_bytes", resident()?.saturating_sub(before) as f64 / n as f64);
    if let (Some(before), Some(now)) = (held, meter.held()) {
        tell("heap_bytes", (now as f64 - before as f64) / n as f64);
    }
    for at in [0, n - 1] {
        let name = dialers[at].open(ECHO)?;
        dialers[at].ping(name)?;
    }
    Ok(())
}

//! The conversation: one connection, driven by hand over a socket of the adapter's.

use core::time::Duration;
use std::sync::Arc;

use sanswarm::{ConnectionError, Hangup, Instant, ProtocolName, RecvBuf, SendBuf, WriteError};
use sanswarm_connection::{Connection, Direction, Event, Open, StreamId, transcript::Level};
use sanswarm_identify as identify;
use sanswarm_ping as ping;
use sanswarm_tokio::Socket;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::print::{Findings, Printer};
use crate::{failure::Failure, key};

/// What the conversation is about.
pub(super) struct Talk {
    socket: Socket,
    start: tokio::time::Instant,
    conn: Connection,
    recv: RecvBuf,
    send: SendBuf,
    printer: Printer,
    findings: Findings,
    identify: Option<(StreamId, identify::Reader)>,
    ping: Option<(StreamId, ping::Pinger)>,
    /// What the peer asks us: one that is not answered may not answer either (rust-libp2p's ping).
    pongs: Vec<(StreamId, ping::Ponger)>,
    us: Vec<u8>,
    closing: bool,
}

/// Streams for the peer's pings. It may have two (spec), and gets no more.
const PONGS_MAX: usize = 4;

impl Talk {
    pub(super) fn new(
        socket: Socket,
        printer: Printer,
        us: Vec<u8>,
        connection: impl FnOnce(Instant) -> Result<Connection, Failure>,
    ) -> Result<Self, Failure> {
        let mut conn = connection(Instant::ZERO)?;
        conn.set_transcript(Level::Frames);
        conn.set_names(Arc::new([identify::NAME, ping::NAME].map(ProtocolName::from_static).into_iter().collect()));
        Ok(Self {
            socket,
            start: tokio::time::Instant::now(),
            conn,
            recv: RecvBuf::default(),
            send: SendBuf::default(),
            printer,
            findings: Findings::default(),
            identify: None,
            ping: None,
            pongs: Vec::new(),
            us,
            closing: false,
        })
    }

    /// Says what came of it.
    pub(super) fn end(self, result: Result<(), Failure>) -> Result<(), Failure> {
        self.printer.end(&self.findings, &self.conn.stats(), result)
    }

    fn now(&self) -> Instant {
        Instant::from_micros(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// Goes on until both questions are answered and the goodbye is said.
    pub(super) async fn run(&mut self) -> Result<(), Failure> {
        let mut shut = false;
        loop {
            let failed = self.work();
            self.print()?;
            if let Err(error) = failed {
                self.farewell().await;
                return Err(Failure::Explain(error));
            }
            if !self.send.ready().is_empty() {
                // A broken socket shows as the end of the input.
                let n = self.socket.write(self.send.ready()).await.unwrap_or(usize::MAX);
                self.send.sent(n);
                continue;
            }
            match self.conn.hangup(&self.send) {
                Hangup::Both => return Ok(()),
                Hangup::Write if !shut => {
                    shut = true;
                    let _ = self.socket.shutdown().await;
                }
                _ => {}
            }
            self.wait().await;
        }
    }

    /// Lets a last word out, which tells the peer what was wrong.
    async fn farewell(&mut self) {
        while self.conn.poll_transmit(self.now(), &mut self.send) > 0 {}
        let _ = tokio::time::timeout(Duration::from_millis(100), self.socket.write_all(self.send.ready())).await;
        let _ = self.socket.shutdown().await;
    }

    /// Waits for bytes, or for a deadline of the connection's.
    async fn wait(&mut self) {
        let at = self.conn.poll_timeout().map_or(u64::MAX / 2, |deadline| deadline.at.as_micros());
        let until = self.start + Duration::from_micros(at.min(1 << 40));
        let recv = &mut self.recv;
        let read = async {
            if !recv.wants() {
                return core::future::pending().await;
            }
            self.socket.read(recv.spare()).await
        };
        match tokio::time::timeout_at(until, read).await {
            Ok(Ok(0) | Err(_)) => self.recv.set_eof(),
            Ok(Ok(n)) => self.recv.filled(n),
            Err(_) => {
                let now = self.now();
                self.conn.handle_timeout(now);
            }
        }
    }

    /// All that can be done without the socket.
    fn work(&mut self) -> Result<(), ConnectionError> {
        loop {
            let now = self.now();
            while let Some(event) = self.conn.poll_event(now, &mut self.recv)? {
                self.handle_event(now, &event);
            }
            if self.findings.is_complete() && !self.closing {
                self.closing = true;
                self.conn.close(now);
                continue;
            }
            if self.conn.poll_transmit(now, &mut self.send) > 0 {
                continue;
            }
            match self.conn.poll_event(now, &mut self.recv)? {
                Some(event) => self.handle_event(now, &event),
                None => return Ok(()),
            }
        }
    }

    fn print(&mut self) -> Result<(), Failure> {
        while let Some(entry) = self.conn.poll_transcript() {
            self.printer.entry(&entry)?;
        }
        Ok(())
    }

    fn handle_event(&mut self, now: Instant, event: &Event) {
        match event {
            Event::Ready { peer, security, muxer } => {
                self.findings.ready = Some((*peer, *security, *muxer));
                let reader = identify::Reader::new(identify::Limits::default());
                self.identify = self.ask(now, identify::NAME).map(|id| (id, reader));
                self.ping = self.ask(now, ping::NAME).map(|id| (id, ping::Pinger::new(ping::Config::default())));
            }
            Event::Opened { stream, protocol, direction: Direction::Inbound } => self.asked(now, *stream, protocol),
            Event::Opened { stream, .. } => self.opened(now, *stream),
            Event::Readable { stream } | Event::Finished { stream } => {
                self.read_identify(*stream);
                self.read_ping(now, *stream);
                self.answer_ping(now, *stream);
            }
            Event::Refused { stream, refusal } => self.failed(*stream, &refusal.to_string()),
            Event::Reset { stream } => self.failed(*stream, "the peer reset the stream"),
            Event::Closed { reason } if !self.closing => {
                let why = reason.to_string();
                self.findings.identify.get_or_insert(Err(why.clone()));
                self.findings.ping.get_or_insert(Err(why));
                self.closing = true;
            }
            _ => {}
        }
    }

    fn ask(&mut self, now: Instant, name: &'static str) -> Option<StreamId> {
        self.conn.open(now, Arc::new([ProtocolName::from_static(name)]), Open::Wait).ok()
    }

    /// The peer asks who we are, or wants to ping us.
    fn asked(&mut self, now: Instant, stream: StreamId, protocol: &ProtocolName) {
        if protocol.as_str() == ping::NAME && self.pongs.len() < PONGS_MAX {
            return self.pongs.push((stream, ping::Ponger::new()));
        }
        if protocol.as_str() == identify::NAME {
            let _ = self.conn.write(now, stream, &self.us, &mut self.send);
        }
        let _ = self.conn.stop(stream);
        let _ = self.conn.finish(stream);
    }

    fn answer_ping(&mut self, now: Instant, stream: StreamId) {
        let Some(at) = self.pongs.iter().position(|(id, _)| *id == stream) else { return };
        let ponger = &mut self.pongs[at].1;
        loop {
            match self.conn.read(stream) {
                Ok(Some(bytes)) => {
                    let mut rest = &bytes[..];
                    while !rest.is_empty() {
                        let used = ponger.handle_input(rest);
                        rest = &rest[used..];
                        let mut echo = Vec::new();
                        ponger.encode(usize::MAX, &mut echo);
                        let written = self.conn.write(now, stream, &echo, &mut self.send);
                        if used == 0 && echo.is_empty() || written != Ok(echo.len()) {
                            let _ = self.conn.reset(stream);
                            break;
                        }
                    }
                }
                Ok(None) => return,
                Err(_) => break,
            }
        }
        let _ = self.conn.finish(stream);
        self.pongs.swap_remove(at);
    }

    fn opened(&mut self, now: Instant, stream: StreamId) {
        if self.identify.as_ref().is_some_and(|(id, _)| *id == stream) {
            let _ = self.conn.finish(stream);
            return;
        }
        let Some((_, pinger)) = self.ping.as_mut().filter(|(id, _)| *id == stream) else { return };
        let mut payload = Vec::new();
        pinger.start(now, key::secret().unwrap_or([7; 32]));
        pinger.encode(usize::MAX, &mut payload);
        // 32 bytes behind an agreement always fit.
        let written: Result<usize, WriteError> = self.conn.write(now, stream, &payload, &mut self.send);
        if written != Ok(payload.len()) {
            self.failed(stream, "no room to write");
        }
    }

    fn read_identify(&mut self, stream: StreamId) {
        let Some((id, reader)) = self.identify.as_mut().filter(|(id, _)| *id == stream) else { return };
        loop {
            match self.conn.read(*id) {
                Ok(Some(bytes)) => {
                    if let Err(error) = reader.handle_input(&bytes) {
                        return self.failed(stream, &error.to_string());
                    }
                }
                Ok(None) => return,
                Err(_) => break,
            }
        }
        if let Some((_, reader)) = self.identify.take() {
            self.findings.identify = Some(reader.finish().map_err(|error| error.to_string()));
        }
    }

    fn read_ping(&mut self, now: Instant, stream: StreamId) {
        let Some((id, pinger)) = self.ping.as_mut().filter(|(id, _)| *id == stream) else { return };
        while let Ok(Some(bytes)) = self.conn.read(*id) {
            match pinger.handle_input(now, &bytes) {
                Ok((_, Some(time))) => {
                    self.findings.ping = Some(Ok(time));
                    let _ = self.conn.finish(stream);
                    self.ping = None;
                    return;
                }
                Ok((_, None)) => {}
                Err(error) => return self.failed(stream, &error.to_string()),
            }
        }
    }

    /// One of the questions stays open.
    fn failed(&mut self, stream: StreamId, why: &str) {
        if self.identify.take_if(|(id, _)| *id == stream).is_some() {
            self.findings.identify = Some(Err(why.to_owned()));
        }
        if self.ping.take_if(|(id, _)| *id == stream).is_some() {
            self.findings.ping = Some(Err(why.to_owned()));
        }
    }
}

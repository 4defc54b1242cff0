//! minip2p's muxer: a machine that takes bytes and gives out vectors.

use std::{hint::black_box, ops::Range};

use bytes::Bytes;
use minip2p_secure_mux::yamux::{YamuxConfig, YamuxError, YamuxOutput, YamuxRole, YamuxSession};

use super::{ECHO, PATIENCE, Pair, WRITE_BYTES};
use crate::pipe::Pipe;

/// How frames get to the other end.
enum Carrier {
    /// As the vectors that they are.
    HandedOver,
    /// Through a pipe, and out of it into a buffer.
    Pipe { pipe: Pipe, buffer: Vec<u8> },
}

/// Both ends of a connection, with the streams that were opened on it.
pub struct Minip2p {
    dialer: YamuxSession,
    listener: YamuxSession,
    carrier: Carrier,
    streams: Vec<u32>,
    /// By stream: what the dialer has yet to write. Empty if that is all.
    left: Vec<usize>,
    data: Bytes,
}

/// What an end has heard in one drain.
#[derive(Default)]
struct Heard {
    opened: Option<u32>,
    bytes: usize,
    finished: bool,
    writable: Vec<u32>,
}

impl Minip2p {
    /// Without streams.
    pub fn new(streams: usize, through_a_pipe: bool) -> Self {
        let config = YamuxConfig { max_streams: streams + 10, ..YamuxConfig::default() };
        let session = |role| YamuxSession::with_config(role, config.clone()).expect("valid");
        let carrier = if through_a_pipe {
            Carrier::Pipe { pipe: Pipe::new(), buffer: vec![0; WRITE_BYTES] }
        } else {
            Carrier::HandedOver
        };
        Self {
            dialer: session(YamuxRole::Client),
            listener: session(YamuxRole::Server),
            carrier,
            streams: Vec::with_capacity(streams),
            left: Vec::with_capacity(streams),
            data: vec![7; WRITE_BYTES].into(),
        }
    }

    /// Carries all frames of one end to the other, and reads what arrived there at once.
    fn carry(&mut self, to_listener: bool) -> Heard {
        let (from, to) =
            if to_listener { (&mut self.dialer, &mut self.listener) } else { (&mut self.listener, &mut self.dialer) };
        let mut heard = Heard::default();
        while let Some(frame) = from.poll_frame() {
            match &mut self.carrier {
                Carrier::HandedOver => {
                    to.handle_data(&frame).expect("no fault");
                    hear(to, &mut heard);
                }
                Carrier::Pipe { pipe, buffer } => {
                    let mut put = 0;
                    while put < frame.len() {
                        put += pipe.put(&frame[put..]);
                        if put < frame.len() {
                            empty(pipe, buffer, to, &mut heard);
                        }
                    }
                }
            }
        }
        if let Carrier::Pipe { pipe, buffer } = &mut self.carrier {
            empty(pipe, buffer, to, &mut heard);
        }
        heard
    }

    /// Writes what is left of one stream's bytes until its buffer is full.
    fn write(&mut self, index: usize) {
        while self.left[index] > 0 {
            let piece = self.data.slice(..self.data.len().min(self.left[index]));
            let len = piece.len();
            match self.dialer.send(self.streams[index], piece) {
                Ok(()) => self.left[index] -= len,
                Err(YamuxError::Full { unsent, .. }) => {
                    self.left[index] -= len - unsent.len();
                    return;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn empty(pipe: &mut Pipe, buffer: &mut [u8], to: &mut YamuxSession, heard: &mut Heard) {
    while !pipe.front().is_empty() {
        let n = pipe.front().len().min(buffer.len());
        buffer[..n].copy_from_slice(&pipe.front()[..n]);
        pipe.took(n);
        to.handle_data(&buffer[..n]).expect("no fault");
        hear(to, heard);
    }
}

fn hear(session: &mut YamuxSession, heard: &mut Heard) {
    while let Some(event) = session.poll_event() {
        match event {
            YamuxOutput::IncomingStream { stream } => heard.opened = Some(stream),
            YamuxOutput::Data { stream, data } => {
                heard.bytes += black_box(&data).len();
                session.ack(stream, data.len()).expect("no fault");
            }
            YamuxOutput::RemoteWriteClosed { .. } => heard.finished = true,
            YamuxOutput::Writable { stream } => heard.writable.push(stream),
            YamuxOutput::StreamClosed { .. } => {}
            event => panic!("{event:?}"),
        }
    }
}

impl Pair for Minip2p {
    fn open(&mut self) {
        let stream = self.dialer.open_stream().expect("open");
        self.dialer.send(stream, self.data.slice(..1)).expect("room");
        assert_eq!((self.carry(true).opened, self.carry(false).bytes), (Some(stream), 0));
        self.streams.push(stream);
        self.left.push(0);
    }

    fn transfer(&mut self, streams: Range<usize>, bytes: usize) {
        for index in streams.clone() {
            self.left[index] = bytes;
            self.write(index);
        }
        let (mut left, mut idle) = (streams.len() * bytes, 0);
        while left > 0 {
            let mut writable = Vec::new();
            while let Some(event) = self.dialer.poll_event() {
                if let YamuxOutput::Writable { stream } = event {
                    writable.push(stream);
                }
            }
            for stream in writable {
                self.write(stream as usize / 2);
            }
            let heard = self.carry(true).bytes;
            let back = self.carry(false);
            for stream in back.writable {
                self.write(stream as usize / 2);
            }
            idle = if heard == 0 { idle + 1 } else { 0 };
            assert!(idle < PATIENCE, "it goes on");
            left -= heard;
        }
    }

    fn echo(&mut self) {
        let stream = self.dialer.open_stream().expect("open");
        self.dialer.send(stream, self.data.slice(..ECHO.len())).expect("room");
        let heard = self.carry(true);
        assert_eq!((heard.opened, heard.bytes), (Some(stream), ECHO.len()));
        self.listener.send(stream, self.data.slice(..ECHO.len())).expect("room");
        assert_eq!(self.carry(false).bytes, ECHO.len());
        self.dialer.close_write(stream).expect("open");
        assert!(self.carry(true).finished);
        self.listener.close_write(stream).expect("open");
        assert!(self.carry(false).finished);
    }
}

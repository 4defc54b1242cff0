//! What there is to do at the least: copies, and heads of frames.

use std::{hint::black_box, ops::Range};

use super::{Pair, WRITE_BYTES};
use crate::pipe::Pipe;

const FRAME_BYTES: usize = 16 * 1024;

/// Copies into the pipe and out of it, without frames.
pub struct PipeAlone {
    pipe: Pipe,
    data: Vec<u8>,
    buffer: Vec<u8>,
}

impl PipeAlone {
    pub fn new() -> Self {
        Self { pipe: Pipe::new(), data: vec![7; WRITE_BYTES], buffer: vec![0; WRITE_BYTES] }
    }
}

impl Pair for PipeAlone {
    fn open(&mut self) {}

    fn transfer(&mut self, streams: Range<usize>, bytes: usize) {
        let mut left = streams.len() * bytes;
        while left > 0 {
            let n = self.pipe.put(&self.data[..WRITE_BYTES.min(left)]);
            self.buffer[..n].copy_from_slice(self.pipe.front());
            self.pipe.took(n);
            black_box(&self.buffer[..n]);
            left -= n;
        }
    }

    fn echo(&mut self) {}
}

/// Frames of 16 KiB behind heads of 12 bytes, copied into a buffer and read there.
pub struct FramesAlone {
    data: Vec<u8>,
    frames: Vec<u8>,
}

impl FramesAlone {
    pub fn new() -> Self {
        Self { data: vec![7; WRITE_BYTES], frames: Vec::with_capacity(2 * WRITE_BYTES) }
    }
}

impl Pair for FramesAlone {
    fn open(&mut self) {}

    fn transfer(&mut self, streams: Range<usize>, bytes: usize) {
        let mut left = streams.len() * bytes;
        while left > 0 {
            let write = &self.data[..WRITE_BYTES.min(left)];
            for frame in write.chunks(FRAME_BYTES) {
                self.frames.extend_from_slice(&black_box([0; 12]));
                self.frames.extend_from_slice(frame);
            }
            left -= write.len();
            for frame in self.frames.chunks(12 + FRAME_BYTES) {
                black_box((&frame[..12], &frame[12..]));
            }
            self.frames.clear();
        }
    }

    fn echo(&mut self) {}
}

//! Frames (RFC 6455, section 5). Heads are read and written by tungstenite. Payload is passed on as it arrives: its own
//! reader gathers whole messages, so that a peer could make us hold as much as its longest message may be.

use std::io::Cursor;

use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Control, Data, OpCode},
};

use crate::Error;

/// The longest head, in bytes.
pub(crate) const HEAD_MAX: usize = 14;

/// The longest payload of a control frame, in bytes.
const CONTROL_MAX: u64 = 125;

/// Reads the frames of one direction.
#[derive(Debug)]
pub(crate) struct Frames {
    /// Whether the peer has to mask.
    masked: bool,
    /// A head that is not whole.
    head: [u8; HEAD_MAX],
    len: usize,
    frame: Option<Frame>,
    /// A message has begun whose last fragment has not.
    is_open: bool,
    control: Vec<u8>,
}

/// A frame whose head has been read.
#[derive(Debug)]
struct Frame {
    control: Option<Kind>,
    left: u64,
    /// The mask, turned so that its first byte is the next one's.
    mask: Option<[u8; 4]>,
}

/// A control frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ping,
    Pong,
    Close,
}

/// What one step has done.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// Bytes of the input that were used.
    pub(crate) used: usize,
    /// Bytes of payload that were written.
    pub(crate) payload: usize,
    /// A control frame is whole; [`Frames::control`] has its payload.
    pub(crate) control: Option<Kind>,
}

impl Frames {
    pub(crate) const fn new(masked: bool) -> Self {
        Self { masked, head: [0; HEAD_MAX], len: 0, frame: None, is_open: false, control: Vec::new() }
    }

    /// The payload of the control frame that was read last.
    pub(crate) fn control(&self) -> &[u8] {
        &self.control
    }

    /// Whether a frame has begun and not ended.
    pub(crate) const fn is_within(&self) -> bool {
        self.len > 0 || self.frame.is_some()
    }

    /// Reads one head, or the payload behind it as far as it is there and has room in `to`.
    pub(crate) fn step(&mut self, input: &[u8], to: &mut [u8]) -> Result<Step, Error> {
        let Some(frame) = &mut self.frame else { return self.begin(input) };
        let there = usize::try_from(frame.left).unwrap_or(usize::MAX).min(input.len());
        let mut step = Step::default();
        if frame.control.is_some() {
            let at = self.control.len();
            self.control.extend_from_slice(&input[..there]);
            frame.unmask(&mut self.control[at..]);
            step.used = there;
        } else {
            let n = there.min(to.len());
            to[..n].copy_from_slice(&input[..n]);
            frame.unmask(&mut to[..n]);
            (step.used, step.payload) = (n, n);
        }
        if frame.left == 0 {
            step.control = frame.control;
            self.frame = None;
        }
        Ok(step)
    }

    /// Reads a head, or takes what is there of it.
    fn begin(&mut self, input: &[u8]) -> Result<Step, Error> {
        let had = self.len;
        let more = input.len().min(HEAD_MAX - had);
        self.head[had..had + more].copy_from_slice(&input[..more]);
        self.len += more;
        let mut head = Cursor::new(&self.head[..self.len]);
        let parsed = FrameHeader::parse(&mut head).map_err(|_| Error::Opcode { opcode: self.head[0] & 0xf })?;
        let Some((header, left)) = parsed else { return Ok(Step { used: more, ..Step::default() }) };
        // A head that is whole now was not so before.
        let used = (head.position() as usize).saturating_sub(had);
        self.len = 0;
        let control = self.check(&header, left)?;
        let frame = Frame { control, left, mask: header.mask };
        self.control.clear();
        let is_empty = left == 0;
        self.frame = (!is_empty).then_some(frame);
        Ok(Step { used, payload: 0, control: control.filter(|_| is_empty) })
    }

    /// Checks a head against what came before.
    fn check(&mut self, header: &FrameHeader, len: u64) -> Result<Option<Kind>, Error> {
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(Error::Reserved);
        }
        match (self.masked, header.mask) {
            (true, None) => return Err(Error::Unmasked),
            (false, Some(_)) => return Err(Error::Masked),
            _ => {}
        }
        if len > i64::MAX as u64 {
            return Err(Error::Length);
        }
        let control = match header.opcode {
            OpCode::Data(Data::Text) => return Err(Error::Text),
            OpCode::Data(Data::Binary | Data::Continue) => None,
            OpCode::Control(Control::Ping) => Some(Kind::Ping),
            OpCode::Control(Control::Pong) => Some(Kind::Pong),
            OpCode::Control(Control::Close) => Some(Kind::Close),
            other => return Err(Error::Opcode { opcode: other.into() }),
        };
        if control.is_some() {
            let is_sound = header.is_final && len <= CONTROL_MAX && !(control == Some(Kind::Close) && len == 1);
            return if is_sound { Ok(control) } else { Err(Error::Control) };
        }
        // The first fragment of a message has an opcode, the others have not.
        if (header.opcode == OpCode::Data(Data::Continue)) != self.is_open {
            return Err(Error::Fragment);
        }
        self.is_open = !header.is_final;
        Ok(None)
    }
}

impl Frame {
    fn unmask(&mut self, bytes: &mut [u8]) {
        self.left -= bytes.len() as u64;
        if let Some(key) = &mut self.mask {
            mask(bytes, *key);
            key.rotate_left(bytes.len() % 4);
        }
    }
}

/// Adds a frame to `out`, masked if there is a key.
pub(crate) fn append(opcode: OpCode, key: Option<[u8; 4]>, payload: &[u8], out: &mut Vec<u8>) {
    out.reserve(payload.len() + HEAD_MAX);
    let header = FrameHeader { opcode, mask: key, ..FrameHeader::default() };
    // A vector takes all.
    let _ = header.format(payload.len() as u64, out);
    let at = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = key {
        mask(&mut out[at..], key);
    }
}

/// Masks, or unmasks (section 5.3).
fn mask(bytes: &mut [u8], key: [u8; 4]) {
    let word = u64::from_ne_bytes([key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3]]);
    let mut words = bytes.chunks_exact_mut(8);
    for chunk in &mut words {
        let mut eight = [0; 8];
        eight.copy_from_slice(chunk);
        chunk.copy_from_slice(&(u64::from_ne_bytes(eight) ^ word).to_ne_bytes());
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Payload and control frames of a whole input.
    fn read(masked: bool, mut input: &[u8]) -> Result<(Vec<u8>, Vec<Kind>), Error> {
        let (mut frames, mut payload, mut kinds) = (Frames::new(masked), Vec::new(), Vec::new());
        while !input.is_empty() {
            let mut to = [0; 7];
            let step = frames.step(input, &mut to)?;
            assert!(step.used > 0);
            input = &input[step.used..];
            payload.extend_from_slice(&to[..step.payload]);
            kinds.extend(step.control);
        }
        assert!(!frames.is_within());
        Ok((payload, kinds))
    }

    /// The samples of RFC 6455, section 5.7, with the opcode of bytes in the place of text.
    #[test]
    fn the_samples_of_the_rfc() {
        let hello = (b"Hello".to_vec(), vec![]);
        assert_eq!(read(false, b"\x82\x05Hello"), Ok(hello.clone()), "unmasked");
        let masked = [0x82, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(read(true, &masked), Ok(hello.clone()), "masked");
        assert_eq!(read(false, b"\x02\x03Hel\x80\x02lo"), Ok(hello.clone()), "fragmented");
        assert_eq!(read(false, b"\x89\x05Hello"), Ok((vec![], vec![Kind::Ping])));
        let pong = [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(read(true, &pong), Ok((vec![], vec![Kind::Pong])));
        for (len, head) in [(256, &b"\x82\x7e\x01\x00"[..]), (65536, b"\x82\x7f\0\0\0\0\0\x01\0\0")] {
            let payload: Vec<u8> = (0..len).map(|i| i as u8).collect();
            assert_eq!(read(false, &[head, &payload].concat()), Ok((payload.clone(), vec![])));
            let mut out = Vec::new();
            append(OpCode::Data(Data::Binary), None, &payload, &mut out);
            assert_eq!(out, [head, &payload].concat());
        }
        let mut out = Vec::new();
        append(OpCode::Data(Data::Binary), Some([0x37, 0xfa, 0x21, 0x3d]), b"Hello", &mut out);
        assert_eq!(out, masked);
        assert_eq!(read(false, b"\x02\x03Hel\x89\x00\x80\x02lo"), Ok((b"Hello".to_vec(), vec![Kind::Ping])), "between");
    }

    #[test]
    fn frames_that_are_none() {
        for (masked, input, error) in [
            (false, &b"\x81\x05Hello"[..], Error::Text),
            (false, b"\x01\x05Hello", Error::Text),
            (true, b"\x82\x05Hello", Error::Unmasked),
            (false, b"\x82\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", Error::Masked),
            (false, b"\xc2\x05Hello", Error::Reserved),
            (false, b"\x92\x05Hello", Error::Reserved),
            (false, b"\x83\x00", Error::Opcode { opcode: 3 }),
            (false, b"\x8b\x00", Error::Opcode { opcode: 11 }),
            (false, b"\x82\x7f\x80\0\0\0\0\0\0\0", Error::Length),
            (false, b"\x89\x7e\x00\x7e", Error::Control),
            (false, b"\x09\x00", Error::Control),
            (false, b"\x88\x01a", Error::Control),
            (false, b"\x80\x01a", Error::Fragment),
            (false, b"\x02\x01a\x82\x01b", Error::Fragment),
        ] {
            assert_eq!(read(masked, input), Err(error), "{input:x?}");
        }
    }

    #[test]
    fn a_mask_is_its_own_inverse_at_every_length() {
        for len in 0..40u8 {
            let plain: Vec<u8> = (0..len).collect();
            let mut bytes = plain.clone();
            mask(&mut bytes, [1, 2, 4, 8]);
            assert!(bytes.iter().zip(&plain).enumerate().all(|(i, (a, b))| a ^ b == 1 << (i % 4)));
            mask(&mut bytes, [1, 2, 4, 8]);
            assert_eq!(bytes, plain);
        }
    }
}

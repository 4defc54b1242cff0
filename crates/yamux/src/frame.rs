//! Heads of frames: twelve bytes, big endian.

use core::ops::BitOr;

use crate::error::Error;

/// The length of a frame's head.
pub const HEADER_BYTES: usize = 12;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Carries payload.
    Data,
    /// Gives credit: the other end may send `length` more bytes.
    WindowUpdate,
    /// Asks for its echo (with SYN), or is one (with ACK).
    Ping,
    /// No new streams are taken; `length` is a [`GoAway`] code.
    GoAway,
}

/// The flags of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u16);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// Opens a stream, or asks for a pong.
    pub const SYN: Self = Self(1);
    /// Accepts a stream, or is a pong.
    pub const ACK: Self = Self(2);
    /// The sender sends no more on the stream.
    pub const FIN: Self = Self(4);
    /// The stream ends at once in both directions.
    pub const RST: Self = Self(8);

    /// Whether one of `flag` is set.
    pub const fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    /// As they are on the wire, with those that the spec does not define.
    pub const fn bits(self) -> u16 {
        self.0
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Why an end goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoAway {
    /// Code 0: the end of the session as intended.
    Normal,
    /// Code 1: the other end broke the protocol.
    ProtocolError,
    /// Code 2: a fault of the end itself.
    InternalError,
    /// A code that the spec does not define.
    Other(u32),
}

impl GoAway {
    /// The code on the wire.
    pub const fn code(self) -> u32 {
        match self {
            Self::Normal => 0,
            Self::ProtocolError => 1,
            Self::InternalError => 2,
            Self::Other(code) => code,
        }
    }

    pub(crate) fn from_code(code: u32) -> Self {
        match code {
            0 => Self::Normal,
            1 => Self::ProtocolError,
            2 => Self::InternalError,
            code => Self::Other(code),
        }
    }
}

/// The head of a frame. Flags that the spec does not define are kept and never looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame is for.
    pub kind: Kind,
    /// Its flags.
    pub flags: Flags,
    /// The stream's number on the wire: odd for those that the dialer opens, even for the listener's, 0 for the session.
    pub stream: u32,
    /// Of data the bytes that follow, of a window update the credit, of a ping its value, of a go-away its code.
    pub length: u32,
}

impl Header {
    pub(crate) fn session(kind: Kind, flags: Flags, length: u32) -> Self {
        Self { kind, flags, stream: 0, length }
    }

    /// Reads a head.
    ///
    /// # Errors
    ///
    /// [`Error::Version`] and [`Error::FrameType`]. What a session would refuse beyond that is not looked at.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, Error> {
        let [version, kind, f0, f1, s0, s1, s2, s3, l0, l1, l2, l3] = *bytes;
        if version != 0 {
            return Err(Error::Version(version));
        }
        let kind = match kind {
            0 => Kind::Data,
            1 => Kind::WindowUpdate,
            2 => Kind::Ping,
            3 => Kind::GoAway,
            other => return Err(Error::FrameType(other)),
        };
        Ok(Self {
            kind,
            flags: Flags(u16::from_be_bytes([f0, f1])),
            stream: u32::from_be_bytes([s0, s1, s2, s3]),
            length: u32::from_be_bytes([l0, l1, l2, l3]),
        })
    }

    pub(crate) fn encode(self) -> [u8; HEADER_BYTES] {
        let kind = match self.kind {
            Kind::Data => 0,
            Kind::WindowUpdate => 1,
            Kind::Ping => 2,
            Kind::GoAway => 3,
        };
        let [f0, f1] = self.flags.0.to_be_bytes();
        let [s0, s1, s2, s3] = self.stream.to_be_bytes();
        let [l0, l1, l2, l3] = self.length.to_be_bytes();
        [0, kind, f0, f1, s0, s1, s2, s3, l0, l1, l2, l3]
    }

    /// The bytes that follow the head.
    pub fn body(self) -> u32 {
        if self.kind == Kind::Data { self.length } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_laid_out_as_the_spec_says() {
        let header =
            Header { kind: Kind::WindowUpdate, flags: Flags::SYN | Flags::FIN, stream: 0x0102_0304, length: 6 };
        let bytes = [0, 1, 0, 5, 1, 2, 3, 4, 0, 0, 0, 6];
        assert_eq!(header.encode(), bytes);
        assert_eq!(Header::decode(&bytes), Ok(header));
    }

    #[test]
    fn only_version_0_and_four_types_exist() {
        let mut bytes = [0; HEADER_BYTES];
        bytes[1] = 4;
        assert_eq!(Header::decode(&bytes), Err(Error::FrameType(4)));
        bytes[0] = 1;
        assert_eq!(Header::decode(&bytes), Err(Error::Version(1)));
    }

    #[test]
    fn flags_are_joined() {
        let both = Flags::SYN | Flags::FIN;
        assert_eq!(both | Flags::SYN, both);
        assert!(both.has(Flags::SYN) && both.has(Flags::FIN) && !both.has(Flags::ACK) && !Flags::NONE.has(Flags::RST));
    }

    #[test]
    fn every_code_comes_back() {
        for code in [0, 1, 2, 3, u32::MAX] {
            assert_eq!(GoAway::from_code(code).code(), code);
        }
    }
}

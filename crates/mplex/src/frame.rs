//! Heads of frames: two varints.

use unsigned_varint::{decode as varint, encode as put_varint};

use crate::error::Error;

/// The longest head of a frame, in bytes: nine of id and flag, five of any length that a `u32` holds.
pub const HEADER_BYTES: usize = VARINT_BYTES + 5;

/// The largest id of a stream: 60 bits (spec, "Message format": with the flag it is a varint of at most nine bytes).
pub const ID_MAX: u64 = (1 << 60) - 1;

/// The longest varint of multiformats, in bytes.
const VARINT_BYTES: usize = 9;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Opens a stream. Its body is a name, which means nothing.
    NewStream,
    /// Carries payload.
    Message,
    /// Its sender sends nothing more on the stream.
    Close,
    /// Ends the stream in both directions.
    Reset,
}

/// The head of a frame: what every frame begins with. `length` bytes of body follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame is for.
    pub kind: Kind,
    /// Whether the frame's sender opened the stream. Always so for [`Kind::NewStream`]. Each end gives out ids of its
    /// own: only with this an id names a stream.
    pub by_opener: bool,
    /// The stream's id, at most [`ID_MAX`].
    pub id: u64,
    /// The bytes of body that follow.
    pub length: u32,
}

impl Header {
    /// A frame without a body.
    pub(crate) fn bare(kind: Kind, by_opener: bool, id: u64) -> Self {
        Self { kind, by_opener, id, length: 0 }
    }

    /// Reads the head at the front of `input` and says how many bytes it took; `None` if more are needed. A fault is
    /// told with the first byte that shows it, whatever follows.
    ///
    /// # Errors
    ///
    /// [`Error::HeaderTooLong`], [`Error::NotMinimal`] and [`Error::UnknownFlag`]; [`Error::MessageTooLong`] for a body
    /// of more than `limit` bytes.
    pub fn decode(input: &[u8], limit: u32) -> Result<Option<(Self, usize)>, Error> {
        let Some((head, rest)) = read(input, VARINT_BYTES, Error::HeaderTooLong)? else { return Ok(None) };
        let id = head >> 3;
        let (kind, by_opener) = match head & 7 {
            0 => (Kind::NewStream, true),
            1 => (Kind::Message, false),
            2 => (Kind::Message, true),
            3 => (Kind::Close, false),
            4 => (Kind::Close, true),
            5 => (Kind::Reset, false),
            6 => (Kind::Reset, true),
            _ => return Err(Error::UnknownFlag { id }),
        };
        // A length of more bytes than the limit itself takes is too long, whatever its value.
        let too_long = Error::MessageTooLong { limit };
        let Some((length, rest)) = read(rest, varint_len(limit.into()), too_long)? else { return Ok(None) };
        match u32::try_from(length) {
            Ok(length) if length <= limit => Ok(Some((Self { kind, by_opener, id, length }, input.len() - rest.len()))),
            _ => Err(too_long),
        }
    }

    /// Writes the head into `buffer` and gives the part of it that was written. Of an id beyond [`ID_MAX`] the lower 60
    /// bits count.
    pub fn encode(self, buffer: &mut [u8; HEADER_BYTES]) -> &[u8] {
        let (mut first, mut second) = (put_varint::u64_buffer(), put_varint::u32_buffer());
        let head = put_varint::u64((self.id & ID_MAX) << 3 | self.flag(), &mut first);
        let length = put_varint::u32(self.length, &mut second);
        let end = head.len() + length.len();
        buffer[..head.len()].copy_from_slice(head);
        buffer[head.len()..end].copy_from_slice(length);
        &buffer[..end]
    }

    /// The bytes that [`encode`](Self::encode) writes.
    pub fn encoded_len(self) -> usize {
        id_len(self.id) + varint_len(self.length.into())
    }

    fn flag(self) -> u64 {
        match self.kind {
            Kind::NewStream => 0,
            Kind::Message => 1 + u64::from(self.by_opener),
            Kind::Close => 3 + u64::from(self.by_opener),
            Kind::Reset => 5 + u64::from(self.by_opener),
        }
    }
}

/// The bytes that a stream's id takes in each of its heads.
pub(crate) fn id_len(id: u64) -> usize {
    varint_len((id & ID_MAX) << 3)
}

fn varint_len(value: u64) -> usize {
    (u64::BITS - (value | 1).leading_zeros()).div_ceil(7) as usize
}

/// Reads a varint of at most `bytes` bytes, and gives what follows. A longer one is `too_long`.
fn read(input: &[u8], bytes: usize, too_long: Error) -> Result<Option<(u64, &[u8])>, Error> {
    let first = &input[..input.len().min(bytes)];
    match varint::u64(first) {
        Ok((value, rest)) => Ok(Some((value, &input[first.len() - rest.len()..]))),
        Err(varint::Error::Insufficient) if first.len() < bytes => Ok(None),
        Err(varint::Error::NotMinimal) => Err(Error::NotMinimal),
        Err(_) => Err(too_long),
    }
}

//! One message: a length, a text, a newline.

use bytes::BufMut;
use sanswarm_wire::SendBuf;
use unsigned_varint::{decode as varint, encode as put_varint};

use crate::Error;

/// The default limit of a line in bytes, newline counted and length not. It is that of go and js.
pub const MESSAGE_BYTES_MAX: usize = 1024;

/// The longest varint of multiformats, in bytes.
const VARINT_BYTES_MAX: usize = 9;

/// A line at the front of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The text without its newline: any bytes, with newlines inside perhaps, or none at all.
    pub text: &'a [u8],
    /// The bytes that the line took: length, text and newline.
    pub used: usize,
}

/// Reads the line at the front of `input`, or gives `None` if more bytes are needed. Copies nothing and takes constant
/// time.
///
/// # Errors
///
/// [`Error::TooLong`] for a length beyond `limit` (in bytes, newline counted), as soon as that is certain;
/// [`Error::NotMinimal`], [`Error::ZeroLength`] and [`Error::NoNewline`].
#[inline]
pub fn decode(input: &[u8], limit: usize) -> Result<Option<Line<'_>>, Error> {
    let (len, head) = match input.first() {
        None => return Ok(None),
        Some(&first) if first < 0x80 && usize::from(first) <= limit => (usize::from(first), 1),
        Some(_) => match decode_len(input, limit)? {
            None => return Ok(None),
            Some(len) => len,
        },
    };
    if len == 0 {
        return Err(Error::ZeroLength);
    }
    match input.get(head..).and_then(|rest| rest.get(..len)) {
        None => Ok(None),
        Some([text @ .., b'\n']) => Ok(Some(Line { text, used: head + len })),
        Some(_) => Err(Error::NoNewline),
    }
}

/// The length and the bytes it took.
fn decode_len(input: &[u8], limit: usize) -> Result<Option<(usize, usize)>, Error> {
    // More bytes than the limit itself takes are too many, whatever follows: the verdict does not depend on chunks.
    let head_max = varint_len(limit).min(VARINT_BYTES_MAX);
    let head = &input[..input.len().min(head_max)];
    match varint::usize(head) {
        Ok((len, _)) if len > limit => Err(Error::TooLong { limit }),
        Ok((len, rest)) => Ok(Some((len, head.len() - rest.len()))),
        Err(varint::Error::Insufficient) if head.len() < head_max => Ok(None),
        Err(varint::Error::NotMinimal) => Err(Error::NotMinimal),
        Err(_) => Err(Error::TooLong { limit }),
    }
}

/// The bytes that `text` takes as a line: length, text and newline.
#[inline]
pub fn encoded_len(text: &[u8]) -> usize {
    let len = text.len() + 1;
    varint_len(len) + len
}

/// Writes `text` as a line.
///
/// # Panics
///
/// As every [`BufMut`] does: if `out` has no room. The caller has asked [`encoded_len`].
#[inline]
pub fn encode(text: &[u8], out: &mut impl BufMut) {
    let mut buffer = put_varint::usize_buffer();
    out.put_slice(put_varint::usize(text.len() + 1, &mut buffer));
    out.put_slice(text);
    out.put_u8(b'\n');
}

/// Appends `text` as a line to what a connection sends, if there is room for all of it. Returns whether there was.
#[inline]
#[must_use]
pub fn append(text: &[u8], out: &mut SendBuf) -> bool {
    let len = text.len() + 1;
    if len < 0x80 {
        return out.append_parts([&[len as u8], text, b"\n"]);
    }
    append_long(b"", text, out)
}

/// Appends `line`, which is one already, and `text` as a line behind it; both or none. Returns whether there was room.
#[inline]
#[must_use]
pub fn append_behind(line: &[u8], text: &[u8], out: &mut SendBuf) -> bool {
    let len = text.len() + 1;
    if len < 0x80 {
        return out.append_parts([line, &[len as u8], text, b"\n"]);
    }
    append_long(line, text, out)
}

#[cold]
fn append_long(line: &[u8], text: &[u8], out: &mut SendBuf) -> bool {
    let mut buffer = put_varint::usize_buffer();
    let head = put_varint::usize(text.len() + 1, &mut buffer);
    let fits = out.control_room() >= line.len() + encoded_len(text);
    fits && out.append(line) && out.append(head) && out.append(text) && out.append(b"\n")
}

#[inline]
fn varint_len(value: usize) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        _ => (usize::BITS - value.leading_zeros()).div_ceil(7) as usize,
    }
}

#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use proptest::prelude::*;

    use super::*;
    use crate::{HEADER, HEADER_LINE, NA, NA_LINE};

    fn text(input: &[u8]) -> Result<Option<(&[u8], usize)>, Error> {
        Ok(decode(input, MESSAGE_BYTES_MAX)?.map(|line| (line.text, line.used)))
    }

    #[test]
    fn real_lines_are_read_and_what_follows_is_left() {
        assert_eq!(text(b"\x13/multistream/1.0.0\n\x07/noise\n"), Ok(Some((HEADER.as_bytes(), 20))));
        assert_eq!(text(b"\x03na\n"), Ok(Some((&b"na"[..], 4))));
        assert_eq!(text(b"\x01\n"), Ok(Some((&b""[..], 2))));
        assert_eq!(text(b"\x09\x07/noise\n\n"), Ok(Some((&b"\x07/noise\n"[..], 10))));
        assert_eq!(text(b"\x08/noise\n\nx"), Ok(Some((&b"/noise\n"[..], 9))));
    }

    #[test]
    fn malformed_lines_are_refused() {
        assert_eq!(text(b"\x00"), Err(Error::ZeroLength));
        assert_eq!(text(b"\x03nax"), Err(Error::NoNewline));
        assert_eq!(text(b"\x83\x00na\n"), Err(Error::NotMinimal));
        assert_eq!(text(b"\x80\x00"), Err(Error::NotMinimal));
    }

    #[test]
    fn a_long_line_is_refused_from_its_length_alone() {
        let limit = MESSAGE_BYTES_MAX;
        assert_eq!(text(b"\x80\x08"), Ok(None), "1024");
        assert_eq!(text(b"\x81\x08"), Err(Error::TooLong { limit }), "1025");
        assert_eq!(text(b"\xff"), Ok(None));
        assert_eq!(text(b"\xff\x80"), Err(Error::TooLong { limit }), "two bytes suffice");
        assert_eq!(decode(b"\x05", 4), Err(Error::TooLong { limit: 4 }));
        assert_eq!(decode(&[0xff; 10], usize::MAX), Err(Error::TooLong { limit: usize::MAX }));
        assert_eq!(decode(&[0xff; 8], usize::MAX), Ok(None));
        let longest = [&b"\x80\x08"[..], &[b'a'; 1023], b"\n"].concat();
        assert_eq!(text(&longest), Ok(Some((&[b'a'; 1023][..], 1026))));
    }

    #[test]
    fn the_lines_that_are_constants_are_lines() {
        for (text, constant) in [(HEADER, HEADER_LINE), (NA, NA_LINE)] {
            let mut line = Vec::new();
            encode(text.as_bytes(), &mut line);
            assert_eq!(line, constant);
        }
    }

    #[test]
    fn every_length_is_appended_as_it_is_encoded() {
        for len in 0..300 {
            let (mut out, mut send, mut behind) = (Vec::new(), SendBuf::default(), SendBuf::default());
            encode(&vec![b'a'; len], &mut out);
            assert!(append(&vec![b'a'; len], &mut send));
            assert_eq!(send.ready(), out);
            assert!(append_behind(HEADER_LINE, &vec![b'a'; len], &mut behind));
            assert_eq!(behind.ready(), [HEADER_LINE, &out].concat());
        }
    }

    #[test]
    fn a_header_and_a_line_go_together_or_not_at_all() {
        for text in [&[b'a'; 10][..], &[b'a'; 200]] {
            let len = HEADER_LINE.len() + encoded_len(text);
            let mut send = SendBuf::new(16 * 1024);
            assert!(send.append(&vec![0; 16 * 1024 - len + 1]));
            assert!(!append_behind(HEADER_LINE, text, &mut send));
            assert_eq!(send.control_room(), len - 1);
            let mut send = SendBuf::new(16 * 1024);
            assert!(send.append(&vec![0; 16 * 1024 - len]));
            assert!(append_behind(HEADER_LINE, text, &mut send));
            assert_eq!(send.control_room(), 0);
        }
    }

    #[test]
    fn append_writes_all_or_nothing() {
        let mut send = SendBuf::new(16 * 1024);
        assert!(send.append(&vec![0; 16 * 1024 - 30]));
        send.sent(0);
        assert!(!append(&[b'a'; 100], &mut send));
        assert!(!append(&[b'a'; 29], &mut send));
        assert_eq!(send.control_room(), 30);
        assert!(append(&[b'a'; 28], &mut send));
        assert_eq!(send.control_room(), 0);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(body in prop::collection::vec(any::<u8>(), 0..1024), rest in any::<Vec<u8>>()) {
            let (mut out, mut send) = (Vec::new(), SendBuf::default());
            encode(&body, &mut out);
            prop_assert_eq!(out.len(), encoded_len(&body));
            prop_assert!(append(&body, &mut send));
            prop_assert_eq!(send.ready(), &out[..]);
            for cut in 0..out.len() {
                prop_assert_eq!(text(&out[..cut]), Ok(None));
            }
            let used = out.len();
            out.extend(rest);
            prop_assert_eq!(text(&out), Ok(Some((&body[..], used))));
        }

        #[test]
        fn a_verdict_never_changes_with_more_bytes(
            input in prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(2), Just(b'\n'), Just(0x80), any::<u8>()], 0..12),
            limit in prop_oneof![0usize..300, Just(MESSAGE_BYTES_MAX), Just(usize::MAX)],
        ) {
            let whole = decode(&input, limit);
            for cut in 0..input.len() {
                let part = decode(&input[..cut], limit);
                prop_assert!(part == Ok(None) || part == whole, "{part:?} then {whole:?}");
            }
            if let Ok(Some(line)) = whole {
                let mut out = Vec::new();
                encode(line.text, &mut out);
                prop_assert_eq!(&out[..], &input[..line.used], "one form only");
            }
        }
    }
}

//! The original multistream (2014): data that says by a path at its front what it is.
//!
//! A header is a line whose text is a path: `/` first and no newline. What follows is payload, which may begin with a
//! header of its own. Nothing marks the end of the headers, so payload that looks like one is one.
//!
//! ```
//! use sanswarm_multistream::header::{DEPTH_MAX, Path, peel_all, write_header};
//!
//! let mut data = Vec::new();
//! write_header(Path::new(b"/gzip/1.0.0")?, &mut data);
//! write_header(Path::new(b"/json")?, &mut data);
//! data.extend(b"{}");
//!
//! let peeled = peel_all(&data, DEPTH_MAX)?.expect("whole headers");
//! assert_eq!(peeled.paths()[1].as_bytes(), b"/json");
//! assert_eq!(&data[peeled.used()..], b"{}");
//! # Ok::<(), sanswarm_multistream::Error>(())
//! ```

use core::fmt;

use bytes::BufMut;
use smallvec::SmallVec;

use crate::{Error, MESSAGE_BYTES_MAX, decode, encode};

/// The default limit of headers in a row.
pub const DEPTH_MAX: usize = 16;

/// The path of a header: `/` first, no newline, at most 1023 bytes, which need not be UTF-8.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path<'a>(&'a [u8]);

impl<'a> Path<'a> {
    /// The longest path in bytes.
    pub const BYTES_MAX: usize = MESSAGE_BYTES_MAX - 1;

    /// Checks that `path` is one.
    ///
    /// # Errors
    ///
    /// [`Error::PathWithoutSlash`], [`Error::PathHasNewline`] and [`Error::PathTooLong`].
    pub fn new(path: &'a [u8]) -> Result<Self, Error> {
        if path.first() != Some(&b'/') {
            return Err(Error::PathWithoutSlash);
        }
        if path.len() > Self::BYTES_MAX {
            return Err(Error::PathTooLong { limit: Self::BYTES_MAX });
        }
        if path.contains(&b'\n') {
            return Err(Error::PathHasNewline);
        }
        Ok(Self(path))
    }

    /// The path's bytes.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Writes a header.
///
/// # Panics
///
/// As every [`BufMut`] does: if `out` has no room. The caller has asked [`encoded_len`](crate::encoded_len).
pub fn write_header(path: Path<'_>, out: &mut impl BufMut) {
    encode(path.0, out);
}

/// Reads the header at the front of `input`: its path, and the bytes that it took. `None` if more bytes are needed.
///
/// # Errors
///
/// Those of [`decode`] with [`MESSAGE_BYTES_MAX`], and those of [`Path::new`].
pub fn peel(input: &[u8]) -> Result<Option<(Path<'_>, usize)>, Error> {
    let Some(line) = decode(input, MESSAGE_BYTES_MAX)? else { return Ok(None) };
    Ok(Some((Path::new(line.text)?, line.used)))
}

/// The headers at the front of some input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peeled<'a> {
    paths: SmallVec<[Path<'a>; 4]>,
    used: usize,
}

impl<'a> Peeled<'a> {
    /// The paths, the outermost first; at least one.
    pub fn paths(&self) -> &[Path<'a>] {
        &self.paths
    }

    /// The bytes that the headers took. Payload follows.
    pub fn used(&self) -> usize {
        self.used
    }
}

/// Reads all whole headers at the front of `input`, at most `depth`. `None` if not even the first is whole. It ends at
/// the first bytes that are no header, or not yet one: for a stream, call it when all is there.
///
/// # Errors
///
/// Those of [`peel`] for the first header, and [`Error::TooDeep`].
pub fn peel_all(input: &[u8], depth: usize) -> Result<Option<Peeled<'_>>, Error> {
    let mut next = peel(input)?;
    if next.is_none() {
        return Ok(None);
    }
    let mut peeled = Peeled { paths: SmallVec::new(), used: 0 };
    while let Some((path, used)) = next {
        if peeled.paths.len() >= depth {
            return Err(Error::TooDeep { limit: depth });
        }
        peeled.paths.push(path);
        peeled.used += used;
        next = peel(&input[peeled.used..]).unwrap_or(None);
    }
    Ok(Some(peeled))
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::String, vec, vec::Vec};

    use proptest::prelude::*;

    use super::*;

    const FIRST_SELECT: &[u8] = b"/ipfs/QmdRKVhvzyATs3L6dosSb6w8hKuqfZK2SyPVqcYJ5VLYa2/multistream-select/0.3.0";

    #[test]
    fn the_first_multistream_select_is_a_header() {
        let mut data = vec![FIRST_SELECT.len() as u8 + 1];
        data.extend(FIRST_SELECT);
        data.extend(b"\n\x03na\n");
        let (path, used) = peel(&data).unwrap().unwrap();
        assert_eq!(path.as_bytes(), FIRST_SELECT);
        assert_eq!(&data[used..], b"\x03na\n");
    }

    #[test]
    fn what_is_no_header_is_refused() {
        assert_eq!(peel(b"\x06/json/{\"a\""), Err(Error::NoNewline), "the example of the spec, against its prose");
        assert_eq!(peel(b"\x03na\n"), Err(Error::PathWithoutSlash));
        assert_eq!(peel(b"\x01\n"), Err(Error::PathWithoutSlash));
        assert_eq!(peel(b"\x05/a\nb\n"), Err(Error::PathHasNewline));
        assert_eq!(Path::new(&[b'/'; 1024]), Err(Error::PathTooLong { limit: 1023 }));
        assert_eq!(peel(b"\x05/js"), Ok(None));
        assert_eq!(format!("{0} {0:?}", Path::new(b"/a\xff").unwrap()), r#"/a\xff "/a\xff""#);
        assert_eq!(peel_all(b"\x03na\n", 4), Err(Error::PathWithoutSlash));
        assert_eq!(peel_all(b"\x05/js", 4), Ok(None));
    }

    #[test]
    fn nesting_ends_at_the_payload_or_at_the_limit() {
        let data = b"\x03/a\n\x03/b\n\x03/c\nhello";
        let peeled = peel_all(data, 3).unwrap().unwrap();
        assert_eq!(peeled.paths().iter().map(|p| p.as_bytes()).collect::<Vec<_>>(), [b"/a", b"/b", b"/c"]);
        assert_eq!(&data[peeled.used()..], b"hello");
        assert_eq!(peel_all(data, 2), Err(Error::TooDeep { limit: 2 }));
        assert_eq!(peel_all(data, 0), Err(Error::TooDeep { limit: 0 }));
    }

    proptest! {
        #[test]
        fn headers_come_back_and_the_rest_is_untouched(
            paths in prop::collection::vec("/[a-z/.]{0,200}", 1..DEPTH_MAX),
            rest in prop_oneof![Just(vec![]), "[a-z]{1,90}".prop_map(String::into_bytes)],
        ) {
            let mut data = Vec::new();
            for path in &paths { write_header(Path::new(path.as_bytes()).unwrap(), &mut data); }
            data.extend(&rest);
            let peeled = peel_all(&data, DEPTH_MAX).unwrap().unwrap();
            prop_assert_eq!(peeled.paths().len(), paths.len());
            for (got, put) in peeled.paths().iter().zip(&paths) { prop_assert_eq!(got.as_bytes(), put.as_bytes()); }
            prop_assert_eq!(&data[peeled.used()..], &rest[..]);
        }

        #[test]
        fn any_bytes_give_a_verdict(input in any::<Vec<u8>>(), depth in 0usize..5) {
            if let Ok(Some(peeled)) = peel_all(&input, depth) {
                prop_assert!(peeled.used() <= input.len() && (1..=depth).contains(&peeled.paths().len()));
            }
        }
    }
}

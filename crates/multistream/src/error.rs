//! What can be wrong with a line, a name or a header.

use core::fmt;

/// What is wrong with a line, a name or a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The length of a line is beyond `limit` bytes, newline counted.
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// The length of a line is not a minimal varint.
    NotMinimal,
    /// The length of a line is zero: not even a newline.
    ZeroLength,
    /// A line does not end in a newline.
    NoNewline,
    /// A name has no byte.
    NameEmpty,
    /// A name is longer than `limit` bytes.
    NameTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// A name is not UTF-8.
    NameNotUtf8,
    /// A name holds a newline.
    NameHasNewline,
    /// A name is one of the words of the dialogue: `na`, `ls` or the header.
    NameReserved,
    /// The path of a header does not begin with a slash.
    PathWithoutSlash,
    /// The path of a header holds a newline.
    PathHasNewline,
    /// The path of a header is longer than `limit` bytes.
    PathTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// There are more than `limit` headers in a row.
    TooDeep {
        /// The limit in headers.
        limit: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { limit } => write!(f, "a line is longer than {limit} bytes"),
            Self::NotMinimal => f.write_str("the length of a line is not a minimal varint"),
            Self::ZeroLength => f.write_str("a line has length zero"),
            Self::NoNewline => f.write_str("a line does not end in a newline"),
            Self::NameEmpty => f.write_str("a protocol name is empty"),
            Self::NameTooLong { limit } => write!(f, "a protocol name is longer than {limit} bytes"),
            Self::NameNotUtf8 => f.write_str("a protocol name is not UTF-8"),
            Self::NameHasNewline => f.write_str("a protocol name holds a newline"),
            Self::NameReserved => f.write_str("a protocol name is a word of the negotiation"),
            Self::PathWithoutSlash => f.write_str("the path of a header does not begin with a slash"),
            Self::PathHasNewline => f.write_str("the path of a header holds a newline"),
            Self::PathTooLong { limit } => write!(f, "the path of a header is longer than {limit} bytes"),
            Self::TooDeep { limit } => write!(f, "more than {limit} headers are nested"),
        }
    }
}

impl core::error::Error for Error {}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn an_error_says_what_is_wrong() {
        assert_eq!(format!("{}", Error::TooLong { limit: 7 }), "a line is longer than 7 bytes");
        assert_eq!(format!("{}", Error::TooDeep { limit: 3 }), "more than 3 headers are nested");
    }
}

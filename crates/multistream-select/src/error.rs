//! How a negotiation fails.

use core::fmt;

use sanswarm_multistream as multistream;

/// How a negotiation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The peer sent what is no message, or one that is too long.
    Line(multistream::Error),
    /// The peer's first message was something else than the header.
    NoHeader {
        /// The first message.
        seen: Seen,
    },
    /// The listener sent a second header.
    SecondHeader,
    /// The listener answered with something that is neither the name proposed nor `na`: another name, or a list.
    Unexpected {
        /// The answer.
        seen: Seen,
    },
    /// The dialer made more than `limit` proposals.
    TooManyProposals {
        /// The limit in proposals.
        limit: u32,
    },
    /// The proposals of the dialer took more than `limit` bytes.
    TooManyBytes {
        /// The limit in bytes.
        limit: usize,
    },
    /// The listener answered `ls` with something that is neither a list nor `na`.
    NoList {
        /// The answer.
        seen: Seen,
    },
    /// Nothing was agreed upon: the input ended after a refusal, or a listener that had refused met bytes that are no
    /// proposal, as a lazy dialer sends them. This is no fault of the peer.
    Refused,
    /// The input ended before the agreement, between messages.
    Eof,
    /// The input ended inside a message.
    EofInMessage,
    /// The input ended, but the negotiation had agreed before: the end concerns the next layer.
    Agreed,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(error) => write!(f, "no message of multistream-select: {error}"),
            Self::NoHeader { seen } => write!(f, "the first message was {seen}, not the header of multistream-select"),
            Self::SecondHeader => f.write_str("the listener sent a second header"),
            Self::Unexpected { seen } => write!(f, "the answer {seen} is neither the name proposed nor a refusal"),
            Self::TooManyProposals { limit } => write!(f, "there were more than {limit} proposals"),
            Self::TooManyBytes { limit } => write!(f, "the proposals took more than {limit} bytes"),
            Self::NoList { seen } => write!(f, "the answer {seen} to ls is no list"),
            Self::Refused => f.write_str("no protocol was agreed upon"),
            Self::Eof => f.write_str("the input ended before a protocol was agreed upon"),
            Self::EofInMessage => f.write_str("the input ended inside a message"),
            Self::Agreed => f.write_str("the input ended after a protocol was agreed upon"),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Line(error) => Some(error),
            _ => None,
        }
    }
}

impl From<multistream::Error> for Error {
    fn from(error: multistream::Error) -> Self {
        Self::Line(error)
    }
}

/// The front of a message that a peer sent, for reports: a copy of at most 40 bytes.
#[derive(Clone, Copy)]
pub struct Seen {
    front: [u8; Self::BYTES_MAX],
    /// Of the whole message.
    len: u16,
}

impl Seen {
    /// The most that is kept, in bytes.
    pub const BYTES_MAX: usize = 40;

    pub(crate) const NOTHING: Self = Self { front: [0; Self::BYTES_MAX], len: 0 };

    pub(crate) fn new(text: &[u8]) -> Self {
        let mut seen = Self::NOTHING;
        seen.set(text);
        seen
    }

    /// Forgets what it was for `text`.
    pub(crate) fn set(&mut self, text: &[u8]) {
        let kept = text.len().min(Self::BYTES_MAX);
        self.front[..kept].copy_from_slice(&text[..kept]);
        self.len = u16::try_from(text.len()).unwrap_or(u16::MAX);
    }

    /// What was kept of the message, without its newline.
    pub fn as_bytes(&self) -> &[u8] {
        &self.front[..usize::from(self.len).min(Self::BYTES_MAX)]
    }

    /// Whether the message was longer.
    pub fn is_cut(&self) -> bool {
        usize::from(self.len) > Self::BYTES_MAX
    }
}

impl PartialEq for Seen {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Seen {}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"{}", self.as_bytes().escape_ascii(), if self.is_cut() { "..." } else { "" })
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn a_report_is_bounded_and_printable() {
        assert_eq!(format!("{}", Seen::new(b"/a\n\xff")), r#""/a\n\xff""#);
        let long = Seen::new(&[b'a'; 41]);
        assert!(long.is_cut() && long.as_bytes() == [b'a'; 40]);
        assert!(format!("{long}").ends_with("aaa\"..."));
        assert!(!Seen::new(&[b'a'; 40]).is_cut());
        assert!(Seen::new(&[0; 70_000]).is_cut());
        assert_eq!(format!("{:?}", Seen::new(b"na")), r#""na""#);
    }

    #[test]
    fn reports_are_equal_if_what_was_kept_and_the_length_are() {
        let mut seen = Seen::new(b"/something longer");
        seen.set(b"/a");
        assert_eq!(seen, Seen::new(b"/a"), "what was there before does not count");
        assert_ne!(seen, Seen::new(b"/b"));
        assert_ne!(seen, Seen::new(b"/a "));
        assert_ne!(Seen::new(&[b'a'; 41]), Seen::new(&[b'a'; 42]));
    }

    #[test]
    fn an_error_names_its_limit() {
        assert_eq!(format!("{}", Error::TooManyProposals { limit: 7 }), "there were more than 7 proposals");
        let line = Error::Line(multistream::Error::TooLong { limit: 9 });
        assert_eq!(format!("{line}"), "no message of multistream-select: a line is longer than 9 bytes");
        assert!(core::error::Error::source(&line).is_some());
    }
}

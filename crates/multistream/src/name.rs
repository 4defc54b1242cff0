//! Names that may be proposed.

use alloc::{string::String, sync::Arc};
use core::{
    borrow::Borrow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
};

use crate::{Error, HEADER, MESSAGE_BYTES_MAX};

/// The name of a protocol, such as `/ipfs/ping/1.0.0`: 1 to 1023 bytes of UTF-8 without a newline, and none of the words
/// of the dialogue (`na`, `ls`, the header). A slash at the front is customary and not required.
///
/// Names are equal if their bytes are: nothing is trimmed, and no prefix matches. Cloning allocates nothing, and making
/// one of at most [`INLINE_BYTES_MAX`](Self::INLINE_BYTES_MAX) bytes does not either.
#[derive(Clone)]
pub struct ProtocolName(Text);

#[derive(Clone)]
enum Text {
    Static(&'static str),
    Shared(Arc<str>),
    Inline(Short),
}

/// A name in place. Aligned, so that a copy of it takes four words and not some odd pieces.
#[derive(Clone, Copy)]
#[repr(align(8))]
struct Short {
    /// Of UTF-8, as it was when it was made.
    bytes: [u8; ProtocolName::INLINE_BYTES_MAX],
    len: u8,
}

impl ProtocolName {
    /// The longest name in bytes: what a line holds beside its newline.
    pub const BYTES_MAX: usize = MESSAGE_BYTES_MAX - 1;

    /// The longest name in bytes that is kept in place. Nearly all names in use are shorter.
    pub const INLINE_BYTES_MAX: usize = 31;

    /// The header as a name: what two ends agree upon that are going to negotiate once more, from the header on. It is
    /// the one word of the dialogue that can be a name, and this constant the only way to it, so that no list of names
    /// holds it by accident.
    pub const NESTED: Self = Self(Text::Static(HEADER));

    /// A name that is known when the program is built.
    ///
    /// # Panics
    ///
    /// If `name` is not a name; in a constant that is an error of compilation.
    ///
    /// ```
    /// # use sanswarm_multistream::ProtocolName;
    /// const NOISE: ProtocolName = ProtocolName::from_static("/noise");
    /// assert_eq!(NOISE.as_str(), "/noise");
    /// ```
    ///
    /// ```compile_fail
    /// # use sanswarm_multistream::ProtocolName;
    /// const NA: ProtocolName = ProtocolName::from_static("na");
    /// ```
    pub const fn from_static(name: &'static str) -> Self {
        match check(name.as_bytes()) {
            Ok(()) => Self(Text::Static(name)),
            Err(_) => panic!("a protocol name has 1 to 1023 bytes, no newline, and is not a word of the negotiation"),
        }
    }

    /// The name.
    #[inline]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Static(name) => name,
            Text::Shared(name) => name,
            Text::Inline(_) => str::from_utf8(self.as_bytes()).unwrap_or_default(),
        }
    }

    /// The name's bytes, as they are compared and sent.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Text::Static(name) => name.as_bytes(),
            Text::Shared(name) => name.as_bytes(),
            Text::Inline(short) => short.bytes.get(..usize::from(short.len)).unwrap_or_default(),
        }
    }

    /// Whether `text` is this name, byte by byte. Names are short: eight bytes at a time are faster than a call to `memcmp`.
    #[inline]
    pub fn is(&self, text: &[u8]) -> bool {
        let name = self.as_bytes();
        let (words, rest) = name.as_chunks::<8>();
        let (text_words, text_rest) = text.as_chunks::<8>();
        let equal = |(a, b): (&[u8; 8], &[u8; 8])| u64::from_ne_bytes(*a) == u64::from_ne_bytes(*b);
        name.len() == text.len()
            && words.iter().zip(text_words).all(equal)
            && match (name.last_chunk(), text.last_chunk()) {
                (Some(a), Some(b)) => equal((a, b)), // some bytes once more
                _ => rest.iter().eq(text_rest),
            }
    }

    /// The name in place, if it is short enough.
    fn inline(name: &str) -> Option<Self> {
        let mut bytes = [0; Self::INLINE_BYTES_MAX];
        bytes.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        Some(Self(Text::Inline(Short { bytes, len: name.len() as u8 })))
    }
}

const fn check(name: &[u8]) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::NameEmpty);
    }
    if name.len() > ProtocolName::BYTES_MAX {
        return Err(Error::NameTooLong { limit: ProtocolName::BYTES_MAX });
    }
    if matches!(name, b"na" | b"ls" | b"/multistream/1.0.0") {
        return Err(Error::NameReserved);
    }
    let mut i = 0;
    while i < name.len() {
        if name[i] == b'\n' {
            return Err(Error::NameHasNewline);
        }
        i += 1;
    }
    Ok(())
}

impl TryFrom<&str> for ProtocolName {
    type Error = Error;

    fn try_from(name: &str) -> Result<Self, Error> {
        check(name.as_bytes())?;
        Ok(Self::inline(name).unwrap_or_else(|| Self(Text::Shared(name.into()))))
    }
}

impl TryFrom<&[u8]> for ProtocolName {
    type Error = Error;

    fn try_from(name: &[u8]) -> Result<Self, Error> {
        Self::try_from(str::from_utf8(name).map_err(|_| Error::NameNotUtf8)?)
    }
}

impl TryFrom<String> for ProtocolName {
    type Error = Error;

    fn try_from(name: String) -> Result<Self, Error> {
        Self::try_from(name.as_str())
    }
}

impl TryFrom<Arc<str>> for ProtocolName {
    type Error = Error;

    fn try_from(name: Arc<str>) -> Result<Self, Error> {
        check(name.as_bytes())?;
        Ok(Self(Text::Shared(name)))
    }
}

impl AsRef<str> for ProtocolName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for ProtocolName {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for ProtocolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for ProtocolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

// By hand, because names with the same bytes are the same name wherever those are, and because of `Borrow<str>`.

impl PartialEq for ProtocolName {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for ProtocolName {}

impl PartialEq<str> for ProtocolName {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for ProtocolName {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

impl PartialOrd for ProtocolName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ProtocolName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for ProtocolName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use alloc::{collections::BTreeMap, format};

    use super::*;

    #[test]
    fn words_of_the_dialogue_are_no_names() {
        for word in [crate::NA, crate::LS, HEADER] {
            assert_eq!(ProtocolName::try_from(word), Err(Error::NameReserved));
        }
        assert_eq!(ProtocolName::try_from(""), Err(Error::NameEmpty));
        assert_eq!(ProtocolName::try_from("/a\n"), Err(Error::NameHasNewline));
        let long = String::from_utf8([b'a'; 1024].to_vec()).unwrap();
        assert_eq!(ProtocolName::try_from(&long[1..]).map(|name| name.as_bytes().len()), Ok(1023));
        assert_eq!(ProtocolName::try_from(long), Err(Error::NameTooLong { limit: 1023 }));
    }

    #[test]
    fn bytes_decide_and_where_they_are_does_not() {
        let fixed = ProtocolName::from_static("/noise");
        let shared = ProtocolName::try_from("/noise").unwrap();
        assert_eq!(fixed, shared);
        assert_eq!(fixed, ProtocolName::try_from(Arc::<str>::from("/noise")).unwrap());
        assert_eq!(fixed, "/noise");
        for other in ["/noise ", "/noise\r", "/Noise", "/nois", "noise"] {
            assert_ne!(fixed, ProtocolName::try_from(other).unwrap());
        }
        assert!(fixed < ProtocolName::from_static("/tls/1.0.0"));
        let map = BTreeMap::from([(shared, 1)]);
        assert_eq!(map.get("/noise"), Some(&1));
        assert_eq!(format!("{fixed} {fixed:?}"), "/noise \"/noise\"");
        assert_eq!((fixed.as_ref(), fixed == "/tls"), ("/noise", false));
    }

    #[test]
    fn a_short_name_is_kept_in_place_and_a_long_one_shared() {
        assert_eq!(size_of::<ProtocolName>(), 40);
        let longest = "/this/name/has/thirty-one/bytes";
        for (text, in_place) in [("a", true), (longest, true), ("/this/name/has/thirty-two/bytes/", false)] {
            for name in [
                ProtocolName::try_from(text),
                ProtocolName::try_from(String::from(text)),
                ProtocolName::try_from(text.as_bytes()),
            ] {
                let name = name.unwrap();
                assert_eq!((name.as_str(), name.as_bytes()), (text, text.as_bytes()));
                assert_eq!(matches!(name.0, Text::Inline(_)), in_place, "{text}");
                let shared = ProtocolName::try_from(Arc::<str>::from(text)).unwrap();
                assert_eq!((&name, name.cmp(&shared)), (&shared, Ordering::Equal));
                assert_eq!(BTreeMap::from([(name, ())]).get(text), Some(&()));
            }
        }
        assert_eq!(ProtocolName::try_from(&b"/a\xff"[..]), Err(Error::NameNotUtf8));
    }

    #[test]
    fn a_text_is_a_name_if_all_its_bytes_are() {
        let text: alloc::vec::Vec<u8> = (0..40).map(|i| b'a' + i % 26).collect();
        for len in 1..text.len() {
            let name = ProtocolName::try_from(&text[..len]).unwrap();
            for other in 0..=text.len() {
                assert_eq!(name.is(&text[..other]), len == other);
            }
            for at in 0..len {
                let mut other = text[..len].to_vec();
                other[at] ^= 0x20;
                assert!(!name.is(&other), "{len} bytes, another at {at}");
            }
        }
    }

    #[test]
    fn the_header_is_a_name_by_its_constant_only() {
        assert_eq!(ProtocolName::NESTED, HEADER);
        assert_eq!(ProtocolName::try_from(HEADER.as_bytes()), Err(Error::NameReserved));
    }

    #[test]
    #[should_panic(expected = "a protocol name has")]
    fn a_static_word_of_the_dialogue_panics() {
        let _ = ProtocolName::from_static("ls");
    }
}

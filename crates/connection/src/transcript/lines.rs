//! Messages of multistream-select, read from whole ones.

use sanswarm_multistream::{HEADER, LS, NA, decode};

use super::What;

/// The longest list of names that is written down, in bytes.
const LIST_BYTES_MAX: usize = (1 << 14) - 1;

/// The messages in `bytes`, and the bytes that each took. `proposes` says whether the dialer has sent them.
pub(super) fn read(mut bytes: &[u8], proposes: bool) -> impl Iterator<Item = (What, usize)> + '_ {
    core::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let Ok(Some(line)) = decode(bytes, LIST_BYTES_MAX) else {
            return Some((What::NoMessage, core::mem::take(&mut bytes).len()));
        };
        bytes = bytes.get(line.used..).unwrap_or_default();
        Some((meaning(line.text, proposes), line.used))
    })
}

fn meaning(text: &[u8], proposes: bool) -> What {
    let name = || String::from_utf8_lossy(text).into_owned();
    match text {
        _ if text == HEADER.as_bytes() => What::Header,
        _ if text == LS.as_bytes() && proposes => What::ListRequest,
        _ if text == NA.as_bytes() && !proposes => What::NotAvailable,
        _ if proposes => What::Proposal(name()),
        _ if text.contains(&b'\n') => What::List(list(text)),
        _ => What::Agreement(name()),
    }
}

/// The names of a list: lines in a line, or names that each end in a newline.
fn list(text: &[u8]) -> Vec<String> {
    let mut rest = text;
    let mut names = Vec::new();
    while let Ok(Some(line)) = decode(rest, rest.len()) {
        names.push(String::from_utf8_lossy(line.text).into_owned());
        rest = rest.get(line.used..).unwrap_or_default();
    }
    if rest.is_empty() {
        return names;
    }
    let parts = text.split(|byte| *byte == b'\n').filter(|part| !part.is_empty());
    parts.map(|part| String::from_utf8_lossy(part).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8], proposes: bool) -> Vec<What> {
        read(bytes, proposes).map(|(what, _)| what).collect()
    }

    #[test]
    fn each_message_has_its_meaning() {
        let dialer = b"\x13/multistream/1.0.0\n\x07/noise\n\x03ls\n\x03na\n";
        assert_eq!(
            all(dialer, true),
            [What::Header, What::Proposal("/noise".into()), What::ListRequest, What::Proposal("na".into())]
        );
        let listener = b"\x13/multistream/1.0.0\n\x03na\n\x07/noise\n";
        assert_eq!(all(listener, false), [What::Header, What::NotAvailable, What::Agreement("/noise".into())]);
        let bytes: Vec<usize> = read(listener, false).map(|(_, used)| used).collect();
        assert_eq!(bytes, [20, 4, 8]);
    }

    #[test]
    fn both_forms_of_a_list_are_read() {
        let names = || What::List(vec!["/a".into(), "/b".into()]);
        assert_eq!(all(b"\x09\x03/a\n\x03/b\n\n", false), [names()]);
        assert_eq!(all(b"\x07/a\n/b\n\n", false), [names()]);
    }

    #[test]
    fn what_is_no_message_is_said_once() {
        assert_eq!(read(b"HTTP/1.1 400 Bad Request\r\n", false).collect::<Vec<_>>(), [(What::NoMessage, 26)]);
        assert_eq!(all(b"", true), []);
    }
}

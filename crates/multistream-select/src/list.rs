//! The answer to `ls`, in the forms that are in use.

use alloc::vec::Vec;

use sanswarm_multistream::{HEADER, ProtocolName, decode, encode};

/// The longest answer to `ls` that is read by default, in bytes with its newline: what a length of two bytes can say, which
/// is also the most that rust-libp2p reads.
pub(crate) const LIST_BYTES_MAX: usize = (1 << 14) - 1;

/// The longest message with a list that a listener sends, in bytes. The smallest `SendBuf` has room for it, whatever a
/// cipher takes around it: a message goes whole, so one that fits nowhere would wait for ever.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 - 64;

/// A length of 47 looks like a slash.
const SLASH: u8 = b'/';

/// Names as one message: each a line of its own, inside of a line (js, rust). `None` if that is too long.
pub(crate) fn encode_list<'a>(names: impl Iterator<Item = &'a ProtocolName> + Clone) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    for name in names {
        encode(name.as_bytes(), &mut text);
    }
    let mut message = Vec::new();
    encode(&text, &mut message);
    (message.len() <= MESSAGE_BYTES_MAX).then_some(message)
}

/// The names in the text of an answer: lines in a line (js, rust), or names that each end in a newline (py). `None` if it
/// is neither. What cannot be the name of a protocol is left out: some listeners list the header.
pub(crate) fn decode_list(text: &[u8]) -> Option<Vec<ProtocolName>> {
    // Lines in a line may begin with the length 47, a slash. A name that begins with two slashes is the rarer thing.
    let is_flat = text.first() == Some(&SLASH) && text.get(1) != Some(&SLASH);
    let names = if is_flat { None } else { nested(text) };
    names.or_else(|| flat(text))
}

fn nested(mut text: &[u8]) -> Option<Vec<ProtocolName>> {
    let mut names = Vec::new();
    while !text.is_empty() {
        let line = decode(text, text.len()).ok()??;
        names.extend(name(line.text));
        text = text.get(line.used..)?;
    }
    Some(names)
}

fn flat(text: &[u8]) -> Option<Vec<ProtocolName>> {
    let text = text.strip_suffix(b"\n")?;
    Some(text.split(|byte| *byte == b'\n').filter_map(name).collect())
}

fn name(text: &[u8]) -> Option<ProtocolName> {
    if text == HEADER.as_bytes() { None } else { ProtocolName::try_from(text).ok() }
}

#[cfg(test)]
mod tests {
    use alloc::{string::String, vec};

    use proptest::prelude::*;
    use sanswarm_wire::{Framing, SendBuf};

    use super::*;

    fn names(list: &[&str]) -> Vec<ProtocolName> {
        list.iter().map(|text| ProtocolName::try_from(*text).unwrap()).collect()
    }

    #[test]
    fn the_forms_of_peers_are_read() {
        assert_eq!(decode_list(b"\x07/noise\n"), Some(names(&["/noise"])), "js, rust");
        assert_eq!(decode_list(b"\x07/noise\n\x0b/tls/1.0.0\n"), Some(names(&["/noise", "/tls/1.0.0"])));
        assert_eq!(decode_list(b"/noise\n"), Some(names(&["/noise"])), "py");
        assert_eq!(decode_list(b"/noise\n/tls/1.0.0\nbare\n"), Some(names(&["/noise", "/tls/1.0.0", "bare"])));
        assert_eq!(decode_list(b""), Some(vec![]), "nothing known");
        assert_eq!(decode_list(b"\n"), Some(vec![]));
        assert_eq!(decode_list(b"\x13/multistream/1.0.0\n\x03na\n\x04\xff\xfe\xfd\n\x03/a\n"), Some(names(&["/a"])));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in [&b"/noise"[..], b"ls", b"\x07/noise", b"\x07/noise\n\x07/nois", b"\x00", b"\xff\xff\xff"] {
            assert_eq!(decode_list(text), None, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn a_length_of_47_is_no_slash() {
        let long = String::from("/") + &"a".repeat(45);
        assert_eq!(decode_list(format_bytes(47, &long).as_slice()), Some(names(&[&long])), "a line of 47 bytes");
        let flat = String::from("/") + &"b".repeat(46);
        assert_eq!(decode_list(&[flat.as_bytes(), b"\n"].concat()), Some(names(&[&flat])), "a name of 47 bytes");
    }

    fn format_bytes(len: u8, text: &str) -> Vec<u8> {
        [&[len], text.as_bytes(), b"\n"].concat()
    }

    #[test]
    fn a_list_is_as_long_as_every_buffer_has_room_for() {
        let name = |bytes: usize| ProtocolName::try_from("a".repeat(bytes).as_str()).unwrap();
        let fits: Vec<_> = (0..15).map(|_| name(1022)).chain([name(939)]).collect();
        let message = encode_list(fits.iter()).unwrap();
        assert_eq!(message.len(), MESSAGE_BYTES_MAX);
        assert_eq!(decode_list(&message[2..message.len() - 1]), Some(fits));
        let mut send = SendBuf::new(0);
        send.set_framing(Framing { prefix: 2, suffix: 16, plain_max: 65_519 });
        assert!(send.append(&message));
        let too_long: Vec<_> = (0..15).map(|_| name(1022)).chain([name(940)]).collect();
        assert_eq!(encode_list(too_long.iter()), None);
    }

    proptest! {
        #[test]
        fn what_is_listed_is_read(list in prop::collection::vec("/[a-z/.0-9]{0,60}", 0..20)) {
            let list: Vec<_> = list.iter().map(|text| ProtocolName::try_from(text.as_str()).unwrap()).collect();
            let message = encode_list(list.iter()).unwrap();
            let line = decode(&message, LIST_BYTES_MAX).unwrap().unwrap();
            prop_assert_eq!(line.used, message.len());
            // The one form cannot be told from the other if the first name has two slashes in front, or a 47 is first.
            prop_assume!(line.text.first() != Some(&SLASH) || line.text.get(1) == Some(&SLASH));
            prop_assert_eq!(decode_list(line.text), Some(list));
        }

        #[test]
        fn any_bytes_give_a_verdict(text in any::<Vec<u8>>()) {
            if let Some(names) = decode_list(&text) { prop_assert!(names.len() <= text.len()); }
        }
    }
}

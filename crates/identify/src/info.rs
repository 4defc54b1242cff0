//! What a node says of itself.

use alloc::{string::String, vec::Vec};

use bytes::Bytes;
use prost::Message as _;

use crate::{Limits, message::Message};

/// What a node says of itself. Nothing in it is proven.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// The encoded public key. One that differs from the key of the security handshake is an error of the peer.
    pub public_key: Option<Bytes>,
    /// The addresses that it listens on, as binary multiaddrs.
    pub listen_addrs: Vec<Bytes>,
    /// The names of the protocols that it accepts.
    pub protocols: Vec<String>,
    /// The address that it sees of the other end, as a binary multiaddr.
    pub observed_addr: Option<Bytes>,
    /// The network that it belongs to, `ipfs/0.1.0` for example. A difference is no reason to close.
    pub protocol_version: Option<String>,
    /// Its program, `rust-libp2p/0.45.0` for example.
    pub agent_version: Option<String>,
    /// An encoded envelope with a signed peer record.
    pub signed_peer_record: Option<Bytes>,
}

impl Info {
    /// The bytes to send before the stream is closed: a length and one message, at most [`Limits::send`] bytes.
    ///
    /// If they would be more, the last addresses and the last protocols are left out. Should even one of the single
    /// fields not fit, it is left out: the key has the first claim, then what is observed, the versions, the record.
    pub fn encode(&self, limits: &Limits) -> Vec<u8> {
        let mut room = Room(limits.send.saturating_sub(prost::length_delimiter_len(limits.send)));
        let text = |text: &Option<String>| text.as_ref().map(|text| Bytes::copy_from_slice(text.as_bytes()));
        let mut message = Message {
            public_key: room.take(self.public_key.clone()),
            observed_addr: room.take(self.observed_addr.clone()),
            protocol_version: room.take(text(&self.protocol_version)),
            agent_version: room.take(text(&self.agent_version)),
            signed_peer_record: room.take(self.signed_peer_record.clone()),
            ..Message::default()
        };
        // One of each in turn, so that neither list crowds out the other.
        let (mut addrs, mut protocols) = (self.listen_addrs.iter(), self.protocols.iter());
        let (mut more_addrs, mut more_protocols) = (true, true);
        while more_addrs || more_protocols {
            if more_addrs {
                let addr = room.take(addrs.next().cloned());
                more_addrs = addr.is_some();
                message.listen_addrs.extend(addr);
            }
            if more_protocols {
                let protocol = protocols.next().map(|name| Bytes::copy_from_slice(name.as_bytes()));
                let protocol = room.take(protocol);
                more_protocols = protocol.is_some();
                message.protocols.extend(protocol);
            }
        }
        message.encode_length_delimited_to_vec()
    }

    /// Takes over what a push says; what it does not say keeps its value (spec, `identify/push`).
    pub fn update(&mut self, push: Self) {
        fn replace<T>(old: &mut Option<T>, new: Option<T>) {
            if new.is_some() {
                *old = new;
            }
        }
        replace(&mut self.public_key, push.public_key);
        replace(&mut self.observed_addr, push.observed_addr);
        replace(&mut self.protocol_version, push.protocol_version);
        replace(&mut self.agent_version, push.agent_version);
        replace(&mut self.signed_peer_record, push.signed_peer_record);
        if !push.listen_addrs.is_empty() {
            self.listen_addrs = push.listen_addrs;
        }
        if !push.protocols.is_empty() {
            self.protocols = push.protocols;
        }
    }

    /// What the merged messages of a peer say, within the limits.
    pub(crate) fn from_message(message: Message, limits: &Limits) -> Self {
        Self {
            public_key: message.public_key,
            listen_addrs: message.listen_addrs,
            protocols: message.protocols.iter().filter_map(|name| text(name)).collect(),
            observed_addr: message.observed_addr,
            protocol_version: message.protocol_version.and_then(|version| cut(&version, limits.version)),
            agent_version: message.agent_version.and_then(|version| cut(&version, limits.version)),
            signed_peer_record: message.signed_peer_record,
        }
    }
}

/// The bytes that a message may still take.
struct Room(usize);

impl Room {
    /// Gives a field back if it fits: with its tag, which is one byte for all of ours, and its length.
    fn take(&mut self, field: Option<Bytes>) -> Option<Bytes> {
        let field = field?;
        let size = 1 + prost::length_delimiter_len(field.len()) + field.len();
        self.0 = self.0.checked_sub(size)?;
        Some(field)
    }
}

fn text(bytes: &[u8]) -> Option<String> {
    core::str::from_utf8(bytes).ok().map(String::from)
}

/// The text in `bytes`, cut to at most `limit` bytes, on the border of a character.
fn cut(bytes: &[u8], limit: usize) -> Option<String> {
    let whole = core::str::from_utf8(bytes).ok()?;
    let end = (0..=limit.min(whole.len())).rev().find(|at| whole.is_char_boundary(*at))?;
    Some(String::from(&whole[..end]))
}

#[cfg(test)]
mod tests {
    use alloc::{format, vec};

    use super::*;
    use crate::Reader;

    fn read(bytes: &[u8]) -> Info {
        let mut reader = Reader::new(Limits::default());
        assert_eq!(reader.handle_input(bytes), Ok(bytes.len()));
        reader.finish().expect("a whole message")
    }

    fn full() -> Info {
        Info {
            public_key: Some(Bytes::from_static(&[8, 1, 18, 1, 5])),
            listen_addrs: vec![Bytes::from_static(&[4, 127, 0, 0, 1, 6, 0x0f, 0xa1])],
            protocols: vec!["/a".into(), "/b".into()],
            observed_addr: Some(Bytes::from_static(&[4, 10, 0, 0, 1])),
            protocol_version: Some("p".into()),
            agent_version: Some("".into()),
            signed_peer_record: Some(Bytes::from_static(&[9])),
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_spec() {
        let expect = [
            &[40][..],
            &[0x0a, 5, 8, 1, 18, 1, 5],
            &[0x12, 8, 4, 127, 0, 0, 1, 6, 0x0f, 0xa1],
            &[0x1a, 2, b'/', b'a', 0x1a, 2, b'/', b'b'],
            &[0x22, 5, 4, 10, 0, 0, 1],
            &[0x2a, 1, b'p'],
            &[0x32, 0],
            &[0x42, 1, 9],
        ]
        .concat();
        assert_eq!(full().encode(&Limits::default()), expect);
        assert_eq!(read(&expect), full());
        assert_eq!(Info::default().encode(&Limits::default()), [0]);
    }

    #[test]
    fn what_is_sent_keeps_to_its_limit_and_to_the_first_of_each_list() {
        let info = Info {
            listen_addrs: (0..500u32).map(|i| Bytes::copy_from_slice(&i.to_be_bytes())).collect(),
            protocols: (0..1000).map(|i| format!("/protocol/number/{i}")).collect(),
            ..full()
        };
        let bytes = info.encode(&Limits::default());
        assert!((4000..=4096).contains(&bytes.len()), "{}", bytes.len());
        let got = read(&bytes);
        assert!(got.protocols.len() > 100 && got.listen_addrs.len() > 100);
        assert!(info.protocols.starts_with(&got.protocols));
        assert!(info.listen_addrs.starts_with(&got.listen_addrs));
        assert_eq!(got.public_key, info.public_key);
        for send in 0..60 {
            let bytes = full().encode(&Limits { send, ..Limits::default() });
            assert!(bytes.len() <= send.max(1), "{} of {send}", bytes.len());
        }
    }

    #[test]
    fn a_push_changes_only_what_it_says() {
        let mut info = full();
        info.update(Info::default());
        assert_eq!(info, full());
        info.update(Info { protocols: vec!["/c".into()], agent_version: Some("x".into()), ..Info::default() });
        let expect = Info { protocols: vec!["/c".into()], agent_version: Some("x".into()), ..full() };
        assert_eq!(info, expect);
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(cut("aäb".as_bytes(), 2).as_deref(), Some("a"));
        assert_eq!(cut("aäb".as_bytes(), 3).as_deref(), Some("aä"));
        assert_eq!(cut("aäb".as_bytes(), 99).as_deref(), Some("aäb"));
        assert_eq!(cut(&[0xff], 99), None);
    }
}

//! Options from the front of a target's bytes.

use sanswarm_multistream::ProtocolName;
use sanswarm_multistream_select::Limits;

/// Names that go over real wires, and some that are nearly another.
pub const KNOWN: [&str; 20] = [
    "/noise",
    "/tls/1.0.0",
    "/yamux/1.0.0",
    "/mplex/6.7.0",
    "/ipfs/ping/1.0.0",
    "/ipfs/id/1.0.0",
    "/ipfs/id/push/1.0.0",
    "/libp2p/simultaneous-connect",
    "/multistream/1.0.1",
    "/noise ",
    "/noise\r",
    "/noise/2",
    "/nois",
    "/NOISE",
    "noise",
    "\u{7}/noise",
    "/é",
    "/",
    "n",
    "/multistream/1.0.0/",
];

/// The bytes of one case, read from the front. Behind their end all bytes are zero.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// All of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next byte; `None` at the end.
    pub fn maybe(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// The next byte, or zero.
    pub fn byte(&mut self) -> u8 {
        self.maybe().unwrap_or(0)
    }

    /// The next two bytes, the high one first.
    pub fn short(&mut self) -> usize {
        usize::from(self.byte()) << 8 | usize::from(self.byte())
    }

    /// The next `n` bytes, or what there is.
    pub fn take(&mut self, n: usize) -> &'a [u8] {
        let (front, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        front
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.0)
    }

    /// A byte that says how many (0 to 23), then that many names of one byte at least: below 0x7f one of [`KNOWN`],
    /// 0x7f the nested header, below 0xc0 that many bytes as they follow, else a long one whose length follows. What is
    /// no name is left out.
    pub fn names(&mut self) -> Vec<ProtocolName> {
        let count = self.byte() % 24;
        (0..count).filter_map(|_| self.name()).collect()
    }

    fn name(&mut self) -> Option<ProtocolName> {
        let name = match self.byte() {
            0x7f => return Some(ProtocolName::NESTED),
            which @ 0..0x7f => KNOWN[usize::from(which) % KNOWN.len()].to_string(),
            len @ 0x80..0xc0 => String::from_utf8_lossy(self.take(usize::from(len) & 0x3f)).into_owned(),
            letter => {
                let letter = char::from(b'a' + letter % 26);
                ["/", &letter.to_string().repeat(self.short() % 1024)].concat()
            }
        };
        ProtocolName::try_from(name).ok()
    }

    /// A byte for each field, and the value itself for some. Zero is the default of that field.
    pub fn limits(&mut self) -> Limits {
        let default = Limits::default();
        Limits {
            message_bytes: match self.byte() % 8 {
                0 => default.message_bytes,
                1 => 0,
                2 => 19,
                3 => 20,
                4 => usize::from(self.byte()),
                5 => 1025,
                6 => 16_383,
                _ => usize::MAX,
            },
            list_bytes: match self.byte() % 4 {
                0 => default.list_bytes,
                1 => usize::from(self.byte()),
                2 => 1024,
                _ => usize::MAX,
            },
            proposals: match self.byte() % 8 {
                0 => default.proposals,
                n @ 1..6 => u32::from(n) - 1,
                6 => u32::from(self.byte()),
                _ => u32::MAX,
            },
            total_bytes: match self.byte() % 4 {
                0 => default.total_bytes,
                1 => usize::from(self.byte()),
                2 => self.short(),
                _ => usize::MAX,
            },
        }
    }
}

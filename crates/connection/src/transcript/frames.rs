//! Heads of a muxer's frames, read from the bytes of one direction.

use super::{StreamNumber, What};
use crate::{Direction, Muxer};

/// One direction of a muxer's session.
#[derive(Debug, Default)]
pub(super) struct Frames {
    kind: Kind,
    /// Who sends these frames. The numbers of yamux's streams tell who opened them.
    #[cfg_attr(not(feature = "mplex"), allow(dead_code))]
    direction: Option<Direction>,
    /// A head that is not whole.
    head: Vec<u8>,
    /// Bytes of body that are still to come.
    body: u64,
}

/// What the frames are.
#[derive(Clone, Copy, Debug, Default)]
enum Kind {
    /// Of no muxer yet, or no longer readable.
    #[default]
    None,
    #[cfg(feature = "yamux")]
    Yamux {
        /// Whose streams have odd numbers.
        dialer: Direction,
    },
    #[cfg(feature = "mplex")]
    Mplex,
}

/// A head, what it says, and the body that follows.
struct Head {
    stream: Option<StreamNumber>,
    what: What,
    used: usize,
    body: u64,
}

impl Frames {
    pub(super) fn of(muxer: Muxer, direction: Direction, dialer: Direction) -> Self {
        #[cfg(not(feature = "yamux"))]
        let _ = dialer;
        let kind = match muxer {
            #[cfg(feature = "yamux")]
            Muxer::Yamux => Kind::Yamux { dialer },
            #[cfg(feature = "mplex")]
            Muxer::Mplex => Kind::Mplex,
        };
        Self { kind, direction: Some(direction), head: Vec::new(), body: 0 }
    }

    /// So many bytes of a body went by unseen.
    pub(super) fn skip(&mut self, len: usize) {
        self.body = self.body.saturating_sub(len as u64);
    }

    /// Reads on, and tells of each head: its stream, what it says, and its bytes.
    pub(super) fn read(&mut self, mut bytes: &[u8], mut tell: impl FnMut(Option<StreamNumber>, What, usize)) {
        while !bytes.is_empty() && !matches!(self.kind, Kind::None) {
            let skipped = usize::try_from(self.body).map_or(bytes.len(), |body| body.min(bytes.len()));
            self.body -= skipped as u64;
            bytes = bytes.get(skipped..).unwrap_or_default();
            if bytes.is_empty() {
                return;
            }
            let had = self.head.len();
            self.head.extend_from_slice(bytes.get(..bytes.len().min(HEAD_MAX - had)).unwrap_or_default());
            match self.decode() {
                Ok(Some(head)) => {
                    bytes = bytes.get(head.used.saturating_sub(had)..).unwrap_or_default();
                    self.head.clear();
                    self.body = head.body;
                    tell(head.stream, head.what, head.used);
                }
                Ok(None) => return,
                Err(()) => {
                    tell(None, What::NoFrame, bytes.len());
                    self.kind = Kind::None;
                }
            }
        }
    }

    fn decode(&self) -> Result<Option<Head>, ()> {
        match self.kind {
            Kind::None => Ok(None),
            #[cfg(feature = "yamux")]
            Kind::Yamux { dialer } => yamux(&self.head, dialer),
            #[cfg(feature = "mplex")]
            Kind::Mplex => mplex(&self.head, self.direction.unwrap_or(Direction::Inbound)),
        }
    }
}

/// The longest head of any muxer, in bytes.
const HEAD_MAX: usize = 18;

#[cfg(feature = "yamux")]
fn yamux(bytes: &[u8], dialer: Direction) -> Result<Option<Head>, ()> {
    use sanswarm_yamux::{HEADER_BYTES, Header, Kind};

    let Some(head) = bytes.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
    let header = Header::decode(head).map_err(|_| ())?;
    let kind = match header.kind {
        Kind::Data => "DATA",
        Kind::WindowUpdate => "WINDOW_UPDATE",
        Kind::Ping => "PING",
        Kind::GoAway => "GO_AWAY",
    };
    let opener = if header.stream % 2 == 1 { dialer } else { dialer.other() };
    let stream = (header.stream > 0).then_some(StreamNumber { number: header.stream.into(), opener });
    let what = What::Yamux(super::YamuxFrame { kind, flags: header.flags.bits(), length: header.length });
    Ok(Some(Head { stream, what, used: HEADER_BYTES, body: header.body().into() }))
}

#[cfg(feature = "mplex")]
fn mplex(bytes: &[u8], sender: Direction) -> Result<Option<Head>, ()> {
    use sanswarm_mplex::{Header, Kind};

    let Some((header, used)) = Header::decode(bytes, u32::MAX).map_err(|_| ())? else { return Ok(None) };
    let kind = match header.kind {
        Kind::NewStream => "NEW_STREAM",
        Kind::Message => "MESSAGE",
        Kind::Close => "CLOSE",
        Kind::Reset => "RESET",
    };
    let opener = if header.by_opener { sender } else { sender.other() };
    let stream = Some(StreamNumber { number: header.id, opener });
    let what = What::Mplex(super::MplexFrame { kind, length: header.length });
    Ok(Some(Head { stream, what, used, body: header.length.into() }))
}

#[cfg(all(test, feature = "yamux", feature = "mplex"))]
mod tests {
    use super::*;

    /// What is read of `bytes` in pieces of `chunk`, as text.
    fn read(mut frames: Frames, bytes: &[u8], chunk: usize) -> Vec<String> {
        let mut out = Vec::new();
        for piece in bytes.chunks(chunk) {
            frames.read(piece, |stream, what, _| {
                let stream = stream.map(|s| format!("{}{:?} ", s.number, s.opener)).unwrap_or_default();
                out.push(format!("{stream}{what}"));
            });
        }
        out
    }

    #[test]
    fn heads_are_found_behind_bodies_whatever_the_pieces() {
        let yamux = [
            &[0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 3][..],
            b"abc",
            &[0, 1, 0, 2, 0, 0, 0, 2, 0, 4, 0, 0],
            &[0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7],
            &[0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        ]
        .concat();
        let mplex = [&[0x08, 0x01, b'1', 0x0a, 0x02][..], b"hi", &[0x0b, 0x00, 0x0d, 0x00]].concat();
        for chunk in [1, 5, 100] {
            let frames = Frames::of(Muxer::Yamux, Direction::Outbound, Direction::Outbound);
            assert_eq!(
                read(frames, &yamux, chunk),
                ["1Outbound DATA SYN 3 bytes", "2Inbound WINDOW_UPDATE ACK +262144", "PING SYN 7", "GO_AWAY 1"]
            );
            let frames = Frames::of(Muxer::Mplex, Direction::Outbound, Direction::Outbound);
            assert_eq!(
                read(frames, &mplex, chunk),
                ["1Outbound NEW_STREAM 1 bytes", "1Outbound MESSAGE 2 bytes", "1Inbound CLOSE", "1Inbound RESET"]
            );
        }
    }

    #[test]
    fn what_is_no_frame_is_said_once_and_ends_it() {
        let frames = Frames::of(Muxer::Yamux, Direction::Inbound, Direction::Outbound);
        assert_eq!(read(frames, &[9; 40], 20), ["bytes that are no frame"]);
        assert_eq!(read(Frames::default(), &[0; 40], 20), [""; 0]);
    }

    #[test]
    fn bodies_that_went_by_unseen_are_skipped() {
        let mut frames = Frames::of(Muxer::Yamux, Direction::Inbound, Direction::Outbound);
        frames.read(&[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 3], |_, _, _| {});
        frames.skip(3);
        let mut kinds = 0;
        frames.read(&[0, 2, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7], |_, what, _| {
            assert_eq!(what.to_string(), "PING ACK 7");
            kinds += 1;
        });
        assert_eq!(kinds, 1);
    }
}

//! Two ciphers, and the wire from one to the other with edits.
//!
//! Whatever the pieces, all frames before the first byte that is not as it was sent come out, and nothing behind.
//!
//! Input: the libraries of both ends, then operations: 0 writes so many bytes as its argument says squared, 1 seals, 2 to
//! 5 deliver a piece, 6 edits what is on its way (two bytes say where, one with what).

#![no_main]

use libfuzzer_sys::fuzz_target;
use sanswarm_fuzz::{
    Input,
    noise::{ciphers, edit_once},
};
use sanswarm_noise::{Cipher, Error};
use sanswarm_wire::{RecvBuf, SendBuf};

struct World {
    from: Cipher,
    to: Cipher,
    send: SendBuf,
    recv: RecvBuf,
    /// All that was written, and of that what was sealed, by where its frame ends on the wire.
    written: Vec<u8>,
    frames: Vec<(usize, usize)>,
    /// All that was sealed, and all that has been delivered; what is on its way may have been edited.
    wire: Vec<u8>,
    way: Vec<u8>,
    delivered: Vec<u8>,
    opened: Vec<u8>,
    error: Option<Error>,
}

impl World {
    fn new([from, to]: [Cipher; 2]) -> Self {
        let mut send = SendBuf::default();
        send.set_framing(Cipher::framing());
        let (recv, frames) = (RecvBuf::new(0), Vec::new());
        let [written, wire, way, delivered, opened] = [const { Vec::new() }; 5];
        Self { from, to, send, recv, written, frames, wire, way, delivered, opened, error: None }
    }

    fn write(&mut self, len: usize) {
        let len = len.min(self.send.room());
        let text: Vec<u8> = (self.written.len()..).take(len).map(|n| (n % 251) as u8).collect();
        assert!(self.send.append(&text));
        self.written.extend(text);
    }

    fn seal(&mut self) {
        if !self.from.seal(&mut self.send).expect("a frame") {
            return;
        }
        let ready = self.send.ready();
        self.wire.extend_from_slice(ready);
        self.way.extend_from_slice(ready);
        self.send.sent(usize::MAX / 2);
        self.frames.push((self.wire.len(), self.written.len()));
    }

    fn deliver(&mut self, len: usize) {
        let fed = self.recv.feed(&self.way[..len.min(self.way.len())]);
        self.delivered.extend(self.way.drain(..fed));
        loop {
            match self.to.open(&mut self.recv) {
                Ok(true) => {
                    self.opened.extend_from_slice(self.recv.plain());
                    self.recv.consume(usize::MAX / 2);
                }
                Ok(false) => break,
                Err(error) => {
                    assert!(self.recv.plain().is_empty(), "nothing of what was refused");
                    assert!(matches!(error, Error::Authentication | Error::TooShort { .. }), "{error:?}");
                    assert_eq!(*self.error.get_or_insert(error), error, "sticky");
                    break;
                }
            }
        }
        self.check();
    }

    fn check(&self) {
        let same = self.wire.iter().zip(&self.delivered).take_while(|(sent, got)| sent == got).count();
        let whole = self.frames.iter().take_while(|(end, _)| *end <= same).last();
        let opened = whole.map_or(0, |(_, written)| *written);
        assert_eq!(self.opened, self.written[..opened]);
        assert!(self.error.is_none() || same < self.delivered.len(), "what is honest is opened");
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let mut world = World::new(ciphers(input.byte().into(), input.byte().into()));
    while let Some(op) = input.maybe() {
        let arg = usize::from(input.byte());
        match op % 7 {
            0 => world.write(arg * arg + 1),
            1 => world.seal(),
            2..=5 if world.error.is_none() => world.deliver(arg * arg + 1),
            6 => edit_once(&mut world.way, op / 7, arg << 8 | usize::from(input.byte()), input.byte()),
            _ => {}
        }
    }
    world.seal();
    // The cipher says what it waits for, so whatever is whole gets in.
    while world.error.is_none() && !world.way.is_empty() {
        let before = world.way.len();
        world.deliver(usize::MAX / 2);
        assert!(world.way.len() < before || world.error.is_some(), "there is room for a frame");
    }
});

//! A whole listener: security, Noise, a muxer, streams that echo.

use std::sync::Arc;

use sanswarm_noise::{Cipher, Config, Handshake};
use sanswarm_wire::{RecvBuf, Role, SendBuf};

use super::{Manner, Mux, Select};
use crate::common::{LISTENER, noise};

enum Stage {
    Security(Select),
    Handshake(Box<Handshake>),
    Muxer(Select),
    Streams(Box<Mux>),
    /// It broke off.
    Over,
}

pub(crate) struct Peer {
    manner: Manner,
    muxers: &'static [&'static str],
    streams: &'static [&'static str],
    stage: Stage,
    cipher: Option<Cipher>,
    recv: RecvBuf,
    send: SendBuf,
    /// What was agreed on before there were streams.
    pub(crate) agreed: Vec<String>,
}

impl Peer {
    /// A listener that speaks these.
    pub(crate) fn new(
        manner: Manner,
        security: &'static [&'static str],
        muxers: &'static [&'static str],
        streams: &'static [&'static str],
    ) -> Self {
        let stage = Stage::Security(Select::new(manner, security));
        Self { stage, ..Self::secured(manner, muxers, streams) }
    }

    /// The same on a pipe that is secure already.
    pub(crate) fn secured(manner: Manner, muxers: &'static [&'static str], streams: &'static [&'static str]) -> Self {
        let stage = Stage::Muxer(Select::new(manner, muxers));
        let (recv, send) = Default::default();
        Self { manner, muxers, streams, stage, cipher: None, recv, send, agreed: Vec::new() }
    }

    /// Takes bytes, and gives what it says to them. Without bytes: what it says unasked.
    pub(crate) fn handle(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut rest = bytes;
        loop {
            rest = &rest[self.recv.feed(rest)..];
            while self.step() {}
            if rest.is_empty() {
                break;
            }
        }
        if let Some(cipher) = &mut self.cipher {
            cipher.seal(&mut self.send).unwrap();
        }
        let out = self.send.ready().to_vec();
        self.send.sent(out.len());
        out
    }

    pub(crate) fn mux(&self) -> Option<&Mux> {
        match &self.stage {
            Stage::Streams(mux) => Some(mux),
            _ => None,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    fn step(&mut self) -> bool {
        if let Stage::Handshake(_) = self.stage {
            return self.step_handshake();
        }
        match &mut self.cipher {
            Some(cipher) => drop(cipher.open(&mut self.recv).expect("a good frame")),
            None => self.recv.reveal_all(),
        }
        let plain = self.recv.plain().to_vec();
        self.recv.consume(plain.len());
        let (out, next) = match &mut self.stage {
            Stage::Security(select) | Stage::Muxer(select) => {
                let mut out = select.greet();
                out.extend(select.handle(&plain));
                (out, select.agreed.clone().map(|name| (name, select.take_rest())))
            }
            Stage::Streams(mux) => (mux.handle(&plain), None),
            Stage::Handshake(_) | Stage::Over => return false,
        };
        assert!(out.is_empty() || self.send.append(&out));
        if let Stage::Security(Select { failed: true, .. }) | Stage::Muxer(Select { failed: true, .. }) = self.stage {
            self.stage = Stage::Over;
        }
        if let Some((name, rest)) = next {
            self.agreed.push(name);
            self.go_on(&rest);
            return true;
        }
        !plain.is_empty()
    }

    /// After an agreement, behind which `rest` has come already.
    fn go_on(&mut self, rest: &[u8]) {
        if let Stage::Muxer(_) = self.stage {
            let mut mux = Mux::new(self.manner, self.streams);
            let out = mux.handle(rest);
            assert!(out.is_empty() || self.send.append(&out));
            self.stage = Stage::Streams(Box::new(mux));
            return;
        }
        let names = if self.manner.names_muxers { self.muxers } else { &[] };
        let muxers = names.iter().map(|name| name.as_bytes().into()).collect();
        let config = Arc::new(Config { muxers, ..noise(LISTENER) });
        self.stage = Stage::Handshake(Box::new(Handshake::new(Role::Listener, config, [77; 32]).unwrap()));
        // What was taken too early goes back in front of what has come since.
        let more = self.recv.sealed_mut().to_vec();
        self.recv = RecvBuf::default();
        self.recv.feed(&[rest, &more].concat());
    }

    fn step_handshake(&mut self) -> bool {
        let Stage::Handshake(handshake) = &mut self.stage else { return false };
        let (used, claim) = handshake.handle_input(self.recv.sealed_mut()).expect("a good handshake");
        self.recv.reveal(used, 0, 0);
        if claim.is_some() {
            handshake.handle_verdict(true).unwrap();
        }
        handshake.poll_transmit(&mut self.send);
        if !handshake.is_done() {
            return used > 0;
        }
        let Stage::Handshake(handshake) = core::mem::replace(&mut self.stage, Stage::Over) else { return false };
        let (cipher, remote) = handshake.finish().unwrap();
        self.cipher = Some(cipher);
        self.send.set_framing(Cipher::framing());
        let theirs = remote.muxers.filter(|_| self.manner.names_muxers);
        let common = theirs.map(|theirs| theirs.iter().any(|name| self.muxers.iter().any(|n| n.as_bytes() == name)));
        self.stage = match common {
            None => Stage::Muxer(Select::new(self.manner, self.muxers)),
            Some(true) => Stage::Streams(Box::new(Mux::new(self.manner, self.streams))),
            Some(false) => Stage::Over,
        };
        true
    }
}

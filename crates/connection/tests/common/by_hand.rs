//! A peer made of the protocols themselves, which can be told to do what no `Connection` does.

use std::sync::Arc;

use sanswarm_multistream_select::{self as select, Greeting, Mode, Names, Negotiator, Outcome};
use sanswarm_noise::{Cipher, Handshake, StaticKey};
use sanswarm_wire::{RecvBuf, Role, SendBuf};
use sanswarm_yamux::{self as yamux, Session};

use super::{End, keypair, name, names, now};

/// Noise with the identity `seed` and without extensions.
pub(crate) fn noise(seed: u8) -> sanswarm_noise::Config {
    let key = StaticKey::from_secret([seed + 1; 32]);
    let signature = keypair(seed).sign(&key.message()).unwrap();
    sanswarm_noise::Config::new(key, keypair(seed).public().encode_protobuf(), signature)
}

pub(crate) struct ByHand {
    role: Role,
    pub(crate) recv: RecvBuf,
    pub(crate) send: SendBuf,
    negotiator: Negotiator,
    muxers: &'static [&'static str],
    handshake: Option<Handshake>,
    cipher: Option<Cipher>,
    pub(crate) session: Option<Session>,
    /// Of the session, when it comes.
    pub(crate) limits: yamux::Limits,
    pub(crate) events: Vec<yamux::Event>,
    /// All payload, whatever the stream.
    pub(crate) data: Vec<u8>,
    pub(crate) remote_muxers: Option<usize>,
}

impl ByHand {
    pub(crate) fn new(
        role: Role,
        security: &'static [&'static str],
        noise: sanswarm_noise::Config,
        muxers: &'static [&'static str],
    ) -> Self {
        Self {
            role,
            recv: RecvBuf::default(),
            send: SendBuf::default(),
            negotiator: negotiator(role, security),
            muxers,
            handshake: Some(Handshake::new(role, Arc::new(noise), [77; 32]).unwrap()),
            cipher: None,
            session: None,
            limits: yamux::Limits::default(),
            events: Vec::new(),
            data: Vec::new(),
            remote_muxers: None,
        }
    }

    /// A listener that has everything but extensions.
    pub(crate) fn listener(seed: u8) -> Self {
        Self::new(Role::Listener, &["/noise"], noise(seed), &["/yamux/1.0.0"])
    }

    pub(crate) fn settle(&mut self) {
        while self.step() {}
    }

    fn step(&mut self) -> bool {
        let moved = match (&mut self.handshake, &mut self.cipher) {
            (Some(_), None) => self.step_security(),
            (None, Some(cipher)) => {
                let opened = cipher.open(&mut self.recv).expect("a good frame");
                self.step_muxer() || opened
            }
            _ => unreachable!(),
        };
        let before = self.send.total();
        self.flush();
        moved || self.send.total() > before
    }

    fn step_security(&mut self) -> bool {
        self.recv.reveal_all();
        let (used, _) = self.negotiator.handle_input(self.recv.plain()).unwrap_or((0, None));
        self.recv.consume(used);
        if !has_agreed(&self.negotiator) {
            return used > 0;
        }
        self.recv.reseal();
        let Some(handshake) = &mut self.handshake else { return false };
        let (more, claim) = handshake.handle_input(self.recv.sealed_mut()).expect("a good handshake");
        self.recv.reveal(more, 0, 0);
        if claim.is_some() {
            handshake.handle_verdict(true).unwrap();
        }
        used + more > 0
    }

    fn step_muxer(&mut self) -> bool {
        let Some(session) = &mut self.session else {
            let Ok((used, outcome)) = self.negotiator.handle_input(self.recv.plain()) else { return false };
            self.recv.consume(used);
            if let Some(Outcome::Agreed(_)) = outcome {
                let config = yamux::Config { limits: self.limits.clone(), ..yamux::Config::default() };
                self.session = Some(Session::new(self.role, config));
            }
            return used > 0;
        };
        let (used, event) = session.handle_input(now(), self.recv.plain()).expect("good frames");
        self.recv.consume(used);
        if let Some(event) = event {
            if let yamux::Event::Data { len, .. } = event {
                self.data.extend_from_slice(&self.recv.take(len));
            }
            self.events.push(event);
        }
        used > 0 || event.is_some()
    }

    fn flush(&mut self) {
        self.negotiator.poll_transmit(&mut self.send);
        let agreed = has_agreed(&self.negotiator);
        if let Some(handshake) = self.handshake.as_mut().filter(|_| agreed) {
            handshake.poll_transmit(&mut self.send);
        }
        if let Some(handshake) = self.handshake.take_if(|h| h.is_done()) {
            let (cipher, remote) = handshake.finish().unwrap();
            self.remote_muxers = remote.muxers.map(|list| list.len());
            self.cipher = Some(cipher);
            self.send.set_framing(Cipher::framing());
            self.negotiator = negotiator(self.role, self.muxers);
            self.negotiator.poll_transmit(&mut self.send);
        }
        if let Some(session) = &mut self.session {
            session.poll_transmit(now(), &mut self.send);
        }
        self.seal();
    }

    fn seal(&mut self) {
        if let Some(cipher) = &mut self.cipher {
            cipher.seal(&mut self.send).unwrap();
        }
    }

    /// Sends `bytes` in a frame of the cipher, as they are.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        assert!(self.send.append(bytes));
        self.seal();
    }

    /// Exchanges bytes with `end` until nothing moves.
    pub(crate) fn run_with(&mut self, end: &mut End) {
        loop {
            end.settle(now());
            self.settle();
            let n = self.recv.feed(end.send.ready());
            end.send.sent(n);
            self.settle();
            let m = end.recv.feed(self.send.ready());
            self.send.sent(m);
            if n + m == 0 {
                return;
            }
        }
    }
}

fn negotiator(role: Role, list: &'static [&'static str]) -> Negotiator {
    match role {
        Role::Dialer => Negotiator::dialer(names(list), Mode::Lazy),
        Role::Listener => {
            let known: Names = list.iter().map(|n| name(n)).collect();
            Negotiator::listener(Arc::new(known.with_list()), Greeting::WithReply)
        }
    }
}

/// Asks a copy, since the question ends a negotiation.
fn has_agreed(negotiator: &Negotiator) -> bool {
    negotiator.clone().handle_eof() == select::Error::Agreed
}

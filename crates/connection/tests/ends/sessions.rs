//! Sessions of the muxers by themselves, with a user who keeps what is unread in inboxes.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use sanswarm_wire::{Inbox, Instant, Key, Role, SendBuf};
use {sanswarm_mplex as mplex, sanswarm_yamux as yamux};

use super::{Answer, Ends, Seen, Side};

const NOW: Instant = Instant::ZERO;

/// One end: a session and its user.
struct End<S> {
    session: S,
    send: SendBuf,
    /// What has come and was not used.
    hand: Vec<u8>,
    /// In the order in which they came to be.
    keys: Vec<Key>,
    inboxes: BTreeMap<Key, Inbox>,
    seen: BTreeMap<Key, Seen>,
    paused: BTreeSet<Key>,
    stopped: BTreeSet<Key>,
    live: BTreeSet<Key>,
}

pub(crate) struct Pair<S> {
    a: End<S>,
    b: End<S>,
    has_windows: bool,
}

impl<S> Pair<S> {
    fn end(&mut self, side: Side) -> &mut End<S> {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }

    fn of(&self, side: Side) -> &End<S> {
        match side {
            Side::A => &self.a,
            Side::B => &self.b,
        }
    }
}

/// The verbs are the same and the types are not.
macro_rules! ends {
    ($muxer:ident) => {
        impl End<$muxer::Session> {
            fn new(session: $muxer::Session) -> Self {
                Self {
                    session,
                    send: SendBuf::default(),
                    hand: Vec::new(),
                    keys: Vec::new(),
                    inboxes: BTreeMap::new(),
                    seen: BTreeMap::new(),
                    paused: BTreeSet::new(),
                    stopped: BTreeSet::new(),
                    live: BTreeSet::new(),
                }
            }

            fn handle(&mut self, bytes: &[u8]) {
                self.hand.extend_from_slice(bytes);
                loop {
                    let (used, event) = self.session.handle_input(NOW, &self.hand).expect("an honest peer");
                    self.hand.drain(..used);
                    match event {
                        None if used == 0 => break,
                        Some($muxer::Event::Opened { stream }) => {
                            self.session.accept(stream);
                            self.keys.push(stream);
                            self.live.insert(stream);
                            self.seen.entry(stream).or_default().opened += 1;
                        }
                        Some($muxer::Event::Data { stream, len, last }) => {
                            let payload: Vec<u8> = self.hand.drain(..len).collect();
                            if self.stopped.contains(&stream) {
                                self.session.consumed(stream, len);
                            } else {
                                self.inboxes.entry(stream).or_default().push(Bytes::from(payload));
                            }
                            self.seen.entry(stream).or_default().finished += usize::from(last);
                        }
                        Some($muxer::Event::Finished { stream }) => self.seen.entry(stream).or_default().finished += 1,
                        Some($muxer::Event::Reset { stream }) => {
                            self.inboxes.remove(&stream);
                            self.live.remove(&stream);
                            self.seen.entry(stream).or_default().reset += 1;
                        }
                        _ => {}
                    }
                    self.read();
                }
            }

            fn read(&mut self) {
                for (key, inbox) in self.inboxes.iter_mut().filter(|(key, _)| !self.paused.contains(key)) {
                    while let Some(slice) = inbox.pop() {
                        self.session.consumed(*key, slice.len());
                        self.seen.entry(*key).or_default().data.extend_from_slice(&slice);
                    }
                }
            }

            fn flush(&mut self) -> Vec<u8> {
                while self.session.poll_transmit(NOW, &mut self.send) > 0 {}
                while let Some(id) = self.session.poll_writable() {
                    self.session.decline(id);
                }
                let bytes = self.send.ready().to_vec();
                self.send.sent(bytes.len());
                bytes
            }
        }

        impl Pair<$muxer::Session> {
            fn key(&self, side: Side, stream: usize) -> Option<Key> {
                self.of(side).keys.get(stream).copied()
            }
        }

        impl Ends for Pair<$muxer::Session> {
            fn open(&mut self) {
                let key = self.a.session.open().unwrap();
                self.a.keys.push(key);
                self.a.live.insert(key);
            }

            fn write(&mut self, side: Side, stream: usize, data: &[u8]) -> Result<usize, Answer> {
                let key = self.key(side, stream).ok_or(Answer::Gone)?;
                let end = self.end(side);
                end.session.write(NOW, key, data, &mut end.send).map_err(|error| match error {
                    $muxer::WriteError::Finished => Answer::Finished,
                    _ => Answer::Gone,
                })
            }

            fn finish(&mut self, side: Side, stream: usize) -> Answer {
                let Some(key) = self.key(side, stream) else { return Answer::Gone };
                self.end(side).session.finish(key).map_or(Answer::Gone, |()| Answer::Done)
            }

            fn reset(&mut self, side: Side, stream: usize) -> Answer {
                let Some(key) = self.key(side, stream) else { return Answer::Gone };
                let end = self.end(side);
                end.live.remove(&key);
                end.inboxes.remove(&key);
                end.session.reset(key).map_or(Answer::Gone, |()| Answer::Done)
            }

            fn stop(&mut self, side: Side, stream: usize) -> Answer {
                let Some(key) = self.key(side, stream) else { return Answer::Gone };
                let end = self.end(side);
                end.stopped.insert(key);
                let unread = end.inboxes.remove(&key).map_or(0, |inbox| inbox.len());
                end.session.consumed(key, unread);
                end.session.stop(key).map_or(Answer::Gone, |()| Answer::Done)
            }

            fn pause(&mut self, side: Side, stream: usize, paused: bool) {
                let key = self.key(side, stream).unwrap();
                let end = self.end(side);
                if paused {
                    end.paused.insert(key);
                } else {
                    end.paused.remove(&key);
                    end.read();
                    end.handle(&[]);
                }
            }

            fn carry(&mut self, from: Side) {
                loop {
                    let bytes = self.end(from).flush();
                    if bytes.is_empty() {
                        return;
                    }
                    self.end(from.other()).handle(&bytes);
                }
            }

            fn seen(&self, side: Side, stream: usize) -> Seen {
                self.key(side, stream).and_then(|key| self.of(side).seen.get(&key)).cloned().unwrap_or_default()
            }

            fn live(&self, side: Side) -> usize {
                self.of(side).session.len()
            }

            fn finish_again(&self) -> Answer {
                Answer::Done
            }

            fn has_windows(&self) -> bool {
                self.has_windows
            }
        }
    };
}

ends!(yamux);
ends!(mplex);

pub(crate) fn over_yamux() -> Pair<yamux::Session> {
    let session = |role| yamux::Session::new(role, yamux::Config::default());
    Pair {
        a: End::<yamux::Session>::new(session(Role::Dialer)),
        b: End::<yamux::Session>::new(session(Role::Listener)),
        has_windows: true,
    }
}

pub(crate) fn over_mplex() -> Pair<mplex::Session> {
    let session = |role| mplex::Session::new(role, mplex::Limits::default());
    Pair {
        a: End::<mplex::Session>::new(session(Role::Dialer)),
        b: End::<mplex::Session>::new(session(Role::Listener)),
        has_windows: false,
    }
}

//! Whole connections: security, a muxer, and a negotiation in front of each stream.

use std::collections::BTreeSet;

use sanswarm_connection::{Event, Open, ReadError, StreamId, WriteError};

use super::{Answer, Ends, Seen, Side};
use crate::common::{End, Pair};

const NAME: &str = "/contract/1.0.0";

/// What the user of one end has read, and would not read.
#[derive(Default)]
struct User {
    keys: Vec<StreamId>,
    data: Vec<Vec<u8>>,
    paused: BTreeSet<StreamId>,
    /// Events that were looked at.
    looked: usize,
}

pub(crate) struct Whole {
    pair: Pair,
    how: Open,
    a: User,
    b: User,
    has_windows: bool,
}

impl Whole {
    pub(crate) fn new(mut pair: Pair, how: Open, has_windows: bool) -> Self {
        pair.b.echoes = false;
        (pair.a.reads, pair.b.reads) = (false, false);
        let looked = |end: &End| User { looked: end.events.len(), ..User::default() };
        Self { a: looked(&pair.a), b: looked(&pair.b), pair, how, has_windows }
    }

    fn end(&mut self, side: Side) -> (&mut End, &mut User) {
        match side {
            Side::A => (&mut self.pair.a, &mut self.a),
            Side::B => (&mut self.pair.b, &mut self.b),
        }
    }

    fn of(&self, side: Side) -> (&End, &User) {
        match side {
            Side::A => (&self.pair.a, &self.a),
            Side::B => (&self.pair.b, &self.b),
        }
    }

    fn key(&self, side: Side, stream: usize) -> Option<StreamId> {
        self.of(side).1.keys.get(stream).copied()
    }

    /// Lets a side look at its events and read.
    fn serve(&mut self, side: Side) {
        let (end, user) = self.end(side);
        for event in &end.events[user.looked..] {
            if let (Side::B, Event::Opened { stream, .. }) = (side, event) {
                user.keys.push(*stream);
                user.data.push(Vec::new());
            }
        }
        user.looked = end.events.len();
        for (key, data) in user.keys.iter().zip(&mut user.data) {
            while !user.paused.contains(key) {
                match end.conn.read(*key) {
                    Ok(Some(bytes)) => data.extend_from_slice(&bytes),
                    Ok(None) | Err(ReadError::Finished | ReadError::Gone) => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
}

fn answer(result: Result<(), WriteError>) -> Answer {
    match result {
        Ok(()) => Answer::Done,
        Err(WriteError::Finished) => Answer::Finished,
        Err(_) => Answer::Gone,
    }
}

impl Ends for Whole {
    fn open(&mut self) {
        let key = self.pair.a.open(&[NAME], self.how);
        self.a.keys.push(key);
        self.a.data.push(Vec::new());
    }

    fn write(&mut self, side: Side, stream: usize, data: &[u8]) -> Result<usize, Answer> {
        let key = self.key(side, stream).ok_or(Answer::Gone)?;
        let at = self.pair.at;
        let (end, _) = self.end(side);
        end.conn.write(at, key, data, &mut end.send).map_err(|error| answer(Err(error)))
    }

    fn finish(&mut self, side: Side, stream: usize) -> Answer {
        let Some(key) = self.key(side, stream) else { return Answer::Gone };
        answer(self.end(side).0.conn.finish(key))
    }

    fn reset(&mut self, side: Side, stream: usize) -> Answer {
        let Some(key) = self.key(side, stream) else { return Answer::Gone };
        answer(self.end(side).0.conn.reset(key))
    }

    fn stop(&mut self, side: Side, stream: usize) -> Answer {
        let Some(key) = self.key(side, stream) else { return Answer::Gone };
        answer(self.end(side).0.conn.stop(key))
    }

    fn pause(&mut self, side: Side, stream: usize, paused: bool) {
        let key = self.key(side, stream).unwrap();
        let user = self.end(side).1;
        if paused {
            user.paused.insert(key);
        } else {
            user.paused.remove(&key);
        }
        self.serve(side);
    }

    fn carry(&mut self, from: Side) {
        let at = self.pair.at;
        loop {
            self.end(from).0.settle(at);
            self.serve(from);
            self.end(from).0.settle(at);
            let (near, far) = match from {
                Side::A => (&mut self.pair.a, &mut self.pair.b),
                Side::B => (&mut self.pair.b, &mut self.pair.a),
            };
            let n = far.recv.feed(near.send.ready());
            near.send.sent(n);
            far.poll(at);
            self.serve(from.other());
            if n == 0 {
                return;
            }
        }
    }

    fn seen(&self, side: Side, stream: usize) -> Seen {
        let Some(key) = self.key(side, stream) else { return Seen::default() };
        let (end, user) = self.of(side);
        let count = |event: &Event| end.events.iter().filter(|seen| *seen == event).count();
        Seen {
            opened: if side == Side::B { end.inbound().iter().filter(|id| **id == key).count() } else { 0 },
            data: user.data[stream].clone(),
            finished: count(&Event::Finished { stream: key }),
            // A stream that fails before it was agreed upon is refused: the same to its user.
            reset: count(&Event::Reset { stream: key }) + usize::from(end.refusal(key).is_some()),
        }
    }

    fn live(&self, side: Side) -> usize {
        self.of(side).0.conn.stats().streams
    }

    fn finish_again(&self) -> Answer {
        Answer::Finished
    }

    fn has_windows(&self) -> bool {
        self.has_windows
    }
}

//! Fair writers: who may write next, and how much.

use crate::{Key, Ring};

/// What a muxer keeps of each of its streams for [`Turns`]. A new stream has the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// What is left of its turn, in bytes.
    left: u16,
    /// It was told that it can write and did not.
    silent: bool,
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// All was taken: the stream waits for nothing.
    All,
    /// There was no room for all, or the turn was over: the stream waits in line.
    Short,
    /// The stream could not write more with any room (no credit, not opened yet). It is not in line; the muxer
    /// remembers it and calls [`Turns::join`] when the obstacle has gone.
    Blocked,
}

/// The writers of one connection that came short, in line. A stream [leaves](Self::leave) before it goes.
///
/// Only the first in line is told that it can write, when there is room. While others wait it may write
/// [`TURN_BYTES`](Self::TURN_BYTES) and then goes to the end of the line. One that was told and has not tried by the
/// next flush goes to the end too, and the second time leaves the line, so that nobody who lost interest holds up the
/// others; it knows that it can write and keeps its turn.
///
/// ```
/// use sanswarm_wire::{Slab, Turn, Turns, Wrote};
///
/// let (mut turns, mut streams) = (Turns::new(), Slab::new());
/// let (a, b) = (streams.insert(Turn::default()), streams.insert(Turn::default()));
/// for id in [a, b] {
///     turns.wrote(id, streams.get_mut(id).unwrap(), 0, Wrote::Short);      // neither had room
/// }
/// turns.saw_room(true);                                                    // a flush made some
/// assert_eq!(turns.poll(|id| streams.get_mut(id)), Some(a));
/// assert_eq!(turns.poll(|id| streams.get_mut(id)), None);                  // told once
/// let turn = streams.get_mut(a).unwrap();
/// assert_eq!(turns.allowed(a, *turn), Turns::TURN_BYTES);
/// turns.wrote(a, turn, Turns::TURN_BYTES, Wrote::Short);                   // it had more to write
/// assert_eq!(turns.poll(|id| streams.get_mut(id)), Some(b));               // and waits behind b
/// ```
#[derive(Clone, Debug, Default)]
pub struct Turns {
    line: Ring,
    /// The head that was told to write and has not tried since.
    told: Option<Key>,
    /// There was room when the buffer was last seen.
    has_room: bool,
}

impl Turns {
    /// The most that a stream writes in its turn while others wait, in bytes.
    pub const TURN_BYTES: usize = 16 * 1024;

    /// Nobody waits, and no room has been seen.
    pub const fn new() -> Self {
        Self { line: Ring::new(), told: None, has_room: false }
    }

    /// The most that `key` may write now, in bytes: what is left of its turn while others wait, else all it likes.
    pub fn allowed(&self, key: Key, turn: Turn) -> usize {
        if self.has_others(key) { turn.left.into() } else { usize::MAX }
    }

    /// Says that `key` has tried to write, that `taken` bytes were taken, and how it ended.
    pub fn wrote(&mut self, key: Key, turn: &mut Turn, taken: usize, end: Wrote) {
        self.tried(key);
        turn.silent = false;
        let others = self.has_others(key);
        let had_turn = turn.left > 0;
        if others {
            turn.left = turn.left.saturating_sub(u16::try_from(taken).unwrap_or(u16::MAX));
        }
        match end {
            Wrote::All => self.leave(key),
            Wrote::Blocked => {
                turn.left = 0;
                self.leave(key);
            }
            Wrote::Short if others && had_turn && turn.left == 0 => self.line.move_back(key),
            Wrote::Short => self.join(key),
        }
    }

    /// Gives up what is left of the turn of `key` and puts it at the end of the line: its message must go whole and
    /// found too little room, and a turn that is too short for it would hold up the others for ever.
    pub fn wait(&mut self, key: Key, turn: &mut Turn) {
        if self.has_others(key) {
            turn.left = 0;
            self.line.move_back(key);
        }
        self.wrote(key, turn, 0, Wrote::Short);
    }

    /// Puts `key` in line, unless it is: something other than room and turn kept it from writing, and has gone.
    pub fn join(&mut self, key: Key) {
        self.line.push_back(key);
    }

    /// Takes `key` out of the line: it has nothing to write, or goes. It keeps its turn.
    pub fn leave(&mut self, key: Key) {
        self.line.remove(key);
        self.tried(key);
    }

    /// Whether `key` is in line.
    pub fn contains(&self, key: Key) -> bool {
        self.line.contains(key)
    }

    /// Says whether the buffer has room for payload. A muxer says so whenever it has seen the buffer.
    pub fn saw_room(&mut self, has_room: bool) {
        self.has_room = has_room;
    }

    /// Who can write now, if anyone. Told once: the next is told when this one has tried, has left, or was
    /// [passed over](Self::pass). `turn` gives what the muxer keeps of a stream.
    pub fn poll<'a>(&mut self, turn: impl FnOnce(Key) -> Option<&'a mut Turn>) -> Option<Key> {
        if !self.has_room || self.told.is_some() {
            return None;
        }
        let head = self.line.front()?;
        let Some(turn) = turn(head) else {
            self.line.remove(head);
            return None;
        };
        if turn.left == 0 {
            turn.left = Self::TURN_BYTES as u16;
        }
        self.told = Some(head);
        Some(head)
    }

    /// A flush: a head that was told and has not tried goes to the end of the line, or out of it the second time.
    pub fn pass<'a>(&mut self, turn: impl FnOnce(Key) -> Option<&'a mut Turn>) {
        let Some(key) = self.told.take() else { return };
        let Some(turn) = turn(key) else {
            self.line.remove(key);
            return;
        };
        if core::mem::replace(&mut turn.silent, true) {
            self.line.remove(key);
        } else {
            self.line.move_back(key);
        }
    }

    /// Gives the memory back if nobody waits, unless it is of 8 slots or less.
    pub fn release(&mut self) {
        self.line.release();
    }

    /// The heap memory of the line, in bytes.
    pub fn heap_bytes(&self) -> usize {
        self.line.heap_bytes()
    }

    fn tried(&mut self, key: Key) {
        if self.told == Some(key) {
            self.told = None;
        }
    }

    /// Whether anyone else waits.
    fn has_others(&self, key: Key) -> bool {
        self.line.len() > usize::from(self.line.contains(key))
    }
}

#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use proptest::prelude::*;

    use super::*;
    use crate::Slab;

    /// `n` streams that came short for want of room.
    fn waiting(n: usize) -> (Turns, Slab<Turn>, Vec<Key>) {
        let (mut turns, mut slab) = (Turns::new(), Slab::new());
        let keys: Vec<Key> = (0..n).map(|_| slab.insert(Turn::default())).collect();
        for key in &keys {
            turns.wrote(*key, slab.get_mut(*key).unwrap(), 0, Wrote::Short);
        }
        turns.saw_room(true);
        (turns, slab, keys)
    }

    #[test]
    fn what_a_muxer_keeps_is_small() {
        assert_eq!(size_of::<Turn>(), 4);
    }

    #[test]
    fn nobody_is_told_without_room_or_twice() {
        let (mut turns, mut slab, keys) = waiting(1);
        turns.saw_room(false);
        assert_eq!(turns.poll(|key| slab.get_mut(key)), None);
        turns.saw_room(true);
        assert_eq!(turns.poll(|key| slab.get_mut(key)), Some(keys[0]));
        assert_eq!(turns.poll(|key| slab.get_mut(key)), None);
    }

    #[test]
    fn who_is_alone_may_write_all_it_likes() {
        let (turns, slab, keys) = waiting(1);
        assert_eq!(turns.allowed(keys[0], *slab.get(keys[0]).unwrap()), usize::MAX);
        let (turns, slab, keys) = waiting(2);
        assert_eq!(turns.allowed(keys[0], *slab.get(keys[0]).unwrap()), 0, "not its turn");
        assert_eq!(turns.allowed(Key::new(9, 9), Turn::default()), 0, "neither is it of who is not in line");
    }

    #[test]
    fn a_turn_may_be_used_in_parts() {
        let (mut turns, mut slab, keys) = waiting(2);
        assert_eq!(turns.poll(|key| slab.get_mut(key)), Some(keys[0]));
        let turn = slab.get_mut(keys[0]).unwrap();
        turns.wrote(keys[0], turn, 10_000, Wrote::Short);
        assert_eq!(turns.allowed(keys[0], *turn), Turns::TURN_BYTES - 10_000);
        assert_eq!(turns.poll(|key| slab.get_mut(key)), Some(keys[0]), "still the head");
        let turn = slab.get_mut(keys[0]).unwrap();
        assert_eq!(turns.allowed(keys[0], *turn), Turns::TURN_BYTES - 10_000, "no new turn");
        turns.wrote(keys[0], turn, Turns::TURN_BYTES - 10_000, Wrote::Short);
        assert_eq!(turns.poll(|key| slab.get_mut(key)), Some(keys[1]));
    }

    #[test]
    fn a_silent_head_goes_to_the_end_and_then_out() {
        let (mut turns, mut slab, keys) = waiting(2);
        turns.pass(|key| slab.get_mut(key));
        for told in [0, 1, 0] {
            assert_eq!(turns.poll(|key| slab.get_mut(key)), Some(keys[told]));
            turns.pass(|key| slab.get_mut(key));
        }
        assert!(!turns.contains(keys[0]) && turns.contains(keys[1]));
        assert_eq!(turns.allowed(keys[0], *slab.get(keys[0]).unwrap()), Turns::TURN_BYTES, "it keeps its turn");
        turns.wrote(keys[0], slab.get_mut(keys[0]).unwrap(), 1, Wrote::Short);
        assert!(!slab.get(keys[0]).unwrap().silent, "it is heard again");
    }

    #[test]
    fn who_is_blocked_or_goes_is_out_and_the_next_is_told() {
        for end in [Wrote::All, Wrote::Blocked] {
            let (mut turns, mut slab, keys) = waiting(2);
            assert_eq!(turns.poll(|key| slab.get_mut(key)), Some(keys[0]));
            turns.wrote(keys[0], slab.get_mut(keys[0]).unwrap(), 5, end);
            let left = if end == Wrote::All { Turns::TURN_BYTES - 5 } else { 0 };
            assert_eq!(turns.allowed(keys[0], *slab.get(keys[0]).unwrap()), left);
            assert_eq!(turns.poll(|key| slab.get_mut(key)), Some(keys[1]));
        }
        let (mut turns, mut slab, keys) = waiting(2);
        assert_eq!(turns.poll(|key| slab.get_mut(key)), Some(keys[0]));
        turns.leave(keys[1]);
        assert_eq!(turns.poll(|key| slab.get_mut(key)), None, "the head that was told is still awaited");
        turns.leave(keys[0]);
        turns.join(keys[1]);
        assert_eq!(turns.poll(|key| slab.get_mut(key)), Some(keys[1]));
    }

    #[test]
    fn who_needs_more_than_its_turn_goes_to_the_end() {
        let (mut turns, mut slab, keys) = waiting(2);
        assert_eq!(turns.poll(|key| slab.get_mut(key)), Some(keys[0]));
        turns.wait(keys[0], slab.get_mut(keys[0]).unwrap());
        assert_eq!(turns.poll(|key| slab.get_mut(key)), Some(keys[1]));
        let (mut turns, mut slab, keys) = waiting(1);
        assert_eq!(turns.poll(|key| slab.get_mut(key)), Some(keys[0]));
        turns.wait(keys[0], slab.get_mut(keys[0]).unwrap());
        assert_eq!(turns.poll(|key| slab.get_mut(key)), Some(keys[0]), "alone, it is the next again");
    }

    #[test]
    fn who_went_without_leaving_holds_up_nobody() {
        for told in [false, true] {
            let (mut turns, mut slab, keys) = waiting(2);
            if told {
                assert_eq!(turns.poll(|key| slab.get_mut(key)), Some(keys[0]));
            }
            slab.remove(keys[0]);
            if told {
                turns.pass(|key| slab.get_mut(key));
            } else {
                assert_eq!(turns.poll(|key| slab.get_mut(key)), None);
            }
            assert_eq!(turns.poll(|key| slab.get_mut(key)), Some(keys[1]));
        }
    }

    #[test]
    fn no_memory_while_nobody_waits() {
        let (mut turns, mut slab, keys) = waiting(9);
        turns.release();
        assert!(keys.iter().all(|key| turns.contains(*key)));
        for key in keys {
            turns.wrote(key, slab.get_mut(key).unwrap(), 1, Wrote::All);
        }
        turns.release();
        assert!(turns.line.is_empty());
        assert_eq!(alloc::format!("{turns:?}"), alloc::format!("{:?}", Turns { has_room: true, ..Turns::new() }));
    }

    proptest! {
        /// Writers with something to write, a buffer that is flushed now and then, and some who do not react when told:
        /// those who do get through, and between two turns of one every other that waits has had its own.
        #[test]
        fn all_who_write_get_through_and_nobody_is_overtaken_twice(
            mut wants in prop::collection::vec(1usize..100_000, 1..8),
            deaf in 0usize..3,
            room in 200usize..60_000,
        ) {
            let n = wants.len();
            wants.extend(vec![1; deaf]);
            let (mut turns, mut slab, keys) = waiting(wants.len());
            // By stream: how often each other one had a turn since it last wrote.
            let mut turns_of_others = vec![vec![0; wants.len()]; wants.len()];
            for round in 0.. {
                prop_assert!(round < 10_000, "stuck with {:?}", wants);
                turns.pass(|key| slab.get_mut(key));
                let mut left = room;
                turns.saw_room(true);
                while let Some(head) = turns.poll(|key| slab.get_mut(key)) {
                    let me = keys.iter().position(|key| *key == head).unwrap();
                    if me >= n { break }
                    let turn = slab.get_mut(head).unwrap();
                    let allowed = turns.allowed(head, *turn);
                    prop_assert!(allowed > 0, "who is told can write");
                    let taken = wants[me].min(left).min(allowed);
                    wants[me] -= taken;
                    left -= taken;
                    turns.wrote(head, turn, taken, if wants[me] == 0 { Wrote::All } else { Wrote::Short });
                    turns.saw_room(left > 0);
                    if turn.left == 0 || wants[me] == 0 {
                        turns_of_others[me].fill(0);
                        for (other, seen) in turns_of_others.iter_mut().enumerate().take(n) {
                            seen[me] += 1;
                            prop_assert!(wants[other] == 0 || other == me || seen[me] <= 1, "overtaken twice");
                        }
                    }
                }
                if wants[..n].iter().all(|want| *want == 0) { break }
            }
        }
    }
}

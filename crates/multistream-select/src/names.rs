//! The names that a listener knows.

use alloc::{boxed::Box, sync::Arc, vec, vec::Vec};
use core::fmt;

use sanswarm_multistream::ProtocolName;

use crate::list::encode_list;

/// Decides about a name that is not in the set.
type Predicate = dyn Fn(&ProtocolName) -> bool + Send + Sync;

/// The names that a listener knows: built once, shared by all its negotiations, looked up without a scan.
#[derive(Clone, Default)]
pub struct Names {
    /// In the order of their bytes, so that a list does not depend on who built it.
    sorted: Vec<ProtocolName>,
    /// A hash table of places in `sorted`, each plus one; 0 is vacant. At most half full. The names are our own, so
    /// nobody can make them collide; proposals only look.
    table: Box<[u32]>,
    predicate: Option<Arc<Predicate>>,
    /// The answer to `ls` as a message, if it is not `na`.
    list: Option<Arc<[u8]>>,
}

impl Names {
    /// The set of `names`. Their order does not matter, because a dialer chooses.
    pub fn new(names: impl IntoIterator<Item = ProtocolName>) -> Self {
        let mut sorted: Vec<_> = names.into_iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        let table = table(&sorted);
        Self { sorted, table, predicate: None, list: None }
    }

    /// The same, and every other name that `accepts` accepts: a range of versions, or all names with some prefix. It is
    /// asked about valid names only, and only if the set does not know the proposal.
    ///
    /// ```
    /// # use sanswarm_multistream_select::Names;
    /// let names = Names::default().with_predicate(|name| name.as_str().starts_with("/chat/1."));
    /// assert!(names.accepts(b"/chat/1.4.0") && !names.accepts(b"/chat/2.0.0"));
    /// ```
    #[must_use]
    pub fn with_predicate(mut self, accepts: impl Fn(&ProtocolName) -> bool + Send + Sync + 'static) -> Self {
        self.predicate = Some(Arc::new(accepts));
        self
    }

    /// The same, but `ls` is answered by the list of the set, once in a negotiation. Without it, and if the message
    /// would be longer than 16320 bytes, `ls` is answered by `na`. A predicate's names are not listed.
    #[must_use]
    pub fn with_list(mut self) -> Self {
        self.list = encode_list(self.sorted.iter()).map(Arc::from);
        self
    }

    /// The name of the set that has exactly these bytes.
    pub fn get(&self, name: &[u8]) -> Option<&ProtocolName> {
        self.known(self.index(name)?)
    }

    /// Whether a proposal of these bytes is accepted: by the set, or by the predicate.
    pub fn accepts(&self, name: &[u8]) -> bool {
        self.index(name).is_some() || self.matched(name).is_some()
    }

    /// All names of the set, in the order of their bytes.
    pub fn iter(&self) -> core::slice::Iter<'_, ProtocolName> {
        self.sorted.iter()
    }

    /// The number of names in the set.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there is no name in the set.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    pub(crate) fn list(&self) -> Option<&[u8]> {
        self.list.as_deref()
    }

    #[inline]
    pub(crate) fn known(&self, index: u32) -> Option<&ProtocolName> {
        self.sorted.get(index as usize)
    }

    /// The place of the name in the set.
    pub(crate) fn index(&self, name: &[u8]) -> Option<u32> {
        let mask = self.table.len().wrapping_sub(1);
        let mut slot = hash(name) & mask;
        loop {
            let index = self.table.get(slot)?.checked_sub(1)?;
            if self.known(index)?.is(name) {
                return Some(index);
            }
            slot = (slot + 1) & mask;
        }
    }

    /// The name that is not in the set, if the predicate accepts it.
    pub(crate) fn matched(&self, name: &[u8]) -> Option<ProtocolName> {
        let predicate = self.predicate.as_ref()?;
        ProtocolName::try_from(name).ok().filter(|name| predicate(name))
    }
}

fn table(names: &[ProtocolName]) -> Box<[u32]> {
    if names.is_empty() {
        return Box::default();
    }
    let mut table = vec![0; (names.len() * 2).next_power_of_two()];
    let mask = table.len() - 1;
    for (place, name) in (1..).zip(names) {
        let mut slot = hash(name.as_bytes()) & mask;
        while table[slot] != 0 {
            slot = (slot + 1) & mask;
        }
        table[slot] = place;
    }
    table.into()
}

/// Mixes eight bytes at a time. The same everywhere.
fn hash(name: &[u8]) -> usize {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |state: u64, word: u64| (state.rotate_left(29) ^ word).wrapping_mul(FACTOR);
    let mut state = name.len() as u64;
    let (words, rest) = name.as_chunks::<8>();
    for word in words {
        state = mix(state, u64::from_le_bytes(*word));
    }
    let last = match name.last_chunk() {
        Some(word) => u64::from_le_bytes(*word), // some bytes once more: no matter to a hash
        None => rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    (mix(state, last) >> 32) as usize
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names")
            .field("set", &self.sorted)
            .field("predicate", &self.predicate.is_some())
            .field("list", &self.list.is_some())
            .finish()
    }
}

impl FromIterator<ProtocolName> for Names {
    fn from_iter<I: IntoIterator<Item = ProtocolName>>(names: I) -> Self {
        Self::new(names)
    }
}

impl<'a> IntoIterator for &'a Names {
    type Item = &'a ProtocolName;
    type IntoIter = core::slice::Iter<'a, ProtocolName>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_exact_bytes_are_known() {
        let names = Names::new(["/noise", "/tls/1.0.0", "/noise"].map(ProtocolName::from_static));
        assert_eq!(names.len(), 2);
        assert_eq!(names.get(b"/noise").map(ProtocolName::as_str), Some("/noise"));
        for other in [&b"/nois"[..], b"/noise ", b"/noise\r", b"noise", b"", b"\xff"] {
            assert_eq!(names.get(other), None);
            assert!(!names.accepts(other));
        }
        assert!(names.accepts(b"/tls/1.0.0"));
        assert!(Names::default().is_empty() && !names.is_empty());
        assert_eq!(Names::default().get(b"/noise"), None);
    }

    #[test]
    fn a_predicate_sees_valid_names_that_the_set_does_not_know() {
        let all = Names::new([ProtocolName::from_static("/a")]).with_predicate(|name| {
            assert_ne!(name.as_str(), "/a", "known");
            true
        });
        assert!(all.accepts(b"/a") && all.accepts(b"/b") && all.accepts(b"bare"));
        assert_eq!(all.get(b"/b"), None, "not in the set");
        for invalid in [&b""[..], b"na", b"ls", b"/multistream/1.0.0", b"/b\nc", b"\xff"] {
            assert!(!all.accepts(invalid), "{}", invalid.escape_ascii());
        }
        assert!(all.matched(b"/b").is_some_and(|name| name == "/b"));
    }

    #[test]
    fn many_names_stay_a_few_steps_away() {
        let names: Names = (0..5000).map(|i| ProtocolName::try_from(format!("/protocol/{i}/1.0.0")).unwrap()).collect();
        let mask = names.table.len() - 1;
        let steps = |name: &ProtocolName| {
            let mut slot = hash(name.as_bytes()) & mask;
            let mut steps = 1;
            while names.known(names.table[slot] - 1) != Some(name) {
                (slot, steps) = ((slot + 1) & mask, steps + 1);
            }
            steps
        };
        let all: usize = names.iter().map(steps).sum();
        assert!(all < 2 * names.len(), "{all} steps");
    }

    #[test]
    fn what_is_shown_is_the_set() {
        let names = Names::new([ProtocolName::from_static("/a")]).with_predicate(|_| false).with_list();
        assert_eq!(format!("{names:?}"), r#"Names { set: ["/a"], predicate: true, list: true }"#);
    }

    proptest! {
        #[test]
        fn every_name_is_found_and_no_other(known in prop::collection::vec("[ab]{1,10}", 0..20), asked in "[ab]{0,10}") {
            let names: Names = known.iter().map(|name| ProtocolName::try_from(name.as_str()).unwrap()).collect();
            prop_assert_eq!(names.get(asked.as_bytes()).is_some(), known.contains(&asked));
            for name in &names { prop_assert_eq!(names.get(name.as_bytes()), Some(name)); }
            prop_assert_eq!((&names).into_iter().count(), names.len());
            prop_assert!(names.iter().is_sorted());
        }
    }
}

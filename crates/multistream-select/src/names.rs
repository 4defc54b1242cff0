//! The names that a listener knows.

use alloc::vec::Vec;
use core::cmp::Ordering;

use sanswarm_multistream::ProtocolName;

/// The names that a listener knows: built once, shared by all its negotiations, looked up in logarithmic time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// By length, then by bytes: most comparisons end at the length.
    sorted: Vec<ProtocolName>,
}

impl Names {
    /// The set of `names`. Their order does not matter, because a dialer chooses.
    pub fn new(names: impl IntoIterator<Item = ProtocolName>) -> Self {
        let mut sorted: Vec<_> = names.into_iter().collect();
        sorted.sort_unstable_by(|a, b| order(a.as_bytes(), b.as_bytes()));
        sorted.dedup();
        Self { sorted }
    }

    /// The name that has exactly these bytes.
    pub fn get(&self, name: &[u8]) -> Option<&ProtocolName> {
        self.at(self.find(name)?)
    }

    /// All names, the shortest first.
    pub fn iter(&self) -> core::slice::Iter<'_, ProtocolName> {
        self.sorted.iter()
    }

    /// The number of names.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    pub(crate) fn find(&self, name: &[u8]) -> Option<usize> {
        self.sorted.binary_search_by(|known| order(known.as_bytes(), name)).ok()
    }

    pub(crate) fn at(&self, index: usize) -> Option<&ProtocolName> {
        self.sorted.get(index)
    }
}

fn order(a: &[u8], b: &[u8]) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_exact_bytes_are_known() {
        let names = Names::new(["/noise", "/tls/1.0.0", "/noise"].map(ProtocolName::from_static));
        assert_eq!(names.len(), 2);
        assert_eq!(names.get(b"/noise").map(ProtocolName::as_str), Some("/noise"));
        for other in [&b"/nois"[..], b"/noise ", b"/noise\r", b"noise", b"", b"\xff"] {
            assert_eq!(names.get(other), None);
        }
        assert!(Names::default().is_empty());
        assert_eq!(Names::default().get(b"/noise"), None);
    }

    proptest! {
        #[test]
        fn every_name_is_found_and_no_other(known in prop::collection::vec("[ab]{1,4}", 0..20), asked in "[ab]{0,4}") {
            let names: Names = known.iter().map(|name| ProtocolName::try_from(name.as_str()).unwrap()).collect();
            prop_assert_eq!(names.get(asked.as_bytes()).is_some(), known.contains(&asked));
            for name in &names { prop_assert_eq!(names.get(name.as_bytes()), Some(name)); }
        }
    }
}

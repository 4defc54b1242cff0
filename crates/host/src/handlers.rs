//! Who handles which inbound streams.

use core::fmt;
use std::{collections::BTreeMap, sync::Arc};

use sanswarm::{ProtocolName, Protocols};

/// Names a stream handler, to remove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handler(u64);

/// Decides which names a handler takes.
pub type Accepts = Arc<dyn Fn(&ProtocolName) -> bool + Send + Sync>;

/// What a handler is set for.
#[derive(Clone)]
pub enum Scope {
    /// Streams of these names.
    Names(Protocols),
    /// Streams of names that it accepts and that no handler has by name.
    Where(Accepts),
}

/// The handlers by what they are set for. The machines know the names; which code runs is looked up here when a stream is
/// handed over, so that a name that gets a new handler is never without one.
pub struct Handlers<R> {
    by_name: BTreeMap<ProtocolName, (u64, R)>,
    /// In the order in which they were set, which is that of their numbers.
    by_predicate: BTreeMap<u64, (Accepts, R)>,
    next: u64,
    is_closed: bool,
}

impl<R> Default for Handlers<R> {
    fn default() -> Self {
        Self { by_name: BTreeMap::new(), by_predicate: BTreeMap::new(), next: 0, is_closed: false }
    }
}

impl Handler {
    /// Its number: the first handler of a node has 0.
    pub const fn id(self) -> u64 {
        self.0
    }
}

impl<R> fmt::Debug for Handlers<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers").field("names", &self.by_name.keys()).finish_non_exhaustive()
    }
}

impl<R: Clone> Handlers<R> {
    /// Puts a handler in. What it takes the place of comes back, to be dropped without the lock: it is the user's. Of a node
    /// that ends it comes back itself.
    pub fn set(&mut self, scope: &Scope, run: R) -> (Handler, Vec<(u64, R)>) {
        let id = self.next;
        self.next += 1;
        if self.is_closed {
            return (Handler(id), vec![(id, run)]);
        }
        let mut replaced = Vec::new();
        match scope {
            Scope::Names(protocols) => {
                let names = protocols.as_slice().iter().cloned();
                replaced.extend(names.filter_map(|name| self.by_name.insert(name, (id, run.clone()))));
            }
            Scope::Where(accepts) => drop(self.by_predicate.insert(id, (accepts.clone(), run))),
        }
        (Handler(id), replaced)
    }

    /// Takes all handlers out, and no more in.
    pub fn close(&mut self) -> Self {
        core::mem::replace(self, Self { is_closed: true, next: self.next, ..Self::default() })
    }

    /// Whether a handler has a name or a predicate left.
    pub fn has(&self, id: u64) -> bool {
        self.by_predicate.contains_key(&id) || self.by_name.values().any(|(other, _)| *other == id)
    }

    /// Takes a handler out. What was taken out comes back, as with [`set`](Self::set).
    pub fn remove(&mut self, handler: Handler) -> Vec<R> {
        let its = |(name, entry): (&ProtocolName, &(u64, R))| (entry.0 == handler.0).then(|| name.clone());
        let names: Vec<_> = self.by_name.iter().filter_map(its).collect();
        let named = names.iter().filter_map(|name| self.by_name.remove(name)).map(|(_, run)| run);
        named.chain(self.by_predicate.remove(&handler.0).map(|(_, run)| run)).collect()
    }

    /// Who may handle streams of a name.
    pub fn of(&self, name: &ProtocolName) -> Candidates<R> {
        match self.by_name.get(name) {
            Some((_, run)) => Candidates::Named(run.clone()),
            None => Candidates::Ask(self.by_predicate.values().cloned().collect()),
        }
    }
}

/// What may handle a stream.
pub enum Candidates<R> {
    /// It has the name.
    Named(R),
    /// The first of these that accepts the name.
    Ask(Vec<(Accepts, R)>),
}

impl<R> Candidates<R> {
    /// The handler of a name. Not under the lock: predicates are the user's code.
    pub fn choose(self, name: &ProtocolName) -> Option<R> {
        match self {
            Self::Named(run) => Some(run),
            Self::Ask(all) => all.into_iter().find(|(accepts, _)| accepts(name)).map(|(_, run)| run),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ProtocolName = ProtocolName::from_static("/a");
    const B: ProtocolName = ProtocolName::from_static("/b");

    #[test]
    fn a_name_has_the_handler_set_last_and_predicates_what_is_left() {
        let mut handlers = Handlers::default();
        let names = |names: &[ProtocolName]| Scope::Names(names.to_vec().into());
        let (both, _) = handlers.set(&names(&[A, B]), "both");
        let (short, _) = handlers.set(&Scope::Where(Arc::new(|name| name.as_str().len() < 4)), "short");
        let (any, _) = handlers.set(&Scope::Where(Arc::new(|_| true)), "any");
        let of = |handlers: &Handlers<_>, name: &'static str| {
            let name = ProtocolName::from_static(name);
            handlers.of(&name).choose(&name)
        };
        assert_eq!(["/a", "/c", "/long"].map(|name| of(&handlers, name)), [Some("both"), Some("short"), Some("any")]);
        let (one, replaced) = handlers.set(&names(&[A]), "one");
        assert_eq!(replaced, [(0, "both")]);
        assert_eq!((of(&handlers, "/a"), of(&handlers, "/b")), (Some("one"), Some("both")));
        assert!(handlers.has(both.0));
        handlers.set(&names(&[B]), "two");
        assert!(!handlers.has(both.0), "it has no name left");
        assert_eq!(handlers.remove(both), [""; 0]);
        assert_eq!(handlers.remove(one), ["one"]);
        assert_eq!(of(&handlers, "/a"), Some("short"));
        assert_eq!((handlers.remove(short), handlers.remove(any)), (vec!["short"], vec!["any"]));
        assert_eq!(of(&handlers, "/a"), None);
        assert_eq!(of(&handlers.close(), "/b"), Some("two"));
        let (_, unused) = handlers.set(&names(&[A]), "late");
        assert_eq!((unused[0].1, of(&handlers, "/a"), of(&handlers, "/b")), ("late", None, None));
    }
}

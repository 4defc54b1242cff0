//! Protocol names: lists that are offered, and the table of those that are handled.

use core::fmt;
use std::{collections::BTreeMap, sync::Arc};

use sanswarm_multistream::ProtocolName;
use sanswarm_multistream_select::Names;

use crate::service;

/// One or several protocol names, in the order of preference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocols(pub(crate) Arc<[ProtocolName]>);

impl Protocols {
    /// The names.
    pub fn as_slice(&self) -> &[ProtocolName] {
        &self.0
    }
}

impl From<ProtocolName> for Protocols {
    fn from(name: ProtocolName) -> Self {
        Self(Arc::new([name]))
    }
}

impl From<&ProtocolName> for Protocols {
    fn from(name: &ProtocolName) -> Self {
        Self(Arc::new([name.clone()]))
    }
}

impl<const N: usize> From<[ProtocolName; N]> for Protocols {
    fn from(names: [ProtocolName; N]) -> Self {
        Self(Arc::new(names))
    }
}

impl From<Vec<ProtocolName>> for Protocols {
    fn from(names: Vec<ProtocolName>) -> Self {
        Self(names.into())
    }
}

impl From<Arc<[ProtocolName]>> for Protocols {
    fn from(names: Arc<[ProtocolName]>) -> Self {
        Self(names)
    }
}

/// The name of a stream handler. It comes back in [`Event::Opened`](crate::Event::Opened).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HandlerId(u64);

/// How sure a new stream is before payload goes out on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Open {
    /// Payload waits for the peer's agreement: one round trip; none where identify lists the name.
    #[default]
    Wait,
    /// With one name only, payload follows the proposal at once. A peer that does not speak the protocol reads it as
    /// proposals: the stream is then [refused](crate::Event::Refused) and nothing is sent again. With several names: as
    /// `Wait`.
    Lazy,
    /// Only the first name that identify lists is offered; while the peer has not told, the stream waits for
    /// [`Event::PeerReady`](crate::Event::PeerReady). It fails at once if no name is listed.
    KnownOnly,
}

/// Decides whether a name is handled.
type Predicate = dyn Fn(&ProtocolName) -> bool + Send + Sync;

/// Which handler each protocol has. Shared with the links, replaced as a whole.
#[derive(Clone)]
pub(crate) struct Handlers {
    by_name: BTreeMap<ProtocolName, HandlerId>,
    /// Asked in this order about names that have no handler of their own.
    by_predicate: Vec<(HandlerId, Arc<Predicate>)>,
    /// The handled names and those of ping and identify, as negotiators look them up.
    pub(crate) names: Arc<Names>,
    next: u64,
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers").field("by_name", &self.by_name).finish_non_exhaustive()
    }
}

impl Handlers {
    pub(crate) fn new() -> Self {
        let (by_name, by_predicate) = (BTreeMap::new(), Vec::new());
        let mut handlers = Self { by_name, by_predicate, names: Arc::default(), next: 0 };
        handlers.rebuild();
        handlers
    }

    pub(crate) fn get(&self, name: &ProtocolName) -> Option<HandlerId> {
        let matching = || self.by_predicate.iter().find(|(_, accepts)| accepts(name)).map(|(id, _)| *id);
        self.by_name.get(name).copied().or_else(matching)
    }

    /// Gives `protocols` a handler. A name that had one has the new one.
    pub(crate) fn set(&mut self, protocols: &Protocols) -> HandlerId {
        let id = self.next_id();
        self.by_name.extend(protocols.0.iter().map(|name| (name.clone(), id)));
        self.rebuild();
        id
    }

    /// Gives all names that `accepts` accepts a handler, but those that have one of their own.
    pub(crate) fn set_where(&mut self, accepts: Arc<Predicate>) -> HandlerId {
        let id = self.next_id();
        self.by_predicate.push((id, accepts));
        self.rebuild();
        id
    }

    const fn next_id(&mut self) -> HandlerId {
        self.next += 1;
        HandlerId(self.next - 1)
    }

    /// Takes a handler away. Returns whether it was there.
    pub(crate) fn remove(&mut self, id: HandlerId) -> bool {
        let before = self.by_name.len() + self.by_predicate.len();
        self.by_name.retain(|_, handler| *handler != id);
        self.by_predicate.retain(|(handler, _)| *handler != id);
        self.rebuild();
        self.by_name.len() + self.by_predicate.len() < before
    }

    /// All names that inbound streams may have, as identify tells them.
    pub(crate) fn protocols(&self) -> Vec<String> {
        self.names.iter().map(|name| name.as_str().to_owned()).collect()
    }

    fn rebuild(&mut self) {
        let mut names = Names::new(service::names().into_iter().chain(self.by_name.keys().cloned()));
        if !self.by_predicate.is_empty() {
            let all = self.by_predicate.clone();
            names = names.with_predicate(move |name| all.iter().any(|(_, accepts)| accepts(name)));
        }
        self.names = Arc::new(names);
    }
}

//! Protocol names: lists that are offered, and the table of those that are handled.

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

/// Which handler each protocol has. Shared with the links, replaced as a whole.
#[derive(Clone, Debug)]
pub(crate) struct Handlers {
    by_name: BTreeMap<ProtocolName, HandlerId>,
    /// The handled names and those of ping and identify, as negotiators look them up.
    pub(crate) names: Arc<Names>,
    next: u64,
}

impl Handlers {
    pub(crate) fn new() -> Self {
        let mut handlers = Self { by_name: BTreeMap::new(), names: Arc::default(), next: 0 };
        handlers.rebuild();
        handlers
    }

    pub(crate) fn get(&self, name: &ProtocolName) -> Option<HandlerId> {
        self.by_name.get(name).copied()
    }

    /// Gives `protocols` a handler. A name that had one has the new one.
    pub(crate) fn set(&mut self, protocols: &Protocols) -> HandlerId {
        let id = HandlerId(self.next);
        self.next += 1;
        self.by_name.extend(protocols.0.iter().map(|name| (name.clone(), id)));
        self.rebuild();
        id
    }

    /// Takes a handler away. Returns whether it was there.
    pub(crate) fn remove(&mut self, id: HandlerId) -> bool {
        let before = self.by_name.len();
        self.by_name.retain(|_, handler| *handler != id);
        self.rebuild();
        self.by_name.len() < before
    }

    /// All names that inbound streams may have, as identify tells them.
    pub(crate) fn protocols(&self) -> Vec<String> {
        self.names.iter().map(|name| name.as_str().to_owned()).collect()
    }

    fn rebuild(&mut self) {
        self.names = Arc::new(Names::new(service::names().into_iter().chain(self.by_name.keys().cloned())));
    }
}

//! How many descriptors this process may have: each connection is one.

use sanswarm::Config;

use crate::failure::Failure;

/// For everything that is no connection: the runtime, standard streams, listeners, name servers.
const OTHERS: u64 = 64;

/// Raises the soft limit to the hard one, and says what it is. More is the administrator's.
pub(crate) fn raise() -> Option<u64> {
    rlimit::increase_nofile_limit(u64::MAX).ok()
}

/// Raises the limit, and says it: it is enough for so many connections.
pub(crate) fn enough_for(connections: u64) -> Result<u64, Failure> {
    let needed = connections + OTHERS;
    match raise() {
        Some(limit) if limit < needed => Err(Failure::Descriptors { limit, needed, connections }),
        limit => Ok(limit.unwrap_or(u64::MAX)),
    }
}

/// Lets a node have so many connections, none of which is closed because it is idle.
pub(crate) fn allow(config: &mut Config, connections: usize) {
    let limits = &mut config.swarm;
    limits.established = connections;
    limits.high_water = connections;
    limits.low_water = connections;
    limits.memory = limits.memory.max(connections.saturating_mul(MEMORY));
}

/// Bytes that the swarm may count a connection: what it takes one for, and as much again.
const MEMORY: usize = 40 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_any_system_allows_is_too_much() {
        let Some(limit) = raise() else { return };
        assert_eq!(enough_for(limit - OTHERS).unwrap(), limit);
        let error = enough_for(limit).unwrap_err();
        assert_eq!((error.code(), error.exit()), ("descriptors", 1));
        assert!(error.to_string().contains(&limit.to_string()), "{error}");
    }
}

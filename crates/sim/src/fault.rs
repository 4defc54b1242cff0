//! What goes wrong.

use core::{fmt, time::Duration};

use crate::{HostId, Rng};

/// Something that goes wrong, at once when it is [injected](crate::Network::inject). Faults that last end by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// No packet passes between the group and all others.
    Partition {
        /// One side; the other is everybody else.
        group: Vec<HostId>,
        /// For how long.
        lasts: Duration,
    },
    /// No packet passes from one host to another; the other way they do.
    OneWay {
        /// Whose packets are lost.
        from: HostId,
        /// On the way to whom.
        to: HostId,
        /// For how long.
        lasts: Duration,
    },
    /// A connection of the host is reset at both ends.
    Reset {
        /// One end.
        host: HostId,
        /// Which of its connections, counted round.
        nth: usize,
    },
    /// A connection of the host delivers nothing for a while.
    Stall {
        /// One end.
        host: HostId,
        /// Which of its connections, counted round.
        nth: usize,
        /// For how long.
        lasts: Duration,
    },
    /// The application of the host reads nothing for a while: it hears of payload only afterwards.
    SlowReader {
        /// The host.
        host: HostId,
        /// For how long.
        lasts: Duration,
    },
    /// The process of the host dies: its sockets are reset. It starts again with the same identity.
    Crash {
        /// The host.
        host: HostId,
        /// How long it is down.
        lasts: Duration,
    },
    /// The host loses power: its sockets say nothing more, and are unknown when it has started again, with the same
    /// identity.
    PowerLoss {
        /// The host.
        host: HostId,
        /// How long it is down.
        lasts: Duration,
    },
    /// The process of the host stands still: its system takes connections and bytes, and nobody answers.
    Freeze {
        /// The host.
        host: HostId,
        /// For how long.
        lasts: Duration,
    },
    /// The clock of the host jumps ahead.
    Skew {
        /// The host.
        host: HostId,
        /// By how much.
        ahead: Duration,
    },
    /// A byte that goes from a connection of the host is changed on the way.
    Corrupt {
        /// Whose bytes.
        host: HostId,
        /// Which of its connections, counted round.
        nth: usize,
    },
}

impl Fault {
    /// The kinds that [`random`](Self::random) draws from.
    pub const KINDS: u64 = 10;

    /// A fault that `rng` decides, among the first `hosts` hosts.
    pub fn random(rng: &mut Rng, hosts: usize) -> Self {
        let host = HostId::new(rng.index(hosts));
        let other = HostId::new(rng.index(hosts));
        let nth = rng.index(1000);
        let lasts = Duration::from_millis(100) + rng.time(Duration::from_secs(45));
        let kind = rng.below(Self::KINDS);
        let rest = rng.next_u64();
        match kind {
            0 => {
                // A bit a host, of as many words as there must be, so that fewer hosts are a part of the same split.
                let mut words = Rng::new(rest);
                let mut group: Vec<_> = (0..hosts).filter(|_| words.chance(1, 3)).map(HostId::new).collect();
                if hosts > 100 {
                    group = vec![host];
                }
                Self::Partition { group, lasts }
            }
            1 => Self::OneWay { from: host, to: other, lasts },
            2 => Self::Reset { host, nth },
            3 => Self::Stall { host, nth, lasts },
            4 => Self::SlowReader { host, lasts },
            5 => Self::Crash { host, lasts },
            6 => Self::PowerLoss { host, lasts },
            7 => Self::Freeze { host, lasts },
            8 => Self::Skew { host, ahead: lasts },
            _ => Self::Corrupt { host, nth },
        }
    }

    /// How long it lasts; zero for what is over at once.
    pub fn lasts(&self) -> Duration {
        match self {
            Self::Partition { lasts, .. }
            | Self::OneWay { lasts, .. }
            | Self::Stall { lasts, .. }
            | Self::SlowReader { lasts, .. }
            | Self::Crash { lasts, .. }
            | Self::PowerLoss { lasts, .. }
            | Self::Freeze { lasts, .. } => *lasts,
            Self::Reset { .. } | Self::Skew { .. } | Self::Corrupt { .. } => Duration::ZERO,
        }
    }

    /// A name for machines: `partition`, `one-way`, `reset`, `stall`, `slow-reader`, `crash`, `power-loss`, `freeze`,
    /// `skew`, `corrupt`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Partition { .. } => "partition",
            Self::OneWay { .. } => "one-way",
            Self::Reset { .. } => "reset",
            Self::Stall { .. } => "stall",
            Self::SlowReader { .. } => "slow-reader",
            Self::Crash { .. } => "crash",
            Self::PowerLoss { .. } => "power-loss",
            Self::Freeze { .. } => "freeze",
            Self::Skew { .. } => "skew",
            Self::Corrupt { .. } => "corrupt",
        }
    }

    /// The hosts that it is about: of a partition the group.
    pub fn hosts(&self) -> Vec<HostId> {
        match self {
            Self::Partition { group, .. } => group.clone(),
            Self::OneWay { from, to, .. } => vec![*from, *to],
            Self::Reset { host, .. }
            | Self::Stall { host, .. }
            | Self::SlowReader { host, .. }
            | Self::Crash { host, .. }
            | Self::PowerLoss { host, .. }
            | Self::Freeze { host, .. }
            | Self::Skew { host, .. }
            | Self::Corrupt { host, .. } => vec![*host],
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        for (i, host) in self.hosts().iter().enumerate().take(4) {
            write!(f, "{}{host}", if i == 0 { " " } else { "," })?;
        }
        match self {
            Self::Skew { ahead, .. } => write!(f, " by {ahead:?}"),
            other if other.lasts() > Duration::ZERO => write!(f, " for {:?}", other.lasts()),
            _ => Ok(()),
        }
    }
}

/// When which fault comes. A plan that a seed has made can be cut down fault by fault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The faults with their times since the start, and the number that each has in the plan that it was made in.
    pub faults: Vec<(usize, Duration, Fault)>,
}

impl Plan {
    /// `count` faults that a seed decides, between the 20th and the 95th hundredth of `time`. Fault `n` of a seed does not
    /// depend on `count`.
    pub fn random(seed: u64, count: usize, hosts: usize, time: Duration) -> Self {
        let fault = |n: usize| {
            let mut rng = Rng::new(seed ^ 0x0fa0_17ed ^ (n as u64) << 32);
            let at = time / 5 + rng.time(time / 4 * 3);
            (n, at, Fault::random(&mut rng, hosts))
        };
        Self { faults: (0..count).map(fault).collect() }
    }

    /// Only the faults with these numbers.
    pub fn only(mut self, numbers: &[usize]) -> Self {
        self.faults.retain(|(n, ..)| numbers.contains(n));
        self
    }

    /// The numbers of the faults.
    pub fn numbers(&self) -> Vec<usize> {
        self.faults.iter().map(|(n, ..)| *n).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_fault_is_drawn_and_named_once() {
        let plan = Plan::random(3, 500, 10, Duration::from_secs(100));
        let mut names: Vec<_> = plan.faults.iter().map(|(_, _, fault)| fault.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len() as u64, Fault::KINDS);
        assert!(plan.faults.iter().all(|(_, at, _)| (20..95).contains(&at.as_secs())));
    }

    #[test]
    fn a_plan_cut_down_is_a_part_of_it() {
        let all = Plan::random(3, 20, 10, Duration::from_secs(100));
        assert_eq!(Plan::random(3, 5, 10, Duration::from_secs(100)).faults, all.faults[..5]);
        assert_eq!(all.clone().only(&[2, 7]).faults, [all.faults[2].clone(), all.faults[7].clone()]);
    }
}

//! The addresses of this host.

use core::{net::IpAddr, time::Duration};
use std::collections::BTreeSet;

use sanswarm::{Instant, Multiaddr, multiaddr::Protocol};

/// How often the interfaces are looked at while an address of all interfaces is listened on. A look is two system calls; what
/// tells changes by itself costs 30 crates.
const LOOK: Duration = Duration::from_secs(10);

/// All addresses of this host, but for link-local ones of IPv6. `None`: the system would not tell.
fn addresses() -> Option<BTreeSet<IpAddr>> {
    Some(if_addrs::get_if_addrs().ok()?.iter().map(if_addrs::Interface::ip).collect())
}

/// Whether an address is one of all interfaces.
pub fn is_wildcard(address: &Multiaddr) -> bool {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => ip.is_unspecified(),
        Some(Protocol::Ip6(ip)) => ip.is_unspecified(),
        _ => false,
    }
}

/// What was found, and when to look again.
#[derive(Debug, Default)]
pub struct Interfaces {
    told: BTreeSet<IpAddr>,
    /// `None`: they do not matter.
    pub look_at: Option<Instant>,
}

impl Interfaces {
    /// Looks at the interfaces if they matter. Gives their addresses if these are others than before; none if they do not
    /// matter any more.
    pub fn look(&mut self, now: Instant, matter: bool) -> Option<Vec<IpAddr>> {
        self.look_at = matter.then(|| now + LOOK);
        self.compare(if matter { addresses()? } else { BTreeSet::new() })
    }

    fn compare(&mut self, found: BTreeSet<IpAddr>) -> Option<Vec<IpAddr>> {
        if found == self.told {
            return None;
        }
        self.told = found;
        // Loopback first: whoever takes one of them takes the one that works here.
        let (mut all, others): (Vec<_>, Vec<_>) = self.told.iter().partition(|ip| ip.is_loopback());
        all.extend(others);
        Some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_an_interface() {
        assert!(addresses().is_some_and(|all| all.iter().any(IpAddr::is_loopback)));
    }

    #[test]
    fn what_has_not_changed_is_not_told_again() {
        let mut interfaces = Interfaces::default();
        assert_eq!((interfaces.look(Instant::ZERO, false), interfaces.look_at), (None, None));
        assert!(interfaces.look(Instant::ZERO, true).is_some_and(|all| !all.is_empty()));
        assert_eq!((interfaces.look(Instant::ZERO, true), interfaces.look_at), (None, Some(Instant::ZERO + LOOK)));
        assert_eq!(interfaces.look(Instant::ZERO, false), Some(vec![]), "nobody keeps them up to date any more");
        assert_eq!(interfaces.look_at, None);
    }

    #[test]
    fn what_comes_and_goes_is_told_behind_loopback() {
        let mut interfaces = Interfaces::default();
        let mut tell = |ips: &[&str]| {
            let told = interfaces.compare(ips.iter().map(|ip| ip.parse().expect("an address")).collect());
            told.map(|all| all.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(tell(&["10.0.0.1", "127.0.0.1"]).as_deref(), Some("127.0.0.1 10.0.0.1"));
        assert_eq!(tell(&["127.0.0.1", "10.0.0.1"]), None);
        assert_eq!(tell(&["127.0.0.1", "10.0.0.2", "::1"]).as_deref(), Some("127.0.0.1 ::1 10.0.0.2"));
        assert_eq!(tell(&["127.0.0.1"]).as_deref(), Some("127.0.0.1"));
    }

    #[test]
    fn wildcards_are_known() {
        let is = |text: &str| is_wildcard(&text.parse().expect("an address"));
        assert!(is("/ip4/0.0.0.0/tcp/1") && is("/ip6/::/tcp/1"));
        assert!(!is("/ip4/127.0.0.1/tcp/1") && !is("/dns/a.b/tcp/1"));
    }
}

//! The order in which the addresses of a dial are tried, and when: a pure function.

use core::time::Duration;
use std::sync::Arc;

use multiaddr::Multiaddr;
use sanswarm_wire::Instant;

use crate::{Kind, Reach};

/// An address that may be dialled, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prospect {
    /// The address, without a trailing `/p2p/…`.
    pub address: Multiaddr,
    /// What it tells about itself.
    pub kind: Kind,
    /// Whether a connection to the peer came of it before, and it has not failed since.
    pub worked: bool,
    /// How often it has failed since it last worked, as far as that is remembered.
    pub failures: u32,
}

/// Which networks this host is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// Nobody has said: see [`Swarm::handle_interfaces`](crate::Swarm::handle_interfaces).
    #[default]
    Unknown,
    /// A private one, and perhaps the Internet.
    Private,
    /// The Internet only: private addresses are not dialled.
    Public,
}

/// What a [`Ranker`] ranks.
#[derive(Clone, Copy, Debug)]
pub struct Prospects<'a> {
    /// The addresses that are to be tried, in the order in which they became known.
    pub addresses: &'a [Prospect],
    /// Which networks this host is on.
    pub network: Network,
    /// The time.
    pub now: Instant,
    /// Another number for each ranking, the same in each run of one seed: for a ranker that draws lots.
    pub seed: u64,
    /// How long an address of the Internet is tried alone: [`Limits::stagger`](crate::Limits::stagger).
    pub stagger: Duration,
    /// How long a private address is: [`Limits::lan_stagger`](crate::Limits::lan_stagger).
    pub lan_stagger: Duration,
}

/// One entry of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Which of the [`Prospects::addresses`].
    pub index: usize,
    /// How long after the start of the one before, if that one has not failed by then. The first entry does not wait
    /// unless another attempt of the dial is under way.
    pub gap: Duration,
}

/// Puts the addresses of a dial in an order. An address that it leaves out is not tried, an index that it gives twice
/// or that there is not is ignored. It is called again with those that are left when further addresses become known.
pub type Ranker = Arc<dyn Fn(&Prospects<'_>) -> Vec<Start> + Send + Sync>;

/// Our ranker: what go-libp2p and RFC 8305 (section 4) agree on.
///
/// - Direct addresses come before relayed ones, which begin two staggers later.
/// - Private and public addresses are tried beside each other, private ones with the short stagger; but where the host's
///   networks are not known, private ones begin a stagger later and take no shorter one.
/// - Of each of these, what worked comes before what did not; then QUIC before TCP before WebSocket, and of each carrier
///   the families take turns, IPv6 first.
pub fn rank(prospects: &Prospects<'_>) -> Vec<Start> {
    let mut groups: [Vec<usize>; 3] = Default::default();
    for (index, prospect) in prospects.addresses.iter().enumerate() {
        let group = match prospect.kind {
            Kind { relayed: true, .. } => 2,
            Kind { reach: Reach::Public, .. } => 1,
            _ => 0,
        };
        groups[group].push(index);
    }
    let (stagger, lan) = (prospects.stagger, prospects.lan_stagger);
    let has_public = !groups[1].is_empty();
    let has_direct = has_public || !groups[0].is_empty();
    let is_guess = has_public && prospects.network == Network::Unknown;
    let timing = [
        if is_guess { (stagger, stagger) } else { (Duration::ZERO, lan) },
        (Duration::ZERO, stagger),
        (if has_direct { stagger * 2 } else { Duration::ZERO }, stagger),
    ];
    let mut starts = Vec::with_capacity(prospects.addresses.len());
    for (group, (mut at, gap)) in groups.into_iter().zip(timing) {
        for index in in_turns(prospects.addresses, group) {
            starts.push((at, gap, index));
            at += gap;
        }
    }
    starts.sort_by_key(|(at, ..)| *at);
    let mut before = None;
    let gap_of = |(at, gap, index): (Duration, Duration, usize)| {
        let gap = before.map_or(gap, |before| at - before);
        before = Some(at);
        Start { index, gap }
    };
    starts.into_iter().map(gap_of).collect()
}

/// Orders what is tried one after another: by past success, by carrier, and of each carrier the families in turns.
fn in_turns(prospects: &[Prospect], mut group: Vec<usize>) -> Vec<usize> {
    let class = |index: &usize| {
        let prospect = &prospects[*index];
        (!prospect.worked, prospect.failures, prospect.kind.carrier)
    };
    group.sort_by_key(class);
    let mut ordered = Vec::with_capacity(group.len());
    for class in group.chunk_by(|a, b| class(a) == class(b)) {
        let mut seen = [0_usize; 3];
        let mut turns: Vec<_> = class
            .iter()
            .map(|index| {
                let family = prospects[*index].kind.family;
                let turn = &mut seen[family as usize];
                *turn += 1;
                (*turn, family, *index)
            })
            .collect();
        turns.sort_unstable();
        ordered.extend(turns.into_iter().map(|(.., index)| index));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn prospect(text: &str) -> Prospect {
        let address: Multiaddr = text.parse().unwrap();
        Prospect { kind: Kind::of(&address), address, worked: false, failures: 0 }
    }

    /// The schedule of these addresses: when each begins if none fails, counted from the first.
    fn schedule(network: Network, addresses: &[Prospect]) -> Vec<(u64, String)> {
        let now = Instant::ZERO;
        let prospects = Prospects { addresses, network, now, seed: 0, stagger: MS(250), lan_stagger: MS(30) };
        let mut at = Duration::ZERO;
        rank(&prospects)
            .into_iter()
            .enumerate()
            .map(|(i, start)| {
                at += if i == 0 { Duration::ZERO } else { start.gap };
                (at.as_millis() as u64, addresses[start.index].address.to_string())
            })
            .collect()
    }

    fn check(network: Network, given: &[&str], expected: &[(u64, &str)]) {
        let given: Vec<_> = given.iter().map(|text| prospect(text)).collect();
        let expected: Vec<_> = expected.iter().map(|(at, text)| (*at, (*text).to_owned())).collect();
        assert_eq!(schedule(network, &given), expected);
    }

    const V4: &str = "/ip4/1.1.1.1/tcp/1";
    const V4B: &str = "/ip4/1.1.1.2/tcp/1";
    const V6: &str = "/ip6/2600::1/tcp/1";
    const V6B: &str = "/ip6/2600::2/tcp/1";
    const Q4: &str = "/ip4/1.1.1.1/udp/1/quic-v1";
    const Q6: &str = "/ip6/2600::1/udp/1/quic-v1";
    const WS: &str = "/dns4/a.b/tcp/443/wss";
    const LAN: &str = "/ip4/192.168.0.1/tcp/1";
    const LAN2: &str = "/ip4/192.168.0.2/tcp/1";
    const RELAYED: &str = "/ip4/1.1.1.9/tcp/1/p2p/12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5/p2p-circuit";

    #[test]
    fn of_one_kind_the_given_order_stays() {
        check(Network::Unknown, &[V4B, V4], &[(0, V4B), (250, V4)]);
        check(Network::Unknown, &[], &[]);
    }

    #[test]
    fn families_take_turns_and_quic_comes_first() {
        check(Network::Public, &[V4, V4B, V6, V6B], &[(0, V6), (250, V4), (500, V6B), (750, V4B)]);
        check(Network::Public, &[WS, V4, Q4, V6, Q6], &[(0, Q6), (250, Q4), (500, V6), (750, V4), (1000, WS)]);
    }

    #[test]
    fn relayed_addresses_begin_later_unless_they_are_all_there_is() {
        check(Network::Public, &[RELAYED, V4], &[(0, V4), (500, RELAYED)]);
        check(Network::Public, &[RELAYED], &[(0, RELAYED)]);
    }

    #[test]
    fn private_addresses_are_quick_on_a_private_network_and_wait_on_an_unknown_one() {
        check(Network::Private, &[V4, V4B, LAN, LAN2], &[(0, LAN), (0, V4), (30, LAN2), (250, V4B)]);
        check(Network::Unknown, &[LAN, LAN2, V4, V4B], &[(0, V4), (250, LAN), (250, V4B), (500, LAN2)]);
        check(Network::Unknown, &[LAN, LAN2], &[(0, LAN), (30, LAN2)]);
    }

    #[test]
    fn what_worked_comes_first_and_what_fails_last() {
        let mut given: Vec<_> = [Q6, V4, V4B].into_iter().map(prospect).collect();
        given[2].worked = true;
        given[0].failures = 3;
        let order: Vec<_> = schedule(Network::Public, &given).into_iter().map(|(_, text)| text).collect();
        assert_eq!(order, [V4B, V4, Q6]);
    }
}

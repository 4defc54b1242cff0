//! Names in addresses: what is asked, and what becomes of the answer.

use core::{fmt, net::IpAddr};

use libp2p_identity::PeerId;
use multiaddr::{Multiaddr, Protocol};
use sanswarm_wire::{Instant, Key};

use crate::address::{resolved, split_peer};

/// The name of a question to the name service. Never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResolveId(pub(crate) Key);

impl fmt::Debug for ResolveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "resolve {:?}", self.0)
    }
}

/// What the driver is to ask the name service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Question {
    /// The IPv4 addresses of a host (`/dns4`).
    Ip4(String),
    /// The IPv6 addresses of a host (`/dns6`).
    Ip6(String),
    /// The addresses of a host (`/dns`).
    Ip(String),
    /// The TXT records of this name (`/dnsaddr`, the prefix `_dnsaddr.` is there already).
    Texts(String),
}

/// What the name service said.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// To the questions for addresses.
    Ips(Vec<IpAddr>),
    /// To [`Question::Texts`]: the texts of the records, the strings of each put together.
    Texts(Vec<String>),
}

/// A question that has no answer yet.
#[derive(Debug)]
pub(crate) struct Resolve {
    pub(crate) plan: Key,
    /// The address with the name, without its `/p2p/…`.
    pub(crate) address: Multiaddr,
    /// Who must be there.
    pub(crate) peer: Option<PeerId>,
    /// How many names of its kind led here.
    pub(crate) depth: usize,
    pub(crate) since: Instant,
    pub(crate) deadline: Instant,
}

/// What must be asked before an address can be dialled.
pub(crate) fn question(address: &Multiaddr) -> Option<Question> {
    Some(match address.iter().next()? {
        Protocol::Dns(name) => Question::Ip(name.into_owned()),
        Protocol::Dns4(name) => Question::Ip4(name.into_owned()),
        Protocol::Dns6(name) => Question::Ip6(name.into_owned()),
        Protocol::Dnsaddr(name) => Question::Texts(format!("_dnsaddr.{name}")),
        _ => return None,
    })
}

/// The addresses that an answer puts in the place of one with a name, at most `limit`, with the peers that they name.
/// What is of another peer, of another family than asked for, or no address is left out.
pub(crate) fn answered(resolve: &Resolve, answer: Answer, limit: usize) -> Vec<(Multiaddr, Option<PeerId>)> {
    let asked = question(&resolve.address);
    match (answer, asked) {
        (Answer::Ips(ips), Some(question @ (Question::Ip(_) | Question::Ip4(_) | Question::Ip6(_)))) => ips
            .into_iter()
            .filter(|ip| match question {
                Question::Ip4(_) => ip.is_ipv4(),
                Question::Ip6(_) => ip.is_ipv6(),
                _ => true,
            })
            .take(limit)
            .map(|ip| (resolved(&resolve.address, ip), resolve.peer))
            .collect(),
        (Answer::Texts(texts), Some(Question::Texts(_))) => {
            let rest: Multiaddr = resolve.address.iter().skip(1).collect();
            texts
                .iter()
                .take(limit)
                .filter_map(|text| text.strip_prefix("dnsaddr=")?.parse().ok())
                .map(|address| split_peer(&address))
                .filter(|(address, named)| {
                    let is_theirs = resolve.peer.is_none() || named.is_none() || *named == resolve.peer;
                    is_theirs && address.ends_with(&rest)
                })
                .map(|(address, named)| (address, named.or(resolve.peer)))
                .collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str, peer: Option<PeerId>) -> Resolve {
        let plan = sanswarm_wire::Slab::new().insert(());
        let now = Instant::ZERO;
        Resolve { plan, address: text.parse().unwrap(), peer, depth: 0, since: now, deadline: now }
    }

    fn texts(resolve: &Resolve, texts: &[String], limit: usize) -> Vec<String> {
        let answer = Answer::Texts(texts.to_vec());
        answered(resolve, answer, limit).into_iter().map(|(address, _)| address.to_string()).collect()
    }

    #[test]
    fn hosts_take_the_place_of_their_names() {
        let ips = || Answer::Ips(vec!["1.2.3.4".parse().unwrap(), "2600::1".parse().unwrap()]);
        let of = |text: &str, limit| -> Vec<String> {
            answered(&resolve(text, None), ips(), limit).into_iter().map(|(address, _)| address.to_string()).collect()
        };
        assert_eq!(of("/dns/a.b/tcp/1/ws", 9), ["/ip4/1.2.3.4/tcp/1/ws", "/ip6/2600::1/tcp/1/ws"]);
        for text in ["/dns4/a.b/tcp/1/wss", "/dns4/a.b/tcp/1/tls/ws"] {
            assert_eq!(of(text, 9), ["/ip4/1.2.3.4/tcp/1/tls/sni/a.b/ws"], "the certificate is for the name");
        }
        assert_eq!(of("/dns4/a.b/tcp/1/tls/sni/c.d/ws", 9), ["/ip4/1.2.3.4/tcp/1/tls/sni/c.d/ws"]);
        assert_eq!(of("/dns4/a.b/tcp/1", 9), ["/ip4/1.2.3.4/tcp/1"]);
        assert_eq!(of("/dns6/a.b/tcp/1", 9), ["/ip6/2600::1/tcp/1"]);
        assert_eq!(of("/dns/a.b/tcp/1", 1).len(), 1);
        assert_eq!(of("/dnsaddr/a.b", 9), [""; 0], "no texts");
        assert_eq!(of("/ip4/1.2.3.4/tcp/1", 9), [""; 0], "no name");
    }

    #[test]
    fn records_of_others_and_those_that_are_none_are_left_out() {
        let id = |n| PeerId::from_bytes(&[0, 1, n]).unwrap();
        let (ours, theirs) = (id(2), id(3));
        let all = [
            format!("dnsaddr=/ip4/1.1.1.1/tcp/1/p2p/{ours}"),
            format!("dnsaddr=/ip4/1.1.1.2/tcp/1/p2p/{theirs}"),
            "dnsaddr=/ip4/1.1.1.3/udp/1/quic-v1".to_owned(),
            "dnsaddr=nonsense".to_owned(),
            "v=spf1".to_owned(),
        ];
        let of = |text, peer, limit| texts(&resolve(text, peer), &all, limit);
        assert_eq!(of("/dnsaddr/a.b", Some(ours), 9), ["/ip4/1.1.1.1/tcp/1", "/ip4/1.1.1.3/udp/1/quic-v1"]);
        assert_eq!(of("/dnsaddr/a.b/tcp/1", Some(ours), 9), ["/ip4/1.1.1.1/tcp/1"], "the rest is a suffix");
        assert_eq!(of("/dnsaddr/a.b", None, 9).len(), 3);
        assert_eq!(of("/dnsaddr/a.b", None, 1).len(), 1);
        assert_eq!(question(&"/dnsaddr/a.b".parse().unwrap()), Some(Question::Texts("_dnsaddr.a.b".to_owned())));
    }
}

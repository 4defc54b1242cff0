//! Names in addresses, asked of a name server of our own.

#![allow(clippy::unwrap_used)] // clippy sees helpers outside of #[test] as no tests

mod common;
#[path = "../../host/tests/common/dns.rs"]
mod dns;

use core::net::SocketAddr;

use common::{SECOND, server, within};
use dns::{A, AAAA, DnsServer, Say, TXT};
use sanswarm_std::{Multiaddr, NameServers, Node, PeerInfo, new_config};

fn ips<const N: usize>(ips: [&str; N]) -> Say {
    Say::Ips(ips.map(|ip| ip.parse().unwrap()).to_vec())
}

/// A node that asks this server, for two seconds.
fn asking(at: SocketAddr) -> Node {
    let mut config = new_config().unwrap();
    config.swarm.resolve = 2 * SECOND;
    Node::with_name_servers(config, NameServers::At(vec![at])).unwrap()
}

fn port(info: &PeerInfo) -> u16 {
    info.addrs[0].to_string().rsplit('/').next().unwrap().parse().unwrap()
}

/// A new node each time, which knows nothing of before.
fn connect(server: SocketAddr, peer: &PeerInfo, address: &str) -> Result<(), String> {
    let addrs = vec![address.parse::<Multiaddr>().unwrap()];
    let result = asking(server).connect(PeerInfo { id: peer.id, addrs });
    result.map(drop).map_err(|error| error.to_string())
}

#[test]
fn hosts_have_the_addresses_that_their_server_says() {
    within(|| {
        let (_bob, info) = server("/ip4/127.0.0.1/tcp/0");
        let server = DnsServer::start([
            ("four.test", A, ips(["127.0.0.1"])),
            ("both.test", A, ips(["127.0.0.1"])),
            ("both.test", AAAA, ips(["::1"])),
            ("slow.test", A, ips(["127.0.0.1"])),
            ("slow.test", AAAA, Say::Nothing),
            ("sick.test", A, Say::Failure),
            ("mute.test", A, Say::Nothing),
        ]);
        let (at, port) = (server.at, port(&info));
        for good in ["/dns4/four.test", "/dns/four.test", "/dns/both.test", "/dns/slow.test"] {
            connect(at, &info, &format!("{good}/tcp/{port}")).unwrap();
        }
        for (bad, cause) in [
            ("/dns6/four.test", "the name was not resolved"),
            ("/dns/no-such.test", "the name was not resolved"),
            ("/dns4/sick.test", "the name service failed"),
            ("/dns4/mute.test", "the name service did not answer"),
        ] {
            let error = connect(at, &info, &format!("{bad}/tcp/{port}")).unwrap_err();
            assert!(error.contains(&format!("{bad}/tcp/{port}: resolve: {cause}")), "{error}");
        }
        assert!(server.asked().contains(&("no-such.test".to_owned(), AAAA)));
    });
}

#[test]
fn a_dnsaddr_leads_to_its_peer_over_long_answers_and_other_names() {
    within(|| {
        let (_bob, info) = server("/ip4/127.0.0.1/tcp/0");
        let (port, id) = (port(&info), info.id);
        let stranger = Node::with_new_identity().unwrap().id();
        let mut many: Vec<_> =
            (0..40).map(|n| format!("dnsaddr=/ip4/127.0.0.1/tcp/{}/p2p/{stranger}", 1 + n)).collect();
        many.push(format!("dnsaddr=/dnsaddr/next.test/p2p/{id}"));
        let next = vec![format!("dnsaddr=/dns4/four.test/tcp/{port}/p2p/{id}")];
        let server = DnsServer::start([
            ("_dnsaddr.boot.test", TXT, Say::TooLong(many)),
            ("_dnsaddr.next.test", TXT, Say::Texts(next)),
            ("four.test", A, ips(["127.0.0.1"])),
        ]);
        let at = server.at;
        connect(at, &info, &format!("/dnsaddr/boot.test/p2p/{id}")).unwrap();
        let error = connect(at, &info, "/dnsaddr/four.test").unwrap_err();
        assert!(error.contains("/dnsaddr/four.test: resolve: the name was not resolved"), "{error}");
    });
}

#[test]
fn localhost_and_the_hosts_file_need_no_server() {
    within(|| {
        let (_bob, info) = server("/ip4/127.0.0.1/tcp/0");
        // Nobody is there.
        let dead = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (at, port) = (dead, port(&info));
        connect(at, &info, &format!("/dns/localhost/tcp/{port}")).unwrap();
        let error = connect(at, &info, &format!("/dns4/four.test/tcp/{port}")).unwrap_err();
        assert!(error.contains("resolve: the name service"), "{error}");
    });
}

#[test]
fn questions_take_one_thread_and_hold_no_end_up() {
    within(|| {
        let server = DnsServer::start([("mute.test", A, Say::Nothing)]);
        let mut config = new_config().unwrap();
        config.swarm.resolve = 20 * SECOND;
        let node = Node::with_name_servers(config, NameServers::At(vec![server.at])).unwrap();
        let peer = |n: u8| sanswarm_std::PeerId::from_bytes(&[0, 1, n]).unwrap();
        let asks: Vec<_> = (0..50)
            .map(|n| {
                let node = node.clone();
                let addrs = vec![format!("/dns4/mute.test/tcp/{}", 1 + u16::from(n)).parse().unwrap()];
                common::start(move || node.connect(PeerInfo { id: peer(n), addrs }))
            })
            .collect();
        common::eventually("it is asked", || !server.asked().is_empty());
        if cfg!(target_os = "linux") {
            let names = |entry: std::io::Result<std::fs::DirEntry>| {
                std::fs::read_to_string(entry.unwrap().path().join("comm")).unwrap_or_default()
            };
            let threads: Vec<_> = std::fs::read_dir("/proc/self/task").unwrap().map(names).collect();
            let asking = threads.iter().filter(|name| name.starts_with("sanswarm-names")).count();
            // Other tests of this process may have one each.
            assert!((1..=4).contains(&asking), "{threads:?}");
        }
        node.shutdown(SECOND);
        for ask in asks {
            let code = ask.join().unwrap().unwrap_err().code();
            assert!(matches!(code, "shutting-down" | "closed"), "{code}: before it began to end, or after");
        }
    });
}

#[cfg(feature = "poll")]
#[test]
fn a_node_on_one_thread_asks_too() {
    use sanswarm_std::{Event, poll::Driver};

    within(|| {
        let (_bob, info) = server("/ip4/127.0.0.1/tcp/0");
        let text = format!("dnsaddr=/dns4/four.test/tcp/{}/p2p/{}", port(&info), info.id);
        let server = DnsServer::start([
            ("_dnsaddr.boot.test", TXT, Say::Texts(vec![text])),
            ("four.test", A, ips(["127.0.0.1"])),
        ]);
        let servers = NameServers::At(vec![server.at]);
        let mut driver = Driver::with_name_servers(new_config().unwrap(), servers).unwrap();
        let now = driver.now();
        let addrs = vec!["/dnsaddr/boot.test".parse().unwrap()];
        let request = driver.node().connect(now, PeerInfo { id: info.id, addrs });
        let answer = loop {
            match driver.next_event(Some(10 * SECOND)).unwrap() {
                Event::Dialed { request: of, peer, .. } if of == request => break peer,
                Event::OpenFailed { error, .. } => panic!("{error}"),
                _ => {}
            }
        };
        assert_eq!(answer, info.id);
    });
}

//! Names in addresses, asked of a name server of our own.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;
#[path = "../../host/tests/common/dns.rs"]
mod server;

use core::{net::SocketAddr, time::Duration};

use common::{config, echo_server, within};
use sanswarm_tokio::{Multiaddr, NameServers, Node, PeerInfo, TransportError, connect_with};
use server::{A, AAAA, DnsServer, Say, TXT};
use tokio::time::Instant;

fn ips<const N: usize>(ips: [&str; N]) -> Say {
    Say::Ips(ips.map(|ip| ip.parse().unwrap()).to_vec())
}

/// A node that asks this server, for two seconds.
fn asking(at: SocketAddr) -> Node {
    let mut config = config(20);
    config.swarm.resolve = Duration::from_secs(2);
    Node::with_name_servers(config, NameServers::At(vec![at])).unwrap()
}

fn port(info: &PeerInfo) -> u16 {
    let text = info.addrs[0].to_string();
    text.rsplit('/').next().unwrap().parse().unwrap()
}

/// A new node each time, which knows nothing of before.
async fn connect(server: SocketAddr, peer: &PeerInfo, address: &str) -> Result<(), String> {
    let addrs = vec![address.parse::<Multiaddr>().unwrap()];
    let result = asking(server).connect(PeerInfo { id: peer.id, addrs }).await;
    result.map(drop).map_err(|error| error.to_string())
}

#[tokio::test]
async fn hosts_have_the_addresses_that_their_server_says() {
    within(async {
        let (_bob, info) = echo_server().await;
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
        for good in ["/dns4/four.test", "/dns/four.test", "/dns/both.test", "/dns4/127.0.0.1"] {
            connect(at, &info, &format!("{good}/tcp/{port}")).await.unwrap();
        }
        let start = Instant::now();
        connect(at, &info, &format!("/dns/slow.test/tcp/{port}")).await.unwrap();
        assert!(start.elapsed() < Duration::from_millis(1500), "the other family is not waited for");
        for (bad, cause) in [
            ("/dns6/four.test", "the name was not resolved"),
            ("/dns/no-such.test", "the name was not resolved"),
            ("/dns/no..name", "the name was not resolved"),
            ("/dns4/sick.test", "the name service failed"),
            ("/dns4/mute.test", "the name service did not answer"),
        ] {
            let error = connect(at, &info, &format!("{bad}/tcp/{port}")).await.unwrap_err();
            assert!(error.contains(&format!("{bad}/tcp/{port}: resolve: {cause}")), "{error}");
        }
        assert!(server.asked().contains(&("no-such.test".to_owned(), AAAA)));
    })
    .await;
}

#[tokio::test]
async fn a_dnsaddr_leads_to_its_peer_over_long_answers_and_other_names() {
    within(async {
        let (_bob, info) = echo_server().await;
        let (port, id) = (port(&info), info.id);
        let stranger = Node::with_new_identity().id();
        let mut many: Vec<_> =
            (0..40).map(|n| format!("dnsaddr=/ip4/127.0.0.1/tcp/{}/p2p/{stranger}", 1 + n)).collect();
        many.push(format!("dnsaddr=/dnsaddr/next.test/p2p/{id}"));
        many.push("v=spf1 -all".to_owned());
        let next = vec![format!("dnsaddr=/dns4/four.test/tcp/{port}/p2p/{id}")];
        let deep = |n: usize| Say::Texts(vec![format!("dnsaddr=/dnsaddr/d{n}.test")]);
        let server = DnsServer::start([
            ("_dnsaddr.boot.test", TXT, Say::TooLong(many)),
            ("_dnsaddr.next.test", TXT, Say::Texts(next)),
            ("four.test", A, ips(["127.0.0.1"])),
            ("_dnsaddr.loop.test", TXT, Say::Texts(vec!["dnsaddr=/dnsaddr/loop.test".to_owned()])),
            ("_dnsaddr.d0.test", TXT, deep(1)),
            ("_dnsaddr.d1.test", TXT, deep(2)),
            ("_dnsaddr.d2.test", TXT, deep(3)),
            ("_dnsaddr.d3.test", TXT, deep(4)),
            ("_dnsaddr.d4.test", TXT, deep(5)),
        ]);
        let at = server.at;
        let boot = format!("/dnsaddr/boot.test/p2p/{id}");
        connect(at, &info, &boot).await.unwrap();
        // A driver of one's own gets a socket.
        let socket = async |text: &str| connect_with(&text.parse().unwrap(), NameServers::At(vec![server.at])).await;
        assert_eq!(socket(&boot).await.unwrap().tcp().unwrap().peer_addr().unwrap().port(), port);
        assert_eq!(socket("/dnsaddr/four.test").await.unwrap_err(), TransportError::NotFound);
        assert_eq!(socket("/dns4/four.test/tcp/1").await.unwrap_err(), TransportError::Refused);
        assert_eq!(socket("/dns4/four.test/udp/1").await.unwrap_err(), TransportError::Unsupported);
        let error = connect(at, &info, "/dnsaddr/d0.test").await.unwrap_err();
        assert!(error.contains("the limit `resolve_depth` of 4 is reached"), "{error}");
        connect(at, &info, "/dnsaddr/loop.test").await.unwrap_err();
        let error = connect(at, &info, "/dnsaddr/four.test").await.unwrap_err();
        assert!(error.contains("/dnsaddr/four.test: resolve: the name was not resolved"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn localhost_and_the_hosts_file_need_no_server() {
    within(async {
        let (_bob, info) = echo_server().await;
        // Nobody is there.
        let dead = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (at, port) = (dead, port(&info));
        connect(at, &info, &format!("/dns/localhost/tcp/{port}")).await.unwrap();
        let hosts = std::fs::read_to_string(if cfg!(windows) { "NUL" } else { "/etc/hosts" }).unwrap();
        let is_ours = |line: &&str| line.starts_with("127.0.0.1");
        for name in hosts.lines().filter(is_ours).flat_map(|line| line.split_whitespace().skip(1)) {
            connect(at, &info, &format!("/dns4/{name}/tcp/{port}")).await.unwrap();
        }
        let error = connect(at, &info, &format!("/dns4/four.test/tcp/{port}")).await.unwrap_err();
        assert!(error.contains("resolve: the name service"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn questions_are_bounded_though_nobody_waits_for_them() {
    within(async {
        const MUTE: [&str; 2] = ["mute.test", "_dnsaddr.mute.test"];
        let server = DnsServer::start([(MUTE[0], A, Say::Nothing), (MUTE[1], TXT, Say::Nothing)]);
        let mut config = config(21);
        config.swarm.resolve = Duration::from_secs(20);
        let node = Node::with_name_servers(config, NameServers::At(vec![server.at])).unwrap();
        let id = Node::with_new_identity().id();
        let ask = |name: String| {
            let node = node.clone();
            async move { node.connect(PeerInfo { id, addrs: vec![name.parse().unwrap()] }).await }
        };
        // What is cancelled is asked for all the same.
        for n in 0..300 {
            let asked = ask(format!("/dns4/mute.test/tcp/{}", n + 1));
            assert!(tokio::time::timeout(Duration::from_millis(1), asked).await.is_err() || n >= 256, "{n}");
        }
        let error = ask("/dns4/mute.test/tcp/1000".to_owned()).await.unwrap_err().to_string();
        assert!(error.contains("resolve: the name service failed"), "{error}");
        let start = Instant::now();
        node.shutdown(Duration::from_secs(5)).await;
        assert!(start.elapsed() < Duration::from_secs(4), "no question holds the end up");
    })
    .await;
}

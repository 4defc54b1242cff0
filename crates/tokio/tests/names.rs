//! Names in addresses where the system's resolver is all that there is.

#![cfg(not(feature = "dns"))]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{echo_server, within};
use sanswarm_tokio::{Node, PeerInfo};

#[tokio::test]
async fn the_system_knows_hosts_and_no_dnsaddr() {
    within(async {
        let (_bob, info) = echo_server().await;
        let node = Node::with_new_identity();
        let port = info.addrs[0].to_string().rsplit('/').next().unwrap().to_owned();
        let at = |address: &str| PeerInfo { id: info.id, addrs: vec![address.parse().unwrap()] };
        let error = node.connect(at("/dnsaddr/localhost")).await.unwrap_err().to_string();
        assert!(error.contains("/dnsaddr/localhost: resolve: the driver does not support this address"), "{error}");
        let error = node.connect(at("/dns/no-such.invalid/tcp/1")).await.unwrap_err().to_string();
        assert!(error.contains("resolve: the name was not resolved"), "{error}");
        node.connect(at(&format!("/dns4/localhost/tcp/{port}"))).await.unwrap();
    })
    .await;
}

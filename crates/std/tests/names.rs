//! Names in addresses where the system's resolver is all that there is.

#![cfg(not(feature = "dns"))]
#![allow(clippy::unwrap_used)] // clippy sees helpers outside of #[test] as no tests

mod common;

use common::{server, within};
use sanswarm_std::{Node, PeerInfo};

#[test]
fn the_system_knows_hosts_and_no_dnsaddr() {
    within(|| {
        let (_bob, info) = server("/ip4/127.0.0.1/tcp/0");
        let node = Node::with_new_identity().unwrap();
        let port = info.addrs[0].to_string().rsplit('/').next().unwrap().to_owned();
        let at = |address: &str| PeerInfo { id: info.id, addrs: vec![address.parse().unwrap()] };
        let error = node.connect(at("/dnsaddr/localhost")).unwrap_err().to_string();
        assert!(error.contains("/dnsaddr/localhost: resolve: the driver does not support this address"), "{error}");
        let error = node.connect(at("/dns/no-such.invalid/tcp/1")).unwrap_err().to_string();
        assert!(error.contains("resolve: the name was not resolved"), "{error}");
        node.connect(at(&format!("/dns4/localhost/tcp/{port}"))).unwrap();
    });
}

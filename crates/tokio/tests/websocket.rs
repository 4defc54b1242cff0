//! WebSocket under a node.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{ECHO, check_echo, config, echo, listener_on, within};
use sanswarm_tokio::Node;

#[tokio::test]
async fn ping_identify_and_echo() {
    within(async {
        let (bob, info) = listener_on(Node::with_new_identity(), "/ip4/127.0.0.1/tcp/0/ws").await;
        bob.set_stream_handler(ECHO, echo);
        assert!(info.addrs[0].to_string().ends_with("/ws"), "{info:?}");
        let alice = Node::new(config(1)).unwrap();
        alice.connect(info.clone()).await.unwrap();
        alice.ping(info.id).await.unwrap();
        bob.ping(alice.id()).await.unwrap();
        let said = alice.identify(info.id).await.unwrap();
        assert_eq!(said.listen_addrs, info.addrs);
        assert!(said.observed_addr.unwrap().to_string().ends_with("/ws"));
        check_echo(alice.open_stream(ECHO, info).await.unwrap(), 1 << 20, 0).await;
    })
    .await;
}

//! `sanswarm interop`: one end of a test of libp2p's interop suites, as their containers run it.

mod contract;
mod redis;

use core::net::IpAddr;

use sanswarm::{Multiaddr, PeerInfo, multiaddr::Protocol};
use sanswarm_tokio::Node;
use tokio::time::Instant;

use crate::{
    args::Options,
    failure::Failure,
    json::Object,
    listen::{self, Signals},
    output::{self, ms},
    session::{self, Patience},
};
use contract::{Form, Test};
use redis::Redis;
pub(crate) use redis::RedisError;

/// `sanswarm interop`.
pub(crate) async fn run(options: &Options) -> Result<(), Failure> {
    let test = Test::read(&|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))?;
    let node_options = Options {
        security: Some(vec![test.security]),
        muxers: Some(vec![test.muxer]),
        timeout: Some(test.timeout),
        key: options.key.clone(),
        ..Options::default()
    };
    let patience = Patience::new(&node_options, 0);
    let node = session::node(&node_options, Some(patience))?;
    if test.debug || options.verbose {
        tokio::spawn(listen::log(node.events(), false));
    }
    let redis = patience.wait("redis", Redis::connect(&test.redis, test.ip, patience.until())).await?;
    if test.is_dialer { dial(&node, redis, &test, patience).await } else { serve(&node, redis, &test, patience).await }
}

/// The listener: says where it is, and waits to be killed. Not being killed in time is a failure.
async fn serve(node: &Node, mut redis: Redis, test: &Test, patience: Patience) -> Result<(), Failure> {
    let signal = Signals::new().map_err(Failure::Runtime)?;
    let listen = async { node.listen(test.transport.address(test.ip, 0)).await.map_err(Failure::Listen) };
    let bound = patience.wait("listen", listen).await?;
    // The dialer is on the network on which Redis is.
    let address = reachable(&bound, redis.local_ip()).with(Protocol::P2p(node.id()));
    patience.wait("redis", redis.push(&test.address_key(), &address.to_string())).await?;
    output::note_if(test.debug, format_args!("interop: told {address} to {}", test.redis));
    let killed = async {
        signal.wait().await;
        Ok::<(), Failure>(())
    };
    patience.wait("interop", killed).await?;
    session::leave(node).await;
    Ok(())
}

/// An address that others can dial: a wildcard is none.
fn reachable(bound: &Multiaddr, ours: IpAddr) -> Multiaddr {
    let part = |part| match part {
        Protocol::Ip4(ip) if ip.is_unspecified() => Protocol::from(ours),
        Protocol::Ip6(ip) if ip.is_unspecified() => Protocol::from(ours),
        part => part,
    };
    bound.iter().map(part).collect()
}

async fn dial(node: &Node, mut redis: Redis, test: &Test, patience: Patience) -> Result<(), Failure> {
    let key = test.address_key();
    let address = patience.wait("redis", redis.pop(&key, patience.until())).await?;
    output::note_if(test.debug, format_args!("interop: dials {address}"));
    let peer = PeerInfo::try_from(session::address(address.trim())?).map_err(Failure::NoPeerId)?;
    let (id, start) = (peer.id, Instant::now());
    patience.wait("connect", node.connect(peer)).await?;
    let ping = async { node.ping(id).await.map_err(Failure::Ping) };
    let ping = patience.wait("ping", ping).await?;
    let handshake = start.elapsed();
    output::line(result(test.form, ms(handshake), ms(ping)))?;
    session::leave(node).await;
    Ok(())
}

/// Both times in milliseconds, as the suite reads them. The l's are three in the suite too.
fn result(form: Form, handshake: f64, ping: f64) -> String {
    match form {
        Form::Upper => {
            format!("latency:\n  handshake_plus_one_rtt: {handshake:.3}\n  ping_rtt: {ping:.3}\n  unit: ms")
        }
        Form::Lower => {
            Object::new().decimal("handshakePlusOneRTTMillis", handshake).decimal("pingRTTMilllis", ping).end()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_what_the_suites_read() {
        assert_eq!(
            result(Form::Upper, 5.0114, 0.599),
            "latency:\n  handshake_plus_one_rtt: 5.011\n  ping_rtt: 0.599\n  unit: ms"
        );
        assert_eq!(
            result(Form::Lower, 5.0114, 0.599),
            "{\"handshakePlusOneRTTMillis\":5.011,\"pingRTTMilllis\":0.599}"
        );
    }

    #[test]
    fn a_wildcard_is_told_as_the_address_on_the_network_of_redis() {
        let ours = "172.18.0.3".parse().unwrap();
        let of = |bound: &str| reachable(&bound.parse().unwrap(), ours).to_string();
        assert_eq!(of("/ip4/0.0.0.0/tcp/5"), "/ip4/172.18.0.3/tcp/5");
        assert_eq!(of("/ip4/127.0.0.1/tcp/5"), "/ip4/127.0.0.1/tcp/5");
        assert_eq!(of("/ip4/0.0.0.0/tcp/5/ws"), "/ip4/172.18.0.3/tcp/5/ws");
    }
}

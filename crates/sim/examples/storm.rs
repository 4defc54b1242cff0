//! A dial storm: 60 hosts dial one host, and each other, within a second; connections beyond its limits are refused.

use core::time::Duration;
use sanswarm_sim::{HostId, Network, Traffic, Violation, Wishes};

const HOSTS: usize = 60;

fn main() -> Result<(), Violation> {
    let mut net = Network::new(3);
    for index in 0..HOSTS {
        let neighbours = [0, (index + 1) % HOSTS, (index + 30) % HOSTS];
        let mut config = net.config();
        // So few that some of the storm must come again.
        config.swarm.pending_inbound = 3;
        net.add_host_with(
            config,
            Traffic::new(Wishes {
                peers: neighbours.into_iter().filter(|peer| *peer != index).map(HostId::new).collect(),
                start_within: Duration::from_secs(1),
                stream_every: None,
                bytes: 0,
                bytes_tenth: 0,
                wild: false,
                visits: false,
            }),
        );
    }
    net.run_for(Duration::from_secs(2))?;
    let (first, failed) = (net.counts().connections, net.counts().failed);
    net.settle(Duration::from_secs(300))?;
    println!("{first} connections in 2 s, {failed} dials were refused; all are connected in the end");
    println!("digest {}", net.digest());
    assert!(failed > 0, "the limit was meant to be reached");
    Ok(())
}

//! An echo under partition: ten hosts, cut in halves every minute, and no byte of an echo is lost.

use core::time::Duration;
use sanswarm_sim::{Fault, HostId, Network, Traffic, Violation, Wishes};

fn main() -> Result<(), Violation> {
    let mut net = Network::new(7);
    let all: Vec<_> = (0..10).map(HostId::new).collect();
    for host in &all {
        let peers = all.iter().copied().filter(|peer| peer > host).collect();
        net.add_host(Traffic::new(Wishes {
            peers,
            start_within: Duration::from_secs(5),
            stream_every: Some(Duration::from_secs(1)),
            bytes: 10_000,
            bytes_tenth: 500_000,
            wild: false,
            visits: false,
        }));
    }
    for minute in 0..10 {
        let group = all[..5].to_vec();
        let fault = Fault::Partition { group, lasts: Duration::from_secs(20) };
        net.schedule(Duration::from_secs(30 + 60 * minute), fault);
    }
    net.run_for(Duration::from_secs(600))?;
    net.settle(Duration::from_secs(120))?;
    let echoed: u64 = all.iter().map(|host| net.app(*host).echoed()).sum();
    let counts = net.counts();
    println!(
        "{} streams, {echoed} bytes came back, {} requests failed, each for a cause",
        counts.streams, counts.failed
    );
    println!("digest {}", net.digest());
    Ok(())
}

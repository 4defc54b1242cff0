//! A gossip of 100 hosts: each tells what it hears to its peers, and all hear of it although a tenth of them crashes.

use core::time::Duration;
use sanswarm_sim::sanswarm::{Event, ProtocolName, StreamId};
use sanswarm_sim::{App, Fault, Host, HostId, Network, Violation};
use std::collections::{BTreeMap, BTreeSet};

const GOSSIP: ProtocolName = ProtocolName::from_static("/gossip/1.0.0");
const HOSTS: usize = 100;
const PEERS: usize = 6;

/// Every 5 s a host asks a random peer of its for what that knows, and gets it.
#[derive(Default)]
struct Gossip {
    knows: BTreeSet<u8>,
    asked: BTreeMap<StreamId, Vec<u8>>,
}

impl App for Gossip {
    fn start(&mut self, host: &mut Host<'_>) {
        host.set_stream_handler(GOSSIP);
        self.knows.insert(host.id().index() as u8);
        let wait = host.rng().time(Duration::from_secs(5));
        host.after(wait, 0);
    }

    fn handle_timer(&mut self, host: &mut Host<'_>, _: u64) {
        let far = 1 + host.rng().index(PEERS) * host.rng().index(PEERS);
        let peer = HostId::new((host.id().index() + far) % HOSTS);
        host.open_stream(GOSSIP, host.info_of(peer));
        if self.knows.len() < HOSTS {
            host.after(Duration::from_secs(5), 0);
        }
    }

    fn handle_event(&mut self, host: &mut Host<'_>, event: Event) {
        match event {
            Event::Opened { request: Some(_), stream, .. } => {
                let _ = host.finish(stream);
                self.asked.insert(stream, Vec::new());
            }
            Event::Opened { stream, .. } => {
                let known: Vec<u8> = self.knows.iter().copied().collect();
                let _ = host.write(stream, &known);
                let _ = host.finish(stream);
            }
            Event::Readable { stream } | Event::Finished { stream } => {
                while let Ok(Some(bytes)) = host.read(stream) {
                    self.knows.extend(bytes.iter().copied());
                }
            }
            _ => {}
        }
    }

    fn is_settled(&self, _: &Host<'_>) -> bool {
        self.knows.len() == HOSTS
    }
}

fn main() -> Result<(), Violation> {
    let mut net = Network::new(1);
    for _ in 0..HOSTS {
        net.add_host(Gossip::default());
    }
    for crash in 0..10 {
        let host = HostId::new(crash * 7);
        net.schedule(Duration::from_secs(crash as u64), Fault::Crash { host, lasts: Duration::from_secs(10) });
    }
    net.run_for(Duration::from_secs(20))?;
    net.settle(Duration::from_secs(600))?;
    let time = net.now().as_micros() / 1_000_000;
    println!("all {HOSTS} hosts know of all after {time} s; {} connections", net.counts().connections);
    println!("digest {}", net.digest());
    Ok(())
}

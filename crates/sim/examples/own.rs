//! A protocol of one's own under a partition: a client counts, the server answers with the next number.

use core::time::Duration;
use sanswarm_sim::sanswarm::{Event, ProtocolName};
use sanswarm_sim::{App, Fault, Host, HostId, Network, Violation, for_seeds};

const NEXT: ProtocolName = ProtocolName::from_static("/next/1.0.0");

/// Asks the first host until it has counted to ten; after a failure, again 5 s later.
#[derive(Default)]
struct Counter(u8);

impl App for Counter {
    fn start(&mut self, host: &mut Host<'_>) {
        host.set_stream_handler(NEXT);
        host.after(Duration::from_secs(1), 0);
    }

    fn handle_timer(&mut self, host: &mut Host<'_>, _: u64) {
        if host.id() != HostId::new(0) && self.0 < 10 {
            host.open_stream(NEXT, host.info_of(HostId::new(0)));
        }
    }

    fn handle_event(&mut self, host: &mut Host<'_>, event: Event) {
        match event {
            Event::Opened { request: Some(_), stream, .. } => drop(host.write(stream, &[self.0])),
            Event::Readable { stream } => {
                let Ok(Some(bytes)) = host.read(stream) else { return };
                if host.id() == HostId::new(0) {
                    let _ = host.write(stream, &[bytes[0] + 1]);
                    let _ = host.finish(stream);
                } else {
                    self.0 = bytes[0];
                    let _ = host.reset(stream);
                    host.after(Duration::from_secs(2), 0);
                }
            }
            Event::OpenFailed { .. } | Event::Refused { .. } | Event::Reset { .. } | Event::Disconnected { .. } => {
                host.after(Duration::from_secs(5), 0);
            }
            _ => {}
        }
    }

    fn is_settled(&self, host: &Host<'_>) -> bool {
        host.id() == HostId::new(0) || self.0 >= 10
    }
}

fn test(net: &mut Network<Counter>) -> Result<(), Violation> {
    let server = net.add_host(Counter::default());
    net.add_host(Counter::default());
    net.schedule(Duration::from_secs(5), Fault::Partition { group: vec![server], lasts: Duration::from_secs(20) });
    net.run_for(Duration::from_secs(40))?;
    net.settle(Duration::from_secs(120))
}

fn main() {
    for_seeds(0..20, test);
}

//! A protocol of one's own under a partition: a client counts to ten, the server answers with the next number.

use core::time::Duration;
use sanswarm_sim::sanswarm::{Event, ProtocolName};
use sanswarm_sim::{App, Fault, Host, HostId, for_seeds};

const NEXT: ProtocolName = ProtocolName::from_static("/next/1.0.0");
const SERVER: HostId = HostId::new(0);

#[derive(Default)]
struct Counter(u8);

impl App for Counter {
    fn start(&mut self, host: &mut Host<'_>) {
        host.set_stream_handler(NEXT);
        host.after(Duration::from_secs(1), 0);
    }
    fn handle_timer(&mut self, host: &mut Host<'_>, _: u64) {
        if host.id() != SERVER && self.0 < 10 {
            host.open_stream(NEXT, host.info_of(SERVER));
        }
    }
    fn handle_event(&mut self, host: &mut Host<'_>, event: Event) {
        match event {
            Event::Opened { request: Some(_), stream, .. } => _ = host.write(stream, &[self.0]),
            Event::Readable { stream } if host.id() == SERVER => {
                let Ok(Some(bytes)) = host.read(stream) else { return };
                _ = host.write(stream, &[bytes[0] + 1]);
            }
            Event::Readable { stream } => {
                self.0 = host.read(stream).ok().flatten().map_or(self.0, |bytes| bytes[0]);
                _ = host.reset(stream);
                host.after(Duration::from_secs(2), 0);
            }
            Event::OpenFailed { .. } | Event::Refused { .. } | Event::Disconnected { .. } => {
                host.after(Duration::from_secs(5), 0);
            }
            _ => {}
        }
    }
    fn is_settled(&self, host: &Host<'_>) -> bool {
        host.id() == SERVER || self.0 >= 10
    }
}

fn main() {
    for_seeds(0..20, |net| {
        let (server, _) = (net.add_host(Counter::default()), net.add_host(Counter::default()));
        net.schedule(Duration::from_secs(5), Fault::Partition { group: vec![server], lasts: Duration::from_secs(20) });
        net.run_for(Duration::from_secs(40))?;
        net.settle(Duration::from_secs(120))
    });
}

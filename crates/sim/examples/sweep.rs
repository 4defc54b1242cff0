//! scratch
use sanswarm_sim::*;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let kind = Kind::named(&a[1]).unwrap();
    let first: u64 = a[2].parse().unwrap();
    let count: u64 = a[3].parse().unwrap();
    let mut bad = 0;
    let out = Scenario::run_seeds(
        first,
        count,
        2,
        |s| Scenario::new(kind, s),
        |o| {
            if let Some(v) = &o.violation {
                println!("{}  {v}", o.scenario);
            }
        },
    );
    let mut tot = Counts::default();
    for o in &out {
        tot.events += o.counts.events;
        tot.streams += o.counts.streams;
        tot.connections += o.counts.connections;
        tot.bytes += o.counts.bytes;
        tot.faults += o.counts.faults;
        tot.failed += o.counts.failed;
        tot.pings += o.counts.pings;
        if o.violation.is_some() {
            bad += 1
        }
    }
    println!("{bad} bad of {} {tot:?}", out.len());
    if std::env::var("T").is_ok() {
        if let Some(o) = out.into_iter().find(|o| o.violation.is_some()) {
            let o = o.shrink(60);
            let mut n = o.scenario.build();
            n.set_trace(|t, h, x| eprintln!("{:.6} {h} {x}", t.as_micros() as f64 / 1e6));
            o.scenario.run_with(&mut n, |_| {});
            println!("shrunk: {} {}", o.scenario, o.violation.unwrap());
        }
    }
}

//! The built-in scenarios, small.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use sanswarm_sim::{Kind, Scenario};

#[test]
fn calm() {
    let mut s = Scenario::new(Kind::Calm, 1);
    s.nodes = 10;
    s.degree = 4;
    s.time = Duration::from_secs(120);
    let o = s.run();
    assert_eq!(o.violation, None);
    println!("{:?}", o);
}

//! Cutting a failing scenario down.

use core::time::Duration;

use super::{Outcome, Scenario};

impl Outcome {
    /// Looks for a smaller scenario that breaks the same law: fewer faults, fewer hosts, less time. Runs at most `runs`
    /// scenarios. Gives this outcome back if it is a success, or if nothing smaller fails.
    pub fn shrink(self, mut runs: usize) -> Self {
        let Some(rule) = self.violation.as_ref().map(|violation| violation.rule) else { return self };
        let mut best = self;
        let mut attempt = |best: &mut Self, scenario: Scenario| {
            if runs == 0 || scenario == best.scenario {
                return false;
            }
            runs -= 1;
            let outcome = scenario.run();
            let fails = outcome.violation.as_ref().is_some_and(|violation| violation.rule == rule);
            if fails {
                *best = outcome;
            }
            fails
        };
        loop {
            let before = best.scenario.clone();
            while shorter(&best).into_iter().any(|scenario| attempt(&mut best, scenario)) {}
            while without_faults(&best.scenario).into_iter().any(|scenario| attempt(&mut best, scenario)) {}
            while fewer_nodes(&best.scenario).into_iter().any(|scenario| attempt(&mut best, scenario)) {}
            if best.scenario == before {
                return best;
            }
        }
    }
}

/// Ends where the law was broken, or before.
fn shorter(outcome: &Outcome) -> Vec<Scenario> {
    let scenario = &outcome.scenario;
    // The plan of faults depends on the time: only its faults may stay.
    let second = Duration::from_secs(1);
    [scenario.time / 2, scenario.time * 3 / 4]
        .into_iter()
        .map(|time| Duration::from_secs(time.as_secs()))
        .filter(|time| *time >= second)
        .map(|time| Scenario { time, only: Some(scenario.plan().numbers()), ..scenario.clone() })
        .collect()
}

/// Without a half of the faults, without a quarter, …, without one.
fn without_faults(scenario: &Scenario) -> Vec<Scenario> {
    let numbers = scenario.plan().numbers();
    let mut all = Vec::new();
    let mut part = numbers.len();
    while part > 0 {
        for start in (0..numbers.len()).step_by(part) {
            let keeps = |at: &usize| !(start..start + part).contains(at);
            let only = (0..numbers.len()).filter(keeps).map(|at| numbers[at]).collect();
            all.push(Scenario { only: Some(only), ..scenario.clone() });
        }
        part /= 2;
    }
    all
}

fn fewer_nodes(scenario: &Scenario) -> Vec<Scenario> {
    let nodes = scenario.nodes;
    let only = Some(scenario.plan().numbers());
    [nodes / 2, nodes * 3 / 4, nodes.saturating_sub(1)]
        .into_iter()
        .filter(|fewer| (2..nodes).contains(fewer))
        .map(|nodes| Scenario { nodes, only: only.clone(), ..scenario.clone() })
        .collect()
}

//! What the benches measure: each layer of sanswarm and its peers, both ends in memory, on one thread.
//!
//! A [`Bench`] is one thing that one stack does. `benches/*.rs` time it, `bin/count.rs` repeats it for callgrind to
//! count its instructions, and `bin/heap.rs` counts its allocations. So all three are figures of the same code.

mod duplex;
pub mod negotiation;

pub use duplex::Duplex;

/// One thing that one stack does.
pub struct Bench {
    /// What is done. All benches of one case do the same.
    pub case: String,
    /// Whose code does it.
    pub who: &'static str,
    /// How often it is done for a count: often enough that the first time, which may fill caches, counts for little.
    pub rounds: u64,
    prepare: Box<dyn Fn() -> Round>,
}

/// Does it once.
pub type Round = Box<dyn FnMut()>;

impl Bench {
    /// A bench of which `prepare` makes what belongs to no single round.
    pub fn new(case: impl Into<String>, who: &'static str, rounds: u64, prepare: impl Fn() -> Round + 'static) -> Self {
        Self { case: case.into(), who, rounds, prepare: Box::new(prepare) }
    }

    /// Ready to run.
    pub fn prepare(&self) -> Round {
        (self.prepare)()
    }

    /// What the counts call it.
    pub fn id(&self) -> String {
        format!("{}/{}", self.case, self.who)
    }
}

/// All that is counted.
pub fn benches() -> Vec<Bench> {
    negotiation::benches()
}

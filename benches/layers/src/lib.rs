//! What the benches measure: each layer of sanswarm and its peers, both ends in memory, on one thread.
//!
//! A [`Bench`] is one thing that one stack does. `benches/*.rs` time it, `bin/count.rs` repeats it for callgrind to
//! count its instructions, and `bin/heap.rs` counts its allocations. So all three are figures of the same code.

use std::any::Any;

pub mod connection;
pub mod mux;
pub mod negotiation;
pub mod noise;
pub mod pipe;
pub mod swarm;
pub mod websocket;

/// One thing that one stack does.
pub struct Bench {
    /// What is done. All benches of one case do the same.
    pub case: String,
    /// Whose code does it.
    pub who: &'static str,
    /// How often it is done for a count: often enough that the first time, which may fill caches, counts for little.
    pub rounds: u64,
    /// The bytes of payload that one round moves, where that is what counts.
    pub moved: Option<u64>,
    prepare: Box<dyn Fn() -> Round>,
}

/// Does it once.
pub type Round = Box<dyn FnMut()>;

impl Bench {
    /// A bench of which `prepare` makes what belongs to no single round.
    pub fn new<R: FnMut() + 'static>(
        case: impl Into<String>,
        who: &'static str,
        rounds: u64,
        prepare: impl Fn() -> R + 'static,
    ) -> Self {
        let prepare = Box::new(move || Box::new(prepare()) as Round);
        Self { case: case.into(), who, rounds, moved: None, prepare }
    }

    /// The same, which moves so many bytes a round.
    #[must_use]
    pub fn moving(mut self, bytes: usize) -> Self {
        self.moved = Some(bytes as u64);
        self
    }

    /// Ready to run.
    pub fn prepare(&self) -> Round {
        (self.prepare)()
    }

    /// What the counts call it.
    pub fn id(&self) -> String {
        format!("{}/{}", self.case, self.who)
    }

    /// What the counts are counts of, in rounds: a MiB where bytes are moved, else a round.
    pub fn unit(&self) -> f64 {
        self.moved.map_or(1.0, |bytes| (1 << 20) as f64 / bytes as f64)
    }
}

/// Something of which a stack holds a number.
pub struct Held {
    /// What is held.
    pub case: String,
    /// Who holds it.
    pub who: &'static str,
    make: Box<dyn Fn(usize) -> Box<dyn Any>>,
}

impl Held {
    /// Something of which `make` makes a number.
    pub fn new(case: impl Into<String>, who: &'static str, make: impl Fn(usize) -> Box<dyn Any> + 'static) -> Self {
        Self { case: case.into(), who, make: Box::new(make) }
    }

    /// So many of them.
    pub fn make(&self, number: usize) -> Box<dyn Any> {
        (self.make)(number)
    }

    /// What the counts call it.
    pub fn id(&self) -> String {
        format!("{}/{}", self.case, self.who)
    }
}

/// All that is counted.
pub fn benches() -> Vec<Bench> {
    let mut benches = negotiation::benches();
    benches.extend(mux::benches());
    benches.extend(noise::benches());
    benches.extend(connection::benches());
    benches.extend(swarm::benches());
    benches.extend(websocket::benches());
    benches
}

/// All of which memory is counted.
pub fn held() -> Vec<Held> {
    let mut held = mux::held();
    held.extend(swarm::held());
    held
}

//! A swarm under commands and facts in any order, against a plain model: who is connected and in which order, each refusal,
//! each reason to close, one answer a dial, an end to all timers.
//!
//! Input: one byte of seed, then steps of three bytes, as the model's `step` reads them.

#![no_main]

use libfuzzer_sys::fuzz_target;

// The property test of the crate runs the same.
#[path = "../../crates/swarm/tests/world/mod.rs"]
mod world;

/// Steps that are taken. More of them find nothing that fewer do not, and the model searches lists.
const STEPS_MAX: usize = 400;

fuzz_target!(|input: &[u8]| {
    let Some((seed, steps)) = input.split_first() else { return };
    let run = || {
        let mut world = world::World::new(u64::from(*seed));
        for step in steps.chunks_exact(3).take(STEPS_MAX) {
            world.step((step[0], step[1], step[2]));
        }
        world.finish()
    };
    let first = run();
    if seed % 8 == 0 {
        assert_eq!(run(), first, "the same twice");
    }
});

//! Commands and facts in any order, against a plain model; and the same twice.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod world;

use proptest::prelude::*;
use world::World;

fn steps() -> impl Strategy<Value = Vec<world::Step>> {
    prop::collection::vec(any::<world::Step>(), 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn it_does_what_the_model_says(steps in steps()) {
        let mut world = World::new(7);
        for step in steps {
            world.step(step);
        }
        world.finish();
    }

    #[test]
    fn one_seed_and_the_same_inputs_give_the_same_actions(steps in steps(), seed in any::<u64>()) {
        let run = || {
            let mut world = World::new(seed);
            steps.iter().for_each(|step| world.step(*step));
            world.finish()
        };
        prop_assert_eq!(run(), run());
    }
}

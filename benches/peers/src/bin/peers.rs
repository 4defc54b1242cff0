//! One measurement; see the library.

fn main() -> Result<(), sanswarm_benches_peers::node::Fault> {
    sanswarm_benches_peers::main(None)
}

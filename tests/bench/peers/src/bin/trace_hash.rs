//! The hashes of the first simulated runs, for comparison with those of a debug build.

use transport_peers::support::{scenario::Scenario, world::World};

fn main() {
    for seed in 0..50 {
        println!("{:08x}", World::new(Scenario::random(seed)).run().trace_hash);
    }
}

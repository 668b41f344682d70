//! Runs of the transport have the hashes written down: in this build, twice, and in the wheel,
//! where `tests/py/transport/test_trace.py` asks the same of the same file.
//!
//! A change of behaviour changes them; the failure prints the lines to write down then.

mod transport {
    pub(crate) use udpcore::transport::*;
}

#[path = "../src/python/trace_run.rs"]
mod trace_run;

use trace_run::trace_hash;

const GOLDEN: &str = include_str!("snapshots/transport_trace_hashes.txt");

#[test]
fn the_runs_have_the_hashes_written_down_twice() {
    let seeds = GOLDEN.lines().filter_map(|line| line.split_once(' '));
    let mut lines = String::new();
    for (seed, _) in seeds {
        let number = seed.parse().expect("a seed");
        let hash = trace_hash(number).expect("a run");
        assert_eq!(trace_hash(number), Ok(hash), "seed {seed}, a second time");
        lines += &format!("{seed} {hash:08x}\n");
    }
    assert!(lines == GOLDEN, "tests/snapshots/transport_trace_hashes.txt is now:\n{lines}");
}

//! The `netem` command.

fn main() {}

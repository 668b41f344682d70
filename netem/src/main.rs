//! The `netem` command: the same as `udpcore netem`, without Python.

use netem::cli::{self, signals};

fn main() {
    signals::note_interrupts();
    let words = std::env::args_os().skip(1).collect();
    let code = cli::main("netem", words, &mut || signals::noted().is_some());
    // A run ended by SIGTERM says so as shells do: 128 and the number of the signal.
    let code = match signals::noted() {
        Some(signal) if code == cli::EXIT_INTERRUPTED => 128 + signal,
        _ => code,
    };
    std::process::exit(code);
}

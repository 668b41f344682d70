//! Ctrl-C and SIGTERM for the cargo binary: a flag that the command asks for.
//!
//! The Python door has its own signal handling and never comes here.

use std::sync::atomic::{AtomicI32, Ordering};

static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// From now on SIGINT and SIGTERM are only noted; a second one ends the process at once.
pub fn note_interrupts() {
    #[cfg(unix)]
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: the handler stores into an atomic and restores the default action, both of
        // which are allowed in a signal handler.
        unsafe { libc::signal(signal, note as *const () as libc::sighandler_t) };
    }
}

#[cfg(unix)]
extern "C" fn note(signal: libc::c_int) {
    SIGNAL.store(signal, Ordering::Release);
    // SAFETY: signal(2) is async-signal-safe.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// The signal that was noted, if any.
pub fn noted() -> Option<i32> {
    Some(SIGNAL.load(Ordering::Acquire)).filter(|&signal| signal != 0)
}

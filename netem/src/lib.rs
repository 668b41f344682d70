//! A seeded network emulator: same seed, same packets, same verdicts.

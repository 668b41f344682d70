//! Floor 1: bytes <-> values. One format is one file; no clock, no state, no panic on any input.

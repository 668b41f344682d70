//! What all connections of a stream relay hold together, and how much more they may.
//!
//! When it is full, a connection reads on only up to its own small share, so none is shut out by
//! others that do not empty theirs; the rest waits in the sender's and the system's buffers.

/// What all connections together hold at most, unless said otherwise.
pub const MEMORY_BYTES_MAX_DEFAULT: usize = 256 << 20;
/// What each direction of a connection may hold in any case.
pub const SHARE_BYTES: usize = 4 << 10;
/// Waiting connections go on when so much is free again, or half of a smaller limit.
const RESUME_BYTES: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Memory {
    bytes_max: usize,
    held: usize,
    held_max: usize,
}

impl Memory {
    pub(super) const fn new(bytes_max: usize) -> Self {
        Self { bytes_max, held: 0, held_max: 0 }
    }

    /// How much more a direction may take that holds `own` bytes.
    pub(super) fn room(&self, own: usize) -> usize {
        let shared = self.bytes_max.saturating_sub(self.held);
        shared.max(SHARE_BYTES.saturating_sub(own))
    }

    /// A connection held `before`, and now holds `after`.
    pub(super) fn settle(&mut self, before: usize, after: usize) {
        self.held = self.held + after - before;
        self.held_max = self.held_max.max(self.held);
    }

    /// Whether those that found it full may try again: never for so little that they would find it
    /// full once more. (Of a tiny memory there is never enough; then each has its share.)
    pub(super) fn has_room(&self) -> bool {
        let enough = RESUME_BYTES.min(self.bytes_max / 2).max(SHARE_BYTES);
        self.bytes_max.saturating_sub(self.held) >= enough
    }

    pub(super) const fn held(&self) -> usize {
        self.held
    }

    pub(super) const fn held_max(&self) -> usize {
        self.held_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_memory_leaves_each_its_share() {
        let mut memory = Memory::new(100_000);
        assert_eq!(memory.room(0), 100_000);
        memory.settle(0, 99_000);
        assert_eq!((memory.room(0), memory.room(99_000)), (SHARE_BYTES, 1000));
        assert!(!memory.has_room());
        memory.settle(0, SHARE_BYTES);
        assert_eq!((memory.room(SHARE_BYTES), memory.room(99_000)), (0, 0));
        memory.settle(99_000, 30_000);
        assert!(memory.has_room());
        assert_eq!((memory.held(), memory.held_max()), (34_096, 103_096));
    }

    #[test]
    fn a_tiny_memory_leaves_each_its_share_and_calls_nobody() {
        for bytes_max in [0, 1, 100, SHARE_BYTES - 1] {
            let memory = Memory::new(bytes_max);
            assert_eq!(memory.room(0), SHARE_BYTES);
            assert!(!memory.has_room());
        }
    }
}

//! Memory that the kernel writes and Python looks at: it neither moves nor grows.
//!
//! Never lends a Rust reference to its bytes: views of it are Python's, and another thread may
//! be receiving into it meanwhile.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

use crate::io::socket::sys::Target;

/// Zeroed bytes at a fixed place.
pub struct Room {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the memory is owned and only ever accessed through raw pointers.
unsafe impl Send for Room {}
// SAFETY: as above; sharing the numbers shares no Rust reference.
unsafe impl Sync for Room {}

impl Room {
    /// `len` zeroed bytes; `None` if there is not so much memory.
    #[must_use]
    pub fn new(len: usize) -> Option<Self> {
        let layout = Layout::array::<u8>(len.max(1)).ok()?;
        // SAFETY: the layout is not of size zero.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(Self { start, layout })
    }

    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.layout.size()
    }

    /// Never: there is at least one byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Where `len` bytes from `offset` on are. Both are cut to what is there.
    #[must_use]
    pub fn part(&self, offset: usize, len: usize) -> (*mut u8, usize) {
        let offset = offset.min(self.len());
        let len = len.min(self.len() - offset);
        (self.start.as_ptr().wrapping_add(offset), len)
    }

    /// The same as room to receive into.
    ///
    /// # Safety
    /// The room outlives every use of the target.
    #[must_use]
    pub unsafe fn target(&self, offset: usize, len: usize) -> Target {
        let (start, len) = self.part(offset, len);
        // SAFETY: `part` stays within the room, and the caller promised that the room stays.
        unsafe { Target::new(start, len) }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // SAFETY: allocated with this very layout, and freed once.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stay_within() {
        let room = Room::new(10).unwrap();
        assert_eq!((room.len(), room.is_empty()), (10, false));
        assert_eq!(room.part(4, 100).1, 6);
        assert_eq!(room.part(11, 1).1, 0);
        assert!(Room::new(usize::MAX).is_none());
        assert_eq!(Room::new(0).unwrap().len(), 1);
    }
}

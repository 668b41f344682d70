//! A message some of whose fragments arrived.

use super::Complete;
use crate::transport::ranges::RangeSet;
use crate::transport::time::Time;

/// Collects the fragments of one message in place.
#[derive(Debug)]
pub(super) struct Partial {
    data: Vec<u8>,
    have: RangeSet,
    have_len: u64,
    total: u32,
    deadline: Option<Time>,
}

impl Partial {
    pub(super) fn new(total: u32, deadline: Option<Time>) -> Self {
        Self { data: Vec::new(), have: RangeSet::new(), have_len: 0, total, deadline }
    }

    pub(super) fn total(&self) -> u32 {
        self.total
    }

    /// Puts a fragment in its place; the wire format guarantees that it lies inside `total`.
    ///
    /// Memory grows with what arrives, not with what is announced: an attacker must send bytes
    /// to make us hold bytes (apart from one gap of zeros, which the credit covers).
    pub(super) fn insert(&mut self, offset: u32, bytes: &[u8]) {
        let start = offset as usize;
        let end = start + bytes.len();
        if start == self.data.len() {
            if self.data.capacity() == 0 {
                self.data.reserve_exact((self.total as usize).min(RESERVE_MAX));
            }
            self.data.extend_from_slice(bytes);
        } else {
            if end > self.data.len() {
                self.data.resize(end, 0);
            }
            self.data[start..end].copy_from_slice(bytes);
        }
        self.have_len += self.have.insert(start as u64..end as u64);
    }

    /// The message, if all of it is here.
    pub(super) fn take_complete(&mut self) -> Option<Complete> {
        if self.have_len < u64::from(self.total) {
            return None;
        }
        Some(Complete { data: std::mem::take(&mut self.data), deadline: self.deadline })
    }
}

/// No more than this is reserved for a message before its bytes arrive.
const RESERVE_MAX: usize = 256 * 1024;

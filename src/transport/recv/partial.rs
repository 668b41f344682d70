//! A message some of whose fragments arrived.

use super::Complete;
use crate::fec::reed_solomon::ReedSolomon;
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
    /// Repair symbols, all of one length, by their index.
    repairs: Vec<(usize, Vec<u8>)>,
}

impl Partial {
    pub(super) fn new(total: u32, deadline: Option<Time>) -> Self {
        Self {
            data: Vec::new(),
            have: RangeSet::new(),
            have_len: 0,
            total,
            deadline,
            repairs: Vec::new(),
        }
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

    /// Keeps a repair symbol. Returns whether it fits the others.
    ///
    /// No more are kept than the message has symbols, so they take no more memory than it.
    pub(super) fn add_repair(&mut self, index: u32, symbol: &[u8]) -> bool {
        let index = index as usize;
        if self.repairs.first().is_some_and(|(_, first)| first.len() != symbol.len()) {
            return false;
        }
        let sources = (self.total as usize).div_ceil(symbol.len());
        let is_known = self.repairs.iter().any(|(known, _)| *known == index);
        if !is_known && self.repairs.len() < sources {
            self.repairs.push((index, symbol.to_vec()));
        }
        true
    }

    /// Computes what is missing, if the repair symbols are enough.
    fn recover(&mut self) {
        let Some((_, first)) = self.repairs.first() else { return };
        let (len, total) = (first.len(), self.total as usize);
        let lost: Vec<usize> = (0..total.div_ceil(len))
            .filter(|index| {
                let range = (index * len) as u64..((index + 1) * len).min(total) as u64;
                self.have.missing(range).next().is_some()
            })
            .collect();
        if lost.len() > self.repairs.len() {
            return;
        }
        let sources = total.div_ceil(len);
        self.data.resize(sources * len, 0);
        let symbols: Vec<Option<&[u8]>> = self
            .data
            .chunks(len)
            .enumerate()
            .map(|(index, symbol)| (lost.binary_search(&index).is_err()).then_some(symbol))
            .collect();
        let repairs: Vec<(usize, &[u8])> =
            self.repairs.iter().map(|(index, symbol)| (*index, &symbol[..])).collect();
        let count = repairs.iter().map(|(index, _)| index + 1).max().unwrap_or(0);
        // The wire format allows no more symbols than there are codes.
        let found = ReedSolomon::new(sources, count)
            .and_then(|code| code.reconstruct(&symbols, &repairs))
            .unwrap_or_default();
        for (index, symbol) in found {
            self.data[index * len..(index + 1) * len].copy_from_slice(&symbol);
            let range = (index * len) as u64..((index + 1) * len).min(total) as u64;
            self.have_len += self.have.insert(range);
        }
        self.data.truncate(total);
    }

    /// The message, if all of it is here.
    pub(super) fn take_complete(&mut self) -> Option<Complete> {
        if self.have_len < u64::from(self.total) {
            self.recover();
        }
        if self.have_len < u64::from(self.total) {
            return None;
        }
        Some(Complete { data: std::mem::take(&mut self.data), deadline: self.deadline })
    }
}

/// No more than this is reserved for a message before its bytes arrive.
const RESERVE_MAX: usize = 256 * 1024;

//! The repair symbols of one message under way, and whether the receiver can do without the rest.
//!
//! A message is cut into `sources` symbols of one length (the last padded with zeros); repair
//! symbols are those of the Cauchy code of `fec::reed_solomon`, made when first needed.

use crate::fec::reed_solomon::ReedSolomon;
use crate::transport::ranges::RangeSet;

/// What goes with one message.
#[derive(Debug)]
pub(super) struct Repair {
    symbol_len: usize,
    count: usize,
    /// The next to be sent.
    next: usize,
    acked: usize,
    /// The packet that carried the last piece of the message: a repair in it would be lost with it.
    last_packet: Option<u64>,
    /// Pieces and repairs neither acknowledged nor lost.
    flying: u32,
    symbols: Vec<Vec<u8>>,
}

impl Repair {
    /// `count` repairs for `len` bytes, in symbols of at most `symbol_len_max`.
    pub(super) fn new(len: usize, symbol_len_max: usize, count: usize) -> Self {
        let sources = len.div_ceil(symbol_len_max).max(1);
        let symbol_len = len.div_ceil(sources).max(1);
        Self {
            symbol_len,
            count,
            next: 0,
            acked: 0,
            last_packet: None,
            flying: 0,
            symbols: Vec::new(),
        }
    }

    pub(super) fn is_due(&self) -> bool {
        self.next < self.count
    }

    /// Whether a packet may carry more of this message's repair.
    pub(super) fn may_go_in(&self, packet: u64) -> bool {
        self.last_packet != Some(packet)
    }

    /// Where the symbol that `offset` is in ends. Pieces end there: a lost packet costs one.
    pub(super) fn symbol_end(&self, offset: u32) -> u32 {
        let index = offset as usize / self.symbol_len + 1;
        u32::try_from(index * self.symbol_len).unwrap_or(u32::MAX)
    }

    pub(super) fn on_piece(&mut self, packet: u64) {
        self.last_packet = Some(packet);
        self.flying += 1;
    }

    /// The next repair symbol and its index.
    pub(super) fn take(&mut self, data: &[u8], packet: u64) -> Option<(u8, &[u8])> {
        if self.symbols.is_empty() {
            self.symbols = encode(data, self.symbol_len, self.count)?;
        }
        let index = self.next;
        self.next += 1;
        self.on_piece(packet);
        Some((index as u8, self.symbols.get(index)?))
    }

    pub(super) fn symbol_len(&self) -> usize {
        self.symbol_len
    }

    /// No more repairs: they would come too late.
    pub(super) fn stop(&mut self) {
        self.count = self.next;
    }

    pub(super) fn on_acked(&mut self) {
        self.acked += 1;
    }

    /// A piece or a repair is acknowledged or lost. Returns whether none is left.
    pub(super) fn on_landed(&mut self) -> bool {
        self.flying = self.flying.saturating_sub(1);
        self.is_landed()
    }

    /// Whether nothing of the message is under way or to be sent for its repair.
    pub(super) fn is_landed(&self) -> bool {
        self.flying == 0 && !self.is_due()
    }

    /// Whether what is acknowledged is enough to have the whole message.
    pub(super) fn is_enough(&self, acked: &RangeSet, len: usize) -> bool {
        if self.acked == 0 {
            return false;
        }
        let sources = len.div_ceil(self.symbol_len);
        let whole = (0..sources)
            .filter(|index| {
                let start = index * self.symbol_len;
                let end = (start + self.symbol_len).min(len);
                acked.missing(start as u64..end as u64).next().is_none()
            })
            .count();
        whole + self.acked >= sources
    }
}

fn encode(data: &[u8], symbol_len: usize, count: usize) -> Option<Vec<Vec<u8>>> {
    let mut padded = data.to_vec();
    padded.resize(data.len().div_ceil(symbol_len) * symbol_len, 0);
    let sources: Vec<&[u8]> = padded.chunks(symbol_len).collect();
    ReedSolomon::new(sources.len(), count).ok()?.encode(&sources).ok()
}

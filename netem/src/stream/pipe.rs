//! One direction of one connection, sans-IO: bytes in, pieces with the time they are due out.
//!
//! With jitter, rate or slices the stream is cut at fixed places, counted from its beginning, and
//! each piece is decided by its number: how the system happened to cut it does not matter.
//! Pieces are what the counters call packets.

use std::collections::VecDeque;
use std::io::IoSlice;

use super::shape::StreamShape;
use crate::impair::Wire;
use crate::packet::{Direction, FlowOrdinal, PacketOrdinal};
use crate::random::{Draws, Seed};
use crate::stats::LinkStats;
use crate::units::Nanos;
use crate::verdict::DropReason;

/// A pipe that holds so much takes no more: the sender feels it as a full window.
pub(super) const PIPE_BYTES_MAX: usize = 4 << 20;
/// Pieces that a pipe holds at most, however small they are.
const PIPE_PIECES_MAX: usize = 1 << 16;
/// What it costs to keep a piece, besides its bytes.
const PIECE_COST_BYTES: usize = 64;
/// Pieces that are offered to one write.
const PIECES_MAX: usize = 64;

/// How many bytes of a stream fit into `memory`, with what it costs to keep their pieces.
pub(super) fn affordable(memory: usize, shape: &StreamShape) -> usize {
    let pieces = memory / (shape.piece_bytes() + PIECE_COST_BYTES) + 1;
    let bytes = memory.saturating_sub(pieces * PIECE_COST_BYTES);
    bytes.max(usize::from(memory > PIECE_COST_BYTES))
}

/// Who the pipe is, for its draws.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity {
    pub(super) seed: Seed,
    pub(super) direction: Direction,
    pub(super) flow: FlowOrdinal,
}

#[derive(Debug)]
struct Piece {
    due: Nanos,
    bytes: Vec<u8>,
    /// How much of it has left.
    start: usize,
}

#[derive(Debug)]
pub(super) struct Pipe {
    identity: Identity,
    pieces: VecDeque<Piece>,
    queued_bytes: usize,
    /// Bytes that have come in so far.
    position: u64,
    ordinal: u64,
    delay: Nanos,
    memory: Option<i64>,
    wire: Wire,
    /// When the last slice has left, and its pause is over.
    ready: Nanos,
    last_due: Nanos,
    /// When the end of the stream is due, once it has come.
    end: Option<Nanos>,
    /// The end is no orderly one: the sender's connection broke.
    is_broken: bool,
}

impl Pipe {
    pub(super) fn new(identity: Identity) -> Self {
        Self {
            identity,
            pieces: VecDeque::new(),
            queued_bytes: 0,
            position: 0,
            ordinal: 0,
            delay: Nanos::ZERO,
            memory: None,
            wire: Wire::default(),
            ready: Nanos::ZERO,
            last_due: Nanos::ZERO,
            end: None,
            is_broken: false,
        }
    }

    /// How much memory it holds.
    pub(super) fn held(&self) -> usize {
        self.queued_bytes + self.pieces.len() * PIECE_COST_BYTES
    }

    /// How many bytes it takes now.
    pub(super) fn room(&self, shape: &StreamShape) -> usize {
        let limit = shape.limit.map_or(u64::MAX, |limit| limit.get().into());
        let left = limit.saturating_sub(self.position);
        let room = PIPE_BYTES_MAX.saturating_sub(self.queued_bytes);
        // A piece more than whole ones, for one that was begun.
        let pieces = PIPE_PIECES_MAX.saturating_sub(self.pieces.len() + 1);
        let room = room.min(pieces.saturating_mul(shape.piece_bytes()));
        if self.end.is_some() { 0 } else { room.min(usize::try_from(left).unwrap_or(usize::MAX)) }
    }

    /// Whether as many bytes have come in as may pass.
    pub(super) fn is_at_limit(&self, shape: &StreamShape) -> bool {
        shape.limit.is_some_and(|limit| self.position >= limit.get().into())
    }

    /// Bytes came in; not more than there is room for.
    pub(super) fn input(
        &mut self,
        now: Nanos,
        shape: &StreamShape,
        mut bytes: &[u8],
        stats: &mut LinkStats,
    ) {
        let has_pieces =
            shape.rate.is_some() || shape.slice.is_some() || shape.delay.jitter() > Nanos::ZERO;
        let size = shape.piece_bytes() as u64;
        while !bytes.is_empty() {
            let to_cut = if has_pieces { size - self.position % size } else { u64::MAX };
            let length = bytes.len().min(usize::try_from(to_cut).unwrap_or(usize::MAX));
            let (piece, rest) = bytes.split_at(length);
            let is_begin = !has_pieces || self.position.is_multiple_of(size);
            self.push(now, shape, piece, is_begin, stats);
            bytes = rest;
        }
    }

    fn push(
        &mut self,
        now: Nanos,
        shape: &StreamShape,
        bytes: &[u8],
        is_begin: bool,
        stats: &mut LinkStats,
    ) {
        let size_bytes = bytes.len() as u32;
        stats.count_received(size_bytes);
        self.position += bytes.len() as u64;
        if shape.timeout.is_some() {
            return stats.count_drop(DropReason::Blackhole);
        }
        if is_begin {
            let Identity { seed, direction, flow } = self.identity;
            let draws = Draws::new(seed, direction, flow, PacketOrdinal(self.ordinal));
            [self.delay, _] = shape.delay.decide(&draws, &mut self.memory);
            self.ordinal += 1;
            if let Some(slice) = shape.slice
                && self.ordinal > 1
            {
                self.ready = self.ready.max(now) + slice.pause();
            }
        }
        let mut left = now.max(self.ready);
        if let Some(rate) = &shape.rate {
            left = rate.send(&mut self.wire, left, size_bytes);
        }
        self.ready = left;
        self.last_due = self.last_due.max(left + self.delay);
        self.queued_bytes += bytes.len();
        stats.count_queued();
        stats.delays.count(self.last_due - now);
        self.pieces.push_back(Piece { due: self.last_due, bytes: bytes.to_vec(), start: 0 });
    }

    /// The stream ends here.
    pub(super) fn finish(&mut self, now: Nanos, shape: &StreamShape) {
        let last = match shape.timeout {
            // Nothing passes, the end of the stream neither.
            Some(_) => Nanos::MAX,
            None => self.last_due.max(now + self.delay) + shape.slow_close,
        };
        self.end.get_or_insert(last);
    }

    /// The stream breaks off here: its end is a reset, in its turn.
    pub(super) fn break_off(&mut self, now: Nanos) {
        // An orderly end that has not left yet is one no more.
        self.is_broken = true;
        let last = self.last_due.max(now + self.delay);
        self.end = Some(self.end.map_or(last, |end| end.min(last)));
    }

    /// Takes nothing any more: there is nobody to bring it to.
    pub(super) fn close(&mut self) {
        self.end = Some(Nanos::MAX);
    }

    /// Whether everything has left, and the end is due too.
    pub(super) fn is_done(&self, now: Nanos) -> bool {
        self.pieces.is_empty() && self.end.is_some_and(|end| end <= now)
    }

    /// Whether the sender's connection broke.
    pub(super) const fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Whether the stream has come to a reset.
    pub(super) fn is_reset(&self, now: Nanos) -> bool {
        self.is_broken && self.is_done(now)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// When there is something to do, if anything waits for a time.
    pub(super) fn next_deadline(&self) -> Option<Nanos> {
        self.pieces.front().map(|piece| piece.due).or(self.end)
    }

    /// What is due at `now`, for one write.
    pub(super) fn due(&self, now: Nanos) -> Vec<IoSlice<'_>> {
        let due = self.pieces.iter().take(PIECES_MAX).take_while(|piece| piece.due <= now);
        due.map(|piece| IoSlice::new(&piece.bytes[piece.start..])).collect()
    }

    /// So many bytes of what was due have left.
    pub(super) fn consume(&mut self, mut bytes: usize, stats: &mut LinkStats) {
        self.queued_bytes -= bytes;
        while let Some(piece) = self.pieces.front_mut() {
            let left = piece.bytes.len() - piece.start;
            if bytes < left {
                piece.start += bytes;
                return;
            }
            bytes -= left;
            stats.count_delivered(piece.bytes.len() as u32);
            self.pieces.pop_front();
        }
    }

    /// The connection is over: what is still here goes nowhere.
    pub(super) fn discard(&mut self, reason: DropReason, stats: &mut LinkStats) {
        for _ in self.pieces.drain(..) {
            stats.drop_queued(reason);
        }
        self.queued_bytes = 0;
    }
}

#[cfg(test)]
#[path = "pipe_tests.rs"]
mod tests;

//! The queue in front of a limited rate, and the wire behind it.
//!
//! Packets wait in order of arrival. When the wire is free the one at the head (or the one that
//! CoDel lets through) begins to leave; it has left when its last bit has. Nothing happens between
//! calls: whoever asks first at a time after the wire became free gets what happened then, so the
//! result does not depend on how often the driver looks.

use std::collections::VecDeque;

use crate::impair::{CoDelState, Discipline, Queue, Rate, Wire};
use crate::packet::Packet;
use crate::units::Nanos;
use crate::verdict::{DropReason, Effects};

/// A packet that waits for the wire.
#[derive(Debug)]
pub(crate) struct Waiting<P> {
    pub(crate) packet: Packet<P>,
    pub(crate) arrived: Nanos,
    /// The delay that follows the wire.
    pub(crate) delay: Nanos,
    pub(crate) effects: Effects,
    pub(crate) is_copy: bool,
    /// Whether it may be marked instead of dropped.
    pub(crate) is_ecn_capable: bool,
    /// Its line in the decision log.
    pub(crate) line: usize,
}

/// What happens to packets at the head of the queue.
#[derive(Debug)]
pub(crate) enum Served<P> {
    /// It has left the wire at this time.
    Left(Nanos, Waiting<P>),
    Dropped(DropReason, Waiting<P>),
}

/// The queue and the wire.
#[derive(Debug)]
pub(crate) struct Shaper<P> {
    waiting: VecDeque<Waiting<P>>,
    bytes: u64,
    wire: Wire,
    codel: CoDelState,
    /// What the queue has decided and nobody has asked for yet, in order.
    served: VecDeque<Served<P>>,
    /// Packets it has dropped, until the driver asks for them.
    pub(crate) dropped: VecDeque<(Packet<P>, DropReason)>,
}

impl<P> Shaper<P> {
    pub(crate) fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            bytes: 0,
            wire: Wire::default(),
            codel: CoDelState::default(),
            served: VecDeque::new(),
            dropped: VecDeque::new(),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.served.is_empty() && self.dropped.is_empty()
    }

    /// Whether it lets one more packet in; drop-head does, unless it could hold no such packet.
    pub(crate) fn takes(&self, queue: &Queue, size_bytes: u32) -> bool {
        match queue.discipline {
            Discipline::DropHead => queue.limit.has_room(0, 0, size_bytes),
            Discipline::DropTail | Discipline::CoDel(_) => self.has_room(queue, size_bytes),
        }
    }

    fn has_room(&self, queue: &Queue, size_bytes: u32) -> bool {
        queue.limit.has_room(self.waiting.len(), self.bytes, size_bytes)
    }

    /// Puts a packet at the tail; with drop-head the oldest make room for it.
    pub(crate) fn push(&mut self, queue: &Queue, entry: Waiting<P>) {
        if queue.discipline == Discipline::DropHead {
            let size_bytes = entry.packet.size_bytes;
            while !self.waiting.is_empty() && !self.has_room(queue, size_bytes) {
                let Some(oldest) = self.take() else { break };
                self.served.push_back(Served::Dropped(DropReason::HeadDrop, oldest));
            }
        }
        self.bytes += u64::from(entry.packet.size_bytes);
        self.waiting.push_back(entry);
    }

    fn take(&mut self) -> Option<Waiting<P>> {
        let entry = self.waiting.pop_front()?;
        self.bytes -= u64::from(entry.packet.size_bytes);
        Some(entry)
    }

    /// When something happens next. Without a rate everything leaves at once.
    pub(crate) fn next_deadline(&self, rate: Option<&Rate>) -> Option<Nanos> {
        if !self.served.is_empty() || !self.dropped.is_empty() {
            return Some(Nanos::ZERO);
        }
        self.next_start(rate)
    }

    /// When the packet at the head begins to leave.
    fn next_start(&self, rate: Option<&Rate>) -> Option<Nanos> {
        let ready = self.waiting.front()?.arrived;
        Some(rate.map_or(ready, |rate| rate.start(&self.wire, ready)))
    }

    /// What happened next, up to `now`.
    pub(crate) fn serve(
        &mut self,
        now: Nanos,
        rate: Option<&Rate>,
        queue: &Queue,
        mark: impl FnMut(&mut Waiting<P>),
    ) -> Option<Served<P>> {
        if self.served.is_empty() {
            let start = self.next_start(rate).filter(|&start| start <= now)?;
            if let Some(entry) = self.head(start, queue, mark) {
                let left = match rate {
                    Some(rate) => rate.send(&mut self.wire, start, entry.packet.size_bytes),
                    None => start,
                };
                self.served.push_back(Served::Left(left, entry));
            }
        }
        self.served.pop_front()
    }

    /// The packet that leaves at `start`, if CoDel leaves one.
    fn head(
        &mut self,
        start: Nanos,
        queue: &Queue,
        mut mark: impl FnMut(&mut Waiting<P>),
    ) -> Option<Waiting<P>> {
        let Discipline::CoDel(settings) = &queue.discipline else { return self.take() };
        let Self { waiting, bytes, served, codel, .. } = self;
        let take = || {
            let entry = waiting.pop_front()?;
            *bytes -= u64::from(entry.packet.size_bytes);
            let sojourn = start - entry.arrived;
            Some((entry, sojourn, *bytes))
        };
        let drop = |mut entry: Waiting<P>| {
            if settings.ecn && entry.is_ecn_capable {
                mark(&mut entry);
                return Some(entry);
            }
            served.push_back(Served::Dropped(DropReason::CoDel, entry));
            None
        };
        codel.dequeue(settings, start, take, drop)
    }
}

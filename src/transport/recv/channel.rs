//! One channel's incoming side: which messages are here, which are done, what may be delivered.

use super::partial::Partial;
use super::{Complete, RecvError};
use crate::transport::flow_control::{Window, cost};
use crate::transport::ranges::RangeSet;
use crate::transport::send::SPAN_MAX;
use crate::transport::time::Time;
use crate::wire::transport::{Mode, Msg, MsgHead, Repair};
use std::collections::{BTreeMap, VecDeque};

/// An unreliable channel remembers this many ids, to drop duplicates.
const UNRELIABLE_SPAN: u64 = 4096;

/// A message that is not delivered yet.
#[derive(Debug)]
enum Slot {
    Partial(Partial),
    /// Waits for the messages before it.
    Complete(Complete),
    /// Given up by the sender; the order goes on over it.
    Skipped,
}

/// What the arrival of a fragment or a SKIP means for the credit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Charge {
    /// Charged by the peer just now.
    pub(super) claimed: u64,
    /// Given back without having been delivered.
    pub(super) released: u64,
}

#[derive(Debug)]
pub(super) struct InChannel {
    pub(super) mode: Mode,
    pub(super) window: Window,
    /// All ids below are done.
    base: u64,
    /// Ids from `base` on that are done (delivered or given up), except on ordered channels.
    done: RangeSet,
    pending: BTreeMap<u64, Slot>,
    /// On a sequenced channel: the newest delivered.
    newest: Option<u64>,
    partial_bytes: u64,
    /// Delivered in order, to be taken by the inbox.
    pub(super) out: VecDeque<Complete>,
    /// Messages that were complete but superseded, late or pushed out.
    pub(super) discarded: u64,
}

impl InChannel {
    pub(super) fn new(mode: Mode, window: u64) -> Self {
        Self {
            mode,
            window: Window::new(window),
            base: 0,
            done: RangeSet::new(),
            pending: BTreeMap::new(),
            newest: None,
            partial_bytes: 0,
            out: VecDeque::new(),
            discarded: 0,
        }
    }

    pub(super) fn has_credit(&self) -> bool {
        self.mode != Mode::Unreliable
    }

    /// Whether the message needs nothing any more.
    fn is_done(&self, id: u64) -> bool {
        id < self.base || self.done.contains(id)
    }

    /// Takes a fragment. `deadline` is the message's in our clock.
    pub(super) fn on_msg(
        &mut self,
        msg: &Msg<'_>,
        deadline: Option<Time>,
    ) -> Result<Charge, RecvError> {
        let id = msg.head.id;
        if self.is_done(id) {
            return Ok(Charge::default());
        }
        self.check_span(id)?;
        let total = msg.head.total;
        let is_whole = msg.data.len() as u64 == u64::from(total);
        let mut charge = Charge::default();
        if !self.pending.contains_key(&id) {
            charge.claimed = if self.has_credit() { cost(u64::from(total)) } else { 0 };
            if is_whole {
                let complete = Complete { data: msg.data.to_vec(), deadline };
                charge.released = self.on_complete(id, complete);
                return Ok(charge);
            }
            self.partial_bytes += u64::from(total);
            self.pending.insert(id, Slot::Partial(Partial::new(total, deadline)));
        }
        let Some(Slot::Partial(partial)) = self.pending.get_mut(&id) else {
            return Ok(charge);
        };
        if partial.total() != total {
            return Err(RecvError::Inconsistent);
        }
        partial.insert(msg.head.offset, msg.data);
        charge.released = self.finish_partial(id);
        Ok(charge)
    }

    /// Takes a repair symbol, as [`on_msg`](Self::on_msg) a fragment.
    pub(super) fn on_repair(
        &mut self,
        repair: &Repair<'_>,
        deadline: Option<Time>,
    ) -> Result<Charge, RecvError> {
        let MsgHead { id, total, offset: index, .. } = repair.head;
        if self.is_done(id) {
            return Ok(Charge::default());
        }
        self.check_span(id)?;
        let mut charge = Charge::default();
        if !self.pending.contains_key(&id) {
            charge.claimed = if self.has_credit() { cost(u64::from(total)) } else { 0 };
            self.partial_bytes += u64::from(total);
            self.pending.insert(id, Slot::Partial(Partial::new(total, deadline)));
        }
        let Some(Slot::Partial(partial)) = self.pending.get_mut(&id) else {
            return Ok(charge);
        };
        if partial.total() != total || !partial.add_repair(index, repair.symbol) {
            return Err(RecvError::Inconsistent);
        }
        charge.released = self.finish_partial(id);
        Ok(charge)
    }

    /// Moves on if all of a message is here. Returns the credit that is free by that.
    fn finish_partial(&mut self, id: u64) -> u64 {
        let Some(Slot::Partial(partial)) = self.pending.get_mut(&id) else { return 0 };
        if let Some(complete) = partial.take_complete() {
            self.forget_partial(id);
            return self.on_complete(id, complete);
        }
        if !self.has_credit() {
            self.bound_partials();
        }
        0
    }

    fn check_span(&mut self, id: u64) -> Result<(), RecvError> {
        if self.mode == Mode::Unreliable {
            // Nothing is ever missing here for good: old ids make room.
            if id >= self.base + UNRELIABLE_SPAN {
                self.advance(id + 1 - UNRELIABLE_SPAN);
            }
            return Ok(());
        }
        if id >= self.base + SPAN_MAX { Err(RecvError::Span) } else { Ok(()) }
    }

    /// Gives up everything below `base`.
    fn advance(&mut self, base: u64) {
        self.base = self.base.max(base);
        while let Some(entry) = self.pending.first_entry().filter(|entry| *entry.key() < base) {
            if let Slot::Partial(partial) = entry.remove() {
                self.partial_bytes -= u64::from(partial.total());
                self.discarded += 1;
            }
        }
        self.done.remove_below(base);
    }

    /// Unreliable messages have no credit: the oldest unfinished make room.
    fn bound_partials(&mut self) {
        while self.partial_bytes > self.window.size() && self.pending.len() > 1 {
            if let Some(id) = self.pending.first_key_value().map(|(id, _)| *id) {
                self.forget_partial(id);
                self.mark_done(id);
                self.discarded += 1;
            }
        }
    }

    fn forget_partial(&mut self, id: u64) {
        if let Some(Slot::Partial(partial)) = self.pending.remove(&id) {
            self.partial_bytes -= u64::from(partial.total());
        }
    }

    fn mark_done(&mut self, id: u64) {
        if id == self.base {
            self.base += 1;
            if let Some(first) = self.done.first_range().filter(|r| r.start == self.base) {
                self.base = first.end;
                self.done.remove_below(self.base);
            }
        } else {
            self.done.insert_one(id);
        }
    }

    /// Delivers a complete message, or keeps it for its turn. Returns the credit that is free
    /// because nothing is delivered.
    fn on_complete(&mut self, id: u64, complete: Complete) -> u64 {
        match self.mode {
            Mode::Ordered if id == self.base => {
                self.out.push_back(complete);
                self.base += 1;
                self.deliver_in_order();
            }
            Mode::Ordered => {
                self.pending.insert(id, Slot::Complete(complete));
            }
            Mode::Unordered | Mode::Unreliable => {
                self.out.push_back(complete);
                self.mark_done(id);
            }
            Mode::Sequenced => {
                self.mark_done(id);
                if self.newest.is_some_and(|newest| id < newest) {
                    self.discarded += 1;
                    return cost(complete.data.len() as u64);
                }
                self.newest = Some(id);
                self.out.push_back(complete);
            }
        }
        0
    }

    fn deliver_in_order(&mut self) {
        while let Some(entry) = self.pending.first_entry() {
            let is_next = *entry.key() == self.base;
            match entry.get() {
                Slot::Complete(_) | Slot::Skipped if is_next => {
                    if let Slot::Complete(complete) = entry.remove() {
                        self.out.push_back(complete);
                    }
                    self.base += 1;
                }
                _ => return,
            }
        }
    }

    /// The sender gave a message up.
    pub(super) fn on_skip(&mut self, id: u64, total: u32) -> Result<Charge, RecvError> {
        if self.is_done(id) || !self.has_credit() {
            return Ok(Charge::default());
        }
        self.check_span(id)?;
        let whole = cost(u64::from(total));
        let charge = match self.pending.get(&id) {
            None => Charge { claimed: whole, released: whole },
            Some(Slot::Partial(partial)) if partial.total() == total => {
                self.forget_partial(id);
                Charge { claimed: 0, released: whole }
            }
            Some(Slot::Partial(_)) => return Err(RecvError::Inconsistent),
            // It was complete before the sender knew: it is delivered in its turn.
            Some(Slot::Complete(_) | Slot::Skipped) => return Ok(Charge::default()),
        };
        if self.mode == Mode::Ordered {
            self.pending.insert(id, Slot::Skipped);
            self.deliver_in_order();
        } else {
            self.mark_done(id);
        }
        Ok(charge)
    }
}

//! One channel's outgoing side: what waits, what is on its way, which of it comes next.

use super::live::Live;
use super::{Class, SPAN_MAX};
use crate::transport::fec_control::Fec;
use crate::transport::flow_control::{Credit, cost};
use crate::transport::receipts::Receipt;
use crate::wire::transport::Mode;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A message none of which was sent.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) data: Vec<u8>,
    pub(super) receipt: Receipt,
    pub(super) class: Class,
    pub(super) fec: Fec,
    /// Expired or superseded; to be passed over.
    pub(super) is_dead: bool,
}

/// What a channel would send next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Tell the peer that this message was given up.
    Skip(u64),
    /// A piece of a message already begun.
    Piece(u64),
    /// The first piece of a message, if the credit allows.
    Start,
}

#[derive(Debug)]
pub(super) struct OutChannel {
    pub(super) mode: Mode,
    pub(super) credit: Credit,
    fifo: VecDeque<Queued>,
    /// Messages that overtake: with a deadline or a priority, on channels without order.
    urgent: BTreeMap<(Class, Receipt), Queued>,
    live: VecDeque<Option<Live>>,
    /// The id of the first slot of `live`; all below are settled.
    base: u64,
    /// Begun messages with lost or unsent bytes.
    unfinished: BTreeSet<(Class, u64)>,
    /// Given-up messages whose SKIP is to be sent: id and length.
    skips: BTreeMap<u64, u32>,
    /// The lengths of given-up messages, until their SKIP is acknowledged.
    skipped_len: BTreeMap<u64, u32>,
    /// How often the channel has had its turn, for fairness.
    pub(super) turn: u64,
    pub(super) turn_bytes: u64,
    /// Its place in the scheduler's order, if it is there.
    pub(super) place: Option<(Class, u64)>,
}

impl OutChannel {
    pub(super) fn new(mode: Mode, credit_limit: u64) -> Self {
        Self {
            mode,
            credit: Credit::new(credit_limit),
            fifo: VecDeque::new(),
            urgent: BTreeMap::new(),
            live: VecDeque::new(),
            base: 0,
            unfinished: BTreeSet::new(),
            skips: BTreeMap::new(),
            skipped_len: BTreeMap::new(),
            turn: 0,
            turn_bytes: 0,
            place: None,
        }
    }

    /// Whether messages of this channel take credit, and are skipped rather than forgotten.
    pub(super) fn has_credit(&self) -> bool {
        self.mode != Mode::Unreliable
    }

    pub(super) fn is_idle(&self) -> bool {
        self.fifo.is_empty() && self.urgent.is_empty() && self.live.is_empty()
    }

    pub(super) fn push(&mut self, message: Queued) {
        let keeps_order = matches!(self.mode, Mode::Ordered | Mode::Sequenced);
        if keeps_order || message.class == Class::default() {
            self.fifo.push_back(message);
        } else {
            self.urgent.insert((message.class, message.receipt), message);
        }
    }

    /// Drops dead messages from the front, so that the front is worth looking at.
    fn drop_dead(&mut self) {
        while self.fifo.front().is_some_and(|message| message.is_dead) {
            self.fifo.pop_front();
        }
    }

    fn urgent_first(&self) -> bool {
        match (self.urgent.first_key_value(), self.fifo.front()) {
            (Some(((class, _), _)), Some(front)) => *class <= front.class,
            (first, _) => first.is_some(),
        }
    }

    /// What comes next, and how urgent it is; nothing new unless it `may_start`.
    pub(super) fn next(&mut self, may_start: bool) -> Option<(Class, Next)> {
        if let Some((id, _)) = self.skips.first_key_value() {
            return Some((Class::MOST_URGENT, Next::Skip(*id)));
        }
        self.drop_dead();
        let waiting = if self.urgent_first() {
            self.urgent.first_key_value().map(|((class, _), _)| *class)
        } else {
            self.fifo.front().map(|message| message.class)
        };
        let within_span = (self.live.len() as u64) < SPAN_MAX;
        let begun = self.unfinished.first().copied();
        match (begun, waiting.filter(|_| within_span && may_start)) {
            (Some((class, id)), Some(new))
                if class <= new || self.mode == Mode::Ordered && !class.is_repair =>
            {
                Some((class.min(new), Next::Piece(id)))
            }
            (Some((class, id)), None) => Some((class, Next::Piece(id))),
            (_, Some(class)) => Some((class, Next::Start)),
            (None, None) => None,
        }
    }

    /// The cost of the message that [`start`](Self::start) would begin.
    pub(super) fn start_cost(&self) -> u64 {
        let message = if self.urgent_first() {
            self.urgent.first_key_value().map(|(_, message)| message)
        } else {
            self.fifo.front()
        };
        message.map_or(0, |message| cost(message.data.len() as u64))
    }

    /// The length of the message that [`start`](Self::start) would begin.
    pub(super) fn start_len(&self) -> usize {
        self.start_cost().saturating_sub(cost(0)) as usize
    }

    /// Begins the next message: it gets its id.
    pub(super) fn start(&mut self) -> Option<u64> {
        let message =
            if self.urgent_first() { self.urgent.pop_first()?.1 } else { self.fifo.pop_front()? };
        let id = self.base + self.live.len() as u64;
        let Queued { data, receipt, class, fec, .. } = message;
        self.live.push_back(Some(Live::new(data, receipt, class, fec)));
        self.unfinished.insert((class, id));
        Some(id)
    }

    pub(super) fn live(&self, id: u64) -> Option<&Live> {
        self.live.get(usize::try_from(id.checked_sub(self.base)?).ok()?)?.as_ref()
    }

    pub(super) fn live_mut(&mut self, id: u64) -> Option<&mut Live> {
        self.live.get_mut(usize::try_from(id.checked_sub(self.base)?).ok()?)?.as_mut()
    }

    /// Notes whether a message still has bytes to send.
    pub(super) fn refresh(&mut self, id: u64) {
        let Some(live) = self.live(id) else { return };
        let class = live.class;
        let has_pieces = !live.is_skipped && (live.has_lost() || live.has_unsent());
        let has_repair = !live.is_skipped && live.has_repair();
        self.finish(class, id);
        if has_pieces {
            self.unfinished.insert((class, id));
        } else if has_repair {
            self.unfinished.insert((class.of_repair(), id));
        }
    }

    /// Nothing of this message is to be sent.
    fn finish(&mut self, class: Class, id: u64) {
        if !self.unfinished.remove(&(class, id)) {
            self.unfinished.remove(&(class.of_repair(), id));
        }
    }

    /// Whether nothing of a begun message with repair is under way or to be sent.
    pub(super) fn is_landed(&self, id: u64) -> bool {
        let repair = self.live(id).and_then(|live| live.repair.as_ref());
        repair.is_some_and(|repair| repair.is_landed())
    }

    /// No more repair: it would come too late.
    pub(super) fn stop_repair(&mut self, id: u64) {
        if let Some(repair) = self.live_mut(id).and_then(|live| live.repair.as_mut()) {
            repair.stop();
            self.refresh(id);
        }
    }

    /// Forgets a message that is settled for good.
    pub(super) fn forget(&mut self, id: u64) -> Option<Live> {
        let index = usize::try_from(id.checked_sub(self.base)?).ok()?;
        let live = self.live.get_mut(index)?.take()?;
        self.finish(live.class, id);
        self.skips.remove(&id);
        self.skipped_len.remove(&id);
        while self.live.front().is_some_and(Option::is_none) {
            self.live.pop_front();
            self.base += 1;
        }
        Some(live)
    }

    /// Gives a begun message up; its SKIP joins the line. Returns its length.
    pub(super) fn skip(&mut self, id: u64) -> Option<u32> {
        let live = self.live_mut(id).filter(|live| !live.is_skipped)?;
        let total = live.skip();
        live.data = Vec::new();
        let class = live.class;
        self.finish(class, id);
        self.skips.insert(id, total);
        self.skipped_len.insert(id, total);
        Some(total)
    }

    /// The SKIP of this message leaves. Returns the length it tells.
    pub(super) fn on_skip_sent(&mut self, id: u64) -> Option<u32> {
        self.skips.remove(&id)
    }

    /// The SKIP of this message was lost.
    pub(super) fn on_skip_lost(&mut self, id: u64) {
        if let Some(total) = self.skipped_len.get(&id) {
            self.skips.insert(id, *total);
        }
    }

    /// Ends a waiting message; returns it if it was there.
    pub(super) fn kill_queued(&mut self, class: Class, receipt: Receipt) -> Option<usize> {
        if let Some(message) = self.urgent.remove(&(class, receipt)) {
            return Some(message.data.len());
        }
        // Receipts ascend in the queue.
        let index = self.fifo.binary_search_by_key(&receipt, |message| message.receipt).ok()?;
        let message = self.fifo.get_mut(index).filter(|message| !message.is_dead)?;
        message.is_dead = true;
        Some(std::mem::take(&mut message.data).len())
    }

    /// Every waiting message and every begun one that is not finished, for superseding.
    pub(super) fn take_queued(&mut self) -> impl Iterator<Item = Queued> + use<'_> {
        self.fifo.drain(..).filter(|message| !message.is_dead)
    }

    pub(super) fn partly_sent(&self) -> Vec<u64> {
        self.unfinished.iter().map(|(_, id)| *id).collect()
    }

    /// Whether a later message than this one was begun or waits.
    pub(super) fn has_newer(&self, id: u64) -> bool {
        !self.fifo.is_empty() || id + 1 < self.base + self.live.len() as u64
    }
}

//! All incoming channels of a connection, and the messages that wait for the application.

use super::channel::{Charge, InChannel};
use super::{Complete, Message, RecvError};
use crate::transport::flow_control::{Window, cost};
use crate::transport::time::Time;
use crate::wire::transport::{Mode, Msg, MsgHead, Repair};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What we take, as told to the peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InboxLimits {
    pub(crate) message_len_max: u64,
    pub(crate) channels_max: u64,
    pub(crate) window: u64,
    pub(crate) channel_window: u64,
}

/// So many stale places in the order are left alone.
const ORDER_SLACK: u64 = 64;

/// A message that waits for the application.
#[derive(Debug)]
struct Ready {
    arrival: u64,
    complete: Complete,
    cost: u64,
}

#[derive(Debug)]
struct Channel {
    incoming: InChannel,
    ready: VecDeque<Ready>,
    ready_bytes: u64,
    /// The application takes this channel's messages apart from the others'.
    is_claimed: bool,
}

#[derive(Debug)]
pub(crate) struct Inbox {
    channels: BTreeMap<u32, Channel>,
    /// Channels claimed before anything arrived on them.
    claimed: BTreeSet<u32>,
    /// Arrivals on channels not claimed, oldest first: (arrival, channel).
    order: VecDeque<(u64, u32)>,
    arrivals: u64,
    window: Window,
    limits: InboxLimits,
    late: u64,
    waiting: u64,
    is_grant_due: bool,
    channel_grants: BTreeSet<u32>,
}

impl Inbox {
    pub(crate) fn new(limits: InboxLimits) -> Self {
        Self {
            channels: BTreeMap::new(),
            claimed: BTreeSet::new(),
            order: VecDeque::new(),
            arrivals: 0,
            window: Window::new(limits.window),
            limits,
            late: 0,
            waiting: 0,
            is_grant_due: false,
            channel_grants: BTreeSet::new(),
        }
    }

    fn channel(&mut self, id: u32, mode: Mode) -> Result<&mut Channel, RecvError> {
        if u64::from(id) >= self.limits.channels_max {
            return Err(RecvError::NoChannel);
        }
        let is_claimed = self.claimed.contains(&id);
        let window = self.limits.channel_window;
        let channel = self.channels.entry(id).or_insert_with(|| Channel {
            incoming: InChannel::new(mode, window),
            ready: VecDeque::new(),
            ready_bytes: 0,
            is_claimed,
        });
        if channel.incoming.mode != mode {
            return Err(RecvError::Inconsistent);
        }
        Ok(channel)
    }

    /// Takes a MSG frame.
    pub(crate) fn on_msg(
        &mut self,
        now: Time,
        msg: &Msg<'_>,
        deadline: Option<Time>,
    ) -> Result<(), RecvError> {
        if u64::from(msg.head.total) > self.limits.message_len_max {
            return Err(RecvError::TooLong);
        }
        let id = msg.head.channel;
        let charge = self.channel(id, msg.head.mode)?.incoming.on_msg(msg, deadline)?;
        self.charge(id, charge)?;
        self.collect(now, id);
        Ok(())
    }

    /// Takes a REPAIR frame.
    pub(crate) fn on_repair(
        &mut self,
        now: Time,
        repair: &Repair<'_>,
        deadline: Option<Time>,
    ) -> Result<(), RecvError> {
        let MsgHead { channel: id, mode, total, .. } = repair.head;
        if u64::from(total) > self.limits.message_len_max {
            return Err(RecvError::TooLong);
        }
        let charge = self.channel(id, mode)?.incoming.on_repair(repair, deadline)?;
        self.charge(id, charge)?;
        self.collect(now, id);
        Ok(())
    }

    /// Takes a SKIP frame.
    pub(crate) fn on_skip(
        &mut self,
        now: Time,
        (id, mode): (u32, Mode),
        message: u64,
        total: u32,
    ) -> Result<(), RecvError> {
        if u64::from(total) > self.limits.message_len_max {
            return Err(RecvError::TooLong);
        }
        let channel = self.channel(id, mode)?;
        let charge = channel.incoming.on_skip(message, total)?;
        self.charge(id, charge)?;
        self.collect(now, id);
        Ok(())
    }

    fn charge(&mut self, id: u32, charge: Charge) -> Result<(), RecvError> {
        let Some(channel) = self.channels.get_mut(&id) else { return Ok(()) };
        if charge.claimed > 0 {
            let channel_ok = channel.incoming.window.claim(charge.claimed);
            if !self.window.claim(charge.claimed) || !channel_ok {
                return Err(RecvError::FlowControl);
            }
        }
        self.release(id, charge.released);
        Ok(())
    }

    fn release(&mut self, id: u32, released: u64) {
        if released == 0 {
            return;
        }
        self.window.release(released);
        self.is_grant_due |= self.window.is_grant_due();
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.incoming.window.release(released);
            if channel.incoming.window.is_grant_due() {
                self.channel_grants.insert(id);
            }
        }
    }

    /// Moves what a channel delivers to where the application takes it.
    fn collect(&mut self, now: Time, id: u32) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let has_credit = channel.incoming.has_credit();
        let mut released = 0;
        while let Some(complete) = channel.incoming.out.pop_front() {
            let cost = cost(complete.data.len() as u64);
            if complete.deadline.is_some_and(|deadline| now > deadline) {
                self.late += 1;
                released += if has_credit { cost } else { 0 };
                continue;
            }
            if !channel.is_claimed {
                self.order.push_back((self.arrivals, id));
            }
            channel.ready.push_back(Ready { arrival: self.arrivals, complete, cost });
            channel.ready_bytes += cost;
            self.arrivals += 1;
            self.waiting += 1;
            // Without credit nobody holds the sender back: the oldest make room.
            while !has_credit && channel.ready_bytes > self.limits.channel_window {
                let Some(oldest) = channel.ready.pop_front() else { break };
                channel.ready_bytes -= oldest.cost;
                channel.incoming.discarded += 1;
                self.waiting -= 1;
            }
        }
        // What was pushed out left its place in the order; sweep when that is most of it.
        if self.order.len() as u64 > 2 * self.waiting + ORDER_SLACK {
            let channels = &self.channels;
            self.order.retain(|(arrival, id)| {
                let front = channels.get(id).and_then(|channel| channel.ready.front());
                front.is_some_and(|ready| ready.arrival <= *arrival)
            });
        }
        self.release(id, released);
    }

    /// How many messages were ever delivered to where the application takes them.
    pub(crate) fn arrivals(&self) -> u64 {
        self.arrivals
    }

    /// From now on the messages of this channel are taken only by asking for it.
    pub(crate) fn claim_channel(&mut self, id: u32) {
        self.claimed.insert(id);
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.is_claimed = true;
            self.order.retain(|(_, channel)| *channel != id);
        }
    }

    /// The next message of `channel`, or of any channel nobody claimed.
    pub(crate) fn take(&mut self, now: Time, channel: Option<u32>) -> Option<Message> {
        loop {
            let id = match channel {
                Some(id) => id,
                None => self.next_unclaimed()?,
            };
            let from = self.channels.get_mut(&id)?;
            let ready = from.ready.pop_front()?;
            from.ready_bytes -= ready.cost;
            self.waiting -= 1;
            if from.incoming.has_credit() {
                self.release(id, ready.cost);
            }
            if ready.complete.deadline.is_some_and(|deadline| now > deadline) {
                self.late += 1;
                continue;
            }
            return Some(Message { channel: id, data: ready.complete.data });
        }
    }

    fn next_unclaimed(&mut self) -> Option<u32> {
        loop {
            let (arrival, id) = self.order.pop_front()?;
            let front = self.channels.get(&id).and_then(|channel| channel.ready.front());
            // An arrival that was pushed out or taken by channel left its place in the order.
            if front.is_some_and(|ready| ready.arrival == arrival) {
                return Some(id);
            }
        }
    }

    /// How many messages wait.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Messages that arrived whole but after their deadline.
    pub(crate) fn late(&self) -> u64 {
        self.late
    }

    /// Messages superseded by newer ones or pushed out of a full buffer.
    pub(crate) fn discarded(&self) -> u64 {
        self.channels.values().map(|channel| channel.incoming.discarded).sum()
    }

    /// Bytes the peer has charged and that were not yet taken.
    pub(crate) fn held(&self) -> u64 {
        self.window.held()
    }

    /// The limit to tell the peer, if it is time to.
    pub(crate) fn take_grant(&mut self) -> Option<u64> {
        std::mem::take(&mut self.is_grant_due).then(|| self.window.grant())
    }

    /// A channel's limit to tell the peer, if it is time to.
    pub(crate) fn take_channel_grant(&mut self) -> Option<(u32, u64)> {
        let id = self.channel_grants.pop_first()?;
        let channel = self.channels.get_mut(&id)?;
        Some((id, channel.incoming.window.grant()))
    }

    /// The peer waits for credit.
    pub(crate) fn on_blocked(&mut self) {
        self.window.on_blocked();
        self.is_grant_due |= self.window.is_grant_due();
        for (id, channel) in &mut self.channels {
            channel.incoming.window.on_blocked();
            if channel.incoming.window.is_grant_due() {
                self.channel_grants.insert(*id);
            }
        }
    }

    pub(crate) fn has_grants(&self) -> bool {
        self.is_grant_due || !self.channel_grants.is_empty()
    }

    /// A frame with the connection's limit was lost.
    pub(crate) fn on_grant_lost(&mut self) {
        self.is_grant_due = true;
    }

    /// A frame with a channel's limit was lost.
    pub(crate) fn on_channel_grant_lost(&mut self, id: u32) {
        self.channel_grants.insert(id);
    }
}

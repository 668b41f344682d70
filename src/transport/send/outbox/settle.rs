//! How a message ends: acknowledged, lost, expired or abandoned.
//!
//! Every message taken from the application is settled here exactly once, and its bytes leave the
//! buffer with it. Nothing is written to a packet here.

use super::{AckInfo, Expiring, Outbox};
use crate::transport::flow_control::cost;
use crate::transport::receipts::Outcome;
use crate::transport::time::Time;
use crate::wire::transport::Mode;

impl Outbox {
    /// A MSG frame arrived at the peer.
    pub(crate) fn on_msg_acked(
        &mut self,
        id: u32,
        live_id: u64,
        offset: u32,
        len: u32,
        ack: AckInfo,
    ) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let Some(live) = channel.live_mut(live_id).filter(|live| !live.is_skipped) else { return };
        let was_last = live.repair.as_mut().is_some_and(|repair| repair.on_landed());
        if !live.on_acked(offset, len) {
            channel.refresh(live_id);
            if was_last && channel.mode == Mode::Unreliable {
                self.give_up(id, live_id, Outcome::Lost);
            }
            self.place(id);
            return;
        }
        self.on_arrived(id, live_id, ack);
    }

    /// A repair symbol arrived at the peer.
    pub(crate) fn on_repair_acked(&mut self, id: u32, live_id: u64, ack: AckInfo) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let Some(live) = channel.live_mut(live_id).filter(|live| !live.is_skipped) else { return };
        let is_whole = live.on_repair_acked();
        let was_last = live.repair.as_mut().is_some_and(|repair| repair.on_landed());
        if is_whole {
            self.on_arrived(id, live_id, ack);
        } else if was_last && channel.mode == Mode::Unreliable {
            self.give_up(id, live_id, Outcome::Lost);
        }
    }

    /// A repair symbol was lost.
    pub(crate) fn on_repair_lost(&mut self, id: u32, live_id: u64) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let is_unreliable = channel.mode == Mode::Unreliable;
        let Some(live) = channel.live_mut(live_id) else { return };
        let was_last = live.repair.as_mut().is_some_and(|repair| repair.on_landed());
        if was_last && is_unreliable {
            self.give_up(id, live_id, Outcome::Lost);
        }
    }

    /// The peer has the whole message.
    fn on_arrived(&mut self, id: u32, live_id: u64, ack: AckInfo) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let Some(live) = channel.forget(live_id) else { return };
        self.buffered -= cost(live.data.len() as u64);
        let deadline = live.class.expires_at();
        let outcome = match deadline {
            Some(at) if ack.arrived_by > at => Outcome::Expired,
            _ => Outcome::Acked,
        };
        if let Some(at) = deadline {
            self.deadlines.remove(&(at, id, Expiring::Live(live_id)));
        }
        self.receipts.settle(live.receipt, outcome);
        self.place(id);
    }

    /// A MSG frame was lost, or (`is_probe`) is to be repeated although it may not be; it would be
    /// there at `arrives`.
    pub(crate) fn on_msg_lost(
        &mut self,
        arrives: Time,
        id: u32,
        live_id: u64,
        (offset, len): (u32, u32),
        is_probe: bool,
    ) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let mode = channel.mode;
        let is_old = mode == Mode::Sequenced && channel.has_newer(live_id);
        let Some(live) = channel.live_mut(live_id).filter(|live| !live.is_skipped) else { return };
        let is_late = live.class.deadline <= arrives;
        if is_probe && (is_late || is_old || mode == Mode::Unreliable) {
            return;
        }
        // An unreliable message is lost when its last piece is, and no repair makes up for it.
        let landed = match &mut live.repair {
            Some(repair) if !is_probe => repair.on_landed(),
            other => other.is_none(),
        };
        if mode == Mode::Unreliable && !landed && !is_late {
            return;
        }
        if is_late {
            self.give_up(id, live_id, Outcome::Expired);
        } else if is_old || mode == Mode::Unreliable {
            self.give_up(id, live_id, Outcome::Lost);
        } else {
            live.on_lost(offset, len);
            channel.refresh(live_id);
            self.place(id);
        }
    }

    pub(crate) fn on_skip_acked(&mut self, id: u32, live_id: u64) {
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.forget(live_id);
            self.place(id);
        }
    }

    pub(crate) fn on_skip_lost(&mut self, id: u32, live_id: u64) {
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.on_skip_lost(live_id);
            self.place(id);
        }
    }

    /// Ends a begun message before it is complete.
    pub(super) fn give_up(&mut self, id: u32, live_id: u64, outcome: Outcome) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let Some(live) = channel.live(live_id).filter(|live| !live.is_skipped) else { return };
        let (class, receipt, len) = (live.class, live.receipt, live.data.len() as u64);
        if channel.has_credit() {
            channel.skip(live_id);
        } else {
            channel.forget(live_id);
        }
        self.buffered -= cost(len);
        if let Some(at) = class.expires_at() {
            self.deadlines.remove(&(at, id, Expiring::Live(live_id)));
        }
        self.receipts.settle(receipt, outcome);
        self.place(id);
    }

    /// When the next message becomes worthless.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.deadlines.first().map(|(at, _, _)| *at)
    }

    /// Drops the messages that are worthless if they arrive at `arrives`, which is what something
    /// sent now does at the earliest.
    ///
    /// One that is wholly on its way is left to its acknowledgement: it may have been in time.
    pub(crate) fn expire(&mut self, arrives: Time) {
        while let Some(entry) = self.deadlines.first().copied().filter(|(at, ..)| *at <= arrives) {
            let (_, id, expiring) = entry;
            self.deadlines.remove(&entry);
            let Some(channel) = self.channels.get_mut(&id) else { continue };
            match expiring {
                Expiring::Live(live_id) => {
                    let unfinished = channel
                        .live(live_id)
                        .is_some_and(|live| live.has_unsent() || live.has_lost());
                    if unfinished {
                        self.give_up(id, live_id, Outcome::Expired);
                    } else {
                        channel.stop_repair(live_id);
                        // If all the rest has landed, no acknowledgement and no loss will tell.
                        if channel.mode == Mode::Unreliable && channel.is_landed(live_id) {
                            self.give_up(id, live_id, Outcome::Expired);
                        } else {
                            self.place(id);
                        }
                    }
                }
                Expiring::Queued(class, receipt) => {
                    let len = channel.kill_queued(class, receipt);
                    if let Some(len) = len {
                        self.buffered -= cost(len as u64);
                        self.receipts.settle(receipt, Outcome::Expired);
                    }
                    self.place(id);
                }
            }
        }
    }

    /// The connection is over.
    pub(crate) fn abandon(&mut self) {
        self.receipts.settle_all();
        self.channels.clear();
        self.ready.clear();
        self.blocked.clear();
        self.deadlines.clear();
        self.buffered = 0;
    }
}

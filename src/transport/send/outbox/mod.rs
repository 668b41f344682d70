//! All outgoing channels of a connection and the scheduler over them.

mod fec;
mod settle;

use super::channel::{Next, OutChannel, Queued};
use super::{Class, SendError, SendOptions};
use crate::transport::fec_control::FecPath;
use crate::transport::flow_control::{Credit, cost};
use crate::transport::receipts::{Outcome, Receipt, Receipts};
use crate::transport::sent::SentFrame;
use crate::transport::time::{Micros, Time};
use crate::wire::transport::{Frame, Mode, MsgHead};
use fec::write_repair;
use std::collections::{BTreeMap, BTreeSet};

/// A channel keeps its turn for this many bytes.
const TURN_BYTES: u64 = 16 * 1024;
/// A fragment is not made shorter than this to fill a packet up, in bytes.
const FRAGMENT_LEN_MIN: usize = 64;
/// A SKIP frame is at most this long, in bytes.
const SKIP_LEN_MAX: usize = 1 + 4 + 1 + 8 + 4;

/// What limits the outgoing side; the peer's limits are learnt in the handshake.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutboxLimits {
    /// Bytes taken from the application and not yet acknowledged (with their overhead).
    pub(crate) buffer: u64,
    pub(crate) message_len_max: u64,
    pub(crate) channels_max: u64,
    pub(crate) max_data: u64,
    pub(crate) max_channel_data: u64,
}

/// When a packet of ours arrived at the peer, at the latest, for judging deadlines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AckInfo {
    pub(crate) arrived_by: Time,
}

/// The packet to be filled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// It ends here, in the buffer.
    pub(crate) end: usize,
    /// The room of an empty packet.
    pub(crate) len_max: usize,
    /// Its number.
    pub(crate) packet: u64,
    pub(crate) path: FecPath,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Expiring {
    Queued(Class, Receipt),
    Live(u64),
}

#[derive(Debug)]
pub(crate) struct Outbox {
    channels: BTreeMap<u32, OutChannel>,
    /// Channels with something to send, most urgent first: (class, turn, channel).
    ready: BTreeSet<(Class, u64, u32)>,
    /// Channels that wait for credit.
    blocked: BTreeSet<u32>,
    /// The peer must be told that something waits for credit.
    blocked_notice: bool,
    deadlines: BTreeSet<(Time, u32, Expiring)>,
    receipts: Receipts,
    credit: Credit,
    limits: OutboxLimits,
    buffered: u64,
    turn: u64,
    retransmitted_bytes: u64,
}

impl Outbox {
    pub(crate) fn new(limits: OutboxLimits) -> Self {
        Self {
            channels: BTreeMap::new(),
            ready: BTreeSet::new(),
            blocked: BTreeSet::new(),
            blocked_notice: false,
            deadlines: BTreeSet::new(),
            receipts: Receipts::default(),
            credit: Credit::new(limits.max_data),
            limits,
            buffered: 0,
            turn: 0,
            retransmitted_bytes: 0,
        }
    }

    /// The handshake told the peer's limits.
    pub(crate) fn set_peer_limits(&mut self, limits: OutboxLimits) {
        self.limits = OutboxLimits { buffer: self.limits.buffer, ..limits };
        self.raise_credit(limits.max_data);
        let channels: Vec<u32> = self.channels.keys().copied().collect();
        for id in channels {
            self.raise_channel_credit(id, limits.max_channel_data);
        }
    }

    pub(crate) fn receipts(&self) -> &Receipts {
        &self.receipts
    }

    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether the most urgent of it is the repair of a message with a deadline.
    pub(crate) fn next_is_repair(&self) -> bool {
        self.ready.first().is_some_and(|(class, ..)| class.is_repair)
    }

    /// Whether everything taken was acknowledged or given up.
    pub(crate) fn is_idle(&self) -> bool {
        self.channels.values().all(OutChannel::is_idle)
    }

    pub(crate) fn retransmitted_bytes(&self) -> u64 {
        self.retransmitted_bytes
    }

    /// Whether a message of this length would be taken now.
    pub(crate) fn has_room(&self, len: usize) -> bool {
        self.buffered == 0 || self.buffered + cost(len as u64) <= self.limits.buffer
    }

    /// Fixes the mode of a channel.
    pub(crate) fn open(&mut self, channel: u32, mode: Mode) -> Result<(), SendError> {
        if u64::from(channel) >= self.limits.channels_max {
            return Err(SendError::NoChannel { channel, max: self.limits.channels_max - 1 });
        }
        let limit = self.limits.max_channel_data;
        let known = self.channels.entry(channel).or_insert_with(|| OutChannel::new(mode, limit));
        if known.mode == mode {
            Ok(())
        } else {
            Err(SendError::ModeConflict { channel, mode: known.mode })
        }
    }

    /// Takes a message.
    pub(crate) fn push(
        &mut self,
        now: Time,
        data: Vec<u8>,
        options: SendOptions,
    ) -> Result<Receipt, SendError> {
        let SendOptions { channel: id, deadline, priority, fec } = options;
        if data.len() as u64 > self.limits.message_len_max {
            return Err(SendError::TooLong { len: data.len(), max: self.limits.message_len_max });
        }
        if let Some(deadline) = deadline.filter(|deadline| *deadline > Micros::MAX) {
            return Err(SendError::TooFar { deadline });
        }
        if !self.channels.contains_key(&id) {
            self.open(id, Mode::Ordered)?;
        }
        if !self.has_room(data.len()) {
            return Err(SendError::Full);
        }
        let class = Class::new(priority, deadline.map(|after| now + after));
        let receipt = self.receipts.issue();
        if class.deadline != Time::FAR {
            self.deadlines.insert((class.deadline, id, Expiring::Queued(class, receipt)));
        }
        self.supersede(id);
        self.buffered += cost(data.len() as u64);
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.push(Queued { data, receipt, class, fec, is_dead: false });
            self.place(id);
        }
        Ok(receipt)
    }

    /// On a sequenced channel a new message makes the older ones worthless.
    fn supersede(&mut self, id: u32) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        if channel.mode != Mode::Sequenced {
            return;
        }
        let queued: Vec<Queued> = channel.take_queued().collect();
        for message in queued {
            self.buffered -= cost(message.data.len() as u64);
            self.settle_lost(id, message.class, message.receipt);
        }
        for live in self.channels.get(&id).map(OutChannel::partly_sent).unwrap_or_default() {
            self.give_up(id, live, Outcome::Lost);
        }
    }

    fn settle_lost(&mut self, channel: u32, class: Class, receipt: Receipt) {
        if let Some(at) = class.expires_at() {
            self.deadlines.remove(&(at, channel, Expiring::Queued(class, receipt)));
        }
        self.receipts.settle(receipt, Outcome::Lost);
    }

    /// How many bytes the next thing to be sent has, at most.
    pub(crate) fn next_len(&mut self) -> Option<usize> {
        let (_, _, id) = self.ready.first().copied()?;
        let channel = self.channels.get_mut(&id)?;
        Some(match channel.next(!self.blocked.contains(&id))?.1 {
            Next::Skip(_) => SKIP_LEN_MAX,
            Next::Piece(live) => channel.live(live)?.next_len(),
            Next::Start => channel.start_len(),
        })
    }

    /// Puts a channel where the scheduler finds it, or takes it away.
    fn place(&mut self, id: u32) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        // Without credit nothing starts, but lost pieces and skips still go.
        let place = channel.next(!self.blocked.contains(&id)).map(|(class, _)| {
            if channel.place.is_none() {
                channel.turn = channel.turn.max(self.turn);
            }
            (class, channel.turn)
        });
        if place == channel.place {
            return;
        }
        if let Some((class, turn)) = channel.place {
            self.ready.remove(&(class, turn, id));
        }
        if let Some((class, turn)) = place {
            self.ready.insert((class, turn, id));
        }
        channel.place = place;
    }

    /// Fills `out` with frames as far as `room` goes; what they carry goes to `frames`.
    ///
    /// Returns whether anything was written.
    pub(crate) fn fill(
        &mut self,
        now: Time,
        out: &mut Vec<u8>,
        room: Room,
        frames: &mut Vec<SentFrame>,
    ) -> bool {
        let start = out.len();
        let Room { end, len_max: max_len, .. } = room;
        let mut stamped = false;
        while let Some((_, turn, id)) = self.ready.first().copied() {
            self.turn = turn;
            let Some(channel) = self.channels.get_mut(&id) else { break };
            let before = out.len();
            let wrote = match channel.next(!self.blocked.contains(&id)) {
                Some((_, Next::Skip(skipped))) if before + SKIP_LEN_MAX <= end => {
                    let mode = channel.mode;
                    if let Some(total) = channel.on_skip_sent(skipped) {
                        Frame::Skip { channel: id, mode, id: skipped, total }.compose(out);
                        frames.push(SentFrame::Skip { channel: id, id: skipped });
                    }
                    true
                }
                Some((_, Next::Skip(_))) => false,
                Some((_, Next::Piece(live))) => {
                    self.write_piece(now, id, live, out, room, &mut stamped, frames)
                }
                Some((_, Next::Start)) => {
                    let cost = channel.start_cost();
                    let is_charged = channel.has_credit();
                    if is_charged && !(self.credit.covers(cost) && channel.credit.covers(cost)) {
                        self.blocked.insert(id);
                        self.blocked_notice = true;
                        self.place(id);
                        continue;
                    }
                    // A message that fits one packet is not cut to fill the rest of this one.
                    let len = channel.start_len();
                    let left = end.saturating_sub(before + FRAME_OVERHEAD_MAX);
                    if len > left
                        && (len + FRAME_OVERHEAD_MAX <= max_len || left < FRAGMENT_LEN_MIN)
                    {
                        false
                    } else {
                        self.start(id, is_charged, cost).is_some_and(|live| {
                            self.plan_repair(now, id, live, room);
                            self.write_piece(now, id, live, out, room, &mut stamped, frames)
                        })
                    }
                }
                None => true,
            };
            if let Some(channel) = self.channels.get_mut(&id) {
                channel.turn_bytes += (out.len() - before) as u64;
                if channel.turn_bytes >= TURN_BYTES {
                    channel.turn_bytes = 0;
                    channel.turn += 1;
                }
            }
            self.place(id);
            if !wrote {
                break;
            }
        }
        out.len() > start
    }

    fn start(&mut self, id: u32, is_charged: bool, cost: u64) -> Option<u64> {
        let channel = self.channels.get_mut(&id)?;
        let live = channel.start()?;
        if is_charged {
            self.credit.take(cost);
            channel.credit.take(cost);
        }
        let message = channel.live(live)?;
        if let Some(at) = message.class.expires_at() {
            self.deadlines.remove(&(at, id, Expiring::Queued(message.class, message.receipt)));
            self.deadlines.insert((at, id, Expiring::Live(live)));
        }
        Some(live)
    }

    #[allow(clippy::too_many_arguments)]
    fn write_piece(
        &mut self,
        now: Time,
        id: u32,
        live_id: u64,
        out: &mut Vec<u8>,
        room: Room,
        stamped: &mut bool,
        frames: &mut Vec<SentFrame>,
    ) -> bool {
        let Room { end, packet, .. } = room;
        let Some(channel) = self.channels.get_mut(&id) else { return false };
        let mode = channel.mode;
        let Some(live) = channel.live_mut(live_id) else { return false };
        let deadline = live.class.expires_at();
        let Some(piece) = live.next_piece() else {
            let wrote = write_repair(now, (id, mode, live_id), live, out, room, stamped);
            let is_over = live.repair.as_ref().is_some_and(|repair| repair.is_landed());
            if wrote {
                frames.push(SentFrame::Repair { channel: id, id: live_id });
            }
            channel.refresh(live_id);
            if is_over && mode == Mode::Unreliable {
                self.give_up(id, live_id, Outcome::Lost);
            }
            return wrote;
        };
        let total = live.total();
        let head = MsgHead {
            channel: id,
            id: live_id,
            mode,
            total,
            offset: piece.start,
            deadline_us: deadline.map(|at| at.0),
        };
        let mark = out.len();
        if deadline.is_some() && !*stamped {
            Frame::Timestamp(now.0).compose(out);
        }
        let room = end.saturating_sub(out.len());
        let wanted = piece.len();
        let whole = head.len(wanted, false) + wanted <= room;
        let len = if whole {
            wanted
        } else {
            // The rest of the packet; as if it were a fragment, whose head is the longest.
            room.saturating_sub(head.len(usize::MAX, true)).min(wanted)
        };
        if !whole && len < FRAGMENT_LEN_MIN.min(wanted).max(1) {
            out.truncate(mark);
            return false;
        }
        *stamped |= deadline.is_some();
        if !whole {
            // Without its length the data must end the packet: padding goes before it.
            let gap = room - head.len(len, true) - len;
            Frame::Padding(gap).compose(out);
        }
        if live.has_lost() {
            self.retransmitted_bytes += len as u64;
        }
        let from = piece.start as usize;
        head.compose(out, &live.data[from..from + len], !whole);
        live.on_sent(len as u32);
        if let Some(repair) = &mut live.repair {
            repair.on_piece(packet);
        }
        let (len, offset) = (len as u32, piece.start);
        frames.push(SentFrame::Msg { channel: id, id: live_id, offset, len });
        channel.refresh(live_id);
        true
    }

    /// Whether the peer must be told that something waits for credit.
    pub(crate) fn has_blocked_notice(&self) -> bool {
        self.blocked_notice
    }

    pub(crate) fn take_blocked_notice(&mut self) -> bool {
        std::mem::take(&mut self.blocked_notice)
    }

    pub(crate) fn on_blocked_lost(&mut self) {
        self.blocked_notice = !self.blocked.is_empty();
    }

    /// The peer grants more to the connection.
    pub(crate) fn raise_credit(&mut self, limit: u64) {
        if self.credit.raise(limit) {
            for id in std::mem::take(&mut self.blocked) {
                self.place(id);
            }
        }
    }

    /// The peer grants more to a channel.
    pub(crate) fn raise_channel_credit(&mut self, id: u32, limit: u64) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        if channel.credit.raise(limit) && self.blocked.remove(&id) {
            self.place(id);
        }
    }
}

/// The longest head of a MSG frame and its timestamp, in bytes.
const FRAME_OVERHEAD_MAX: usize = 9 + 1 + 4 + 8 + 4 + 4 + 8 + 4;

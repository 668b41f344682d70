//! Repair symbols of messages: decided when a message begins, written after its pieces.

use super::{FRAME_OVERHEAD_MAX, Outbox, Room};
use crate::transport::fec_control::Fec;
use crate::transport::send::live::Live;
use crate::transport::send::repair::Repair;
use crate::transport::time::Time;
use crate::wire::transport::{Frame, Mode, MsgHead, Repair as RepairFrame};

/// A packet also carries an acknowledgement; a source symbol should still fit, in bytes.
const ACK_ROOM: usize = 40;

impl Outbox {
    /// A message begins: does repair go with it?
    pub(super) fn plan_repair(&mut self, now: Time, id: u32, live_id: u64, room: Room) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let Some(live) = channel.live_mut(live_id) else { return };
        if live.fec == Fec::Off || live.data.is_empty() {
            return;
        }
        let symbol_len_max = room.len_max.saturating_sub(FRAME_OVERHEAD_MAX + ACK_ROOM).max(1);
        let sources = live.data.len().div_ceil(symbol_len_max);
        let left = live.class.expires_at().map(|at| at.since(now));
        let repairs = room.path.repairs(live.fec, sources, left);
        if repairs > 0 {
            let repair = Repair::new(live.data.len(), symbol_len_max, repairs);
            live.repair = Some(Box::new(repair));
        }
    }
}

/// Writes the next repair symbol of a message, if this packet may carry it.
pub(super) fn write_repair(
    now: Time,
    (channel, mode, id): (u32, Mode, u64),
    live: &mut Live,
    out: &mut Vec<u8>,
    room: Room,
    stamped: &mut bool,
) -> bool {
    let (total, deadline) = (live.total(), live.class.expires_at());
    let Some(repair) = live.repair.as_mut().filter(|repair| repair.is_due()) else { return false };
    if deadline.is_some_and(|at| at <= now) {
        repair.stop();
        return false;
    }
    if !repair.may_go_in(room.packet) {
        return false;
    }
    let mark = out.len();
    if deadline.is_some() && !*stamped {
        Frame::Timestamp(now.0).compose(out);
    }
    let deadline_us = deadline.map(|at| at.0);
    let mut head = MsgHead { channel, id, mode, total, offset: u8::MAX.into(), deadline_us };
    let len = repair.symbol_len();
    let stamp_len = out.len() - mark;
    let frame_len = RepairFrame::overhead(&head, len) + len;
    if out.len() + frame_len > room.end {
        out.truncate(mark);
        if stamp_len + frame_len > room.len_max {
            // Packets have become shorter since the symbols were cut.
            repair.stop();
        }
        return false;
    }
    let Some((index, symbol)) = repair.take(&live.data, room.packet) else { return false };
    head.offset = index.into();
    Frame::Repair(RepairFrame { head, symbol }).compose(out);
    *stamped |= deadline.is_some();
    true
}

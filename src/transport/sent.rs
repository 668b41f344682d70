//! What we sent and await: a ring of packets by number, a ring of what they carried.
//!
//! A packet's information is freed when the oldest packets are settled, so all costs are O(1)
//! amortised a packet and nothing is allocated for one.

use super::congestion::Stamp;
use super::time::Time;
use std::collections::VecDeque;
use std::ops::RangeInclusive;

/// A piece of information a packet carried, kept to be sent again if the packet is lost.
///
/// RFC 9000 §13.3: information is retransmitted, never packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SentFrame {
    /// Part of a message.
    Msg { channel: u32, id: u64, offset: u32, len: u32 },
    /// A repair symbol; never sent again.
    Repair { channel: u32, id: u64 },
    /// A message was given up.
    Skip { channel: u32, id: u64 },
    /// The connection's credit; the newest value is what counts.
    MaxData,
    /// A channel's credit.
    MaxChannel { channel: u32 },
    /// A message of ours waits for credit.
    Blocked,
    /// We acknowledged up to here; once the peer has it, we can stop repeating.
    Ack { largest: u64 },
    /// One of our connection ids.
    NewCid { seq: u64 },
    /// We retired one of the peer's.
    RetireCid { seq: u64 },
    /// How often the peer shall acknowledge.
    AckFrequency { seq: u64 },
}

/// A packet on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SentPacket {
    pub(crate) sent_at: Time,
    pub(crate) size: u32,
    pub(crate) ack_eliciting: bool,
    /// Counts against the congestion window (ACK-only packets do not).
    pub(crate) in_flight: bool,
    /// A path MTU probe: its loss says nothing about congestion (RFC 8899 §3).
    pub(crate) is_mtu_probe: bool,
    outstanding: bool,
    frames_end: u64,
}

/// All packets not yet settled, in the order of their numbers.
#[derive(Debug, Default)]
pub(crate) struct SentPackets {
    packets: VecDeque<SentPacket>,
    /// The number of the first packet of the ring.
    base: u64,
    frames: VecDeque<SentFrame>,
    frames_base: u64,
    bytes_in_flight: u64,
    eliciting_in_flight: u64,
    /// No packet below this is outstanding.
    first_outstanding: u64,
    /// One for each of `packets`, if the congestion controller wants any.
    stamps: Option<VecDeque<Option<Stamp>>>,
}

/// What a new packet is, before its frames.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewPacket {
    pub(crate) sent_at: Time,
    pub(crate) size: u32,
    pub(crate) ack_eliciting: bool,
    pub(crate) in_flight: bool,
    pub(crate) is_mtu_probe: bool,
}

impl SentPackets {
    /// For a congestion controller that stamps packets, or one that does not.
    pub(crate) fn new(keeps_stamps: bool) -> Self {
        Self { stamps: keeps_stamps.then(VecDeque::new), ..Self::default() }
    }

    /// Whether packets are stamped.
    pub(crate) fn keeps_stamps(&self) -> bool {
        self.stamps.is_some()
    }

    /// Stamps the packet that was pushed last.
    pub(crate) fn stamp_last(&mut self, stamp: Option<Stamp>) {
        if let Some(last) = self.stamps.as_mut().and_then(VecDeque::back_mut) {
            *last = stamp;
        }
    }

    /// The stamp of a packet in the ring.
    pub(crate) fn stamp(&self, number: u64) -> Option<Stamp> {
        let stamps = self.stamps.as_ref()?;
        let index = usize::try_from(number.checked_sub(self.base)?).ok()?;
        stamps.get(index).copied().flatten()
    }

    /// What was stamped so far says nothing of the path from now on.
    pub(crate) fn forget_stamps(&mut self) {
        self.stamps.iter_mut().flatten().for_each(|stamp| *stamp = None);
    }

    /// The number the next packet gets.
    pub(crate) fn next_number(&self) -> u64 {
        self.base + self.packets.len() as u64
    }

    pub(crate) fn bytes_in_flight(&self) -> u64 {
        self.bytes_in_flight
    }

    /// How many packets await an acknowledgement.
    pub(crate) fn eliciting(&self) -> u64 {
        self.eliciting_in_flight
    }

    /// Whether an acknowledgement is awaited.
    pub(crate) fn has_eliciting(&self) -> bool {
        self.eliciting_in_flight > 0
    }

    /// Appends the packet with the next number.
    ///
    /// One that elicits no acknowledgement is not awaited: nobody may ever acknowledge it.
    pub(crate) fn push(&mut self, packet: NewPacket, frames: &[SentFrame]) {
        self.frames.extend(frames);
        let NewPacket { sent_at, size, ack_eliciting, in_flight, is_mtu_probe } = packet;
        if in_flight {
            self.bytes_in_flight += u64::from(size);
        }
        self.eliciting_in_flight += u64::from(ack_eliciting);
        let frames_end = self.frames_base + self.frames.len() as u64;
        self.packets.push_back(SentPacket {
            sent_at,
            size,
            ack_eliciting,
            in_flight,
            is_mtu_probe,
            outstanding: ack_eliciting,
            frames_end,
        });
        if let Some(stamps) = &mut self.stamps {
            stamps.push_back(None);
        }
        if !ack_eliciting {
            self.release();
        }
    }

    /// Settles a packet as acknowledged or lost: it leaves the flight. `None` if it had before.
    ///
    /// What it carried stays readable through [`frames`](Self::frames) until
    /// [`release`](Self::release).
    pub(crate) fn settle(&mut self, number: u64) -> Option<SentPacket> {
        let index = usize::try_from(number.checked_sub(self.base)?).ok()?;
        let packet = self.packets.get_mut(index).filter(|packet| packet.outstanding)?;
        packet.outstanding = false;
        if packet.in_flight {
            self.bytes_in_flight -= u64::from(packet.size);
        }
        self.eliciting_in_flight -= u64::from(packet.ack_eliciting);
        Some(*packet)
    }

    /// The frame numbers of a packet in the ring; read them with [`frame`](Self::frame).
    pub(crate) fn frames(&self, number: u64) -> std::ops::Range<u64> {
        let Some(index) = number.checked_sub(self.base).map(|index| index as usize) else {
            return 0..0;
        };
        let Some(packet) = self.packets.get(index) else { return 0..0 };
        let start = if index == 0 { self.frames_base } else { self.packets[index - 1].frames_end };
        start..packet.frames_end
    }

    /// One frame of a packet in the ring.
    pub(crate) fn frame(&self, at: u64) -> SentFrame {
        self.frames[(at - self.frames_base) as usize]
    }

    /// The outstanding packet with this number.
    pub(crate) fn get(&self, number: u64) -> Option<&SentPacket> {
        let index = usize::try_from(number.checked_sub(self.base)?).ok()?;
        self.packets.get(index).filter(|packet| packet.outstanding)
    }

    /// The outstanding numbers of `range`, ascending, into `out`.
    pub(crate) fn collect_outstanding(&self, range: RangeInclusive<u64>, out: &mut Vec<u64>) {
        let start = (*range.start()).max(self.first_outstanding).max(self.base);
        let end = (*range.end()).min(self.next_number().saturating_sub(1));
        let mut number = start;
        while number <= end && self.next_number() > 0 {
            if self.get(number).is_some() {
                out.push(number);
            }
            number += 1;
        }
    }

    /// The lowest outstanding number.
    pub(crate) fn first_outstanding(&self) -> Option<u64> {
        (self.first_outstanding < self.next_number()).then_some(self.first_outstanding)
    }

    /// Frees settled packets at the old end.
    pub(crate) fn release(&mut self) {
        while let Some(packet) = self.packets.front() {
            if packet.outstanding {
                break;
            }
            let frames = (packet.frames_end - self.frames_base) as usize;
            self.frames.drain(..frames);
            self.frames_base += frames as u64;
            self.packets.pop_front();
            if let Some(stamps) = &mut self.stamps {
                stamps.pop_front();
            }
            self.base += 1;
        }
        self.first_outstanding = self.base;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(size: u32) -> NewPacket {
        NewPacket {
            sent_at: Time(0),
            size,
            ack_eliciting: true,
            in_flight: true,
            is_mtu_probe: false,
        }
    }

    #[test]
    fn packets_settle_once_and_free_their_frames_in_order() {
        let mut sent = SentPackets::default();
        let frame = |seq| SentFrame::NewCid { seq };
        sent.push(packet(100), &[frame(0), frame(1)]);
        sent.push(packet(200), &[]);
        sent.push(packet(300), &[frame(2)]);
        assert_eq!((sent.bytes_in_flight(), sent.next_number()), (600, 3));
        assert!(sent.settle(2).is_some());
        assert!(sent.settle(2).is_none());
        sent.release();
        let frames: Vec<_> = sent.frames(2).map(|at| sent.frame(at)).collect();
        assert_eq!(frames, [frame(2)]);
        let frames: Vec<_> = sent.frames(0).map(|at| sent.frame(at)).collect();
        assert_eq!(frames, [frame(0), frame(1)]);
        let mut outstanding = Vec::new();
        sent.collect_outstanding(0..=99, &mut outstanding);
        assert_eq!(outstanding, [0, 1]);
        assert!(sent.settle(0).is_some() && sent.settle(1).is_some());
        sent.release();
        assert_eq!((sent.bytes_in_flight(), sent.frames.len(), sent.packets.len()), (0, 0, 0));
        assert_eq!((sent.next_number(), sent.first_outstanding()), (3, None));
    }
}

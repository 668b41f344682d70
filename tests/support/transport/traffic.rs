//! Messages that prove themselves: who sent them, which they are, when they are too late.

use super::scenario::Draw;
use udpcore::transport::{Fec, Micros, Mode, Time};

/// The modes of the channels in use: channel n has mode n modulo 4.
pub const MODES: [Mode; 4] = [Mode::Ordered, Mode::Unordered, Mode::Sequenced, Mode::Unreliable];

/// One message to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    pub at: Time,
    pub channel: u32,
    pub len: usize,
    pub deadline: Option<Micros>,
    pub priority: u8,
    pub fec: Fec,
    /// The server sends it, otherwise the client.
    pub by_server: bool,
}

/// What one client and the server send each other, in the order of time.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub messages: Vec<Planned>,
}

/// A random plan.
pub fn plan(draw: &mut Draw) -> Plan {
    let count = draw.between(1, 40);
    let channels = draw.between(1, 6) as u32;
    let size_max = [20, 200, 2_000, 20_000, 60_000][draw.below(5) as usize];
    let deadlines = draw.percent(40);
    let duplex = draw.percent(60);
    let repairs = draw.percent(40);
    let span = if draw.percent(50) { 1 } else { 3_000_000 };
    let mut messages: Vec<_> = (0..count)
        .map(|_| Planned {
            at: Time(draw.below(span)),
            channel: draw.below(u64::from(channels)) as u32,
            len: draw.below(size_max) as usize,
            deadline: (deadlines && draw.percent(50))
                .then(|| Micros(draw.between(10_000, 1_000_000))),
            priority: draw.below(3) as u8,
            fec: if repairs {
                [Fec::Off, Fec::Auto, Fec::Permille(300)][draw.below(3) as usize]
            } else {
                Fec::Off
            },
            by_server: duplex && draw.percent(50),
        })
        .collect();
    messages.sort_by_key(|message| message.at);
    Plan { messages }
}

const HEAD_LEN: usize = 24;

/// The bytes of a message: index, time of sending, deadline, then a pattern.
pub fn compose(index: u32, now: Time, planned: &Planned) -> Vec<u8> {
    let deadline = planned.deadline.map_or(u64::MAX, |after| (now + after).0);
    let mut bytes = Vec::with_capacity(HEAD_LEN + planned.len);
    bytes.extend_from_slice(&index.to_be_bytes());
    bytes.extend_from_slice(&(planned.len as u32).to_be_bytes());
    bytes.extend_from_slice(&now.0.to_be_bytes());
    bytes.extend_from_slice(&deadline.to_be_bytes());
    bytes.extend((0..planned.len).map(|at| pattern(index, at)));
    bytes
}

fn pattern(index: u32, at: usize) -> u8 {
    (index as usize * 31 + at * 7 + at / 251) as u8
}

/// A received message that was whole and unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    pub index: u32,
    pub deadline: Time,
}

/// Checks the bytes of a message; `None` if they are not what was sent.
pub fn verify(bytes: &[u8]) -> Option<Proof> {
    let (head, body) = bytes.split_at_checked(HEAD_LEN)?;
    let index = u32::from_be_bytes(head[..4].try_into().ok()?);
    let len = u32::from_be_bytes(head[4..8].try_into().ok()?) as usize;
    let deadline = Time(u64::from_be_bytes(head[16..24].try_into().ok()?));
    let intact =
        body.len() == len && body.iter().enumerate().all(|(at, byte)| *byte == pattern(index, at));
    intact.then_some(Proof { index, deadline })
}

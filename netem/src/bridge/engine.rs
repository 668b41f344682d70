//! The bridge's event loop, on its own thread, and the state it works on.
//!
//! Each turn takes a bounded batch from each interface that has frames, decides, and sends what is
//! due; it waits when both are empty.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use super::flows::FlowTable;
use super::frame_io::FrameIo;
use super::segment::{HEADER_BYTES, segments};
use super::{BridgeConfig, BridgeError, BridgeStats};
use crate::capture::{FrameTap, Seen};
use crate::clock::{Clock, Shared, Timer};
use crate::link::{Link, Outcome};
use crate::packet::{Direction, Packet};
use crate::random::Seed;
use crate::units::Nanos;
use crate::verdict::DropReason;

const WAKER: Token = Token(2);
const TIMER: Token = Token(3);

/// Frames taken from one interface in one turn.
const BATCH: usize = 64;
const EVENTS_MAX: usize = 16;
/// Buffers kept for reuse, and the largest that is worth keeping.
const SPARE_BUFFERS_MAX: usize = 4096;
const SPARE_BYTES_MAX: usize = 4096;

/// One direction: where frames come from, what happens to them, where they go.
#[derive(Debug)]
struct Side {
    /// Frames of this direction come in here; those of the other go out here.
    io: Box<dyn FrameIo>,
    link: Link<Vec<u8>>,
    is_readable: bool,
}

/// Everything the engine works on, and the handle looks at.
#[derive(Debug)]
pub(super) struct Core {
    /// Left (up), right (down).
    sides: [Side; 2],
    flows: FlowTable,
    spare: Vec<Vec<u8>>,
    segmented: u64,
    receive_errors: u64,
    vanished: Option<String>,
    tap: Option<FrameTap>,
}

impl Core {
    pub(super) fn new(
        config: &BridgeConfig,
        seed: Seed,
        left: Box<dyn FrameIo>,
        right: Box<dyn FrameIo>,
    ) -> Self {
        let side = |io, direction, config: &crate::LinkConfig, log| {
            let link = Link::new(direction, config.clone(), seed).with_log(log);
            // Frames may have come before the event loop knew: look once in any case.
            Side { io, link, is_readable: true }
        };
        let log = config.log_packets_max;
        Self {
            sides: [
                side(left, Direction::Up, &config.up, log),
                side(right, Direction::Down, &config.down, log),
            ],
            flows: FlowTable::default(),
            spare: Vec::new(),
            segmented: 0,
            receive_errors: 0,
            vanished: None,
            tap: None,
        }
    }

    /// From now on everything that passes is captured.
    pub(super) fn capture(&mut self, tap: FrameTap) {
        self.tap = Some(tap);
    }

    pub(super) const fn tap(&self) -> Option<&FrameTap> {
        self.tap.as_ref()
    }

    pub(super) fn stats(&self) -> BridgeStats {
        BridgeStats {
            up: *self.sides[0].link.stats(),
            down: *self.sides[1].link.stats(),
            flows_total: self.flows.len() as u64,
            segmented: self.segmented,
            receive_errors: self.receive_errors,
        }
    }

    pub(super) const fn link(&mut self, direction: Direction) -> &mut Link<Vec<u8>> {
        &mut self.sides[direction as usize].link
    }

    pub(super) fn failure(&self) -> Option<BridgeError> {
        self.vanished.clone().map(|name| BridgeError::Vanished { name })
    }

    fn next_deadline(&self) -> Option<Nanos> {
        self.sides.iter().filter_map(|side| side.link.next_deadline()).min()
    }

    fn is_idle(&self) -> bool {
        self.sides.iter().all(|side| !side.is_readable)
    }

    /// Takes a batch of frames from one interface.
    fn read(&mut self, place: usize, clock: &Clock) {
        let Self { sides, flows, spare, segmented, receive_errors, vanished, tap } = self;
        let Side { io, link, is_readable } = &mut sides[place];
        for _ in 0..BATCH {
            match io.receive() {
                Ok(Some(frame)) => {
                    let now = clock.now();
                    let mut count = 0u64;
                    for segment in segments(frame) {
                        let mut payload = spare.pop().unwrap_or_default();
                        segment.write_to(&mut payload);
                        let bytes = payload.get(HEADER_BYTES..).unwrap_or_default();
                        let (flow, size_bytes) = (flows.ordinal_of(bytes), bytes.len() as u32);
                        let copy = tap.is_some().then(|| payload.clone());
                        let verdict = link.input(now, Packet { flow, size_bytes, payload });
                        if let (Some(tap), Some(frame)) = (tap.as_ref(), copy) {
                            let (direction, bytes) = (link.direction(), &frame[..]);
                            let seen = Seen { now, direction, flow, id: 0, tos: 0, bytes };
                            tap.came_in(&seen, &verdict);
                        }
                        count += 1;
                    }
                    *segmented += u64::from(count > 1);
                }
                Ok(None) => {
                    *is_readable = false;
                    return;
                }
                Err(_) => {
                    *receive_errors += 1;
                    if !io.exists() {
                        *vanished = Some(io.name().to_owned());
                        return;
                    }
                }
            }
        }
    }

    /// Sends everything that is due at `now`.
    fn release(&mut self, now: Nanos) {
        let [left, right] = &mut self.sides;
        for (from, to) in [(&mut left.link, &mut right.io), (&mut right.link, &mut left.io)] {
            while let Some(outcome) = from.poll_outcome(now) {
                let (packet, mut dropped) = match outcome {
                    Outcome::Delivered(packet) => (packet, None),
                    Outcome::Dropped(packet, reason) => (packet, Some(reason)),
                };
                if dropped.is_none()
                    && let Err(error) = to.send(&packet.payload)
                {
                    from.revoke_delivery(packet.size_bytes, reason(&error));
                    dropped = Some(reason(&error));
                }
                if let Some(tap) = &self.tap {
                    let (direction, flow, bytes) = (from.direction(), packet.flow, &packet.payload);
                    let seen = Seen { now, direction, flow, id: 0, tos: 0, bytes };
                    tap.left(&seen, dropped);
                }
                let mut buffer = packet.payload;
                if self.spare.len() < SPARE_BUFFERS_MAX && buffer.capacity() <= SPARE_BYTES_MAX {
                    buffer.clear();
                    self.spare.push(buffer);
                }
            }
        }
    }

    fn shut_down(&mut self, now: Nanos) {
        for Side { link, .. } in &mut self.sides {
            while let Some(packet) = link.poll(Nanos::MAX) {
                link.revoke_delivery(packet.size_bytes, DropReason::Closed);
                if let Some(tap) = &self.tap {
                    let (direction, flow, bytes) = (link.direction(), packet.flow, &packet.payload);
                    let seen = Seen { now, direction, flow, id: 0, tos: 0, bytes };
                    tap.left(&seen, Some(DropReason::Closed));
                }
            }
        }
        if let Some(tap) = &mut self.tap {
            tap.finish();
        }
        self.spare = Vec::new();
    }
}

fn reason(error: &io::Error) -> DropReason {
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut, _) | (_, Some(libc::ENOBUFS)) => {
            DropReason::SendBufferFull
        }
        _ => DropReason::SendFailed,
    }
}

pub(super) struct Engine {
    poll: Poll,
    timer: Timer,
    clock: Clock,
    shared: Arc<Shared<Core>>,
}

impl Engine {
    pub(super) fn new(shared: Arc<Shared<Core>>) -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        for (place, side) in shared.lock().sides.iter().enumerate() {
            let (mut source, token) = (SourceFd(&side.io.fd()), Token(place));
            poll.registry().register(&mut source, token, Interest::READABLE)?;
        }
        let waker = Waker::new(poll.registry(), WAKER)?;
        let timer = Timer::new(poll.registry(), TIMER)?;
        Ok((Self { poll, timer, clock: Clock::start(), shared }, waker))
    }

    /// Works until the handle is closed or an interface is gone.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let shared = Arc::clone(&self.shared);
        while !shared.is_closing() {
            let (deadline, is_idle) = {
                let core = shared.lock();
                (core.next_deadline(), core.is_idle())
            };
            if self.wait(&mut events, deadline, is_idle).is_err() {
                break;
            }
            let mut core = shared.lock_last();
            for event in events.iter() {
                if let Some(side) = core.sides.get_mut(event.token().0) {
                    side.is_readable = true;
                }
            }
            core.release(self.clock.now());
            for place in 0..core.sides.len() {
                if core.sides[place].is_readable {
                    core.read(place, &self.clock);
                    core.release(self.clock.now());
                }
            }
            if core.vanished.is_some() {
                break;
            }
        }
        shared.close();
        shared.lock().shut_down(self.clock.now());
    }

    fn wait(
        &mut self,
        events: &mut Events,
        deadline: Option<Nanos>,
        is_idle: bool,
    ) -> io::Result<()> {
        let timeout = match is_idle {
            true => self.timer.arm(self.clock.now(), deadline)?,
            false => Some(Duration::ZERO),
        };
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => events.clear(),
            result => result?,
        }
        if events.iter().any(|event| event.token() == TIMER) {
            self.timer.clear();
        }
        Ok(())
    }
}

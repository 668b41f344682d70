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
use super::frame::{Frame, Pool};
use super::frame_io::FrameIo;
use super::outbox::Outbox;
use super::piece::Piece;
use super::{BridgeConfig, BridgeError, BridgeStats};
use crate::capture::{FrameTap, Seen};
use crate::clock::{Clock, Shared, Timer};
use crate::link::{Link, Outcome};
use crate::packet::{Direction, FlowOrdinal, Packet};
use crate::random::Seed;
use crate::units::Nanos;
use crate::verdict::DropReason;

const WAKER: Token = Token(2);
const TIMER: Token = Token(3);

const EVENTS_MAX: usize = 16;
/// An interface that went down is looked for so often: its end is not told.
const DOWN_INTERVAL: Duration = Duration::from_millis(50);

/// One direction: where frames come from, what happens to them, where they go.
#[derive(Debug)]
struct Side {
    /// Frames of this direction come in here; those of the other go out here.
    io: Box<dyn FrameIo>,
    link: Link<Piece>,
    is_readable: bool,
    /// The interface went down, and has given no frame since.
    is_down: bool,
}

/// Everything the engine works on, and the handle looks at.
#[derive(Debug)]
pub(super) struct Core {
    /// Left (up), right (down).
    sides: [Side; 2],
    flows: FlowTable,
    pool: Pool,
    /// Frames that just came in, and those that leave: empty between two turns.
    inbox: Vec<Arc<Frame>>,
    outbox: Outbox,
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
            let link = Link::new(direction, config.clone(), seed).with_log(log).with_bytes();
            // Frames may have come before the event loop knew: look once in any case.
            Side { io, link, is_readable: true, is_down: false }
        };
        let log = config.log_packets_max;
        Self {
            sides: [
                side(left, Direction::Up, &config.up, log),
                side(right, Direction::Down, &config.down, log),
            ],
            flows: FlowTable::default(),
            pool: Pool::default(),
            inbox: Vec::new(),
            outbox: Outbox::default(),
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

    pub(super) fn stats(&mut self) -> BridgeStats {
        self.count_overruns();
        BridgeStats {
            up: *self.sides[0].link.stats(),
            down: *self.sides[1].link.stats(),
            flows_total: self.flows.len() as u64,
            segmented: self.segmented,
            receive_errors: self.receive_errors,
        }
    }

    pub(super) const fn link(&mut self, direction: Direction) -> &mut Link<Piece> {
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

    /// What the system dropped because the bridge was too slow is the bridge's own loss. Their
    /// sizes are not known.
    fn count_overruns(&mut self) {
        for Side { io, link, .. } in &mut self.sides {
            for _ in 0..io.overruns() {
                link.refuse(0, DropReason::RelayOverrun);
            }
        }
    }

    /// Takes a batch of frames from one interface.
    fn read(&mut self, place: usize, clock: &Clock) {
        let Self { sides, flows, pool, inbox, segmented, receive_errors, vanished, tap, .. } = self;
        let Side { io, link, is_readable, is_down } = &mut sides[place];
        match io.receive(pool, inbox) {
            Ok(has_more) => {
                *is_readable = has_more;
                *is_down &= inbox.is_empty();
            }
            Err(_) => {
                *receive_errors += 1;
                *is_down = true;
            }
        }
        if *is_down && !io.exists() {
            *vanished = Some(io.name().to_owned());
        }
        let now = clock.now();
        for frame in inbox.drain(..) {
            let (flow, count) = (flows.ordinal_of(frame.body()), frame.parts());
            *segmented += u64::from(count > 1);
            for part in 0..count {
                let mut piece = Piece { frame: Arc::clone(&frame), parts: part..part + 1 };
                if link.config().looks_into_packets() {
                    piece.own();
                }
                let shown = tap.is_some().then(|| piece.clone());
                let size_bytes = piece.size_bytes();
                let verdict = link.input(now, Packet { flow, size_bytes, payload: piece });
                if let (Some(tap), Some(piece)) = (tap.as_ref(), shown) {
                    let mut bytes = Vec::new();
                    piece.frame.write_to(&piece.parts, &mut bytes);
                    let (direction, bytes) = (link.direction(), &bytes[..]);
                    tap.came_in(&Seen { now, direction, flow, id: 0, tos: 0, bytes }, &verdict);
                }
            }
            pool.give_back(frame);
        }
    }

    /// Sends everything that is due at `now`.
    fn release(&mut self, now: Nanos) {
        for from in 0..self.sides.len() {
            while self.collect(from, now) {
                self.send(from, now);
            }
        }
    }

    /// Gathers what is due; `false`: nothing is.
    fn collect(&mut self, from: usize, now: Nanos) -> bool {
        let Self { sides, outbox, tap, pool, .. } = self;
        let link = &mut sides[from].link;
        while !outbox.is_full() {
            match link.poll_outcome(now) {
                Some(Outcome::Delivered(packet)) => outbox.push(packet.payload, packet.flow),
                Some(Outcome::Dropped(packet, reason)) => {
                    let direction = link.direction();
                    show_leaving(
                        tap.as_ref(),
                        (now, direction),
                        &packet.payload,
                        packet.flow,
                        Some(reason),
                    );
                    pool.give_back(packet.payload.frame);
                }
                None => break,
            }
        }
        !outbox.from(0).is_empty()
    }

    /// Sends what was gathered; what the interface does not take is dropped, by reason.
    fn send(&mut self, from: usize, now: Nanos) {
        let Self { sides, outbox, tap, pool, .. } = self;
        let [left, right] = sides;
        let (link, to) = match from {
            0 => (&mut left.link, &mut right.io),
            _ => (&mut right.link, &mut left.io),
        };
        let (tap, way) = (tap.as_ref(), (now, link.direction()));
        let mut next = 0;
        while let Some(first) = outbox.from(next).first() {
            match to.send(outbox.from(next)) {
                Ok(count) => {
                    for sent in &outbox.from(next)[..count] {
                        show_leaving(tap, way, &sent.piece, sent.flow, None);
                    }
                    next += count;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The interface or the system may not cut frames of this kind.
                Err(error) if first.packets() > 1 && is_about_size(&error) => {
                    outbox.take_apart(next);
                }
                Err(error) => {
                    let reason = reason(&error);
                    show_leaving(tap, way, &first.piece, first.flow, Some(reason));
                    for size_bytes in first.sizes() {
                        link.revoke_delivery(size_bytes, reason);
                    }
                    next += 1;
                }
            }
        }
        outbox.clear(|frame| pool.give_back(frame));
    }

    fn shut_down(&mut self, now: Nanos) {
        self.count_overruns();
        for Side { link, .. } in &mut self.sides {
            while let Some(packet) = link.poll(Nanos::MAX) {
                let closed = DropReason::Closed;
                link.revoke_delivery(packet.size_bytes, closed);
                let way = (now, link.direction());
                show_leaving(self.tap.as_ref(), way, &packet.payload, packet.flow, Some(closed));
            }
        }
        if let Some(tap) = &mut self.tap {
            tap.finish();
        }
        self.pool.clear();
    }
}

/// Shows the packets of `piece` to the capture, each by itself.
fn show_leaving(
    tap: Option<&FrameTap>,
    (now, direction): (Nanos, Direction),
    piece: &Piece,
    flow: FlowOrdinal,
    dropped: Option<DropReason>,
) {
    let Some(tap) = tap else { return };
    for part in piece.parts.clone() {
        let mut bytes = Vec::new();
        piece.frame.write_to(&(part..part + 1), &mut bytes);
        tap.left(&Seen { now, direction, flow, id: 0, tos: 0, bytes: &bytes }, dropped);
    }
}

/// Whether several packets in one frame may be what the error is about.
fn is_about_size(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EMSGSIZE | libc::EOPNOTSUPP))
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
            let (deadline, is_idle, is_down) = {
                let core = shared.lock();
                let is_down = core.sides.iter().any(|side| side.is_down);
                (core.next_deadline(), core.is_idle(), is_down)
            };
            if self.wait(&mut events, deadline, is_idle, is_down).is_err() {
                break;
            }
            let mut core = shared.lock_last();
            for event in events.iter() {
                if let Some(side) = core.sides.get_mut(event.token().0) {
                    side.is_readable = true;
                }
            }
            for side in &mut core.sides {
                side.is_readable |= side.is_down;
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
        is_down: bool,
    ) -> io::Result<()> {
        let timeout = match is_idle {
            true => self.timer.arm(self.clock.now(), deadline)?,
            false => Some(Duration::ZERO),
        };
        let timeout = timeout.or(is_down.then_some(DOWN_INTERVAL));
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

//! A network in virtual time: two links and a clock that jumps from event to event.
//!
//! For sans-IO endpoints in tests: an hour of traffic in the time it takes to compute it, and the
//! same decisions as the relay takes for the same packets. The caller owns the endpoints and
//! their timers; the simulator owns the time and what is on its way.

use std::collections::VecDeque;

use crate::link::{Link, LinkConfig};
use crate::log::{LOG_PACKETS_DEFAULT, write_log};
use crate::packet::{Direction, FlowOrdinal, Packet, PayloadMut};
use crate::random::Seed;
use crate::scenario::Scenario;
use crate::stats::LinkStats;
use crate::timeline::{Change, Timeline};
use crate::units::Nanos;
use crate::verdict::Verdict;

/// A packet that came out of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival<P> {
    /// When it came out.
    pub time: Nanos,
    /// Which way it travelled: `Up` arrives at the server, `Down` at the client.
    pub direction: Direction,
    /// The flow it belongs to.
    pub flow: FlowOrdinal,
    /// What was sent.
    pub payload: P,
}

/// Two links, up and down, in virtual time.
///
/// The loop of a test is: let both endpoints act at `sim.now()`, [`send`](Self::send) what they
/// emit, then [`advance`](Self::advance) to the earliest of their timers; each arrival is handed
/// to its endpoint, which may act again.
///
/// ```
/// use netem::{Direction, FlowOrdinal, LinkConfig, Nanos, Seed, Simulator};
///
/// // Stop and wait over a network that loses every third packet: send again after 100 ms.
/// let loss = "30%".parse()?;
/// let lossy = LinkConfig { loss, delay: "20ms".parse()?, ..LinkConfig::default() };
/// let mut sim = Simulator::new(Seed(7), lossy.clone(), lossy);
/// let flow = FlowOrdinal(0);
/// for number in 0u8..10 {
///     let mut acknowledged = false;
///     while !acknowledged {
///         sim.send(Direction::Up, flow, [number]);
///         let timer = sim.now() + Nanos::from_millis(100);
///         while let Some(arrival) = sim.advance(timer) {
///             match arrival.direction {
///                 Direction::Up => _ = sim.send(Direction::Down, flow, arrival.payload),
///                 Direction::Down => acknowledged |= arrival.payload == [number],
///             }
///         }
///     }
/// }
/// assert!(sim.stats(Direction::Up).received > 10, "some were sent again");
/// # Ok::<(), netem::UnitError>(())
/// ```
#[derive(Debug)]
pub struct Simulator<P> {
    now: Nanos,
    up: Link<P>,
    down: Link<P>,
    timeline: Timeline,
    rebinds: VecDeque<(Nanos, Option<FlowOrdinal>)>,
}

impl<P: Clone> Simulator<P> {
    /// A network without traffic at time zero. It keeps the decision log of each direction.
    pub fn new(seed: Seed, up: LinkConfig, down: LinkConfig) -> Self {
        let link = |direction, config| Link::new(direction, config, seed);
        Self {
            now: Nanos::ZERO,
            up: link(Direction::Up, up).with_log(LOG_PACKETS_DEFAULT),
            down: link(Direction::Down, down).with_log(LOG_PACKETS_DEFAULT),
            timeline: Timeline::default(),
            rebinds: VecDeque::new(),
        }
    }

    /// The network of a scenario. `seed` is for a scenario that says none.
    pub fn of_scenario(scenario: &Scenario, seed: Seed) -> Self {
        let seed = scenario.seed.unwrap_or(seed);
        let (up, down) = (scenario.up.clone(), scenario.down.clone());
        Self::new(seed, up, down).with_timeline(scenario.timeline.clone())
    }

    /// The same network, changing as `timeline` says when [`advance`](Self::advance) comes to it.
    #[must_use]
    pub fn with_timeline(mut self, timeline: Timeline) -> Self {
        self.timeline = timeline;
        self
    }

    /// The next rebinding that the timeline has come to: from when on the server sees this flow,
    /// or every one, come from another port. The endpoints are the caller's, so the caller does it.
    pub fn poll_rebind(&mut self) -> Option<(Nanos, Option<FlowOrdinal>)> {
        self.rebinds.pop_front()
    }

    /// The same network with logs of at most `packets_max` packets a direction; 0 for none.
    #[must_use]
    pub fn with_log(mut self, packets_max: usize) -> Self {
        self.up = self.up.with_log(packets_max);
        self.down = self.down.with_log(packets_max);
        self
    }

    /// The same network, which also looks at payloads and changes them, see
    /// [`Link::with_bytes`].
    #[must_use]
    pub fn with_bytes(mut self) -> Self
    where
        P: PayloadMut,
    {
        self.up = self.up.with_bytes();
        self.down = self.down.with_bytes();
        self
    }

    /// The virtual time.
    pub const fn now(&self) -> Nanos {
        self.now
    }

    /// The seed of all draws.
    pub const fn seed(&self) -> Seed {
        self.up.seed()
    }

    /// Sends bytes now.
    pub fn send(&mut self, direction: Direction, flow: FlowOrdinal, payload: P) -> Verdict
    where
        P: AsRef<[u8]>,
    {
        let size_bytes = u32::try_from(payload.as_ref().len()).unwrap_or(u32::MAX);
        self.send_sized(direction, flow, size_bytes, payload)
    }

    /// Sends anything now, counted as `size_bytes` bytes.
    pub fn send_sized(
        &mut self,
        direction: Direction,
        flow: FlowOrdinal,
        size_bytes: u32,
        payload: P,
    ) -> Verdict {
        let now = self.now;
        self.link_mut(direction).input(now, Packet { flow, size_bytes, payload })
    }

    /// When the next packet arrives, if one is on its way.
    pub fn next_deadline(&self) -> Option<Nanos> {
        match (self.up.next_deadline(), self.down.next_deadline()) {
            (Some(up), Some(down)) => Some(up.min(down)),
            (time, None) | (None, time) => time,
        }
    }

    /// Moves the time to the next arrival and returns it; or, when nothing arrives up to and
    /// including `until`, moves the time to `until`. At the same instant `up` arrives first.
    pub fn advance(&mut self, until: Nanos) -> Option<Arrival<P>> {
        // At a deadline a wire may become free without anything arriving.
        loop {
            let arrives = self.next_deadline().filter(|&time| time <= until);
            let changes = self.timeline.next_deadline().filter(|&time| time <= until);
            match (arrives, changes) {
                (arrives, Some(at)) if arrives.is_none_or(|time| at <= time) => self.change(at),
                (Some(time), _) => {
                    self.now = self.now.max(time);
                    if let Some(arrival) = self.poll() {
                        return Some(arrival);
                    }
                }
                (None, _) => break,
            }
        }
        self.now = self.now.max(until);
        None
    }

    /// Does what the timeline says next, at `at`.
    fn change(&mut self, at: Nanos) {
        self.now = self.now.max(at);
        match self.timeline.poll(at) {
            Some(Change::Configure(direction, config)) => {
                self.link_mut(direction).set_config(*config);
            }
            Some(Change::Rebind(flow)) => self.rebinds.push_back((at, flow)),
            None => {}
        }
    }

    /// The next packet that arrives now, without moving the time.
    pub fn poll(&mut self) -> Option<Arrival<P>> {
        let now = self.now;
        Direction::BOTH.into_iter().find_map(|direction| {
            let Packet { flow, payload, .. } = self.link_mut(direction).poll(now)?;
            Some(Arrival { time: now, direction, flow, payload })
        })
    }

    /// The counters of one direction.
    pub const fn stats(&self, direction: Direction) -> &LinkStats {
        self.link(direction).stats()
    }

    /// One direction, to look at.
    pub const fn link(&self, direction: Direction) -> &Link<P> {
        match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        }
    }

    /// One direction, to change its configuration while traffic runs.
    pub const fn link_mut(&mut self, direction: Direction) -> &mut Link<P> {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }

    /// The decision log of both directions as text, see [`crate::log`].
    pub fn log_text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = write_log(&mut text, self.seed(), self.up.log(), self.down.log());
        text
    }
}

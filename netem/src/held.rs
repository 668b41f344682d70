//! Packets held back by `reorder`, until enough later ones have passed or their time is up.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::packet::Packet;
use crate::queue::Due;

/// Beyond this many outdated timers (and more than live ones) the heap is swept.
const STALE_TIMERS_MAX: usize = 64;

/// One packet held back.
#[derive(Debug)]
pub(crate) struct Waiting<P> {
    pub(crate) packet: Packet<P>,
    /// How many packets must still pass; at zero it leaves by its timer.
    pub(crate) remaining: u32,
    /// When it leaves at the latest.
    pub(crate) flush: Due,
}

/// All packets a link holds back, and their timers.
#[derive(Debug)]
pub(crate) struct Held<P> {
    places: Vec<Option<Waiting<P>>>,
    free: Vec<u32>,
    timers: BinaryHeap<Reverse<(Due, u32)>>,
}

impl<P> Held<P> {
    pub(crate) fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new(), timers: BinaryHeap::new() }
    }

    /// Holds `waiting` back and returns its place.
    pub(crate) fn insert(&mut self, waiting: Waiting<P>) -> u32 {
        let flush = waiting.flush;
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            (self.places.len() - 1) as u32
        });
        self.places[place as usize] = Some(waiting);
        self.timers.push(Reverse((flush, place)));
        place
    }

    /// The packet at `place`.
    pub(crate) fn get_mut(&mut self, place: u32) -> Option<&mut Waiting<P>> {
        self.places.get_mut(place as usize)?.as_mut()
    }

    /// Takes the packet at `place`.
    pub(crate) fn take(&mut self, place: u32) -> Option<Packet<P>> {
        let waiting = self.places.get_mut(place as usize)?.take()?;
        self.free.push(place);
        self.sweep();
        Some(waiting.packet)
    }

    /// The next time-out and the place of its packet.
    #[inline]
    pub(crate) fn first_flush(&self) -> Option<(Due, u32)> {
        self.timers.peek().map(|timer| timer.0)
    }

    /// Drops outdated timers: always those at the top, so that `first_flush` is a live one, and
    /// all of them when they outnumber the live ones.
    fn sweep(&mut self) {
        let places = &self.places;
        let live = |&Reverse((due, place)): &Reverse<(Due, u32)>| {
            places[place as usize].as_ref().is_some_and(|waiting| waiting.flush == due)
        };
        if self.timers.len() > 2 * (places.len() - self.free.len()) + STALE_TIMERS_MAX {
            self.timers.retain(live);
        }
        while self.timers.peek().is_some_and(|timer| !live(timer)) {
            self.timers.pop();
        }
    }
}

//! The clients of a relay: found by address, numbered by first arrival, forgotten when silent.
//!
//! Rule of this file: it opens no socket and decides nothing about datagrams.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use mio::net::UdpSocket;

use super::batch::Route;
use crate::packet::FlowOrdinal;
use crate::units::Nanos;

#[derive(Debug)]
pub(super) struct Client {
    pub(super) address: SocketAddr,
    /// The address of this machine that it sent to, on a listener that has several.
    pub(super) local: Option<IpAddr>,
    pub(super) flow: FlowOrdinal,
    /// Connected to the upstream.
    pub(super) socket: UdpSocket,
    pub(super) last_active: Nanos,
    /// Datagrams of either direction that are in the links.
    pub(super) on_their_way: u64,
    /// Datagrams sent upstream that were not refused, and the size of the last.
    pub(super) sent: u64,
    pub(super) sent_bytes: u32,
    /// Datagrams that its socket has dropped, as far as they are counted.
    pub(super) overruns: u32,
}

impl Client {
    pub(super) const fn new(address: SocketAddr, flow: FlowOrdinal, socket: UdpSocket) -> Self {
        Self {
            address,
            local: None,
            flow,
            socket,
            last_active: Nanos::ZERO,
            on_their_way: 0,
            sent: 0,
            sent_bytes: 0,
            overruns: 0,
        }
    }

    /// The way from the listener to this client.
    pub(super) fn route(&self) -> Route {
        Route::to(self.address, self.local)
    }

    fn is_silent(&self, now: Nanos, idle: Nanos) -> bool {
        self.on_their_way == 0 && now - self.last_active >= idle
    }
}

/// The clients by place; places are used again.
#[derive(Debug, Default)]
pub(super) struct Clients {
    slots: Vec<Option<Client>>,
    free: Vec<usize>,
    places: HashMap<SocketAddr, usize>,
    /// Who was found last: most often the next one, too.
    last: Option<(SocketAddr, usize)>,
    /// How many there have ever been, which is the next one's ordinal.
    pub(super) total: u32,
}

impl Clients {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn get(&self, place: usize) -> Option<&Client> {
        self.slots.get(place)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut Client> {
        self.slots.get_mut(place)?.as_mut()
    }

    /// Every place that may have a client.
    pub(super) fn places(&self) -> std::ops::Range<usize> {
        0..self.slots.len()
    }

    pub(super) fn find(&mut self, address: SocketAddr) -> Option<usize> {
        match self.last {
            Some((last, place)) if last == address => Some(place),
            _ => {
                let place = *self.places.get(&address)?;
                self.last = Some((address, place));
                Some(place)
            }
        }
    }

    /// Where the next new client will be.
    pub(super) fn next_place(&self) -> usize {
        self.free.last().copied().unwrap_or(self.slots.len())
    }

    /// Enters a client at [`Self::next_place`].
    pub(super) fn enter(&mut self, address: SocketAddr, socket: UdpSocket) -> usize {
        let client = Client::new(address, FlowOrdinal(self.total), socket);
        self.total += 1;
        let place = self.next_place();
        match self.free.pop() {
            Some(place) => self.slots[place] = Some(client),
            None => self.slots.push(Some(client)),
        }
        self.places.insert(address, place);
        place
    }

    /// Takes out the client at `place` if it has been silent for `idle`.
    pub(super) fn take_silent(&mut self, place: usize, now: Nanos, idle: Nanos) -> Option<Client> {
        let client = self.slots[place].take_if(|client| client.is_silent(now, idle))?;
        self.places.remove(&client.address);
        self.last = None;
        self.free.push(place);
        Some(client)
    }

    /// Takes out all of them.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Client> + use<> {
        self.places.clear();
        self.free.clear();
        self.last = None;
        std::mem::take(&mut self.slots).into_iter().flatten()
    }
}

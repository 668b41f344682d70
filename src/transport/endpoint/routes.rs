//! The table of connections and the ids and addresses that lead to them.

use crate::transport::cids::Routing;
use crate::transport::connection::Connection;
use crate::transport::time::Time;
use crate::wire::transport::ConnectionId;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Names a connection of an endpoint; never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle {
    index: u32,
    generation: u32,
}

impl Handle {
    /// The handle as a number, for those that cannot hold it as it is.
    pub fn number(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    entry: Option<Entry>,
}

#[derive(Debug)]
struct Entry {
    connection: Box<Connection>,
    timer: Option<Time>,
    /// Server: what identifies a repeated INIT.
    initial: Option<(SocketAddr, ConnectionId)>,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    routes: BTreeMap<ConnectionId, Handle>,
    /// What a stateless reset of a connection would end with (RFC 9000 §10.3).
    tokens: BTreeMap<[u8; 16], Handle>,
    initials: BTreeMap<(SocketAddr, ConnectionId), Handle>,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn connections(&self) -> impl Iterator<Item = &Connection> {
        self.slots.iter().filter_map(|slot| Some(&*slot.entry.as_ref()?.connection))
    }

    pub(super) fn insert(
        &mut self,
        connection: Connection,
        initial: Option<(SocketAddr, ConnectionId)>,
    ) -> Handle {
        let entry = Some(Entry { connection: Box::new(connection), timer: None, initial });
        let handle = if let Some(index) = self.free.pop() {
            let slot = &mut self.slots[index as usize];
            slot.generation += 1;
            slot.entry = entry;
            Handle { index, generation: slot.generation }
        } else {
            self.slots.push(Slot { generation: 0, entry });
            Handle { index: self.slots.len() as u32 - 1, generation: 0 }
        };
        let ids: Vec<_> = self.get(handle).map(|c| c.local_ids().collect()).unwrap_or_default();
        for id in ids {
            self.routes.insert(id, handle);
        }
        if let Some(initial) = initial {
            self.initials.insert(initial, handle);
        }
        handle
    }

    fn entry(&self, handle: Handle) -> Option<&Entry> {
        let slot = self.slots.get(handle.index as usize)?;
        slot.entry.as_ref().filter(|_| slot.generation == handle.generation)
    }

    fn entry_mut(&mut self, handle: Handle) -> Option<&mut Entry> {
        let slot = self.slots.get_mut(handle.index as usize)?;
        let generation = slot.generation;
        slot.entry.as_mut().filter(|_| generation == handle.generation)
    }

    pub(super) fn get(&self, handle: Handle) -> Option<&Connection> {
        self.entry(handle).map(|entry| &*entry.connection)
    }

    pub(super) fn get_mut(&mut self, handle: Handle) -> Option<&mut Connection> {
        self.entry_mut(handle).map(|entry| &mut *entry.connection)
    }

    pub(super) fn timer(&self, handle: Handle) -> Option<Time> {
        self.entry(handle)?.timer
    }

    pub(super) fn set_timer(&mut self, handle: Handle, at: Option<Time>) {
        if let Some(entry) = self.entry_mut(handle) {
            entry.timer = at;
        }
    }

    pub(super) fn route(&self, id: ConnectionId) -> Option<Handle> {
        self.routes.get(&id).copied()
    }

    /// The connection that this datagram would reset.
    pub(super) fn reset_route(&self, datagram: &[u8]) -> Option<Handle> {
        self.tokens.get(datagram.last_chunk::<16>()?).copied()
    }

    pub(super) fn is_free(&self, id: ConnectionId) -> bool {
        !self.routes.contains_key(&id)
    }

    pub(super) fn initial(&self, from: SocketAddr, client: ConnectionId) -> Option<Handle> {
        self.initials.get(&(from, client)).copied()
    }

    pub(super) fn apply(&mut self, handle: Handle, routing: Routing) {
        match routing {
            Routing::Add(id) => {
                self.routes.entry(id).or_insert(handle);
            }
            Routing::Remove(id) => {
                if self.route(id) == Some(handle) {
                    self.routes.remove(&id);
                }
            }
            Routing::AddToken(token) => {
                self.tokens.entry(token).or_insert(handle);
            }
            Routing::RemoveToken(token) => {
                if self.tokens.get(&token) == Some(&handle) {
                    self.tokens.remove(&token);
                }
            }
        }
    }

    /// Nothing leads to this connection any more.
    pub(super) fn unroute(&mut self, handle: Handle) {
        let Some(entry) = self.entry_mut(handle) else { return };
        let initial = entry.initial.take();
        let ids = entry.connection.local_ids().map(Routing::Remove);
        let tokens = entry.connection.reset_tokens().map(Routing::RemoveToken);
        let gone: Vec<_> = ids.chain(tokens).collect();
        for routing in gone {
            self.apply(handle, routing);
        }
        if let Some(initial) = initial {
            self.initials.remove(&initial);
        }
    }

    pub(super) fn remove(&mut self, handle: Handle) {
        if self.entry(handle).is_none() {
            return;
        }
        self.unroute(handle);
        self.slots[handle.index as usize].entry = None;
        self.free.push(handle.index);
    }
}

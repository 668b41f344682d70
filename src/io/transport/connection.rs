//! A connection as the application holds it: every call may come from any thread.

use super::endpoint::Owner;
use super::shared::{State, Watch};
use crate::transport::{
    CloseReason, DropReason, Handle, Message, Mode, Outcome, Receipt, SendError, SendOptions, Stats,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Nothing more will come.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RecvError(pub CloseReason);

/// A connection. Dropping it closes it in order, in the background.
#[derive(Debug)]
pub struct Connection {
    owner: Arc<Owner>,
    handle: Handle,
    watch: Arc<Watch>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.owner.shared.is_copy() {
            return;
        }
        // Marked first: whatever happens next to the connection makes the thread look at it.
        if let Some(entry) = self.owner.shared.lock().entries.get_mut(&self.handle) {
            entry.is_abandoned = true;
        }
        self.start_close();
    }
}

impl Connection {
    pub(super) fn new(owner: Arc<Owner>, handle: Handle, watch: Arc<Watch>) -> Self {
        Self { owner, handle, watch }
    }

    /// The process it belongs to: a copy that `fork` makes must not be used.
    pub fn process(&self) -> u32 {
        self.owner.shared.process
    }

    /// Calls `look` until it finds something or `timeout` is over; in between it waits for a
    /// change of the connection.
    fn wait_for<T>(
        &self,
        timeout: Duration,
        mut look: impl FnMut(&mut State) -> Option<T>,
    ) -> Option<T> {
        let shared = &self.owner.shared;
        let deadline = Instant::now() + timeout;
        let mut state = shared.lock();
        loop {
            if let Some(found) = look(&mut state) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            state = shared.wait(&self.watch.changed, state, left);
        }
    }

    fn closed(state: &State, handle: Handle) -> Option<CloseReason> {
        let known = state.entries.get(&handle).and_then(|entry| entry.closed.clone());
        known.or_else(|| state.is_over.then_some(CloseReason::Local))
    }

    /// Waits until the handshake is complete or has failed; `None` when `timeout` is over first.
    pub fn wait_connected(&self, timeout: Duration) -> Option<Result<(), CloseReason>> {
        self.wait_for(timeout, |state| {
            let entry = state.entries.get(&self.handle)?;
            if entry.is_connected {
                return Some(Ok(()));
            }
            Self::closed(state, self.handle).map(Err)
        })
    }

    /// Takes a message to be sent.
    ///
    /// # Errors
    /// [`SendError::Full`]: see [`wait_room`](Self::wait_room); others are final.
    pub fn send(&self, data: Vec<u8>, options: SendOptions) -> Result<Receipt, SendError> {
        let shared = &self.owner.shared;
        let now = shared.now();
        let mut state = shared.lock();
        if state.is_over {
            return Err(SendError::Closed);
        }
        let connection = state.machine.connection_mut(self.handle).ok_or(SendError::Closed)?;
        let receipt = connection.send(now, data, options);
        shared.wake(&mut state);
        receipt
    }

    /// Takes as many messages as fit, in order, under one lock; the rest stays in `messages`.
    ///
    /// # Errors
    /// [`SendError::Full`] if not even the first was taken; as [`send`](Self::send) for one that
    /// never will be, those before it are sent.
    pub fn send_many(
        &self,
        messages: &mut std::collections::VecDeque<Vec<u8>>,
        options: SendOptions,
    ) -> Result<Vec<Receipt>, SendError> {
        let shared = &self.owner.shared;
        let now = shared.now();
        let mut state = shared.lock();
        if state.is_over {
            return Err(SendError::Closed);
        }
        let connection = state.machine.connection_mut(self.handle).ok_or(SendError::Closed)?;
        let mut receipts = Vec::with_capacity(messages.len());
        while let Some(next) = messages.front_mut() {
            if !connection.has_room(next.len()) {
                break;
            }
            match connection.send(now, std::mem::take(next), options) {
                Ok(receipt) => receipts.push(receipt),
                Err(error) => {
                    // Those before it are to go out now, not when something else happens.
                    shared.wake(&mut state);
                    return Err(error);
                }
            }
            messages.pop_front();
        }
        shared.wake(&mut state);
        if receipts.is_empty() && !messages.is_empty() {
            return Err(SendError::Full);
        }
        Ok(receipts)
    }

    /// Waits until a message of this length would be taken, or the connection is over; false
    /// when `timeout` is over first.
    pub fn wait_room(&self, len: usize, timeout: Duration) -> bool {
        let found = self.wait_for(timeout, |state| {
            let over = Self::closed(state, self.handle).is_some();
            let room = state.machine.connection(self.handle).is_none_or(|c| c.has_room(len));
            (over || room).then_some(())
        });
        found.is_some()
    }

    /// The next message; `Ok(None)` when none came in time.
    ///
    /// # Errors
    /// The connection is over and every message was taken.
    pub fn recv(
        &self,
        channel: Option<u32>,
        timeout: Duration,
    ) -> Result<Option<Message>, RecvError> {
        let mut first = Vec::new();
        self.recv_many(1, channel, timeout, &mut first)?;
        Ok(first.pop())
    }

    /// Appends up to `count` messages to `out`: waits for the first, takes what is there.
    ///
    /// # Errors
    /// The connection is over and every message was taken.
    pub fn recv_many(
        &self,
        count: usize,
        channel: Option<u32>,
        timeout: Duration,
        out: &mut Vec<Message>,
    ) -> Result<(), RecvError> {
        let shared = &self.owner.shared;
        let found = self.wait_for(timeout, |state| {
            let now = shared.now();
            let before = out.len();
            if let Some(connection) = state.machine.connection_mut(self.handle) {
                while out.len() - before < count {
                    let Some(message) = connection.recv(now, channel) else { break };
                    out.push(message);
                }
            }
            if out.len() > before {
                // Taking messages may free credit that the peer waits for.
                shared.wake(state);
                return Some(Ok(()));
            }
            Self::closed(state, self.handle).map(|reason| Err(RecvError(reason)))
        });
        found.unwrap_or(Ok(()))
    }

    /// Waits until the fate of a message is known; [`Outcome::Pending`] when `timeout` is over
    /// first.
    pub fn wait_outcome(&self, receipt: Receipt, timeout: Duration) -> Outcome {
        let known = self.wait_for(timeout, |state| {
            let connection = state.machine.connection(self.handle)?;
            let known = connection.outcome(receipt);
            let over = state.is_over.then_some(Outcome::Lost);
            Some(known).filter(|outcome| *outcome != Outcome::Pending).or(over)
        });
        known.unwrap_or(Outcome::Pending)
    }

    /// Fixes how a channel delivers what this side sends on it.
    ///
    /// # Errors
    /// The number is too high, or the channel has another mode.
    pub fn open_channel(&self, channel: u32, mode: Mode) -> Result<(), SendError> {
        let mut state = self.owner.shared.lock();
        let connection = state.machine.connection_mut(self.handle).ok_or(SendError::Closed)?;
        connection.open_channel(channel, mode)
    }

    /// From now on this channel's messages are received only by asking for it.
    pub fn claim_channel(&self, channel: u32) {
        if let Some(connection) = self.owner.shared.lock().machine.connection_mut(self.handle) {
            connection.claim_channel(channel);
        }
    }

    /// Begins to close: what was accepted is delivered first.
    pub fn start_close(&self) {
        let shared = &self.owner.shared;
        let now = shared.now();
        let mut state = shared.lock();
        if let Some(connection) = state.machine.connection_mut(self.handle) {
            connection.close(now);
        }
        shared.wake(&mut state);
    }

    /// Waits until the connection is over; `None` when `timeout` is over first.
    pub fn wait_closed(&self, timeout: Duration) -> Option<CloseReason> {
        self.wait_for(timeout, |state| Self::closed(state, self.handle))
    }

    /// Closes at once: what is not acknowledged is lost.
    pub fn abort(&self) {
        let shared = &self.owner.shared;
        let now = shared.now();
        let mut state = shared.lock();
        if let Some(connection) = state.machine.connection_mut(self.handle) {
            connection.abort(now);
        }
        shared.wake(&mut state);
    }

    /// Why the connection ended, once it has.
    pub fn close_reason(&self) -> Option<CloseReason> {
        Self::closed(&self.owner.shared.lock(), self.handle)
    }

    /// Counters and the present state of the path.
    pub fn stats(&self) -> Stats {
        let state = self.owner.shared.lock();
        state.machine.connection(self.handle).map(|c| c.stats()).unwrap_or_default()
    }

    /// The connection as [`Notifier`](super::Notifier) names it.
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// Arriving packets that were dropped, by reason.
    pub fn dropped(&self) -> Vec<(DropReason, u64)> {
        let state = self.owner.shared.lock();
        state.machine.connection(self.handle).map(|c| c.dropped().collect()).unwrap_or_default()
    }

    /// The peer's address.
    pub fn remote(&self) -> Option<SocketAddr> {
        self.owner.shared.lock().machine.connection(self.handle).map(|c| c.remote())
    }
}

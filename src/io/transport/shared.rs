//! What the endpoint's thread and the application's threads share, under one lock.

use super::notifier::Subscriber;
use super::qlog::Traced;
use crate::io::wake::Waker;
use crate::transport::{CloseReason, ConnectionEvent, Endpoint as Machine, Handle, Time};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Connections that wait to be accepted; each may hold a window of messages.
const BACKLOG_MAX: usize = 1_024;

/// What callers of one connection wait on.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Something about the connection changed.
    pub(super) changed: Condvar,
}

/// A connection as the driver knows it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) watch: Arc<Watch>,
    pub(super) is_connected: bool,
    pub(super) closed: Option<CloseReason>,
    /// Nobody holds it any more: forget it once it is over.
    pub(super) is_abandoned: bool,
    /// How many messages had come and how many receipts were settled at the last look.
    seen: (u64, u64),
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) machine: Machine,
    pub(super) entries: BTreeMap<Handle, Entry>,
    /// Connections of others that nobody has accepted yet.
    pub(super) incoming: VecDeque<Handle>,
    /// The endpoint takes no more connections, and its thread ends with the last one.
    pub(super) is_closing: bool,
    /// The thread has ended; nothing changes any more.
    pub(super) is_over: bool,
    /// The thread waits or is about to: whoever gives it work must wake it.
    pub(super) is_asleep: bool,
    /// An event loop that wants to know of changes.
    pub(super) subscriber: Subscriber,
    /// What was recorded and is not written yet, if it is to be.
    pub(super) traces: Option<Vec<Traced>>,
}

#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// A connection came in, or the endpoint closed.
    pub(super) accepted: Condvar,
    waker: Waker,
    start: Instant,
    /// The process whose thread serves it.
    pub(super) process: u32,
}

impl Shared {
    pub(super) fn new(machine: Machine, waker: Waker) -> Self {
        Self {
            state: Mutex::new(State {
                machine,
                entries: BTreeMap::new(),
                incoming: VecDeque::new(),
                is_closing: false,
                is_over: false,
                is_asleep: false,
                subscriber: Subscriber::default(),
                traces: None,
            }),
            accepted: Condvar::new(),
            waker,
            start: Instant::now(),
            process: std::process::id(),
        }
    }

    /// Whether this is a copy that `fork` made: nothing serves it, and whoever held the lock
    /// then never gives it back.
    pub(super) fn is_copy(&self) -> bool {
        self.process != std::process::id()
    }

    pub(super) fn now(&self) -> Time {
        Time(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock is a bug elsewhere; the state stays usable for closing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the thread's sleep, if it sleeps.
    pub(super) fn wake(&self, state: &mut State) {
        if std::mem::take(&mut state.is_asleep) {
            self.waker.wake();
        }
    }

    /// Waits on `condvar` for at most `timeout`.
    pub(super) fn wait<'a>(
        &self,
        condvar: &Condvar,
        state: MutexGuard<'a, State>,
        timeout: Duration,
    ) -> MutexGuard<'a, State> {
        condvar.wait_timeout(state, timeout).unwrap_or_else(PoisonError::into_inner).0
    }
}

impl State {
    /// Notes a connection the driver shall know.
    pub(super) fn watch(&mut self, handle: Handle) -> Arc<Watch> {
        let entry = self.entries.entry(handle).or_insert_with(|| Entry {
            watch: Arc::default(),
            is_connected: false,
            closed: None,
            is_abandoned: false,
            seen: (0, 0),
        });
        Arc::clone(&entry.watch)
    }

    /// Digests the machine's events. Returns whether connections came in, and whether some came
    /// too late and are to be told so.
    pub(super) fn collect_events(&mut self, now: Time) -> (bool, bool) {
        let (mut has_incoming, mut has_late) = (false, false);
        while let Some((handle, event)) = self.machine.poll_event() {
            let is_new = !self.entries.contains_key(&handle);
            self.watch(handle);
            let Some(entry) = self.entries.get_mut(&handle) else { continue };
            match event {
                ConnectionEvent::Connected => {
                    entry.is_connected = true;
                    let has_room = self.incoming.len() < BACKLOG_MAX && !self.is_closing;
                    if is_new && !has_room {
                        // Nobody will accept it soon, and the peer must not believe so.
                        has_late = true;
                        self.machine.refuse(now, handle);
                        entry.is_abandoned = true;
                    } else if is_new {
                        self.incoming.push_back(handle);
                        has_incoming = true;
                        self.subscriber.tell(None);
                    }
                }
                ConnectionEvent::Closed(reason) => entry.closed = Some(reason),
            }
            entry.watch.changed.notify_all();
            self.subscriber.tell(Some(handle));
        }
        (has_incoming, has_late)
    }

    /// Wakes those who wait for a message or a receipt of a connection in which one came.
    pub(super) fn notify(&mut self) {
        while let Some(handle) = self.machine.poll_changed() {
            let Some(entry) = self.entries.get_mut(&handle) else { continue };
            let Some(connection) = self.machine.connection(handle) else { continue };
            let is_gone = entry.is_abandoned && connection.is_gone();
            let now = (connection.messages_arrived(), connection.outcomes_known());
            if now != entry.seen {
                entry.seen = now;
                entry.watch.changed.notify_all();
                self.subscriber.tell(Some(handle));
            }
            if let Some(traces) = &mut self.traces {
                traces.extend(Traced::take(&mut self.machine, handle));
            }
            if is_gone {
                self.entries.remove(&handle);
                self.machine.forget(handle);
            }
        }
    }
}

//! The relay's event loop, on its own thread.
//!
//! Events are edges: a socket that became readable stays on the `ready` list until it has been
//! read empty. Each turn reads one bounded batch from each ready socket, so no client starves
//! another, and what is due leaves between batches.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token, Waker};

use super::batch::{Inbox, Outbox};
use super::core::Core;
use crate::clock::{Shared, Timer};
use crate::units::Nanos;

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);
const TIMER: Token = Token(usize::MAX - 2);

const EVENTS_MAX: usize = 1024;
/// Sockets read before what is due leaves: what comes together leaves together.
const READS_MAX: usize = 64;

pub(super) struct Engine {
    poll: Poll,
    timer: Timer,
    shared: Arc<Shared<Core>>,
    ready: VecDeque<Token>,
    /// Which tokens are on the ready list: clients by place, the listener last.
    is_ready: ReadyFlags,
}

impl Engine {
    pub(super) fn new(poll: Poll, shared: Arc<Shared<Core>>) -> io::Result<(Self, Waker)> {
        let registry = poll.registry();
        if let Some(listener) = &mut shared.lock().listener {
            registry.register(listener, LISTENER, Interest::READABLE)?;
        }
        let waker = Waker::new(registry, WAKER)?;
        let timer = Timer::new(registry, TIMER)?;
        let (ready, is_ready) = (VecDeque::new(), ReadyFlags::default());
        Ok((Self { poll, timer, shared, ready, is_ready }, waker))
    }

    /// Works until the handle is closed.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let (mut inbox, mut outbox) = (Inbox::new(), Outbox::new());
        let shared = Arc::clone(&self.shared);
        while !shared.is_closing() {
            let (deadline, now) = {
                let core = shared.lock();
                (core.next_deadline(), core.clock.now())
            };
            if self.wait(&mut events, now, deadline).is_err() {
                break;
            }
            let mut core = shared.lock_last();
            let now = core.clock.now();
            core.release(now, &mut outbox);
            self.read(&mut core, &mut inbox, &mut outbox);
            let now = core.clock.now();
            core.sweep(now);
        }
        shared.close();
        shared.lock().shut_down();
    }

    /// Reads one batch from each ready socket.
    fn read(&mut self, core: &mut Core, inbox: &mut Inbox, outbox: &mut Outbox) {
        for turn in 1..=self.ready.len() {
            let Some(token) = self.ready.pop_front() else { break };
            let is_empty = match token {
                LISTENER => core.read_listener(inbox),
                Token(place) => core.read_upstream(place, inbox),
            };
            if is_empty {
                *self.is_ready.of(token) = false;
            } else {
                self.ready.push_back(token);
            }
            if turn % READS_MAX == 0 {
                let now = core.clock.now();
                core.release(now, outbox);
            }
        }
        let now = core.clock.now();
        core.release(now, outbox);
    }

    /// Waits for the next event, and moves the sockets that became readable to the ready list.
    fn wait(&mut self, events: &mut Events, now: Nanos, deadline: Option<Nanos>) -> io::Result<()> {
        let timeout = if self.ready.is_empty() {
            self.timer.arm(now, deadline)?
        } else {
            Some(Duration::ZERO)
        };
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        for event in events.iter() {
            match event.token() {
                TIMER => self.timer.clear(),
                WAKER => {}
                token if *self.is_ready.of(token) => {}
                token => {
                    *self.is_ready.of(token) = true;
                    self.ready.push_back(token);
                }
            }
        }
        Ok(())
    }
}

/// One flag a socket.
#[derive(Debug, Default)]
struct ReadyFlags {
    listener: bool,
    clients: Vec<bool>,
}

impl ReadyFlags {
    fn of(&mut self, token: Token) -> &mut bool {
        if token == LISTENER {
            return &mut self.listener;
        }
        if self.clients.len() <= token.0 {
            self.clients.resize(token.0 + 1, false);
        }
        &mut self.clients[token.0]
    }
}

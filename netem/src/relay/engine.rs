//! The relay's event loop, on its own thread.
//!
//! Events are edges: a socket that became readable stays on the `ready` list until it has been
//! read empty. Each turn reads a bounded batch from each ready socket, so no client starves
//! another, and what is due leaves between batches.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};

use super::clients::Core;
use crate::clock::{Clock, Shared, Timer};

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);
const TIMER: Token = Token(usize::MAX - 2);

/// Datagrams read from one socket in one turn.
const BATCH: usize = 32;
const EVENTS_MAX: usize = 1024;
/// The largest UDP datagram is shorter.
const DATAGRAM_BYTES_MAX: usize = 1 << 16;

pub(super) struct Engine {
    poll: Poll,
    timer: Timer,
    clock: Clock,
    listener: UdpSocket,
    shared: Arc<Shared<Core>>,
    ready: VecDeque<Token>,
    /// Which tokens are on the ready list: clients by place, the listener last.
    is_ready: ReadyFlags,
    buffer: Vec<u8>,
}

impl Engine {
    pub(super) fn new(
        mut listener: UdpSocket,
        shared: Arc<Shared<Core>>,
    ) -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        let registry = poll.registry();
        registry.register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = Waker::new(registry, WAKER)?;
        let timer = Timer::new(registry, TIMER)?;
        let engine = Self {
            poll,
            timer,
            clock: Clock::start(),
            listener,
            shared,
            ready: VecDeque::new(),
            is_ready: ReadyFlags::default(),
            buffer: vec![0; DATAGRAM_BYTES_MAX],
        };
        Ok((engine, waker))
    }

    /// Works until the handle is closed.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let shared = Arc::clone(&self.shared);
        while !shared.is_closing() {
            let deadline = shared.lock().next_deadline();
            if self.wait(&mut events, deadline).is_err() {
                break;
            }
            let mut core = shared.lock_last();
            core.release(self.clock.now(), &self.listener);
            for _ in 0..self.ready.len() {
                let Some(token) = self.ready.pop_front() else { break };
                if self.read(&mut core, token) {
                    *self.is_ready.of(token) = false;
                } else {
                    self.ready.push_back(token);
                }
                core.release(self.clock.now(), &self.listener);
            }
            core.sweep(self.clock.now(), self.poll.registry());
        }
        shared.close();
        shared.lock().shut_down();
    }

    /// Waits for the next event, and moves the sockets that became readable to the ready list.
    fn wait(&mut self, events: &mut Events, deadline: Option<crate::Nanos>) -> io::Result<()> {
        let timeout = if self.ready.is_empty() {
            self.timer.arm(self.clock.now(), deadline)?
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

    /// Reads one batch from one socket; `true` when it is empty.
    fn read(&mut self, core: &mut Core, token: Token) -> bool {
        for _ in 0..BATCH {
            let now = self.clock.now();
            let received = match token {
                LISTENER => self.listener.recv_from(&mut self.buffer).map(|(size, address)| {
                    core.client_sent(now, address, &self.buffer[..size], self.poll.registry());
                }),
                Token(place) => core.receive(place, &mut self.buffer).map(|size| {
                    core.upstream_sent(now, place, &self.buffer[..size]);
                }),
            };
            match (received, token) {
                (Ok(()), _) => {}
                (Err(error), _) if error.kind() == io::ErrorKind::WouldBlock => return true,
                (Err(error), _) if error.kind() == io::ErrorKind::Interrupted => {}
                (Err(error), Token(place))
                    if token != LISTENER && error.kind() == io::ErrorKind::ConnectionRefused =>
                {
                    core.refused(place);
                }
                (Err(_), _) => core.count_receive_error(),
            }
        }
        false
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

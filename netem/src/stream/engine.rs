//! The event loop of a stream relay, on its own thread, and the state it works on.
//!
//! Events are edges: a connection keeps what its sockets can do until they no longer can.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token, Waker};

use super::connection::{Connection, State};
use super::memory::Memory;
use super::pipe::{Identity, Pipe};
use super::{StreamConfig, StreamShape, StreamStats};
use crate::clock::{Clock, Shared, Timer};
use crate::packet::{Direction, FlowOrdinal};
use crate::random::Seed;
use crate::stats::LinkStats;
use crate::units::Nanos;

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);
const TIMER: Token = Token(usize::MAX - 2);
const EVENTS_MAX: usize = 1024;
const READ_BYTES: usize = 1 << 16;
/// After the system had no descriptor for a new connection, the next look is so much later.
const ACCEPT_PAUSE: Nanos = Nanos::from_millis(20);

/// Everything the engine works on, and the handle looks at.
#[derive(Debug)]
pub(super) struct Core {
    clock: Clock,
    upstream: SocketAddr,
    seed: Seed,
    /// Up, down.
    pub(super) shapes: [StreamShape; 2],
    connections_max: usize,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    /// When each connection has something to do.
    deadlines: BTreeSet<(Nanos, usize)>,
    deadline_of: Vec<Option<Nanos>>,
    accept_at: Option<Nanos>,
    memory: Memory,
    /// Connections that wait for memory; some may have gone on since.
    starved: BTreeSet<usize>,
    links: [LinkStats; 2],
    stats: StreamStats,
    buffer: Vec<u8>,
}

impl Core {
    pub(super) fn new(config: StreamConfig, seed: Seed) -> Self {
        Self {
            clock: Clock::start(),
            upstream: config.upstream,
            seed,
            shapes: [config.up, config.down],
            connections_max: config.connections_max,
            connections: Vec::new(),
            free: Vec::new(),
            deadlines: BTreeSet::new(),
            deadline_of: Vec::new(),
            accept_at: None,
            memory: Memory::new(config.memory_bytes_max),
            starved: BTreeSet::new(),
            links: [LinkStats::default(); 2],
            stats: StreamStats::default(),
            buffer: vec![0; READ_BYTES],
        }
    }

    pub(super) fn stats(&self) -> StreamStats {
        let [up, down] = self.links;
        let connections = (self.connections.len() - self.free.len()) as u64;
        let (held_bytes, held_bytes_max) =
            (self.memory.held() as u64, self.memory.held_max() as u64);
        StreamStats { up, down, connections, held_bytes, held_bytes_max, ..self.stats }
    }

    fn next_deadline(&self) -> Option<Nanos> {
        self.deadlines.first().map(|&(time, _)| time).into_iter().chain(self.accept_at).min()
    }

    /// Takes in the connections that wait.
    fn accept(&mut self, listener: &TcpListener, registry: &Registry, work: &mut VecDeque<usize>) {
        self.accept_at = None;
        loop {
            match listener.accept() {
                Ok((client, _)) => {
                    if let Some(place) = self.open(client, registry) {
                        work.push_back(place);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(_) => {
                    // No descriptors: those that wait are taken when there are some again.
                    self.accept_at = Some(self.clock.now() + ACCEPT_PAUSE);
                    return;
                }
            }
        }
    }

    /// Connects a client to the upstream, or closes it.
    fn open(&mut self, mut client: TcpStream, registry: &Registry) -> Option<usize> {
        let place = self.free.last().copied().unwrap_or(self.connections.len());
        if place >= self.connections_max {
            self.stats.connections_refused += 1;
            return None;
        }
        let interest = Interest::READABLE | Interest::WRITABLE;
        let mut connect = || {
            let mut upstream = TcpStream::connect(self.upstream)?;
            registry.register(&mut client, Token(2 * place), interest)?;
            registry.register(&mut upstream, Token(2 * place + 1), interest)?;
            // What is due leaves at once.
            client.set_nodelay(true)?;
            upstream.set_nodelay(true)?;
            io::Result::Ok(upstream)
        };
        let Ok(upstream) = connect() else {
            self.stats.upstream_failures += 1;
            return None;
        };
        let flow = FlowOrdinal(self.stats.connections_total as u32);
        let seed = self.seed;
        let pipes = Direction::BOTH.map(|direction| Pipe::new(Identity { seed, direction, flow }));
        self.stats.connections_total += 1;
        let connection = Connection::new(client, upstream, pipes, self.clock.now());
        match self.free.pop() {
            Some(place) => self.connections[place] = Some(connection),
            None => {
                self.connections.push(Some(connection));
                self.deadline_of.push(None);
            }
        }
        Some(place)
    }

    fn note(&mut self, token: usize, readable: bool, writable: bool) -> Option<usize> {
        let place = token / 2;
        let connection = self.connections.get_mut(place)?.as_mut()?;
        connection.note(token % 2, readable, writable);
        Some(place)
    }

    /// Does what can be done for one connection; `true`: more can be done at once.
    fn work(&mut self, place: usize, registry: &Registry) -> bool {
        let now = self.clock.now();
        let Self { shapes: [up, down], connections, links, buffer, memory, .. } = self;
        let Some(connection) = connections.get_mut(place).and_then(Option::as_mut) else {
            return false;
        };
        let shapes = [&*up, &*down];
        let state = connection.work(now, shapes, links, (buffer, memory));
        let deadline = match state {
            State::Open(_) => connection.next_deadline(shapes, now),
            _ => None,
        };
        if connection.is_starved() {
            self.starved.insert(place);
        }
        self.set_deadline(place, deadline);
        match state {
            State::Open(has_more) => return has_more,
            State::Closed => {}
            State::Ended => self.stats.ended += 1,
            State::Reset => self.stats.resets += 1,
            State::Unreachable => self.stats.upstream_failures += 1,
        }
        self.remove(place, state, registry);
        false
    }

    fn set_deadline(&mut self, place: usize, deadline: Option<Nanos>) {
        let old = std::mem::replace(&mut self.deadline_of[place], deadline);
        if old == deadline {
            return;
        }
        if let Some(old) = old {
            self.deadlines.remove(&(old, place));
        }
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, place));
        }
    }

    fn remove(&mut self, place: usize, state: State, registry: &Registry) {
        let Some(mut connection) = self.connections[place].take() else { return };
        for side in 0..2 {
            // Closing removes it from the event queue in any case.
            let _ = registry.deregister(connection.socket(side));
        }
        connection.finish(state, &mut self.links, &mut self.memory);
        self.free.push(place);
    }

    /// Those that waited for memory, if there is some again.
    fn fed(&mut self, work: &mut VecDeque<usize>) {
        if self.memory.has_room() {
            work.extend(std::mem::take(&mut self.starved));
        }
    }

    /// The places whose time has come.
    fn due(&mut self, work: &mut VecDeque<usize>) {
        let now = self.clock.now();
        while let Some(&(time, place)) = self.deadlines.first()
            && time <= now
        {
            self.set_deadline(place, None);
            work.push_back(place);
        }
    }
}

pub(super) struct Engine {
    poll: Poll,
    timer: Timer,
    listener: TcpListener,
    shared: Arc<Shared<Core>>,
}

impl Engine {
    pub(super) fn new(
        mut listener: TcpListener,
        shared: Arc<Shared<Core>>,
    ) -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let timer = Timer::new(poll.registry(), TIMER)?;
        Ok((Self { poll, timer, listener, shared }, waker))
    }

    /// Works until the handle is closed.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut work = VecDeque::new();
        let shared = Arc::clone(&self.shared);
        while !shared.is_closing() {
            let (deadline, now) = {
                let core = shared.lock();
                (core.next_deadline(), core.clock.now())
            };
            if self.wait(&mut events, !work.is_empty(), now, deadline).is_err() {
                break;
            }
            let mut core = shared.lock_last();
            let mut accepts = core.accept_at.is_some_and(|time| time <= core.clock.now());
            for event in events.iter() {
                match event.token() {
                    WAKER => work.extend(0..core.connections.len()),
                    TIMER => {}
                    LISTENER => accepts = true,
                    Token(token) => {
                        let readable = event.is_readable() || event.is_read_closed();
                        let writable = event.is_writable() || event.is_write_closed();
                        work.extend(core.note(token, readable || event.is_error(), writable));
                    }
                }
            }
            if accepts {
                core.accept(&self.listener, self.poll.registry(), &mut work);
            }
            core.due(&mut work);
            for _ in 0..work.len() {
                let Some(place) = work.pop_front() else { break };
                if core.work(place, self.poll.registry()) {
                    work.push_back(place);
                }
            }
            core.fed(&mut work);
        }
        shared.close();
        let mut core = shared.lock();
        for place in 0..core.connections.len() {
            core.remove(place, State::Ended, self.poll.registry());
        }
    }

    fn wait(
        &mut self,
        events: &mut Events,
        has_work: bool,
        now: Nanos,
        deadline: Option<Nanos>,
    ) -> io::Result<()> {
        let timeout = match has_work {
            true => Some(Duration::ZERO),
            false => self.timer.arm(now, deadline)?,
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

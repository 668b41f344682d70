//! One relayed connection: two sockets, two pipes between them.
//!
//! Rule of this file: it never waits; what one side learns of the other's end (FIN or RST) it
//! learns in its turn, after the bytes that were sent before.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::time::Duration;

use mio::net::TcpStream;
use socket2::SockRef;

use super::memory::Memory;
use super::pipe::{Pipe, affordable};
use super::shape::StreamShape;
use crate::stats::LinkStats;
use crate::units::Nanos;
use crate::verdict::DropReason;

/// Rounds of reading and writing before other connections have their turn.
const ROUNDS_MAX: usize = 16;

/// Where a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It goes on; `true`: there is more to do at once.
    Open(bool),
    /// It is over, as both sides wanted.
    Closed,
    /// It was ended here: limit or timeout.
    Ended,
    /// One side broke it, or `reset` did.
    Reset,
    /// The upstream could not be reached.
    Unreachable,
}

#[derive(Debug)]
struct Side {
    socket: TcpStream,
    is_readable: bool,
    is_writable: bool,
}

#[derive(Debug)]
pub(super) struct Connection {
    /// Client, upstream: what is read at one is written at the other.
    sides: [Side; 2],
    /// Up, down.
    pipes: [Pipe; 2],
    is_shut: [bool; 2],
    is_connected: bool,
    start: Nanos,
    /// What it holds, as far as the memory of all knows.
    held: usize,
    /// Whether it could have read more, but for the memory of all.
    is_starved: bool,
}

impl Connection {
    pub(super) fn new(
        client: TcpStream,
        upstream: TcpStream,
        pipes: [Pipe; 2],
        now: Nanos,
    ) -> Self {
        let side = |socket| Side { socket, is_readable: false, is_writable: false };
        let sides = [side(client), side(upstream)];
        let (is_shut, is_connected) = ([false; 2], false);
        Self { sides, pipes, is_shut, is_connected, start: now, held: 0, is_starved: false }
    }

    /// The socket of a side: 0 the client's, 1 the upstream's.
    pub(super) fn socket(&mut self, side: usize) -> &mut TcpStream {
        &mut self.sides[side].socket
    }

    /// Whether it waits for memory.
    pub(super) const fn is_starved(&self) -> bool {
        self.is_starved
    }

    /// Tells the memory of all what it holds now.
    fn settle(&mut self, memory: &mut Memory) {
        let held = self.pipes.iter().map(Pipe::held).sum();
        memory.settle(self.held, held);
        self.held = held;
    }

    pub(super) fn note(&mut self, side: usize, readable: bool, writable: bool) {
        self.sides[side].is_readable |= readable;
        self.sides[side].is_writable |= writable;
    }

    /// When there is something to do without an event.
    pub(super) fn next_deadline(&self, shapes: [&StreamShape; 2], now: Nanos) -> Option<Nanos> {
        let ends = shapes.into_iter().flat_map(|shape| {
            let timeout = shape.timeout.filter(|&timeout| timeout > Nanos::ZERO);
            [timeout, shape.reset].into_iter().flatten().map(|age| self.start + age)
        });
        // What is due already waits for a socket, not for a time.
        let waits = |way: &usize| self.is_connected && !self.is_shut[*way];
        let pipes = [0, 1]
            .into_iter()
            .filter(waits)
            .filter_map(|way| self.pipes[way].next_deadline().filter(|&due| due > now));
        ends.chain(pipes).min()
    }

    /// Reads and writes what can be.
    pub(super) fn work(
        &mut self,
        now: Nanos,
        shapes: [&StreamShape; 2],
        stats: &mut [LinkStats; 2],
        (buffer, memory): (&mut [u8], &mut Memory),
    ) -> State {
        self.is_starved = false;
        let age = now - self.start;
        if shapes.iter().any(|shape| shape.reset.is_some_and(|reset| age >= reset)) {
            return State::Reset;
        }
        let is_over = |timeout: Nanos| timeout > Nanos::ZERO && age >= timeout;
        if shapes.iter().any(|shape| shape.timeout.is_some_and(is_over)) {
            return State::Ended;
        }
        if !self.is_connected && !self.connect() {
            let failed = self.sides[1].socket.take_error().is_ok_and(|error| error.is_some());
            return if failed { State::Unreachable } else { State::Open(false) };
        }
        for _ in 0..ROUNDS_MAX {
            let mut moved = false;
            for way in 0..2 {
                let room = affordable(memory.room(self.pipes[way].held()), shapes[way]);
                let room = room.min(buffer.len());
                match self.read(way, now, shapes[way], &mut stats[way], &mut buffer[..room]) {
                    Ok(worked) => moved |= worked,
                    Err(_) => self.broke(way, now, stats),
                }
                match self.write(way, now, &mut stats[way]) {
                    Ok(worked) => moved |= worked,
                    Err(_) => self.broke(1 - way, now, stats),
                }
                self.settle(memory);
                let pipe = &self.pipes[way];
                let are_gone = self.pipes.iter().all(Pipe::is_broken);
                if pipe.is_reset(now) || are_gone {
                    return State::Reset;
                }
                if pipe.is_at_limit(shapes[way]) && pipe.is_empty() {
                    return State::Ended;
                }
            }
            if self.is_shut == [true; 2] {
                return State::Closed;
            }
            if !moved {
                return State::Open(false);
            }
        }
        State::Open(true)
    }

    /// The connection of `side` is gone: nothing reaches it any more, and the other side learns of
    /// it after the bytes that came before.
    fn broke(&mut self, side: usize, now: Nanos, stats: &mut [LinkStats; 2]) {
        self.pipes[side].break_off(now);
        let back = 1 - side;
        self.pipes[back].discard(DropReason::Closed, &mut stats[back]);
        self.pipes[back].close();
        self.is_shut[back] = true;
    }

    /// Whether the upstream has taken the connection.
    fn connect(&mut self) -> bool {
        let upstream = &self.sides[1];
        self.is_connected = upstream.is_writable && upstream.socket.peer_addr().is_ok();
        self.is_connected
    }

    fn read(
        &mut self,
        way: usize,
        now: Nanos,
        shape: &StreamShape,
        stats: &mut LinkStats,
        buffer: &mut [u8],
    ) -> io::Result<bool> {
        let (side, pipe) = (&mut self.sides[way], &mut self.pipes[way]);
        let room = pipe.room(shape);
        if room == 0 || !side.is_readable {
            return Ok(false);
        }
        if buffer.is_empty() {
            self.is_starved = true;
            return Ok(false);
        }
        let room = room.min(buffer.len());
        match side.socket.read(&mut buffer[..room]) {
            Ok(0) => pipe.finish(now, shape),
            Ok(count) => pipe.input(now, shape, &buffer[..count], stats),
            Err(error) => return self.blocked(way, &error, |side| &mut side.is_readable),
        }
        Ok(true)
    }

    fn write(&mut self, way: usize, now: Nanos, stats: &mut LinkStats) -> io::Result<bool> {
        let (side, pipe) = (&mut self.sides[1 - way], &mut self.pipes[way]);
        if self.is_shut[way] || !side.is_writable || pipe.is_reset(now) {
            return Ok(false);
        }
        if pipe.is_done(now) {
            self.is_shut[way] = true;
            // The peer may have gone already: then it knows.
            let _ = side.socket.shutdown(Shutdown::Write);
            return Ok(true);
        }
        let due = pipe.due(now);
        if due.is_empty() {
            return Ok(false);
        }
        match side.socket.write_vectored(&due) {
            Ok(count) => pipe.consume(count, stats),
            Err(error) => return self.blocked(1 - way, &error, |side| &mut side.is_writable),
        }
        Ok(true)
    }

    /// What an error means: nothing to do for now, try again, or the end.
    fn blocked(
        &mut self,
        side: usize,
        error: &io::Error,
        flag: impl Fn(&mut Side) -> &mut bool,
    ) -> io::Result<bool> {
        match error.kind() {
            io::ErrorKind::WouldBlock => *flag(&mut self.sides[side]) = false,
            io::ErrorKind::Interrupted => {}
            _ => return Err(error.kind().into()),
        }
        Ok(false)
    }

    /// The connection is over: what is on its way is counted as dropped. After a reset both sides
    /// get one, too.
    pub(super) fn finish(&mut self, state: State, stats: &mut [LinkStats; 2], memory: &mut Memory) {
        for (pipe, stats) in self.pipes.iter_mut().zip(stats) {
            pipe.discard(DropReason::Closed, stats);
        }
        self.settle(memory);
        if matches!(state, State::Reset | State::Unreachable) {
            for side in &self.sides {
                // Closing with a linger time of zero sends RST: socket(7), SO_LINGER.
                let _ = SockRef::from(&side.socket).set_linger(Some(Duration::ZERO));
            }
        }
    }
}

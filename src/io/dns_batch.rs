//! The driver of [`crate::dns::batch::Batch`]: 64 and more sockets, batches of datagrams, epoll.
//!
//! It runs in the caller's thread and keeps none of its own: what arrives while the caller does
//! something else waits in the sockets, and is read before any deadline is looked at.

use super::dns::{ExchangeError, system_random};
use super::dns_channel::{Channel, DATAGRAM_LEN_MAX, errno, poll};
use super::dns_socket::{BATCH_MAX, Epoll, Inbox, open_random, send_many};
use crate::dns::batch::{Batch, BatchConfig, Done, Lane};
use crate::dns::client::{Client, Config, Outcome};
use crate::dns::rtt::RTO_US_MAX;
use crate::dns::{Message, Name, ParseError};
use rand::rngs::StdRng;
use socket2::Socket;
use std::collections::VecDeque;
use std::io;
use std::time::Instant;

/// Longest wait without a look at the caller's check.
const WAIT_US_MAX: u64 = 50_000;
/// Queries sent between two looks at what has arrived.
const SEND_ROUND_MAX: usize = 128;
/// Results handed out at once.
const CHUNK_MAX: usize = 512;
/// Questions that are asked over sockets of their own at the same time.
const SIDE_MAX: usize = 32;
/// Sockets that have sent their share and wait for late answers.
const RETIRED_MAX: usize = 256;
/// Reads of one socket in a row.
const READS_MAX: usize = 4;
/// Waits and retries of a question with a socket of its own.
const SIDE_TIMEOUT_US: u64 = 2_000_000;
const SIDE_RETRIES: u32 = 3;

/// How one name ended.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every name ends with an answer")]
pub enum Ended {
    /// With a message about `name`, where aliases had led.
    Answer {
        /// The message.
        message: Message,
        /// The name it answers.
        name: Name,
    },
    /// Without an answer, after so many tries.
    TimedOut {
        /// How many.
        tries: usize,
    },
    /// With a system error.
    Failed {
        /// Its number.
        errno: i32,
    },
    /// With something over TCP that is no message.
    Malformed(ParseError),
}

/// Asks many questions at once.
pub struct BatchDriver {
    machine: Batch<StdRng>,
    config: BatchConfig,
    random: StdRng,
    start: Instant,
    epoll: Epoll,
    places: Vec<Option<(u32, Socket)>>,
    retired: VecDeque<(u64, Lane, Socket)>,
    inbox: Inbox,
    escalated: VecDeque<(u64, Name, usize, bool)>,
    side: Vec<Side>,
    ended: Vec<(u64, Ended)>,
}

/// A question with sockets of its own.
struct Side {
    ordinal: u64,
    name: Name,
    client: Client<StdRng>,
    channels: Vec<Channel>,
}

impl BatchDriver {
    /// A driver without questions; sockets are opened when they are needed.
    ///
    /// # Errors
    /// When the system has no random numbers or no descriptor left.
    pub fn new(config: BatchConfig) -> io::Result<Self> {
        let machine = Batch::new(config.clone(), system_random()?);
        Ok(Self {
            places: (0..machine.lane_count()).map(|_| None).collect(),
            machine,
            config,
            random: system_random()?,
            start: Instant::now(),
            epoll: Epoll::new()?,
            retired: VecDeque::new(),
            inbox: Inbox::new(),
            escalated: VecDeque::new(),
            side: Vec::new(),
            ended: Vec::new(),
        })
    }

    /// How many more names [`BatchDriver::push`] takes.
    pub fn room(&self) -> usize {
        let others = self.side.len() + self.escalated.len() + self.ended.len();
        self.machine.room().saturating_sub(others)
    }

    /// Whether every name has come out.
    pub fn is_idle(&self) -> bool {
        self.open() == 0 && self.ended.is_empty()
    }

    /// Opens a question; `ordinal` comes back with its end. There must be room.
    pub fn push(&mut self, ordinal: u64, name: Name) {
        self.machine.push(ordinal, name);
    }

    /// Works until there are results worth handing out, and hands them out: at once if `more`
    /// names are waiting for room, in larger portions otherwise; empty only when idle.
    ///
    /// # Errors
    /// As [`super::dns::exchange`].
    pub fn run<E>(
        &mut self,
        more: bool,
        mut check: impl FnMut() -> Result<(), E>,
    ) -> Result<Vec<(u64, Ended)>, ExchangeError<E>> {
        let enough =
            if more { CHUNK_MAX.min(self.config.concurrency / 4).max(1) } else { CHUNK_MAX };
        loop {
            self.transmit()?;
            self.collect();
            self.serve_side(false)?;
            if self.ended.len() >= enough || self.open() == 0 {
                return Ok(std::mem::take(&mut self.ended));
            }
            let wait_us = if self.ended.is_empty() { self.wait_us() } else { 0 };
            let arrived = match self.wait(wait_us) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    check().map_err(ExchangeError::Interrupted)?;
                    false
                }
                result => result?,
            };
            let now_us = self.now_us();
            self.machine.handle_timeout(now_us);
            self.expire_retired(now_us);
            if !arrived {
                check().map_err(ExchangeError::Interrupted)?;
                self.collect();
                if !self.ended.is_empty() {
                    return Ok(std::mem::take(&mut self.ended));
                }
            }
        }
    }

    fn open(&self) -> usize {
        self.machine.active() + self.machine.done_count() + self.side.len() + self.escalated.len()
    }

    fn now_us(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }

    fn wait_us(&self) -> u64 {
        let side = self.side.iter().filter_map(|side| side.client.next_deadline()).min();
        let next = [self.machine.next_deadline(), side].into_iter().flatten().min();
        next.map_or(WAIT_US_MAX, |at| at.saturating_sub(self.now_us())).min(WAIT_US_MAX)
    }

    /// Sends what is due: a burst of one lane with one system call.
    fn transmit(&mut self) -> io::Result<()> {
        let (mut out, mut ends, mut burst) = (Vec::new(), Vec::new(), None);
        for _ in 0..SEND_ROUND_MAX {
            let from = out.len();
            let Some(lane) = self.machine.poll_transmit(self.now_us(), &mut out) else { break };
            if burst.is_some_and(|open| open != lane) || ends.len() == BATCH_MAX {
                let rest = out.split_off(from);
                self.send(burst.unwrap_or(lane), &out, &ends)?;
                out = rest;
                ends.clear();
            }
            burst = Some(lane);
            ends.push(out.len());
        }
        burst.map_or(Ok(()), |lane| self.send(lane, &out, &ends))
    }

    fn send(&mut self, lane: Lane, out: &[u8], ends: &[usize]) -> io::Result<()> {
        let mut start = 0;
        let datagrams: Vec<&[u8]> =
            ends.iter().map(|end| &out[std::mem::replace(&mut start, *end)..*end]).collect();
        self.open_lane(lane)?;
        // A refusal that an earlier datagram met is reported once, and then sending goes on.
        for _ in 0..2 {
            let Some((_, socket)) = self.places[lane.place].as_ref() else { return Ok(()) };
            match send_many(socket, &datagrams) {
                // What the kernel had no room for counts as lost: its retry repeats it.
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => {
                    let now_us = self.now_us();
                    self.machine.handle_failure(now_us, lane, errno(&error));
                }
            }
        }
        Ok(())
    }

    fn open_lane(&mut self, lane: Lane) -> io::Result<()> {
        let place = &mut self.places[lane.place];
        if place.as_ref().is_some_and(|(socket, _)| *socket == lane.socket) {
            return Ok(());
        }
        let server = self.machine.server_of(lane);
        let socket = match open_random(server, &mut self.random) {
            Ok(socket) => socket,
            // No route to this server is a matter of its questions, not of the whole run.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
                return Err(error);
            }
            Err(error) => {
                *place = None;
                let now_us = self.start.elapsed().as_micros() as u64;
                self.machine.handle_failure(now_us, lane, errno(&error));
                return Ok(());
            }
        };
        self.epoll.add(&socket, number_of(lane))?;
        if let Some((ordinal, old)) = place.replace((lane.socket, socket)) {
            let old_lane = Lane { place: lane.place, socket: ordinal };
            let until_us = self.start.elapsed().as_micros() as u64 + RTO_US_MAX;
            if self.retired.len() == RETIRED_MAX {
                self.retired.pop_front();
            }
            self.retired.push_back((until_us, old_lane, old));
        }
        Ok(())
    }

    fn expire_retired(&mut self, now_us: u64) {
        while self.retired.front().is_some_and(|(until_us, ..)| *until_us <= now_us) {
            self.retired.pop_front();
        }
    }

    /// Waits and reads; tells whether anything had arrived.
    fn wait(&mut self, wait_us: u64) -> io::Result<bool> {
        let mut ready = Vec::new();
        if self.side.is_empty() {
            self.epoll.wait(wait_us, &mut ready)?;
        } else {
            self.poll_side(wait_us)?;
            self.epoll.wait(0, &mut ready)?;
        }
        for number in &ready {
            let lane = Lane { place: (number >> 32) as usize, socket: *number as u32 };
            self.receive(lane);
        }
        Ok(!ready.is_empty())
    }

    fn receive(&mut self, lane: Lane) {
        let current = self.places[lane.place].as_ref().filter(|(o, _)| *o == lane.socket);
        let late = || self.retired.iter().find(|(_, old, _)| *old == lane).map(|(.., s)| s);
        let Some(socket) = current.map(|(_, socket)| socket).or_else(late) else { return };
        for _ in 0..READS_MAX {
            match self.inbox.receive(socket) {
                Ok(count) => {
                    let now_us = self.start.elapsed().as_micros() as u64;
                    for index in 0..count {
                        self.machine.handle_datagram(now_us, lane, self.inbox.datagram(index));
                    }
                    if count < BATCH_MAX {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    let now_us = self.start.elapsed().as_micros() as u64;
                    return self.machine.handle_failure(now_us, lane, errno(&error));
                }
            }
        }
    }

    fn collect(&mut self) {
        while let Some((ordinal, done)) = self.machine.poll_done() {
            let ended = match done {
                Done::Answer { message, name } => Ended::Answer { message, name },
                Done::TimedOut { tries } => Ended::TimedOut { tries },
                Done::Failed { errno } => Ended::Failed { errno },
                Done::Escalate { name, server, tcp } => {
                    self.escalated.push_back((ordinal, name, server, tcp));
                    continue;
                }
            };
            self.ended.push((ordinal, ended));
        }
    }

    /// Waits for the sockets of the side questions and for the lanes together.
    fn poll_side(&mut self, wait_us: u64) -> io::Result<()> {
        let lanes = libc::pollfd { fd: self.epoll.fd(), events: libc::POLLIN, revents: 0 };
        let mut fds: Vec<libc::pollfd> = vec![lanes];
        fds.extend(self.side.iter().flat_map(|side| side.channels.iter().map(Channel::interest)));
        poll(&mut fds, wait_us)?;
        let mut buffer = vec![0; DATAGRAM_LEN_MAX];
        let now_us = self.now_us();
        let mut at = 1;
        for side in &mut self.side {
            for channel in &mut side.channels {
                if fds[at].revents != 0 {
                    channel.service(&mut side.client, now_us, &mut buffer);
                }
                at += 1;
            }
        }
        self.serve_side(true)
    }

    /// Starts side questions, sends for them, and takes those that have ended.
    fn serve_side(&mut self, deadlines: bool) -> io::Result<()> {
        while self.side.len() < SIDE_MAX {
            let Some((ordinal, name, server, tcp)) = self.escalated.pop_front() else { break };
            let client = Client::new(self.side_config(&name, server, tcp), system_random()?);
            self.side.push(Side { ordinal, name, client, channels: Vec::new() });
        }
        let now_us = self.now_us();
        for side in &mut self.side {
            if deadlines {
                side.client.handle_timeout(now_us);
            }
            side.send(now_us);
        }
        for side in self.side.extract_if(.., |side| side.client.outcome().is_some()) {
            let tries = side.client.attempt_count();
            let ended = match side.client.into_outcome().unwrap_or(Outcome::TimedOut) {
                Outcome::Answer { message, .. } => Ended::Answer { message, name: side.name },
                Outcome::TimedOut => Ended::TimedOut { tries },
                Outcome::Failed { errno, .. } => Ended::Failed { errno },
                Outcome::Malformed(fault) => Ended::Malformed(fault),
            };
            self.ended.push((side.ordinal, ended));
        }
        Ok(())
    }

    fn side_config(&self, name: &Name, server: usize, tcp: bool) -> Config {
        let mut query = self.config.query.clone();
        query.name = name.clone();
        let mut servers = self.config.servers.clone();
        servers.rotate_left(server);
        Config {
            query,
            servers,
            timeout_us: SIDE_TIMEOUT_US.min(self.config.timeout_us),
            retries: SIDE_RETRIES,
            tcp,
            ignore_truncation: false,
            mix_case: self.config.mix_case,
            cookies: Vec::new(),
            lifetime_us: None,
            rtts: Vec::new(),
        }
    }
}

impl Side {
    fn send(&mut self, now_us: u64) {
        self.channels.retain(|channel| !channel.done);
        while let Some(transmit) = self.client.poll_transmit(now_us) {
            let attempt = transmit.attempt;
            match Channel::open(transmit) {
                Ok(channel) => self.channels.push(channel),
                Err(error) => self.client.handle_failure(attempt, errno(&error)),
            }
        }
    }
}

fn number_of(lane: Lane) -> u64 {
    (lane.place as u64) << 32 | u64::from(lane.socket)
}

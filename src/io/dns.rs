//! The exchange of the resolver: sockets, a clock and poll(2) around [`crate::dns::Client`].
//!
//! Every try over UDP has a fresh socket, and with it a source port that the kernel draws at
//! random (RFC 5452 §4.5); it is connected, so that the kernel tells when nobody listens.

use super::dns_channel::{Channel, DATAGRAM_LEN_MAX, errno, poll};
use crate::dns::client::{Client, Config, IGNORED_WORDS, Outcome};
use crate::dns::cookie::Jar;
use crate::dns::rtt::Known;
use rand::{SeedableRng, TryRng, rngs::StdRng, rngs::SysRng};
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Longest wait without a look at the caller's check: a signal that arrives between that look
/// and poll(2) does not interrupt poll(2).
const WAIT_US_MAX: u64 = 50_000;

/// What an exchange came to.
#[derive(Debug)]
pub struct Report {
    /// The end of the machine.
    pub outcome: Outcome,
    /// How many tries were made.
    pub attempts: usize,
    /// Datagrams that were ignored, by reason ([`IGNORED_WORDS`]).
    pub ignored: [u32; IGNORED_WORDS.len()],
    /// The last fault in a datagram that fitted otherwise.
    pub fault: Option<crate::dns::ParseError>,
}

/// Why an exchange could not end.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError<E> {
    /// The caller's check said stop.
    #[error("interrupted")]
    Interrupted(E),
    /// A system call failed that never should.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Asks until an answer or the end of all tries, with `cookies` that this process remembers;
/// `check` is called when a signal arrives and at
/// least every 50 ms while nothing else does.
///
/// # Errors
/// [`ExchangeError::Interrupted`] with what `check` returned; [`ExchangeError::System`].
pub fn exchange<E>(
    config: Config,
    cookies: bool,
    mut check: impl FnMut() -> Result<(), E>,
) -> Result<Report, ExchangeError<E>> {
    let mut exchange = Exchange::new(config, cookies)?;
    while let Some(wait_us) = exchange.wait_us() {
        match exchange.advance(wait_us.min(WAIT_US_MAX)) {
            // Nothing, or a signal: time to look whether the caller wants us to stop.
            Ok(false) => check().map_err(ExchangeError::Interrupted)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                check().map_err(ExchangeError::Interrupted)?;
            }
            result => drop(result?),
        }
    }
    Ok(exchange.finish())
}

/// An exchange in steps, for whoever has an event loop: wait until one of [`Exchange::wants`]
/// or [`Exchange::wait_us`] is due, then [`Exchange::advance`].
pub struct Exchange {
    client: Client<StdRng>,
    servers: Vec<SocketAddr>,
    channels: Vec<Channel>,
    start: Instant,
    buffer: Vec<u8>,
}

impl Exchange {
    /// Sends the first query.
    ///
    /// # Errors
    /// When the operating system has no random numbers.
    pub fn new(mut config: Config, cookies: bool) -> io::Result<Self> {
        let mut random = system_random()?;
        if cookies && config.query.edns.is_some() {
            let jar = jar();
            config.cookies =
                config.servers.iter().map(|server| jar.take(*server, &mut random)).collect();
        }
        config.rtts = config.servers.iter().map(|server| rtts().get(*server)).collect();
        let mut exchange = Self {
            servers: config.servers.clone(),
            client: Client::new(config, random),
            channels: Vec::new(),
            start: Instant::now(),
            buffer: vec![0; DATAGRAM_LEN_MAX],
        };
        exchange.transmit();
        Ok(exchange)
    }

    /// How long there is nothing to do unless a socket is ready, in µs; `None` at the end.
    pub fn wait_us(&self) -> Option<u64> {
        Some(self.client.next_deadline()?.saturating_sub(self.now_us()))
    }

    /// The sockets to wait for, and whether for writing (or for reading).
    pub fn wants(&self) -> impl Iterator<Item = (RawFd, bool)> {
        self.channels.iter().map(|channel| {
            let interest = channel.interest();
            (interest.fd, interest.events & libc::POLLOUT != 0)
        })
    }

    /// Waits at most `wait_us` and does what is to be done; whether a socket was ready.
    ///
    /// # Errors
    /// Those of poll(2), `EINTR` among them.
    pub fn advance(&mut self, wait_us: u64) -> io::Result<bool> {
        let mut fds: Vec<libc::pollfd> = self.channels.iter().map(Channel::interest).collect();
        let ready = poll(&mut fds, wait_us)? > 0;
        let now_us = self.now_us();
        for (channel, fd) in self.channels.iter_mut().zip(&fds) {
            if fd.revents != 0 {
                channel.service(&mut self.client, now_us, &mut self.buffer);
            }
        }
        self.channels.retain(|channel| !channel.done);
        self.client.handle_timeout(self.now_us());
        self.transmit();
        Ok(ready)
    }

    /// What it came to; a timeout if it is not at its end.
    pub fn finish(self) -> Report {
        for (index, server) in self.servers.iter().enumerate() {
            if let Some(cookie) = self.client.cookie(index) {
                jar().keep(*server, cookie.clone());
            }
            if let Some(rtt) = self.client.rtt(index) {
                rtts().keep(*server, *rtt);
            }
        }
        let client = self.client;
        let (attempts, ignored, fault) = (client.attempt_count(), client.ignored(), client.fault());
        let outcome = client.into_outcome().unwrap_or(Outcome::TimedOut);
        Report { outcome, attempts, ignored, fault }
    }

    fn now_us(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }

    fn transmit(&mut self) {
        while let Some(transmit) = self.client.poll_transmit(self.now_us()) {
            let attempt = transmit.attempt;
            match Channel::open(transmit) {
                Ok(channel) => self.channels.push(channel),
                Err(error) => self.client.handle_failure(attempt, errno(&error)),
            }
        }
    }
}

/// What this process knows of the round trips to its servers.
fn rtts() -> MutexGuard<'static, Known> {
    static RTTS: Mutex<Known> = Mutex::new(Known::new());
    RTTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What this process knows of the cookies of its servers.
fn jar() -> MutexGuard<'static, Jar> {
    static JAR: Mutex<Jar> = Mutex::new(Jar::new());
    JAR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A generator nobody can guess, seeded by the operating system, new for every exchange, so that
/// a forked process does not repeat its parent's numbers.
pub fn system_random() -> io::Result<StdRng> {
    StdRng::try_from_rng(&mut SysRng).map_err(|error| io::Error::other(error.to_string()))
}

/// A message id nobody can guess.
///
/// # Errors
/// When the operating system has no random numbers.
pub fn random_id() -> io::Result<u16> {
    let number = SysRng.try_next_u32().map_err(|error| io::Error::other(error.to_string()))?;
    Ok(number as u16)
}

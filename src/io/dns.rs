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
    mut config: Config,
    cookies: bool,
    mut check: impl FnMut() -> Result<(), E>,
) -> Result<Report, ExchangeError<E>> {
    let mut random = system_random()?;
    if cookies && config.query.edns.is_some() {
        let jar = jar();
        config.cookies =
            config.servers.iter().map(|server| jar.take(*server, &mut random)).collect();
    }
    config.rtts = config.servers.iter().map(|server| rtts().get(*server)).collect();
    let servers = config.servers.clone();
    let start = Instant::now();
    let now_us = || start.elapsed().as_micros() as u64;
    let mut client = Client::new(config, random);
    let mut channels: Vec<Channel> = Vec::new();
    let mut buffer = vec![0; DATAGRAM_LEN_MAX];
    loop {
        while let Some(transmit) = client.poll_transmit(now_us()) {
            let attempt = transmit.attempt;
            match Channel::open(transmit) {
                Ok(channel) => channels.push(channel),
                Err(error) => client.handle_failure(attempt, errno(&error)),
            }
        }
        let Some(deadline_us) = client.next_deadline() else { break };
        let wait_us = deadline_us.saturating_sub(now_us()).min(WAIT_US_MAX);
        let mut fds: Vec<libc::pollfd> = channels.iter().map(Channel::interest).collect();
        match poll(&mut fds, wait_us) {
            // Nothing, or a signal: time to look whether the caller wants us to stop.
            Ok(0) => check().map_err(ExchangeError::Interrupted)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                check().map_err(ExchangeError::Interrupted)?;
            }
            result => drop(result?),
        }
        for (channel, fd) in channels.iter_mut().zip(&fds) {
            if fd.revents != 0 {
                channel.service(&mut client, now_us(), &mut buffer);
            }
        }
        channels.retain(|channel| !channel.done);
        client.handle_timeout(now_us());
    }
    for (index, server) in servers.iter().enumerate() {
        if let Some(cookie) = client.cookie(index) {
            jar().keep(*server, cookie.clone());
        }
        if let Some(rtt) = client.rtt(index) {
            rtts().keep(*server, *rtt);
        }
    }
    let (attempts, ignored, fault) = (client.attempt_count(), client.ignored(), client.fault());
    let outcome = client.into_outcome().unwrap_or(Outcome::TimedOut);
    Ok(Report { outcome, attempts, ignored, fault })
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

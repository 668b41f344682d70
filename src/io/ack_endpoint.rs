//! `UDPWithACK` on a real socket: the machine of `arq::ack`, a socket and one thread.
//!
//! The thread (`ack_thread`) receives, acknowledges and repeats, whatever the application does.
//! The application's calls take the state's lock for microseconds and never wait under it.
//! Closing stops the thread and returns when it is gone.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::fd::RawFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::arq::ack::{AckConfig, AckEndpoint as Machine, Transmit};
use crate::arq::ack_receiver::Received;
use crate::arq::ack_sender::{Failure, SendError, Status};
use crate::arq::event::Event;
use crate::arq::send_policy::SendPolicy;
use crate::arq::stats::AckStats;
use crate::flow::time::Micros;
use crate::io::ack_inbox::is_unreachable;
use crate::io::ack_thread;
use crate::io::wake::{self, Waker};
use crate::wire::serial::Serial;

/// Receive buffer asked of the kernel; it gives what `net.core.rmem_max` allows.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// ICMP errors of earlier datagrams that one transmission swallows before it gives up.
const STALE_ERRORS_MAX: usize = 4;

/// Why a message could not be sent.
#[derive(Debug, Error)]
pub enum AckError {
    /// The machine refused it.
    #[error(transparent)]
    Refused(#[from] SendError),
    /// The system refused it.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// What the driver counts beside the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IoStats {
    /// ICMP errors that came back: nobody listens there, or no way leads there.
    pub unreachable: u64,
    /// Datagrams the system refused to send or receive for other reasons.
    pub system_errors: u64,
}

/// A message that waits for its ACK, as told to the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingInfo {
    /// Its number.
    pub seq: Serial,
    /// Where it is sent.
    pub to: SocketAddr,
    /// How often it was repeated so far.
    pub retries: u32,
    /// How long ago it was sent first.
    pub age: Duration,
}

/// An endpoint with its thread.
///
/// ```
/// use std::time::Duration;
/// use udpcore::arq::ack::AckConfig;
/// use udpcore::arq::send_policy::SendPolicy;
/// use udpcore::io::ack_endpoint::AckEndpoint;
///
/// let alice = AckEndpoint::bind("127.0.0.1:0", AckConfig::default())?;
/// let bob = AckEndpoint::bind("127.0.0.1:0", AckConfig::default())?;
/// alice.send(bob.local_addr(), b"hello", SendPolicy::default()).unwrap();
/// assert_eq!(bob.receive(Duration::from_secs(5)).unwrap().payload, b"hello");
/// assert!(alice.wait_idle(Duration::from_secs(5)));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct AckEndpoint {
    shared: Arc<Shared>,
    local_addr: SocketAddr,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the application's threads and the endpoint's thread share.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// A message was received, or the endpoint closed.
    received: Condvar,
    /// A message was acknowledged or failed, or the endpoint closed.
    settled: Condvar,
    start: Instant,
}

/// Under the lock.
#[derive(Debug)]
pub(super) struct State {
    pub(super) machine: Machine,
    /// Whether the thread has been asked to end.
    pub(super) closing: bool,
    /// `None` once closed.
    socket: Option<Arc<UdpSocket>>,
    /// `None` once closed.
    waker: Option<Waker>,
    /// Datagrams that found the socket's send buffer full: the thread's business.
    pub(super) backlog: VecDeque<Transmit>,
    pub(super) io: IoStats,
    /// Until when the thread sleeps, at most.
    pub(super) sleeps_until: Option<Micros>,
    waiting_to_receive: usize,
    waiting_to_settle: usize,
}

impl AckEndpoint {
    /// An endpoint on a new socket.
    ///
    /// # Errors
    /// Whatever the system says to the address.
    pub fn bind(address: impl ToSocketAddrs, config: AckConfig) -> io::Result<Self> {
        Self::from_socket(UdpSocket::bind(address)?, config)
    }

    /// An endpoint on a bound socket. Nobody else may receive from it.
    ///
    /// # Errors
    /// The socket is not bound, or the system is out of descriptors or threads.
    pub fn from_socket(socket: UdpSocket, config: AckConfig) -> io::Result<Self> {
        let local_addr = socket.local_addr()?;
        socket.set_nonblocking(true)?;
        wake::report_icmp_errors(&socket)?;
        let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
        let (waker, wakes) = wake::pair()?;
        let socket = Arc::new(socket);
        let state = State {
            machine: Machine::new(config),
            closing: false,
            socket: Some(Arc::clone(&socket)),
            waker: Some(waker),
            backlog: VecDeque::new(),
            io: IoStats::default(),
            sleeps_until: None,
            waiting_to_receive: 0,
            waiting_to_settle: 0,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            received: Condvar::new(),
            settled: Condvar::new(),
            start: Instant::now(),
        });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name(format!("udp-ack-{}", local_addr.port()))
            .spawn(move || ack_thread::run(&theirs, &socket, &wakes))?;
        Ok(Self { shared, local_addr, thread: Mutex::new(Some(thread)) })
    }

    /// An endpoint on the bound socket behind `fd`, which stays open and the caller's.
    ///
    /// # Errors
    /// It is no socket or not bound, or the system is out of descriptors or threads.
    pub fn from_fd(fd: RawFd, config: AckConfig) -> io::Result<Self> {
        Self::from_socket(wake::duplicate(fd)?, config)
    }

    /// The address it is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Sends a message to `to`; the thread sees to its acknowledgement.
    ///
    /// # Errors
    /// [`SendError::WindowFull`] when too many are unacknowledged (see [`Self::wait_room`]);
    /// other refusals; system errors such as "network unreachable". Nothing was accepted then.
    pub fn send(
        &self,
        to: SocketAddr,
        payload: &[u8],
        policy: SendPolicy,
    ) -> Result<Serial, AckError> {
        let to = self.reachable(to);
        let now = self.shared.now();
        let mut state = self.shared.lock();
        if state.closing {
            return Err(SendError::Closed.into());
        }
        let seq = state.machine.send(now, to, payload, policy)?;
        // The thread empties the queue before it lets go of the lock: what is in it is ours.
        let transmit = state.machine.poll_transmit();
        let socket = state.socket.clone().ok_or(SendError::Closed)?;
        let deadline = state.machine.poll_timeout();
        if state.sleeps_until.is_none_or(|until| deadline.is_some_and(|due| due < until)) {
            state.wake();
            state.sleeps_until = deadline;
        }
        drop(state);
        match transmit.map(|transmit| (send_now(&socket, &transmit), transmit)) {
            None | Some((Ok(()), _)) => Ok(seq),
            Some((Err(error), transmit)) if is_full(&error) => {
                let mut state = self.shared.lock();
                state.backlog.push_back(transmit);
                state.wake();
                Ok(seq)
            }
            Some((Err(error), _)) => {
                let mut state = self.shared.lock();
                state.machine.handle_send_error(seq);
                self.shared.announce(state, false, true);
                Err(error.into())
            }
        }
    }

    /// Waits until one more message would be accepted, or the endpoint is closed; false when
    /// `timeout` was over first.
    pub fn wait_room(&self, timeout: Duration) -> bool {
        self.wait_settled_until(timeout, |state| state.machine.has_room() || state.socket.is_none())
    }

    /// Waits until every message sent is acknowledged or failed.
    pub fn wait_idle(&self, timeout: Duration) -> bool {
        self.wait_settled_until(timeout, |state| state.machine.is_idle())
    }

    /// Waits until the message `seq` is settled; its status then, or after `timeout`.
    pub fn wait(&self, seq: Serial, timeout: Duration) -> Status {
        self.wait_settled_until(timeout, |state| state.machine.status(seq) != Status::Pending);
        self.status_of(seq)
    }

    /// Where the message `seq` stands now.
    pub fn status_of(&self, seq: Serial) -> Status {
        self.shared.lock().machine.status(seq)
    }

    /// The oldest message received and not yet taken, without waiting.
    pub fn try_receive(&self) -> Option<Received> {
        self.shared.lock().machine.receive()
    }

    /// The oldest message received and not yet taken; waits for one up to `timeout`, or until
    /// the endpoint is closed.
    pub fn receive(&self, timeout: Duration) -> Option<Received> {
        let mut state = self.shared.lock();
        state.waiting_to_receive += 1;
        let nothing = |state: &mut State| state.machine.queued() == 0 && state.socket.is_some();
        let waited = self.shared.received.wait_timeout_while(state, timeout, nothing);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.waiting_to_receive -= 1;
        state.machine.receive()
    }

    /// Whether [`Self::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.shared.lock().socket.is_none()
    }

    /// The number the next message will get.
    pub fn next_seq(&self) -> Serial {
        self.shared.lock().machine.next_seq()
    }

    /// The messages that wait for their ACK, oldest first.
    pub fn pending(&self) -> Vec<PendingInfo> {
        let now = self.shared.now();
        let state = self.shared.lock();
        let info = |(seq, message): (Serial, &crate::arq::ack_sender::Pending)| PendingInfo {
            seq,
            to: message.to,
            retries: message.retries,
            age: now.since(message.first_sent),
        };
        state.machine.pending().map(info).collect()
    }

    /// How many messages wait for their ACK.
    pub fn pending_count(&self) -> usize {
        self.shared.lock().machine.pending().len()
    }

    /// The messages that failed, as far as remembered, oldest first.
    pub fn failures(&self) -> Vec<(Serial, Failure)> {
        self.shared.lock().machine.failures().map(|(seq, &failure)| (seq, failure)).collect()
    }

    /// Forgets and returns the failures so far, oldest first.
    pub fn take_failures(&self) -> Vec<(Serial, Failure)> {
        self.shared.lock().machine.take_failures()
    }

    /// The machine's and the driver's counters.
    pub fn stats(&self) -> (AckStats, IoStats) {
        let state = self.shared.lock();
        (state.machine.stats(), state.io)
    }

    /// What happened since the last call, if [`AckConfig::events`] asked for it, and how many
    /// events went unrecorded so far because nobody called.
    pub fn take_events(&self) -> (Vec<Event>, u64) {
        let mut state = self.shared.lock();
        let events = std::iter::from_fn(|| state.machine.poll_event()).collect();
        (events, state.machine.events_lost())
    }

    /// Stops. What has arrived at the socket is still handled: DATA acknowledged, ACKs counted;
    /// what waits for an ACK then fails. What was received can still be taken. Returns when the
    /// thread is gone; closing again does nothing.
    pub fn close(&self) {
        // Held to the end, so that whoever closes too returns after the end as well.
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.shared.lock();
        state.closing = true;
        state.wake();
        drop(state);
        if let Some(thread) = thread.take() {
            // A panic there would be a bug; it was printed already and must not spread.
            let _ = thread.join();
        }
        let mut state = self.shared.lock();
        state.machine.close();
        state.socket = None;
        state.waker = None;
        state.backlog.clear();
        drop(state);
        self.shared.received.notify_all();
        self.shared.settled.notify_all();
    }

    fn wait_settled_until(&self, timeout: Duration, done: impl Fn(&State) -> bool) -> bool {
        let mut state = self.shared.lock();
        state.waiting_to_settle += 1;
        let waited = self.shared.settled.wait_timeout_while(state, timeout, |state| !done(state));
        let (mut state, result) = waited.unwrap_or_else(PoisonError::into_inner);
        state.waiting_to_settle -= 1;
        !result.timed_out()
    }

    /// The address under which `to` will answer: the wildcard reaches this machine's loopback,
    /// and an IPv6 socket knows IPv4 peers by their mapped addresses.
    fn reachable(&self, to: SocketAddr) -> SocketAddr {
        let ip = match to.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        match (ip, to) {
            (IpAddr::V4(ip), _) if self.local_addr.is_ipv6() => {
                SocketAddr::new(IpAddr::V6(ip.to_ipv6_mapped()), to.port())
            }
            (IpAddr::V6(ip), SocketAddr::V6(to)) => {
                std::net::SocketAddrV6::new(ip, to.port(), 0, to.scope_id()).into()
            }
            (ip, _) => SocketAddr::new(ip, to.port()),
        }
    }
}

impl Drop for AckEndpoint {
    fn drop(&mut self) {
        self.close();
    }
}

impl State {
    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake();
        }
    }
}

impl Shared {
    pub(super) fn now(&self) -> Micros {
        Micros::ZERO + self.start.elapsed()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes those who wait for what changed; a nudge nobody waits for costs nothing.
    pub(super) fn announce(&self, state: MutexGuard<'_, State>, received: bool, settled: bool) {
        let received = received && state.waiting_to_receive > 0;
        let settled = settled && state.waiting_to_settle > 0;
        drop(state);
        if received {
            self.received.notify_all();
        }
        if settled {
            self.settled.notify_all();
        }
    }
}

/// Sends one datagram without waiting. An ICMP error that surfaces here belongs to an earlier
/// datagram, perhaps to somebody else: it is taken off the socket and sending is tried again.
pub(super) fn send_now(socket: &UdpSocket, transmit: &Transmit) -> io::Result<()> {
    let mut tried = 0;
    loop {
        tried += 1;
        match socket.send_to(transmit.contents.as_slice(), transmit.to) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_unreachable(&error) && tried < STALE_ERRORS_MAX => {}
            // Refused again and again: still not about this datagram, which may get through.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Whether the send buffer is full for now.
pub(super) fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::ENOBUFS)
}

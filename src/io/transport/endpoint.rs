//! An endpoint with its thread: listens, connects, accepts.

use super::connection::Connection;
use super::notifier::Notifier;
use super::qlog;
use super::shared::Shared;
use super::thread::Driver;
use crate::io::wake;
use crate::transport::{Config, ConfigError, Endpoint as Machine, SecretKey};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A socket, its connections and the thread that serves them.
///
/// Dropping the last handle to an endpoint and its connections closes them in order; the thread
/// ends when what was accepted has been delivered, or the linger time is over.
///
/// ```
/// use std::net::SocketAddr;
/// use std::time::Duration;
/// use udpcore::io::transport::Endpoint;
/// use udpcore::transport::{Config, Outcome, SendOptions};
///
/// let any = SocketAddr::from(([127, 0, 0, 1], 0));
/// let second = Duration::from_secs(5);
/// let server = Endpoint::bind(any, Config::default(), true)?;
/// let client = Endpoint::bind(any, Config::default(), false)?;
/// let there = client.connect(server.local_addr());
/// assert!(there.wait_connected(second).is_some_and(|result| result.is_ok()));
/// let here = server.accept(second).expect("the client");
/// let receipt = there.send(b"hello".to_vec(), SendOptions::default())?;
/// assert_eq!(here.recv(None, second)?.expect("in time").data, b"hello");
/// assert_eq!(there.wait_outcome(receipt, second), Outcome::Acked);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Endpoint {
    owner: Arc<Owner>,
    local_addr: SocketAddr,
}

/// A new key for a server to own.
pub fn generate_key() -> SecretKey {
    let mut key = [0; 32];
    rand::Rng::fill_bytes(&mut rand::rng(), &mut key);
    SecretKey(key)
}

/// Held by the endpoint and by every connection: the last one ends the thread.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) shared: Arc<Shared>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        if self.shared.is_copy() {
            return;
        }
        let now = self.shared.now();
        let mut state = self.shared.lock();
        state.is_closing = true;
        let handles: Vec<_> = state.entries.keys().copied().collect();
        for handle in handles {
            if let Some(connection) = state.machine.connection_mut(handle) {
                connection.close(now);
            }
        }
        state.is_asleep = true;
        self.shared.wake(&mut state);
    }
}

impl Endpoint {
    /// An endpoint on a new socket; one that `listens` accepts connections.
    ///
    /// # Errors
    /// Whatever the system says to the address; `InvalidInput` for a configuration that makes no
    /// sense.
    pub fn bind(address: SocketAddr, config: Config, listens: bool) -> io::Result<Self> {
        let qlog_dir = qlog::directory();
        let config = Config { trace: config.trace || qlog_dir.is_some(), ..config };
        let socket = UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        let local_addr = socket.local_addr()?;
        let datagram_len_max = usize::from(config.datagram_len_max);
        let invalid = |error: ConfigError| io::Error::new(io::ErrorKind::InvalidInput, error);
        let mut seed = [0; 32];
        rand::Rng::fill_bytes(&mut rand::rng(), &mut seed);
        let machine = Machine::new(config, listens, seed).map_err(invalid)?;
        let (waker, wakes) = wake::pair()?;
        let shared = Arc::new(Shared::new(machine, waker));
        shared.lock().traces = qlog_dir.is_some().then(Vec::new);
        let driver = Driver::new(socket, wakes, datagram_len_max, qlog_dir)?;
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new()
            .name(format!("udp-transport-{}", local_addr.port()))
            .spawn(move || driver.run(&theirs))?;
        Ok(Self { owner: Arc::new(Owner { shared }), local_addr })
    }

    /// The process it belongs to: a copy that `fork` makes must not be used.
    pub fn process(&self) -> u32 {
        self.owner.shared.process
    }

    /// The address it is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Opens a connection; see [`Connection::wait_connected`].
    pub fn connect(&self, remote: SocketAddr) -> Connection {
        let shared = &self.owner.shared;
        let now = shared.now();
        let mut state = shared.lock();
        let handle = state.machine.connect(now, remote);
        let watch = state.watch(handle);
        shared.wake(&mut state);
        Connection::new(Arc::clone(&self.owner), handle, watch)
    }

    /// The next connection that came in; `None` if none did in time or the endpoint is closed.
    pub fn accept(&self, timeout: Duration) -> Option<Connection> {
        self.acceptor().accept(timeout)
    }

    /// A handle for waiting for connections while others use the endpoint.
    pub fn acceptor(&self) -> Acceptor {
        Acceptor { owner: Arc::clone(&self.owner) }
    }

    /// Takes no more connections; those there are go on until they are closed.
    pub fn close(&self) {
        let shared = &self.owner.shared;
        let now = shared.now();
        let mut state = shared.lock();
        state.is_closing = true;
        state.machine.stop_listening();
        while let Some(handle) = state.incoming.pop_front() {
            if let Some(connection) = state.machine.connection_mut(handle) {
                connection.close(now);
            }
        }
        shared.accepted.notify_all();
        state.subscriber.tell(None);
        shared.wake(&mut state);
    }

    /// How an event loop learns of changes; replaces the one before.
    ///
    /// # Errors
    /// Whatever the system says to a pair of sockets.
    pub fn subscribe(&self) -> io::Result<Notifier> {
        Notifier::new(&self.owner.shared)
    }

    /// Datagrams dropped before they reached a connection, by reason.
    pub fn dropped(&self) -> Vec<(crate::transport::DropReason, u64)> {
        self.owner.shared.lock().machine.dropped().collect()
    }
}

/// Waits for connections; see [`Endpoint::acceptor`].
#[derive(Debug)]
pub struct Acceptor {
    owner: Arc<Owner>,
}

impl Acceptor {
    /// The next connection that came in; `None` if none did in time or the endpoint is closed.
    pub fn accept(&self, timeout: Duration) -> Option<Connection> {
        let shared = &self.owner.shared;
        let deadline = Instant::now() + timeout;
        let mut state = shared.lock();
        loop {
            if let Some(handle) = state.incoming.pop_front() {
                let watch = state.watch(handle);
                return Some(Connection::new(Arc::clone(&self.owner), handle, watch));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.is_closing || state.is_over {
                return None;
            }
            state = shared.wait(&shared.accepted, state, left);
        }
    }

    /// Whether the endpoint was closed.
    pub fn is_closed(&self) -> bool {
        self.owner.shared.lock().is_closing
    }
}

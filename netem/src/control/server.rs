//! The control's sockets: a thread that accepts, a thread for each request, all of them bounded.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token, Waker};

use super::http::{HttpError, Response, parse_request};
use super::routes::respond;
use crate::live::{Network, Setup};
use crate::packet::Direction;

/// Requests answered at once; one more is told to come again by being closed.
const CONNECTIONS_MAX: usize = 16;
/// A client has so long to say what it wants, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(5);
const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);

/// Why there is no control.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Others could reach it.
    #[error(
        "control on {address}: other machines could change this network; say so, or listen \
             on 127.0.0.1"
    )]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// The system's reason.
    #[error("control on {address}: {source}")]
    System {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// A control that listens; dropping it ends it.
#[derive(Debug)]
pub struct Control {
    address: SocketAddr,
    shared: Arc<Shared>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    is_closing: bool,
    next: u64,
    connections: BTreeMap<u64, (TcpStream, Option<JoinHandle<()>>)>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What every request is answered from.
struct Desk {
    network: Arc<dyn Network>,
    start: [Setup; 2],
    is_public: bool,
}

impl Control {
    /// Listens at `address`; port 0 takes a free one. Only `is_public` allows an address that
    /// other machines can reach.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn start(
        network: Arc<dyn Network>,
        address: SocketAddr,
        is_public: bool,
    ) -> Result<Self, ControlError> {
        if !is_public && !address.ip().is_loopback() {
            return Err(ControlError::NotLoopback { address });
        }
        let start = Direction::BOTH.map(|way| network.setup(way));
        let desk = Arc::new(Desk { network, start, is_public });
        Self::listen(desk, address).map_err(|source| ControlError::System { address, source })
    }

    fn listen(desk: Arc<Desk>, address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let mut listener = mio::net::TcpListener::from_std(listener);
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let shared = Arc::new(Shared::default());
        let ours = Arc::clone(&shared);
        let work = move || accept(&desk, poll, &listener, &ours);
        let thread = std::thread::Builder::new().name("netem-control".to_owned()).spawn(work)?;
        Ok(Self { address, shared, waker, thread: Some(thread) })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let open = {
            let mut state = self.shared.lock();
            state.is_closing = true;
            std::mem::take(&mut state.connections)
        };
        // A waker that fails leaves the thread to its next connection.
        let _ = self.waker.wake();
        for (stream, _) in open.values() {
            // It may have been closed by the other side already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        let threads = open.into_values().filter_map(|(_, thread)| thread);
        for thread in threads.chain(self.thread.take()) {
            // A panic of a thread has been reported on standard error already.
            let _ = thread.join();
        }
    }
}

fn accept(
    desk: &Arc<Desk>,
    mut poll: Poll,
    listener: &mio::net::TcpListener,
    shared: &Arc<Shared>,
) {
    let mut events = Events::with_capacity(8);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return,
            _ => {}
        }
        if shared.lock().is_closing {
            return;
        }
        // Edges: until there is nobody left. An error of one connection is not the listener's.
        loop {
            match listener.accept() {
                Ok((stream, _)) => serve(desk, stream.into(), shared),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if is_passing(&error) => {}
                Err(_) => break,
            }
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted)
}

/// Answers one connection on a thread of its own.
fn serve(desk: &Arc<Desk>, stream: TcpStream, shared: &Arc<Shared>) {
    let Ok(handle) = stream.try_clone() else { return };
    let mut state = shared.lock();
    if state.is_closing || state.connections.len() >= CONNECTIONS_MAX {
        return;
    }
    let number = state.next;
    state.next += 1;
    let (desk, ours) = (Arc::clone(desk), Arc::clone(shared));
    let work = move || {
        // A client that goes away in the middle is its own affair.
        let _ = answer(&desk, stream);
        // Taken out here, or by the end of the control, which then waits for this thread.
        ours.lock().connections.remove(&number);
    };
    let thread = std::thread::Builder::new().name("netem-request".to_owned()).spawn(work);
    if let Ok(thread) = thread {
        state.connections.insert(number, (handle, Some(thread)));
    }
}

fn answer(desk: &Desk, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let (begin, mut bytes, mut buffer) = (Instant::now(), Vec::new(), [0; 4096]);
    let (response, is_head) = loop {
        match parse_request(&bytes) {
            Ok(Some(request)) => {
                let response = respond(&*desk.network, &desk.start, desk.is_public, &request);
                break (response, request.method == "HEAD");
            }
            Err(error) => break (Response::error(error.status(), &error), false),
            Ok(None) => {}
        }
        let left = PATIENCE.saturating_sub(begin.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer)? {
            0 if bytes.is_empty() => return Ok(()),
            0 => break (Response::error(400, &HttpError::Syntax), false),
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    };
    stream.write_all(&response.to_bytes(is_head))?;
    stream.shutdown(Shutdown::Write)
}

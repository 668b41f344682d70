//! A connection to a name server that is kept and used again: TCP, TLS or HTTPS.
//!
//! RFC 7766 §6.2.1 (reuse, pipelining), RFC 7858, RFC 8484. The socket, clock and poll(2) around
//! [`crate::dns::pipeline::Pipeline`].
//!
//! Rules of this file: a connection that ended while it was idle is opened again without a word
//! (RFC 7766 §6.2.4); one that fails before it answered anything is an error.

use super::dns::{ExchangeError, system_random};
use super::dns_channel::poll;
use super::dns_tls::{self, Tls};
use crate::dns::Message;
use crate::dns::frame::{Deframer, frame};
use crate::dns::http::{self, HttpError, Responses};
use crate::dns::pipeline::{Mismatch, Pipeline, WINDOW_MAX};
use crate::dns::query::Query;
use rustls::ClientConnection;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::Instant;

const WAIT_US_MAX: u64 = 50_000;
const READ_LEN: usize = 16 * 1024;

/// Where to, and through what.
#[derive(Debug, Clone)]
pub struct Route {
    /// The server.
    pub server: SocketAddr,
    /// TLS, if it is wanted.
    pub tls: Option<Tls>,
    /// Host and path of HTTP, if it is wanted.
    pub http: Option<(String, String)>,
}

/// Why questions were not answered.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// Not in time.
    #[error("no answer in time")]
    TimedOut,
    /// The connection could not be made, or broke, or its certificate is not good.
    #[error(transparent)]
    Connection(#[from] io::Error),
    /// What came was no answer.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// What came was no HTTP, or no success.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// TLS could not even begin.
    #[error(transparent)]
    Tls(#[from] dns_tls::TlsError),
}

/// What became of some questions.
#[derive(Debug)]
pub struct Answers {
    /// The answers, in the order of the questions.
    pub messages: Vec<Option<Message>>,
    /// Why some are missing.
    pub failure: Option<StreamError>,
}

/// The connection; opened when it is first needed.
#[derive(Debug)]
pub struct Connection {
    route: Route,
    stream: Option<Stream>,
    /// The process that opened it: a child must not write into its parent's session.
    pid: u32,
    opened: u64,
    answered: u64,
}

#[derive(Debug)]
struct Stream {
    socket: Socket,
    tls: Option<ClientConnection>,
    unsent: Vec<u8>,
    frames: Deframer,
    responses: Responses,
    answered: u64,
}

impl Connection {
    /// A connection that is not open yet.
    pub fn new(route: Route) -> Self {
        Self { route, stream: None, pid: std::process::id(), opened: 0, answered: 0 }
    }

    /// How often it was opened, and how many answers came.
    pub fn counters(&self) -> (u64, u64) {
        (self.opened, self.answered)
    }

    /// Closes it; the next question opens it again.
    pub fn close(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            stream.say_goodbye();
        }
    }

    /// Asks `queries` and waits for all answers, at most `timeout_us`; `check` is called at
    /// least every 50 ms while nothing arrives.
    ///
    /// # Errors
    /// [`ExchangeError::Interrupted`] with what `check` returned; [`ExchangeError::System`].
    pub fn ask<E>(
        &mut self,
        queries: Vec<Query>,
        timeout_us: u64,
        check: impl FnMut() -> Result<(), E>,
    ) -> Result<Answers, ExchangeError<E>> {
        if self.pid != std::process::id() {
            (self.stream, self.pid) = (None, std::process::id());
        }
        let padded = self.route.tls.is_some();
        let mut pipeline = Pipeline::new(queries, WINDOW_MAX, padded, self.route.http.is_some());
        let before = pipeline.answered();
        let failure = match self.run(&mut pipeline, timeout_us, check) {
            Ok(()) => None,
            Err(End::Failed(error)) => Some(error),
            Err(End::Stopped(error)) => {
                // Half a question may be written: nobody could read on from there.
                self.stream = None;
                return Err(error);
            }
        };
        if failure.is_some() {
            self.stream = None;
        }
        self.answered += (pipeline.answered() - before) as u64;
        Ok(Answers { messages: pipeline.into_answers(), failure })
    }

    fn run<E>(
        &mut self,
        pipeline: &mut Pipeline,
        timeout_us: u64,
        mut check: impl FnMut() -> Result<(), E>,
    ) -> Result<(), End<E>> {
        let mut random = system_random().map_err(ExchangeError::System)?;
        let mut buffer = vec![0; READ_LEN];
        let start = Instant::now();
        while !pipeline.is_done() {
            let spent_us = start.elapsed().as_micros() as u64;
            if spent_us >= timeout_us {
                return Err(StreamError::TimedOut.into());
            }
            if self.stream.is_none() {
                self.stream = Some(Stream::open(&self.route)?);
                self.opened += 1;
            }
            let Some(stream) = self.stream.as_mut() else { continue };
            while let Some(query) = pipeline.poll_query(&mut random) {
                let bytes = match &self.route.http {
                    Some((host, path)) => http::request(host, path, &query),
                    None => frame(&query),
                };
                stream.unsent.extend_from_slice(&bytes);
            }
            let mut fds = [stream.interest()];
            match poll(&mut fds, (timeout_us - spent_us).min(WAIT_US_MAX)) {
                Ok(0) => check().map_err(ExchangeError::Interrupted)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    check().map_err(ExchangeError::Interrupted)?;
                    continue;
                }
                result => drop(result.map_err(ExchangeError::System)?),
            }
            let served = stream.service(
                fds[0].revents,
                &mut buffer,
                &mut |message| pipeline.handle_message(message),
                self.route.http.is_some(),
            );
            let ended = match served {
                Ok(Flow::Open) => continue,
                Ok(Flow::Ended) => {
                    let why = "the server closed the connection without an answer";
                    io::Error::new(io::ErrorKind::ConnectionReset, why)
                }
                Err(StreamError::Connection(error)) if broke(&error) => error,
                Err(error) => return Err(error.into()),
            };
            // It did its work before: the server closed what was idle, or had enough.
            if stream.answered == 0 && !pipeline.narrow() {
                return Err(StreamError::Connection(ended).into());
            }
            self.stream = None;
            pipeline.reopen();
        }
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.pid == std::process::id() {
            self.close();
        }
    }
}

enum End<E> {
    Failed(StreamError),
    Stopped(ExchangeError<E>),
}

impl<E> From<StreamError> for End<E> {
    fn from(error: StreamError) -> Self {
        Self::Failed(error)
    }
}

impl<E> From<ExchangeError<E>> for End<E> {
    fn from(error: ExchangeError<E>) -> Self {
        Self::Stopped(error)
    }
}

enum Flow {
    Open,
    Ended,
}

impl Stream {
    fn open(route: &Route) -> Result<Self, StreamError> {
        let domain = Domain::for_address(route.server);
        let socket = Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        // RFC 7766 §6.2.1.1: queries that follow must not wait for the answer to the first.
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&SockAddr::from(route.server)) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => {
                return Err(error.into());
            }
            _ => {}
        }
        let tls = route.tls.as_ref().map(Tls::connect).transpose()?;
        Ok(Self {
            socket,
            tls,
            unsent: Vec::new(),
            frames: Deframer::default(),
            responses: Responses::default(),
            answered: 0,
        })
    }

    fn interest(&self) -> libc::pollfd {
        let wants_write = match &self.tls {
            Some(session) => {
                session.wants_write() || !session.is_handshaking() && !self.unsent.is_empty()
            }
            None => !self.unsent.is_empty(),
        };
        let events = if wants_write { libc::POLLIN | libc::POLLOUT } else { libc::POLLIN };
        libc::pollfd { fd: self.socket.as_raw_fd(), events, revents: 0 }
    }

    /// Does what the socket is ready for; whole messages go to `take`.
    fn service(
        &mut self,
        revents: libc::c_short,
        buffer: &mut [u8],
        take: &mut dyn FnMut(Vec<u8>) -> Result<(), Mismatch>,
        http: bool,
    ) -> Result<Flow, StreamError> {
        if revents == 0 {
            return Ok(Flow::Open);
        }
        if let Some(error) = self.socket.take_error()? {
            return Err(error.into());
        }
        if revents & libc::POLLOUT != 0 {
            self.write()?;
        }
        if revents & (libc::POLLIN | libc::POLLHUP | libc::POLLERR) == 0 {
            return Ok(Flow::Open);
        }
        loop {
            let read = match &mut self.tls {
                Some(session) => dns_tls::read(session, &self.socket, buffer),
                None => (&self.socket).read(buffer),
            };
            let len = match read {
                Err(error) if waits(&error) => return Ok(Flow::Open),
                // A server that says nothing before it closes is no attack here: the messages
                // have lengths of their own.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
                result => result?,
            };
            if len == 0 {
                return Ok(Flow::Ended);
            }
            self.take_bytes(&buffer[..len], take, http)?;
            if self.responses.is_closing() {
                return Ok(Flow::Ended);
            }
        }
    }

    fn take_bytes(
        &mut self,
        bytes: &[u8],
        take: &mut dyn FnMut(Vec<u8>) -> Result<(), Mismatch>,
        http: bool,
    ) -> Result<(), StreamError> {
        if http {
            self.responses.push(bytes);
            while let Some(message) = self.responses.pop()? {
                take(message)?;
                self.answered += 1;
            }
            return Ok(());
        }
        self.frames.push(bytes);
        while let Some(message) = self.frames.pop() {
            take(message)?;
            self.answered += 1;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), StreamError> {
        match &mut self.tls {
            Some(session) => drop(dns_tls::write(session, &self.socket, &mut self.unsent)?),
            None => match (&self.socket).write(&self.unsent) {
                Err(error) if waits(&error) => {}
                result => drop(self.unsent.drain(..result?)),
            },
        }
        Ok(())
    }

    /// RFC 8446 §6.1: close_notify, as far as the socket takes it at once.
    fn say_goodbye(&mut self) {
        if let Some(session) = &mut self.tls {
            session.send_close_notify();
            let _ = session.write_tls(&mut &self.socket);
        }
    }
}

/// Whether the other side went away, rather than that something is wrong.
fn broke(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset)
}

fn waits(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

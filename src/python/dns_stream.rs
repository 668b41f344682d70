//! A kept connection to a name server from Python: TCP, TLS, HTTPS.

use super::dns::PyMessage;
use super::dns_ask::{check_edns, dig_address, timeout_us};
use super::dns_record::{ServerArg, TypeArg, edns_size, parse_name, value_error};
use super::dns_value::parse_error;
use crate::dns::pipeline::Mismatch;
use crate::dns::query::Query;
use crate::io::dns::ExchangeError;
use crate::io::dns_dnssec::{Ask, Interrupt, NoKey};
use crate::io::dns_stream::{Answers, Connection, Route, StreamError};
use crate::io::dns_tls::Tls;
use pyo3::exceptions::{PyConnectionResetError, PyOSError, PyTimeoutError, PyValueError};
use pyo3::prelude::*;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

/// How long to wait between two looks at a connection that another thread uses.
const BUSY_WAIT: Duration = Duration::from_millis(2);

/// The questions of one call, all with these settings.
#[derive(FromPyObject)]
struct Settings {
    edns: Option<i64>,
    dnssec_ok: bool,
    recursion_desired: bool,
    checking_disabled: bool,
    options: Vec<(u16, Vec<u8>)>,
}

/// A connection to one server; see `udpcore.dns.Connection`.
#[pyclass(frozen, module = "udpcore._core")]
pub(super) struct DnsConnection {
    connection: Arc<Mutex<Connection>>,
    server: SocketAddr,
    /// Server, transport and name: whose answers these are.
    source: String,
}

#[pymethods]
impl DnsConnection {
    #[new]
    fn py_new(
        server: ServerArg,
        transport: &str,
        name: &str,
        path: &str,
        cafile: Option<PathBuf>,
    ) -> PyResult<Self> {
        let alpn = (transport == "https").then_some("http/1.1");
        let tls = match transport {
            "tcp" => None,
            "tls" | "https" => Some(Tls::new(name, cafile.as_deref(), alpn)),
            other => {
                return Err(value_error(format!("transport '{other}': give tcp, tls or https")));
            }
        };
        let tls = tls.transpose().map_err(|error| value_error(error.to_string()))?;
        let printable = |text: &str| text.bytes().all(|octet| octet.is_ascii_graphic());
        if !path.starts_with('/') || !printable(path) || !printable(name) {
            return Err(value_error(format!("path {path:?}: give one such as /dns-query")));
        }
        let http = alpn.map(|_| (name.to_owned(), path.to_owned()));
        let server = server.0;
        let source = format!("{server} {transport} {name} {path} {cafile:?}");
        let connection = Arc::new(Mutex::new(Connection::new(Route { server, tls, http })));
        Ok(Self { connection, server, source })
    }

    /// Asks all `questions` at once; a message or an exception for each, in their order.
    #[pyo3(signature = (questions, settings, timeout))]
    fn ask(
        &self,
        py: Python<'_>,
        questions: Vec<(String, TypeArg)>,
        settings: Bound<'_, PyAny>,
        timeout: f64,
    ) -> PyResult<Vec<Py<PyAny>>> {
        let queries = queries(questions, &settings.extract()?)?;
        let timeout_us = timeout_us(timeout)?;
        let check = || Python::attach(|py| py.check_signals());
        let answered = py.detach(|| lock(&self.connection, check)?.ask(queries, timeout_us, check));
        to_python(py, answered?, self.server)
    }

    /// How often it was opened, and how many answers came.
    fn counters(&self, py: Python<'_>) -> (u64, u64) {
        py.detach(|| self.connection.lock().unwrap_or_else(PoisonError::into_inner).counters())
    }

    /// Closes it; the next question opens it again.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.connection.lock().unwrap_or_else(PoisonError::into_inner).close());
    }
}

impl DnsConnection {
    /// Names the place the answers come from.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// Asks one question at a time, for a validator.
    pub(super) fn ask_keys(&self, timeout_us: u64, check: fn() -> Result<(), Interrupt>) -> Ask {
        let connection = Arc::clone(&self.connection);
        Box::new(move |query| {
            let what = format!("{} of {}", query.rdtype, query.name);
            let answers = lock(&connection, check)
                .and_then(|mut held| held.ask(vec![query], timeout_us, check));
            match answers {
                Ok(Answers { mut messages, failure }) => {
                    messages.pop().flatten().ok_or_else(|| {
                        let why = failure.map_or_else(String::new, |error| error.to_string());
                        NoKey::NoAnswer(format!("{what} could not be asked for: {why}"))
                    })
                }
                Err(ExchangeError::Interrupted(why)) => Err(NoKey::Interrupted(why)),
                Err(ExchangeError::System(error)) => {
                    Err(NoKey::NoAnswer(format!("{what}: {error}")))
                }
            }
        })
    }
}

/// The connection, when no other thread uses it; `check` is called while one does.
fn lock<E>(
    connection: &Mutex<Connection>,
    mut check: impl FnMut() -> Result<(), E>,
) -> Result<MutexGuard<'_, Connection>, ExchangeError<E>> {
    loop {
        match connection.try_lock() {
            Ok(connection) => return Ok(connection),
            Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(BUSY_WAIT),
        }
        check().map_err(ExchangeError::Interrupted)?;
    }
}

fn queries(questions: Vec<(String, TypeArg)>, settings: &Settings) -> PyResult<Vec<Query>> {
    let edns = edns_size(settings.edns)?;
    check_edns(edns, settings.dnssec_ok || !settings.options.is_empty())?;
    let made = questions.into_iter().map(|(name, rdtype)| {
        let mut query = Query::new(parse_name(&name)?, rdtype.0);
        (query.edns, query.dnssec_ok) = (edns, settings.dnssec_ok);
        query.recursion_desired = settings.recursion_desired;
        query.checking_disabled = settings.checking_disabled;
        query.options.clone_from(&settings.options);
        Ok(query)
    });
    made.collect()
}

fn to_python(py: Python<'_>, answers: Answers, server: SocketAddr) -> PyResult<Vec<Py<PyAny>>> {
    let failure = answers.failure;
    let made = answers.messages.into_iter().map(|message| match (message, &failure) {
        (Some(message), _) => Ok(Bound::new(py, PyMessage::new(message))?.into_any().unbind()),
        (None, Some(error)) => Ok(exception(py, error, server)?.into_value(py).into_any()),
        (None, None) => Err(value_error("a question got lost")),
    });
    made.collect()
}

/// A new exception each time: it gathers tracebacks.
fn exception(py: Python<'_>, error: &StreamError, server: SocketAddr) -> PyResult<PyErr> {
    let text = format!("{error}: name server {}", dig_address(server));
    Ok(match error {
        StreamError::TimedOut => {
            let made = super::dns_value::registry(py)?.timeout_error.bind(py).call1((text,))?;
            PyErr::from_value(made)
        }
        StreamError::Connection(error) => connection_error(error, text),
        StreamError::Mismatch(Mismatch::Malformed(error)) => parse_error(py, *error),
        StreamError::Tls(_) => PyValueError::new_err(text),
        StreamError::Mismatch(Mismatch::Unasked) | StreamError::Http(_) => {
            PyConnectionResetError::new_err((libc::EPROTO, text))
        }
    })
}

fn connection_error(error: &io::Error, text: String) -> PyErr {
    match (error.raw_os_error(), error.kind()) {
        (Some(errno), _) => {
            let words = text.replace(&format!(" (os error {errno})"), "");
            PyOSError::new_err((errno, words))
        }
        (None, io::ErrorKind::TimedOut) => PyTimeoutError::new_err(text),
        (None, io::ErrorKind::ConnectionReset) => {
            PyConnectionResetError::new_err((libc::ECONNRESET, text))
        }
        // TLS: the certificate, or what is no TLS at all.
        (None, _) => PyOSError::new_err((libc::EPROTO, text)),
    }
}

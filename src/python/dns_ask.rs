//! Asking name servers from Python: the exchange with the GIL released, and reading its answer.

use super::dns::PyMessage;
use super::dns_record::{
    PyRecord, ServerArg, TypeArg, edns_size, found, parse_name, value_error, within,
};
use super::dns_value::{parse_error, registry};
use crate::dns::answer::{self, Verdict};
use crate::dns::client::{Config, IGNORED_WORDS, Outcome, RETRIES_MAX, Via};
use crate::dns::query::Query;
use crate::io::dns::{Exchange, ExchangeError, Report, exchange};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

/// Longest time one try may wait: a day.
const TIMEOUT_S_MAX: f64 = 86_400.0;

/// Most octets of EDNS options in a query: there must be room for the answer to repeat them.
const OPTIONS_LEN_MAX: usize = 4096;

/// Asks `servers` in turn; returns the message, who sent it, how, and after how many µs.
#[pyfunction]
#[pyo3(signature = (question, settings))]
pub(super) fn dns_exchange(
    py: Python<'_>,
    question: (String, TypeArg),
    settings: Settings,
) -> PyResult<Found> {
    let cookies = settings.cookies;
    let config = settings.config(question)?;
    let asked = config.clone();
    let report =
        py.detach(|| exchange(config, cookies, || Python::attach(|py| py.check_signals())));
    finish(py, &asked, report?)
}

/// The message, who sent it, whether over TCP, and after how many µs.
type Found = (PyMessage, String, bool, u64);

/// How to ask: the attributes of `udpcore.dns._ask.Settings`.
#[derive(FromPyObject)]
pub(super) struct Settings {
    servers: Vec<ServerArg>,
    timeout: f64,
    retries: i64,
    tcp: bool,
    edns: Option<i64>,
    dnssec_ok: bool,
    recursion_desired: bool,
    checking_disabled: bool,
    ignore_truncation: bool,
    mix_case: bool,
    options: Vec<(u16, Vec<u8>)>,
    cookies: bool,
    lifetime: Option<f64>,
}

impl Settings {
    fn config(self, (name, rdtype): (String, TypeArg)) -> PyResult<Config> {
        let edns = edns_size(self.edns)?;
        let mut query = Query::new(parse_name(&name)?, rdtype.0);
        (query.edns, query.dnssec_ok) = (edns, self.dnssec_ok);
        query.recursion_desired = self.recursion_desired;
        query.checking_disabled = self.checking_disabled;
        check_edns(edns, self.dnssec_ok || !self.options.is_empty())?;
        let octets: usize = self.options.iter().map(|(_, data)| 4 + data.len()).sum();
        if octets > OPTIONS_LEN_MAX {
            return Err(value_error(format!("{octets} octets of EDNS options, at most 4096 fit")));
        }
        query.options = self.options;
        if self.servers.is_empty() {
            return Err(value_error("no name server given"));
        }
        Ok(Config {
            query,
            servers: self.servers.into_iter().map(|server| server.0).collect(),
            timeout_us: timeout_us(self.timeout)?,
            retries: within("retries", self.retries, i64::from(RETRIES_MAX))?,
            tcp: self.tcp,
            ignore_truncation: self.ignore_truncation,
            mix_case: self.mix_case,
            cookies: Vec::new(),
            lifetime_us: self.lifetime.map(timeout_us).transpose()?,
            rtts: Vec::new(),
        })
    }
}

/// An exchange for an event loop: `wants()`, wait, `advance()`, until there is a result.
#[pyclass(frozen, module = "udpcore._core")]
pub(super) struct DnsExchange {
    asked: Config,
    exchange: Mutex<Option<Exchange>>,
}

#[pymethods]
impl DnsExchange {
    #[new]
    fn py_new(question: (String, TypeArg), settings: Settings) -> PyResult<Self> {
        let cookies = settings.cookies;
        let asked = settings.config(question)?;
        let exchange = Mutex::new(Some(Exchange::new(asked.clone(), cookies)?));
        Ok(Self { asked, exchange })
    }

    /// The sockets to wait for, each with whether for writing; and how long, in seconds.
    fn wants(&self) -> (Vec<(i32, bool)>, f64) {
        let guard = self.exchange.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(exchange) = guard.as_ref() else { return (Vec::new(), 0.0) };
        (exchange.wants().collect(), exchange.wait_us().unwrap_or(0) as f64 / 1e6)
    }

    /// Does what is due without waiting; the result, when there is one.
    fn advance(&self, py: Python<'_>) -> PyResult<Option<Found>> {
        let mut guard = self.exchange.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(exchange) = guard.as_mut() else { return Ok(None) };
        match exchange.advance(0) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        if exchange.wait_us().is_some() {
            return Ok(None);
        }
        let ended = guard.take().map(Exchange::finish);
        ended.map(|report| finish(py, &self.asked, report)).transpose()
    }

    /// Ends it: its sockets are closed.
    fn close(&self) {
        *self.exchange.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// DO is a bit of EDNS, and options are its data.
pub(super) fn check_edns(edns: Option<u16>, needed: bool) -> PyResult<()> {
    if needed && edns.is_none() {
        let text = "dnssec_ok and options are parts of EDNS: give edns a size, such as 1232";
        return Err(value_error(text));
    }
    Ok(())
}

/// Seconds from Python as µs.
pub(super) fn timeout_us(seconds: f64) -> PyResult<u64> {
    if seconds > 0.0 && seconds <= TIMEOUT_S_MAX {
        return Ok((seconds * 1e6).ceil() as u64);
    }
    let range = format!("more than 0 and at most {TIMEOUT_S_MAX} seconds");
    Err(value_error(format!("timeout={seconds} is out of range; give {range}")))
}

impl From<ExchangeError<PyErr>> for PyErr {
    fn from(error: ExchangeError<PyErr>) -> Self {
        match error {
            ExchangeError::Interrupted(raised) => raised,
            ExchangeError::System(error) => error.into(),
        }
    }
}

fn finish(py: Python<'_>, asked: &Config, report: Report) -> PyResult<Found> {
    match report.outcome {
        Outcome::Answer { message, server, via, rtt_us } => {
            Ok((PyMessage::new(message), dig_address(server), via == Via::Tcp, rtt_us))
        }
        Outcome::Failed { errno, server } => {
            let os_text = std::io::Error::from_raw_os_error(errno).to_string();
            let words = os_text.split(" (os error").next().unwrap_or_default();
            let text = format!("{words}: name server {}", dig_address(server));
            Err(PyOSError::new_err((errno, text)))
        }
        Outcome::Malformed(error) => Err(parse_error(py, error)),
        Outcome::TimedOut => {
            let error =
                registry(py)?.timeout_error.bind(py).call1((timeout_text(asked, &report),))?;
            Err(PyErr::from_value(error))
        }
    }
}

/// What was asked, whom, how long, and what came instead.
fn timeout_text(asked: &Config, report: &Report) -> String {
    let servers: Vec<_> = asked.servers.iter().map(|server| dig_address(*server)).collect();
    let mut notes = vec![format!("{} tries", report.attempts)];
    for (count, word) in report.ignored.iter().zip(IGNORED_WORDS).filter(|(n, _)| **n > 0) {
        notes.push(format!("{count} ignored: {word}"));
    }
    if let Some(fault) = report.fault {
        notes.push(fault.to_string());
    }
    format!(
        "no answer for {} {} from {} within {} s a try ({})",
        asked.query.name,
        asked.query.rdtype,
        servers.join(", "),
        asked.timeout_us as f64 / 1e6,
        notes.join(", "),
    )
}

/// `127.0.0.1#53`, as dig writes it.
pub(super) fn dig_address(server: SocketAddr) -> String {
    match server {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => {
            format!("{}%{}#{}", v6.ip(), v6.scope_id(), v6.port())
        }
        _ => format!("{}#{}", server.ip(), server.port()),
    }
}

/// What `message` says: verdict, name at the end of the chain, records, TTL in seconds.
#[pyfunction]
pub(super) fn dns_read_answer(
    message: &Bound<'_, PyMessage>,
    name: &str,
    rdtype: TypeArg,
) -> PyResult<(&'static str, String, Vec<PyRecord>, Option<u32>)> {
    let answer = answer::read(&message.get().message, &parse_name(name)?, rdtype.0);
    let records = found(&message.get().message, &answer);
    Ok((verdict_word(answer.verdict), answer.canonical.to_string(), records, answer.ttl))
}

/// The word `udpcore.dns` knows a verdict by.
pub(super) fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Found => "found",
        Verdict::NoData => "nodata",
        Verdict::NoName => "nxdomain",
        Verdict::Elsewhere => "elsewhere",
        Verdict::Referral => "referral",
        Verdict::Loop => "loop",
        Verdict::ChainTooLong => "long",
        Verdict::Failed(_) => "failed",
    }
}

/// The response code in words, with what extended errors say (RFC 8914).
#[pyfunction]
pub(super) fn dns_explain(message: &Bound<'_, PyMessage>) -> String {
    crate::dns::dump::explain(&message.get().message)
}

/// The name as it goes to the wire, in text with a final dot: checked, IDNA applied.
#[pyfunction]
pub(super) fn dns_normalise(name: &str) -> PyResult<String> {
    Ok(parse_name(name)?.to_string())
}

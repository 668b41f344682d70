//! Asking name servers from Python: the exchange with the GIL released, and reading its answer.

use super::dns::PyMessage;
use super::dns_record::{PyRecord, TypeArg, edns_size, found, parse_name, value_error, within};
use super::dns_value::{parse_error, registry};
use crate::dns::answer::{self, Verdict};
use crate::dns::client::{Config, IGNORED_WORDS, Outcome, RETRIES_MAX, Via};
use crate::dns::query::Query;
use crate::io::dns::{ExchangeError, Report, exchange};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use std::net::{IpAddr, SocketAddr};

/// Longest time one try may wait: a day.
const TIMEOUT_S_MAX: f64 = 86_400.0;

/// Most octets of EDNS options in a query: there must be room for the answer to repeat them.
const OPTIONS_LEN_MAX: usize = 4096;

/// Asks `servers` in turn; returns the message, who sent it, how, and after how many µs.
#[pyfunction]
#[pyo3(signature = (name, rdtype, servers, *, timeout, retries, tcp, edns, dnssec_ok,
                    recursion_desired, checking_disabled, ignore_truncation, mix_case,
                    options, cookies, lifetime))]
#[expect(clippy::too_many_arguments, reason = "the options of a query")]
pub(super) fn dns_exchange(
    py: Python<'_>,
    name: &str,
    rdtype: TypeArg,
    servers: Vec<(IpAddr, u16)>,
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
) -> PyResult<(PyMessage, String, bool, u64)> {
    let edns = edns_size(edns)?;
    let mut query = Query::new(parse_name(name)?, rdtype.0);
    (query.edns, query.dnssec_ok) = (edns, dnssec_ok);
    (query.recursion_desired, query.checking_disabled) = (recursion_desired, checking_disabled);
    let lifetime_us = lifetime.map(timeout_us).transpose()?;
    let timeout_us = timeout_us(timeout)?;
    let retries = within("retries", retries, i64::from(RETRIES_MAX))?;
    check_edns(edns, dnssec_ok || !options.is_empty())?;
    let octets: usize = options.iter().map(|(_, data)| 4 + data.len()).sum();
    if octets > OPTIONS_LEN_MAX {
        return Err(value_error(format!("{octets} octets of EDNS options, at most 4096 fit")));
    }
    query.options = options;
    let servers: Vec<_> = servers.into_iter().map(SocketAddr::from).collect();
    if servers.is_empty() {
        return Err(value_error("no name server given"));
    }
    let config = Config {
        query,
        servers,
        timeout_us,
        retries,
        tcp,
        ignore_truncation,
        mix_case,
        cookies: Vec::new(),
        lifetime_us,
        rtts: Vec::new(),
    };
    let asked = config.clone();
    let report =
        py.detach(|| exchange(config, cookies, || Python::attach(|py| py.check_signals())));
    finish(py, &asked, report)
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

fn finish(
    py: Python<'_>,
    asked: &Config,
    report: Result<Report, ExchangeError<PyErr>>,
) -> PyResult<(PyMessage, String, bool, u64)> {
    let report = report?;
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
    format!("{}#{}", server.ip(), server.port())
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

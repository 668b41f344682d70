//! DNSSEC from Python: the verdict on a message, kept with the message.

use super::dns::PyMessage;
use super::dns_ask::timeout_us;
use super::dns_record::{ServerArg, value_error, within};
use super::dns_stream::DnsConnection;
use crate::dns::client::{Config, RETRIES_MAX};
use crate::dns::query::Query;
use crate::dns::{Name, RdType};
use crate::io::dns_dnssec::{
    Ask, Interrupt, ROOT_ANCHOR, Security, ValidateError, over_datagrams, validate,
};
use pyo3::prelude::*;

/// Validates `message` with keys asked of `servers`, and keeps the verdict in `.security`.
#[pyfunction]
#[pyo3(signature = (message, servers, *, timeout, retries, anchor, tcp=false))]
pub(super) fn dns_validate(
    py: Python<'_>,
    message: &Bound<'_, PyMessage>,
    servers: Vec<ServerArg>,
    timeout: f64,
    retries: i64,
    anchor: Option<&str>,
    tcp: bool,
) -> PyResult<()> {
    let config = Config {
        // Only a place holder: the validator knows what to ask.
        query: Query::new(Name::root(), RdType::DNSKEY),
        servers: servers.into_iter().map(|server| server.0).collect(),
        timeout_us: timeout_us(timeout)?,
        retries: within("retries", retries, i64::from(RETRIES_MAX))?,
        tcp,
        ignore_truncation: false,
        mix_case: true,
        cookies: Vec::new(),
        lifetime_us: None,
        rtts: Vec::new(),
    };
    let source = format!("{:?}", config.servers);
    judge(py, message, &source, anchor, || over_datagrams(config, check))
}

/// The same with keys asked over `connection`, each within `timeout` seconds.
#[pyfunction]
#[pyo3(signature = (message, connection, *, timeout, anchor))]
pub(super) fn dns_validate_over(
    py: Python<'_>,
    message: &Bound<'_, PyMessage>,
    connection: &Bound<'_, DnsConnection>,
    timeout: f64,
    anchor: Option<&str>,
) -> PyResult<()> {
    let connection = connection.get();
    let timeout_us = timeout_us(timeout)?;
    judge(py, message, connection.source(), anchor, || connection.ask_keys(timeout_us, check))
}

fn judge(
    py: Python<'_>,
    message: &Bound<'_, PyMessage>,
    source: &str,
    anchor: Option<&str>,
    ask: impl FnOnce() -> Ask + Send,
) -> PyResult<()> {
    let asked = message.get();
    let anchor = anchor.unwrap_or(ROOT_ANCHOR);
    let verdict =
        py.detach(|| validate(&asked.message, source, anchor, ask(), check)).map_err(to_python)?;
    let word = match verdict.security {
        Security::Secure => "secure",
        Security::Insecure => "insecure",
        Security::Bogus => "bogus",
    };
    // A second verdict on the same message changes nothing.
    let _ = asked.security.set(py, (word, verdict.reason));
    Ok(())
}

fn check() -> Result<(), Interrupt> {
    Python::attach(|py| py.check_signals()).map_err(Interrupt::from)
}

fn to_python(error: ValidateError) -> PyErr {
    match error {
        ValidateError::Interrupted(why) => match why.downcast::<PyErr>() {
            Ok(raised) => *raised,
            Err(other) => value_error(other.to_string()),
        },
        anchor => value_error(anchor.to_string()),
    }
}

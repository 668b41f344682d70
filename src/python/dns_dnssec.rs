//! DNSSEC from Python: the verdict on a message, kept with the message.

use super::dns::PyMessage;
use super::dns_ask::timeout_us;
use super::dns_record::{value_error, within};
use crate::dns::client::{Config, RETRIES_MAX};
use crate::dns::query::Query;
use crate::dns::{Name, RdType};
use crate::io::dns_dnssec::{Interrupt, ROOT_ANCHOR, Security, ValidateError, validate};
use pyo3::prelude::*;
use std::net::{IpAddr, SocketAddr};

/// Validates `message` with keys asked of `servers`, and keeps the verdict in `.security`.
#[pyfunction]
#[pyo3(signature = (message, servers, *, timeout, retries, anchor))]
pub(super) fn dns_validate(
    py: Python<'_>,
    message: &Bound<'_, PyMessage>,
    servers: Vec<(IpAddr, u16)>,
    timeout: f64,
    retries: i64,
    anchor: Option<&str>,
) -> PyResult<()> {
    let config = Config {
        // Only a place holder: the validator knows what to ask.
        query: Query::new(Name::root(), RdType::DNSKEY),
        servers: servers.into_iter().map(SocketAddr::from).collect(),
        timeout_us: timeout_us(timeout)?,
        retries: within("retries", retries, i64::from(RETRIES_MAX))?,
        tcp: false,
        ignore_truncation: false,
        mix_case: true,
        cookies: Vec::new(),
        lifetime_us: None,
        rtts: Vec::new(),
    };
    let asked = message.get();
    let verdict = py
        .detach(|| validate(&asked.message, &config, anchor.unwrap_or(ROOT_ANCHOR), check))
        .map_err(to_python)?;
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

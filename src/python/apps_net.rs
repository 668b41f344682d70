//! `udpcore.apps`: pacing, round trips, discovery and DHCP.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::apps::discovery::{Directory, Entry, Heard};
use crate::apps::rtt::{Echo, RttStats};
use crate::flow::token_bucket::TokenBucket;
use crate::wire::{dhcp, discovery::DiscoveryMessage, echo};

/// Seconds of the caller's monotonic clock as a time.
pub(super) fn at(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|error| PyValueError::new_err(format!("{seconds} seconds: {error}")))
}

/// A panic elsewhere left the value as it was: go on.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whatever a parser or a machine refuses, as a `ValueError`.
pub(super) fn refused(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// A bucket of thousandths of tokens, so that rates below one a second exist.
#[pyclass(frozen, module = "udpcore._core")]
pub(crate) struct AppTokenBucket(Mutex<TokenBucket>);

#[pymethods]
impl AppTokenBucket {
    #[new]
    fn new(rate_milli_per_s: u64, burst_milli: u64, now: f64) -> PyResult<Self> {
        let bucket = TokenBucket::new(rate_milli_per_s, burst_milli, at(now)?);
        Ok(Self(Mutex::new(bucket.map_err(refused)?)))
    }

    /// 0.0 when the tokens were taken, else the seconds to wait.
    fn take(&self, now: f64, milli: u64) -> PyResult<f64> {
        let taken = lock(&self.0).take(at(now)?, milli);
        Ok(taken.err().map_or(0.0, |wait| wait.as_secs_f64()))
    }

    fn set_rate(&self, now: f64, rate_milli_per_s: u64) -> PyResult<()> {
        lock(&self.0).set_rate(at(now)?, rate_milli_per_s).map_err(refused)
    }
}

#[pyclass(frozen, module = "udpcore._core")]
pub(crate) struct AppRtt(Mutex<RttStats>);

#[pymethods]
impl AppRtt {
    #[new]
    fn new() -> Self {
        Self(Mutex::new(RttStats::default()))
    }

    fn sent(&self, number: u32, now: f64) -> PyResult<()> {
        lock(&self.0).sent(number, at(now)?);
        Ok(())
    }

    /// The seconds of the round trip, or `"duplicate"`, or `"unknown"`.
    fn echoed<'py>(&self, py: Python<'py>, number: u32, now: f64) -> PyResult<Bound<'py, PyAny>> {
        match lock(&self.0).echoed(number, at(now)?) {
            Echo::Answer(rtt) => Ok(rtt.as_secs_f64().into_pyobject(py)?.into_any()),
            Echo::Duplicate => Ok("duplicate".into_pyobject(py)?.into_any()),
            Echo::Unknown => Ok("unknown".into_pyobject(py)?.into_any()),
        }
    }

    fn summary<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let summary = lock(&self.0).summary();
        let out = PyDict::new(py);
        out.set_item("sent", summary.sent)?;
        out.set_item("received", summary.received)?;
        out.set_item("duplicates", summary.duplicates)?;
        out.set_item("out_of_order", summary.out_of_order)?;
        out.set_item("loss", summary.loss)?;
        out.set_item("min_s", summary.min.as_secs_f64())?;
        out.set_item("avg_s", summary.avg.as_secs_f64())?;
        out.set_item("max_s", summary.max.as_secs_f64())?;
        out.set_item("deviation_s", summary.deviation.as_secs_f64())?;
        out.set_item("jitter_s", summary.jitter.as_secs_f64())?;
        Ok(out)
    }

    fn percentile(&self, percent: u8) -> f64 {
        lock(&self.0).percentile(percent).as_secs_f64()
    }

    fn histogram(&self, buckets: usize) -> Vec<u64> {
        lock(&self.0).histogram(buckets)
    }
}

#[pyfunction]
pub(crate) fn echo_answer(datagram: &[u8], prefix: &[u8]) -> Option<Vec<u8>> {
    echo::answer(datagram, prefix)
}

#[pyfunction]
pub(crate) fn echo_probe(number: u32, payload: &[u8]) -> Vec<u8> {
    echo::compose_probe(number, payload)
}

#[pyfunction]
pub(crate) fn echo_probe_number(datagram: &[u8]) -> Option<u32> {
    echo::parse_probe(datagram)
}

/// The question as a datagram, or the announcement of a service given as JSON text.
#[pyfunction]
#[pyo3(signature = (service=None))]
pub(crate) fn discovery_compose(service: Option<String>) -> PyResult<Vec<u8>> {
    let message = service.map_or(DiscoveryMessage::Request, DiscoveryMessage::Announcement);
    message.compose().map_err(refused)
}

#[pyclass(frozen, module = "udpcore._core")]
pub(crate) struct AppDirectory(Mutex<Directory>);

type EntryTuple = (String, String, f64, f64);

#[pymethods]
impl AppDirectory {
    #[new]
    fn new(lifetime: f64) -> PyResult<Self> {
        Ok(Self(Mutex::new(Directory::new(at(lifetime)?))))
    }

    /// What the datagram was (`"request"`, `"new"`, `"again"`, `"ignored"`) and a new service.
    fn handle(
        &self,
        now: f64,
        address: &str,
        datagram: &[u8],
    ) -> PyResult<(&'static str, Option<String>)> {
        Ok(match lock(&self.0).handle(at(now)?, address, datagram) {
            Heard::Request => ("request", None),
            Heard::New(service) => ("new", Some(service)),
            Heard::Again => ("again", None),
            Heard::Ignored => ("ignored", None),
        })
    }

    fn expire(&self, now: f64) -> PyResult<Vec<EntryTuple>> {
        Ok(lock(&self.0).expire(at(now)?).iter().map(entry_tuple).collect())
    }

    fn entries(&self) -> Vec<EntryTuple> {
        lock(&self.0).entries().into_iter().map(entry_tuple).collect()
    }

    fn ignored(&self) -> u64 {
        lock(&self.0).ignored()
    }
}

fn entry_tuple(entry: &Entry) -> EntryTuple {
    let (first, last) = (entry.first.as_secs_f64(), entry.last.as_secs_f64());
    (entry.address.clone(), entry.service.clone(), first, last)
}

#[pyfunction]
pub(crate) fn dhcp_discover_compose(
    transaction: u32,
    hardware_address: [u8; 6],
    elapsed_s: u16,
    host_name: Option<String>,
) -> Vec<u8> {
    dhcp::Discover { transaction, hardware_address, elapsed_s, host_name }.compose()
}

/// A server's reply as a dict; addresses are strings.
#[pyfunction]
pub(crate) fn dhcp_parse<'py>(py: Python<'py>, datagram: &[u8]) -> PyResult<Bound<'py, PyDict>> {
    let reply = dhcp::Reply::parse(datagram).map_err(refused)?;
    let text = |address: Option<std::net::Ipv4Addr>| address.map(|address| address.to_string());
    let texts =
        |all: &[std::net::Ipv4Addr]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    let out = PyDict::new(py);
    out.set_item("kind", format!("{:?}", reply.kind).to_uppercase())?;
    out.set_item("transaction", reply.transaction)?;
    out.set_item("hardware_address", reply.hardware_address.to_vec())?;
    out.set_item("address", reply.address.to_string())?;
    out.set_item("server", text(reply.server))?;
    out.set_item("subnet_mask", text(reply.subnet_mask))?;
    out.set_item("broadcast", text(reply.broadcast))?;
    out.set_item("routers", texts(&reply.routers))?;
    out.set_item("name_servers", texts(&reply.name_servers))?;
    out.set_item("time_servers", texts(&reply.time_servers))?;
    out.set_item("domain", reply.domain)?;
    out.set_item("mtu", reply.mtu)?;
    out.set_item("lease_s", reply.lease_s)?;
    out.set_item("renewal_s", reply.renewal_s)?;
    out.set_item("rebinding_s", reply.rebinding_s)?;
    Ok(out)
}

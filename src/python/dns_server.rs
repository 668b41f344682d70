//! `udpcore.dns.Server`: a zone on a loopback port, for tests and learners.

use super::dns_record::{parse_name, value_error};
use crate::dns::zone::Zone;
use crate::io::dns_server::Server;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

/// An authoritative name server for one zone: `Server(zone_text, origin=".", host="127.0.0.1",
/// port=0)`.
///
/// It answers over UDP and TCP on a thread of its own until `close()` or the end of the `with`
/// block; port 0 takes a free one, which `.address` tells. `zone_text` is a zone file (RFC 1035
/// §5) with an SOA record; rare types (URI, CERT, KX, …) are written as RFC 3597 has it. Raises
/// ValueError for text that is no zone, OSError for an address that cannot be had. RFC 1034
/// §4.3.2.
///
/// >>> from udpcore import dns
/// >>> zone = """
/// ... $ORIGIN test.
/// ... @ 60 SOA ns me 1 2 3 4 5
/// ... www 60 A 192.0.2.1
/// ... """
/// >>> with dns.Server(zone) as server:
/// ...     dns.resolve("www.test", "A", *server.address)
/// ...
/// ['192.0.2.1']
#[pyclass(frozen, name = "Server", module = "udpcore._core")]
pub(super) struct PyDnsServer {
    server: Mutex<Server>,
    address: SocketAddr,
    origin: String,
}

#[pymethods]
impl PyDnsServer {
    #[new]
    #[pyo3(signature = (zone_text, origin=".", host="127.0.0.1", port=0))]
    fn py_new(zone_text: &str, origin: &str, host: &str, port: u16) -> PyResult<Self> {
        let host: IpAddr = host
            .parse()
            .map_err(|_| value_error(format!("host {host:?} is no IPv4 or IPv6 address")))?;
        let zone = Zone::parse(zone_text, &parse_name(origin)?).map_err(value_error)?;
        let origin = zone.origin().to_string();
        let server = Server::start(zone, SocketAddr::new(host, port))?;
        Ok(Self { address: server.address(), server: Mutex::new(server), origin })
    }

    /// Where it listens: host and port.
    #[getter]
    fn address(&self) -> (String, u16) {
        (self.address.ip().to_string(), self.address.port())
    }

    /// The name where the zone begins.
    #[getter]
    fn origin(&self) -> &str {
        &self.origin
    }

    /// Queries answered so far over `udp` and over `tcp`, and messages `ignored`.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        let counters = server.counters();
        let stats = PyDict::new(py);
        stats.set_item("udp", counters.udp.load(Ordering::Relaxed))?;
        stats.set_item("tcp", counters.tcp.load(Ordering::Relaxed))?;
        stats.set_item("ignored", counters.ignored.load(Ordering::Relaxed))?;
        Ok(stats)
    }

    /// Ends the server; a second time does nothing.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.server.lock().unwrap_or_else(PoisonError::into_inner).close());
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _trace: &Bound<'_, PyAny>,
    ) {
        self.close(py);
    }

    fn __repr__(&self) -> String {
        format!("<Server {} at {}>", self.origin, self.address)
    }
}

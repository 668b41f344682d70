//! `Datagram`: one received datagram with what the kernel tells about it.

use pyo3::prelude::*;

use super::super::address::format_v6;
use crate::io::batch::facts::Facts;

/// One received datagram and what the kernel tells about it; what it does not is None.
///
/// `data` and `address` (the sender); `truncated`: its end did not fit; `timestamp_ns`: when it
/// arrived, nanoseconds since 1970; `interface`: number of the interface it arrived at;
/// `destination`: the IP address it was sent to; `tos`: the type-of-service octet, `dscp` its
/// upper six bits (RFC 2474), `ecn` its lower two (RFC 3168); `ttl`: the hop limit on arrival;
/// `overflow`: how many datagrams the socket's full queue has cost so far, None before the first.
#[pyclass(frozen, module = "udpcore.batch")]
pub(crate) struct Datagram {
    #[pyo3(get)]
    data: Py<PyAny>,
    #[pyo3(get)]
    address: Py<PyAny>,
    #[pyo3(get)]
    truncated: bool,
    facts: Facts,
}

impl Datagram {
    pub(super) fn make<'py>(
        data: Bound<'py, PyAny>,
        address: &Bound<'py, PyAny>,
        facts: Facts,
        truncated: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = data.py();
        let (data, address) = (data.unbind(), address.clone().unbind());
        Ok(Bound::new(py, Self { data, address, truncated, facts })?.into_any())
    }

    /// What was told, by name; what was not is left out.
    fn told(&self) -> Vec<(&'static str, String)> {
        let mut told = Vec::new();
        let mut tell = |name, value: Option<String>| {
            if let Some(value) = value {
                told.push((name, value));
            }
        };
        let number = |value: i64| value.to_string();
        tell("timestamp_ns", self.facts.timestamp_ns.map(number));
        tell("interface", self.facts.interface.map(|v| v.to_string()));
        tell("destination", self.destination().map(|host| format!("'{host}'")));
        tell("tos", self.facts.tos.map(|v| format!("{v:#04x}")));
        tell("ttl", self.facts.ttl.map(|v| v.to_string()));
        tell("overflow", self.facts.overflow.map(|v| v.to_string()));
        tell("truncated", self.truncated.then(|| "True".to_owned()));
        told
    }
}

#[pymethods]
impl Datagram {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str) {
        ("data", "address")
    }

    #[getter]
    fn timestamp_ns(&self) -> Option<i64> {
        self.facts.timestamp_ns
    }

    #[getter]
    fn interface(&self) -> Option<u32> {
        self.facts.interface
    }

    #[getter]
    fn destination(&self) -> Option<String> {
        self.facts.destination.map(|host| match host {
            std::net::IpAddr::V4(host) => host.to_string(),
            std::net::IpAddr::V6(host) => format_v6(host),
        })
    }

    #[getter]
    fn tos(&self) -> Option<u8> {
        self.facts.tos
    }

    // RFC 3168 §5: the lower two bits.
    #[getter]
    fn ecn(&self) -> Option<u8> {
        self.facts.tos.map(|tos| tos & 0b11)
    }

    // RFC 2474 §3: the upper six bits.
    #[getter]
    fn dscp(&self) -> Option<u8> {
        self.facts.tos.map(|tos| tos >> 2)
    }

    #[getter]
    fn ttl(&self) -> Option<u8> {
        self.facts.ttl
    }

    #[getter]
    fn overflow(&self) -> Option<u32> {
        self.facts.overflow
    }

    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(other) = other.cast::<Self>() else { return Ok(false) };
        let other = other.get();
        Ok(self.facts == other.facts
            && self.truncated == other.truncated
            && self.data.bind(py).eq(&other.data)?
            && self.address.bind(py).eq(&other.address)?)
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        Ok(self.data.bind(py).hash()? ^ self.address.bind(py).hash()?.rotate_left(1))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let data = self.data.bind(py).repr()?;
        let address = self.address.bind(py).repr()?;
        let told: String =
            self.told().iter().map(|(name, value)| format!(", {name}={value}")).collect();
        Ok(format!("Datagram({data}, {address}{told})"))
    }
}

//! Peer addresses as Python writes them: `(host, port)`, for IPv6 also flow info and scope.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use pyo3::exceptions::{PyOSError, PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

/// The address to send to; a host name is resolved, for IPv4 or, with `ipv6`, for both.
///
/// # Errors
/// As `sendto` of the standard library: `TypeError`, `OverflowError` for the port, `gaierror` for
/// the host.
pub(crate) fn resolve(address: &Bound<'_, PyAny>, ipv6: bool) -> PyResult<SocketAddr> {
    let parts = address.cast::<PyTuple>().ok().filter(|parts| (2..=4).contains(&parts.len()));
    let Some(parts) = parts else {
        return Err(PyTypeError::new_err(format!(
            "the address must be a (host, port) tuple, not {}",
            address.repr()?
        )));
    };
    let host = parts.get_item(0)?;
    let host = host.cast::<PyString>().map_err(|_| {
        PyTypeError::new_err(format!("the host of the address must be a str, not {host:?}"))
    })?;
    let port = parse_port(&parts.get_item(1)?)?;
    let host = host.to_str()?;
    match host.parse() {
        Ok(IpAddr::V6(ip)) if parts.len() == 4 => {
            let scope = parts.get_item(3)?.extract()?;
            Ok(SocketAddrV6::new(ip, port, 0, scope).into())
        }
        Ok(ip) => Ok(SocketAddr::new(ip, port)),
        Err(_) => look_up(address.py(), host, port, ipv6),
    }
}

/// An address as the standard library gives it.
pub(crate) fn to_python<'py>(
    py: Python<'py>,
    address: SocketAddr,
) -> PyResult<Bound<'py, PyTuple>> {
    let host = address.ip().to_string();
    match address {
        SocketAddr::V4(_) => (host, address.port()).into_pyobject(py),
        SocketAddr::V6(v6) => {
            (host, address.port(), v6.flowinfo(), v6.scope_id()).into_pyobject(py)
        }
    }
}

/// An `OSError`, of the subclass that belongs to the error number.
pub(crate) fn os_error(error: &std::io::Error) -> PyErr {
    os_error_about(error, "")
}

/// The same with words after it, such as the address that was asked for.
pub(crate) fn os_error_about(error: &std::io::Error, about: &str) -> PyErr {
    match error.raw_os_error() {
        Some(errno) => {
            let text = error.to_string();
            // Rust appends " (os error N)", Python puts "[Errno N]" before.
            let text = text.split(" (os error").next().unwrap_or(&text);
            PyOSError::new_err((errno, format!("{text}{about}")))
        }
        None => PyOSError::new_err(format!("{error}{about}")),
    }
}

fn parse_port(port: &Bound<'_, PyAny>) -> PyResult<u16> {
    let number: i64 = port.extract().map_err(|error: PyErr| {
        if error.is_instance_of::<PyTypeError>(port.py()) {
            return PyTypeError::new_err(format!(
                "the port of the address must be an int, not {port:?}"
            ));
        }
        error
    })?;
    u16::try_from(number)
        .map_err(|_| PyOverflowError::new_err(format!("the port must be 0-65535, not {number}")))
}

fn look_up(py: Python<'_>, host: &str, port: u16, ipv6: bool) -> PyResult<SocketAddr> {
    let host = if host.is_empty() { "0.0.0.0" } else { host };
    let socket = py.import("socket")?;
    let family = socket.getattr(if ipv6 { "AF_UNSPEC" } else { "AF_INET" })?;
    let kind = socket.getattr("SOCK_DGRAM")?;
    let found = socket.call_method1("getaddrinfo", (host, port, family, kind))?;
    let address = found.get_item(0)?.get_item(4)?;
    let ip: String = address.get_item(0)?.extract()?;
    // A scoped address ("fe80::1%eth0") carries its scope as a number as well.
    let ip = ip.split('%').next().unwrap_or_default();
    match ip.parse() {
        Ok(IpAddr::V6(ip)) => {
            Ok(SocketAddrV6::new(ip, port, 0, address.get_item(3)?.extract()?).into())
        }
        Ok(ip) => Ok(SocketAddr::new(ip, port)),
        Err(_) => Err(PyOSError::new_err(format!("{host} has no IP address but {ip:?}"))),
    }
}

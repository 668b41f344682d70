//! getaddrinfo, getnameinfo and gethostbyname over the system's resolver, without the GIL.

use std::ffi::CString;

use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyInt, PyList, PyString, PyTuple};

use super::address::{FLOWINFO_MAX, to_python};
use super::args::{Arg, Args, c_int_of, c_long_of, c_uint_of, with_keywords};
use super::audit::audit;
use super::errors::{os_error_text, resolve_error};
use super::host::Host;
use crate::io::socket::Address;
use crate::io::socket::address::View;
use crate::io::socket::resolve::{self, Hints, ResolveError};

fn c_string(bytes: Vec<u8>) -> PyResult<CString> {
    CString::new(bytes).map_err(|_| PyValueError::new_err("embedded null character"))
}

fn host_of(value: &Bound<'_, PyAny>) -> PyResult<Option<CString>> {
    if value.is_none() {
        return Ok(None);
    }
    let bytes = if let Ok(text) = value.cast::<PyString>() {
        let encoded = text.call_method1("encode", ("idna",))?;
        encoded.cast::<PyBytes>()?.as_bytes().to_vec()
    } else if let Ok(bytes) = value.cast::<PyBytes>() {
        bytes.as_bytes().to_vec()
    } else {
        return Err(PyTypeError::new_err("getaddrinfo() argument 1 must be string or None"));
    };
    // No name has a zero byte in it: what a resolver would say, were it able to see it.
    let unknown = |_| resolve_error(value.py(), ResolveError::Resolver(libc::EAI_NONAME));
    CString::new(bytes).map(Some).map_err(unknown)
}

fn service_of(value: &Bound<'_, PyAny>) -> PyResult<Option<CString>> {
    if value.is_none() {
        return Ok(None);
    }
    let bytes = if value.is_instance_of::<PyInt>() {
        if value.py().version_info() < (3, 12) {
            // Python 3.11 refused what no C long can hold; later ones leave it to the resolver.
            c_long_of(value)?;
        }
        value.str()?.to_str()?.as_bytes().to_vec()
    } else if let Ok(text) = value.cast::<PyString>() {
        text.call_method1("encode", ("utf-8",))?.extract::<Vec<u8>>()?
    } else if let Ok(bytes) = value.cast::<PyBytes>() {
        bytes.as_bytes().to_vec()
    } else {
        return Err(os_error_text("Int or String expected"));
    };
    c_string(bytes).map(Some)
}

/// Resolves a host and a service to a list of
/// `(family, type, proto, canonname, sockaddr)`.
#[pyfunction]
#[pyo3(signature = (*args, **kwargs))]
pub(crate) fn getaddrinfo<'py>(
    py: Python<'py>,
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyList>> {
    let names = ["host", "port", "family", "type", "proto", "flags"];
    let values = with_keywords("getaddrinfo", &names, 2, args, kwargs)?;
    let [Some(host), Some(port), rest @ ..] = values.as_slice() else {
        return Err(PyTypeError::new_err("getaddrinfo() needs a host and a port"));
    };
    let mut numbers = [0; 4];
    for (number, value) in numbers.iter_mut().zip(rest) {
        *number = value.as_ref().map_or(Ok(0), c_int_of)?;
    }
    let [family, kind, protocol, flags] = numbers;
    let (name, service) = (host_of(host)?, service_of(port)?);
    let event = (host, port, family, kind, protocol).into_pyobject(py)?;
    audit(c"socket.getaddrinfo", &event)?;
    let hints = Hints { family, kind, protocol, flags };
    let found = py
        .detach(|| resolve::getaddrinfo(name.as_deref(), service.as_deref(), hints))
        .map_err(|error| resolve_error(py, error))?;
    let answers = PyList::empty(py);
    for entry in found {
        let canonical = entry.canonical.unwrap_or_default();
        let canonical = String::from_utf8_lossy(canonical.as_bytes()).into_owned();
        let address = to_python(py, &entry.address)?;
        answers.append((entry.family, entry.kind, entry.protocol, canonical, address))?;
    }
    Ok(answers)
}

/// The host name and the service name of a socket address.
#[pyfunction]
#[pyo3(
    signature = (sockaddr=Arg::MISSING, flags=Arg::MISSING, /, *rest),
    text_signature = "(sockaddr, flags, /)"
)]
pub(crate) fn getnameinfo<'py>(
    py: Python<'py>,
    sockaddr: Arg<'_, 'py>,
    flags: Arg<'_, 'py>,
    rest: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    let args = Args::new("getnameinfo", [sockaddr, flags], rest, 2)?;
    let argument = args.get(0)?;
    let flags = args.int(1)?;
    let Ok(tuple) = argument.cast::<PyTuple>() else {
        return Err(PyTypeError::new_err("getnameinfo() argument 1 must be a tuple"));
    };
    audit(c"socket.getnameinfo", &(tuple,).into_pyobject(py)?)?;
    let address = name_info_address(py, tuple)?;
    let (host, service) = py
        .detach(|| resolve::getnameinfo(&address, flags))
        .map_err(|error| resolve_error(py, error))?;
    let text = |name: CString| String::from_utf8_lossy(name.as_bytes()).into_owned();
    (text(host), text(service)).into_bound_py_any(py)
}

/// Reads the numeric `sockaddr` argument of getnameinfo.
fn name_info_address(py: Python<'_>, tuple: &Bound<'_, PyTuple>) -> PyResult<Address> {
    if !(2..=4).contains(&tuple.len()) {
        return Err(PyTypeError::new_err("getnameinfo(): illegal sockaddr argument"));
    }
    let host = tuple.get_item(0)?;
    let Ok(host) = host.cast::<PyString>() else {
        return Err(PyTypeError::new_err("getnameinfo(): illegal sockaddr argument"));
    };
    let host = c_string(host.to_str()?.as_bytes().to_vec())?;
    let port = c_int_of(&tuple.get_item(1)?)?;
    let number = |index| match tuple.get_item(index) {
        Ok(item) => c_uint_of(&item),
        Err(_) => Ok(0),
    };
    let (flow, scope) = (number(2)?, number(3)?);
    if flow > FLOWINFO_MAX {
        let text = "getnameinfo(): flowinfo must be 0-1048575.";
        return Err(PyOverflowError::new_err(text));
    }
    let service = c_string(port.to_string().into_bytes())?;
    // No name is resolved here: that would be another call's business.
    let hints = Hints { kind: libc::SOCK_DGRAM, flags: libc::AI_NUMERICHOST, ..Hints::default() };
    let found = py
        .detach(|| resolve::getaddrinfo(Some(&host), Some(&service), hints))
        .map_err(|error| resolve_error(py, error))?;
    let [one] = found.as_slice() else {
        return Err(os_error_text("sockaddr resolved to multiple addresses"));
    };
    match one.address.view() {
        View::V4(..) if tuple.len() != 2 => Err(os_error_text("IPv4 sockaddr must be 2 tuple")),
        View::V6(host, port, ..) => Ok(Address::v6(host, port, flow, scope)),
        _ => Ok(one.address.clone()),
    }
}

/// The IPv4 address of a host, as text.
#[pyfunction]
#[pyo3(
    signature = (hostname=Arg::MISSING, /, *rest),
    text_signature = "(hostname, /)"
)]
pub(crate) fn gethostbyname<'py>(
    py: Python<'py>,
    hostname: Arg<'_, 'py>,
    rest: &Bound<'py, PyTuple>,
) -> PyResult<String> {
    let args = Args::new("gethostbyname", [hostname], rest, 1)?;
    let argument = args.get(0)?;
    let host = Host::encoded(argument)?;
    audit(c"socket.gethostbyname", &(argument,).into_pyobject(py)?)?;
    match host.resolve(py, libc::AF_INET)?.view() {
        View::V4(host, _) => Ok(host.to_string()),
        _ => Err(os_error_text("address family mismatched")),
    }
}

//! Host names in addresses: read as numbers where they are, else resolved without the GIL.
//!
//! Takes str (IDNA for other scripts), bytes and bytearray; the empty name and `<broadcast>` mean
//! what they mean in the standard library.

use std::ffi::CString;
use std::net::{Ipv4Addr, Ipv6Addr};

use libc::c_int;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyString};

use super::buffer::type_name_of;
use super::errors::{os_error_text, resolve_error};
use crate::io::socket::Address;
use crate::io::socket::resolve::{Hints, getaddrinfo};

/// A host as the caller wrote it: plain bytes, names in other scripts already in IDNA form.
pub(super) enum Host {
    /// An IPv4 address in dotted form; the usual case, found without any copy.
    V4(Ipv4Addr),
    Name(CString),
}

impl Host {
    pub(super) fn of(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(text) = value.cast::<PyString>() {
            return Self::of_text(text);
        }
        let bytes = if let Ok(bytes) = value.cast::<PyBytes>() {
            bytes.as_bytes().to_vec()
        } else if let Ok(bytes) = value.cast::<PyByteArray>() {
            bytes.to_vec()
        } else {
            let given = type_name_of(value);
            let text = format!("str, bytes or bytearray expected, not {given}");
            return Err(PyTypeError::new_err(text));
        };
        Self::of_bytes(bytes)
    }

    /// A host for `gethostbyname`, which puts every str through the IDNA codec first.
    pub(super) fn encoded(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(text) = value.cast::<PyString>() {
            let encoded = text.call_method1("encode", ("idna",))?;
            return CString::new(encoded.cast::<PyBytes>()?.as_bytes()).map(Self::Name).map_err(
                |_| {
                    PyTypeError::new_err(
                        "gethostbyname() argument 1 must be encoded string without null bytes, \
                         not str",
                    )
                },
            );
        }
        Self::of(value).map_err(|_| {
            let given = type_name_of(value);
            PyTypeError::new_err(format!(
                "gethostbyname() argument 1 must be str, bytes or bytearray, not {given}"
            ))
        })
    }

    fn of_text(text: &Bound<'_, PyString>) -> PyResult<Self> {
        match text.to_str() {
            Ok(plain) if plain.is_ascii() => match plain.parse() {
                Ok(host) => Ok(Self::V4(host)),
                Err(_) => Self::of_bytes(plain.as_bytes().to_vec()),
            },
            _ => match text.call_method1("encode", ("idna",)) {
                Ok(encoded) => Self::of_bytes(encoded.cast::<PyBytes>()?.as_bytes().to_vec()),
                Err(_) => Err(PyTypeError::new_err("encoding of hostname failed")),
            },
        }
    }

    fn of_bytes(bytes: Vec<u8>) -> PyResult<Self> {
        CString::new(bytes)
            .map(Self::Name)
            .map_err(|_| PyTypeError::new_err("host name must not contain null character"))
    }

    /// The address of the host, with port 0.
    pub(super) fn resolve(&self, py: Python<'_>, family: c_int) -> PyResult<Address> {
        let dotted;
        let name = match self {
            Self::V4(host) if family != libc::AF_INET6 => return Ok(Address::v4(*host, 0)),
            Self::V4(host) => {
                dotted = CString::new(host.to_string())?;
                &dotted
            }
            Self::Name(name) => name,
        };
        let text = name.to_str().unwrap_or_default();
        if name.is_empty() {
            return wildcard(py, family);
        }
        if text == "<broadcast>" || text == "255.255.255.255" {
            if family != libc::AF_INET && family != libc::AF_UNSPEC {
                return Err(os_error_text("address family mismatched"));
            }
            return Ok(Address::v4(Ipv4Addr::BROADCAST, 0));
        }
        if family != libc::AF_INET
            && let Ok(host) = text.parse::<Ipv6Addr>()
        {
            return Ok(Address::v6(host, 0, 0, 0));
        }
        let hints = Hints { family, ..Hints::default() };
        let found = py
            .detach(|| getaddrinfo(Some(name), None, hints))
            .map_err(|error| resolve_error(py, error))?;
        match found.into_iter().next() {
            Some(first) => Ok(first.address),
            None => Err(os_error_text("unknown address family")),
        }
    }
}

/// The empty host: any address of the family.
fn wildcard(py: Python<'_>, family: c_int) -> PyResult<Address> {
    match family {
        libc::AF_INET => return Ok(Address::v4(Ipv4Addr::UNSPECIFIED, 0)),
        libc::AF_INET6 => return Ok(Address::v6(Ipv6Addr::UNSPECIFIED, 0, 0, 0)),
        _ => {}
    }
    let hints =
        Hints { family, kind: libc::SOCK_DGRAM, flags: libc::AI_PASSIVE, ..Hints::default() };
    let found = py
        .detach(|| getaddrinfo(None, Some(c"0"), hints))
        .map_err(|error| resolve_error(py, error))?;
    match found.as_slice() {
        [one] => Ok(one.address.clone()),
        _ => Err(os_error_text("wildcard resolved to multiple address")),
    }
}

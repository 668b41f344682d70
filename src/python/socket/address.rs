//! Python's addresses: `("127.0.0.1", 9999)`, `"/run/x.sock"` … to the kernel's and back.
//!
//! One function a family, with the standard library's errors. Hosts are read in `host`; what the
//! last call used is remembered in `address_cache`.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::RawFd;

use libc::c_int;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};

use super::args::{c_int_of, c_uint_of};
use super::buffer::{Input, type_name_of};
use super::errors::{os_error, os_error_text};
use super::host::Host;
use super::state::Socket;
use crate::io::socket::address::{HARDWARE_MAX, Packet, View};
use crate::io::socket::{Address, sys};

/// Reads the address argument of the method `caller`, for the socket's family.
///
/// # Errors
/// `TypeError` and `OverflowError` with the standard library's words; `gaierror`.
pub(super) fn parse(
    socket: &Socket,
    argument: &Bound<'_, PyAny>,
    caller: &str,
) -> PyResult<Address> {
    parse_as(socket.family(), socket.fd.get(), argument, caller)
}

/// As [`parse`], for any descriptor of this family.
pub(super) fn parse_as(
    family: c_int,
    fd: RawFd,
    argument: &Bound<'_, PyAny>,
    caller: &str,
) -> PyResult<Address> {
    match family {
        libc::AF_INET | libc::AF_RDS => parse_inet(argument, caller),
        libc::AF_INET6 => parse_inet6(argument, caller),
        libc::AF_UNIX => parse_unix(argument),
        libc::AF_NETLINK => parse_netlink(argument, caller),
        libc::AF_VSOCK => parse_vsock(argument, caller),
        libc::AF_PACKET => parse_packet(fd, argument, caller),
        libc::AF_CAN => parse_can(fd, argument, caller),
        _ => Err(os_error_text(format!("{caller}(): bad family"))),
    }
}

/// The tuple behind `argument`, with a number of items in `min..=max`.
fn tuple_of<'a, 'py>(
    argument: &'a Bound<'py, PyAny>,
    caller: &str,
    family: &str,
    (min, max): (usize, usize),
    shape: &str,
) -> PyResult<&'a Bound<'py, PyTuple>> {
    let Ok(tuple) = argument.cast::<PyTuple>() else {
        let given = type_name_of(argument);
        let text = format!("{caller}(): {family} address must be tuple, not {given}");
        return Err(PyTypeError::new_err(text));
    };
    if (min..=max).contains(&tuple.len()) {
        return Ok(tuple);
    }
    Err(PyTypeError::new_err(shape.to_owned()))
}

fn port_of(value: c_int, caller: &str, what: &str) -> PyResult<u16> {
    u16::try_from(value).map_err(|_| port_out_of_range(caller, what))
}

fn port_out_of_range(caller: &str, what: &str) -> PyErr {
    PyOverflowError::new_err(format!("{caller}(): {what} must be 0-65535."))
}

/// The port item of an IPv4 or IPv6 address.
fn port_number(value: &Bound<'_, PyAny>, caller: &str) -> PyResult<c_int> {
    c_int_of(value).map_err(|error| {
        let py = value.py();
        // Until Python 3.12 all ports out of range had one text.
        if py.version_info() < (3, 13) && error.is_instance_of::<PyOverflowError>(py) {
            port_out_of_range(caller, "port")
        } else {
            error
        }
    })
}

fn parse_inet(argument: &Bound<'_, PyAny>, caller: &str) -> PyResult<Address> {
    let shape = "AF_INET address must be a pair (host, port)";
    let tuple = tuple_of(argument, caller, "AF_INET", (2, 2), shape)?;
    let host = Host::of(&tuple.get_item(0)?)?;
    let port = port_number(&tuple.get_item(1)?, caller)?;
    let address = host.resolve(tuple.py(), libc::AF_INET)?;
    Ok(address.with_port(port_of(port, caller, "port")?))
}

fn parse_inet6(argument: &Bound<'_, PyAny>, caller: &str) -> PyResult<Address> {
    let shape = "AF_INET6 address must be a tuple (host, port[, flowinfo[, scopeid]])";
    let tuple = tuple_of(argument, caller, "AF_INET6", (2, 4), shape)?;
    let host = Host::of(&tuple.get_item(0)?)?;
    let port = port_number(&tuple.get_item(1)?, caller)?;
    let number = |index| match tuple.get_item(index) {
        Ok(item) => c_uint_of(&item),
        Err(_) => Ok(0),
    };
    let (flow, scope) = (number(2)?, number(3)?);
    let address = host.resolve(tuple.py(), libc::AF_INET6)?;
    let port = port_of(port, caller, "port")?;
    if flow > FLOWINFO_MAX {
        let text = format!("{caller}(): flowinfo must be 0-1048575.");
        return Err(PyOverflowError::new_err(text));
    }
    match address.view() {
        // As in the standard library the tuple's scope counts, not that of "fe80::1%eth0".
        View::V6(host, ..) => Ok(Address::v6(host, port, flow, scope)),
        _ => Err(os_error_text("address family mismatched")),
    }
}

/// RFC 8200 §3: the flow label has 20 bits.
pub(super) const FLOWINFO_MAX: u32 = 0xf_ffff;

fn parse_unix(argument: &Bound<'_, PyAny>) -> PyResult<Address> {
    let path = match argument.cast::<PyString>() {
        Ok(text) => fs_encode(text)?,
        Err(_) => Input::of(argument.clone())?.to_vec(),
    };
    Address::unix(&path).ok_or_else(|| os_error_text("AF_UNIX path too long"))
}

fn parse_netlink(argument: &Bound<'_, PyAny>, caller: &str) -> PyResult<Address> {
    let shape = "AF_NETLINK address must be a pair (pid, groups)";
    let tuple = tuple_of(argument, caller, "AF_NETLINK", (2, 2), shape)?;
    Ok(Address::netlink(c_uint_of(&tuple.get_item(0)?)?, c_uint_of(&tuple.get_item(1)?)?))
}

fn parse_vsock(argument: &Bound<'_, PyAny>, caller: &str) -> PyResult<Address> {
    let given = argument.len().unwrap_or(0);
    let shape = format!("{caller}() takes exactly 2 arguments ({given} given)");
    let tuple = tuple_of(argument, caller, "AF_VSOCK", (2, 2), &shape)?;
    Ok(Address::vsock(c_uint_of(&tuple.get_item(0)?)?, c_uint_of(&tuple.get_item(1)?)?))
}

fn parse_packet(fd: RawFd, argument: &Bound<'_, PyAny>, caller: &str) -> PyResult<Address> {
    let shape = "AF_PACKET address must be a tuple of two to five elements";
    let tuple = tuple_of(argument, caller, "AF_PACKET", (2, 5), shape)?;
    let name: String = tuple.get_item(0)?.extract()?;
    let number = |index| match tuple.get_item(index) {
        Ok(item) => c_int_of(&item),
        Err(_) => Ok(0),
    };
    let (protocol, packet_type, hardware_type) = (number(1)?, number(2)?, number(3)?);
    let hardware = match tuple.get_item(4) {
        Ok(item) => Input::of(item)?.to_vec(),
        Err(_) => Vec::new(),
    };
    let mut room = [0; HARDWARE_MAX];
    let Some(part) = room.get_mut(..hardware.len()) else {
        let text = "Hardware address must be 8 bytes or less";
        return Err(pyo3::exceptions::PyValueError::new_err(text));
    };
    part.copy_from_slice(&hardware);
    let interface = sys::interface_index(fd, name.as_bytes())
        .map_err(|errno| os_error(argument.py(), errno))?;
    let protocol = port_of(protocol, caller, "proto")?;
    Ok(Address::packet(&Packet {
        interface,
        protocol,
        // The kernel's fields are narrower than Python's ints; C cuts them off too.
        packet_type: packet_type as u8,
        hardware_type: hardware_type as u16,
        hardware: room,
        hardware_len: hardware.len() as u8,
    }))
}

fn parse_can(fd: RawFd, argument: &Bound<'_, PyAny>, caller: &str) -> PyResult<Address> {
    let shape = "AF_CAN address must be a tuple (interface, )";
    let tuple = tuple_of(argument, caller, "AF_CAN", (1, 1), shape)?;
    let name = fs_encode(tuple.get_item(0)?.cast::<PyString>()?)?;
    if name.is_empty() {
        return Ok(Address::can(0));
    }
    if name.len() >= libc::IFNAMSIZ {
        return Err(os_error_text("AF_CAN interface name too long"));
    }
    let index = sys::interface_index(fd, &name).map_err(|errno| os_error(argument.py(), errno))?;
    Ok(Address::can(index))
}

fn fs_encode(text: &Bound<'_, PyString>) -> PyResult<Vec<u8>> {
    // SAFETY: attached, and `text` is a live str; gives a new reference or an exception.
    let encoded = unsafe { ffi::PyUnicode_EncodeFSDefault(text.as_ptr()) };
    // SAFETY: as above.
    let encoded = unsafe { Bound::from_owned_ptr_or_err(text.py(), encoded) }?;
    Ok(encoded.cast::<PyBytes>()?.as_bytes().to_vec())
}

/// The Python value of an address.
pub(super) fn to_python<'py>(py: Python<'py>, address: &Address) -> PyResult<Bound<'py, PyAny>> {
    match address.view() {
        View::None => Ok(py.None().into_bound(py)),
        View::V4(host, port) => (format_v4(host).as_str(), port).into_bound_py_any(py),
        View::V6(host, port, flow, scope) => {
            (format_v6(host), port, flow, scope).into_bound_py_any(py)
        }
        View::UnixPath(path) => fs_decode(py, path),
        View::UnixAbstract(name) => Ok(PyBytes::new(py, name).into_any()),
        View::Netlink(port, groups) => (port, groups).into_bound_py_any(py),
        View::Vsock(context, port) => (context, port).into_bound_py_any(py),
        View::Can(index) => {
            let name = sys::interface_name(u32::try_from(index).unwrap_or(0));
            (fs_decode(py, &name)?,).into_bound_py_any(py)
        }
        View::Packet(packet) => packet_to_python(py, &packet),
        View::Other(family, rest) => (family, PyBytes::new(py, rest)).into_bound_py_any(py),
    }
}

fn packet_to_python<'py>(py: Python<'py>, packet: &Packet) -> PyResult<Bound<'py, PyAny>> {
    let name = sys::interface_name(u32::try_from(packet.interface).unwrap_or(0));
    let hardware = &packet.hardware[..usize::from(packet.hardware_len).min(HARDWARE_MAX)];
    let fields = (
        String::from_utf8_lossy(&name).into_owned(),
        packet.protocol,
        packet.packet_type,
        packet.hardware_type,
        PyBytes::new(py, hardware),
    );
    fields.into_bound_py_any(py)
}

fn fs_decode<'py>(py: Python<'py>, path: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let len = ffi::Py_ssize_t::try_from(path.len()).unwrap_or(0);
    // SAFETY: attached; `len` bytes at the pointer; gives a new reference or an exception.
    let text = unsafe { ffi::PyUnicode_DecodeFSDefaultAndSize(path.as_ptr().cast(), len) };
    // SAFETY: as above.
    unsafe { Bound::from_owned_ptr_or_err(py, text) }
}

/// A short text on the stack.
struct Dotted {
    bytes: [u8; 15],
    len: usize,
}

impl Dotted {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

fn format_v4(host: Ipv4Addr) -> Dotted {
    let mut dotted = Dotted { bytes: [0; 15], len: 0 };
    let mut push = |byte| {
        if let Some(place) = dotted.bytes.get_mut(dotted.len) {
            *place = byte;
            dotted.len += 1;
        }
    };
    for (index, octet) in host.octets().into_iter().enumerate() {
        if index > 0 {
            push(b'.');
        }
        if octet >= 100 {
            push(b'0' + octet / 100);
        }
        if octet >= 10 {
            push(b'0' + octet / 10 % 10);
        }
        push(b'0' + octet % 10);
    }
    dotted
}

/// As inet_ntop(3) writes it: IPv4-compatible addresses keep their dotted tail.
pub(super) fn format_v6(host: Ipv6Addr) -> String {
    let octets = host.octets();
    let compatible = octets[..12] == [0; 12] && (octets[12] != 0 || octets[13] != 0);
    if compatible {
        let [.., a, b, c, d] = octets;
        return format!("::{a}.{b}.{c}.{d}");
    }
    host.to_string()
}

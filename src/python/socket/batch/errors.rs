//! `DatagramError`: what came back for a datagram sent earlier.

use pyo3::prelude::*;
use pyo3::types::PyList;

use super::super::address::to_python;
use super::super::errors::os_error;
use super::handle::Handle;
use super::receive::copy;
use crate::io::batch::facts::{CONTROL_ROOM, Facts};
use crate::io::batch::receive::Inbox;
use crate::io::batch::report::{Origin, Report};
use crate::io::batch::room::Room;
use crate::io::socket::Errno;

/// Errors read in one call.
const ERRORS_MAX: usize = 64;
/// ICMP returns the beginning of a datagram; a local error has it all.
const DATA_MAX: usize = 2048;

/// An ICMP error, or a local one, about a datagram sent earlier.
///
/// `errno`: the system's number, for example `errno.ECONNREFUSED`; `origin`: "icmp", "icmp6" or
/// "local"; `icmp_type` and `icmp_code` (RFC 792, RFC 4443); `mtu`: how long the path takes, if
/// that was the reason; `offender`: the address of the machine that complains; `address`: where
/// the datagram was going; `data`: its beginning; `timestamp_ns`: when, if asked for.
#[pyclass(frozen, get_all, module = "udpcore.batch")]
pub(crate) struct DatagramError {
    errno: i32,
    origin: String,
    icmp_type: u8,
    icmp_code: u8,
    mtu: Option<u32>,
    offender: Option<Py<PyAny>>,
    address: Py<PyAny>,
    data: Py<PyAny>,
    timestamp_ns: Option<i64>,
}

#[pymethods]
impl DatagramError {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let name = py.import("errno")?.getattr("errorcode")?;
        let name = name
            .get_item(self.errno)
            .map_or_else(|_| self.errno.to_string(), |name| name.to_string());
        let address = self.address.bind(py).repr()?;
        let mut text = format!("DatagramError({name}, origin='{}'", self.origin);
        if self.origin.starts_with("icmp") {
            text += &format!(", icmp_type={}, icmp_code={}", self.icmp_type, self.icmp_code);
        }
        if let Some(mtu) = self.mtu {
            text += &format!(", mtu={mtu}");
        }
        if let Some(offender) = &self.offender {
            text += &format!(", offender={}", offender.bind(py).repr()?);
        }
        Ok(text + &format!(", address={address})"))
    }
}

fn origin_name(origin: Origin) -> String {
    match origin {
        Origin::Local => "local".to_owned(),
        Origin::Icmp => "icmp".to_owned(),
        Origin::Icmp6 => "icmp6".to_owned(),
        Origin::Other(number) => number.to_string(),
    }
}

/// Reads the socket's error queue, as far as it goes. Never waits.
#[pyfunction]
pub(crate) fn mmsg_errors<'py>(sock: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    let py = sock.py();
    let handle = Handle::of(sock)?;
    let list = PyList::empty(py);
    // Errors are rare: no room is kept for them.
    let Some(room) = Room::new(ERRORS_MAX * DATA_MAX) else { return Ok(list) };
    let mut inbox = Inbox::new(ERRORS_MAX, 2 * CONTROL_ROOM);
    // SAFETY: `room` outlives the call.
    let target = |slot| unsafe { room.target(slot * DATA_MAX, DATA_MAX) };
    let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
    match inbox.recv(handle.fd(), flags, (0..ERRORS_MAX).map(target)) {
        Ok(_) => {}
        Err(Errno::AGAIN) => return Ok(list),
        Err(errno) => return Err(os_error(py, errno)),
    }
    for (slot, message) in inbox.messages().enumerate() {
        let Some(report) = Report::parse(message.control()) else { continue };
        let (start, len) = room.part(slot * DATA_MAX, message.len().min(DATA_MAX));
        let offender = match &report.offender {
            Some(address) => Some(to_python(py, address)?.unbind()),
            None => None,
        };
        list.append(Bound::new(
            py,
            DatagramError {
                errno: report.errno,
                origin: origin_name(report.origin),
                icmp_type: report.icmp_type,
                icmp_code: report.icmp_code,
                mtu: report.mtu,
                offender,
                address: to_python(py, &message.address())?.unbind(),
                data: copy(py, start, len)?.unbind(),
                timestamp_ns: Facts::parse(message.control()).timestamp_ns,
            },
        )?)?;
    }
    Ok(list)
}

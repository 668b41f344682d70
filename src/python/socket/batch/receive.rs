//! `recvmmsg`: what is there, as a list.
//!
//! The kernel writes into room that belongs to the thread and is used again; each datagram is
//! then copied once, into a bytes object of its own length.

use std::cell::Cell;

use libc::c_int;
use pyo3::exceptions::{PyMemoryError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::super::address::to_python;
use super::facts::Datagram;
use super::handle::Handle;
use crate::io::batch::facts::{CONTROL_ROOM, Facts};
use crate::io::batch::receive::{Inbox, Received};
use crate::io::batch::room::Room;
use crate::io::batch::runs::{Piece, SEGMENTS_MAX, pieces};
use crate::io::batch::{CALL_MAX, coalesces};
use crate::io::socket::Address;
use crate::io::socket::wait::Interest;

/// The longest message of a coalescing socket, and then some.
pub(super) const COALESCED_MAX: usize = 65_536;
/// The most room one call takes, unless a single message wants more.
const ROOM_MAX: usize = 4 << 20;
/// The most room a thread keeps for its next call; pages nobody wrote to cost nothing.
const ROOM_KEPT_MAX: usize = ROOM_MAX;

/// Room for one call.
struct Scratch {
    room: Room,
    inbox: Inbox,
}

thread_local! {
    static SCRATCH: Cell<Option<Scratch>> = const { Cell::new(None) };
}

impl Scratch {
    /// This thread's, if it is large enough. While it is out, a signal handler's call makes its
    /// own.
    fn take(slots: usize, slot_len: usize) -> PyResult<Self> {
        let len = slots.saturating_mul(slot_len);
        let kept = SCRATCH.take();
        if let Some(kept) = kept
            && kept.room.len() >= len
            && kept.inbox.slots() >= slots
        {
            return Ok(kept);
        }
        let room = Room::new(len)
            .ok_or_else(|| PyMemoryError::new_err(format!("no room for {len} bytes")))?;
        Ok(Self { room, inbox: Inbox::new(slots, CONTROL_ROOM) })
    }

    fn keep(self) {
        if self.room.len() <= ROOM_KEPT_MAX {
            SCRATCH.set(Some(self));
        }
    }
}

/// How the room of a call is divided.
#[derive(Clone, Copy)]
struct Plan {
    slots: usize,
    slot_len: usize,
    /// Longer datagrams are cut off.
    bufsize: usize,
    coalesces: bool,
}

impl Plan {
    fn new(handle: &Handle<'_>, max_messages: isize, bufsize: isize) -> PyResult<Self> {
        let positive = |value: isize, name: &str| {
            usize::try_from(value).map_err(|_| {
                PyValueError::new_err(format!("{name} must not be negative, but is {value}"))
            })
        };
        let max = positive(max_messages, "max_messages")?;
        let bufsize = positive(bufsize, "bufsize")?;
        let coalesces = coalesces(handle.fd());
        let (max, slot_len) = if coalesces {
            (max.div_ceil(SEGMENTS_MAX), bufsize.max(COALESCED_MAX))
        } else {
            (max, bufsize)
        };
        let slots = max.min(CALL_MAX).min((ROOM_MAX / slot_len.max(1)).max(1));
        Ok(Self { slots, slot_len, bufsize, coalesces })
    }
}

/// Receives once, and makes a Python value of each datagram.
fn receive<'py>(
    handle: &Handle<'py>,
    (max_messages, bufsize): (isize, isize),
    flags: c_int,
    wants_facts: bool,
    mut make: impl FnMut(Found<'_, 'py>) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyList>> {
    let py = handle.object().py();
    let plan = Plan::new(handle, max_messages, bufsize)?;
    if plan.slots == 0 {
        return Ok(PyList::empty(py));
    }
    let mut scratch = Scratch::take(plan.slots, plan.slot_len)?;
    let Scratch { room, inbox } = &mut scratch;
    inbox.take_control(plan.coalesces || wants_facts);
    let received = handle.call(Interest::Read, |fd, extra| {
        // SAFETY: `scratch` outlives the call.
        let target = |slot| unsafe { room.target(slot * plan.slot_len, plan.slot_len) };
        inbox.recv(fd, flags | extra, (0..plan.slots).map(target))
    });
    received.map_err(|failure| failure.into_py_err(py))?;
    let mut found = Vec::with_capacity(plan.slots);
    let mut last: Option<(Address, Bound<'py, PyAny>)> = None;
    for (slot, message) in inbox.messages().enumerate() {
        let address = match &mut last {
            Some((known, value)) if message.is_from(known) => &*value,
            last => {
                let address = message.address();
                let value = to_python(py, &address)?;
                &last.insert((address, value)).1
            }
        };
        let segment = Facts::segment_of(message.control());
        let len = message.len().min(plan.slot_len);
        for Piece { offset, len } in pieces(len, segment) {
            let (ptr, kept) = room.part(slot * plan.slot_len + offset, len.min(plan.bufsize));
            let data = copy(py, ptr, kept)?;
            let truncated = message.is_truncated() || kept < len;
            found.push(make(Found { message, data, address, truncated })?);
        }
    }
    scratch.keep();
    PyList::new(py, found)
}

/// One datagram, before it becomes a Python value.
struct Found<'a, 'py> {
    message: Received<'a>,
    data: Bound<'py, PyAny>,
    address: &'a Bound<'py, PyAny>,
    truncated: bool,
}

/// A bytes object of what is at `ptr`, copied without a Rust reference to it.
pub(super) fn copy<'py>(
    py: Python<'py>,
    ptr: *const u8,
    len: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let size = ffi::Py_ssize_t::try_from(len).unwrap_or(ffi::Py_ssize_t::MAX);
    // SAFETY: attached; the callers got `ptr` and `len` from `Room::part` of a live room.
    let bytes = unsafe { ffi::PyBytes_FromStringAndSize(ptr.cast(), size) };
    // SAFETY: a new reference or an exception.
    unsafe { Bound::from_owned_ptr_or_err(py, bytes) }
}

/// `(first, second)`, quicker than through conversions.
pub(super) fn pair<'py>(
    first: &Bound<'py, PyAny>,
    second: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = first.py();
    // SAFETY: attached; two live objects follow the count.
    let tuple = unsafe { ffi::PyTuple_Pack(2, first.as_ptr(), second.as_ptr()) };
    // SAFETY: a new reference or an exception.
    unsafe { Bound::from_owned_ptr_or_err(py, tuple) }
}

/// Receives what is there as `(data, address)`.
#[pyfunction]
pub(crate) fn mmsg_recv<'py>(
    sock: &Bound<'py, PyAny>,
    max_messages: isize,
    bufsize: isize,
    flags: c_int,
) -> PyResult<Bound<'py, PyList>> {
    let handle = Handle::of(sock)?;
    receive(&handle, (max_messages, bufsize), flags, false, |found| {
        pair(&found.data, found.address)
    })
}

/// Receives what is there as [`Datagram`]s, with everything the kernel tells.
#[pyfunction]
pub(crate) fn mmsg_receive<'py>(
    sock: &Bound<'py, PyAny>,
    max_messages: isize,
    bufsize: isize,
    flags: c_int,
) -> PyResult<Bound<'py, PyList>> {
    let handle = Handle::of(sock)?;
    let wants_facts = handle.is_internet()?;
    receive(&handle, (max_messages, bufsize), flags, wants_facts, |found| {
        let facts = Facts::parse(found.message.control());
        Datagram::make(found.data, found.address, facts, found.truncated)
    })
}

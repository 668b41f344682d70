//! `DatagramBatch`: memory for many datagrams, filled again and again without copies.
//!
//! Its memory never moves, so views of it stay good for as long as they live; what they show is
//! whatever was received last. One call at a time fills or sends a batch.

use std::cell::Cell;
use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyBufferError, PyIndexError, PyMemoryError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::super::address::to_python;
use super::facts::Datagram;
use super::handle::Handle;
use super::receive::{COALESCED_MAX, copy, pair};
use crate::io::batch::facts::{CONTROL_ROOM, Facts};
use crate::io::batch::receive::Inbox;
use crate::io::batch::room::Room;
use crate::io::batch::runs::{SEGMENTS_MAX, pieces};
use crate::io::batch::{CALL_MAX, coalesces};
use crate::io::socket::sys::Source;
use crate::io::socket::wait::Interest;
use crate::io::socket::{Address, Errno};

/// The most datagrams a batch may hold: a full call of full runs.
const CAPACITY_MAX: usize = CALL_MAX * SEGMENTS_MAX;

/// One datagram of the batch.
#[derive(Clone, Copy)]
struct Entry {
    offset: usize,
    len: usize,
    /// Its message, which has the address.
    message: usize,
    truncated: bool,
}

/// What was received last.
struct Contents {
    /// Away while a call fills it.
    inbox: Option<Inbox>,
    entries: Vec<Entry>,
    /// The Python value of the last address asked for.
    address: Option<(Address, Py<PyAny>)>,
}

/// Memory for `capacity` datagrams of up to `bufsize` bytes each, filled again and again.
///
/// `recvmmsg_into(batch)` fills it, `len(batch)` says with how many; `batch[i]` is a memoryview
/// of a datagram, `batch.address(i)` its sender, `batch.datagram(i)` a copy with what the kernel
/// tells, `batch.to_list()` copies all. The memory never moves: a view stays good as long as it
/// lives, and shows whatever was received last. The batch itself is bytes-like, all of its
/// memory. `sendmmsg(batch)` sends each datagram back to where it came from.
///
/// `ValueError` for a capacity beyond 65,536 or a size below 1, `MemoryError`; `BufferError` when
/// a second call uses it at the same time.
#[pyclass(frozen, module = "udpcore")]
pub(crate) struct DatagramBatch {
    room: Room,
    capacity: usize,
    bufsize: usize,
    busy: AtomicBool,
    contents: Mutex<Contents>,
}

/// The right to fill or send a batch.
pub(super) struct Occupied<'a>(&'a AtomicBool);

impl Drop for Occupied<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

thread_local! {
    /// The part of the batch that the next view of this thread shows; all of it if not set.
    static WINDOW: Cell<Option<(usize, usize)>> = const { Cell::new(None) };
}

impl DatagramBatch {
    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn occupy(&self) -> PyResult<Occupied<'_>> {
        if self.busy.swap(true, Ordering::AcqRel) {
            let text = "the batch is in use by another call; give each thread its own";
            return Err(PyBufferError::new_err(text));
        }
        Ok(Occupied(&self.busy))
    }

    fn entry(&self, index: isize) -> PyResult<Entry> {
        let contents = self.lock();
        let len = contents.entries.len();
        let place = if index < 0 { index.checked_add_unsigned(len) } else { Some(index) };
        place
            .and_then(|place| usize::try_from(place).ok())
            .and_then(|place| contents.entries.get(place).copied())
            .ok_or_else(|| {
                PyIndexError::new_err(format!("no datagram {index}: the batch holds {len}"))
            })
    }

    /// Calls `each` with the datagrams and their senders. The batch is occupied meanwhile.
    pub(super) fn for_each(
        &self,
        mut each: impl FnMut(Source, Address) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let contents = self.lock();
        let Some(inbox) = &contents.inbox else { return Ok(()) };
        for entry in &contents.entries {
            let (start, len) = self.room.part(entry.offset, entry.len);
            // SAFETY: the room never moves, and the caller keeps the batch until all is sent.
            let source = unsafe { Source::new(start, len) };
            if let Some(message) = inbox.message(entry.message) {
                each(source, message.address())?;
            }
        }
        Ok(())
    }

    /// How the memory is divided for a call: slots and their length.
    fn division(&self, coalesces: bool) -> PyResult<(usize, usize)> {
        if !coalesces {
            return Ok((self.capacity.min(CALL_MAX), self.bufsize));
        }
        let slots = (self.capacity / SEGMENTS_MAX).min(self.room.len() / COALESCED_MAX);
        if slots == 0 {
            return Err(PyValueError::new_err(format!(
                "a batch for a socket with GRO needs room for {SEGMENTS_MAX} datagrams and \
                 {COALESCED_MAX} bytes; this one is DatagramBatch({}, {})",
                self.capacity, self.bufsize
            )));
        }
        Ok((slots.min(CALL_MAX), COALESCED_MAX))
    }

    fn fill(&self, handle: &Handle<'_>, flags: c_int) -> PyResult<usize> {
        let py = handle.object().py();
        let _occupied = self.occupy()?;
        let (slots, slot_len) = self.division(coalesces(handle.fd()))?;
        let takes_control = handle.is_internet()?;
        let mut inbox = {
            let mut contents = self.lock();
            contents.entries.clear();
            contents.inbox.take().unwrap_or_else(|| Inbox::new(self.capacity, CONTROL_ROOM))
        };
        inbox.take_control(takes_control);
        let received = handle.call(Interest::Read, |fd, extra| {
            // SAFETY: the batch, and so its room, outlives the call.
            let target = |slot| unsafe { self.room.target(slot * slot_len, slot_len) };
            inbox.recv(fd, flags | extra, (0..slots).map(target))
        });
        let mut contents = self.lock();
        if received.is_ok() {
            self.index(&inbox, slot_len, &mut contents.entries);
        }
        contents.inbox = Some(inbox);
        let count = contents.entries.len();
        drop(contents);
        received.map(|_| count).map_err(|failure| failure.into_py_err(py))
    }

    /// Cuts what was received into datagrams.
    fn index(&self, inbox: &Inbox, slot_len: usize, entries: &mut Vec<Entry>) {
        for (number, message) in inbox.messages().enumerate() {
            let segment = Facts::segment_of(message.control());
            let truncated = message.is_truncated();
            for piece in pieces(message.len().min(slot_len), segment) {
                let entry = Entry {
                    offset: number * slot_len + piece.offset,
                    len: piece.len.min(self.bufsize),
                    message: number,
                    truncated: truncated || piece.len > self.bufsize,
                };
                entries.push(entry);
            }
        }
    }

    fn address_of<'py>(&self, py: Python<'py>, entry: Entry) -> PyResult<Bound<'py, PyAny>> {
        let mut contents = self.lock();
        let Contents { inbox, address, .. } = &mut *contents;
        let message = inbox.as_ref().and_then(|inbox| inbox.message(entry.message));
        let message = message.ok_or_else(|| PyIndexError::new_err("the batch is being filled"))?;
        match address {
            Some((known, value)) if message.is_from(known) => Ok(value.bind(py).clone()),
            _ => {
                let found = message.address();
                let value = to_python(py, &found)?;
                let old = address.replace((found, value.clone().unbind()));
                drop(contents);
                drop(old);
                Ok(value)
            }
        }
    }

    fn bytes_of<'py>(&self, py: Python<'py>, entry: Entry) -> PyResult<Bound<'py, PyAny>> {
        let (start, len) = self.room.part(entry.offset, entry.len);
        copy(py, start, len)
    }

    fn facts_of(&self, entry: Entry) -> Facts {
        let contents = self.lock();
        let message = contents.inbox.as_ref().and_then(|inbox| inbox.message(entry.message));
        message.map_or_else(Facts::default, |message| Facts::parse(message.control()))
    }
}

#[pymethods]
impl DatagramBatch {
    #[new]
    #[pyo3(signature = (capacity, bufsize=2048))]
    fn new(capacity: isize, bufsize: isize) -> PyResult<Self> {
        let capacity = usize::try_from(capacity)
            .ok()
            .filter(|n| (1..=CAPACITY_MAX).contains(n))
            .ok_or_else(|| {
                let text = format!("capacity must be 1 to {CAPACITY_MAX}, not {capacity}");
                PyValueError::new_err(text)
            })?;
        let bufsize = usize::try_from(bufsize).ok().filter(|&n| n > 0).ok_or_else(|| {
            PyValueError::new_err(format!("bufsize must be at least 1, not {bufsize}"))
        })?;
        let room = capacity.checked_mul(bufsize).and_then(Room::new).ok_or_else(|| {
            PyMemoryError::new_err(format!("no room for {capacity} datagrams of {bufsize} bytes"))
        })?;
        let contents = Contents {
            inbox: None,
            entries: Vec::with_capacity(capacity.min(4096)),
            address: None,
        };
        let contents = Mutex::new(contents);
        Ok(Self { room, capacity, bufsize, busy: AtomicBool::new(false), contents })
    }

    #[getter(capacity)]
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    #[getter]
    fn bufsize(&self) -> usize {
        self.bufsize
    }

    fn __len__(&self) -> usize {
        self.lock().entries.len()
    }

    fn __getitem__<'py>(slf: &Bound<'py, Self>, index: isize) -> PyResult<Bound<'py, PyAny>> {
        let entry = slf.get().entry(index)?;
        WINDOW.set(Some((entry.offset, entry.len)));
        // SAFETY: attached, a live object; gives a new reference or an exception.
        let view = unsafe { ffi::PyMemoryView_FromObject(slf.as_ptr()) };
        WINDOW.set(None);
        // SAFETY: as above.
        unsafe { Bound::from_owned_ptr_or_err(slf.py(), view) }
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let numbers = pyo3::types::PyRange::new(py, 0, slf.len()?.try_into()?)?;
        py.import("builtins")?.call_method1("map", (slf.getattr("__getitem__")?, numbers))
    }

    fn address<'py>(&self, py: Python<'py>, index: isize) -> PyResult<Bound<'py, PyAny>> {
        self.address_of(py, self.entry(index)?)
    }

    fn truncated(&self, index: isize) -> PyResult<bool> {
        self.entry(index).map(|entry| entry.truncated)
    }

    fn datagram<'py>(&self, py: Python<'py>, index: isize) -> PyResult<Bound<'py, PyAny>> {
        let entry = self.entry(index)?;
        let address = self.address_of(py, entry)?;
        let data = self.bytes_of(py, entry)?;
        Datagram::make(data, &address, self.facts_of(entry), entry.truncated)
    }

    fn to_list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let entries = self.lock().entries.clone();
        let list = PyList::empty(py);
        for entry in entries {
            list.append(pair(&self.bytes_of(py, entry)?, &self.address_of(py, entry)?)?)?;
        }
        Ok(list)
    }

    fn clear(&self) -> PyResult<()> {
        let _occupied = self.occupy()?;
        self.lock().entries.clear();
        Ok(())
    }

    fn __repr__(&self) -> String {
        let len = self.__len__();
        format!("<DatagramBatch {len}/{} of {} bytes>", self.capacity, self.bufsize)
    }

    /// # Safety
    /// Called by Python only, with room for one view.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let room = &slf.get().room;
        let (offset, len) = WINDOW.get().unwrap_or((0, room.len()));
        let (start, len) = room.part(offset, len);
        let size = ffi::Py_ssize_t::try_from(len).unwrap_or(0);
        let owner = slf.as_ptr();
        // SAFETY: attached; `view` is Python's room for one; the view keeps `slf`, and so the
        // memory, alive.
        let failed = unsafe { ffi::PyBuffer_FillInfo(view, owner, start.cast(), size, 0, flags) };
        if failed != 0 { Err(PyErr::fetch(slf.py())) } else { Ok(()) }
    }
}

/// Receives what is there into a batch; how many datagrams.
#[pyfunction]
pub(crate) fn mmsg_recv_into(
    sock: &Bound<'_, PyAny>,
    batch: &Bound<'_, DatagramBatch>,
    flags: c_int,
) -> PyResult<usize> {
    batch.get().fill(&Handle::of(sock)?, flags)
}

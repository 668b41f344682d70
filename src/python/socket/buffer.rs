//! Python's bytes-like objects as [`Source`] and [`Target`].
//!
//! Never makes a Rust reference to the memory: another thread may write a bytearray while the
//! kernel reads it. The view (or the bytes object) keeps the memory in place.

use std::cell::RefCell;
use std::ffi::c_int;
use std::marker::PhantomPinned;
use std::mem::MaybeUninit;
use std::pin::Pin;

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::io::socket::sys::{Source, Target};

/// A readable bytes-like argument. `bytes` needs no view: it cannot change or move.
pub(super) enum Input<'py> {
    Bytes(Bound<'py, PyBytes>),
    View(View),
}

impl<'py> Input<'py> {
    /// # Errors
    /// The standard library's "a bytes-like object is required, not 'str'".
    pub(super) fn of(value: Bound<'py, PyAny>) -> PyResult<Self> {
        match value.cast_into_exact::<PyBytes>() {
            Ok(bytes) => Ok(Self::Bytes(bytes)),
            Err(error) => View::new(&error.into_inner(), ffi::PyBUF_SIMPLE).map(Self::View),
        }
    }

    /// Where the bytes are, for as long as `self` lives.
    pub(super) fn source(&self) -> Source {
        let (ptr, len) = match self {
            Self::Bytes(bytes) => {
                let bytes = bytes.as_bytes();
                (bytes.as_ptr(), bytes.len())
            }
            Self::View(view) => (view.filled.ptr.cast_const(), view.len()),
        };
        // SAFETY: the bytes object or the view, owned by `self`, keeps the memory in place; the
        // callers keep `self` until the system call is over.
        unsafe { Source::new(ptr, len) }
    }

    /// A copy of the bytes.
    pub(super) fn to_vec(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.as_bytes().to_vec(),
            Self::View(view) => view.to_vec(),
        }
    }
}

/// Room for one buffer view, which must not move once filled: some exporters leave pointers
/// into the structure itself.
pub(super) struct ViewSlot {
    raw: MaybeUninit<ffi::Py_buffer>,
    filled: bool,
    _pinned: PhantomPinned,
}

impl ViewSlot {
    pub(super) const fn empty() -> Self {
        Self { raw: MaybeUninit::uninit(), filled: false, _pinned: PhantomPinned }
    }

    /// Views `value`; gives back where its bytes are.
    fn fill(self: Pin<&mut Self>, value: &Bound<'_, PyAny>, flags: c_int) -> PyResult<Filled> {
        // SAFETY: nothing is moved out of the pinned structure.
        let slot = unsafe { self.get_unchecked_mut() };
        debug_assert!(!slot.filled, "a slot is filled once");
        // SAFETY: attached; `raw` is room for one view.
        let failed =
            unsafe { ffi::PyObject_GetBuffer(value.as_ptr(), slot.raw.as_mut_ptr(), flags) };
        if failed != 0 {
            return Err(PyErr::fetch(value.py()));
        }
        slot.filled = true;
        // SAFETY: the call filled the structure.
        let raw = unsafe { slot.raw.assume_init_ref() };
        Ok(Filled { ptr: raw.buf.cast(), len: usize::try_from(raw.len).unwrap_or(0) })
    }

    /// A writable view for the method `name`, the argument at `position` (from 1). The result is
    /// good for as long as the slot lives.
    pub(super) fn writable(
        self: Pin<&mut Self>,
        value: &Bound<'_, PyAny>,
        name: &str,
        position: usize,
    ) -> PyResult<Filled> {
        self.fill(value, ffi::PyBUF_WRITABLE).map_err(|_| {
            let given = type_name(value);
            PyTypeError::new_err(format!(
                "{name}() argument {position} must be read-write bytes-like object, not {given}"
            ))
        })
    }
}

impl Drop for ViewSlot {
    fn drop(&mut self) {
        if self.filled {
            // SAFETY: slots live in calls of methods, so this thread is attached; the view was
            // filled by `PyObject_GetBuffer` and is released once.
            unsafe { ffi::PyBuffer_Release(self.raw.as_mut_ptr()) };
        }
    }
}

/// Where the bytes of a filled slot are.
#[derive(Clone, Copy)]
pub(super) struct Filled {
    ptr: *mut u8,
    len: usize,
}

impl Filled {
    pub(super) fn len(self) -> usize {
        self.len
    }

    /// The first `len` bytes as room to receive into.
    pub(super) fn target(self, len: usize) -> Target {
        // SAFETY: the slot keeps that many bytes in place until it is dropped, which the callers
        // do after the system call.
        unsafe { Target::new(self.ptr, len.min(self.len)) }
    }
}

/// A view on the heap, for lists of buffers.
pub(super) struct View {
    slot: Pin<Box<ViewSlot>>,
    filled: Filled,
}

impl View {
    fn new(value: &Bound<'_, PyAny>, flags: c_int) -> PyResult<Self> {
        let mut slot = Box::pin(ViewSlot::empty());
        let filled = slot.as_mut().fill(value, flags)?;
        Ok(Self { slot, filled })
    }

    /// A writable view of one of several buffers.
    pub(super) fn writable(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::new(value, ffi::PyBUF_WRITABLE)
    }

    pub(super) fn len(&self) -> usize {
        debug_assert!(self.slot.filled, "made by `new`");
        self.filled.len
    }

    pub(super) fn target(&self) -> Target {
        self.filled.target(self.len())
    }

    fn to_vec(&self) -> Vec<u8> {
        if self.len() == 0 {
            return Vec::new();
        }
        // SAFETY: the view is that many bytes, and while attached nobody writes them.
        unsafe { std::slice::from_raw_parts(self.filled.ptr, self.filled.len) }.to_vec()
    }
}

/// The name of a value's type, as CPython's C code prints it.
pub(super) fn type_name(value: &Bound<'_, PyAny>) -> String {
    if value.is_none() {
        return "None".to_owned();
    }
    type_name_of(value)
}

/// As [`type_name`], but `None` is "NoneType".
pub(super) fn type_name_of(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "object".to_owned(), |name| name.to_string())
}

/// The largest size that is received into the thread's scratch room first.
pub(super) const SCRATCH_LEN: usize = 65_536;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> =
        RefCell::new(vec![0; SCRATCH_LEN].into_boxed_slice());
}

/// Room of [`SCRATCH_LEN`] bytes that belongs to this thread and lives as long as it.
///
/// Whoever receives into it copies the bytes out before anything else can run on this thread.
pub(super) fn scratch() -> *mut u8 {
    SCRATCH.with_borrow_mut(|room| room.as_mut_ptr())
}

unsafe extern "C" {
    // In the stable ABI since 3.2; pyo3 does not export it.
    fn _PyBytes_Resize(bytes: *mut *mut ffi::PyObject, len: ffi::Py_ssize_t) -> c_int;
}

/// A bytes object that is received into directly and cut to length afterwards.
pub(super) struct BytesRoom<'py> {
    bytes: *mut ffi::PyObject,
    len: usize,
    py: Python<'py>,
}

impl<'py> BytesRoom<'py> {
    /// # Errors
    /// `MemoryError`.
    pub(super) fn new(py: Python<'py>, len: usize) -> PyResult<Self> {
        let size = ffi::Py_ssize_t::try_from(len).unwrap_or(ffi::Py_ssize_t::MAX);
        // SAFETY: attached; a null source asks for uninitialised room.
        let bytes = unsafe { ffi::PyBytes_FromStringAndSize(std::ptr::null(), size) };
        if bytes.is_null() { Err(PyErr::fetch(py)) } else { Ok(Self { bytes, len, py }) }
    }

    pub(super) fn target(&self) -> Target {
        // SAFETY: a live bytes object, not yet seen by anybody else.
        let ptr: *mut u8 = unsafe { ffi::PyBytes_AsString(self.bytes) }.cast();
        // SAFETY: the object has `len` bytes and is dropped after the system call.
        unsafe { Target::new(ptr, self.len) }
    }

    /// The first `len` bytes.
    pub(super) fn finish(mut self, len: usize) -> PyResult<Bound<'py, PyAny>> {
        let size = ffi::Py_ssize_t::try_from(len.min(self.len)).unwrap_or(0);
        // SAFETY: attached; the object is ours alone, as the call demands. On failure it frees
        // the object and sets the pointer to null.
        let failed = unsafe { _PyBytes_Resize(&mut self.bytes, size) };
        if failed != 0 {
            return Err(PyErr::fetch(self.py));
        }
        let bytes = std::mem::replace(&mut self.bytes, std::ptr::null_mut());
        // SAFETY: a new reference, handed on.
        unsafe { Bound::from_owned_ptr_or_err(self.py, bytes) }
    }
}

impl Drop for BytesRoom<'_> {
    fn drop(&mut self) {
        // SAFETY: attached; null or a reference we own.
        unsafe { ffi::Py_XDECREF(self.bytes) };
    }
}

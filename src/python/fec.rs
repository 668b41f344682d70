//! `udpcore.fec`'s Rust half: the block code, and transfers with repair datagrams.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use crate::fec::block::BlockCode;
use crate::fec::error::CodeError;
use crate::fec::kernel::Kernel;
use crate::fec::transfer::TransferReceiver;
use crate::fec::transfer_send::datagrams;
use crate::python::argument::parse;
use crate::python::bytes_like::{bytes_of, into_bytes};
use crate::python::new_bytes::new_bytes;
use crate::python::peer_address::{resolve, to_python};

/// Work, in bytes of chunks, above which the GIL is released.
const LONG_WORK_BYTES: usize = 256 << 10;

/// The sender's half of the block code.
#[pyclass(frozen, subclass, module = "udpcore._core")]
pub(crate) struct FecEncoder(BlockCode);

#[pymethods]
impl FecEncoder {
    #[new]
    fn new(k: &Bound<'_, PyAny>, m: &Bound<'_, PyAny>) -> PyResult<Self> {
        block_code(k, m).map(Self)
    }

    /// How many source chunks there are.
    #[getter]
    fn k(&self) -> usize {
        self.0.k()
    }

    /// How many repair chunks there are.
    #[getter]
    fn m(&self) -> usize {
        self.0.m()
    }

    /// The instructions in use: "gfni-avx512", "gfni-avx2", "avx2", "ssse3", "neon" or "scalar".
    #[getter]
    fn kernel(&self) -> &'static str {
        Kernel::best().name()
    }

    /// Return the `m` repair chunks of the `k` source chunks `chunks`.
    ///
    /// The chunks may have any lengths; a repair chunk is as long as the longest of them and four
    /// bytes, which protect the lengths. Number them from `k` on for the decoder.
    fn encode<'py>(
        &self,
        py: Python<'py>,
        chunks: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyList>> {
        let mut given = Vec::with_capacity(self.0.k());
        match chunks.cast::<PyList>() {
            Ok(list) => list.iter().try_for_each(|chunk| push(&mut given, chunk))?,
            Err(_) => chunks.try_iter()?.try_for_each(|chunk| push(&mut given, chunk?))?,
        }
        let views: Vec<&[u8]> = given.iter().map(|chunk| chunk.as_bytes()).collect();
        let len = self.0.repair_len(&views);
        let repairs = new_bytes(py, self.0.m(), len, |repairs| {
            let work = || self.0.encode_into(&views, repairs);
            heavy(py, len * views.len(), work).map_err(code_error)
        })?;
        PyList::new(py, repairs)
    }
}

/// The receiver's half of the block code.
#[pyclass(frozen, subclass, module = "udpcore._core")]
pub(crate) struct FecDecoder(BlockCode);

#[pymethods]
impl FecDecoder {
    #[new]
    fn new(k: &Bound<'_, PyAny>, m: &Bound<'_, PyAny>) -> PyResult<Self> {
        block_code(k, m).map(Self)
    }

    /// How many source chunks there are.
    #[getter]
    fn k(&self) -> usize {
        self.0.k()
    }

    /// How many repair chunks there are.
    #[getter]
    fn m(&self) -> usize {
        self.0.m()
    }

    /// Return all `k` source chunks from `chunks`, a dict from numbers to chunks.
    ///
    /// Source chunks are numbered from 0, repair chunks from `k`. Raises ValueError when fewer
    /// than `k` are there, a number does not exist, or the chunks do not fit together. Chunks
    /// with altered bytes cannot be noticed here: use a checksum above it.
    fn decode<'py>(
        &self,
        py: Python<'py>,
        chunks: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyList>> {
        let given = chunks;
        let mut chunks: Vec<(usize, Bound<'py, PyBytes>)> = Vec::with_capacity(given.len());
        for (index, chunk) in given {
            chunks.push((index.extract()?, into_bytes(chunk)?));
        }
        chunks.sort_unstable_by_key(|(index, _)| *index);
        let views: Vec<(usize, &[u8])> =
            chunks.iter().map(|(index, chunk)| (*index, chunk.as_bytes())).collect();
        let size = views.iter().map(|(_, chunk)| chunk.len()).sum();
        let recovery = self.0.recovery(views).map_err(code_error)?;
        let found = new_bytes(py, recovery.lost().len(), recovery.room(), |rooms| {
            heavy(py, size, || recovery.run(rooms)).map_err(code_error)
        })?;
        let cut = |((_, len), chunk): ((usize, usize), Bound<'py, PyBytes>)| match chunk.as_bytes()
        {
            bytes if bytes.len() == len => chunk,
            bytes => PyBytes::new(py, &bytes[..len]),
        };
        let found = recovery.lost().zip(found).map(cut).collect();
        merge(py, self.0.k(), chunks, found)
    }
}

/// The `k` source chunks: those that were there, and in the gaps those that were found.
fn merge<'py>(
    py: Python<'py>,
    k: usize,
    there: Vec<(usize, Bound<'py, PyBytes>)>,
    found: Vec<Bound<'py, PyBytes>>,
) -> PyResult<Bound<'py, PyList>> {
    let (mut there, mut found) = (there.into_iter().peekable(), found.into_iter());
    let mut whole = Vec::with_capacity(k);
    whole.extend((0..k).filter_map(|index| match there.next_if(|(i, _)| *i == index) {
        Some((_, chunk)) => Some(chunk),
        None => found.next(),
    }));
    PyList::new(py, whole)
}

fn push<'py>(to: &mut Vec<Bound<'py, PyBytes>>, chunk: Bound<'py, PyAny>) -> PyResult<()> {
    to.push(into_bytes(chunk)?);
    Ok(())
}

/// Runs `work`, without the GIL if it takes long.
fn heavy<T: Send>(py: Python<'_>, size: usize, work: impl FnOnce() -> T + Send) -> T {
    if size < LONG_WORK_BYTES { work() } else { py.detach(work) }
}

fn block_code(k: &Bound<'_, PyAny>, m: &Bound<'_, PyAny>) -> PyResult<BlockCode> {
    let (k, m) = (parse("k", k, "1 to 65535")?, parse("m", m, "0 to 65534")?);
    BlockCode::new(k, m).map_err(code_error)
}

fn code_error(error: CodeError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// The datagrams that carry `data`: source chunks first, then `max(1, ceil(k * redundancy))`
/// repair chunks.
#[pyfunction]
pub(crate) fn fec_datagrams<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyAny>,
    redundancy: f64,
    chunk_size: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyList>> {
    if !(0.0..=100.0).contains(&redundancy) {
        return Err(PyValueError::new_err(format!(
            "redundancy must be a fraction from 0 to 100, not {redundancy}"
        )));
    }
    let chunk_size = parse("chunk_size", chunk_size, "1 to 65491")?;
    let data = bytes_of(data)?;
    let bytes = data.as_bytes();
    // A product like 10 * 0.3 = 3.0000000000000004 must not cost a chunk more.
    let repairs = |k: usize| ((k as f64 * redundancy - 1e-9).ceil() as usize).max(1);
    let made = heavy(py, bytes.len(), || datagrams(bytes, chunk_size, repairs));
    let made = made.map_err(|error| PyValueError::new_err(error.to_string()))?;
    PyList::new(py, made.iter().map(|datagram| PyBytes::new(py, datagram)))
}

/// The receiver of such datagrams.
#[pyclass(frozen, module = "udpcore._core")]
pub(crate) struct FecReceiver {
    machine: Mutex<TransferReceiver>,
    start: Instant,
}

#[pymethods]
impl FecReceiver {
    #[new]
    fn new() -> Self {
        Self { machine: Mutex::default(), start: Instant::now() }
    }

    /// The data, if this datagram completes a transfer.
    fn handle<'py>(
        &self,
        py: Python<'py>,
        datagram: &[u8],
        address: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let from = resolve(address, true)?;
        let done = self.machine().handle_datagram(self.start.elapsed(), from, datagram);
        // What does not follow the format is counted.
        Ok(done.ok().flatten().map(|data| PyBytes::new(py, &data)))
    }

    /// The data of a plain sender that has gone quiet, and its address.
    fn handle_timeout<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Option<(Bound<'py, PyBytes>, Bound<'py, PyTuple>)>> {
        let done = self.machine().handle_timeout(self.start.elapsed());
        done.map(|(from, data)| Ok((PyBytes::new(py, &data), to_python(py, from)?))).transpose()
    }

    /// In how many seconds to call `handle_timeout`.
    fn next_timeout(&self) -> Option<f64> {
        let due = self.machine().poll_timeout()?;
        Some(due.saturating_sub(self.start.elapsed()).as_secs_f64())
    }

    /// (datagrams, completed, repaired, abandoned, corrupt, duplicates, malformed).
    fn stats(&self) -> (u64, u64, u64, u64, u64, u64, u64) {
        let s = self.machine().stats();
        let ends = (s.completed, s.repaired, s.abandoned, s.corrupt);
        (s.datagrams, ends.0, ends.1, ends.2, ends.3, s.duplicates, s.malformed)
    }
}

impl FecReceiver {
    fn machine(&self) -> MutexGuard<'_, TransferReceiver> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

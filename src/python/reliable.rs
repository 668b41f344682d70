//! `udpcore.reliable`'s Rust half: the `UDPWithACK` endpoint and the sequence detector.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyOSError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::arq::ack::AckConfig;
use crate::arq::ack_receiver::Received;
use crate::arq::ack_sender::{SendError, Status};
use crate::arq::send_policy::SendPolicy;
use crate::arq::sequence::{Arrival, SequenceDetector as Detector, SequenceStats};
use crate::flow::time::Micros;
use crate::io::ack_endpoint::{AckEndpoint as Endpoint, AckError, PendingInfo};
use crate::python::bytes_like::bytes_of;
use crate::python::peer_address::{os_error, resolve, to_python};
use crate::python::wait::{parse_timeout, wait_for};
use crate::wire::sequence::SequencedText;
use crate::wire::serial::Serial;

type Address<'py> = Bound<'py, PyTuple>;
type Message<'py> = (Bound<'py, PyBytes>, Address<'py>);

/// One `UDPWithACK` endpoint: socket, machine and thread.
#[pyclass(frozen, module = "udpcore._core")]
pub(crate) struct AckEndpoint(Endpoint);

#[pymethods]
impl AckEndpoint {
    #[new]
    fn new(
        fd: i32,
        max_pending: usize,
        max_queued: usize,
        first_seq: u32,
        events: bool,
    ) -> PyResult<Self> {
        let first_seq = Serial::new(first_seq);
        let config =
            AckConfig { first_seq, max_pending, max_queued, events, ..AckConfig::default() };
        Ok(Self(Endpoint::from_fd(fd, config).map_err(|error| os_error(&error))?))
    }

    fn send(
        &self,
        data: &Bound<'_, PyAny>,
        dest_addr: &Bound<'_, PyAny>,
        max_retries: &Bound<'_, PyAny>,
        timeout: &Bound<'_, PyAny>,
    ) -> PyResult<u32> {
        let py = data.py();
        let policy = parse_policy(max_retries, timeout)?;
        let data = bytes_of(data)?;
        let data = data.as_bytes();
        let to = resolve(dest_addr, self.0.local_addr().is_ipv6())?;
        loop {
            match self.0.send(to, data, policy) {
                Err(AckError::Refused(SendError::WindowFull)) => {
                    wait_for(py, None, |slice| self.0.wait_room(slice).then_some(()))?;
                }
                sent => return sent.map(Serial::get).map_err(send_error),
            }
        }
    }

    fn receive<'py>(
        &self,
        py: Python<'py>,
        timeout: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Message<'py>>> {
        let received = match self.0.try_receive() {
            None => self.wait_receive(py, parse_timeout(timeout)?)?,
            received => received,
        };
        received.map(|received| message(py, received)).transpose()
    }

    fn receive_many<'py>(
        &self,
        py: Python<'py>,
        count: usize,
        timeout: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<Message<'py>>> {
        let Some(first) = self.wait_receive(py, parse_timeout(timeout)?)? else {
            return Ok(Vec::new());
        };
        let more = std::iter::from_fn(|| self.0.try_receive());
        let received = std::iter::once(first).chain(more).take(count.max(1));
        received.map(|received| message(py, received)).collect()
    }

    fn wait(&self, py: Python<'_>, seq: u32, timeout: &Bound<'_, PyAny>) -> PyResult<bool> {
        let timeout = parse_timeout(timeout)?;
        let seq = Serial::new(seq);
        let settled = |status: Status| (status != Status::Pending).then_some(status);
        match wait_for(py, timeout, |slice| settled(self.0.wait(seq, slice)))? {
            Some(Status::Unknown) => Err(PyValueError::new_err(format!(
                "message {seq} was never sent, or failed so long ago that it is forgotten"
            ))),
            status => Ok(status == Some(Status::Acked)),
        }
    }

    fn wait_idle(&self, py: Python<'_>, timeout: &Bound<'_, PyAny>) -> PyResult<bool> {
        let timeout = parse_timeout(timeout)?;
        let idle = wait_for(py, timeout, |slice| self.0.wait_idle(slice).then_some(()))?;
        Ok(idle.is_some())
    }

    fn pending<'py>(&self, py: Python<'py>) -> PyResult<BTreeMap<u32, (Address<'py>, u32, f64)>> {
        let entry = |p: PendingInfo| {
            let address = to_python(py, p.to)?;
            Ok((p.seq.get(), (address, p.retries, p.age.as_secs_f64())))
        };
        self.0.pending().into_iter().map(entry).collect()
    }

    fn pending_count(&self) -> usize {
        self.0.pending_count()
    }

    #[pyo3(signature = (take=false))]
    fn failures<'py>(
        &self,
        py: Python<'py>,
        take: bool,
    ) -> PyResult<BTreeMap<u32, (Address<'py>, &'static str, u32)>> {
        let failures = if take { self.0.take_failures() } else { self.0.failures() };
        let entry = |(seq, failure): (Serial, crate::arq::ack_sender::Failure)| {
            let address = to_python(py, failure.to)?;
            Ok((seq.get(), (address, failure.reason.as_str(), failure.retries)))
        };
        failures.into_iter().map(entry).collect()
    }

    fn stats(&self) -> BTreeMap<&'static str, u64> {
        let (stats, io) = self.0.stats();
        let io = [("unreachable", io.unreachable), ("system_errors", io.system_errors)];
        stats.named().into_iter().chain(io).collect()
    }

    fn events(&self) -> (Vec<String>, u64) {
        let (events, lost) = self.0.take_events();
        (events.iter().map(ToString::to_string).collect(), lost)
    }

    fn next_seq(&self) -> u32 {
        self.0.next_seq().get()
    }

    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }
}

impl AckEndpoint {
    fn wait_receive(
        &self,
        py: Python<'_>,
        timeout: Option<Duration>,
    ) -> PyResult<Option<Received>> {
        let received = wait_for(py, timeout, |slice| {
            let received = self.0.receive(slice);
            // Closed: nothing will come any more, stop waiting.
            let over = received.is_none() && self.0.is_closed();
            (received.is_some() || over).then_some(received)
        })?;
        match received.flatten() {
            None if self.0.is_closed() => Err(closed_error()),
            received => Ok(received),
        }
    }
}

/// Numbered texts: what was lost, late, or came twice, per peer.
#[pyclass(frozen, module = "udpcore._core")]
pub(crate) struct SequenceDetector {
    machine: Mutex<Detector>,
    start: Instant,
}

#[pymethods]
impl SequenceDetector {
    #[new]
    fn new() -> Self {
        Self { machine: Mutex::new(Detector::new()), start: Instant::now() }
    }

    /// The text, and what it is: "in order", "gap", "late", "duplicate", "restarted"; and how
    /// many numbers are missing before it. `None` for what does not follow the format.
    fn handle(
        &self,
        datagram: &[u8],
        address: &Bound<'_, PyAny>,
    ) -> PyResult<Option<(u32, String, &'static str, u32)>> {
        let from = resolve(address, true)?;
        let now = Micros::ZERO + self.start.elapsed();
        let Ok((message, arrival)) = self.machine().handle_datagram(now, from, datagram) else {
            return Ok(None);
        };
        let (name, missing) = match arrival {
            Arrival::InOrder => ("in order", 0),
            Arrival::Gap(missing) => ("gap", missing),
            Arrival::Late => ("late", 0),
            Arrival::Duplicate => ("duplicate", 0),
            Arrival::Restarted => ("restarted", 0),
        };
        Ok(Some((message.seq.get(), message.text.to_owned(), name, missing)))
    }

    fn expected(&self) -> u32 {
        self.machine().expected().get()
    }

    /// (received, lost, late, duplicates, restarts, malformed), of all peers together.
    fn stats(&self) -> (u64, u64, u64, u64, u64, u64) {
        let machine = self.machine();
        let SequenceStats { received, lost, late, duplicates, restarts } = machine.stats();
        (received, lost, late, duplicates, restarts, machine.malformed())
    }

    /// The same per peer: (address, expected, received, lost, late, duplicates, restarts).
    #[allow(clippy::type_complexity, reason = "a row of a table")]
    fn peers<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Vec<(Address<'py>, u32, u64, u64, u64, u64, u64)>> {
        let machine = self.machine();
        let row = |(&address, peer): (&_, &crate::arq::sequence::PeerSequence)| {
            let SequenceStats { received, lost, late, duplicates, restarts } = peer.stats();
            let address = to_python(py, address)?;
            Ok((address, peer.expected().get(), received, lost, late, duplicates, restarts))
        };
        machine.peers().map(row).collect()
    }
}

impl SequenceDetector {
    fn machine(&self) -> std::sync::MutexGuard<'_, Detector> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The datagram `[seq u32][utf-8 text]`.
#[pyfunction]
pub(crate) fn compose_sequence<'py>(py: Python<'py>, seq: u32, text: &str) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &SequencedText { seq: Serial::new(seq), text }.compose())
}

fn parse_policy(
    max_retries: &Bound<'_, PyAny>,
    timeout: &Bound<'_, PyAny>,
) -> PyResult<SendPolicy> {
    let retries: i64 = max_retries.extract()?;
    let retries = u32::try_from(retries).map_err(|_| {
        PyValueError::new_err(format!("max_retries must be 0 to 1000, not {retries}"))
    })?;
    let Some(timeout) = parse_timeout(timeout)? else {
        return Err(PyTypeError::new_err("timeout must be a number of seconds, not None"));
    };
    SendPolicy::new(retries, timeout).map_err(|error| PyValueError::new_err(error.to_string()))
}

fn message(py: Python<'_>, received: Received) -> PyResult<Message<'_>> {
    Ok((PyBytes::new(py, &received.payload), to_python(py, received.from)?))
}

fn send_error(error: AckError) -> PyErr {
    match error {
        AckError::System(error) => os_error(&error),
        AckError::Refused(SendError::Closed) => closed_error(),
        AckError::Refused(error) => PyOSError::new_err((libc::EMSGSIZE, error.to_string())),
    }
}

fn closed_error() -> PyErr {
    PyOSError::new_err((libc::EBADF, "the endpoint is closed"))
}

//! `udpcore.reliable`'s connections: endpoint and connection of the transport's driver.

use std::collections::VecDeque;
use std::os::fd::IntoRawFd;
use std::time::Duration;

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{
    PyBrokenPipeError, PyConnectionAbortedError, PyConnectionResetError, PyEOFError,
    PyRuntimeError, PyTimeoutError, PyTypeError, PyValueError,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use crate::io::transport::{Connection, Endpoint, Notifier, generate_key};
use crate::python::peer_address::{os_error, os_error_about, resolve, to_python};
use crate::python::transport_options::{
    parse_channel, parse_count, parse_message, parse_mode, parse_options, parse_security,
};
use crate::python::wait::{parse_timeout, wait_for};
use crate::transport::{
    CloseReason, Handle, Message, Outcome, Phase, Receipt, SendError, SendOptions,
};

/// An endpoint of the transport: socket, connections, thread.
#[pyclass(frozen, module = "udpcore._core")]
pub(crate) struct TransportEndpoint(Endpoint);

#[pymethods]
impl TransportEndpoint {
    #[new]
    #[pyo3(signature = (address, listens, secret, plaintext, options))]
    fn new(
        address: &Bound<'_, PyAny>,
        listens: bool,
        secret: Option<Vec<u8>>,
        plaintext: bool,
        options: &Bound<'_, PyDict>,
    ) -> PyResult<Self> {
        let address = resolve(address, true)?;
        let mut config = parse_options(options)?;
        config.security = parse_security(secret, plaintext, options)?;
        config.validate().map_err(|error| PyValueError::new_err(error.to_string()))?;
        let endpoint = Endpoint::bind(address, config, listens);
        endpoint.map(Self).map_err(|error| os_error_about(&error, &format!(" ({address})")))
    }

    #[getter]
    fn address<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        to_python(py, self.0.local_addr())
    }

    fn connect(&self, remote: &Bound<'_, PyAny>) -> PyResult<TransportConnection> {
        Ok(TransportConnection(self.here()?.connect(resolve(remote, true)?)))
    }

    fn accept(&self, py: Python<'_>, timeout: &Bound<'_, PyAny>) -> PyResult<TransportConnection> {
        let timeout = parse_timeout(timeout)?;
        let waiter = self.here()?.acceptor();
        let found = wait_for(py, timeout, |slice| {
            waiter.accept(slice).map(Some).or(waiter.is_closed().then_some(None))
        })?;
        match found {
            Some(Some(connection)) => Ok(TransportConnection(connection)),
            Some(None) => Err(PyBrokenPipeError::new_err("the listener is closed")),
            None => Err(PyTimeoutError::new_err("timed out: nobody connected")),
        }
    }

    fn subscribe(&self) -> PyResult<TransportNotifier> {
        self.here()?.subscribe().map(TransportNotifier).map_err(|error| os_error(&error))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let endpoint = self.here()?;
        py.detach(|| endpoint.close());
        Ok(())
    }

    fn dropped(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        let dict = PyDict::new(py);
        for (reason, count) in self.here()?.dropped() {
            dict.set_item(reason.name(), count)?;
        }
        Ok(dict.unbind())
    }
}

impl TransportEndpoint {
    fn here(&self) -> PyResult<&Endpoint> {
        check_process(self.0.process())?;
        Ok(&self.0)
    }
}

/// One connection of the transport.
#[pyclass(frozen, module = "udpcore._core")]
pub(crate) struct TransportConnection(Connection);

#[pymethods]
impl TransportConnection {
    fn wait_connected(&self, py: Python<'_>, timeout: &Bound<'_, PyAny>) -> PyResult<()> {
        let timeout = parse_timeout(timeout)?;
        let connection = self.here()?;
        match wait_for(py, timeout, |slice| connection.wait_connected(slice))? {
            Some(Ok(())) => Ok(()),
            Some(Err(reason)) => Err(closed_error(&reason)),
            None => Err(PyTimeoutError::new_err(CloseReason::HandshakeTimeout.to_string())),
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn send(
        &self,
        data: &Bound<'_, PyAny>,
        channel: &Bound<'_, PyAny>,
        deadline: &Bound<'_, PyAny>,
        priority: &Bound<'_, PyAny>,
        fec: &Bound<'_, PyAny>,
        timeout: &Bound<'_, PyAny>,
    ) -> PyResult<u64> {
        let py = data.py();
        let options = parse_message(channel, deadline, priority, fec)?;
        let mut queue = VecDeque::from([bytes_of(data)?]);
        let receipts = self.push_all(py, &mut queue, options, parse_timeout(timeout)?)?;
        Ok(receipts.first().map_or(0, |receipt| receipt.0))
    }

    #[allow(clippy::too_many_arguments)]
    fn send_many(
        &self,
        messages: &Bound<'_, PyAny>,
        channel: &Bound<'_, PyAny>,
        deadline: &Bound<'_, PyAny>,
        priority: &Bound<'_, PyAny>,
        fec: &Bound<'_, PyAny>,
        timeout: &Bound<'_, PyAny>,
    ) -> PyResult<Vec<u64>> {
        let py = messages.py();
        let options = parse_message(channel, deadline, priority, fec)?;
        let mut queue = VecDeque::new();
        for message in messages.try_iter()? {
            queue.push_back(bytes_of(&message?)?);
        }
        let receipts = self.push_all(py, &mut queue, options, parse_timeout(timeout)?)?;
        Ok(receipts.into_iter().map(|receipt| receipt.0).collect())
    }

    /// Takes as many messages from the list's position `start` on as fit, without waiting.
    #[allow(clippy::too_many_arguments)]
    fn send_now(
        &self,
        messages: &Bound<'_, PyList>,
        start: usize,
        channel: &Bound<'_, PyAny>,
        deadline: &Bound<'_, PyAny>,
        priority: &Bound<'_, PyAny>,
        fec: &Bound<'_, PyAny>,
    ) -> PyResult<Vec<u64>> {
        let options = parse_message(channel, deadline, priority, fec)?;
        let messages = messages.iter().skip(start).take(SEND_NOW_MAX);
        let mut queue = messages.map(|m| bytes_of(&m)).collect::<PyResult<VecDeque<_>>>()?;
        match self.here()?.send_many(&mut queue, options) {
            Ok(receipts) => Ok(receipts.into_iter().map(|receipt| receipt.0).collect()),
            Err(SendError::Full) => Ok(Vec::new()),
            Err(error) => Err(send_error(&error)),
        }
    }

    /// Takes up to `count` messages without waiting.
    fn recv_now<'py>(
        &self,
        py: Python<'py>,
        count: &Bound<'_, PyAny>,
        channel: Option<u32>,
    ) -> PyResult<Bound<'py, PyList>> {
        let (count, mut messages) = (parse_count(count)?, Vec::new());
        self.here()?
            .recv_many(count, channel, Duration::ZERO, &mut messages)
            .map_err(|error| closed_error(&error.0))?;
        PyList::new(py, messages.iter().map(|message| PyBytes::new(py, &message.data)))
    }

    #[getter]
    fn token(&self) -> u64 {
        self.0.handle().number()
    }

    fn recv<'py>(
        &self,
        py: Python<'py>,
        timeout: &Bound<'_, PyAny>,
        channel: Option<u32>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let messages = self.take(py, 1, timeout, channel)?;
        Ok(PyBytes::new(py, messages.first().map_or(&[], |message| &message.data)))
    }

    fn recv_many<'py>(
        &self,
        py: Python<'py>,
        count: &Bound<'_, PyAny>,
        timeout: &Bound<'_, PyAny>,
        channel: Option<u32>,
    ) -> PyResult<Bound<'py, PyList>> {
        let messages = self.take(py, parse_count(count)?, timeout, channel)?;
        PyList::new(py, messages.iter().map(|message| PyBytes::new(py, &message.data)))
    }

    fn wait_outcome(
        &self,
        py: Python<'_>,
        receipt: u64,
        timeout: &Bound<'_, PyAny>,
    ) -> PyResult<&'static str> {
        let timeout = parse_timeout(timeout)?;
        let receipt = Receipt(receipt);
        let connection = self.here()?;
        let known = wait_for(py, timeout, |slice| {
            Some(connection.wait_outcome(receipt, slice)).filter(|o| *o != Outcome::Pending)
        })?;
        match known {
            Some(Outcome::Acked) => Ok("acked"),
            Some(Outcome::Expired) => Ok("expired"),
            Some(Outcome::Lost) => Ok("lost"),
            _ => Err(PyTimeoutError::new_err("timed out: the message is still under way")),
        }
    }

    fn open_channel(&self, channel: &Bound<'_, PyAny>, mode: &str) -> PyResult<()> {
        let (channel, mode) = (parse_channel(channel)?, parse_mode(mode)?);
        let connection = self.here()?;
        connection.open_channel(channel, mode).map_err(|error| send_error(&error))?;
        connection.claim_channel(channel);
        Ok(())
    }

    fn close(&self, py: Python<'_>, timeout: &Bound<'_, PyAny>) -> PyResult<bool> {
        let timeout = parse_timeout(timeout)?;
        let connection = self.here()?;
        py.detach(|| connection.start_close());
        Ok(wait_for(py, timeout, |slice| connection.wait_closed(slice))?.is_some())
    }

    /// Begins to close and does not wait.
    fn start_close(&self, py: Python<'_>) -> PyResult<()> {
        let connection = self.here()?;
        py.detach(|| connection.start_close());
        Ok(())
    }

    fn abort(&self, py: Python<'_>) -> PyResult<()> {
        let connection = self.here()?;
        py.detach(|| connection.abort());
        Ok(())
    }

    fn close_reason(&self) -> PyResult<Option<String>> {
        Ok(self.here()?.close_reason().map(|reason| reason.to_string()))
    }

    fn remote<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        self.here()?.remote().map(|remote| to_python(py, remote)).transpose()
    }

    fn stats(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        let connection = self.here()?;
        let stats = py.detach(|| connection.stats());
        let dict = PyDict::new(py);
        let counts = [
            ("datagrams_sent", stats.datagrams_sent),
            ("datagrams_received", stats.datagrams_received),
            ("bytes_sent", stats.bytes_sent),
            ("bytes_received", stats.bytes_received),
            ("packets_lost", stats.packets_lost),
            ("packets_spurious", stats.packets_spurious),
            ("bytes_retransmitted", stats.bytes_retransmitted),
            ("probes", stats.probes),
            ("congestion_events", stats.congestion_events),
            ("messages_sent", stats.messages_sent),
            ("messages_delivered", stats.messages_delivered),
            ("messages_pending", stats.messages_pending),
            ("messages_late", stats.messages_late),
            ("messages_discarded", stats.messages_discarded),
            ("migrations", stats.migrations),
            ("key_updates", stats.key_updates),
            ("cwnd", stats.cwnd),
            ("bytes_in_flight", stats.bytes_in_flight),
            ("bytes_waiting", stats.bytes_waiting),
            ("mtu", u64::from(stats.mtu)),
        ];
        for (name, value) in counts {
            dict.set_item(name, value)?;
        }
        let dropped = PyDict::new(py);
        for (reason, count) in connection.dropped() {
            dropped.set_item(reason.name(), count)?;
        }
        dict.set_item("dropped", dropped)?;
        dict.set_item("ssthresh", stats.ssthresh)?;
        dict.set_item("phase", stats.phase.map_or("", Phase::name))?;
        dict.set_item("pacing_rate_bps", stats.pacing_rate_bps)?;
        dict.set_item("srtt", stats.srtt.as_secs_f64())?;
        dict.set_item("rtt_min", stats.rtt_min.as_secs_f64())?;
        dict.set_item("rttvar", stats.rttvar.as_secs_f64())?;
        Ok(dict.unbind())
    }
}

impl TransportConnection {
    fn here(&self) -> PyResult<&Connection> {
        check_process(self.0.process())?;
        Ok(&self.0)
    }

    /// Hands all messages over, waiting for room where there is none.
    fn push_all(
        &self,
        py: Python<'_>,
        queue: &mut VecDeque<Vec<u8>>,
        options: SendOptions,
        timeout: Option<Duration>,
    ) -> PyResult<Vec<Receipt>> {
        let (connection, mut receipts) = (self.here()?, Vec::new());
        while !queue.is_empty() {
            match py.detach(|| connection.send_many(queue, options)) {
                Ok(more) if receipts.is_empty() => receipts = more,
                Ok(more) => receipts.extend(more),
                Err(SendError::Full) => {
                    let len = queue.front().map_or(0, Vec::len);
                    let room =
                        wait_for(py, timeout, |s| connection.wait_room(len, s).then_some(()))?;
                    room.ok_or_else(|| PyTimeoutError::new_err(SendError::Full.to_string()))?;
                }
                Err(error) => return Err(send_error(&error)),
            }
        }
        Ok(receipts)
    }

    fn take(
        &self,
        py: Python<'_>,
        count: usize,
        timeout: &Bound<'_, PyAny>,
        channel: Option<u32>,
    ) -> PyResult<Vec<Message>> {
        let (connection, timeout) = (self.here()?, parse_timeout(timeout)?);
        let found = wait_for(py, timeout, |slice| {
            let mut messages = Vec::new();
            match connection.recv_many(count, channel, slice, &mut messages) {
                Ok(()) if messages.is_empty() => None,
                Ok(()) => Some(Ok(messages)),
                Err(error) => Some(Err(error)),
            }
        })?;
        match found {
            Some(Ok(messages)) => Ok(messages),
            Some(Err(error)) => Err(closed_error(&error.0)),
            None => Err(PyTimeoutError::new_err("timed out: no message came")),
        }
    }
}

/// One crossing takes at most so many messages, so that the loop stays alive.
const SEND_NOW_MAX: usize = 4096;

/// Tells an event loop which connections changed.
#[pyclass(frozen, module = "udpcore._core")]
pub(crate) struct TransportNotifier(Notifier);

#[pymethods]
impl TransportNotifier {
    /// A descriptor that is readable when something changed; the caller's to close.
    fn descriptor(&self) -> PyResult<i32> {
        Ok(self.0.descriptor().map_err(|error| os_error(&error))?.into_raw_fd())
    }

    /// The tokens of the connections that changed, and whether to look for new ones.
    fn take(&self) -> (Vec<u64>, bool) {
        let (changed, accepts) = self.0.take();
        (changed.into_iter().map(Handle::number).collect(), accepts)
    }
}

/// A new key pair: the secret key and its public key.
#[pyfunction]
pub(crate) fn transport_keys(py: Python<'_>) -> (Py<PyBytes>, Py<PyBytes>) {
    let key = generate_key();
    let public = key.public();
    (PyBytes::new(py, &key.0).unbind(), PyBytes::new(py, &public.0).unbind())
}

/// After `fork` the child has the memory of a connection, but not its thread.
fn check_process(owner: u32) -> PyResult<()> {
    if owner == std::process::id() {
        return Ok(());
    }
    Err(PyRuntimeError::new_err(format!(
        "this belongs to process {owner}: a process made by fork() opens its own connections"
    )))
}

fn bytes_of(data: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(bytes) = data.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().to_vec());
    }
    let kind = || data.get_type().name().map_or_else(|_| "?".into(), |name| name.to_string());
    let buffer = PyBuffer::<u8>::get(data).map_err(|_| {
        PyTypeError::new_err(format!("a message must be bytes-like, not {}", kind()))
    })?;
    buffer.to_vec(data.py())
}

fn send_error(error: &SendError) -> PyErr {
    match error {
        SendError::Full => PyTimeoutError::new_err(error.to_string()),
        SendError::Closed => PyBrokenPipeError::new_err(error.to_string()),
        _ => PyValueError::new_err(error.to_string()),
    }
}

fn closed_error(reason: &CloseReason) -> PyErr {
    let text = reason.to_string();
    match reason {
        CloseReason::Local | CloseReason::Peer => PyEOFError::new_err(text),
        CloseReason::HandshakeTimeout => PyTimeoutError::new_err(text),
        CloseReason::Reset | CloseReason::PeerError { .. } => PyConnectionResetError::new_err(text),
        _ => PyConnectionAbortedError::new_err(text),
    }
}

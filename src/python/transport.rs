//! `udpcore.reliable`'s connections: endpoint and connection of the transport's driver.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{
    PyBrokenPipeError, PyConnectionAbortedError, PyConnectionResetError, PyEOFError,
    PyTimeoutError, PyTypeError, PyValueError,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use crate::io::transport::{Connection, Endpoint};
use crate::python::peer_address::{os_error, resolve, to_python};
use crate::python::wait::{parse_timeout, wait_for};
use crate::transport::{
    CloseReason, Config, Congestion, Message, Micros, Mode, Outcome, Receipt, Security, SendError,
    SendOptions,
};

/// An endpoint of the transport: socket, connections, thread.
#[pyclass(frozen, module = "udpcore._core")]
pub(crate) struct TransportEndpoint(Mutex<Option<Endpoint>>);

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
        config.security = match (secret, plaintext) {
            (Some(_), true) => {
                return Err(PyValueError::new_err("secret and plaintext exclude each other"));
            }
            (Some(secret), false) => Security::secret(&secret),
            (None, true) => Security::plaintext(),
            (None, false) => Security::anonymous(),
        };
        config.validate().map_err(|error| PyValueError::new_err(error.to_string()))?;
        let endpoint = Endpoint::bind(address, config, listens).map_err(|e| os_error(&e))?;
        Ok(Self(Mutex::new(Some(endpoint))))
    }

    #[getter]
    fn address<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        self.with(|endpoint| to_python(py, endpoint.local_addr()))?
    }

    fn connect(&self, remote: &Bound<'_, PyAny>) -> PyResult<TransportConnection> {
        let remote = resolve(remote, true)?;
        self.with(|endpoint| TransportConnection(endpoint.connect(remote)))
    }

    fn accept(&self, py: Python<'_>, timeout: &Bound<'_, PyAny>) -> PyResult<TransportConnection> {
        let timeout = parse_timeout(timeout)?;
        let found = wait_for(py, timeout, |slice| match self.with(Endpoint::acceptor) {
            Ok(waiter) => waiter.accept(slice).map(Some).or(waiter.is_closed().then_some(None)),
            Err(_) => Some(None),
        })?;
        match found {
            Some(Some(connection)) => Ok(TransportConnection(connection)),
            Some(None) => Err(PyBrokenPipeError::new_err("the listener is closed")),
            None => Err(PyTimeoutError::new_err("timed out: nobody connected")),
        }
    }

    fn close(&self, py: Python<'_>) {
        let endpoint = self.0.lock().map(|mut slot| slot.take()).unwrap_or_default();
        py.detach(|| {
            if let Some(endpoint) = endpoint {
                endpoint.close();
            }
        });
    }

    fn dropped(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        let dict = PyDict::new(py);
        for (reason, count) in self.with(Endpoint::dropped)? {
            dict.set_item(format!("{reason:?}"), count)?;
        }
        Ok(dict.unbind())
    }
}

impl TransportEndpoint {
    fn with<T>(&self, look: impl FnOnce(&Endpoint) -> T) -> PyResult<T> {
        let slot = self.0.lock().map_err(|_| PyValueError::new_err("the endpoint is broken"))?;
        slot.as_ref().map(look).ok_or_else(|| PyBrokenPipeError::new_err("the endpoint is closed"))
    }
}

/// One connection of the transport.
#[pyclass(frozen, module = "udpcore._core")]
pub(crate) struct TransportConnection(Connection);

#[pymethods]
impl TransportConnection {
    fn wait_connected(&self, py: Python<'_>, timeout: &Bound<'_, PyAny>) -> PyResult<()> {
        let timeout = parse_timeout(timeout)?;
        match wait_for(py, timeout, |slice| self.0.wait_connected(slice))? {
            Some(Ok(())) => Ok(()),
            Some(Err(reason)) => Err(closed_error(&reason)),
            None => Err(PyTimeoutError::new_err(CloseReason::HandshakeTimeout.to_string())),
        }
    }

    fn send(
        &self,
        data: &Bound<'_, PyAny>,
        channel: u32,
        deadline: Option<f64>,
        priority: u8,
        timeout: &Bound<'_, PyAny>,
    ) -> PyResult<u64> {
        let py = data.py();
        let options = SendOptions { channel, deadline: parse_deadline(deadline)?, priority };
        let mut queue = VecDeque::from([bytes_of(data)?]);
        let receipts = self.push_all(py, &mut queue, options, parse_timeout(timeout)?)?;
        Ok(receipts.first().map_or(0, |receipt| receipt.0))
    }

    fn send_many(
        &self,
        messages: &Bound<'_, PyAny>,
        channel: u32,
        deadline: Option<f64>,
        priority: u8,
        timeout: &Bound<'_, PyAny>,
    ) -> PyResult<Vec<u64>> {
        let py = messages.py();
        let options = SendOptions { channel, deadline: parse_deadline(deadline)?, priority };
        let mut queue = VecDeque::new();
        for message in messages.try_iter()? {
            queue.push_back(bytes_of(&message?)?);
        }
        let receipts = self.push_all(py, &mut queue, options, parse_timeout(timeout)?)?;
        Ok(receipts.into_iter().map(|receipt| receipt.0).collect())
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
        count: usize,
        timeout: &Bound<'_, PyAny>,
        channel: Option<u32>,
    ) -> PyResult<Bound<'py, PyList>> {
        let messages = self.take(py, count, timeout, channel)?;
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
        let known = wait_for(py, timeout, |slice| {
            Some(self.0.wait_outcome(receipt, slice)).filter(|o| *o != Outcome::Pending)
        })?;
        match known {
            Some(Outcome::Acked) => Ok("acked"),
            Some(Outcome::Expired) => Ok("expired"),
            Some(Outcome::Lost) => Ok("lost"),
            _ => Err(PyTimeoutError::new_err("timed out: the message is still under way")),
        }
    }

    fn open_channel(&self, channel: u32, mode: &str) -> PyResult<()> {
        let mode = parse_mode(mode)?;
        self.0.open_channel(channel, mode).map_err(|error| send_error(&error))?;
        self.0.claim_channel(channel);
        Ok(())
    }

    fn close(&self, py: Python<'_>, timeout: &Bound<'_, PyAny>) -> PyResult<bool> {
        let timeout = parse_timeout(timeout)?;
        py.detach(|| self.0.start_close());
        Ok(wait_for(py, timeout, |slice| self.0.wait_closed(slice))?.is_some())
    }

    fn abort(&self, py: Python<'_>) {
        py.detach(|| self.0.abort());
    }

    fn close_reason(&self) -> Option<String> {
        self.0.close_reason().map(|reason| reason.to_string())
    }

    fn remote<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        self.0.remote().map(|remote| to_python(py, remote)).transpose()
    }

    fn stats(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        let stats = py.detach(|| self.0.stats());
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
            ("dropped_duplicate", stats.dropped_duplicate),
            ("dropped_other", stats.dropped_other),
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
        dict.set_item("ssthresh", stats.ssthresh)?;
        dict.set_item("srtt", stats.srtt.as_secs_f64())?;
        dict.set_item("rtt_min", stats.rtt_min.as_secs_f64())?;
        dict.set_item("rttvar", stats.rttvar.as_secs_f64())?;
        Ok(dict.unbind())
    }
}

impl TransportConnection {
    /// Hands all messages over, waiting for room where there is none.
    fn push_all(
        &self,
        py: Python<'_>,
        queue: &mut VecDeque<Vec<u8>>,
        options: SendOptions,
        timeout: Option<Duration>,
    ) -> PyResult<Vec<Receipt>> {
        let mut receipts = Vec::new();
        while !queue.is_empty() {
            match py.detach(|| self.0.send_many(queue, options)) {
                Ok(more) if receipts.is_empty() => receipts = more,
                Ok(more) => receipts.extend(more),
                Err(SendError::Full) => {
                    let len = queue.front().map_or(0, Vec::len);
                    let room = wait_for(py, timeout, |s| self.0.wait_room(len, s).then_some(()))?;
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
        let timeout = parse_timeout(timeout)?;
        let found = wait_for(py, timeout, |slice| {
            let mut messages = Vec::new();
            match self.0.recv_many(count, channel, slice, &mut messages) {
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

fn parse_mode(mode: &str) -> PyResult<Mode> {
    match mode {
        "ordered" => Ok(Mode::Ordered),
        "unordered" => Ok(Mode::Unordered),
        "sequenced" => Ok(Mode::Sequenced),
        "unreliable" => Ok(Mode::Unreliable),
        _ => Err(PyValueError::new_err(format!(
            "mode must be 'ordered', 'unordered', 'sequenced' or 'unreliable', not {mode:?}"
        ))),
    }
}

fn parse_deadline(deadline: Option<f64>) -> PyResult<Option<Micros>> {
    deadline.map(|seconds| parse_seconds("deadline", seconds)).transpose()
}

fn parse_seconds(name: &str, seconds: f64) -> PyResult<Micros> {
    let time = Duration::try_from_secs_f64(seconds).map_err(|_| {
        PyValueError::new_err(format!("{name} must be seconds from 0 on, not {seconds}"))
    })?;
    Ok(Micros(u64::try_from(time.as_micros()).unwrap_or(u64::MAX)))
}

fn parse_options(options: &Bound<'_, PyDict>) -> PyResult<Config> {
    let mut config = Config::default();
    for (name, value) in options.iter() {
        let name: String = name.extract()?;
        match name.as_str() {
            "congestion" => {
                config.congestion = match value.extract::<String>()?.as_str() {
                    "cubic" => Congestion::Cubic,
                    "new_reno" => Congestion::NewReno,
                    other => {
                        return Err(PyValueError::new_err(format!(
                            "congestion must be 'cubic' or 'new_reno', not {other:?}"
                        )));
                    }
                }
            }
            "idle_timeout" => config.idle_timeout = parse_seconds(&name, value.extract()?)?,
            "keep_alive" => config.keep_alive = parse_seconds(&name, value.extract()?)?,
            "handshake_timeout" => {
                config.handshake_timeout = parse_seconds(&name, value.extract()?)?;
            }
            "linger" => config.linger = parse_seconds(&name, value.extract()?)?,
            "message_len_max" => config.message_len_max = value.extract()?,
            "receive_window" => config.receive_window = value.extract()?,
            "channel_window" => config.channel_window = value.extract()?,
            "send_buffer" => config.send_buffer = value.extract()?,
            "datagram_len_max" => config.datagram_len_max = value.extract()?,
            _ => return Err(PyTypeError::new_err(format!("unknown option {name:?}"))),
        }
    }
    Ok(config)
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

//! The engine under `udpcore.dns.resolve_many`: names in, pairs of name and result out.

use super::dns::PyMessage;
use super::dns_ask::{check_edns, dig_address, timeout_us, verdict_word};
use super::dns_record::{ServerArg, TypeArg, edns_size, parse_name, value_error, within};
use super::dns_value::{parse_error, registry};
use crate::dns::answer::{self, Verdict};
use crate::dns::batch::BatchConfig;
use crate::dns::present::Data;
use crate::dns::query::Query;
use crate::dns::rdtype::RdType;
use crate::dns::{Message, Name};
use crate::io::dns_batch::{BatchDriver, Ended};
use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, TryLockError};

/// More questions at once than anybody's server takes.
const CONCURRENCY_MAX: i64 = 100_000;

/// Asks many questions; used by one thread at a time.
#[pyclass(frozen, module = "udpcore._core")]
pub(super) struct DnsBatch {
    inner: Mutex<Inner>,
    rdtype: RdType,
    servers: String,
    messages: bool,
    stopped: AtomicBool,
}

struct Inner {
    driver: BatchDriver,
    /// The Python strings of open names, to be handed back.
    names: HashMap<u64, Py<PyString>>,
    pushed: u64,
}

#[pymethods]
impl DnsBatch {
    #[new]
    #[pyo3(signature = (rdtype, servers, *, concurrency, timeout, rate, edns, dnssec_ok,
                        recursion_desired, mix_case, messages))]
    #[expect(clippy::too_many_arguments, reason = "the options of a query")]
    fn py_new(
        rdtype: TypeArg,
        servers: Vec<ServerArg>,
        concurrency: i64,
        timeout: f64,
        rate: Option<i64>,
        edns: Option<i64>,
        dnssec_ok: bool,
        recursion_desired: bool,
        mix_case: bool,
        messages: bool,
    ) -> PyResult<Self> {
        let edns = edns_size(edns)?;
        check_edns(edns, dnssec_ok)?;
        let concurrency: usize = within("concurrency", concurrency, CONCURRENCY_MAX)?;
        let most = i64::from(u32::MAX);
        let rate: Option<u32> = rate.map(|rate| within("rate", rate, most)).transpose()?;
        if concurrency == 0 || rate == Some(0) || servers.is_empty() {
            let text = "concurrency=0, rate=0 or no server: nothing could be asked";
            return Err(value_error(text));
        }
        let mut query = Query::new(Name::root(), rdtype.0);
        (query.edns, query.dnssec_ok) = (edns, dnssec_ok);
        query.recursion_desired = recursion_desired;
        let servers: Vec<_> = servers.into_iter().map(|server| server.0).collect();
        let shown: Vec<_> = servers.iter().map(|server| dig_address(*server)).collect();
        let timeout_us = timeout_us(timeout)?;
        let config = BatchConfig { query, servers, concurrency, timeout_us, rate, mix_case };
        let driver = BatchDriver::new(config)?;
        let inner = Mutex::new(Inner { driver, names: HashMap::new(), pushed: 0 });
        Ok(Self {
            inner,
            rdtype: rdtype.0,
            servers: shown.join(", "),
            messages,
            stopped: AtomicBool::new(false),
        })
    }

    /// Makes a `run` in another thread end soon, with RuntimeError.
    fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// How many names `run` takes now.
    fn room(&self) -> PyResult<usize> {
        Ok(self.lock()?.driver.room())
    }

    /// Takes `names`, works, returns pairs of name and result; empty when nothing is open.
    fn run<'py>(
        &self,
        py: Python<'py>,
        names: Vec<Bound<'py, PyString>>,
        more: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let mut inner = self.lock()?;
        let results = PyList::empty(py);
        for name in names {
            match parse_name(&name.to_cow()?) {
                Ok(parsed) => inner.open(name.unbind(), parsed),
                Err(error) => results.append((name, error.into_value(py)))?,
            }
        }
        if !results.is_empty() {
            return Ok(results);
        }
        let inner = &mut *inner;
        let driver = &mut inner.driver;
        let ended = py.detach(|| driver.run(more, || self.check()))?;
        for (ordinal, ended) in ended {
            let Some(name) = inner.names.remove(&ordinal) else { continue };
            let name = name.into_bound(py);
            let result = self.result(py, &name, ended)?;
            results.append((name, result))?;
        }
        Ok(results)
    }
}

impl Inner {
    fn open(&mut self, shown: Py<PyString>, name: Name) {
        self.names.insert(self.pushed, shown);
        self.driver.push(self.pushed, name);
        self.pushed += 1;
    }
}

impl DnsBatch {
    fn check(&self) -> PyResult<()> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(PyRuntimeError::new_err("resolve_many: stopped"));
        }
        Python::attach(|py| py.check_signals())
    }

    fn lock(&self) -> PyResult<std::sync::MutexGuard<'_, Inner>> {
        match self.inner.try_lock() {
            Ok(guard) => Ok(guard),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                Err(PyRuntimeError::new_err("resolve_many: one thread at a time may iterate"))
            }
        }
    }

    fn result<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'py, PyString>,
        ended: Ended,
    ) -> PyResult<Bound<'py, PyAny>> {
        let error = match ended {
            Ended::Answer { message, name: asked } => {
                return self.answer(py, name, message, &asked);
            }
            Ended::TimedOut { tries } => {
                let text = format!(
                    "no answer for {name} {} from {} ({tries} tries)",
                    self.rdtype, self.servers
                );
                return registry(py)?.timeout_error.bind(py).call1((text,));
            }
            Ended::Failed { errno } => {
                let text = std::io::Error::from_raw_os_error(errno).to_string();
                let words = text.split(" (os error").next().unwrap_or_default().to_owned();
                PyOSError::new_err((errno, format!("{words}: name server {}", self.servers)))
            }
            Ended::Malformed(error) => parse_error(py, error),
        };
        Ok(error.into_value(py).into_bound(py).into_any())
    }

    fn answer<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'py, PyString>,
        message: Message,
        asked: &Name,
    ) -> PyResult<Bound<'py, PyAny>> {
        if self.messages {
            return Ok(Bound::new(py, PyMessage::new(message))?.into_any());
        }
        let read = answer::read(&message, asked, self.rdtype);
        if read.verdict == Verdict::Found {
            let texts = read.records.iter().map(|at| Data(&message.record(*at)).to_string());
            return Ok(PyList::new(py, texts)?.into_any());
        }
        let (word, rdtype) = (verdict_word(read.verdict), self.rdtype.to_string());
        let canonical = read.canonical.to_string();
        let error_of = registry(py)?.error_of.bind(py);
        error_of.call1((word, name, canonical, rdtype, PyMessage::new(message)))
    }
}

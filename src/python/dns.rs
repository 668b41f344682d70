//! `Message`, `Question` and `Record` of `udpcore.dns`: thin, lazy views of a checked message.
//!
//! A view holds the message and an index; Python objects are made when an attribute is read.

use super::dns_value::{self, registry};
use crate::dns::compose::{Composer, compose};
use crate::dns::header::{Flags, Header, Opcode};
use crate::dns::message::{Message, Question, Record, Section};
use crate::dns::query::Query;
use crate::dns::rdtype::{Class, RdType};
use crate::dns::{Name, answer, name};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString, PyTuple};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Any error of the floors below, as the `ValueError` it is here.
pub(super) fn value_error(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// A name from a Python string.
pub(super) fn parse_name(text: &str) -> PyResult<Name> {
    text.parse().map_err(|error: name::NameError| value_error(error))
}

/// A record type from its mnemonic or number.
#[derive(Clone, Copy)]
pub(super) struct TypeArg(pub(super) RdType);

impl FromPyObject<'_, '_> for TypeArg {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        if let Ok(word) = value.cast::<PyString>() {
            return word.to_cow()?.parse().map(Self).map_err(value_error);
        }
        value.extract().map(|code| Self(RdType(code))).map_err(|_| {
            PyTypeError::new_err("rdtype must be a mnemonic such as 'AAAA' or a number to 65535")
        })
    }
}

fn parse_class(word: &str) -> PyResult<Class> {
    Class::parse(word)
        .ok_or_else(|| value_error(format!("unknown class {word:?}; use IN, CH, HS or CLASS123")))
}

/// A checked message, frozen.
#[pyclass(frozen, name = "Message", module = "udpcore._core")]
pub(super) struct PyMessage {
    pub(super) message: Arc<Message>,
    /// Answers, authorities, additionals, questions: made when first read.
    sections: [PyOnceLock<Py<PyTuple>>; 4],
}

impl PyMessage {
    pub(super) fn new(message: Message) -> Self {
        Self { message: Arc::new(message), sections: [const { PyOnceLock::new() }; 4] }
    }

    fn records<'py>(&self, py: Python<'py>, section: Section) -> PyResult<Bound<'py, PyTuple>> {
        let cell = &self.sections[section as usize];
        let made = cell.get_or_try_init(py, || {
            let range = self.message.range(section);
            let views = range.map(|index| PyRecord { message: self.message.clone(), index });
            let views: PyResult<Vec<_>> = views.map(|view| Bound::new(py, view)).collect();
            PyTuple::new(py, views?).map(Bound::unbind)
        })?;
        Ok(made.bind(py).clone())
    }

    fn composed(&self) -> PyResult<Vec<u8>> {
        compose(&self.message).map_err(value_error)
    }
}

#[pymethods]
impl PyMessage {
    #[new]
    #[pyo3(signature = (id=0, flags=0, rcode=0, questions=vec![], answers=vec![],
                        authorities=vec![], additionals=vec![], *, opcode=0))]
    #[expect(clippy::too_many_arguments, reason = "the sections of a message")]
    fn py_new(
        py: Python<'_>,
        id: u16,
        flags: u16,
        rcode: u16,
        questions: Vec<Py<PyQuestion>>,
        answers: Vec<Py<PyRecord>>,
        authorities: Vec<Py<PyRecord>>,
        additionals: Vec<Py<PyRecord>>,
        opcode: u8,
    ) -> PyResult<Self> {
        let header = header_of(id, flags, rcode, opcode)?;
        let mut composer = Composer::new(&header);
        for question in &questions {
            let question = question.get().view();
            composer.question(&question.name, question.rdtype, question.class);
        }
        let sections = [
            (Section::Answer, answers),
            (Section::Authority, authorities),
            (Section::Additional, additionals),
        ];
        for (section, records) in &sections {
            for record in records {
                composer.record(*section, &record.get().view()).map_err(value_error)?;
            }
        }
        let wire = composer.finish().map_err(value_error)?;
        let message = Message::parse(wire).map_err(|error| dns_value::parse_error(py, error))?;
        if message.rcode().0 != rcode {
            let hint = "its upper bits belong into the OPT record (extended_rcode)";
            return Err(value_error(format!("rcode {rcode} does not fit this message: {hint}")));
        }
        Ok(Self::new(message))
    }

    #[getter]
    fn id(&self) -> u16 {
        self.message.header().id
    }

    #[getter]
    fn flags<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        registry(py)?.flags(py, self.message.header().flags.0)
    }

    #[getter]
    fn opcode(&self) -> u8 {
        self.message.header().opcode.0
    }

    #[getter]
    fn rcode<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        registry(py)?.rcode(py, self.message.rcode().0)
    }

    #[getter]
    fn questions<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let made = self.sections[3].get_or_try_init(py, || {
            let count = self.message.questions().len();
            let views = (0..count).map(|index| PyQuestion { message: self.message.clone(), index });
            let views: PyResult<Vec<_>> = views.map(|view| Bound::new(py, view)).collect();
            PyTuple::new(py, views?).map(Bound::unbind)
        })?;
        Ok(made.bind(py).clone())
    }

    #[getter]
    fn answers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        self.records(py, Section::Answer)
    }

    #[getter]
    fn authorities<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        self.records(py, Section::Authority)
    }

    #[getter]
    fn additionals<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        self.records(py, Section::Additional)
    }

    #[getter]
    fn edns<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.message.edns().map(|edns| dns_value::edns_to_python(py, &edns)).transpose()
    }

    #[getter]
    fn wire<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.message.wire())
    }

    fn to_wire<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.composed()?))
    }

    fn __str__(&self) -> String {
        self.message.to_string()
    }

    fn __repr__(&self) -> String {
        let header = self.message.header();
        let asked: Vec<_> = self
            .message
            .questions()
            .map(|question| format!("{} {}", question.name, question.rdtype))
            .collect();
        let [_, an, ns, ar] = header.counts;
        format!(
            "<Message id={} {} flags={:?} [{}] answers={an} authorities={ns} additionals={ar}>",
            header.id,
            self.message.rcode(),
            header.flags.to_string().trim_start(),
            asked.join(", "),
        )
    }

    fn __eq__(&self, other: &Self) -> PyResult<bool> {
        Ok(self.composed()? == other.composed()?)
    }

    fn __hash__(&self) -> PyResult<u64> {
        Ok(hash_of(&self.composed()?))
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        let parse = slf.py().import("udpcore._core")?.getattr("dns_parse")?;
        Ok((parse, (slf.get().wire(slf.py()),)))
    }
}

fn header_of(id: u16, flags: u16, rcode: u16, opcode: u8) -> PyResult<Header> {
    if flags & !Flags::MASK != 0 {
        let text =
            format!("flags {flags:#06x} reach into opcode or rcode; they have own arguments");
        return Err(value_error(text));
    }
    if opcode > 15 || rcode > 4095 {
        return Err(value_error(format!("opcode {opcode} (0 to 15) or rcode {rcode} (0 to 4095)")));
    }
    let rcode_low = (rcode & 15) as u8;
    Ok(Header { id, flags: Flags(flags), opcode: Opcode(opcode), rcode_low, counts: [0; 4] })
}

fn hash_of(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// A question, frozen.
#[pyclass(frozen, name = "Question", module = "udpcore._core")]
pub(super) struct PyQuestion {
    message: Arc<Message>,
    index: usize,
}

impl PyQuestion {
    fn view(&self) -> Question<'_> {
        // The index came from this very message.
        self.message.questions().nth(self.index).expect("a question of this message")
    }
}

#[pymethods]
impl PyQuestion {
    #[new]
    #[pyo3(signature = (name, rdtype=TypeArg(RdType::A), rdclass="IN"))]
    fn py_new(name: &str, rdtype: TypeArg, rdclass: &str) -> PyResult<Self> {
        let mut query = Query::new(parse_name(name)?, rdtype.0);
        query.class = parse_class(rdclass)?;
        query.edns = None;
        let message = Message::parse(query.compose(0)).map_err(value_error)?;
        Ok(Self { message: Arc::new(message), index: 0 })
    }

    #[getter]
    fn name(&self) -> String {
        self.view().name.to_string()
    }

    #[getter]
    fn rdtype<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        Ok(registry(py)?.mnemonic(py, self.view().rdtype))
    }

    #[getter]
    fn rdclass(&self) -> String {
        self.view().class.to_string()
    }

    fn __str__(&self) -> String {
        self.view().to_string()
    }

    fn __repr__(&self) -> String {
        let view = self.view();
        format!("Question('{}', '{}', '{}')", view.name, view.rdtype, view.class)
    }

    fn __eq__(&self, other: &Self) -> bool {
        let (a, b) = (self.view(), other.view());
        (a.rdtype, a.class) == (b.rdtype, b.class) && a.name.eq_ignore_case(&b.name)
    }

    fn __hash__(&self) -> u64 {
        let view = self.view();
        hash_of(format!("{} {}", view.name, view.rdtype).to_ascii_lowercase().as_bytes())
    }
}

/// A record, frozen.
#[pyclass(frozen, name = "Record", module = "udpcore._core")]
pub(super) struct PyRecord {
    pub(super) message: Arc<Message>,
    pub(super) index: usize,
}

impl PyRecord {
    pub(super) fn view(&self) -> Record<'_> {
        self.message.record(self.index)
    }

    /// The record alone, for comparison.
    fn composed(&self) -> PyResult<Vec<u8>> {
        let mut composer = Composer::new(&header_of(0, 0, 0, 0)?);
        composer.record(Section::Additional, &self.view()).map_err(value_error)?;
        composer.finish().map_err(value_error)
    }
}

#[pymethods]
impl PyRecord {
    #[new]
    #[pyo3(signature = (name, rdtype, ttl, data, rdclass="IN"))]
    fn py_new(
        py: Python<'_>,
        name: &str,
        rdtype: TypeArg,
        ttl: u32,
        data: &Bound<'_, PyAny>,
        rdclass: &str,
    ) -> PyResult<Self> {
        let name = parse_name(name)?;
        let class = parse_class(rdclass)?;
        let message = dns_value::record_from_python(py, &name, rdtype.0, class, ttl, data)?;
        Ok(Self { message: Arc::new(message), index: 0 })
    }

    #[getter]
    fn name(&self) -> String {
        self.view().name.to_string()
    }

    #[getter]
    fn rdtype<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        Ok(registry(py)?.mnemonic(py, self.view().rdtype))
    }

    #[getter]
    fn rdclass(&self) -> String {
        self.view().class.to_string()
    }

    #[getter]
    fn ttl(&self) -> u32 {
        self.view().ttl
    }

    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        dns_value::data_to_python(py, &self.view())
    }

    #[getter]
    fn wire_data<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.view().data())
    }

    fn to_text(&self) -> String {
        crate::dns::present::Data(&self.view()).to_string()
    }

    fn __str__(&self) -> String {
        self.view().to_string()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (view, data) = (self.view(), self.data(py)?.repr()?);
        Ok(format!("Record('{}', '{}', ttl={}, data={data})", view.name, view.rdtype, view.ttl))
    }

    fn __eq__(&self, other: &Self) -> PyResult<bool> {
        Ok(self.composed()? == other.composed()?)
    }

    fn __hash__(&self) -> PyResult<u64> {
        Ok(hash_of(&self.composed()?))
    }
}

/// The records that answer `name` and `rdtype` in `message`, for `udpcore.dns.resolve`.
pub(super) fn found(message: &PyMessage, answer: &answer::Answer) -> Vec<PyRecord> {
    let view = |index: &usize| PyRecord { message: message.message.clone(), index: *index };
    answer.records.iter().map(view).collect()
}

/// Reads a message from its bytes.
#[pyfunction]
pub(super) fn dns_parse(py: Python<'_>, wire: &Bound<'_, PyAny>) -> PyResult<PyMessage> {
    let message = match wire.cast::<PyBytes>() {
        Ok(bytes) => Message::parse(bytes.as_bytes()),
        Err(_) => Message::parse(&*wire.extract::<BytesLike>()?.0),
    };
    message.map(PyMessage::new).map_err(|error| dns_value::parse_error(py, error))
}

/// The bytes of anything that `bytes()` would take as a buffer.
struct BytesLike(PyBackedBytes);

impl FromPyObject<'_, '_> for BytesLike {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        if value.cast::<PyString>().is_ok() || value.extract::<i64>().is_ok() {
            return Err(PyTypeError::new_err("wire must be bytes-like"));
        }
        let bytes = value.py().get_type::<PyBytes>().call1((value,))?;
        Ok(Self(bytes.cast_into::<PyBytes>()?.into()))
    }
}

/// The wire bytes of a query.
#[pyfunction]
#[pyo3(signature = (name, rdtype=TypeArg(RdType::A), id=None, edns=Some(1232), dnssec_ok=false,
                    recursion_desired=true))]
pub(super) fn dns_build_query<'py>(
    py: Python<'py>,
    name: &str,
    rdtype: TypeArg,
    id: Option<u16>,
    edns: Option<u16>,
    dnssec_ok: bool,
    recursion_desired: bool,
) -> PyResult<Bound<'py, PyBytes>> {
    super::dns_ask::check_edns(edns, dnssec_ok)?;
    let id = match id {
        Some(id) => id,
        None => crate::io::dns::random_id()?,
    };
    let mut query = Query::new(parse_name(name)?, rdtype.0);
    (query.edns, query.dnssec_ok, query.recursion_desired) = (edns, dnssec_ok, recursion_desired);
    Ok(PyBytes::new(py, &query.compose(id)))
}

//! `Message`, `parse` and `build_query` of `udpcore.dns`: thin, lazy views of a checked message.
//!
//! A view holds the message and an index; Python objects are made when an attribute is read.

use super::dns_ask::check_edns;
use super::dns_record::{
    PyQuestion, PyRecord, TypeArg, edns_size, hash_of, header_of, parse_name, value_error, within,
};
use super::dns_value::{self, registry};
use crate::dns::compose::{Composer, compose};
use crate::dns::message::{Message, Section};
use crate::dns::query::Query;
use crate::dns::rdtype::RdType;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString, PyTuple};
use std::sync::Arc;

/// A DNS message, frozen: checked from its first byte to its last, its records read lazily.
///
/// `Message(id=0, flags=0, rcode=0, questions=(), answers=(), authorities=(), additionals=(), *,
/// opcode=0)` builds one; `udpcore.dns.parse` reads one. `str()` is what dig prints. Equal when
/// all values are. Raises ValueError for values that make no message. RFC 1035 §4, RFC 6891.
///
/// >>> from udpcore import dns
/// >>> dns.Message(7, questions=[dns.Question("example.com")]).to_wire().hex()
/// '000700000001000000000000076578616d706c6503636f6d0000010001'
#[pyclass(frozen, name = "Message", module = "udpcore._core")]
pub(super) struct PyMessage {
    pub(super) message: Arc<Message>,
    /// Answers, authorities, additionals, questions: made when first read.
    sections: [PyOnceLock<Py<PyTuple>>; 4],
    /// What DNSSEC validation said, if it was asked: the word and the reason.
    pub(super) security: PyOnceLock<(&'static str, String)>,
}

impl PyMessage {
    pub(super) fn new(message: Message) -> Self {
        Self {
            message: Arc::new(message),
            sections: [const { PyOnceLock::new() }; 4],
            security: PyOnceLock::new(),
        }
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

    /// The 16-bit number that matches an answer with its query.
    #[getter]
    fn id(&self) -> u16 {
        self.message.header().id
    }

    /// The flag bits of the header, without opcode and rcode.
    #[getter]
    fn flags<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        registry(py)?.flags(py, self.message.header().flags.0)
    }

    /// The kind of query; 0 is the usual one.
    #[getter]
    fn opcode(&self) -> u8 {
        self.message.header().opcode.0
    }

    /// The response code with the upper bits from EDNS: an `Rcode`, or a number it does not know.
    #[getter]
    fn rcode<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        registry(py)?.rcode(py, self.message.rcode().0)
    }

    /// The questions, a tuple; nearly always one.
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

    /// The records that answer.
    #[getter]
    fn answers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        self.records(py, Section::Answer)
    }

    /// Who is the authority, or the SOA of a negative answer.
    #[getter]
    fn authorities<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        self.records(py, Section::Authority)
    }

    /// Records that help, OPT included.
    #[getter]
    fn additionals<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        self.records(py, Section::Additional)
    }

    /// The data of the OPT record, `None` without EDNS.
    #[getter]
    fn edns<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.message.edns().map(|edns| dns_value::edns_to_python(py, &edns)).transpose()
    }

    /// What DNSSEC validation said, a `Security`; `None` if nobody asked it to.
    #[getter]
    fn security<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let class = &registry(py)?.security;
        self.security.get(py).map(|(w, why)| class.bind(py).call1((*w, why))).transpose()
    }

    /// The bytes this message was parsed from.
    #[getter]
    fn wire<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.message.wire())
    }

    /// The bytes composed anew from the values, names compressed.
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

/// Read a message from `wire`, anything bytes-like.
///
/// Everything is checked at once; the records are made when they are read. Raises ParseError (a
/// ValueError) with the byte `offset` of the first fault. RFC 1035 §4, RFC 6891, RFC 3597.
///
/// >>> from udpcore import dns
/// >>> dns.parse(dns.build_query("example.com", id=7))
/// <Message id=7 NOERROR flags="rd" [example.com. A] answers=0 authorities=0 additionals=1>
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

/// Return the wire bytes of a query for `name` and `rdtype` (a mnemonic, `TYPE123` or a number).
///
/// `id` is drawn by the operating system unless given. `edns` is the largest UDP answer in bytes
/// (None sends no EDNS); `dnssec_ok` asks for signatures. A name may be internationalised. Raises
/// ValueError for a name or type that cannot be. RFC 1035 §4.1, RFC 6891, RFC 5891.
///
/// >>> from udpcore import dns
/// >>> dns.build_query("example.com", "AAAA", id=1, edns=None).hex()
/// '000101000001000000000000076578616d706c6503636f6d00001c0001'
#[pyfunction]
#[pyo3(signature = (name, rdtype=TypeArg(RdType::A), id=None, edns=Some(1232), dnssec_ok=false,
                    recursion_desired=true))]
pub(super) fn dns_build_query<'py>(
    py: Python<'py>,
    name: &str,
    rdtype: TypeArg,
    id: Option<i64>,
    edns: Option<i64>,
    dnssec_ok: bool,
    recursion_desired: bool,
) -> PyResult<Bound<'py, PyBytes>> {
    let edns = edns_size(edns)?;
    check_edns(edns, dnssec_ok)?;
    let id = match id {
        Some(id) => within("id", id, i64::from(u16::MAX))?,
        None => crate::io::dns::random_id()?,
    };
    let mut query = Query::new(parse_name(name)?, rdtype.0);
    (query.edns, query.dnssec_ok, query.recursion_desired) = (edns, dnssec_ok, recursion_desired);
    Ok(PyBytes::new(py, &query.compose(id)))
}

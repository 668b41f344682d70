//! `Question` and `Record` of `udpcore.dns`, and how their arguments are read.
//!
//! A view holds its message and an index; one made in Python is the only entry of a message of
//! its own, so that reading, showing and composing have one way.

use super::dns_value::{self, registry};
use crate::dns::compose::Composer;
use crate::dns::header::{Flags, Header, Opcode};
use crate::dns::message::{Message, Question, Record, Section};
use crate::dns::query::Query;
use crate::dns::rdtype::{Class, RdType};
use crate::dns::{Name, answer, name};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::sync::Arc;

/// Any error of the floors below, as the `ValueError` it is here.
pub(super) fn value_error(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// `value` if it lies within 0 to `most`; the error names the argument otherwise.
pub(super) fn within<T: TryFrom<i64>>(argument: &str, value: i64, most: i64) -> PyResult<T> {
    let range = format!("{argument}={value} is out of range; give 0 to {most}");
    let inside = (0..=most).contains(&value);
    T::try_from(value).ok().filter(|_| inside).ok_or_else(|| value_error(range))
}

/// The size that EDNS tells, if there is EDNS.
pub(super) fn edns_size(edns: Option<i64>) -> PyResult<Option<u16>> {
    edns.map(|size| within("edns", size, i64::from(u16::MAX))).transpose()
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

/// A server: its address, with the number of the interface behind a `%` where it needs one
/// (RFC 4007 §11), and its port.
pub(super) struct ServerArg(pub(super) SocketAddr);

impl FromPyObject<'_, '_> for ServerArg {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let (host, port): (Bound<'_, PyAny>, u16) = value.extract()?;
        let host = host.str()?.to_cow()?.into_owned();
        let wrong = || value_error(format!("{host:?} is no address of a name server"));
        let (address, scope) = host.split_once('%').unwrap_or((&host, "0"));
        let scope: u32 = scope.parse().map_err(|_| wrong())?;
        Ok(Self(match address.parse().map_err(|_| wrong())? {
            IpAddr::V6(ip) => SocketAddrV6::new(ip, port, 0, scope).into(),
            IpAddr::V4(_) if scope != 0 => return Err(wrong()),
            ip => SocketAddr::new(ip, port),
        }))
    }
}

fn parse_class(word: &str) -> PyResult<Class> {
    Class::parse(word)
        .ok_or_else(|| value_error(format!("unknown class {word:?}; use IN, CH, HS or CLASS123")))
}

/// The header of a message made in Python; the counts are filled in later.
pub(super) fn header_of(id: u16, flags: u16, rcode: u16, opcode: u8) -> PyResult<Header> {
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

pub(super) fn hash_of(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// What a message asks: `Question(name, rdtype="A", rdclass="IN")`, frozen.
#[pyclass(frozen, name = "Question", module = "udpcore._core")]
pub(super) struct PyQuestion {
    pub(super) message: Arc<Message>,
    pub(super) index: usize,
}

impl PyQuestion {
    pub(super) fn view(&self) -> Question<'_> {
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

    /// The name as text with a final dot.
    #[getter]
    fn name(&self) -> String {
        self.view().name.to_string()
    }

    /// The mnemonic of the type, or `TYPE123`.
    #[getter]
    fn rdtype<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        Ok(registry(py)?.mnemonic(py, self.view().rdtype))
    }

    /// The class, nearly always `IN`.
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

/// A resource record, frozen: `Record(name, rdtype, ttl, data, rdclass="IN")`.
///
/// `data` is the named tuple of its type (or any tuple with the same fields), or bytes. Raises
/// ValueError with the name of the field that does not fit. `str()` is a line of a zone file.
///
/// >>> from udpcore import dns
/// >>> print(dns.Record("example.com", "MX", 300, dns.MX(10, "mail.example.com")))
/// example.com.		300	IN	MX	10 mail.example.com.
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

    /// The name as text with a final dot.
    #[getter]
    fn name(&self) -> String {
        self.view().name.to_string()
    }

    /// The mnemonic of the type, or `TYPE123`.
    #[getter]
    fn rdtype<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        Ok(registry(py)?.mnemonic(py, self.view().rdtype))
    }

    /// The class, nearly always `IN`.
    #[getter]
    fn rdclass(&self) -> String {
        self.view().class.to_string()
    }

    /// Seconds that the record may be kept.
    #[getter]
    fn ttl(&self) -> u32 {
        self.view().ttl
    }

    /// The data as the named tuple of its type.
    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        dns_value::data_to_python(py, &self.view())
    }

    /// The data as it lies in the message; names in it may be compressed.
    #[getter]
    fn wire_data<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.view().data())
    }

    /// The data as dig prints it.
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
pub(super) fn found(message: &Arc<Message>, answer: &answer::Answer) -> Vec<PyRecord> {
    let view = |index: &usize| PyRecord { message: message.clone(), index: *index };
    answer.records.iter().map(view).collect()
}

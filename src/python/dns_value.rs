//! Record data between the wire and the Python tuples of `udpcore.dns`, field by field.
//!
//! The classes live in Python (`udpcore.dns._records`); the order of their fields is that of
//! the schema, which is why nothing here knows a record type by name.

use super::dns_record::{TypeArg, parse_name, value_error};
use crate::dns::compose::Composer;
use crate::dns::header::{Flags, Header, Opcode};
use crate::dns::message::{Edns, Message, Record, Section};
use crate::dns::present::PARAM_KEYS;
use crate::dns::rdtype::{Class, MNEMONICS, RdType};
use crate::dns::schema::{self, Field, Kind};
use crate::dns::value::{self, Value};
use crate::dns::{Name, ParseError};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyInt, PyString, PyTuple, PyType};
use std::net::{Ipv4Addr, Ipv6Addr};

/// What this floor needs of the Python side, looked up once.
pub(super) struct Registry {
    /// `tuple.__new__`: makes a named tuple without going through Python code.
    tuple_new: Py<PyAny>,
    /// The class of each type, beside [`schema::TYPED`], in rising order of the number.
    classes: Vec<(RdType, Py<PyAny>)>,
    generic: Py<PyAny>,
    mnemonics: Vec<Py<PyString>>,
    rcodes: Vec<Py<PyAny>>,
    flags: Py<PyAny>,
    parse_error: Py<PyAny>,
    /// The verdict of DNSSEC validation.
    pub(super) security: Py<PyAny>,
    pub(super) timeout_error: Py<PyAny>,
    /// Makes the exception of an answer without records.
    pub(super) error_of: Py<PyAny>,
}

/// The registry; imports `udpcore.dns` at its first use.
pub(super) fn registry(py: Python<'_>) -> PyResult<&Registry> {
    static REGISTRY: PyOnceLock<Registry> = PyOnceLock::new();
    REGISTRY.get_or_try_init(py, || Registry::load(py))
}

impl Registry {
    fn load(py: Python<'_>) -> PyResult<Self> {
        let records = py.import("udpcore.dns._records")?;
        let codes = py.import("udpcore.dns._codes")?;
        let errors = py.import("udpcore.dns._errors")?;
        let table = records.getattr("CLASSES")?.cast_into::<PyDict>()?;
        let mut classes = Vec::new();
        for rdtype in schema::TYPED {
            if let Some(class) = table.get_item(rdtype.to_string())? {
                classes.push((*rdtype, class.unbind()));
            }
        }
        classes.sort_by_key(|(rdtype, _)| *rdtype);
        let rcode = codes.getattr("Rcode")?;
        const RCODE_WORDS: u16 = 24;
        let rcodes = (0..RCODE_WORDS).map(|code| match rcode.call1((code,)) {
            Ok(member) => Ok(member.unbind()),
            // A gap in the registry: the number itself.
            Err(_) => code.into_pyobject(py).map(|int| int.into_any().unbind()),
        });
        Ok(Self {
            tuple_new: py.get_type::<PyTuple>().getattr("__new__")?.unbind(),
            classes,
            generic: records.getattr("Generic")?.unbind(),
            mnemonics: MNEMONICS.iter().map(|(_, w)| PyString::intern(py, w).unbind()).collect(),
            rcodes: rcodes.collect::<Result<_, _>>()?,
            flags: codes.getattr("Flags")?.unbind(),
            parse_error: errors.getattr("ParseError")?.unbind(),
            security: codes.getattr("Security")?.unbind(),
            timeout_error: errors.getattr("DnsTimeoutError")?.unbind(),
            error_of: errors.getattr("error_of")?.unbind(),
        })
    }

    pub(super) fn mnemonic<'py>(&self, py: Python<'py>, rdtype: RdType) -> Bound<'py, PyString> {
        match MNEMONICS.binary_search_by_key(&rdtype.0, |(code, _)| *code) {
            Ok(found) => self.mnemonics[found].bind(py).clone(),
            Err(_) => PyString::new(py, &rdtype.to_string()),
        }
    }

    pub(super) fn rcode<'py>(&self, py: Python<'py>, code: u16) -> PyResult<Bound<'py, PyAny>> {
        match self.rcodes.get(usize::from(code)) {
            Some(member) => Ok(member.bind(py).clone()),
            None => Ok(code.into_pyobject(py)?.into_any()),
        }
    }

    pub(super) fn flags<'py>(&self, py: Python<'py>, bits: u16) -> PyResult<Bound<'py, PyAny>> {
        self.flags.bind(py).call1((bits,))
    }

    fn class_of(&self, rdtype: RdType) -> Option<&Py<PyAny>> {
        let found = self.classes.binary_search_by_key(&rdtype, |(known, _)| *known).ok()?;
        Some(&self.classes[found].1)
    }
}

/// `ParseError` with its offset, ready to raise.
pub(super) fn parse_error(py: Python<'_>, error: ParseError) -> PyErr {
    let made =
        registry(py).and_then(|r| r.parse_error.bind(py).call1((error.to_string(), error.offset)));
    made.map_or_else(|failed| failed, PyErr::from_value)
}

/// The data of a record as its named tuple.
pub(super) fn data_to_python<'py>(
    py: Python<'py>,
    record: &Record<'_>,
) -> PyResult<Bound<'py, PyAny>> {
    if record.rdtype == RdType::OPT {
        return edns_to_python(py, &record.as_edns());
    }
    let registry = registry(py)?;
    if let (Some(values), Some(class)) = (record.values(), registry.class_of(record.rdtype)) {
        // Few types have more fields: no allocation for the usual ones.
        let mut fields: Vec<Bound<'py, PyAny>> = Vec::with_capacity(9);
        for (field, value) in values {
            fields.push(value_to_python(py, registry, field.kind, &value)?);
        }
        let tuple = PyTuple::new(py, fields)?;
        return registry.tuple_new.bind(py).call1((class.bind(py), tuple));
    }
    let rdtype = registry.mnemonic(py, record.rdtype);
    registry.generic.bind(py).call1((rdtype, PyBytes::new(py, record.data())))
}

/// EDNS as the `OPT` tuple.
pub(super) fn edns_to_python<'py>(py: Python<'py>, edns: &Edns<'_>) -> PyResult<Bound<'py, PyAny>> {
    let registry = registry(py)?;
    let Some(class) = registry.class_of(RdType::OPT) else {
        return Err(PyTypeError::new_err("udpcore.dns has no class OPT"));
    };
    let options: Vec<_> =
        value::pairs(edns.options).map(|(code, data)| (code, PyBytes::new(py, data))).collect();
    let options = PyTuple::new(py, options)?;
    let fields = (edns.udp_size, edns.rcode_high, edns.version, edns.flags, options);
    registry.tuple_new.bind(py).call1((class.bind(py), fields))
}

fn value_to_python<'py>(
    py: Python<'py>,
    registry: &Registry,
    kind: Kind,
    value: &Value<'_>,
) -> PyResult<Bound<'py, PyAny>> {
    Ok(match (value, kind) {
        (Value::Int(code), Kind::Type) => registry.mnemonic(py, RdType(*code as u16)).into_any(),
        (Value::Int(number), _) => number.into_pyobject(py)?.into_any(),
        (Value::Ip4(address), _) => PyString::new(py, &address.to_string()).into_any(),
        (Value::Ip6(address), _) => PyString::new(py, &address.to_string()).into_any(),
        (Value::Name(name), _) => PyString::new(py, &name.to_string()).into_any(),
        (Value::Bytes(bytes), _) => PyBytes::new(py, bytes).into_any(),
        (Value::Texts(raw), _) => {
            let strings: Vec<_> = value::texts(raw).map(|text| PyBytes::new(py, text)).collect();
            PyTuple::new(py, strings)?.into_any()
        }
        (Value::Types(raw), _) => {
            let types: Vec<_> = value::types(raw).map(|t| registry.mnemonic(py, t)).collect();
            PyTuple::new(py, types)?.into_any()
        }
        (Value::Pairs(raw), _) => {
            let pairs: Vec<_> = value::pairs(raw)
                .map(|(key, data)| (param_key(key), PyBytes::new(py, data)))
                .collect();
            PyTuple::new(py, pairs)?.into_any()
        }
    })
}

fn param_key(key: u16) -> String {
    PARAM_KEYS.get(usize::from(key)).map_or_else(|| format!("key{key}"), |w| (*w).to_owned())
}

/// A message whose only record is made of Python values.
pub(super) fn record_from_python(
    py: Python<'_>,
    name: &Name,
    rdtype: RdType,
    class: Class,
    ttl: u32,
    data: &Bound<'_, PyAny>,
) -> PyResult<Message> {
    let header = Header { id: 0, flags: Flags(0), opcode: Opcode(0), rcode_low: 0, counts: [0; 4] };
    let mut composer = Composer::new(&header);
    // Additional, because OPT is at home only there.
    let section = Section::Additional;
    let open = match raw_data(data)? {
        Some(raw) => {
            let open = composer.open(section, &name.as_ref(), rdtype, class, ttl);
            composer.bytes(raw.as_bytes());
            open
        }
        None if rdtype == RdType::OPT => {
            let (udp_size, high, version, flags, options): (u16, u8, u8, u16, Bound<'_, PyAny>) =
                data.extract()?;
            let ttl = u32::from(high) << 24 | u32::from(version) << 16 | u32::from(flags);
            let open = composer.open(section, &name.as_ref(), rdtype, Class(udp_size), ttl);
            put_pairs(&mut composer, &options, |key| key.extract())?;
            open
        }
        None => {
            let Some(fields) = schema::fields(rdtype) else {
                return Err(value_error(format!("{rdtype} has no fields here: give bytes")));
            };
            let items: Vec<Bound<'_, PyAny>> = data.try_iter()?.collect::<PyResult<_>>()?;
            if items.len() != fields.len() {
                let (want, have) = (fields.len(), items.len());
                return Err(value_error(format!("{rdtype} has {want} fields, {have} given")));
            }
            let open = composer.open(section, &name.as_ref(), rdtype, class, ttl);
            for (field, item) in fields.iter().zip(&items) {
                put(&mut composer, rdtype, field, item)?;
            }
            open
        }
    };
    composer.close(open).map_err(value_error)?;
    let wire = composer.finish().map_err(value_error)?;
    Message::parse(wire).map_err(|error| parse_error(py, error))
}

/// The octets of `bytes` or of `Generic(rdtype, data)`; `None` for fields.
fn raw_data<'py>(data: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyBytes>>> {
    if let Ok(bytes) = data.cast::<PyBytes>() {
        return Ok(Some(bytes.clone()));
    }
    if data.is_instance(registry(data.py())?.generic.bind(data.py()))? {
        return Ok(Some(data.getattr("data")?.cast_into::<PyBytes>()?));
    }
    if data.is_instance_of::<PyString>() || data.cast::<PyType>().is_ok() {
        return Err(PyTypeError::new_err("data must be a tuple of fields or bytes"));
    }
    Ok(None)
}

fn put(
    composer: &mut Composer,
    rdtype: RdType,
    field: &Field,
    item: &Bound<'_, PyAny>,
) -> PyResult<()> {
    put_value(composer, field.kind, item).map_err(|error| {
        let text = error.value(item.py());
        value_error(format!("field {:?} of {rdtype}: {text}", field.name))
    })
}

fn put_value(composer: &mut Composer, kind: Kind, item: &Bound<'_, PyAny>) -> PyResult<()> {
    let text = || -> PyResult<String> { Ok(item.str()?.to_cow()?.into_owned()) };
    match kind {
        Kind::U8 | Kind::Algorithm => {
            composer.value(kind, &Value::Int(u32::from(item.extract::<u8>()?)))
        }
        Kind::U16 | Kind::CertType => {
            composer.value(kind, &Value::Int(u32::from(item.extract::<u16>()?)))
        }
        Kind::U32 | Kind::Time => composer.value(kind, &Value::Int(item.extract()?)),
        Kind::Type => {
            let rdtype: RdType = text()?.parse().map_err(value_error)?;
            composer.value(kind, &Value::Int(u32::from(rdtype.0)));
        }
        Kind::Ip4 => {
            let address: Ipv4Addr = text()?.parse().map_err(value_error)?;
            composer.value(kind, &Value::Ip4(address));
        }
        Kind::Ip6 => {
            let address: Ipv6Addr = text()?.parse().map_err(value_error)?;
            composer.value(kind, &Value::Ip6(address));
        }
        Kind::Name | Kind::PlainName => {
            let name = parse_name(&item.extract::<String>()?)?;
            composer.value(kind, &Value::Name(name.as_ref()));
        }
        Kind::Text | Kind::Tag | Kind::Salt | Kind::Hash => {
            composer.value(kind, &Value::Bytes(&short(octets(item)?)?));
        }
        Kind::RestText | Kind::Hex | Kind::Base64 | Kind::Eui(_) => {
            composer.value(kind, &Value::Bytes(&octets(item)?));
        }
        Kind::Texts => {
            let mut strings = item.try_iter()?.peekable();
            // RFC 1035 §3.3.14
            if strings.peek().is_none() {
                return Err(value_error("give one string or more".to_owned()));
            }
            for string in strings {
                composer.value(Kind::Text, &Value::Bytes(&short(octets(&string?)?)?));
            }
        }
        Kind::Types => put_types(composer, item)?,
        Kind::Params => put_pairs(composer, item, key_of_param)?,
        Kind::Options => put_pairs(composer, item, |key| key.extract())?,
    }
    Ok(())
}

fn octets(item: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    match item.cast::<PyString>() {
        Ok(text) => Ok(text.to_cow()?.as_bytes().to_vec()),
        Err(_) => Ok(item.cast::<PyBytes>()?.as_bytes().to_vec()),
    }
}

fn short(bytes: Vec<u8>) -> PyResult<Vec<u8>> {
    match bytes.len() {
        0..=255 => Ok(bytes),
        len => Err(value_error(format!("{len} octets, the limit is 255"))),
    }
}

fn put_types(composer: &mut Composer, item: &Bound<'_, PyAny>) -> PyResult<()> {
    let mut types = Vec::new();
    for word in item.try_iter()? {
        types.push(word?.extract::<TypeArg>()?.0);
    }
    composer.value(Kind::Types, &Value::Types(&value::bitmap(types)));
    Ok(())
}

fn put_pairs(
    composer: &mut Composer,
    item: &Bound<'_, PyAny>,
    key_of: impl Fn(&Bound<'_, PyAny>) -> PyResult<u16>,
) -> PyResult<()> {
    for pair in item.try_iter()? {
        let (key, data): (Bound<'_, PyAny>, Bound<'_, PyBytes>) = pair?.extract()?;
        let len = u16::try_from(data.as_bytes().len()).map_err(value_error)?;
        composer.bytes(&key_of(&key)?.to_be_bytes());
        composer.bytes(&len.to_be_bytes());
        composer.bytes(data.as_bytes());
    }
    Ok(())
}

fn key_of_param(key: &Bound<'_, PyAny>) -> PyResult<u16> {
    if let Ok(number) = key.cast::<PyInt>() {
        return number.extract();
    }
    let word: String = key.extract()?;
    let known = PARAM_KEYS.iter().position(|known| *known == word);
    let number = known.map(|at| at as u16).or_else(|| word.strip_prefix("key")?.parse().ok());
    number.ok_or_else(|| value_error(format!("unknown service parameter {word:?}; use key123")))
}

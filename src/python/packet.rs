//! `udpcore.packet`: packets taken apart, put together, drawn; captures opened.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::python::apps_net::refused;
use crate::wire::packet::{
    Checksum, LayerSpec, Packet, Protocol, capture, compose, dissect, draw, hexdump,
};

/// Name, value and text of a field.
type FieldTuple = (&'static str, u128, String);
/// Protocol, offset, fields, options, checksum (`"good"`…), the expected one, the drawing.
type LayerTuple<'py> = (
    &'static str,
    usize,
    Vec<FieldTuple>,
    Bound<'py, PyBytes>,
    Option<&'static str>,
    Option<u16>,
    String,
);
/// Layers, payload, note.
type PacketTuple<'py> = (Vec<LayerTuple<'py>>, Bound<'py, PyBytes>, Option<String>);

/// Protocol, given values, options.
type HeaderTuple = (String, Vec<(String, u128)>, Vec<u8>);

fn protocol(name: &str) -> PyResult<Protocol> {
    let names = || Protocol::ALL.map(Protocol::name).join(", ");
    let found = Protocol::ALL.into_iter().find(|protocol| protocol.name() == name);
    found.ok_or_else(|| refused(format!("unknown protocol {name:?}; known are {}", names())))
}

#[pyfunction]
pub(crate) fn packet_dissect<'py>(
    py: Python<'py>,
    bytes: &[u8],
    first: &str,
) -> PyResult<PacketTuple<'py>> {
    let Packet { layers, payload, note } = dissect(bytes, protocol(first)?);
    let tuples = layers.iter().map(|layer| {
        let fields = layer.fields.iter().map(|f| (f.name, f.value, f.text())).collect();
        let (checksum, expected) = match layer.checksum {
            None => (None, None),
            Some(Checksum::Good) => (Some("good"), None),
            Some(Checksum::Absent) => (Some("absent"), None),
            Some(Checksum::Unknown) => (Some("unknown"), None),
            Some(Checksum::Bad { expected }) => (Some("bad"), Some(expected)),
        };
        let options = PyBytes::new(py, layer.options());
        (layer.protocol.name(), layer.offset, fields, options, checksum, expected, draw(layer))
    });
    Ok((tuples.collect(), PyBytes::new(py, &payload), note))
}

#[pyfunction]
pub(crate) fn packet_compose(layers: Vec<HeaderTuple>, payload: &[u8]) -> PyResult<Vec<u8>> {
    let spec = |(name, values, options): HeaderTuple| {
        Ok(LayerSpec { protocol: protocol(&name)?, values, options })
    };
    let layers: Vec<LayerSpec> = layers.into_iter().map(spec).collect::<PyResult<_>>()?;
    compose(&layers, payload).map_err(refused)
}

#[pyfunction]
pub(crate) fn packet_hexdump(bytes: &[u8]) -> String {
    hexdump(bytes)
}

/// Time in ns, link, length on the wire, bytes, comment.
type RecordTuple = (Option<u64>, u16, usize, Vec<u8>, Option<String>);

/// The packets of a capture, and why reading stopped when its end is damaged.
#[pyfunction]
pub(crate) fn capture_read(bytes: &[u8]) -> PyResult<(Vec<RecordTuple>, Option<String>)> {
    let (records, end) = capture::read(bytes).map_err(refused)?;
    let tuple = |r: capture::Record| (r.time_ns, r.link, r.length, r.data, r.comment);
    Ok((records.into_iter().map(tuple).collect(), end.map(|error| error.to_string())))
}

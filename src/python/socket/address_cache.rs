//! Addresses remembered from the last call: most sockets talk to one peer at a time.

use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::{PyInt, PyString, PyTuple};

use super::address::{parse, to_python};
use super::state::Socket;
use crate::io::socket::Address;
use crate::io::socket::address::View;

/// The kernel's form of the last address given to `sendto`.
///
/// The address object is kept alive, so its identity cannot be reused; only tuples of str and
/// int are remembered, which cannot change. Names that need the resolver are looked up each time.
#[derive(Default)]
pub(super) struct SendCache(Mutex<Option<(Py<PyAny>, Address)>>);

impl SendCache {
    /// The remembered form of `argument`, or a fresh one.
    pub(super) fn parse(
        &self,
        socket: &Socket,
        argument: &Bound<'_, PyAny>,
        caller: &str,
    ) -> PyResult<Address> {
        if let Ok(cache) = self.0.try_lock()
            && let Some((object, address)) = cache.as_ref()
            && object.is(argument)
        {
            return Ok(address.clone());
        }
        let address = parse(socket, argument, caller)?;
        if is_constant(argument)
            && let Ok(mut cache) = self.0.try_lock()
        {
            let old = cache.replace((argument.clone().unbind(), address.clone()));
            drop(cache);
            drop(old);
        }
        Ok(address)
    }
}

/// Whether the address can neither change nor mean something else next time.
fn is_constant(argument: &Bound<'_, PyAny>) -> bool {
    let Ok(tuple) = argument.cast_exact::<PyTuple>() else { return false };
    let mut items = tuple.iter();
    let numeric = items.next().is_some_and(|host| {
        host.cast_exact::<PyString>().is_ok_and(|text| {
            text.to_str().is_ok_and(|text| text.parse::<std::net::IpAddr>().is_ok())
        })
    });
    numeric && items.all(|item| item.is_exact_instance_of::<PyInt>())
}

/// The Python value of the last peer.
#[derive(Default)]
pub(super) struct PeerCache(Mutex<Option<(Address, Py<PyAny>)>>);

impl PeerCache {
    /// The Python value of `peer`: the same object as last time if the peer is the same.
    pub(super) fn to_python<'py>(
        &self,
        py: Python<'py>,
        peer: &Address,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Ok(cache) = self.0.try_lock()
            && let Some((known, value)) = cache.as_ref()
            && known == peer
        {
            return Ok(value.bind(py).clone());
        }
        let value = to_python(py, peer)?;
        if matches!(peer.view(), View::V4(..) | View::V6(..))
            && let Ok(mut cache) = self.0.try_lock()
        {
            let old = cache.replace((peer.clone(), value.clone().unbind()));
            drop(cache);
            drop(old);
        }
        Ok(value)
    }
}

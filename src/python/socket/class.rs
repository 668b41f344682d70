//! `_core.socket`: the list of its methods. What they do is in the files beside this one.

use std::os::fd::RawFd;

use libc::{c_int, c_long};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyTuple};

use super::address::to_python;
use super::args::{Arg, Args, no_more_keywords, one, plain_int_of, with_keywords};
use super::audit::audit_new;
use super::errors::os_error;
use super::state::{Socket, descriptor_of};
use super::timeout::Timeout;
use super::{connect, messages, options, receive, send};
use crate::io::socket::sys;

#[pymethods]
impl Socket {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self::closed()
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __init__(
        slf: &Bound<'_, Self>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let names = ["family", "type", "proto", "fileno"];
        let values = with_keywords("socket", &names, 0, args, kwargs)?;
        let mut numbers = [-1; 3];
        for (number, value) in numbers.iter_mut().zip(&values) {
            *number = value.as_ref().map_or(Ok(-1), plain_int_of)?;
        }
        let [family, kind, protocol] = numbers;
        audit_new(slf.as_any(), [family, kind, protocol])?;
        match values[3].as_ref().filter(|fileno| !fileno.is_none()) {
            Some(fileno) => slf.get().open_existing(slf.py(), descriptor_of(fileno)?, numbers),
            None => slf.get().open(slf.py(), numbers),
        }
    }

    fn __repr__(&self) -> String {
        format!(
            "<socket object, fd={}, family={}, type={}, proto={}>",
            self.fd.get(),
            self.family(),
            self.kind(),
            self.protocol()
        )
    }

    #[getter]
    #[pyo3(name = "family")]
    fn family_number(&self) -> c_int {
        self.family()
    }

    #[getter(r#type)]
    fn kind_number(&self) -> c_int {
        self.kind()
    }

    #[getter(proto)]
    fn protocol_number(&self) -> c_int {
        self.protocol()
    }

    #[getter]
    fn timeout(&self) -> Option<f64> {
        self.timeout.get().seconds()
    }

    fn fileno(&self) -> RawFd {
        self.fd.get()
    }

    fn detach(&self) -> RawFd {
        self.fd.detach()
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        match py.detach(|| self.fd.close()) {
            // The peer's reset is no news to somebody who hangs up.
            Err(errno) if errno.0 != libc::ECONNRESET => Err(os_error(py, errno)),
            _ => Ok(()),
        }
    }

    #[pyo3(signature = (value=Arg::MISSING, /, *rest), text_signature = "($self, value, /)")]
    fn settimeout(
        &self,
        py: Python<'_>,
        value: Arg<'_, '_>,
        rest: &Bound<'_, PyTuple>,
    ) -> PyResult<()> {
        self.set_timeout(py, Timeout::parse(one("settimeout", value, rest)?.as_any())?)
    }

    fn gettimeout(&self) -> Option<f64> {
        self.timeout.get().seconds()
    }

    #[pyo3(signature = (flag=Arg::MISSING, /, *rest), text_signature = "($self, flag, /)")]
    fn setblocking(
        &self,
        py: Python<'_>,
        flag: Arg<'_, '_>,
        rest: &Bound<'_, PyTuple>,
    ) -> PyResult<()> {
        let flag = one("setblocking", flag, rest)?;
        // Until 3.11 it had to be a number. Asking for the version parses its text.
        static WANTS_NUMBER: PyOnceLock<bool> = PyOnceLock::new();
        let blocking = match flag.cast_exact::<PyBool>() {
            Ok(flag) => flag.is_true(),
            Err(_) if *WANTS_NUMBER.get_or_init(py, || py.version_info() < (3, 12)) => {
                flag.extract::<c_long>()? != 0
            }
            Err(_) => flag.is_truthy()?,
        };
        self.set_timeout(py, if blocking { Timeout::Blocking } else { Timeout::NonBlocking })
    }

    fn getblocking(&self) -> bool {
        self.timeout.get() != Timeout::NonBlocking
    }

    #[pyo3(signature = (address=Arg::MISSING, /, *rest), text_signature = "($self, address, /)")]
    fn bind(
        slf: &Bound<'_, Self>,
        address: Arg<'_, '_>,
        rest: &Bound<'_, PyTuple>,
    ) -> PyResult<()> {
        connect::bind(slf, one("bind", address, rest)?.as_any())
    }

    #[pyo3(signature = (address=Arg::MISSING, /, *rest), text_signature = "($self, address, /)")]
    fn connect(
        slf: &Bound<'_, Self>,
        address: Arg<'_, '_>,
        rest: &Bound<'_, PyTuple>,
    ) -> PyResult<()> {
        connect::connect(slf, one("connect", address, rest)?.as_any())
    }

    #[pyo3(signature = (address=Arg::MISSING, /, *rest), text_signature = "($self, address, /)")]
    fn connect_ex(
        slf: &Bound<'_, Self>,
        address: Arg<'_, '_>,
        rest: &Bound<'_, PyTuple>,
    ) -> PyResult<c_int> {
        connect::connect_ex(slf, one("connect_ex", address, rest)?.as_any())
    }

    fn _accept<'py>(slf: &Bound<'py, Self>) -> PyResult<(c_int, Bound<'py, PyAny>)> {
        connect::accept(slf)
    }

    #[pyo3(
        signature = (backlog=Arg::MISSING, /, *rest),
        text_signature = "($self, backlog=128, /)"
    )]
    fn listen(
        &self,
        py: Python<'_>,
        backlog: Arg<'_, '_>,
        rest: &Bound<'_, PyTuple>,
    ) -> PyResult<()> {
        // Python's default: 128 or what the system allows, whichever is less.
        let default = libc::SOMAXCONN.min(128);
        let backlog = Args::new("listen", [backlog], rest, 0)?.int_or(0, default)?;
        let lease = self.fd.lease();
        py.detach(|| sys::listen(lease.fd(), backlog.max(0))).map_err(|errno| os_error(py, errno))
    }

    #[pyo3(signature = (how=Arg::MISSING, /, *rest), text_signature = "($self, how, /)")]
    fn shutdown(
        &self,
        py: Python<'_>,
        how: Arg<'_, '_>,
        rest: &Bound<'_, PyTuple>,
    ) -> PyResult<()> {
        let how = plain_int_of(one("shutdown", how, rest)?.as_any())?;
        let lease = self.fd.lease();
        py.detach(|| sys::shutdown(lease.fd(), how)).map_err(|errno| os_error(py, errno))
    }

    fn getsockname<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let address = sys::local_address(self.fd.get()).map_err(|errno| os_error(py, errno))?;
        to_python(py, &address)
    }

    fn getpeername<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let address = sys::peer_address(self.fd.get()).map_err(|errno| os_error(py, errno))?;
        to_python(py, &address)
    }

    #[pyo3(
        signature = (level=Arg::MISSING, option=Arg::MISSING, buflen=Arg::MISSING, /, *rest),
        text_signature = "($self, level, optname, buflen=0, /)"
    )]
    fn getsockopt<'py>(
        &self,
        py: Python<'py>,
        level: Arg<'_, 'py>,
        option: Arg<'_, 'py>,
        buflen: Arg<'_, 'py>,
        rest: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let args = Args::new("getsockopt", [level, option, buflen], rest, 2)?;
        options::getsockopt(py, self, &args)
    }

    #[pyo3(
        signature = (
            level=Arg::MISSING, option=Arg::MISSING, value=Arg::MISSING,
            optlen=Arg::MISSING, /, *rest
        ),
        text_signature = "($self, level, optname, value, optlen=0, /)"
    )]
    fn setsockopt<'py>(
        &self,
        py: Python<'py>,
        level: Arg<'_, 'py>,
        option: Arg<'_, 'py>,
        value: Arg<'_, 'py>,
        optlen: Arg<'_, 'py>,
        rest: &Bound<'py, PyTuple>,
    ) -> PyResult<()> {
        let args = options::setsockopt_args([level, option, value, optlen], rest)?;
        options::setsockopt(py, self, &args)
    }

    #[pyo3(
        signature = (bufsize=Arg::MISSING, flags=Arg::MISSING, /, *rest),
        text_signature = "($self, bufsize, flags=0, /)"
    )]
    fn recv<'py>(
        &self,
        py: Python<'py>,
        bufsize: Arg<'_, 'py>,
        flags: Arg<'_, 'py>,
        rest: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let args = Args::new("recv", [bufsize, flags], rest, 1)?;
        receive::recv(py, self, &args)
    }

    #[pyo3(
        signature = (bufsize=Arg::MISSING, flags=Arg::MISSING, /, *rest),
        text_signature = "($self, bufsize, flags=0, /)"
    )]
    fn recvfrom<'py>(
        &self,
        py: Python<'py>,
        bufsize: Arg<'_, 'py>,
        flags: Arg<'_, 'py>,
        rest: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let args = Args::new("recvfrom", [bufsize, flags], rest, 1)?;
        receive::recvfrom(py, self, &args)
    }

    #[pyo3(
        signature = (
            buffer=Arg::MISSING, nbytes=Arg::MISSING, flags=Arg::MISSING, *rest,
            **keywords
        ),
        text_signature = "($self, buffer, nbytes=0, flags=0)"
    )]
    fn recv_into<'py>(
        &self,
        py: Python<'py>,
        buffer: Arg<'_, 'py>,
        nbytes: Arg<'_, 'py>,
        flags: Arg<'_, 'py>,
        rest: &Bound<'py, PyTuple>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<usize> {
        no_more_keywords("recv_into", keywords)?;
        let args = receive::into_args("recv_into", [buffer, nbytes, flags], rest)?;
        receive::recv_into(py, self, &args)
    }

    #[pyo3(
        signature = (
            buffer=Arg::MISSING, nbytes=Arg::MISSING, flags=Arg::MISSING, *rest,
            **keywords
        ),
        text_signature = "($self, buffer, nbytes=0, flags=0)"
    )]
    fn recvfrom_into<'py>(
        &self,
        py: Python<'py>,
        buffer: Arg<'_, 'py>,
        nbytes: Arg<'_, 'py>,
        flags: Arg<'_, 'py>,
        rest: &Bound<'py, PyTuple>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<(usize, Bound<'py, PyAny>)> {
        no_more_keywords("recvfrom_into", keywords)?;
        let args = receive::into_args("recvfrom_into", [buffer, nbytes, flags], rest)?;
        receive::recvfrom_into(py, self, &args)
    }

    #[pyo3(
        signature = (bufsize=Arg::MISSING, ancbufsize=Arg::MISSING, flags=Arg::MISSING, /, *rest),
        text_signature = "($self, bufsize, ancbufsize=0, flags=0, /)"
    )]
    fn recvmsg<'py>(
        &self,
        py: Python<'py>,
        bufsize: Arg<'_, 'py>,
        ancbufsize: Arg<'_, 'py>,
        flags: Arg<'_, 'py>,
        rest: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let args = Args::new("recvmsg", [bufsize, ancbufsize, flags], rest, 1)?;
        messages::recvmsg(py, self, &args)
    }

    #[pyo3(
        signature = (buffers=Arg::MISSING, ancbufsize=Arg::MISSING, flags=Arg::MISSING, /, *rest),
        text_signature = "($self, buffers, ancbufsize=0, flags=0, /)"
    )]
    fn recvmsg_into<'py>(
        &self,
        py: Python<'py>,
        buffers: Arg<'_, 'py>,
        ancbufsize: Arg<'_, 'py>,
        flags: Arg<'_, 'py>,
        rest: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let args = Args::new("recvmsg_into", [buffers, ancbufsize, flags], rest, 1)?;
        messages::recvmsg_into(py, self, &args)
    }

    #[pyo3(
        signature = (data=Arg::MISSING, flags=Arg::MISSING, /, *rest),
        text_signature = "($self, data, flags=0, /)"
    )]
    fn send<'py>(
        &self,
        py: Python<'py>,
        data: Arg<'_, 'py>,
        flags: Arg<'_, 'py>,
        rest: &Bound<'py, PyTuple>,
    ) -> PyResult<usize> {
        let args = Args::new("send", [data, flags], rest, 1)?;
        send::send(py, self, &args)
    }

    #[pyo3(
        signature = (data=Arg::MISSING, flags=Arg::MISSING, /, *rest),
        text_signature = "($self, data, flags=0, /)"
    )]
    fn sendall<'py>(
        &self,
        py: Python<'py>,
        data: Arg<'_, 'py>,
        flags: Arg<'_, 'py>,
        rest: &Bound<'py, PyTuple>,
    ) -> PyResult<()> {
        let args = Args::new("sendall", [data, flags], rest, 1)?;
        send::sendall(py, self, &args)
    }

    #[pyo3(
        signature = (data=Arg::MISSING, flags=Arg::MISSING, address=Arg::MISSING, /, *rest),
        text_signature = "($self, data, flags, address=None, /)"
    )]
    fn sendto<'py>(
        slf: &Bound<'py, Self>,
        data: Arg<'_, 'py>,
        flags: Arg<'_, 'py>,
        address: Arg<'_, 'py>,
        rest: &Bound<'py, PyTuple>,
    ) -> PyResult<usize> {
        let args = send::sendto_args([data, flags, address], rest)?;
        send::sendto(slf, &args)
    }

    #[pyo3(
        signature = (
            buffers=Arg::MISSING, ancdata=Arg::MISSING, flags=Arg::MISSING,
            address=Arg::MISSING, /, *rest
        ),
        text_signature = "($self, buffers, ancdata=(), flags=0, address=None, /)"
    )]
    fn sendmsg<'py>(
        slf: &Bound<'py, Self>,
        buffers: Arg<'_, 'py>,
        ancdata: Arg<'_, 'py>,
        flags: Arg<'_, 'py>,
        address: Arg<'_, 'py>,
        rest: &Bound<'py, PyTuple>,
    ) -> PyResult<usize> {
        let args = Args::new("sendmsg", [buffers, ancdata, flags, address], rest, 1)?;
        messages::sendmsg(slf, &args)
    }
}

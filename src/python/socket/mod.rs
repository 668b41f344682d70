//! The socket class of `udpcore._core`: what `_socket.socket` is to the standard library.
//!
//! Rules of this folder: the standard library's semantics, errors and words (TypeError texts
//! too); arguments are parsed by hand in `args`, since pyo3's own messages differ. The class is
//! frozen: state lives in atomics, so a method never finds it borrowed.

mod address;
mod address_cache;
mod args;
mod audit;
mod batch;
mod buffer;
mod call;
mod class;
mod connect;
mod errors;
mod functions;
mod host;
mod messages;
mod options;
mod patience;
mod receive;
mod resolver;
mod send;
mod state;
mod timeout;

pub(super) use batch::{
    Datagram, DatagramBatch, DatagramError, mmsg_coalesces, mmsg_errors, mmsg_getsockopt,
    mmsg_receive, mmsg_recv, mmsg_recv_into, mmsg_send, mmsg_set_coalescing, mmsg_setsockopt,
};
pub(super) use functions::{
    close, cmsg_len, cmsg_space, dup, getdefaulttimeout, setdefaulttimeout, socketpair,
};
pub(super) use resolver::{getaddrinfo, gethostbyname, getnameinfo};
pub(super) use state::Socket;

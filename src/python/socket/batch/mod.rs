//! Many datagrams a call, on our sockets and on anything else with a descriptor.
//!
//! Functions rather than methods, because a standard socket is as welcome as ours. What is sent,
//! cut and read is decided in `io::batch`; here are arguments, waiting and Python values.

mod class;
mod errors;
mod facts;
mod handle;
mod options;
mod receive;
mod send;

pub(crate) use class::{DatagramBatch, mmsg_recv_into};
pub(crate) use errors::{DatagramError, mmsg_errors};
pub(crate) use facts::Datagram;
pub(crate) use options::{mmsg_coalesces, mmsg_getsockopt, mmsg_set_coalescing, mmsg_setsockopt};
pub(crate) use receive::{mmsg_receive, mmsg_recv};
pub(crate) use send::mmsg_send;

//! System calls on sockets, without Python: addresses, waiting, ancillary data, resolving.
//!
//! Rules of this folder: every function is one system call or one C library call, takes a raw
//! descriptor and gives back [`Errno`] as the kernel said it; nobody retries here, because what
//! to do on `EINTR` (run Python's signal handlers?) is the caller's business. `unsafe` is allowed
//! in these files only, each block with its reason.

pub mod address;
pub mod cmsg;
pub mod drain;
mod errno;
pub mod fd;
pub mod message;
pub mod resolve;
pub mod sys;
pub mod wait;

pub use address::Address;
pub use errno::Errno;

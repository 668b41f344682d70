//! A system error as the kernel gave it: a number, cheap to pass around and to match.

use std::fmt;
use std::io;

/// The number of a failed system call (`errno`), for example [`Errno::AGAIN`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Errno(pub i32);

impl Errno {
    /// Nothing there yet, or no room yet (`EAGAIN`, the same number as `EWOULDBLOCK`).
    pub const AGAIN: Self = Self(libc::EAGAIN);
    /// A signal arrived before the call could do anything.
    pub const INTR: Self = Self(libc::EINTR);
    /// The descriptor is closed.
    pub const BADF: Self = Self(libc::EBADF);
    /// A connection attempt goes on in the background.
    pub const INPROGRESS: Self = Self(libc::EINPROGRESS);
    /// The connection is already there.
    pub const ISCONN: Self = Self(libc::EISCONN);
    /// The datagram does not fit.
    pub const MSGSIZE: Self = Self(libc::EMSGSIZE);
    /// The value or the address does not fit the socket.
    pub const INVAL: Self = Self(libc::EINVAL);

    /// The error of the call that just failed on this thread.
    #[must_use]
    pub fn last() -> Self {
        Self(io::Error::last_os_error().raw_os_error().unwrap_or(0))
    }

    /// Turns the C convention "-1 means look at errno" into a `Result`.
    pub(crate) fn check(returned: libc::c_int) -> Result<libc::c_int, Self> {
        if returned < 0 { Err(Self::last()) } else { Ok(returned) }
    }

    /// As [`Errno::check`], for calls that return a length.
    pub(crate) fn check_len(returned: isize) -> Result<usize, Self> {
        usize::try_from(returned).map_err(|_| Self::last())
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        io::Error::from_raw_os_error(self.0).fmt(out)
    }
}

impl std::error::Error for Errno {}

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> Self {
        Self::from_raw_os_error(errno.0)
    }
}

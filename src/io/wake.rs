//! Waiting for a socket or for a nudge, whichever comes first, until a precise time.
//!
//! The only file of the reliable drivers with system calls of its own: `ppoll`, the socket option
//! that makes ICMP errors visible, and a second descriptor for a socket.

use std::io::{self, Read, Write};
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// What [`WakeReceiver::wait`] saw.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ready {
    /// The socket has datagrams, or an error to report.
    pub(super) readable: bool,
    /// The socket has errors in its error queue.
    pub(super) error: bool,
}

/// The nudging end.
#[derive(Debug)]
pub(super) struct Waker(UnixStream);

/// The waiting end.
#[derive(Debug)]
pub(super) struct WakeReceiver(UnixStream);

/// Two ends of one nudge.
pub(super) fn pair() -> io::Result<(Waker, WakeReceiver)> {
    let (waker, receiver) = UnixStream::pair()?;
    waker.set_nonblocking(true)?;
    receiver.set_nonblocking(true)?;
    Ok((Waker(waker), WakeReceiver(receiver)))
}

impl Waker {
    /// Ends the current or the next wait. Several nudges before a wait are one.
    pub(super) fn wake(&self) {
        // A full buffer means that the other end is about to wake anyway; a closed one that
        // nobody waits any more.
        let _ = (&self.0).write(&[0]);
    }
}

impl WakeReceiver {
    /// Waits until `socket` is readable (or writable, if that is asked for), somebody nudges, or
    /// `timeout` is over. Without a timeout it waits as long as it takes.
    pub(super) fn wait(
        &self,
        socket: &UdpSocket,
        writable: bool,
        timeout: Option<Duration>,
    ) -> io::Result<Ready> {
        let socket_events = libc::POLLIN | if writable { libc::POLLOUT } else { 0 };
        let mut fds =
            [entry(socket.as_raw_fd(), socket_events), entry(self.0.as_raw_fd(), libc::POLLIN)];
        match poll(&mut fds, timeout) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Ready::default()),
            Err(error) => return Err(error),
        }
        if fds[1].revents != 0 {
            let mut nudges = [0; 64];
            let _ = (&self.0).read(&mut nudges);
        }
        let error = fds[0].revents & libc::POLLERR != 0;
        Ok(Ready { readable: error || fds[0].revents & libc::POLLIN != 0, error })
    }
}

fn entry(fd: RawFd, events: libc::c_short) -> libc::pollfd {
    libc::pollfd { fd, events, revents: 0 }
}

#[cfg(target_os = "linux")]
fn poll(fds: &mut [libc::pollfd], timeout: Option<Duration>) -> io::Result<()> {
    let limit = timeout.map(|timeout| libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    let limit = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: `fds` and `limit` are valid for the call, and the count is that of `fds`; a null
    // limit means no limit, a null signal mask leaves the mask alone.
    let count = unsafe {
        libc::ppoll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, limit, std::ptr::null())
    };
    if count < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(not(target_os = "linux"))]
fn poll(fds: &mut [libc::pollfd], timeout: Option<Duration>) -> io::Result<()> {
    // Whole milliseconds, rounded up: late rather than early.
    let limit = timeout.map_or(-1, |timeout| {
        libc::c_int::try_from(timeout.as_micros().div_ceil(1_000)).unwrap_or(libc::c_int::MAX)
    });
    // SAFETY: `fds` is valid for the call and the count is its own.
    let count = unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, limit) };
    if count < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A second descriptor of the socket behind `fd`.
pub(super) fn duplicate(fd: RawFd) -> io::Result<UdpSocket> {
    // SAFETY: any number may be asked for; what is no open descriptor is an error.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made this descriptor and nobody else knows it.
    Ok(unsafe { UdpSocket::from_raw_fd(copy) })
}

/// Asks the kernel to report ICMP errors ("port unreachable") on an unconnected socket.
#[cfg(target_os = "linux")]
pub(super) fn report_icmp_errors(socket: &UdpSocket) -> io::Result<()> {
    let (level, option) = if socket.local_addr()?.is_ipv6() {
        (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
    } else {
        (libc::IPPROTO_IP, libc::IP_RECVERR)
    };
    let on: libc::c_int = 1;
    // SAFETY: the option takes an int; pointer and length are those of `on`, which outlives the
    // call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(&on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Elsewhere an unconnected socket hears nothing of ICMP errors, and nothing is lost by that.
#[cfg(not(target_os = "linux"))]
pub(super) fn report_icmp_errors(_socket: &UdpSocket) -> io::Result<()> {
    Ok(())
}

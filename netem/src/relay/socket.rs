//! The relay's sockets: one that listens, one connected to the upstream for each client.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use mio::net::UdpSocket;
use socket2::{Domain, Socket, Type};

use super::{RelayError, batch};

/// What the relay asks for so that a burst fits; the system may give less (`net.core.rmem_max`).
const BUFFER_BYTES: usize = 4 << 20;
/// What it asks for where all clients send to; beyond the limit only with CAP_NET_ADMIN.
const LISTENER_BUFFER_BYTES: usize = 16 << 20;

/// The addresses of `host`, which may be a name or an address; the first is used.
///
/// # Errors
/// [`RelayError::Resolve`] when there is none.
pub fn resolve(host: &str, port: u16) -> Result<SocketAddr, RelayError> {
    let failed = |source| RelayError::Resolve { host: host.to_owned(), source };
    let none = || io::Error::new(io::ErrorKind::NotFound, "no address for this name");
    let mut addresses = (host, port).to_socket_addrs().map_err(failed)?;
    addresses.next().ok_or_else(|| failed(none()))
}

pub(super) fn listen(address: SocketAddr) -> Result<UdpSocket, RelayError> {
    let socket = open(address, |socket| socket.bind(&address.into()))
        .map_err(|source| RelayError::Listen { address, source })?;
    batch::force_buffer(&socket, LISTENER_BUFFER_BYTES);
    // Where there is only one address, it is the one that replies leave from.
    batch::prepare(&socket, address.is_ipv6(), address.ip().is_unspecified());
    Ok(socket)
}

/// A socket connected to `address`: it takes datagrams from nobody else.
pub(super) fn connect(address: SocketAddr) -> Result<UdpSocket, RelayError> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let open = open(address, |socket| {
        socket.bind(&any.into())?;
        socket.connect(&address.into())
    });
    let socket = open.map_err(|source| RelayError::Upstream { address, source })?;
    batch::prepare(&socket, address.is_ipv6(), false);
    Ok(socket)
}

fn open(
    address: SocketAddr,
    prepare: impl FnOnce(&Socket) -> io::Result<()>,
) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    socket.set_nonblocking(true)?;
    // A smaller buffer is no reason not to run.
    let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(BUFFER_BYTES);
    prepare(&socket)?;
    Ok(UdpSocket::from_std(socket.into()))
}

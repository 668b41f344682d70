//! The socket: many datagrams a system call, in both directions.

use crate::transport::Ecn;
use quinn_udp::{BATCH_SIZE, EcnCodepoint, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};

/// The kernel coalesces datagrams up to this (GRO), and cuts up to this (GSO).
const BUFFER_LEN: usize = 65_536;
/// Super-datagrams received at once.
const BUFFERS: usize = if BATCH_SIZE < 8 { BATCH_SIZE } else { 8 };
/// IP packets are at most this long, so a batch to be cut is, too.
const BATCH_LEN_MAX: usize = 65_000;
/// Socket buffers asked of the kernel; it gives what its limits allow.
const SOCKET_BUFFER_LEN: usize = 4 << 20;

/// Sends and receives on a non-blocking socket.
#[derive(Debug)]
pub(super) struct Packets {
    state: UdpSocketState,
    buffers: Vec<u8>,
    metas: Vec<RecvMeta>,
    /// Socket addresses as an IPv6 socket wants them.
    is_ipv6: bool,
}

impl Packets {
    pub(super) fn new(socket: &UdpSocket) -> io::Result<Self> {
        let reference = socket2::SockRef::from(socket);
        let _ = reference.set_recv_buffer_size(SOCKET_BUFFER_LEN);
        let _ = reference.set_send_buffer_size(SOCKET_BUFFER_LEN);
        Ok(Self {
            state: UdpSocketState::new(UdpSockRef::from(socket))?,
            buffers: vec![0; BUFFERS * BUFFER_LEN],
            metas: vec![RecvMeta::default(); BUFFERS],
            is_ipv6: socket.local_addr()?.is_ipv6(),
        })
    }

    /// How many datagrams of this length may go in one batch.
    pub(super) fn segments_max(&self, datagram_len: usize) -> usize {
        self.state.max_gso_segments().min(BATCH_LEN_MAX / datagram_len).max(1)
    }

    /// Receives what is there; returns how many super-datagrams.
    pub(super) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        let mut slices: Vec<IoSliceMut<'_>> =
            self.buffers.chunks_mut(BUFFER_LEN).map(IoSliceMut::new).collect();
        self.state.recv(UdpSockRef::from(socket), &mut slices, &mut self.metas)
    }

    /// Hands every datagram of the last [`receive`](Self::receive) to `handle`.
    pub(super) fn each(
        &mut self,
        count: usize,
        mut handle: impl FnMut(SocketAddr, Ecn, &mut [u8]),
    ) {
        for (meta, buffer) in self.metas[..count].iter().zip(self.buffers.chunks_mut(BUFFER_LEN)) {
            let from = unmapped(meta.addr);
            let ecn = match meta.ecn {
                None => Ecn::NotEct,
                Some(EcnCodepoint::Ect0) => Ecn::Ect0,
                Some(EcnCodepoint::Ect1) => Ecn::Ect1,
                Some(EcnCodepoint::Ce) => Ecn::Ce,
            };
            for datagram in buffer[..meta.len].chunks_mut(meta.stride.max(1)) {
                handle(from, ecn, datagram);
            }
        }
    }

    /// Sends a batch to one address.
    pub(super) fn send(
        &self,
        socket: &UdpSocket,
        (remote, ecn): (SocketAddr, Ecn),
        contents: &[u8],
        segment_len: usize,
    ) -> io::Result<()> {
        let transmit = Transmit {
            destination: if self.is_ipv6 { mapped(remote) } else { remote },
            ecn: match ecn {
                Ecn::NotEct => None,
                Ecn::Ect0 => Some(EcnCodepoint::Ect0),
                Ecn::Ect1 => Some(EcnCodepoint::Ect1),
                Ecn::Ce => Some(EcnCodepoint::Ce),
            },
            contents,
            segment_size: (contents.len() > segment_len).then_some(segment_len),
            src_ip: None,
        };
        self.state.try_send(UdpSockRef::from(socket), &transmit)
    }
}

/// An IPv4 address that an IPv6 socket shows as IPv6.
fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The reverse.
fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
        v6 => v6,
    }
}

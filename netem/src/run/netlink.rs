//! Interfaces made and set up by rtnetlink(7): just what two joined namespaces need.
//!
//! A message is a header (length, type, flags, number, port), a fixed part, and attributes
//! (length, type, value, padded to four bytes), all in the machine's byte order.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

const HEADER_BYTES: usize = 16;
/// One answer fits: an error message with the request it is about.
const ANSWER_BYTES: usize = 4096;
/// Numbers of linux/if_link.h and linux/veth.h that libc does not have.
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
/// linux/if_addr.h: usable at once, without looking for a duplicate first.
const IFA_F_NODAD: u8 = 0x02;

/// A socket to the kernel's network, in the namespace of the thread that opened it.
#[derive(Debug)]
pub(super) struct Netlink {
    fd: OwnedFd,
}

/// A request on its way to the kernel.
struct Request {
    bytes: Vec<u8>,
}

impl Request {
    fn new(kind: u16, flags: libc::c_int) -> Self {
        let flags = (flags | libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        Self { bytes }
    }

    /// struct ifinfomsg: family, type, index, flags, which flags change.
    fn interface(&mut self, index: u32, flags: u32) {
        self.bytes.extend([0; 4]);
        for word in [index, flags, flags] {
            self.bytes.extend(word.to_ne_bytes());
        }
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.nested(kind, |request| request.bytes.extend(value));
    }

    fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.bytes.extend([0; 2]);
        self.bytes.extend(kind.to_ne_bytes());
        fill(self);
        let length = ((self.bytes.len() - start) as u16).to_ne_bytes();
        self.bytes[start..start + 2].copy_from_slice(&length);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

impl Netlink {
    pub(super) fn open() -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: no pointers; the result is checked below.
        let fd = unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just returned by the kernel and belongs to nobody else.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// A veth pair: `name` here, `peer` in the namespace `of`.
    pub(super) fn add_veth(&self, name: &str, peer: &str, of: RawFd) -> io::Result<()> {
        let mut request = Request::new(libc::RTM_NEWLINK, libc::NLM_F_CREATE | libc::NLM_F_EXCL);
        request.interface(0, 0);
        request.attribute(libc::IFLA_IFNAME, &text(name));
        request.nested(libc::IFLA_LINKINFO, |request| {
            request.attribute(IFLA_INFO_KIND, b"veth");
            request.nested(IFLA_INFO_DATA, |request| {
                request.nested(VETH_INFO_PEER, |request| {
                    request.interface(0, 0);
                    request.attribute(libc::IFLA_IFNAME, &text(peer));
                    request.attribute(libc::IFLA_NET_NS_FD, &of.to_ne_bytes());
                });
            });
        });
        self.ask(request)
    }

    /// Gives an interface an address.
    pub(super) fn add_address(&self, index: u32, address: IpAddr, prefix: u8) -> io::Result<()> {
        let mut request = Request::new(libc::RTM_NEWADDR, libc::NLM_F_CREATE | libc::NLM_F_EXCL);
        let (family, bytes) = match address {
            IpAddr::V4(v4) => (libc::AF_INET, v4.octets().to_vec()),
            IpAddr::V6(v6) => (libc::AF_INET6, v6.octets().to_vec()),
        };
        // struct ifaddrmsg: family, prefix length, flags, scope, index.
        request.bytes.extend([family as u8, prefix, IFA_F_NODAD, 0]);
        request.bytes.extend(index.to_ne_bytes());
        request.attribute(libc::IFA_LOCAL, &bytes);
        request.attribute(libc::IFA_ADDRESS, &bytes);
        self.ask(request)
    }

    /// Sets an interface up.
    pub(super) fn set_up(&self, index: u32) -> io::Result<()> {
        let mut request = Request::new(libc::RTM_NEWLINK, 0);
        request.interface(index, libc::IFF_UP as u32);
        self.ask(request)
    }

    /// Sends a request and waits for the answer, which is an error number or zero.
    fn ask(&self, mut request: Request) -> io::Result<()> {
        let length = request.bytes.len() as u32;
        request.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        let fd = self.fd.as_raw_fd();
        let pointer = request.bytes.as_ptr().cast();
        // SAFETY: the pointer is to `length` bytes that live through the call.
        if unsafe { libc::send(fd, pointer, request.bytes.len(), 0) } < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut answer = [0u8; ANSWER_BYTES];
        // SAFETY: the pointer is to as many bytes as said, which live through the call.
        let count = unsafe { libc::recv(fd, answer.as_mut_ptr().cast(), ANSWER_BYTES, 0) };
        if count < 0 {
            return Err(io::Error::last_os_error());
        }
        let answer = answer.get(..count as usize).unwrap_or_default();
        match answer.get(HEADER_BYTES..).and_then(|rest| rest.first_chunk()) {
            Some(&bytes) => match i32::from_ne_bytes(bytes) {
                0 => Ok(()),
                error => Err(io::Error::from_raw_os_error(error.saturating_neg())),
            },
            None => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

fn text(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

//! Socket addresses as the kernel sees them: some bytes and a length.
//!
//! Composes and reads the families that Python names: IPv4, IPv6, UNIX (with Linux's abstract
//! names), NETLINK, PACKET, VSOCK and CAN. Does not resolve names (see `resolve`). Any bytes the
//! kernel or a caller hands over are read without panic: what is too short or unknown comes back
//! as [`View::Other`].

use std::mem::{self, offset_of};
use std::net::{Ipv4Addr, Ipv6Addr};

use libc::{c_int, sa_family_t, sockaddr, sockaddr_storage, socklen_t};

use super::sys::{size_of_socklen, zeroed};

/// Where the path begins in a UNIX address.
const UNIX_PATH_OFFSET: usize = offset_of!(libc::sockaddr_un, sun_path);
/// The room for a UNIX path.
pub const UNIX_PATH_MAX: usize = mem::size_of::<libc::sockaddr_un>() - UNIX_PATH_OFFSET;
/// The room for a hardware address.
pub const HARDWARE_MAX: usize = 8;

/// One socket address of any family.
#[derive(Clone)]
pub struct Address {
    storage: sockaddr_storage,
    len: socklen_t,
}

/// The hardware half of an AF_PACKET address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Packet {
    /// Number of the interface.
    pub interface: c_int,
    /// Ethernet protocol, host order.
    pub protocol: u16,
    /// `PACKET_HOST`, `PACKET_BROADCAST` …
    pub packet_type: u8,
    /// `ARPHRD_*`.
    pub hardware_type: u16,
    /// Hardware address, the first `hardware_len` bytes.
    pub hardware: [u8; HARDWARE_MAX],
    /// How many of them count.
    pub hardware_len: u8,
}

/// What an [`Address`] says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum View<'a> {
    /// No address at all, as a connected stream's `recvfrom` gives.
    None,
    /// IPv4 address and port.
    V4(Ipv4Addr, u16),
    /// IPv6 address, port, flow information and scope.
    V6(Ipv6Addr, u16, u32, u32),
    /// A path, without its terminating zero.
    UnixPath(&'a [u8]),
    /// A name in Linux's abstract namespace, with its leading zero.
    UnixAbstract(&'a [u8]),
    /// Port id and groups.
    Netlink(u32, u32),
    /// Context id and port.
    Vsock(u32, u32),
    /// A link-layer address.
    Packet(Packet),
    /// The number of a CAN interface.
    Can(c_int),
    /// A family this file does not read, with what follows the family.
    Other(c_int, &'a [u8]),
}

impl Address {
    /// Room for the kernel to write any address into.
    #[must_use]
    pub fn room() -> Self {
        Self { storage: zeroed(), len: size_of_socklen::<sockaddr_storage>() }
    }

    /// An IPv4 address.
    #[must_use]
    pub fn v4(host: Ipv4Addr, port: u16) -> Self {
        let mut raw: libc::sockaddr_in = zeroed();
        raw.sin_family = libc::AF_INET as sa_family_t;
        raw.sin_port = port.to_be();
        raw.sin_addr.s_addr = u32::from(host).to_be();
        Self::from_plain(&raw)
    }

    /// An IPv6 address; `flow` in host order.
    #[must_use]
    pub fn v6(host: Ipv6Addr, port: u16, flow: u32, scope: u32) -> Self {
        let mut raw: libc::sockaddr_in6 = zeroed();
        raw.sin6_family = libc::AF_INET6 as sa_family_t;
        raw.sin6_port = port.to_be();
        raw.sin6_flowinfo = flow.to_be();
        raw.sin6_addr.s6_addr = host.octets();
        raw.sin6_scope_id = scope;
        Self::from_plain(&raw)
    }

    /// A UNIX path, or an abstract name when it begins with a zero byte. `None` if too long.
    #[must_use]
    pub fn unix(path: &[u8]) -> Option<Self> {
        // An abstract name may fill the room; a path needs its terminating zero (unix(7)). The
        // empty path has length zero and asks for an automatic abstract name.
        let is_abstract = path.first().is_none_or(|&byte| byte == 0);
        let max = if is_abstract { UNIX_PATH_MAX } else { UNIX_PATH_MAX - 1 };
        if path.len() > max {
            return None;
        }
        let terminator = usize::from(!is_abstract);
        let mut address = Self::empty_unix();
        let room = address.as_storage_bytes_mut();
        room[UNIX_PATH_OFFSET..UNIX_PATH_OFFSET + path.len()].copy_from_slice(path);
        address.len = (UNIX_PATH_OFFSET + path.len() + terminator) as socklen_t;
        Some(address)
    }

    fn empty_unix() -> Self {
        let mut raw: libc::sockaddr_un = zeroed();
        raw.sun_family = libc::AF_UNIX as sa_family_t;
        Self::from_plain(&raw)
    }

    /// A NETLINK address.
    #[must_use]
    pub fn netlink(port_id: u32, groups: u32) -> Self {
        let mut raw: libc::sockaddr_nl = zeroed();
        raw.nl_family = libc::AF_NETLINK as sa_family_t;
        raw.nl_pid = port_id;
        raw.nl_groups = groups;
        Self::from_plain(&raw)
    }

    /// A VSOCK address.
    #[must_use]
    pub fn vsock(context: u32, port: u32) -> Self {
        let mut raw: libc::sockaddr_vm = zeroed();
        raw.svm_family = libc::AF_VSOCK as sa_family_t;
        raw.svm_cid = context;
        raw.svm_port = port;
        Self::from_plain(&raw)
    }

    /// A link-layer address.
    #[must_use]
    pub fn packet(packet: &Packet) -> Self {
        let mut raw: libc::sockaddr_ll = zeroed();
        raw.sll_family = libc::AF_PACKET as sa_family_t;
        raw.sll_protocol = packet.protocol.to_be();
        raw.sll_ifindex = packet.interface;
        raw.sll_pkttype = packet.packet_type;
        raw.sll_hatype = packet.hardware_type;
        raw.sll_halen = packet.hardware_len;
        raw.sll_addr = packet.hardware;
        Self::from_plain(&raw)
    }

    /// A CAN address (raw and broadcast manager protocols).
    #[must_use]
    pub fn can(interface: c_int) -> Self {
        let mut raw: libc::sockaddr_can = zeroed();
        raw.can_family = libc::AF_CAN as sa_family_t;
        raw.can_ifindex = interface;
        Self::from_plain(&raw)
    }

    /// Takes the bytes of a `sockaddr` as they are; what does not fit is cut off.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut address = Self::room();
        let room = address.as_storage_bytes_mut();
        let len = bytes.len().min(room.len());
        room[..len].copy_from_slice(&bytes[..len]);
        address.len = len as socklen_t;
        address
    }

    /// Takes what the kernel left in its own room.
    #[must_use]
    pub(crate) fn from_storage(storage: &sockaddr_storage, len: socklen_t) -> Self {
        Self { storage: *storage, len: len.min(size_of_socklen::<sockaddr_storage>()) }
    }

    /// Whether the kernel left this address in its own room.
    pub(crate) fn equals_storage(&self, storage: &sockaddr_storage, len: socklen_t) -> bool {
        len == self.len && Self::bytes_of(storage, len) == self.as_bytes()
    }

    fn from_plain<T: Copy>(raw: &T) -> Self {
        let mut address = Self::room();
        let to: *mut T = (&raw mut address.storage).cast();
        // SAFETY: `sockaddr_storage` is made to hold, aligned, every sockaddr of this file.
        unsafe { to.write(*raw) };
        address.len = size_of_socklen::<T>();
        address
    }

    fn as_storage_bytes_mut(&mut self) -> &mut [u8; mem::size_of::<sockaddr_storage>()] {
        let bytes: *mut [u8; mem::size_of::<sockaddr_storage>()] = (&raw mut self.storage).cast();
        // SAFETY: the storage is that many initialised bytes, borrowed for as long as `self`.
        unsafe { &mut *bytes }
    }

    /// Changes the port of an IPv4 or IPv6 address; other families stay as they are.
    #[must_use]
    pub fn with_port(&self, port: u16) -> Self {
        match self.view() {
            View::V4(host, _) => Self::v4(host, port),
            View::V6(host, _, flow, scope) => Self::v6(host, port, flow, scope),
            _ => self.clone(),
        }
    }

    /// For the system calls: where the address is.
    #[must_use]
    pub fn as_ptr(&self) -> *const sockaddr {
        (&raw const self.storage).cast()
    }

    /// How many bytes of it count.
    #[must_use]
    pub fn len(&self) -> socklen_t {
        self.len
    }

    /// Whether there is no address at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn as_mut_parts(&mut self) -> (*mut sockaddr, *mut socklen_t) {
        self.len = size_of_socklen::<sockaddr_storage>();
        ((&raw mut self.storage).cast(), &raw mut self.len)
    }

    pub(super) fn set_len(&mut self, len: socklen_t) {
        self.len = len.min(size_of_socklen::<sockaddr_storage>());
    }

    /// The bytes that count.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        Self::bytes_of(&self.storage, self.len)
    }

    fn bytes_of(storage: &sockaddr_storage, len: socklen_t) -> &[u8] {
        let len = (len as usize).min(mem::size_of::<sockaddr_storage>());
        let start: *const u8 = std::ptr::from_ref(storage).cast();
        // SAFETY: the storage is initialised (zeroed at first) and `len` stays within it.
        unsafe { std::slice::from_raw_parts(start, len) }
    }

    /// The address family, 0 if there is none.
    #[must_use]
    pub fn family(&self) -> c_int {
        if self.as_bytes().len() < mem::size_of::<sa_family_t>() {
            return libc::AF_UNSPEC;
        }
        c_int::from(self.storage.ss_family)
    }

    fn plain<T: Copy>(&self) -> T {
        let from: *const T = (&raw const self.storage).cast();
        // SAFETY: the storage holds, aligned and initialised, every sockaddr of this file; bytes
        // past `len` are zero or stale, which only makes them uninteresting.
        unsafe { from.read() }
    }

    /// Reads the address.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        let family = self.family();
        let bytes = self.as_bytes();
        if bytes.len() < mem::size_of::<sa_family_t>() {
            return View::None;
        }
        let holds = |size: usize| bytes.len() >= size;
        match family {
            libc::AF_INET if holds(mem::size_of::<libc::sockaddr_in>()) => {
                let raw: libc::sockaddr_in = self.plain();
                let host = Ipv4Addr::from(u32::from_be(raw.sin_addr.s_addr));
                View::V4(host, u16::from_be(raw.sin_port))
            }
            libc::AF_INET6 if holds(mem::size_of::<libc::sockaddr_in6>()) => {
                let raw: libc::sockaddr_in6 = self.plain();
                let host = Ipv6Addr::from(raw.sin6_addr.s6_addr);
                let port = u16::from_be(raw.sin6_port);
                View::V6(host, port, u32::from_be(raw.sin6_flowinfo), raw.sin6_scope_id)
            }
            libc::AF_UNIX => self.view_unix(),
            libc::AF_NETLINK if holds(mem::size_of::<libc::sockaddr_nl>()) => {
                let raw: libc::sockaddr_nl = self.plain();
                View::Netlink(raw.nl_pid, raw.nl_groups)
            }
            libc::AF_VSOCK if holds(mem::size_of::<libc::sockaddr_vm>()) => {
                let raw: libc::sockaddr_vm = self.plain();
                View::Vsock(raw.svm_cid, raw.svm_port)
            }
            libc::AF_PACKET if holds(PACKET_MIN) => self.view_packet(),
            libc::AF_CAN if holds(CAN_MIN) => {
                let raw: libc::sockaddr_can = self.plain();
                View::Can(raw.can_ifindex)
            }
            _ => View::Other(family, &bytes[mem::size_of::<sa_family_t>()..]),
        }
    }

    fn view_unix(&self) -> View<'_> {
        let path = self.as_bytes().get(UNIX_PATH_OFFSET..).unwrap_or_default();
        if path.first() == Some(&0) {
            return View::UnixAbstract(path);
        }
        let end = path.iter().position(|&byte| byte == 0).unwrap_or(path.len());
        View::UnixPath(&path[..end])
    }

    fn view_packet(&self) -> View<'_> {
        let raw: libc::sockaddr_ll = self.plain();
        View::Packet(Packet {
            interface: raw.sll_ifindex,
            protocol: u16::from_be(raw.sll_protocol),
            packet_type: raw.sll_pkttype,
            hardware_type: raw.sll_hatype,
            hardware: raw.sll_addr,
            hardware_len: raw.sll_halen.min(HARDWARE_MAX as u8),
        })
    }
}

/// The kernel hands over `sockaddr_ll` cut to the hardware address it has.
const PACKET_MIN: usize = offset_of!(libc::sockaddr_ll, sll_addr);
/// A CAN address may be cut after the interface.
const CAN_MIN: usize = offset_of!(libc::sockaddr_can, can_ifindex) + mem::size_of::<c_int>();

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Address {}

impl std::fmt::Debug for Address {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.view().fmt(out)
    }
}

#[cfg(test)]
mod tests;

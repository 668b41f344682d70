//! Names to addresses and back, through the C library (getaddrinfo(3), getnameinfo(3)).
//!
//! Blocks for as long as the system's resolver does, so callers leave the interpreter's lock
//! first. Does not speak DNS itself: that is `crate::dns`.

use std::ffi::{CStr, CString};
use std::mem;

use libc::{addrinfo, c_int, socklen_t};

use super::sys::zeroed;
use super::{Address, Errno};

/// Why a name has no address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResolveError {
    /// An `EAI_*` number.
    Resolver(c_int),
    /// `EAI_SYSTEM`: a system error.
    System(Errno),
}

impl ResolveError {
    fn from_code(code: c_int) -> Self {
        if code == libc::EAI_SYSTEM { Self::System(Errno::last()) } else { Self::Resolver(code) }
    }

    /// The C library's words for it.
    #[must_use]
    pub fn message(self) -> String {
        match self {
            Self::System(errno) => errno.to_string(),
            Self::Resolver(code) => {
                // SAFETY: takes a number only.
                let text = unsafe { libc::gai_strerror(code) };
                // SAFETY: the text is static and zero-terminated, for any number.
                let text = unsafe { CStr::from_ptr(text) };
                text.to_string_lossy().into_owned()
            }
        }
    }
}

/// What to look for; zero means anything.
#[derive(Clone, Copy, Default, Debug)]
pub struct Hints {
    /// `AF_*`.
    pub family: c_int,
    /// `SOCK_*`.
    pub kind: c_int,
    /// `IPPROTO_*`.
    pub protocol: c_int,
    /// `AI_*`.
    pub flags: c_int,
}

/// One answer of the resolver.
#[derive(Clone, Debug)]
pub struct Found {
    /// `AF_*`.
    pub family: c_int,
    /// `SOCK_*`.
    pub kind: c_int,
    /// `IPPROTO_*`.
    pub protocol: c_int,
    /// The official name, if `AI_CANONNAME` asked for it; on the first answer only.
    pub canonical: Option<CString>,
    /// The address with the service's port.
    pub address: Address,
}

/// The C library's list, freed when dropped.
struct List(*mut addrinfo);

impl Drop for List {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: the pointer came from `getaddrinfo` and is freed once.
            unsafe { libc::freeaddrinfo(self.0) };
        }
    }
}

/// Resolves a host and a service.
///
/// # Errors
/// What the resolver says.
pub fn getaddrinfo(
    host: Option<&CStr>,
    service: Option<&CStr>,
    hints: Hints,
) -> Result<Vec<Found>, ResolveError> {
    let mut raw: addrinfo = zeroed();
    raw.ai_family = hints.family;
    raw.ai_socktype = hints.kind;
    raw.ai_protocol = hints.protocol;
    raw.ai_flags = hints.flags;
    let host = host.map_or(std::ptr::null(), CStr::as_ptr);
    let service = service.map_or(std::ptr::null(), CStr::as_ptr);
    let mut list = List(std::ptr::null_mut());
    // SAFETY: both names are null or zero-terminated and live; `raw` and `list` are live.
    let code = unsafe { libc::getaddrinfo(host, service, &raw, &mut list.0) };
    if code != 0 {
        return Err(ResolveError::from_code(code));
    }
    let mut found = Vec::new();
    let mut next = list.0;
    while !next.is_null() {
        // SAFETY: a non-null element of the list, which lives until `list` is dropped.
        let entry = unsafe { &*next };
        found.push(read_entry(entry));
        next = entry.ai_next;
    }
    Ok(found)
}

fn read_entry(entry: &addrinfo) -> Found {
    let bytes = if entry.ai_addr.is_null() {
        &[][..]
    } else {
        // SAFETY: `ai_addr` points to `ai_addrlen` bytes of the same list.
        unsafe { std::slice::from_raw_parts(entry.ai_addr.cast(), entry.ai_addrlen as usize) }
    };
    let canonical = (!entry.ai_canonname.is_null()).then(|| {
        // SAFETY: a non-null name of the list is zero-terminated.
        unsafe { CStr::from_ptr(entry.ai_canonname) }.to_owned()
    });
    Found {
        family: entry.ai_family,
        kind: entry.ai_socktype,
        protocol: entry.ai_protocol,
        canonical,
        address: Address::from_bytes(bytes),
    }
}

/// The name and the service of an address.
///
/// # Errors
/// What the resolver says.
pub fn getnameinfo(address: &Address, flags: c_int) -> Result<(CString, CString), ResolveError> {
    // NI_MAXHOST and NI_MAXSERV of netdb.h.
    let mut host = [0 as libc::c_char; 1025];
    let mut service = [0 as libc::c_char; 32];
    let (host_len, service_len) = (mem::size_of_val(&host), mem::size_of_val(&service));
    // SAFETY: the address is live, both rooms are as long as stated.
    let code = unsafe {
        libc::getnameinfo(
            address.as_ptr(),
            address.len(),
            host.as_mut_ptr(),
            host_len as socklen_t,
            service.as_mut_ptr(),
            service_len as socklen_t,
            flags,
        )
    };
    if code != 0 {
        return Err(ResolveError::from_code(code));
    }
    let text = |chars: &[libc::c_char]| {
        let bytes = chars.iter().take_while(|&&c| c != 0).map(|c| c.to_ne_bytes()[0]);
        CString::new(bytes.collect::<Vec<u8>>()).unwrap_or_default()
    };
    Ok((text(&host), text(&service)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn a_numeric_address_needs_no_resolver() {
        let hints =
            Hints { flags: libc::AI_NUMERICHOST, kind: libc::SOCK_DGRAM, ..Hints::default() };
        let found = getaddrinfo(Some(c"127.0.0.1"), Some(c"53"), hints).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].address, Address::v4(Ipv4Addr::LOCALHOST, 53));
        let flags = libc::NI_NUMERICHOST | libc::NI_NUMERICSERV;
        let (host, service) = getnameinfo(&found[0].address, flags).unwrap();
        assert_eq!((host.to_bytes(), service.to_bytes()), (&b"127.0.0.1"[..], &b"53"[..]));
        let error = getaddrinfo(Some(c"nowhere"), None, hints).unwrap_err();
        assert_eq!(error, ResolveError::Resolver(libc::EAI_NONAME));
        assert!(!error.message().is_empty());
    }
}

//! Datagrams in and out of a socket, many at a time.
//!
//! [`Inbox`] takes what is there in one call, each entry one datagram or, where the system
//! coalesces (UDP GRO), several of one size that came together. [`Outbox`] sends messages, each
//! one datagram or several of one size that the system cuts apart (UDP GSO). [`messages`] decides
//! what may go together.
//!
//! Linux does all of it. Elsewhere datagrams go one by one, without TOS, source address and
//! overruns: the decisions and their results are the same.

#[cfg(target_os = "linux")]
mod control;
mod group;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod name;
#[cfg(not(target_os = "linux"))]
mod portable;

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

pub(super) use group::messages;
#[cfg(target_os = "linux")]
pub(super) use linux::{Inbox, Outbox, force_buffer, overruns, prepare};
#[cfg(not(target_os = "linux"))]
pub(super) use portable::{Inbox, Outbox, force_buffer, overruns, prepare};

/// What the system says about a received entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meta {
    /// Who sent it.
    pub(super) from: SocketAddr,
    /// The address it was sent to; known on sockets that listen on more than one.
    pub(super) to: Option<IpAddr>,
    /// TOS byte or traffic class.
    pub(super) tos: u8,
    /// The size of each datagram in it but the last, which may be shorter. Never zero.
    pub(super) segment_bytes: usize,
}

/// Consecutive datagrams that are sent by one call: one, or several of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// Which of the datagrams that are due.
    pub(super) range: Range<usize>,
    pub(super) route: Route,
    pub(super) tos: u8,
}

/// Where messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Route {
    /// Where to; `None` on a connected socket.
    pub(super) to: Option<SocketAddr>,
    /// The address it leaves from; `None`: the system chooses.
    pub(super) from: Option<IpAddr>,
    /// Whether it goes over IPv6: an IPv4 address in IPv6 clothes does not.
    pub(super) is_ipv6: bool,
}

impl Route {
    /// To the peer at `peer` of a connected socket.
    pub(super) fn connected(peer: SocketAddr) -> Self {
        Self { to: None, from: None, is_ipv6: peer.ip().to_canonical().is_ipv6() }
    }

    /// From an unconnected socket to `to`.
    pub(super) fn to(to: SocketAddr, from: Option<IpAddr>) -> Self {
        Self { to: Some(to), from, is_ipv6: to.ip().to_canonical().is_ipv6() }
    }
}

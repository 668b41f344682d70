//! The same face one datagram at a time, for systems without the calls of `linux.rs`.

use std::io;

use mio::net::UdpSocket;

use super::{Message, Meta};
use crate::relay::datagram::Due;

/// The largest UDP datagram is shorter.
const DATAGRAM_BYTES_MAX: usize = 1 << 16;

/// Room for one datagram.
#[derive(Debug)]
pub(in crate::relay) struct Inbox {
    bytes: Vec<u8>,
    last: Option<(Meta, usize)>,
}

impl Inbox {
    pub(in crate::relay) fn new() -> Self {
        Self { bytes: vec![0; DATAGRAM_BYTES_MAX], last: None }
    }

    /// Never more than one comes, and a socket is empty only when none does.
    pub(in crate::relay) const fn capacity(&self) -> usize {
        1
    }

    pub(in crate::relay) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        let (length, from) = socket.recv_from(&mut self.bytes)?;
        self.last = Some((Meta { from, to: None, tos: 0, segment_bytes: length.max(1) }, length));
        Ok(1)
    }

    pub(in crate::relay) fn entry(&self, _: usize) -> Option<(Meta, Option<u32>, &[u8])> {
        self.last.map(|(meta, length)| (meta, None, &self.bytes[..length]))
    }
}

/// Sends without batches.
#[derive(Debug)]
pub(in crate::relay) struct Outbox;

impl Outbox {
    pub(in crate::relay) fn new() -> Self {
        Self
    }

    pub(in crate::relay) fn send(
        &mut self,
        socket: &UdpSocket,
        messages: &[Message],
        due: &[Due],
    ) -> io::Result<usize> {
        let Some(message) = messages.first() else { return Ok(0) };
        if message.range.len() > 1 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let bytes = &due[message.range.start].payload.bytes;
        match message.route.to {
            Some(to) => socket.send_to(bytes, to)?,
            None => socket.send(bytes)?,
        };
        Ok(1)
    }
}

pub(in crate::relay) fn prepare(_: &UdpSocket, _: bool, _: bool) {}

pub(in crate::relay) fn force_buffer(_: &UdpSocket, _: usize) {}

pub(in crate::relay) fn overruns(_: &UdpSocket) -> Option<u32> {
    None
}

//! Frames in and out of an interface, behind a trait; and the plain backend on `pnet`.
//!
//! A frame is a `virtio_net_hdr` (see [`super::segment`]) followed by the bytes from the Ethernet
//! header on. The `pnet` backend costs four system calls a frame, does not see VLAN tags that the
//! interface takes off, and does not know of frames it missed; [`super::packet_io`] does.

use std::fmt::Debug;
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use pnet::datalink::{self, Channel, Config, DataLinkReceiver, DataLinkSender, NetworkInterface};

use super::frame::{FRAME_BYTES_MAX, Frame, Pool};
use super::outbox::Outgoing;
use super::packet_io::PacketIo;
use super::{Backend, BridgeError, socket};

/// One interface.
pub(super) trait FrameIo: Debug + Send {
    /// Its name.
    fn name(&self) -> &str;
    /// What an event loop waits for.
    fn fd(&self) -> RawFd;
    /// Appends frames that are there to `frames`, a batch at most; `true`: there may be more.
    fn receive(&mut self, pool: &mut Pool, frames: &mut Vec<Arc<Frame>>) -> io::Result<bool>;
    /// Sends the first of `outgoing`, in order, as many as go; never waits. An error is about the
    /// first.
    fn send(&mut self, outgoing: &[Outgoing]) -> io::Result<usize>;
    /// How many frames the system dropped before they were taken, since this was last asked.
    fn overruns(&mut self) -> u32;
    /// Whether the interface still exists.
    fn exists(&self) -> bool {
        socket::index_of(self.name()).is_some()
    }
}

/// Opens the interface `name` for frames of every kind and for everybody.
pub(super) fn open(name: &str, backend: Backend) -> Result<Box<dyn FrameIo>, BridgeError> {
    let interfaces = datalink::interfaces();
    let Some(interface) = interfaces.iter().find(|interface| interface.name == name) else {
        let known: Vec<&str> = interfaces.iter().map(|other| other.name.as_str()).collect();
        let (name, known) = (name.to_owned(), known.join(", "));
        return Err(BridgeError::UnknownInterface { name, known });
    };
    let denied = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    let opened: io::Result<Box<dyn FrameIo>> = match backend {
        Backend::Packet => PacketIo::open(name, interface.index).map(|io| Box::new(io) as _),
        Backend::Pnet => PnetIo::open(interface).map(|io| Box::new(io) as _),
    };
    match opened {
        Ok(_) if !interface.is_up() => Err(BridgeError::Down { name: name.to_owned() }),
        Ok(io) => Ok(io),
        Err(error) if denied(&error) => {
            Err(BridgeError::MissingCapability { name: name.to_owned() })
        }
        Err(source) => Err(BridgeError::Open { name: name.to_owned(), source }),
    }
}

/// An interface through `pnet::datalink`.
struct PnetIo {
    name: String,
    fd: RawFd,
    sender: Box<dyn DataLinkSender>,
    receiver: Box<dyn DataLinkReceiver>,
    scratch: Vec<u8>,
}

impl PnetIo {
    fn open(interface: &NetworkInterface) -> io::Result<Self> {
        // `pnet` owns the descriptor from here on, and closes it also when it fails.
        let fd = socket::open()?.into_raw_fd();
        let config = Config {
            socket_fd: Some(fd),
            read_buffer_size: FRAME_BYTES_MAX,
            // Never wait: the event loop does.
            read_timeout: Some(Duration::ZERO),
            write_timeout: Some(Duration::ZERO),
            promiscuous: true,
            ..Config::default()
        };
        match datalink::channel(interface, config)? {
            Channel::Ethernet(sender, receiver) => {
                let (name, scratch) = (interface.name.clone(), Vec::new());
                Ok(Self { name, fd: fd.as_raw_fd(), sender, receiver, scratch })
            }
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl Debug for PnetIo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PnetIo").field("name", &self.name).finish_non_exhaustive()
    }
}

impl FrameIo for PnetIo {
    fn name(&self) -> &str {
        &self.name
    }

    fn fd(&self) -> RawFd {
        self.fd
    }

    fn receive(&mut self, pool: &mut Pool, frames: &mut Vec<Arc<Frame>>) -> io::Result<bool> {
        let bytes = match self.receiver.next() {
            Ok(bytes) => bytes,
            Err(error) => match error.kind() {
                io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => return Ok(false),
                io::ErrorKind::Interrupted => return Ok(true),
                _ => return Err(error),
            },
        };
        let mut slot = pool.room();
        if let Some(frame) = Arc::get_mut(&mut slot) {
            let length = bytes.len().min(frame.room().len());
            frame.room()[..length].copy_from_slice(&bytes[..length]);
            frame.received(length, None);
        }
        frames.push(pool.keep(slot));
        Ok(true)
    }

    fn send(&mut self, outgoing: &[Outgoing]) -> io::Result<usize> {
        let Some(Outgoing { piece, .. }) = outgoing.first() else { return Ok(0) };
        self.scratch.clear();
        piece.frame.write_to(&piece.parts, &mut self.scratch);
        let sent = self.sender.send_to(&self.scratch, None);
        sent.unwrap_or(Err(io::ErrorKind::InvalidInput.into())).map(|()| 1)
    }

    fn overruns(&mut self) -> u32 {
        socket::overruns(self.fd)
    }
}

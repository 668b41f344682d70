//! Frames in and out of an interface, behind a trait; and the backend on `pnet`.
//!
//! A frame is a `virtio_net_hdr` (see [`super::segment`]) followed by the bytes from the Ethernet
//! header on. The `pnet` backend costs four system calls a frame, and does not see VLAN tags that
//! the interface takes off.

use std::fmt::Debug;
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::time::Duration;

use pnet::datalink::{self, Channel, Config, DataLinkReceiver, DataLinkSender, NetworkInterface};

use super::{BridgeError, socket};

/// The longest frame there is with segmentation offload, its headers, and some room.
const FRAME_BYTES_MAX: usize = 1 << 17;

/// One interface.
pub(super) trait FrameIo: Debug + Send {
    /// Its name.
    fn name(&self) -> &str;
    /// What an event loop waits for.
    fn fd(&self) -> RawFd;
    /// The next frame, or `None` when nothing is there.
    fn receive(&mut self) -> io::Result<Option<&[u8]>>;
    /// Sends a frame, or says why not; never waits.
    fn send(&mut self, frame: &[u8]) -> io::Result<()>;
    /// Whether the interface still exists.
    fn exists(&self) -> bool;
}

/// Opens the interface `name` for frames of every kind and for everybody.
pub(super) fn open(name: &str) -> Result<Box<dyn FrameIo>, BridgeError> {
    let interfaces = datalink::interfaces();
    let Some(interface) = interfaces.iter().find(|interface| interface.name == name) else {
        let known: Vec<&str> = interfaces.iter().map(|other| other.name.as_str()).collect();
        let (name, known) = (name.to_owned(), known.join(", "));
        return Err(BridgeError::UnknownInterface { name, known });
    };
    let denied = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    match PnetIo::open(interface) {
        Ok(_) if !interface.is_up() => Err(BridgeError::Down { name: name.to_owned() }),
        Ok(io) => Ok(Box::new(io)),
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
                Ok(Self { name: interface.name.clone(), fd: fd.as_raw_fd(), sender, receiver })
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

    fn receive(&mut self) -> io::Result<Option<&[u8]>> {
        match self.receiver.next() {
            Ok(frame) => Ok(Some(frame)),
            Err(error) => match error.kind() {
                io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Ok(None),
                io::ErrorKind::Interrupted => Ok(None),
                _ => Err(error),
            },
        }
    }

    fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        self.sender.send_to(frame, None).unwrap_or(Err(io::ErrorKind::InvalidInput.into()))
    }

    fn exists(&self) -> bool {
        let Ok(name) = std::ffi::CString::new(self.name.as_str()) else { return false };
        // SAFETY: `name` is a C string that lives through the call.
        unsafe { libc::if_nametoindex(name.as_ptr()) != 0 }
    }
}

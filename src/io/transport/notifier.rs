//! Tells an event loop, through a descriptor it can poll, which connections have changed.
//!
//! One loop an endpoint: the newest subscription replaces the one before. However much happens
//! between two looks, the descriptor is written to once.

use super::shared::Shared;
use crate::transport::Handle;
use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

/// The loop's side of an endpoint's state.
#[derive(Debug, Default)]
pub(super) struct Subscriber {
    stream: Option<UnixStream>,
    changed: BTreeSet<Handle>,
    /// Connections came in, or the endpoint is over.
    accepts: bool,
    is_told: bool,
}

impl Subscriber {
    /// Something happened to a connection, or (`None`) to the endpoint.
    pub(super) fn tell(&mut self, handle: Option<Handle>) {
        let Some(stream) = &mut self.stream else { return };
        match handle {
            Some(handle) => {
                self.changed.insert(handle);
            }
            None => self.accepts = true,
        }
        if !std::mem::replace(&mut self.is_told, true) {
            // Fails only when the loop is gone.
            let _ = stream.write(&[0]);
        }
    }
}

/// What an event loop holds; it keeps neither the endpoint nor its connections open.
#[derive(Debug)]
pub struct Notifier {
    shared: Arc<Shared>,
    stream: UnixStream,
}

impl Notifier {
    pub(super) fn new(shared: &Arc<Shared>) -> io::Result<Self> {
        let (theirs, ours) = UnixStream::pair()?;
        theirs.set_nonblocking(true)?;
        ours.set_nonblocking(true)?;
        shared.lock().subscriber = Subscriber { stream: Some(theirs), ..Subscriber::default() };
        Ok(Self { shared: Arc::clone(shared), stream: ours })
    }

    /// A descriptor that is readable when something has changed; the caller's to close.
    ///
    /// # Errors
    /// Whatever the system says, mostly "too many open files".
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        Ok(self.stream.try_clone()?.into())
    }

    /// The connections that changed since the last call, and whether to look for new ones.
    pub fn take(&self) -> (Vec<Handle>, bool) {
        let mut state = self.shared.lock();
        let mut nudges = [0; 64];
        let _ = (&self.stream).read(&mut nudges);
        let subscriber = &mut state.subscriber;
        subscriber.is_told = false;
        let changed = std::mem::take(&mut subscriber.changed);
        (changed.into_iter().collect(), std::mem::take(&mut subscriber.accepts))
    }
}

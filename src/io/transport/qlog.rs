//! Traces to files: one `ID_client.sqlog` or `ID_server.sqlog` a connection, in `QLOGDIR`.
//!
//! Written by the endpoint's thread, outside of the lock. A directory that cannot be written to
//! costs the trace, never the connection.

use crate::transport::{Endpoint as Machine, Handle, Time, TraceEvent, qlog};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// The environment variable that names the directory.
const VARIABLE: &str = "QLOGDIR";
/// With this many connections at a time traced, further ones are not: each is an open file.
const FILES_MAX: usize = 256;

/// The directory traces go to, if any are wanted.
pub(super) fn directory() -> Option<PathBuf> {
    std::env::var_os(VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from)
}

/// What one connection recorded.
#[derive(Debug)]
pub(super) struct Traced {
    handle: Handle,
    id: u64,
    is_client: bool,
    is_gone: bool,
    events: Vec<(Time, TraceEvent)>,
}

impl Traced {
    /// Takes what a connection recorded, if anything.
    pub(super) fn take(machine: &mut Machine, handle: Handle) -> Option<Self> {
        let events = machine.take_trace(handle);
        let connection = machine.connection(handle)?;
        (!events.is_empty()).then(|| Self {
            handle,
            id: connection.original_id().0,
            is_client: connection.is_client(),
            is_gone: connection.is_gone(),
            events,
        })
    }
}

/// The files of an endpoint.
#[derive(Debug)]
pub(super) struct QlogFiles {
    directory: PathBuf,
    /// `None` where the file could not be made.
    files: BTreeMap<Handle, Option<BufWriter<File>>>,
    text: Vec<u8>,
}

impl QlogFiles {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, files: BTreeMap::new(), text: Vec::new() }
    }

    /// Appends what was recorded.
    pub(super) fn write(&mut self, traced: &[Traced]) {
        for one in traced {
            self.text.clear();
            if !self.files.contains_key(&one.handle) {
                if self.files.len() >= FILES_MAX {
                    continue;
                }
                qlog::header(&mut self.text, one.id, one.is_client);
                let side = if one.is_client { "client" } else { "server" };
                let path = self.directory.join(format!("{:016x}_{side}.sqlog", one.id));
                self.files.insert(one.handle, File::create(path).ok().map(BufWriter::new));
            }
            for (time, event) in &one.events {
                qlog::event(&mut self.text, *time, event);
            }
            if let Some(Some(file)) = self.files.get_mut(&one.handle) {
                let _ = file.write_all(&self.text);
            }
            if one.is_gone {
                self.files.remove(&one.handle);
            }
        }
    }

    /// What was written is in the files.
    pub(super) fn flush(&mut self) {
        for file in self.files.values_mut().flatten() {
            let _ = file.flush();
        }
    }
}

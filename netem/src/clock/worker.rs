//! A driver's thread and what it shares with its handle.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use mio::Waker;

/// How often the worker lets waiting callers go first before it takes its turn anyway.
const YIELDS_MAX: usize = 1000;

/// What the worker thread and the handle share: the state, and the wish to end.
#[derive(Debug)]
pub(crate) struct Shared<C> {
    core: Mutex<C>,
    /// How many callers wait for the core: the worker lets them go first.
    waiting: AtomicUsize,
    closing: AtomicBool,
}

impl<C> Shared<C> {
    pub(crate) fn new(core: C) -> Arc<Self> {
        let (waiting, closing) = (AtomicUsize::new(0), AtomicBool::new(false));
        Arc::new(Self { core: Mutex::new(core), waiting, closing })
    }

    /// For the worker: the core, after those who wait for it.
    pub(crate) fn lock_last(&self) -> MutexGuard<'_, C> {
        for _ in 0..YIELDS_MAX {
            if self.waiting.load(Ordering::Relaxed) == 0 {
                break;
            }
            std::thread::yield_now();
        }
        self.lock()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, C> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }
}

/// The handle's side: looks at the state, ends the thread.
#[derive(Debug)]
pub(crate) struct Worker<C> {
    shared: Arc<Shared<C>>,
    waker: Waker,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl<C: Send + 'static> Worker<C> {
    /// Runs `work` on a thread called `name`; `waker` wakes it when it is to end.
    pub(crate) fn start(
        name: &str,
        shared: Arc<Shared<C>>,
        waker: Waker,
        work: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work)?;
        Ok(Self { shared, waker, thread: Mutex::new(Some(thread)) })
    }

    pub(crate) fn with_core<T>(&self, look: impl FnOnce(&mut C) -> T) -> T {
        self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        let result = look(&mut self.shared.lock());
        self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
        result
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.shared.is_closing()
    }

    /// Lets the worker look again: something changed.
    pub(crate) fn wake(&self) {
        // A waker that fails leaves the worker to its next event.
        let _ = self.waker.wake();
    }

    /// Ends the thread and waits for it; twice is harmless.
    pub(crate) fn close(&self) {
        self.shared.close();
        self.wake();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic of the worker has been reported on standard error already.
            let _ = thread.join();
        }
    }
}

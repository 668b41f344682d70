//! Applies the timeline of a scenario to a running network, on a thread of its own.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Clock;
use crate::live::Network;
use crate::timeline::{Change, Timeline};

/// While it lives, the network changes as the timeline says; dropping it ends that. The times
/// count from its start. A change comes as late as the system wakes a thread, never early.
#[derive(Debug)]
pub struct Conductor {
    shared: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Conductor {
    /// Begins; a timeline without changes needs no thread, and gets none.
    ///
    /// # Errors
    /// The system's, when there is no thread left.
    pub fn start(network: Arc<dyn Network>, timeline: Timeline) -> std::io::Result<Self> {
        let shared = Arc::new((Mutex::new(false), Condvar::new()));
        if timeline.next_deadline().is_none() {
            return Ok(Self { shared, thread: None });
        }
        let (clock, ours) = (Clock::start(), Arc::clone(&shared));
        let work = move || conduct(&*network, timeline, clock, &ours);
        let thread = std::thread::Builder::new().name("netem-timeline".to_owned()).spawn(work)?;
        Ok(Self { shared, thread: Some(thread) })
    }
}

fn conduct(
    network: &dyn Network,
    mut timeline: Timeline,
    clock: Clock,
    (ended, wake): &(Mutex<bool>, Condvar),
) {
    let mut is_ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
    while let (false, Some(at)) = (*is_ended, timeline.next_deadline()) {
        let now = clock.now();
        if at <= now {
            drop(is_ended);
            match timeline.poll(now) {
                Some(Change::Configure(direction, config)) => {
                    network.set_setup(direction, (*config).into());
                }
                Some(Change::Rebind(flow)) => _ = network.rebind(flow),
                None => {}
            }
            is_ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        let wait = Duration::from_nanos((at - now).as_nanos());
        let (guard, _) = wake.wait_timeout(is_ended, wait).unwrap_or_else(PoisonError::into_inner);
        is_ended = guard;
    }
}

impl Drop for Conductor {
    fn drop(&mut self) {
        let (ended, wake) = &*self.shared;
        *ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        wake.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported on standard error already.
            let _ = thread.join();
        }
    }
}

//! The thread of one `UDPWithACK` endpoint: receive, acknowledge, repeat, sleep until a deadline.
//!
//! It never runs Python code and never waits while it holds the state's lock.

use std::collections::VecDeque;
use std::net::UdpSocket;
use std::time::Duration;

use crate::arq::ack::Transmit;
use crate::flow::time::Micros;
use crate::io::ack_endpoint::{IoStats, Shared, is_full, send_now};
use crate::io::ack_inbox::{Inbox, drain_error_queue};
use crate::io::wake::WakeReceiver;

/// How long to stay away from a socket that cannot even be polled, or a full device queue.
const PAUSE: Duration = Duration::from_millis(5);

/// Datagrams that may wait for room in the send buffer. More are not sent: a DATA is repeated in
/// time, and an ACK when its DATA comes again.
const OUTBOX_MAX: usize = 8_192;

/// Batches handled after the application closed the endpoint: more than a receive buffer holds.
const FINAL_BATCHES_MAX: usize = 1_024;

/// Works until the endpoint is closed.
pub(super) fn run(shared: &Shared, socket: &UdpSocket, wakes: &WakeReceiver) {
    let mut inbox = Inbox::new();
    let mut outbox: VecDeque<Transmit> = VecDeque::new();
    loop {
        let Some(sleep) = prepare_sleep(shared, &mut outbox) else {
            return finish(shared, socket, &mut inbox, &mut outbox);
        };
        let writable = !outbox.is_empty();
        let Ok(ready) = wakes.wait(socket, writable, sleep) else {
            // Out of kernel memory: nothing to do about it but to come back.
            std::thread::sleep(PAUSE);
            continue;
        };
        let mut errors = IoStats::default();
        if ready.error {
            errors.unreachable = drain_error_queue(socket);
        }
        inbox.clear();
        if ready.readable {
            errors.system_errors = inbox.fill(socket);
        }
        handle(shared, &inbox, errors, &mut outbox);
        transmit(shared, socket, &mut outbox);
    }
}

/// Handles what has arrived before the end, so that nobody repeats it in vain.
fn finish(shared: &Shared, socket: &UdpSocket, inbox: &mut Inbox, outbox: &mut VecDeque<Transmit>) {
    for _ in 0..FINAL_BATCHES_MAX {
        let system_errors = inbox.fill(socket);
        if inbox.datagrams().len() == 0 {
            break;
        }
        handle(shared, inbox, IoStats { system_errors, unreachable: 0 }, outbox);
        transmit(shared, socket, outbox);
    }
}

/// How long to sleep (`Some(None)`: as long as it takes); `None` when the endpoint is closed.
fn prepare_sleep(shared: &Shared, outbox: &mut VecDeque<Transmit>) -> Option<Option<Duration>> {
    let now = shared.now();
    let mut state = shared.lock();
    if state.closing {
        return None;
    }
    outbox.append(&mut state.backlog);
    let deadline = state.machine.poll_timeout();
    // An earlier time slept for before is kept: waking once for nothing is cheaper than being
    // woken by every message sent.
    let until = match (state.sleeps_until.filter(|&until| until > now), deadline) {
        (Some(until), Some(deadline)) => Some(until.min(deadline)),
        (until, deadline) => until.or(deadline),
    };
    state.sleeps_until = until;
    Some(until.map(|until: Micros| until.since(now)))
}

/// Feeds the machine and collects what it wants transmitted.
fn handle(shared: &Shared, inbox: &Inbox, errors: IoStats, outbox: &mut VecDeque<Transmit>) {
    let now = shared.now();
    let mut state = shared.lock();
    state.io.unreachable += errors.unreachable;
    state.io.system_errors += errors.system_errors;
    let before = state.machine.stats();
    for (from, datagram) in inbox.datagrams() {
        state.machine.handle_datagram(now, from, datagram);
    }
    state.machine.handle_timeout(now);
    while let Some(transmit) = state.machine.poll_transmit() {
        if outbox.len() < OUTBOX_MAX {
            outbox.push_back(transmit);
        } else {
            state.io.system_errors += 1;
        }
    }
    let after = state.machine.stats();
    let settled = after.acked + after.failed != before.acked + before.failed;
    shared.announce(state, after.received != before.received, settled);
}

/// Sends what it can. What finds the send buffer full waits, what the system refuses is counted.
fn transmit(shared: &Shared, socket: &UdpSocket, outbox: &mut VecDeque<Transmit>) {
    let mut refused = 0;
    while let Some(next) = outbox.front() {
        match send_now(socket, next) {
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                std::thread::sleep(PAUSE);
                break;
            }
            Err(error) if is_full(&error) => break,
            Err(_) => refused += 1,
            Ok(()) => {}
        }
        outbox.pop_front();
    }
    if refused > 0 {
        shared.lock().io.system_errors += refused;
    }
}

//! The endpoint's thread: socket to machine, machine to socket, until the last connection ends.

use super::packets::Packets;
use super::qlog::QlogFiles;
use super::shared::Shared;
use crate::io::wake::WakeReceiver;
use crate::transport::{Ecn, Time};
use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

/// Batches written under one hold of the lock, and bytes after which no more are begun; then
/// others get their turn. Answers to a flood of strangers are many and short.
const BATCHES_PER_TURN: usize = 64;
const BYTES_PER_TURN: usize = 8 * 60_000;
/// Rounds of receiving before something is sent.
const RECEIVES_PER_TURN: usize = 4;
/// The pause when the kernel has no memory for packets.
const PAUSE: Duration = Duration::from_millis(1);

/// A batch on its way to the socket.
#[derive(Debug)]
struct Batch {
    remote: SocketAddr,
    ecn: Ecn,
    bytes: Vec<u8>,
    segment_len: usize,
}

/// Everything the thread owns.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) socket: UdpSocket,
    pub(super) packets: Packets,
    pub(super) wakes: WakeReceiver,
    pub(super) datagram_len_max: usize,
    outbox: VecDeque<Batch>,
    spare: Vec<Vec<u8>>,
    qlog: Option<QlogFiles>,
}

/// Tells everybody that nothing will change any more when the thread ends, however it does: were
/// there a bug that makes it panic, nobody would wait for ever.
struct Over<'a>(&'a Shared);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_over = true;
        for entry in state.entries.values() {
            entry.watch.changed.notify_all();
        }
        state.subscriber.tell(None);
        self.0.accepted.notify_all();
    }
}

impl Driver {
    pub(super) fn new(
        socket: UdpSocket,
        wakes: WakeReceiver,
        datagram_len_max: usize,
        qlog_dir: Option<PathBuf>,
    ) -> io::Result<Self> {
        let packets = Packets::new(&socket)?;
        let (outbox, spare) = (VecDeque::new(), Vec::new());
        let qlog = qlog_dir.map(QlogFiles::new);
        Ok(Self { socket, packets, wakes, datagram_len_max, outbox, spare, qlog })
    }

    /// Runs until the endpoint is closed and its connections are over.
    pub(super) fn run(mut self, shared: &Shared) {
        let _over = Over(shared);
        loop {
            let received = self.receive(shared);
            let Some(deadline) = self.fill(shared) else { break };
            self.write_traces(shared);
            // Asked before sending: with something to send, `fill` did not mark the thread as
            // asleep, and whoever brings work meanwhile does not wake it. One more round does.
            let had_work = received || !self.outbox.is_empty();
            let is_blocked = self.send();
            let is_idle = !had_work && deadline != Some(Duration::ZERO);
            if !is_idle && !is_blocked {
                continue;
            }
            if let Some(qlog) = &mut self.qlog {
                qlog.flush();
            }
            // A wait that fails is a spin of a millisecond, not of the processor.
            if self.wakes.wait(&self.socket, is_blocked, deadline).is_err() {
                std::thread::sleep(PAUSE);
            }
            shared.lock().is_asleep = false;
        }
    }

    fn write_traces(&mut self, shared: &Shared) {
        let Some(qlog) = &mut self.qlog else { return };
        let traced = shared.lock().traces.as_mut().map(std::mem::take).unwrap_or_default();
        qlog.write(&traced);
    }

    /// Hands what arrived to the machine. Returns whether something did.
    fn receive(&mut self, shared: &Shared) -> bool {
        let mut received = false;
        for _ in 0..RECEIVES_PER_TURN {
            // Errors of receiving are those of datagrams sent before (ICMP): nobody waits for
            // them, the transport notices silence by itself.
            let Ok(count) = self.packets.receive(&self.socket) else { break };
            let now = shared.now();
            let mut state = shared.lock();
            self.packets.each(count, |from, ecn, datagram| {
                state.machine.handle_datagram(now, from, ecn, datagram);
            });
            received = true;
        }
        received
    }

    /// Takes batches from the machine. Returns how long to wait, or `None` at the end.
    fn fill(&mut self, shared: &Shared) -> Option<Option<Duration>> {
        let segments_max = self.packets.segments_max(self.datagram_len_max);
        let now = shared.now();
        let mut state = shared.lock();
        state.machine.handle_timeout(now);
        let mut written = 0;
        while self.outbox.len() < BATCHES_PER_TURN && written < BYTES_PER_TURN {
            let mut bytes = self.spare.pop().unwrap_or_default();
            bytes.clear();
            let Some(transmit) = state.machine.poll_transmit(now, segments_max, &mut bytes) else {
                self.spare.push(bytes);
                break;
            };
            let (remote, ecn, segment_len) = (transmit.remote, transmit.ecn, transmit.segment_len);
            written += bytes.len();
            self.outbox.push_back(Batch { remote, ecn, bytes, segment_len });
        }
        let (has_incoming, has_late) = state.collect_events(now);
        if has_incoming {
            shared.accepted.notify_all();
        }
        state.notify();
        if has_late {
            return Some(Some(Duration::ZERO));
        }
        let all_over = state.entries.values().all(|entry| entry.closed.is_some());
        if state.is_closing && all_over && self.outbox.is_empty() && state.machine.is_quiet() {
            return None;
        }
        state.is_asleep = self.outbox.is_empty();
        let until = state.machine.next_deadline();
        Some(until.map(|at: Time| Duration::from_micros(at.since(now).0)))
    }

    /// Sends what it can; returns whether the socket's buffer is full.
    fn send(&mut self) -> bool {
        while let Some(batch) = self.outbox.front() {
            let to = (batch.remote, batch.ecn);
            match self.packets.send(&self.socket, to, &batch.bytes, batch.segment_len) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    std::thread::sleep(PAUSE);
                    return false;
                }
                // Refused by the system (too long for the interface, no route): to the transport
                // that is loss, and a longer path MTU that does not exist.
                Ok(()) | Err(_) => {}
            }
            if let Some(batch) = self.outbox.pop_front() {
                self.spare.push(batch.bytes);
            }
        }
        false
    }
}

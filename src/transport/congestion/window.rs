//! What controllers by window have in common: the window, its threshold, the event in progress.

use super::Phase;
use crate::transport::time::Time;

/// A congestion window, in bytes.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(super) mtu: u64,
    pub(super) bytes: u64,
    pub(super) ssthresh: Option<u64>,
    recovery_start: Option<Time>,
}

impl Window {
    /// RFC 9002 §7.2: ten datagrams, but between 2 and 14720 bytes.
    pub(super) fn new(mtu: u64) -> Self {
        let bytes = (10 * mtu).min((2 * mtu).max(14_720));
        Self { mtu, bytes, ssthresh: None, recovery_start: None }
    }

    /// RFC 9002 §7.2: kMinimumWindow.
    fn min(&self) -> u64 {
        2 * self.mtu
    }

    pub(super) fn on_mtu(&mut self, mtu: u64) {
        self.mtu = mtu;
        self.bytes = self.bytes.max(self.min());
    }

    pub(super) fn phase(&self) -> Phase {
        if self.ssthresh.is_none_or(|ssthresh| self.bytes < ssthresh) {
            Phase::SlowStart
        } else {
            Phase::Avoidance
        }
    }

    pub(super) fn recovery_start(&self) -> Option<Time> {
        self.recovery_start
    }

    /// RFC 9002 §7.3.2: what was sent before the last event began belongs to it.
    pub(super) fn is_new_event(&self, sent_at: Time) -> bool {
        self.recovery_start.is_none_or(|start| sent_at > start)
    }

    /// A congestion event begins that leaves the window as it is.
    pub(super) fn note_event(&mut self, now: Time) {
        self.recovery_start = Some(now);
    }

    /// It was none.
    pub(super) fn end_event(&mut self) {
        self.recovery_start = None;
    }

    /// A congestion event begins: the window falls to `bytes`, and the threshold with it.
    pub(super) fn reduce(&mut self, now: Time, bytes: u64) {
        self.recovery_start = Some(now);
        self.bytes = bytes.max(self.min());
        self.ssthresh = Some(self.bytes);
    }

    /// RFC 9002 §7.6.2: congestion is persistent; slow start leads back to the threshold.
    pub(super) fn collapse(&mut self) {
        self.bytes = self.min();
        self.recovery_start = None;
    }

    /// The event was none: back to what was before it.
    pub(super) fn restore(&mut self, before: &Self) {
        self.bytes = self.bytes.max(before.bytes);
        self.ssthresh = before.ssthresh;
        self.recovery_start = None;
    }
}

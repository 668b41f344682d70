//! The named timers of a connection and the table of when each goes off.

use super::time::Time;

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Timer {
    /// A packet is old enough to be lost, or it is time to probe (RFC 9002 §6.1.2, §6.2).
    Loss,
    /// An acknowledgement held back must go (RFC 9000 §13.2.1).
    Ack,
    /// The pacer lets the next burst go.
    Pacing,
    /// Nothing arrived for too long (RFC 9000 §10.1).
    Idle,
    /// A quiet connection says that it is alive.
    KeepAlive,
    /// The handshake message must be repeated, or is given up.
    Handshake,
    /// A path did not answer its challenge.
    Path,
    /// A message becomes worthless.
    Deadline,
    /// Closing or Draining is over, or Flushing takes too long.
    Close,
    /// It is time to try a larger datagram.
    Mtu,
    /// The keys before the last update are dropped (RFC 9001 §6.5).
    Keys,
}

impl Timer {
    const ALL: [Self; 11] = [
        Self::Loss,
        Self::Ack,
        Self::Pacing,
        Self::Idle,
        Self::KeepAlive,
        Self::Handshake,
        Self::Path,
        Self::Deadline,
        Self::Close,
        Self::Mtu,
        Self::Keys,
    ];
}

/// When each timer goes off, if it is set.
#[derive(Clone, Debug)]
pub(crate) struct Timers {
    at: [Time; Timer::ALL.len()],
}

impl Timers {
    pub(crate) fn new() -> Self {
        Self { at: [Time::FAR; Timer::ALL.len()] }
    }

    pub(crate) fn set(&mut self, timer: Timer, at: Time) {
        self.at[timer as usize] = at;
    }

    /// Sets the timer, or clears it if there is no time.
    pub(crate) fn set_or_clear(&mut self, timer: Timer, at: Option<Time>) {
        self.set(timer, at.unwrap_or(Time::FAR));
    }

    pub(crate) fn clear(&mut self, timer: Timer) {
        self.set(timer, Time::FAR);
    }

    pub(crate) fn clear_all(&mut self) {
        *self = Self::new();
    }

    pub(crate) fn get(&self, timer: Timer) -> Option<Time> {
        Some(self.at[timer as usize]).filter(|at| *at != Time::FAR)
    }

    /// The earliest time any timer goes off.
    pub(crate) fn next(&self) -> Option<Time> {
        self.at.iter().copied().min().filter(|at| *at != Time::FAR)
    }

    /// A timer that has gone off by `now`; it is cleared.
    pub(crate) fn take_expired(&mut self, now: Time) -> Option<Timer> {
        let timer = Timer::ALL.into_iter().find(|timer| self.at[*timer as usize] <= now)?;
        self.clear(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_go_off_once_each() {
        let mut timers = Timers::new();
        assert_eq!(timers.next(), None);
        timers.set(Timer::Idle, Time(30));
        timers.set(Timer::Ack, Time(10));
        assert_eq!(timers.next(), Some(Time(10)));
        assert_eq!(timers.take_expired(Time(9)), None);
        assert_eq!(timers.take_expired(Time(30)), Some(Timer::Ack));
        assert_eq!(timers.take_expired(Time(30)), Some(Timer::Idle));
        assert_eq!(timers.take_expired(Time(30)), None);
        assert!(Timer::ALL.iter().enumerate().all(|(index, timer)| *timer as usize == index));
    }
}

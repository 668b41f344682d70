//! Who announced what, and who is still there.
//!
//! The same service heard twice (broadcast, multicast, several interfaces) is one entry. An entry
//! lives as long as it is heard from; garbage is counted. Sends nothing itself.

use crate::wire::discovery::DiscoveryMessage;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a datagram meant to the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Somebody asks who is there: answer.
    Request,
    /// A service nobody knew of, as JSON text.
    New(String),
    /// A sign of life of a known service.
    Again,
    /// Neither of the two, or one too many to remember.
    Ignored,
}

/// One service at one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where the announcement came from.
    pub address: String,
    /// What the service says of itself: JSON text.
    pub service: String,
    /// When it was heard first.
    pub first: Duration,
    /// When it was heard last.
    pub last: Duration,
}

/// The services that are there.
#[derive(Debug)]
pub struct Directory {
    lifetime: Duration,
    entries: BTreeMap<(String, String), Entry>,
    ignored: u64,
}

impl Directory {
    /// Make an empty one; an entry goes when it was not heard for `lifetime`.
    pub fn new(lifetime: Duration) -> Self {
        Self { lifetime, entries: BTreeMap::new(), ignored: 0 }
    }

    /// Take one datagram from `address` (the host; ports change from answer to answer).
    pub fn handle(&mut self, now: Duration, address: &str, datagram: &[u8]) -> Heard {
        self.expire(now);
        let service = match DiscoveryMessage::parse(datagram) {
            Ok(DiscoveryMessage::Request) => return Heard::Request,
            Ok(DiscoveryMessage::Announcement(service)) => service,
            Err(_) => {
                self.ignored += 1;
                return Heard::Ignored;
            }
        };
        let key = (address.to_owned(), service);
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.last = now;
            return Heard::Again;
        }
        if self.entries.len() == ENTRIES_MAX {
            self.ignored += 1;
            return Heard::Ignored;
        }
        let (address, service) = key.clone();
        let entry = Entry { address, service: service.clone(), first: now, last: now };
        self.entries.insert(key, entry);
        Heard::New(service)
    }

    /// Drop the entries that were not heard for their lifetime and return them.
    pub fn expire(&mut self, now: Duration) -> Vec<Entry> {
        let lifetime = self.lifetime;
        let gone = |entry: &Entry| now.saturating_sub(entry.last) > lifetime;
        let expired: Vec<Entry> = self.entries.values().filter(|e| gone(e)).cloned().collect();
        self.entries.retain(|_, entry| !gone(entry));
        expired
    }

    /// Everybody who is there, the first heard first.
    pub fn entries(&self) -> Vec<&Entry> {
        let mut entries: Vec<&Entry> = self.entries.values().collect();
        entries.sort_by_key(|entry| entry.first);
        entries
    }

    /// Datagrams that meant nothing, and announcements beyond the limit.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }
}

/// Services that are remembered.
pub const ENTRIES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn s(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn told(service: &str) -> Vec<u8> {
        DiscoveryMessage::Announcement(service.into()).compose().unwrap()
    }

    #[test]
    fn one_entry_a_service_and_address() {
        let mut directory = Directory::new(s(10));
        let request = DiscoveryMessage::Request.compose().unwrap();
        assert_eq!(directory.handle(s(0), "a", &request), Heard::Request);
        assert_eq!(directory.handle(s(0), "a", &told("1")), Heard::New("1".into()));
        assert_eq!(directory.handle(s(1), "a", &told("1")), Heard::Again);
        assert_eq!(directory.handle(s(1), "b", &told("1")), Heard::New("1".into()));
        assert_eq!(directory.handle(s(1), "a", &told("2")), Heard::New("2".into()));
        assert_eq!(directory.handle(s(1), "a", b"garbage"), Heard::Ignored);
        assert_eq!((directory.entries().len(), directory.ignored()), (3, 1));
    }

    #[test]
    fn the_silent_go() {
        let mut directory = Directory::new(s(10));
        directory.handle(s(0), "a", &told("1"));
        directory.handle(s(5), "b", &told("1"));
        assert!(directory.expire(s(10)).is_empty());
        let gone = directory.expire(s(11));
        assert_eq!(gone.len(), 1);
        assert_eq!(gone[0].address, "a");
        assert_eq!(directory.handle(s(12), "a", &told("1")), Heard::New("1".into()));
    }

    #[test]
    fn the_directory_is_bounded() {
        let mut directory = Directory::new(s(10));
        for n in 0..=ENTRIES_MAX {
            directory.handle(s(0), "a", &told(&n.to_string()));
        }
        assert_eq!((directory.entries().len(), directory.ignored()), (ENTRIES_MAX, 1));
    }
}

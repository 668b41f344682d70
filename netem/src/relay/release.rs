//! What is due leaves: grouped by client, sent in as few calls as the system allows.
//!
//! Rule of this file: a datagram that the system did not take is counted as dropped, by reason;
//! what cannot go together goes alone.

use std::io;
use std::ops::Range;

use super::batch::{Message, Outbox, Route, messages};
use super::core::Core;
use super::datagram::Due;
use crate::link::Outcome;
use crate::packet::Direction;
use crate::units::Nanos;
use crate::verdict::DropReason;

/// Datagrams that are grouped at once.
const DUE_MAX: usize = 1024;

impl Core {
    /// Sends everything that is due at `now`.
    pub(super) fn release(&mut self, now: Nanos, outbox: &mut Outbox) {
        for direction in Direction::BOTH {
            while self.collect(direction, now) {
                let mut due = std::mem::take(&mut self.due);
                // Stable: the order of a client's datagrams is that of the link.
                due.sort_by_key(|packet| packet.payload.client);
                match direction {
                    Direction::Up => self.send_up(&due, outbox),
                    Direction::Down => self.send_down(&due, outbox),
                }
                for packet in due.drain(..) {
                    self.reuse(packet.payload.bytes);
                }
                self.due = due;
            }
        }
    }

    /// Takes what is due out of a link; `false`: there is nothing.
    fn collect(&mut self, direction: Direction, now: Nanos) -> bool {
        while self.due.len() < DUE_MAX {
            let Some(outcome) = self.link(direction).poll_outcome(now) else { break };
            let (Outcome::Delivered(packet) | Outcome::Dropped(packet, _)) = &outcome;
            if let Some(client) = self.clients.get_mut(packet.payload.client) {
                client.on_their_way -= 1;
            }
            match outcome {
                Outcome::Delivered(packet) => self.due.push(packet),
                Outcome::Dropped(packet, reason) => {
                    self.show_leaving(direction, std::slice::from_ref(&packet), Some(reason));
                    self.reuse(packet.payload.bytes);
                }
            }
        }
        !self.due.is_empty()
    }

    fn send_up(&mut self, due: &[Due], outbox: &mut Outbox) {
        let mut group = std::mem::take(&mut self.messages);
        let route = Route::connected(self.upstream());
        for range in by_client(due) {
            group.clear();
            messages(due, range, route, self.offload, &mut group);
            self.deliver(Direction::Up, &group, due, outbox);
        }
        self.messages = group;
    }

    fn send_down(&mut self, due: &[Due], outbox: &mut Outbox) {
        let mut group = std::mem::take(&mut self.messages);
        group.clear();
        for range in by_client(due) {
            // A client stays as long as something for it is on its way.
            let Some(client) = self.clients.get(due[range.start].payload.client) else { continue };
            messages(due, range, client.route(), self.offload, &mut group);
        }
        self.deliver(Direction::Down, &group, due, outbox);
        self.messages = group;
    }

    /// Sends `group`: to the clients from the listener, or to the upstream for the one client
    /// that all of it is from.
    fn deliver(&mut self, way: Direction, group: &[Message], due: &[Due], outbox: &mut Outbox) {
        let mut next = 0;
        let mut is_noticed = false;
        while let Some(first) = group.get(next) {
            let place = due[first.range.start].payload.client;
            let socket = match way {
                Direction::Down => self.listener.as_ref(),
                Direction::Up => self.clients.get(place).map(|client| &client.socket),
            };
            let Some(socket) = socket else { return };
            match outbox.send(socket, &group[next..], due) {
                Ok(count) => {
                    self.note_sent(way, place, &group[next..next + count], due);
                    next += count;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // May be the notice that an earlier datagram was refused; then nothing of this
                // one has been sent yet, and it goes out at the second attempt.
                Err(error)
                    if way == Direction::Up
                        && !is_noticed
                        && reason(&error) == DropReason::Refused =>
                {
                    is_noticed = true;
                    self.refused(place);
                    continue;
                }
                Err(error) if first.range.len() > 1 && is_about_offload(&error) => {
                    // No device on this way can do it: then never again.
                    self.offload &= error.raw_os_error() != Some(libc::EIO);
                    for at in first.range.clone() {
                        let alone = Message { range: at..at + 1, ..first.clone() };
                        self.deliver(way, &[alone], due, outbox);
                    }
                }
                Err(error) => {
                    let why = reason(&error);
                    self.show_leaving(way, &due[first.range.clone()], Some(why));
                    for packet in &due[first.range.clone()] {
                        self.link(way).revoke_delivery(packet.size_bytes, why);
                    }
                }
            }
            next += 1;
            is_noticed = false;
        }
    }

    fn note_sent(&mut self, way: Direction, place: usize, sent: &[Message], due: &[Due]) {
        for message in sent {
            self.show_leaving(way, &due[message.range.clone()], None);
        }
        if let (Direction::Up, Some(last), Some(client)) =
            (way, sent.last(), self.clients.get_mut(place))
        {
            client.sent += sent.iter().map(|message| message.range.len() as u64).sum::<u64>();
            client.sent_bytes = due[last.range.end - 1].size_bytes;
        }
    }
}

/// The ranges of `due`, which is sorted by client, that belong to one client.
fn by_client(due: &[Due]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = 0;
    due.chunk_by(|one, next| one.payload.client == next.payload.client).map(move |chunk| {
        let range = start..start + chunk.len();
        start = range.end;
        range
    })
}

/// Why a datagram that could not be sent counts as dropped.
fn reason(error: &io::Error) -> DropReason {
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::ConnectionRefused, _) => DropReason::Refused,
        (io::ErrorKind::WouldBlock, _) | (_, Some(libc::ENOBUFS)) => DropReason::SendBufferFull,
        _ => DropReason::SendFailed,
    }
}

/// Whether the error may come from sending several datagrams at once: larger than the device's
/// mtu, or no checksum offload there.
fn is_about_offload(error: &io::Error) -> bool {
    let codes = [libc::EIO, libc::EINVAL, libc::EMSGSIZE, libc::EOPNOTSUPP];
    error.kind() == io::ErrorKind::InvalidInput
        || error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

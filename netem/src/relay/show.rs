//! What the relay shows to its capture: datagrams as they come in, as they leave, or why not.
//!
//! Rule of this file: without a capture nothing here costs more than a look at an option.

use super::core::Core;
use super::datagram::{Datagram, Due};
use crate::capture::{Seen, UdpTap};
use crate::packet::{Direction, FlowOrdinal};
use crate::units::Nanos;
use crate::verdict::{DropReason, Verdict};

impl Core {
    /// From now on everything that passes is captured.
    pub(super) fn capture(&mut self, tap: UdpTap) {
        self.tap = Some(tap);
    }

    pub(super) const fn tap(&self) -> Option<&UdpTap> {
        self.tap.as_ref()
    }

    /// A datagram came in for the client at `place`, and this was decided.
    pub(super) fn show_arrival(
        &self,
        now: Nanos,
        direction: Direction,
        verdict: &Verdict,
        (place, id, tos): (usize, u64, u8),
        bytes: &[u8],
    ) {
        let (Some(tap), Some(client)) = (&self.tap, self.clients.get(place)) else { return };
        let Ok(outside) = client.socket.local_addr() else { return };
        let seen = Seen { now, direction, flow: client.flow, id, tos, bytes };
        tap.came_in(&seen, verdict, client.address, outside);
    }

    /// A datagram came in from somebody who cannot be served.
    pub(super) fn show_refusal(
        &mut self,
        now: Nanos,
        from: std::net::SocketAddr,
        tos: u8,
        bytes: &[u8],
    ) {
        let Some(tap) = &mut self.tap else { return };
        let (direction, flow, id) = (Direction::Up, FlowOrdinal::OTHER, tap.next_id());
        let seen = Seen { now, direction, flow, id, tos, bytes };
        tap.came_in(&seen, &Verdict::refused(DropReason::FlowsFull), from, from);
    }

    /// Datagrams left, or were dropped after they had been let in.
    pub(super) fn show_leaving(&self, way: Direction, due: &[Due], dropped: Option<DropReason>) {
        if self.tap.is_none() {
            return;
        }
        let now = self.clock.now();
        for packet in due {
            self.show_departure(now, way, packet.flow, &packet.payload, dropped);
        }
    }

    fn show_departure(
        &self,
        now: Nanos,
        direction: Direction,
        flow: FlowOrdinal,
        datagram: &Datagram,
        dropped: Option<DropReason>,
    ) {
        let (Some(tap), Some(client)) = (&self.tap, self.clients.get(datagram.client)) else {
            return;
        };
        let Ok(outside) = client.socket.local_addr() else { return };
        let Datagram { id, tos, ref bytes, .. } = *datagram;
        let seen = Seen { now, direction, flow, id, tos, bytes };
        tap.left(&seen, dropped, client.address, outside);
    }

    /// The notice that a datagram of the client at `place` found nobody at the server.
    pub(super) fn show_unreachable(&self, place: usize) {
        let (Some(tap), Some(client)) = (&self.tap, self.clients.get(place)) else { return };
        let Ok(outside) = client.socket.local_addr() else { return };
        tap.unreachable(self.clock.now(), client.flow, outside, client.sent_bytes);
    }

    /// Drops what is on its way, shows it, and ends the capture.
    pub(super) fn show_the_end(&mut self) {
        for way in Direction::BOTH {
            while self.tap.is_some()
                && let Some(packet) = self.link(way).poll(Nanos::MAX)
            {
                self.link(way).revoke_delivery(packet.size_bytes, DropReason::Closed);
                self.show_leaving(way, &[packet], Some(DropReason::Closed));
            }
        }
        if let Some(tap) = &mut self.tap {
            tap.finish();
        }
    }
}

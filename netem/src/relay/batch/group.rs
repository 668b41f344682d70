//! Which datagrams go out as one message.
//!
//! Those of one client, in their order, with the same TOS and the same size; the last may be
//! shorter. That is what UDP_SEGMENT can carry (udp(7)), and the receiver cannot tell.

use std::ops::Range;

use super::{Message, Route};
use crate::relay::datagram::Due;

/// The system takes no more segments in one message (UDP_MAX_SEGMENTS of older kernels).
const SEGMENTS_MAX: usize = 64;
/// The largest payload that fits a UDP datagram over IPv4: 65,535 - 20 - 8.
const MESSAGE_BYTES_MAX: usize = 65_507;

/// Appends the messages that carry `due[range]`, all for one client, to `out`.
///
/// Without `offload` each datagram is a message of its own.
pub(in crate::relay) fn messages(
    due: &[Due],
    range: Range<usize>,
    route: Route,
    offload: bool,
    out: &mut Vec<Message>,
) {
    let mut start = range.start;
    while start < range.end {
        let first = &due[start].payload;
        let mut end = start + 1;
        if offload && !first.bytes.is_empty() {
            end += followers(&due[start..range.end]);
        }
        out.push(Message { range: start..end, route, tos: first.tos });
        start = end;
    }
}

/// How many datagrams after the first of `due` may go with it.
fn followers(due: &[Due]) -> usize {
    let first = &due[0].payload;
    let size = first.bytes.len();
    let mut total = size;
    let mut count = 0;
    for datagram in due[1..].iter().take(SEGMENTS_MAX - 1).map(|packet| &packet.payload) {
        let length = datagram.bytes.len();
        total += length;
        let fits = length <= size && total <= MESSAGE_BYTES_MAX;
        if !fits || length == 0 || datagram.tos != first.tos {
            break;
        }
        count += 1;
        if length < size {
            break;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{FlowOrdinal, Packet};
    use crate::relay::datagram::Datagram;
    use proptest::prelude::*;

    const ROUTE: Route = Route { to: None, from: None, is_ipv6: false };

    fn due(sizes: &[(usize, u8)]) -> Vec<Due> {
        let one = |&(size, tos): &(usize, u8)| Packet {
            flow: FlowOrdinal(0),
            size_bytes: size as u32,
            payload: Datagram { client: 0, id: 0, tos, bytes: vec![0; size] },
        };
        sizes.iter().map(one).collect()
    }

    fn grouped(sizes: &[(usize, u8)], offload: bool) -> Vec<usize> {
        let (due, mut out) = (due(sizes), Vec::new());
        messages(&due, 0..due.len(), ROUTE, offload, &mut out);
        out.iter().map(|message| message.range.len()).collect()
    }

    #[test]
    fn equal_sizes_go_together_and_a_shorter_one_ends_the_message() {
        assert_eq!(grouped(&[(100, 0), (100, 0), (50, 0), (50, 0)], true), [3, 1]);
        assert_eq!(grouped(&[(100, 0), (200, 0), (200, 2), (200, 2)], true), [1, 1, 2]);
        assert_eq!(grouped(&[(0, 0), (0, 0), (10, 0), (0, 0)], true), [1, 1, 1, 1]);
        assert_eq!(grouped(&[(100, 0); 130], true), [64, 64, 2]);
        assert_eq!(grouped(&[(30_000, 0); 3], true), [2, 1]);
        assert_eq!(grouped(&[(100, 0); 3], false), [1, 1, 1]);
    }

    proptest! {
        /// Nothing is left out or sent twice, and what the system refuses is never made.
        #[test]
        fn every_datagram_is_in_one_message(
            sizes in prop::collection::vec((0usize..4, 0u8..2), 0..200), offload: bool,
        ) {
            let due = due(&sizes);
            let mut out = Vec::new();
            messages(&due, 0..due.len(), ROUTE, offload, &mut out);
            let mut next = 0;
            for message in &out {
                prop_assert_eq!(message.range.start, next);
                next = message.range.end;
                let parts = &sizes[message.range.clone()];
                let (size, tos) = parts[0];
                prop_assert!(parts.len() <= SEGMENTS_MAX);
                let (last, before) = parts.split_last().unwrap();
                prop_assert!(before.iter().all(|&part| part == (size, tos)));
                prop_assert!(last.0 <= size && last.1 == tos);
                prop_assert!(parts.len() == 1 || last.0 > 0);
            }
            prop_assert_eq!(next, sizes.len());
        }
    }
}

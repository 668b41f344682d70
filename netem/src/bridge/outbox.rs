//! What leaves an interface next, in its order: neighbours of one frame go together again.
//!
//! Rule of this file: it sends nothing and counts nothing.

use std::ops::Range;
use std::sync::Arc;

use super::frame::Frame;
use super::piece::Piece;
use crate::packet::FlowOrdinal;

/// Packets that are gathered at once.
const PACKETS_MAX: usize = 1024;

/// One frame to be sent, of one packet or more.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) piece: Piece,
    pub(super) flow: FlowOrdinal,
}

impl Outgoing {
    /// How many packets it is.
    pub(super) fn packets(&self) -> u32 {
        self.piece.parts.len() as u32
    }

    /// The size of each packet in it, from the Ethernet header on.
    pub(super) fn sizes(&self) -> impl Iterator<Item = u32> + '_ {
        let Piece { frame, parts } = &self.piece;
        parts.clone().map(|part| frame.size_of(&(part..part + 1)) as u32)
    }
}

/// A bounded list of them.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    outgoing: Vec<Outgoing>,
    packets: usize,
}

impl Outbox {
    pub(super) fn is_full(&self) -> bool {
        self.packets >= PACKETS_MAX
    }

    pub(super) fn push(&mut self, piece: Piece, flow: FlowOrdinal) {
        self.packets += 1;
        if let Some(last) = self.outgoing.last_mut()
            && last.piece.join(&piece)
        {
            return;
        }
        self.outgoing.push(Outgoing { piece, flow });
    }

    pub(super) fn from(&self, start: usize) -> &[Outgoing] {
        &self.outgoing[start..]
    }

    /// The frame at `index` must go as single packets.
    pub(super) fn take_apart(&mut self, index: usize) {
        let Outgoing { piece: Piece { frame, parts }, flow } = &self.outgoing[index];
        let (frame, flow) = (Arc::clone(frame), *flow);
        let single = |part| {
            let piece = Piece { frame: Arc::clone(&frame), parts: part..part + 1 };
            Outgoing { piece, flow }
        };
        let singles: Vec<Outgoing> = parts.clone().map(single).collect();
        self.outgoing.splice(index..=index, singles);
    }

    /// Empties the list; the frames are handed to `give_back`.
    pub(super) fn clear(&mut self, mut give_back: impl FnMut(Arc<Frame>)) {
        self.packets = 0;
        self.outgoing.drain(..).for_each(|outgoing| give_back(outgoing.piece.frame));
    }
}

/// The headers of the frames that one call sends, one after the other, and where each is.
#[derive(Debug, Default)]
pub(super) struct Heads {
    bytes: Vec<u8>,
    places: Vec<Range<usize>>,
}

impl Heads {
    /// Writes the headers of `outgoing`.
    pub(super) fn write(&mut self, outgoing: &[Outgoing]) {
        self.bytes.clear();
        self.places.clear();
        for Outgoing { piece, .. } in outgoing {
            let start = self.bytes.len();
            piece.frame.split(&piece.parts, &mut self.bytes);
            self.places.push(start..self.bytes.len());
        }
    }

    /// The headers of the frame at `index`; none when it goes as it came.
    pub(super) fn of(&self, index: usize) -> &[u8] {
        &self.bytes[self.places[index].clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_go_together_until_one_is_missing_or_comes_twice() {
        let (one, other) = (Arc::new(Frame::of(vec![0; 60])), Arc::new(Frame::of(vec![0; 60])));
        let mut outbox = Outbox::default();
        let mut push = |frame: &Arc<Frame>, part: u32| {
            let piece = Piece { frame: Arc::clone(frame), parts: part..part + 1 };
            outbox.push(piece, FlowOrdinal(0));
        };
        for part in [0, 1, 2, 4, 5, 5, 6] {
            push(&one, part);
        }
        push(&other, 7);
        let parts = |outbox: &Outbox| -> Vec<Range<u32>> {
            outbox.from(0).iter().map(|outgoing| outgoing.piece.parts.clone()).collect()
        };
        assert_eq!(parts(&outbox), [0..3, 4..6, 5..7, 7..8]);
        outbox.take_apart(1);
        assert_eq!(parts(&outbox), [0..3, 4..5, 5..6, 5..7, 7..8]);
        let mut count = 0;
        outbox.clear(|_| count += 1);
        assert_eq!((count, outbox.from(0).len(), outbox.is_full()), (5, 0, false));
    }
}

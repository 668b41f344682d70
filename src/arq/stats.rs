//! What a `UDPWithACK` endpoint counts. Every datagram that arrives is in exactly one of the
//! counters of [`AckStats::datagrams`], every message accepted for sending ends in exactly one of
//! `acked` and `failed`, unless it is still pending.

/// The counters of one endpoint since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AckStats {
    /// Messages accepted for sending.
    pub sent: u64,
    /// Repetitions of messages.
    pub retransmissions: u64,
    /// Messages acknowledged.
    pub acked: u64,
    /// Messages given up.
    pub failed: u64,
    /// Messages received and queued for the application.
    pub received: u64,
    /// DATA that was known already: acknowledged again, not delivered again.
    pub duplicates: u64,
    /// Messages whose number was known with another payload: the peer started anew. They are
    /// also among `received`.
    pub restarted: u64,
    /// DATA not taken, and not acknowledged, because the queue of received messages was full.
    pub queue_full: u64,
    /// ACKs transmitted.
    pub acks_sent: u64,
    /// ACKs not transmitted because too many datagrams waited to be transmitted.
    pub acks_dropped: u64,
    /// ACKs for a message that was acknowledged before, or given up.
    pub ack_again: u64,
    /// ACKs for a number that was never sent.
    pub ack_unknown: u64,
    /// ACKs for a pending message from another address than it was sent to.
    pub ack_wrong_peer: u64,
    /// Datagrams shorter than the header.
    pub truncated: u64,
    /// Datagrams of a type that is neither DATA nor ACK.
    pub unknown_type: u64,
    /// ACKs that carry data.
    pub ack_with_data: u64,
}

impl AckStats {
    /// How many datagrams arrived.
    pub fn datagrams(&self) -> u64 {
        let data = self.received + self.duplicates + self.queue_full;
        let acks = self.acked + self.ack_again + self.ack_unknown + self.ack_wrong_peer;
        data + acks + self.malformed()
    }

    /// How many datagrams did not follow the format.
    pub fn malformed(&self) -> u64 {
        self.truncated + self.unknown_type + self.ack_with_data
    }

    /// Names and values, in the order above.
    pub fn named(&self) -> [(&'static str, u64); 16] {
        [
            ("sent", self.sent),
            ("retransmissions", self.retransmissions),
            ("acked", self.acked),
            ("failed", self.failed),
            ("received", self.received),
            ("duplicates", self.duplicates),
            ("restarted", self.restarted),
            ("queue_full", self.queue_full),
            ("acks_sent", self.acks_sent),
            ("acks_dropped", self.acks_dropped),
            ("ack_again", self.ack_again),
            ("ack_unknown", self.ack_unknown),
            ("ack_wrong_peer", self.ack_wrong_peer),
            ("truncated", self.truncated),
            ("unknown_type", self.unknown_type),
            ("ack_with_data", self.ack_with_data),
        ]
    }
}

//! How fast the path delivers: one sample an acknowledgement, from what each packet noted when it
//! left (draft-ietf-ccwg-bbr-06 §4.1, before that draft-cheng-iccrg-delivery-rate-estimation).
//!
//! Only a controller that asks for samples has its packets stamped; the others pay nothing.

use crate::transport::time::{Micros, Time};

/// Bytes a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bandwidth(pub(crate) u64);

impl Bandwidth {
    /// So many bytes in this much time.
    pub(super) fn of(bytes: u64, time: Micros) -> Self {
        let rate = u128::from(bytes) * 1_000_000 / u128::from(time.0.max(1));
        Self(u64::try_from(rate).unwrap_or(u64::MAX))
    }

    /// What arrives in this much time, in bytes.
    pub(super) fn bytes_in(self, time: Micros) -> u64 {
        let bytes = u128::from(self.0) * u128::from(time.0) / 1_000_000;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// The same in bits a second.
    pub(crate) fn bits(self) -> u64 {
        self.0.saturating_mul(8)
    }

    pub(super) fn percent(self, percent: u64) -> Self {
        Self(self.0.saturating_mul(percent) / 100)
    }
}

/// What a packet notes when it leaves (§4.1.2.1.2): 32 bytes, with the mark that there is one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    /// P.delivered, in bytes.
    delivered: u64,
    /// P.send_time - P.first_send_time.
    send_elapsed_us: u32,
    /// P.send_time - P.delivered_time.
    since_delivery_us: u32,
    /// P.lost, in bytes, of which only differences within a flight matter.
    lost: u32,
    /// P.tx_in_flight, in bytes, this packet included.
    in_flight: u32,
    is_app_limited: bool,
}

/// What one acknowledgement, or one loss, says (§4.1.2.1.3).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    /// Zero if the interval was too short to say.
    pub(super) rate: Bandwidth,
    /// Bytes delivered while the newest packet was on its way.
    pub(super) delivered: u64,
    /// What had been delivered when it left.
    pub(super) prior_delivered: u64,
    /// Bytes lost since it left.
    pub(super) lost: u64,
    /// Bytes in flight when it had left.
    pub(super) in_flight: u64,
    pub(super) is_app_limited: bool,
    /// Bytes this acknowledgement is the first to name.
    pub(super) newly_acked: u64,
}

/// A packet that was acknowledged or lost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StampedPacket {
    pub(crate) number: u64,
    pub(crate) sent_at: Time,
    pub(crate) size: u32,
    pub(crate) stamp: Stamp,
}

/// The newest packet of the acknowledgement at hand.
#[derive(Clone, Copy, Debug)]
struct Newest {
    number: u64,
    stamp: Stamp,
    ack_elapsed: Micros,
}

/// The sampler of one path (§4.1.2.1.1).
#[derive(Debug, Default)]
pub(super) struct Delivery {
    delivered: u64,
    delivered_at: Time,
    first_sent_at: Time,
    lost: u64,
    /// Samples are limited by the application until this much is delivered.
    app_limited_until: Option<u64>,
    newest: Option<Newest>,
    newly_acked: u64,
}

fn short(time: Micros) -> u32 {
    u32::try_from(time.0).unwrap_or(u32::MAX)
}

impl Delivery {
    /// Bytes delivered so far.
    pub(super) fn delivered(&self) -> u64 {
        self.delivered
    }

    pub(super) fn is_app_limited(&self) -> bool {
        self.app_limited_until.is_some()
    }

    /// A packet leaves; `in_flight` counts it (§4.1.2.2).
    pub(super) fn on_sent(&mut self, now: Time, size: u64, in_flight: u64) -> Stamp {
        if in_flight <= size {
            self.first_sent_at = now;
            self.delivered_at = now;
        }
        Stamp {
            delivered: self.delivered,
            send_elapsed_us: short(now.since(self.first_sent_at)),
            since_delivery_us: short(now.since(self.delivered_at)),
            lost: self.lost as u32,
            in_flight: u32::try_from(in_flight).unwrap_or(u32::MAX),
            is_app_limited: self.is_app_limited(),
        }
    }

    /// One of the packets of an acknowledgement (§4.1.2.3, UpdateRateSample).
    pub(super) fn on_packet_acked(&mut self, now: Time, packet: &StampedPacket) {
        self.delivered += u64::from(packet.size);
        self.newly_acked += u64::from(packet.size);
        self.delivered_at = now;
        let StampedPacket { number, sent_at, stamp, .. } = *packet;
        if self.newest.is_none_or(|newest| number > newest.number) {
            let since_delivery = Micros(stamp.since_delivery_us.into());
            let ack_elapsed = now.since(sent_at) + since_delivery;
            self.newest = Some(Newest { number, stamp, ack_elapsed });
            self.first_sent_at = sent_at;
        }
    }

    /// All packets of the acknowledgement are in (§4.1.2.3, GenerateRateSample).
    pub(super) fn take_sample(&mut self, rtt_min: Micros) -> Option<Sample> {
        self.app_limited_until = self.app_limited_until.filter(|until| self.delivered <= *until);
        let Newest { stamp, ack_elapsed, .. } = self.newest.take()?;
        let interval = ack_elapsed.max(Micros(stamp.send_elapsed_us.into()));
        let delivered = self.delivered.saturating_sub(stamp.delivered);
        // Shorter than a round trip, it measures how acknowledgements bunch and nothing else.
        let is_reliable = interval >= rtt_min && interval > Micros::ZERO;
        Some(Sample {
            rate: if is_reliable { Bandwidth::of(delivered, interval) } else { Bandwidth(0) },
            delivered,
            prior_delivered: stamp.delivered,
            newly_acked: std::mem::take(&mut self.newly_acked),
            ..self.since(&stamp)
        })
    }

    /// A packet was lost: what that says of its flight (§5.5.10.2, HandleLostPacket).
    pub(super) fn on_lost(&mut self, size: u64, stamp: &Stamp) -> Sample {
        self.lost += size;
        self.since(stamp)
    }

    fn since(&self, stamp: &Stamp) -> Sample {
        Sample {
            lost: (self.lost as u32).wrapping_sub(stamp.lost).into(),
            in_flight: stamp.in_flight.into(),
            is_app_limited: stamp.is_app_limited,
            ..Sample::default()
        }
    }

    /// There was room to send and nothing to send: samples count for less until what is in flight
    /// now is delivered (§4.1.2.4).
    pub(super) fn on_app_limited(&mut self, in_flight: u64) {
        self.app_limited_until = Some((self.delivered + in_flight).max(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 1000;

    /// Sends a packet every `gap` and has each acknowledged a round trip later.
    fn rates(gap: Micros, rtt: Micros, bunch: usize) -> Vec<Sample> {
        let mut delivery = Delivery::default();
        let mut flight = std::collections::VecDeque::new();
        let mut samples = Vec::new();
        for number in 0..200_u64 {
            let now = Time(1_000_000) + gap * number;
            let due: Vec<_> = flight
                .iter()
                .take_while(|packet: &&StampedPacket| packet.sent_at + rtt <= now)
                .copied()
                .collect();
            if due.len() >= bunch {
                due.iter().for_each(|packet| delivery.on_packet_acked(now, packet));
                flight.drain(..due.len());
                samples.extend(delivery.take_sample(rtt));
            }
            let in_flight = (flight.len() as u64 + 1) * SIZE;
            let stamp = delivery.on_sent(now, SIZE, in_flight);
            flight.push_back(StampedPacket { number, sent_at: now, size: SIZE as u32, stamp });
        }
        samples
    }

    #[test]
    fn the_rate_is_that_of_the_packets_whether_they_are_acknowledged_singly_or_in_bunches() {
        for bunch in [1, 2, 8] {
            let samples = rates(Micros::from_ms(1), Micros::from_ms(20), bunch);
            assert!(samples.len() > 10);
            for sample in &samples[samples.len() / 2..] {
                let rate = sample.rate.0;
                assert!((900_000..=1_050_000).contains(&rate), "{bunch}: {rate}");
            }
        }
    }

    #[test]
    fn an_interval_below_a_round_trip_says_nothing() {
        let mut delivery = Delivery::default();
        let stamp = delivery.on_sent(Time(1000), SIZE, SIZE);
        let packet = StampedPacket { number: 0, sent_at: Time(1000), size: SIZE as u32, stamp };
        delivery.on_packet_acked(Time(1500), &packet);
        let sample = delivery.take_sample(Micros::from_ms(1)).expect("a sample");
        assert_eq!((sample.rate, sample.newly_acked), (Bandwidth(0), SIZE));
        assert!(delivery.take_sample(Micros::ZERO).is_none(), "no packet, no sample");
    }

    #[test]
    fn what_leaves_after_a_pause_is_marked_until_the_flight_before_it_is_delivered() {
        let mut delivery = Delivery::default();
        delivery.on_app_limited(SIZE);
        let packet = |delivery: &mut Delivery, number, in_flight| {
            let stamp = delivery.on_sent(Time(number), SIZE, in_flight);
            StampedPacket { number, sent_at: Time(number), size: SIZE as u32, stamp }
        };
        let first = packet(&mut delivery, 1, SIZE);
        let second = packet(&mut delivery, 2, 2 * SIZE);
        delivery.on_packet_acked(Time(100), &first);
        assert!(delivery.take_sample(Micros::ZERO).expect("a sample").is_app_limited);
        assert!(delivery.is_app_limited(), "the bubble itself is still on its way");
        delivery.on_packet_acked(Time(101), &second);
        delivery.take_sample(Micros::ZERO);
        assert!(!delivery.is_app_limited());
        let third = packet(&mut delivery, 3, SIZE);
        delivery.on_packet_acked(Time(200), &third);
        assert!(!delivery.take_sample(Micros::ZERO).expect("a sample").is_app_limited);
    }

    #[test]
    fn a_loss_tells_what_was_lost_since_the_packet_left() {
        let mut delivery = Delivery::default();
        let stamps: Vec<_> = (1..=4).map(|n| delivery.on_sent(Time(n), SIZE, n * SIZE)).collect();
        let losses: Vec<_> = stamps.iter().map(|stamp| delivery.on_lost(SIZE, stamp)).collect();
        assert_eq!(losses[3].lost, 4 * SIZE);
        assert_eq!(losses[3].in_flight, 4 * SIZE);
        let later = delivery.on_sent(Time(9), SIZE, SIZE);
        assert_eq!(delivery.on_lost(SIZE, &later).lost, SIZE);
    }
}

//! The controller alone on a path of one bottleneck: a link with a rate, a queue, a delay.

use super::*;
use crate::transport::rtt::Rtt;
use std::collections::VecDeque;

const MTU: u64 = 1000;
const STEP: Micros = Micros(100);

/// A packet between its sending and its acknowledgement.
#[derive(Debug)]
struct Sent {
    number: u64,
    sent_at: Time,
    stamp: Stamp,
    /// When its acknowledgement arrives; lost packets are noticed then.
    back_at: Time,
    is_lost: bool,
}

/// The path, and a sender that is always busy unless told otherwise.
struct Track {
    bbr: Bbr,
    rtt: Rtt,
    now: Time,
    rate: Bandwidth,
    delay: Micros,
    queue_max: Micros,
    /// One packet of so many is lost by the path itself.
    loses_one_of: Option<u64>,
    is_busy: bool,
    link_free_at: Time,
    flight: VecDeque<Sent>,
    next_number: u64,
    credit: u64,
    lost: u64,
}

impl Track {
    /// 10 Mbyte/s and 40 ms: 400 packets of bandwidth times delay; a queue of as many.
    fn new() -> Self {
        Self {
            bbr: Bbr::new(MTU, 7),
            rtt: Rtt::default(),
            now: Time(1_000_000),
            rate: Bandwidth(10_000_000),
            delay: Micros::from_ms(40),
            queue_max: Micros::from_ms(40),
            loses_one_of: None,
            is_busy: true,
            link_free_at: Time(0),
            flight: VecDeque::new(),
            next_number: 0,
            credit: 0,
            lost: 0,
        }
    }

    fn in_flight(&self) -> u64 {
        self.flight.len() as u64 * MTU
    }

    fn bdp(&self) -> u64 {
        self.rate.bytes_in(self.delay)
    }

    fn send(&mut self) {
        let rate = self.bbr.pacing_rate().unwrap_or(Bandwidth::of(20 * MTU, self.delay));
        self.credit = (self.credit + rate.bytes_in(STEP)).min(10 * MTU);
        while self.is_busy && self.credit >= MTU && self.in_flight() + MTU <= self.bbr.window() {
            self.credit -= MTU;
            let stamp = self.bbr.on_sent(self.now, MTU, self.in_flight() + MTU).expect("a stamp");
            let starts = self.link_free_at.max(self.now);
            let overflows = starts.since(self.now) > self.queue_max;
            let is_lost =
                overflows || self.loses_one_of.is_some_and(|of| self.next_number % of == of - 1);
            if !overflows {
                self.link_free_at = starts + Micros(MTU * 1_000_000 / self.rate.0);
            }
            let (sent_at, number) = (self.now, self.next_number);
            let back_at = self.link_free_at + self.delay;
            self.flight.push_back(Sent { number, sent_at, stamp, back_at, is_lost });
            self.next_number += 1;
        }
        if !self.is_busy {
            self.bbr.on_app_limited(self.in_flight());
        }
    }

    fn receive(&mut self) {
        let due = self.flight.iter().take_while(|sent| sent.back_at <= self.now).count();
        let (mut largest, mut lost) = (None, Vec::new());
        for sent in self.flight.drain(..due) {
            let Sent { number, sent_at, stamp, is_lost, .. } = sent;
            if is_lost {
                self.lost += 1;
                lost.push(StampedPacket { number, sent_at, size: MTU as u32, stamp });
            } else {
                let packet = StampedPacket { number, sent_at, size: MTU as u32, stamp };
                self.bbr.on_packet_acked(self.now, &packet);
                largest = Some(sent);
            }
        }
        if let Some(Sent { number, sent_at, .. }) = largest {
            self.rtt.sample(self.now, self.now.since(sent_at), Micros::ZERO);
            self.bbr.on_acked(&Acked {
                now: self.now,
                bytes: MTU,
                largest_acked: number,
                next_number: self.next_number,
                rtt: &self.rtt,
                app_limited: !self.is_busy,
                in_flight: self.flight.len() as u64 * MTU,
                round_trip: self.rtt.latest(),
            });
        }
        for packet in &lost {
            self.bbr.on_packet_lost(self.now, packet);
        }
        if let Some(packet) = lost.last() {
            self.bbr.on_congestion(self.now, packet.sent_at, false);
        }
    }

    fn step(&mut self) {
        self.receive();
        self.send();
        self.now += STEP;
    }

    fn run(&mut self, span: Micros) {
        let end = self.now + span;
        while self.now < end {
            self.step();
        }
    }

    /// Runs until the phase is this one; fails after `patience`.
    fn run_until(&mut self, phase: Phase, patience: Micros) {
        let end = self.now + patience;
        while self.bbr.phase() != phase {
            assert!(self.now < end, "{:?} instead of {phase:?}", self.bbr.phase());
            self.step();
        }
    }
}

#[test]
fn startup_ends_when_the_bandwidth_no_longer_grows_and_the_queue_is_drained() {
    let mut track = Track::new();
    track.queue_max = Micros::from_ms(400);
    track.run_until(Phase::Drain, Micros::from_secs(2));
    assert!(track.bbr.full_pipe.was_full);
    let bw = track.bbr.max_bw.get();
    assert!((9_800_000..=10_200_000).contains(&bw.0), "{bw:?}");
    assert!(track.in_flight() > track.bdp() * 3 / 2, "a queue stands: {}", track.in_flight());
    assert!(track.bbr.pacing_rate() < Some(bw.percent(51)));
    let rounds = track.bbr.rounds.count;
    while track.bbr.phase() == Phase::Drain {
        track.step();
    }
    assert!(track.in_flight() <= track.bdp() * 11 / 10, "{}", track.in_flight());
    assert!(track.bbr.rounds.count <= rounds + 4);
    assert_eq!(track.lost, 0);
}

#[test]
fn a_queue_that_overflows_ends_startup_too() {
    let mut track = Track::new();
    track.queue_max = Micros::from_ms(4);
    track.run_until(Phase::Drain, Micros::from_secs(2));
    let bound = track.bbr.bounds.inflight_long;
    assert!(bound.is_none_or(|bound| bound < 2 * track.bdp()), "{bound:?}");
}

#[test]
fn a_cycle_goes_down_cruises_refills_and_goes_up_with_these_gains() {
    let mut track = Track::new();
    track.run_until(Phase::ProbeBwCruise, Micros::from_secs(5));
    let mut cycles = Vec::new();
    let mut last = track.bbr.phase();
    for _ in 0..300_000 {
        track.step();
        let phase = track.bbr.phase();
        if phase != last {
            cycles.push((phase, track.bbr.pacing_gain(), track.now));
            last = phase;
        }
    }
    assert!(cycles.len() > 20, "{}", cycles.len());
    for (phase, gain, _) in &cycles {
        let expected = match phase {
            Phase::ProbeBwDown => 90,
            Phase::ProbeBwUp => 125,
            _ => 100,
        };
        assert_eq!(*gain, expected, "{phase:?}");
    }
    for pair in cycles.windows(2) {
        let (from, to) = (pair[0].0, pair[1].0);
        let allowed = match from {
            Phase::ProbeBwUp => vec![Phase::ProbeBwDown],
            Phase::ProbeBwDown => vec![Phase::ProbeBwCruise, Phase::ProbeBwRefill],
            Phase::ProbeBwRefill => vec![Phase::ProbeBwUp],
            // After a ProbeRTT the cycle begins with Cruise.
            Phase::ProbeRtt => vec![Phase::ProbeBwCruise],
            _ => vec![Phase::ProbeBwRefill],
        };
        let is_allowed = allowed.contains(&to) || to == Phase::ProbeRtt;
        assert!(is_allowed, "{from:?} to {to:?}");
    }
    // §5.3.3.8.3: two to three seconds, or 63 rounds; ProbeRTT begins the count anew.
    let ups: Vec<_> = cycles.iter().filter(|(phase, ..)| *phase == Phase::ProbeBwUp).collect();
    for pair in ups.windows(2) {
        let apart = pair[1].2.since(pair[0].2);
        assert!(apart < Micros::from_secs(6), "{apart:?}");
    }
}

#[test]
fn a_busy_flow_steps_back_every_five_seconds_and_comes_back() {
    let mut track = Track::new();
    // A queue that never drains would hide the round trip: half a window of foreign traffic.
    track.run(Micros::from_secs(2));
    track.delay = Micros::from_ms(50);
    let mut entered = Vec::new();
    for _ in 0..5 {
        track.run_until(Phase::ProbeRtt, Micros::from_secs(7));
        entered.push(track.now);
        let end = track.now + Micros::from_ms(400);
        let mut least = u64::MAX;
        while track.bbr.phase() == Phase::ProbeRtt {
            assert!(track.now < end, "ProbeRTT does not end");
            least = least.min(track.in_flight());
            track.step();
        }
        assert!(least <= track.bdp() * 6 / 10, "{least} of {}", track.bdp());
    }
    for pair in entered.windows(2) {
        let apart = pair[1].since(pair[0]);
        assert!(apart > Micros::from_secs(5) && apart < Micros::from_ms(6_000), "{apart:?}");
    }
    assert_eq!(track.bbr.min_rtt.get().map(|rtt| rtt.0 / 1000), Some(50), "the path is longer now");
}

#[test]
fn samples_the_application_limits_do_not_lower_the_estimate() {
    let mut track = Track::new();
    track.run(Micros::from_secs(3));
    let before = track.bbr.max_bw.get();
    // A tenth of the rate for half a minute: many cycles.
    for _ in 0..3_000 {
        track.is_busy = true;
        track.step();
        track.is_busy = false;
        track.run(Micros::from_ms(10));
    }
    let after = track.bbr.max_bw.get();
    assert!(after >= before.percent(95), "{before:?} to {after:?}");
}

#[test]
fn after_a_rest_it_sends_at_the_rate_it_knows_and_needs_no_probe_of_the_round_trip() {
    let mut track = Track::new();
    track.run(Micros::from_secs(4));
    track.run_until(Phase::ProbeBwCruise, Micros::from_secs(5));
    let bw = track.bbr.bw;
    track.is_busy = false;
    track.run(Micros::from_secs(20));
    assert_eq!(track.in_flight(), 0);
    track.is_busy = true;
    track.step();
    assert!(track.bbr.is_idle_restart);
    assert_eq!(track.bbr.pacing_rate(), Some(bw.percent(99)));
    track.run(Micros::from_ms(200));
    assert_ne!(track.bbr.phase(), Phase::ProbeRtt);
    assert!(!track.bbr.is_idle_restart && track.bbr.bw >= bw.percent(95));
}

#[test]
fn losses_without_delay_do_not_slow_it_and_those_of_a_queue_do() {
    let mut lossy = Track::new();
    lossy.loses_one_of = Some(20);
    lossy.run(Micros::from_secs(20));
    let rate = lossy.bbr.max_bw.get();
    assert!(rate.0 > 9_000_000, "{rate:?} at 5 % loss");
    assert!(lossy.bbr.bounds.inflight_long.is_none_or(|bound| bound > lossy.bdp() * 8 / 10));
    // The rate of the path falls to a fifth: the queue overflows and bounds are set.
    let mut track = Track::new();
    track.run(Micros::from_secs(4));
    track.rate = Bandwidth(2_000_000);
    track.run(Micros::from_secs(10));
    let (sent, lost) = (track.next_number, track.lost);
    track.run(Micros::from_secs(20));
    let rate = track.bbr.max_bw.get();
    assert!((1_800_000..2_300_000).contains(&rate.0), "{rate:?}");
    let percent = (track.lost - lost) * 100 / (track.next_number - sent);
    assert!(percent <= 2, "{percent} % lost");
}

#[test]
fn a_spurious_loss_takes_its_bounds_back() {
    let mut track = Track::new();
    track.run(Micros::from_secs(4));
    track.run_until(Phase::ProbeBwUp, Micros::from_secs(5));
    while !track.bbr.cycle.is_sample || track.bbr.latest_rtt.0 < 44_000 {
        track.step();
    }
    let (bounds, window) = (track.bbr.bounds, track.bbr.window());
    for sent in track.flight.iter().take(20) {
        let Sent { number, sent_at, stamp, .. } = *sent;
        let lost = StampedPacket { number, sent_at, size: MTU as u32, stamp };
        track.bbr.on_packet_lost(track.now, &lost);
        track.bbr.on_congestion(track.now, sent_at, false);
    }
    assert_eq!(track.bbr.phase(), Phase::ProbeBwDown);
    assert!(track.bbr.bounds.inflight_long.is_some());
    track.bbr.on_spurious();
    assert_eq!(track.bbr.phase(), Phase::ProbeBwRefill);
    assert_eq!(track.bbr.bounds.inflight_long, bounds.inflight_long);
    assert!(track.bbr.window() >= window);
}

#[test]
fn a_mark_bounds_what_is_in_flight_and_persistent_congestion_empties_the_window() {
    let mut track = Track::new();
    track.run(Micros::from_secs(4));
    track.run_until(Phase::ProbeBwUp, Micros::from_secs(5));
    track.run(Micros::from_ms(60));
    track.bbr.on_marked(track.now);
    assert!(track.bbr.bounds.inflight_long.is_some());
    assert_eq!(track.bbr.phase(), Phase::ProbeBwDown);
    track.bbr.on_congestion(track.now, track.now, true);
    assert_eq!(track.bbr.window(), 2 * MTU);
    track.run(Micros::from_secs(2));
    assert!(track.bbr.window() > track.bdp() * 8 / 10, "it grows back: {}", track.bbr.window());
}

#[test]
fn two_seeds_probe_at_different_times() {
    let ups = |seed| {
        let mut track = Track::new();
        track.bbr = Bbr::new(MTU, seed);
        let phases = (0..100_000).map(|_| {
            track.step();
            track.bbr.phase()
        });
        phases.collect::<Vec<_>>()
    };
    assert_eq!(ups(1), ups(1));
    assert_ne!(ups(1), ups(2));
}

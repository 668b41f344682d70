//! The batch machine in virtual time: exactly once, whatever the network does.

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use udpcore::dns::batch::{BURST_MAX, Batch, BatchConfig, Done, LANE_QUERIES_MAX, Lane};
use udpcore::dns::query::Query;
use udpcore::dns::{Message, Name, RdType};

fn config(servers: u8, concurrency: usize) -> BatchConfig {
    BatchConfig {
        query: Query::new(Name::root(), RdType::A),
        servers: (1..=servers).map(|n| SocketAddr::from(([192, 0, 2, n], 53))).collect(),
        concurrency,
        timeout_us: 10_000_000,
        rate: None,
        mix_case: true,
    }
}

/// A network with loss, duplicates, reordering and forgeries; one step is 1 ms.
struct Net {
    random: StdRng,
    flying: BTreeMap<u64, Vec<(Lane, Vec<u8>)>>,
    loss_percent: u32,
}

impl Net {
    fn send(&mut self, now: u64, lane: Lane, query: &[u8]) {
        for _ in 0..1 + u32::from(self.random.random_range(0..20) == 0) {
            if self.random.random_range(0..100) < self.loss_percent {
                continue;
            }
            let mut answer = query.to_vec();
            answer[2] |= 0x80;
            let at = now + self.random.random_range(1_000..60_000);
            if self.random.random_range(0..10) == 0 {
                // A forger who sees the question but guesses id and case.
                let mut forged = answer.clone();
                forged[..2].copy_from_slice(&(self.random.next_u32() as u16).to_be_bytes());
                forged[3] |= 3;
                self.flying.entry(at - 500).or_default().push((lane, forged));
            }
            self.flying.entry(at).or_default().push((lane, answer));
        }
    }
}

fn run(config: BatchConfig, count: u64, loss_percent: u32, seed: u64) -> Vec<(u64, Done)> {
    let concurrency = config.concurrency;
    let mut batch = Batch::new(config, StdRng::seed_from_u64(seed));
    let random = StdRng::seed_from_u64(seed + 1);
    let mut net = Net { random, flying: BTreeMap::new(), loss_percent };
    let (mut now, mut next, mut done, mut out) = (0, 0, Vec::new(), Vec::new());
    while (done.len() as u64) < count {
        while batch.room() > 0 && next < count {
            batch.push(next, format!("host-{next}.example.test").parse().unwrap());
            next += 1;
        }
        assert!(batch.active() <= concurrency);
        out.clear();
        while let Some(lane) = batch.poll_transmit(now, &mut out) {
            net.send(now, lane, &out);
            out.clear();
        }
        let arrival = net.flying.keys().next().copied();
        let Some(at) = [arrival, batch.next_deadline()].into_iter().flatten().min() else {
            panic!("seed {seed}: {} of {count} done, and nothing to wait for", done.len())
        };
        now = now.max(at);
        while let Some(entry) = net.flying.first_entry().filter(|entry| *entry.key() <= now) {
            for (lane, wire) in entry.remove() {
                batch.handle_datagram(now, lane, &wire);
            }
        }
        batch.handle_timeout(now);
        while let Some(end) = batch.poll_done() {
            done.push(end);
        }
    }
    assert_eq!((batch.active(), batch.done_count()), (0, 0));
    done
}

#[test]
fn every_name_comes_back_once_over_a_bad_network() {
    for seed in 0..5 {
        let done = run(config(3, 200), 3_000, 15, seed);
        let ordinals: BTreeSet<u64> = done.iter().map(|(ordinal, _)| *ordinal).collect();
        assert_eq!((done.len(), ordinals.len()), (3_000, 3_000), "seed {seed}");
        for (ordinal, end) in done {
            match end {
                Done::Answer { message, name } => {
                    assert_eq!(name.to_string(), format!("host-{ordinal}.example.test."));
                    // The forger's code is 3: not one of his answers was taken.
                    assert_eq!(message.rcode().to_string(), "NOERROR", "seed {seed}");
                }
                other => panic!("seed {seed}: {ordinal} ended as {other:?}"),
            }
        }
    }
}

#[test]
fn the_same_seed_does_the_same() {
    let order = |seed| run(config(2, 50), 500, 10, seed).iter().map(|d| d.0).collect::<Vec<_>>();
    assert_eq!(order(3), order(3));
    assert_ne!(order(3), order(4));
}

#[test]
fn silence_ends_after_the_time_of_the_name() {
    let done = run(config(1, 10), 30, 100, 0);
    assert!(done.iter().all(|(_, end)| matches!(end, Done::TimedOut { tries } if *tries >= 5)));
}

#[test]
fn sockets_are_replaced_after_their_share() {
    let mut batch = Batch::new(config(1, 1), StdRng::seed_from_u64(1));
    let mut sent: BTreeMap<u32, u32> = BTreeMap::new();
    let mut places = BTreeSet::new();
    let mut out = Vec::new();
    for ordinal in 0..200_000 {
        batch.push(ordinal, Name::root());
        out.clear();
        let lane = batch.poll_transmit(ordinal, &mut out).unwrap();
        *sent.entry(lane.socket).or_default() += 1;
        places.insert(lane.place);
        out[2] |= 0x80;
        batch.handle_datagram(ordinal, lane, &out);
        assert!(batch.poll_done().is_some());
    }
    assert_eq!(places.len(), 64);
    assert!(sent.values().all(|count| *count <= LANE_QUERIES_MAX));
    assert!(sent.len() >= 200);
}

#[test]
fn a_rate_is_kept() {
    let mut config = config(1, 1000);
    config.rate = Some(1000);
    let mut batch = Batch::new(config, StdRng::seed_from_u64(1));
    (0..1000).for_each(|ordinal| batch.push(ordinal, Name::root()));
    let (mut out, mut sent) = (Vec::new(), VecDeque::new());
    // From a second on, so that the bucket is full.
    for now in (1_000_000..1_500_000).step_by(100) {
        while batch.poll_transmit(now, &mut out).is_some() {
            sent.push_back(now);
        }
    }
    let expected = 500 + BURST_MAX as usize;
    assert!((expected - 5..=expected + 5).contains(&sent.len()), "{}", sent.len());
}

#[test]
fn what_is_not_plain_is_handed_on() {
    let change = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut batch = Batch::new(config(1, 1), StdRng::seed_from_u64(1));
        batch.push(7, "some-name-with-letters.test".parse().unwrap());
        let mut out = Vec::new();
        let lane = batch.poll_transmit(0, &mut out).unwrap();
        out[2] |= 0x80;
        change(&mut out);
        batch.handle_datagram(1, lane, &out);
        batch.poll_done().map(|(ordinal, done)| {
            assert_eq!(ordinal, 7);
            done
        })
    };
    assert!(matches!(change(&|_| ()), Some(Done::Answer { .. })));
    assert!(matches!(change(&|w| w[2] |= 2), Some(Done::Escalate { tcp: true, .. })));
    let lower = |w: &mut Vec<u8>| w[12..40].make_ascii_lowercase();
    assert!(matches!(change(&lower), Some(Done::Escalate { tcp: true, .. })));
    assert!(matches!(change(&|w| w[3] |= 1), Some(Done::Escalate { tcp: false, .. })));
    for junk in [
        &(|w: &mut Vec<u8>| w[0] ^= 1) as &dyn Fn(&mut Vec<u8>),
        &|w| w[2] &= 0x7f,
        &|w| w[13] = b'x',
        &|w| w.truncate(11),
        &|w| w.push(0),
    ] {
        assert!(change(junk).is_none());
    }
}

#[test]
fn refusals_end_a_name_soon() {
    let mut batch = Batch::new(config(1, 1), StdRng::seed_from_u64(1));
    batch.push(0, Name::root());
    let (mut now, mut out) = (0, Vec::new());
    while batch.done_count() == 0 {
        if let Some(lane) = batch.poll_transmit(now, &mut out) {
            batch.handle_failure(now, lane, 111);
        }
        now = batch.next_deadline().unwrap_or(now).max(now);
        batch.handle_timeout(now);
    }
    assert!(matches!(batch.poll_done(), Some((0, Done::Failed { errno: 111 }))));
    assert!(now < 1_000_000, "{now}");
    assert!(Message::parse(out).is_err(), "several queries lie in one buffer");
}

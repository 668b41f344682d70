//! Key updates: both sides follow each other through loss and reordering, the old keys go in time,
//! and what belongs to no keys in use is counted.

#[path = "support/transport/mod.rs"]
mod support;

use netem::LinkConfig;
use support::meeting::Meeting;
use support::pipe::Pipe;
use udpcore::transport::{Config, DropReason, Micros, Security, SendOptions, Time};

fn config(packets_per_key: u64) -> Config {
    Config { packets_per_key, security: Security::secret(b"the keys change"), ..Config::default() }
}

fn unauthentic(meeting: &Meeting) -> u64 {
    meeting.server_drops().get(&DropReason::Unauthentic).copied().unwrap_or(0)
}

#[test]
fn both_sides_update_again_and_again_through_loss_and_reordering() {
    let link = LinkConfig {
        loss: "5%".parse().expect("a loss"),
        delay: "20ms 5ms".parse().expect("a delay"),
        reorder: "10%".parse().expect("a share"),
        ..LinkConfig::default()
    };
    let mut pipe = Pipe::protected(7, &link, &config(50));
    let sent: Vec<Vec<u8>> = (0..400_u32).map(|n| n.to_be_bytes().repeat(1250)).collect();
    let (mut received, mut next) = (Vec::new(), 0);
    let patience = Time(0) + Micros::from_secs(300);
    while received.len() < sent.len() {
        assert!(pipe.now() < patience, "{} arrived: {:?}", received.len(), pipe.stats());
        while next < sent.len() && pipe.stats().messages_pending < 50 {
            pipe.send(sent[next].clone(), SendOptions::default()).expect("room");
            next += 1;
        }
        pipe.step(patience);
        received.extend(std::iter::from_fn(|| pipe.recv()));
    }
    assert_eq!(received, sent);
    let (client, server) = (pipe.stats(), pipe.server_stats());
    // Each generation lives for three probe timeouts at least, a quarter of a second here.
    assert!(client.key_updates >= 10, "{client:?}");
    assert!(client.key_updates.abs_diff(server.key_updates) <= 1, "{server:?}");
    assert_eq!((client.dropped_other, server.dropped_other), (0, 0), "a packet found no keys");
}

#[test]
fn a_late_packet_opens_under_the_old_keys_until_they_are_dropped() {
    let mut meeting = Meeting::new(&config(20));
    let mut held = Vec::new();
    // Two packets under the first keys are held up on their way.
    for _ in 0..2 {
        meeting.send(b"held up".to_vec(), SendOptions::default());
        meeting.exchange_some(|datagram| {
            let first = held.len() < 2;
            if first {
                held.push(datagram.to_vec());
            }
            !first
        });
    }
    assert_eq!(held.len(), 2);
    assert_eq!(meeting.server_stats().key_updates, 0);
    while meeting.server_stats().key_updates == 0 {
        meeting.send(vec![1; 100], SendOptions::default());
        meeting.exchange(|_| {});
    }
    let (before, drops) = (meeting.server_stats(), unauthentic(&meeting));
    meeting.inject(&held[0]);
    assert_eq!(unauthentic(&meeting), drops, "the old keys are there");
    // Three probe timeouts later they are not.
    meeting.sleep((before.srtt + before.rttvar * 4 + Micros::from_ms(26)) * 3);
    meeting.inject(&held[1]);
    assert_eq!(unauthentic(&meeting), drops + 1, "the old keys are gone");
}

#[test]
fn keys_are_not_updated_before_the_old_ones_are_gone() {
    let mut meeting = Meeting::new(&config(1));
    for _ in 0..200 {
        meeting.send(vec![1; 100], SendOptions::default());
        meeting.exchange(|_| {});
    }
    // Two hundred rounds of 10 ms are 2 s; three probe timeouts are at least 81 ms.
    let updates = meeting.client_stats().key_updates;
    assert!((5..=25).contains(&updates), "{updates}");
    assert_eq!(meeting.received().len(), 200);
    assert_eq!((unauthentic(&meeting), meeting.client_stats().dropped_other), (0, 0));
}

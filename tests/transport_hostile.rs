//! Hostile traffic against an endpoint: floods, replays, damage, giants, endless fragments. What is
//! dropped is counted by reason, what is held is bounded, and honest peers get through.

#[path = "support/transport/mod.rs"]
mod support;

use std::net::SocketAddr;
use support::meeting::Meeting;
use udpcore::transport::{
    CloseReason, Config, ConnectionEvent, DropReason, Ecn, Endpoint, Micros, Mode, Outcome,
    SecretKey, Security, SendOptions, Time,
};

const SECOND: Micros = Micros::from_secs(1);

fn secret() -> Config {
    Config { security: Security::secret(b"correct horse battery staple"), ..Config::default() }
}

fn stranger(number: u64) -> SocketAddr {
    let [.., a, b, c] = number.to_be_bytes();
    SocketAddr::from(([10, a, b, c], 40_000 + (number % 20_000) as u16))
}

/// The first datagram of a client that nobody will hear from again.
fn init(number: u64, server: SocketAddr) -> Vec<u8> {
    let mut seed = [9; 32];
    seed[..8].copy_from_slice(&number.to_be_bytes());
    let mut client = Endpoint::new(Config::default(), false, seed).expect("valid");
    client.connect(Time(0), server);
    let mut out = Vec::new();
    client.poll_transmit(Time(0), 1, &mut out).expect("an INIT");
    out
}

#[test]
fn honest_clients_connect_under_a_flood_of_spoofed_handshakes() {
    const HONEST: u64 = 60;
    const SPOOFED_BETWEEN: u64 = 100;
    let home = SocketAddr::from(([192, 0, 2, 1], 1));
    let mut server = Endpoint::new(Config::default(), true, [1; 32]).expect("valid");
    let inits: Vec<_> = (0..200).map(|number| init(number, home)).collect();
    let mut connected = 0;
    let mut now = Time(0);
    let (mut spoofed, mut held) = (0_u64, 0);
    for honest in 0..HONEST {
        let mut client =
            Endpoint::new(Config::default(), false, [honest as u8 + 2; 32]).expect("valid");
        let away = SocketAddr::from(([198, 51, 100, honest as u8], 1000));
        client.connect(now, home);
        // Half a second: with the retry that is two round trips of nothing.
        for _ in 0..5 {
            for _ in 0..SPOOFED_BETWEEN / 5 {
                spoofed += 1;
                let mut packet = inits[(spoofed % 200) as usize].clone();
                let (from, len) = (stranger(spoofed), packet.len());
                server.handle_datagram(now, from, Ecn::NotEct, &mut packet);
                let mut out = Vec::new();
                while let Some(transmit) = server.poll_transmit(now, 1, &mut out) {
                    assert!(transmit.remote != from || out.len() <= 3 * len, "amplified");
                    if transmit.remote == away {
                        client.handle_datagram(now, home, Ecn::NotEct, &mut out);
                    }
                    out.clear();
                }
            }
            let mut out = Vec::new();
            while client.poll_transmit(now, 1, &mut out).is_some() {
                server.handle_datagram(now, away, Ecn::NotEct, &mut out);
                out.clear();
                while let Some(transmit) = server.poll_transmit(now, 1, &mut out) {
                    if transmit.remote == away {
                        client.handle_datagram(now, home, Ecn::NotEct, &mut out);
                    }
                    out.clear();
                }
            }
            now += Micros::from_ms(100);
            client.handle_timeout(now);
            server.handle_timeout(now);
        }
        let events = std::iter::from_fn(|| client.poll_event());
        connected += u64::from(events.into_iter().any(|(_, e)| e == ConnectionEvent::Connected));
        held = server.connections() as u64 - connected.min(server.connections() as u64);
        assert!(server.half_open() <= 64 + 1, "{} half open", server.half_open());
    }
    assert!(connected * 100 >= HONEST * 95, "{connected} of {HONEST} connected");
    assert_eq!(held, 0, "state is kept for spoofed sources at the end of the flood");
    eprintln!("{connected} of {HONEST} connected beside {spoofed} spoofed handshakes");
}

#[test]
fn answers_to_a_flood_leave_in_batches_and_are_bounded() {
    let home = SocketAddr::from(([192, 0, 2, 1], 1));
    let mut server = Endpoint::new(Config::default(), true, [1; 32]).expect("valid");
    let inits: Vec<_> = (0..80).map(|number| init(number, home)).collect();
    let arrive = |server: &mut Endpoint, number: usize, from| {
        server.handle_datagram(Time(0), from, Ecn::NotEct, &mut inits[number % 80].clone());
    };
    // As many half-open connections as there may be: from here on it is a flood.
    (0..64).for_each(|number| arrive(&mut server, number, stranger(number as u64)));
    let mut out = Vec::new();
    while server.poll_transmit(Time(0), 1, &mut out).is_some() {}
    let (one, other) = (stranger(1_000), stranger(1_001));
    (64..67).for_each(|number| arrive(&mut server, number, one));
    (67..70).for_each(|number| arrive(&mut server, number, other));
    let mut batch = |segments_max| {
        let mut out = Vec::new();
        let transmit = server.poll_transmit(Time(0), segments_max, &mut out)?;
        assert_eq!(out.len(), transmit.len);
        assert_eq!(out.len() % transmit.segment_len, 0);
        Some((transmit.remote, out.len() / transmit.segment_len))
    };
    assert_eq!(batch(64), Some((one, 3)));
    assert_eq!(batch(2), Some((other, 2)), "no more than asked for");
    assert_eq!(batch(64), Some((other, 1)));
    assert_eq!(batch(64), None);
    (0..5_000).for_each(|number| arrive(&mut server, number, stranger(2_000 + number as u64)));
    let answers = std::iter::from_fn(|| server.poll_transmit(Time(0), 1, &mut Vec::new())).count();
    let drops: u64 = server.dropped().map(|(_, count)| count).sum();
    assert_eq!((answers, drops), (1_024, 5_000 - 1_024));
}

#[test]
fn replayed_damaged_and_truncated_packets_are_counted_and_change_nothing() {
    let mut meeting = Meeting::new(&secret());
    let mut recorded = Vec::new();
    for number in 0..50_u32 {
        meeting.send(number.to_be_bytes().to_vec(), SendOptions::default());
        meeting.exchange(|datagram| recorded.push(datagram.to_vec()));
    }
    let received = meeting.received();
    assert_eq!(received.len(), 50);
    let before = meeting.server_drops();
    for datagram in &recorded {
        meeting.inject(datagram);
        let mut damaged = datagram.clone();
        let at = damaged.len() / 2;
        damaged[at] ^= 0x10;
        meeting.inject(&damaged);
        meeting.inject(&datagram[..datagram.len() - 3]);
        meeting.inject(&[&datagram[..], &[0; 60_000]].concat());
    }
    meeting.exchange(|_| {});
    assert_eq!(meeting.received(), Vec::<Vec<u8>>::new());
    let drops = meeting.server_drops();
    let count = |reason| drops.get(&reason).copied().unwrap_or(0);
    let short = recorded.iter().filter(|datagram| datagram[0] & 0x80 == 0).count() as u64;
    assert!(count(DropReason::Duplicate) >= short, "{drops:?} {before:?}");
    assert!(count(DropReason::Unauthentic) >= 3 * short, "{drops:?}");
    meeting.send(b"still here".to_vec(), SendOptions::default());
    meeting.exchange(|_| {});
    assert_eq!(meeting.received(), [b"still here"]);
}

#[test]
fn a_wrong_secret_is_counted_and_answered_with_silence() {
    let (home, away) = (stranger(1), stranger(2));
    let mut server = Endpoint::new(secret(), true, [1; 32]).expect("valid");
    let wrong = Config { security: Security::secret(b"wrong"), ..Config::default() };
    for (seed, config) in [(2, wrong), (3, Config::default())] {
        let mut client = Endpoint::new(config, false, [seed; 32]).expect("valid");
        client.connect(Time(0), home);
        let mut now = Time(0);
        let mut closed = None;
        while closed.is_none() && now < Time(0) + SECOND * 20 {
            let mut out = Vec::new();
            while client.poll_transmit(now, 1, &mut out).is_some() {
                server.handle_datagram(now, away, Ecn::NotEct, &mut out);
                out.clear();
                assert!(server.poll_transmit(now, 1, &mut out).is_none(), "not silent");
            }
            now = client.next_deadline().unwrap_or(now + SECOND);
            client.handle_timeout(now);
            closed = client.poll_event().map(|(_, event)| event);
        }
        let error = CloseReason::HandshakeTimeout;
        assert!(error.to_string().contains("wrong secret"), "{error}");
        assert_eq!(closed, Some(ConnectionEvent::Closed(error)));
    }
    let bad = server.dropped().find(|(reason, _)| *reason == DropReason::BadHandshake);
    assert!(bad.is_some_and(|(_, count)| count >= 4), "{bad:?}");
    assert_eq!((server.connections(), server.half_open()), (0, 0));
}

#[test]
fn a_peer_that_never_finishes_its_messages_holds_no_more_than_its_credit() {
    let window = 1 << 20;
    let config = Config {
        receive_window: window,
        channel_window: window,
        message_len_max: 1 << 19,
        ..Config::default()
    };
    let mut meeting = Meeting::new(&config);
    meeting.open(1, Mode::Unordered);
    // Ten times the window of messages, of which every second datagram never arrives.
    for _ in 0..40 {
        meeting.send(vec![7; 1 << 18], SendOptions { channel: 1, ..SendOptions::default() });
        let mut number = 0;
        for _ in 0..20 {
            meeting.exchange_some(|_| {
                number += 1;
                number % 2 == 0
            });
            let held = meeting.server_held();
            assert!(held <= window, "{held} bytes held");
            meeting.sleep(Micros::from_ms(10));
        }
    }
}

#[test]
fn a_server_that_forgot_resets_and_the_client_knows_at_once() {
    let mut meeting = Meeting::new(&secret());
    meeting.send(b"hello".to_vec(), SendOptions::default());
    meeting.exchange(|_| {});
    meeting.forget_server_side();
    let receipt = meeting.send(vec![0; 500], SendOptions::default());
    meeting.exchange(|_| {});
    assert_eq!(meeting.client_closed(), Some(CloseReason::Reset));
    assert_eq!(meeting.outcome(receipt), Outcome::Lost);
}

#[test]
fn a_keep_alive_is_long_enough_to_be_answered_with_a_reset() {
    let security = Security::anonymous().with_own_key(SecretKey([7; 32]));
    let config = Config { security, keep_alive: SECOND, ..Config::default() };
    let mut meeting = Meeting::new(&config);
    meeting.send(b"hello".to_vec(), SendOptions::default());
    meeting.exchange(|_| {});
    meeting.forget_server_side();
    meeting.sleep(SECOND * 2);
    meeting.exchange(|_| {});
    assert_eq!(meeting.client_closed(), Some(CloseReason::Reset));
}

#[test]
fn silence_ends_a_connection_and_keep_alive_prevents_it() {
    for (keep_alive, lives) in [(Micros::ZERO, false), (SECOND * 5, true)] {
        let mut meeting = Meeting::new(&Config { keep_alive, ..secret() });
        meeting.send(b"hello".to_vec(), SendOptions::default());
        for _ in 0..120 {
            meeting.exchange(|_| {});
            meeting.sleep(SECOND);
        }
        let expected = (!lives).then_some(CloseReason::IdleTimeout);
        assert_eq!(meeting.client_closed(), expected);
    }
}

#[test]
fn a_new_address_loses_nothing_and_is_proved_before_it_gets_much() {
    let mut meeting = Meeting::new(&secret());
    let sent: Vec<Vec<u8>> = (0..200_u32).map(|n| n.to_be_bytes().repeat(100)).collect();
    for (number, message) in sent.iter().enumerate() {
        meeting.send(message.clone(), SendOptions::default());
        if number % 40 == 20 {
            // What is on its way to the old address is lost.
            meeting.move_client(stranger(number as u64));
        }
        meeting.exchange(|_| {});
        meeting.sleep(Micros::from_ms(20));
    }
    for _ in 0..50 {
        meeting.exchange(|_| {});
        meeting.sleep(Micros::from_ms(100));
    }
    assert_eq!(meeting.received(), sent);
    assert_eq!(meeting.server_stats().migrations, 5);
}

#[test]
fn marks_of_congestion_reduce_the_window() {
    let mut meeting = Meeting::new(&secret());
    for _ in 0..20 {
        meeting.send(vec![1; 20_000], SendOptions::default());
        meeting.exchange(|_| {});
        meeting.sleep(Micros::from_ms(10));
    }
    let before = meeting.client_stats();
    assert_eq!(before.congestion_events, 0);
    meeting.mark(Ecn::Ce);
    meeting.send(vec![1; 20_000], SendOptions::default());
    meeting.exchange(|_| {});
    meeting.sleep(Micros::from_ms(10));
    meeting.exchange(|_| {});
    let after = meeting.client_stats();
    assert_eq!((after.congestion_events, after.packets_lost), (1, 0));
    assert!(after.cwnd < before.cwnd);
}

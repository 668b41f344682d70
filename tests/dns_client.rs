//! The resolver machine in virtual time: whom it asks, when, and whom it believes.

use rand::{SeedableRng, rngs::StdRng};
use std::net::SocketAddr;
use udpcore::dns::client::{Client, Config, Ignored, Outcome, Transmit, Via};
use udpcore::dns::message::Message;
use udpcore::dns::query::Query;
use udpcore::dns::rtt::Rtt;

const TIMEOUT_US: u64 = 1_000_000;

fn server(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 53))
}

fn client(servers: u8, retries: u32) -> Client<StdRng> {
    Client::new(config(servers, retries), StdRng::seed_from_u64(7))
}

fn config(servers: u8, retries: u32) -> Config {
    let query = Query::new("www.example.test".parse().unwrap(), "A".parse().unwrap());
    Config {
        query,
        servers: (1..=servers).map(server).collect(),
        timeout_us: TIMEOUT_US,
        retries,
        tcp: false,
        ignore_truncation: false,
        mix_case: true,
        cookies: Vec::new(),
        lifetime_us: None,
        rtts: Vec::new(),
    }
}

/// The query turned into an answer with `flags`, no records, the OPT kept.
fn answer(transmit: &Transmit, flags: [u8; 2]) -> Vec<u8> {
    let mut wire = transmit.payload.clone();
    wire[2..4].copy_from_slice(&flags);
    wire
}

const GOOD: [u8; 2] = [0x81, 0x80];
const TRUNCATED: [u8; 2] = [0x83, 0x80];
const SERVFAIL: [u8; 2] = [0x81, 0x82];

#[test]
fn tries_are_spread_over_servers_and_time() {
    let mut client = client(2, 3);
    let mut now = 0;
    let mut asked = Vec::new();
    while client.outcome().is_none() {
        while let Some(transmit) = client.poll_transmit(now) {
            asked.push((now, transmit.server));
        }
        let Some(deadline) = client.next_deadline() else { break };
        now = deadline;
        client.handle_timeout(now);
    }
    let seconds = |n: u64| n * TIMEOUT_US;
    assert_eq!(
        asked,
        [(0, server(1)), (seconds(1), server(2)), (seconds(2), server(1)), (seconds(3), server(2))]
    );
    assert!(matches!(client.into_outcome(), Some(Outcome::TimedOut)));
}

/// When each try is made by a client that nobody answers, and when it gives up; in µs.
fn times(config: Config) -> (Vec<u64>, u64) {
    let mut client = Client::new(config, StdRng::seed_from_u64(7));
    let (mut now, mut asked) = (0, Vec::new());
    while client.outcome().is_none() {
        while client.poll_transmit(now).is_some() {
            asked.push(now);
        }
        now = client.next_deadline().unwrap();
        client.handle_timeout(now);
    }
    (asked, now)
}

#[test]
fn the_time_of_all_tries_has_an_end() {
    let lifetime_us = Some(2 * TIMEOUT_US + 500);
    let (asked, end) = times(Config { lifetime_us, ..config(1, 5) });
    assert_eq!((asked, end), (vec![0, TIMEOUT_US, 2 * TIMEOUT_US], 2 * TIMEOUT_US + 500));
    let (asked, end) = times(Config { lifetime_us: Some(7), ..config(2, 5) });
    assert_eq!((asked, end), (vec![0], 7));
}

#[test]
fn a_known_round_trip_is_tried_again_sooner_and_waited_for_as_long() {
    let mut near = Rtt::default();
    (0..50).for_each(|_| near.sample(100));
    // The least wait is 50 ms, doubled each time; the last try takes what is left.
    let (asked, end) = times(Config { rtts: vec![near], ..config(1, 3) });
    assert_eq!((asked, end), (vec![0, 50_000, 150_000, 350_000], 4 * TIMEOUT_US));
    let mut far = Rtt::default();
    (0..50).for_each(|_| far.sample(5_000_000));
    let (asked, _) = times(Config { rtts: vec![far], ..config(1, 2) });
    assert_eq!(asked, vec![0, TIMEOUT_US, 2 * TIMEOUT_US]);
}

#[test]
fn every_try_has_its_own_id_and_case() {
    let mut client = client(1, 8);
    let mut payloads = Vec::new();
    for round in 0..9 {
        payloads.push(client.poll_transmit(round * TIMEOUT_US).unwrap().payload);
        client.handle_timeout((round + 1) * TIMEOUT_US);
    }
    for (index, payload) in payloads.iter().enumerate() {
        assert!(payloads[..index].iter().all(|other| other[..2] != payload[..2]));
        assert!(payloads[..index].iter().all(|other| other[12..29] != payload[12..29]));
        assert!(
            payload[12..29].eq_ignore_ascii_case(b"\x03www\x07example\x04test\0"[..17].as_ref())
        );
    }
}

#[test]
fn an_answer_must_fit_in_everything() {
    let mut client = client(1, 0);
    let sent = client.poll_transmit(0).unwrap();
    let good = answer(&sent, GOOD);
    let mut check = |source, change: &dyn Fn(&mut Vec<u8>)| {
        let mut wire = good.clone();
        change(&mut wire);
        client.handle_datagram(1, sent.attempt, source, &wire)
    };
    assert_eq!(check(server(2), &|_| ()), Err(Ignored::Source));
    assert_eq!(check(SocketAddr::from(([192, 0, 2, 1], 54)), &|_| ()), Err(Ignored::Source));
    assert_eq!(check(server(1), &|w| w.truncate(3)), Err(Ignored::Malformed));
    assert_eq!(check(server(1), &|w| w[2] &= 0x7f), Err(Ignored::NotResponse));
    assert_eq!(check(server(1), &|w| w[2] |= 0x28), Err(Ignored::NotResponse));
    assert_eq!(check(server(1), &|w| w[0] ^= 1), Err(Ignored::Id));
    assert_eq!(check(server(1), &|w| w[13] = b'x'), Err(Ignored::Question));
    assert_eq!(check(server(1), &|w| w[31] = 28), Err(Ignored::Question));
    assert_eq!(check(server(1), &|w| w.push(0)), Err(Ignored::Malformed));
    assert_eq!(client.ignored().iter().sum::<u32>(), 9);
    assert!(client.outcome().is_none());
    client.handle_datagram(5, sent.attempt, server(1), &good).unwrap();
    let Some(Outcome::Answer { message, rtt_us, .. }) = client.into_outcome() else {
        panic!("no answer")
    };
    assert_eq!(rtt_us, 5);
    // The case is that of the caller again.
    assert_eq!(message.questions().next().unwrap().name.to_string(), "www.example.test.");
}

#[test]
fn truncation_leads_to_tcp_and_back() {
    let mut client = client(1, 1);
    let udp = client.poll_transmit(0).unwrap();
    client.handle_datagram(1, udp.attempt, server(1), &answer(&udp, TRUNCATED)).unwrap();
    let tcp = client.poll_transmit(2).unwrap();
    assert_eq!(tcp.via, Via::Tcp);
    assert_ne!(tcp.payload[..2], udp.payload[..2]);
    // TCP fails: the one retry begins with UDP again, and is answered.
    client.handle_failure(tcp.attempt, 111);
    let again = client.poll_transmit(3).unwrap();
    assert_eq!(again.via, Via::Udp);
    client.handle_datagram(4, again.attempt, server(1), &answer(&again, GOOD)).unwrap();
    assert!(matches!(client.outcome(), Some(Outcome::Answer { via: Via::Udp, .. })));
}

#[test]
fn a_truncated_answer_that_is_cut_in_a_record_is_fetched_too() {
    let mut client = client(1, 0);
    let udp = client.poll_transmit(0).unwrap();
    let mut wire = answer(&udp, TRUNCATED);
    wire[7] = 9;
    client.handle_datagram(1, udp.attempt, server(1), &wire).unwrap();
    let tcp = client.poll_transmit(1).unwrap();
    client.handle_stream_message(2, tcp.attempt, &answer(&tcp, GOOD));
    assert!(matches!(client.outcome(), Some(Outcome::Answer { via: Via::Tcp, .. })));
}

#[test]
fn a_refusal_is_kept_while_another_server_is_asked() {
    let mut client = client(2, 1);
    let first = client.poll_transmit(0).unwrap();
    client.handle_datagram(1, first.attempt, server(1), &answer(&first, SERVFAIL)).unwrap();
    let second = client.poll_transmit(1).unwrap();
    assert_eq!(second.server, server(2));
    client.handle_timeout(1 + TIMEOUT_US);
    match client.into_outcome() {
        Some(Outcome::Answer { server: from, message, .. }) => {
            assert_eq!((from, message.rcode().to_string()), (server(1), "SERVFAIL".to_owned()));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn refused_everywhere_is_a_failure_and_at_once() {
    let mut client = client(2, 3);
    for _ in 0..4 {
        let sent = client.poll_transmit(0).unwrap();
        client.handle_failure(sent.attempt, 111);
    }
    assert!(client.poll_transmit(0).is_none());
    assert!(matches!(client.into_outcome(), Some(Outcome::Failed { errno: 111, .. })));
}

#[test]
fn a_server_without_edns_is_asked_without() {
    let mut client = client(1, 0);
    let first = client.poll_transmit(0).unwrap();
    assert!(Message::parse(first.payload.clone()).unwrap().edns().is_some());
    let mut bare = first.payload[..12].to_vec();
    bare[2..].copy_from_slice(&[0x81, 0x81, 0, 0, 0, 0, 0, 0, 0, 0]);
    client.handle_datagram(1, first.attempt, server(1), &bare).unwrap();
    let second = client.poll_transmit(1).unwrap();
    assert!(Message::parse(second.payload).unwrap().edns().is_none());
    // The same again is now the answer.
    bare[..2].copy_from_slice(&client_id(&mut client, second.attempt));
    client.handle_datagram(2, second.attempt, server(1), &bare).unwrap();
    assert!(matches!(client.outcome(), Some(Outcome::Answer { .. })));
}

/// The id of an attempt, found the way a guesser would: by trying all.
fn client_id(client: &mut Client<StdRng>, attempt: usize) -> [u8; 2] {
    let mut wire = [0, 0, 0x81, 0x80, 0, 0, 0, 0, 0, 0, 0, 0];
    for id in 0..=u16::MAX {
        wire[..2].copy_from_slice(&id.to_be_bytes());
        if client.handle_datagram(2, attempt, server(1), &wire) == Err(Ignored::Question) {
            return id.to_be_bytes();
        }
    }
    panic!("no id fits")
}

/// `answer` with an OPT whose only option is this cookie.
fn with_cookie(transmit: &Transmit, cookie: &[u8], rcode: u16) -> Vec<u8> {
    let query = Message::parse(transmit.payload.clone()).unwrap();
    let opt_at = query.wire().len() - 11 - query.edns().unwrap().options.len();
    let mut wire = answer(transmit, [0x81, 0x80 | (rcode & 15) as u8])[..opt_at].to_vec();
    wire.extend_from_slice(&[0, 0, 41, 4, 208, (rcode >> 4) as u8, 0, 0, 0]);
    wire.extend_from_slice(&(cookie.len() as u16 + 4).to_be_bytes());
    wire.extend_from_slice(&[0, 10, 0, cookie.len() as u8]);
    wire.extend_from_slice(cookie);
    wire
}

fn sent_cookie(transmit: &Transmit) -> Vec<u8> {
    let query = Message::parse(transmit.payload.clone()).unwrap();
    let options = query.edns().unwrap().options;
    udpcore::dns::value::pairs(options).find(|(code, _)| *code == 10).unwrap().1.to_vec()
}

#[test]
fn a_cookie_must_come_back_and_is_kept() {
    let mut client = client_with_cookie();
    let sent = client.poll_transmit(0).unwrap();
    let ours = sent_cookie(&sent);
    assert_eq!(ours.len(), 8);
    let wrong = with_cookie(&sent, &[7; 16], 0);
    assert_eq!(client.handle_datagram(1, 0, server(1), &wrong), Err(Ignored::Cookie));
    // BADCOOKIE brings the server's own, which goes back to it.
    let both = [&ours[..], &[9; 8]].concat();
    client.handle_datagram(2, 0, server(1), &with_cookie(&sent, &both, 23)).unwrap();
    let again = client.poll_transmit(3).unwrap();
    assert_eq!((again.via, sent_cookie(&again)), (Via::Udp, both.clone()));
    // From now on an answer without a cookie is believed over TCP only.
    let bare = with_cookie(&again, &ours, 0)[..again.payload.len() - 31].to_vec();
    let mut bare = bare;
    bare[11] = 0;
    assert_eq!(client.handle_datagram(4, 1, server(1), &bare), Err(Ignored::Cookie));
    let tcp = client.poll_transmit(5).unwrap();
    assert_eq!(tcp.via, Via::Tcp);
    client.handle_datagram(6, 1, server(1), &with_cookie(&again, &both, 0)).unwrap();
    assert!(matches!(client.outcome(), Some(Outcome::Answer { via: Via::Udp, .. })));
    assert_eq!(client.cookie(0).unwrap().option(), both);
}

fn client_with_cookie() -> Client<StdRng> {
    let mut random = StdRng::seed_from_u64(3);
    let mut config = config(1, 0);
    config.cookies = vec![udpcore::dns::cookie::Cookie::draw(&mut random)];
    Client::new(config, random)
}

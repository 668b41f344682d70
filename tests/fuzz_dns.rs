//! DNS parsers under arbitrary bytes: no panic, no endless walk, and what was read is written.
//!
//! `check_*` functions are what a fuzzer calls; here they run over the committed corpus and over
//! 100,000 seeded mutations of it. A failure prints the round; the seed is fixed.

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use std::net::SocketAddr;
use udpcore::dns::answer;
use udpcore::dns::authority::{Transport, respond};
use udpcore::dns::client::{Client, Config, Outcome, Via};
use udpcore::dns::compose::compose;
use udpcore::dns::frame::Deframer;
use udpcore::dns::query::Query;
use udpcore::dns::zone::Zone;
use udpcore::dns::{Message, Name, RdType};

const SEED: u64 = 0x0d05;
const ROUNDS: u32 = 100_000;

/// Reads a message, shows it, writes it, reads that.
pub fn check_message(wire: &[u8]) {
    let message = match Message::parse(wire) {
        Ok(message) => message,
        Err(error) => return assert!(error.offset <= wire.len(), "{error}"),
    };
    let text = message.to_string();
    assert!(text.starts_with(";; ->>HEADER<<-"));
    for question in message.questions() {
        let name: Name = question.name.to_string().parse().expect("the text of a name is a name");
        assert_eq!(name, Name::from(question.name));
        let _ = answer::read(&message, &name, question.rdtype);
    }
    // Without compression where it is not allowed, a message can become too long.
    let Ok(again) = compose(&message) else { return };
    let reread = Message::parse(again.clone()).expect("what was composed can be parsed");
    assert_eq!(reread.to_string(), text);
    assert_eq!(compose(&reread).as_deref(), Ok(&again[..]));
}

/// Gives a resolver datagrams that an attacker made: it ends, and believes only the question.
pub fn check_client(wire: &[u8]) {
    let server = SocketAddr::from(([192, 0, 2, 1], 53));
    let name: Name = "www.example.test".parse().unwrap();
    let config = Config {
        query: Query::new(name.clone(), RdType::A),
        servers: vec![server],
        timeout_us: 1000,
        retries: 3,
        tcp: false,
        ignore_truncation: false,
        mix_case: true,
        cookies: Vec::new(),
    };
    let mut client = Client::new(config, StdRng::seed_from_u64(1));
    let mut now = 0;
    for _ in 0..200 {
        while let Some(transmit) = client.poll_transmit(now) {
            let mut reply = wire.to_vec();
            // A guess of the id and, every second time, of the question.
            let take = if transmit.attempt % 2 == 0 { 2 } else { transmit.payload.len().min(34) };
            let take = take.min(reply.len());
            reply[..take].copy_from_slice(&transmit.payload[..take]);
            if take > 2 {
                reply[2] |= 0x80;
            }
            match transmit.via {
                Via::Udp => {
                    let _ = client.handle_datagram(now, transmit.attempt, server, &reply);
                }
                Via::Tcp => client.handle_stream_message(now, transmit.attempt, &reply),
            }
        }
        let Some(deadline) = client.next_deadline() else { break };
        now = deadline;
        client.handle_timeout(now);
    }
    match client.into_outcome().expect("the machine ends") {
        Outcome::Answer { message, .. } => {
            assert!(message.questions().all(|question| Name::from(question.name) == name));
        }
        Outcome::TimedOut | Outcome::Malformed(_) | Outcome::Failed { .. } => {}
    }
}

/// A stream cut anywhere gives the same messages.
pub fn check_frames(stream: &[u8]) {
    let collect = |step: usize| {
        let (mut deframer, mut out) = (Deframer::default(), Vec::new());
        for piece in stream.chunks(step.max(1)) {
            deframer.push(piece);
            while let Some(message) = deframer.pop() {
                out.push(message);
            }
        }
        out
    };
    assert_eq!(collect(1), collect(stream.len()));
}

fn corpus() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/corpus/dns_message");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 10, "the corpus is missing");
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn mutate(wire: &mut Vec<u8>, other: &[u8], random: &mut StdRng) {
    for _ in 0..random.random_range(1..6) {
        if wire.is_empty() {
            return;
        }
        let at = random.random_range(0..wire.len());
        match random.random_range(0..8) {
            0 => wire[at] = random.next_u32() as u8,
            1 => wire[at] ^= 1 << random.random_range(0..8),
            2 => wire.truncate(at),
            3 => wire[at] = 0xc0 | (wire[at] & 3),
            4 => wire.insert(at, random.next_u32() as u8),
            5 => drop(wire.remove(at)),
            6 => wire[at] = [0, 1, 0x3f, 0x40, 0x7f, 0xff][random.random_range(0..6)],
            _ => {
                let from = random.random_range(0..=other.len());
                wire.splice(at.., other[from..].iter().copied());
            }
        }
    }
}

#[test]
fn the_corpus_and_its_mutations() {
    let corpus = corpus();
    corpus.iter().for_each(|wire| {
        assert!(Message::parse(wire.clone()).is_ok(), "the corpus is of good messages");
        check_message(wire);
        check_client(wire);
    });
    let mut random = StdRng::seed_from_u64(SEED);
    let mut parsed = 0;
    for round in 0..ROUNDS {
        let pick = |random: &mut StdRng| corpus[random.random_range(0..corpus.len())].clone();
        let (mut wire, other) = (pick(&mut random), pick(&mut random));
        mutate(&mut wire, &other, &mut random);
        let outcome = std::panic::catch_unwind(|| {
            check_message(&wire);
            check_client(&wire);
            check_frames(&wire);
        });
        assert!(outcome.is_ok(), "seed {SEED:#x}, round {round}, bytes {wire:02x?}");
        parsed += u32::from(Message::parse(wire).is_ok());
    }
    // A mutator whose output is always refused would test little.
    assert!(parsed > ROUNDS / 50, "{parsed} of {ROUNDS} could be parsed");
}

/// Gives a server queries that an attacker made: it answers what it should, in bounds.
pub fn check_server(zone: &Zone, wire: &[u8]) {
    for (transport, room) in [(Transport::Udp, 1232), (Transport::Tcp, 65_535)] {
        let Some(reply) = respond(zone, wire, transport) else { continue };
        assert!(reply.len() <= room && reply[..2] == wire[..2] && reply[2] & 0x80 != 0);
        assert!(Message::parse(reply.clone()).is_ok());
        // A response is never answered.
        assert_eq!(respond(zone, &reply, transport), None);
    }
}

#[test]
fn queries_and_their_mutations() {
    let text = "$TTL 60\n@ SOA ns me 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n*.wild TXT x\n\
                a CNAME b\nb CNAME a\ntree DNAME b.tree\nsub NS ns.sub\nns.sub A 192.0.2.2\n";
    let zone = Zone::parse(text, &"example.test".parse().unwrap()).unwrap();
    let mut random = StdRng::seed_from_u64(SEED);
    let corpus = corpus();
    let hosts = ["@", "ns", "a", "b", "x.tree", "y.wild", "sub", "z.ns.sub", "nope"];
    for round in 0..ROUNDS {
        let host = hosts[random.random_range(0..hosts.len())];
        let name =
            format!("{}example.test", host.replace('@', "") + if host == "@" { "" } else { "." });
        let rdtype = RdType([1, 2, 5, 6, 16, 28, 39, 43, 255][random.random_range(0..9)]);
        let mut wire = Query::new(name.parse().unwrap(), rdtype).compose(round as u16);
        if round % 2 == 1 {
            mutate(&mut wire, &corpus[round as usize % corpus.len()], &mut random);
        }
        let outcome = std::panic::catch_unwind(|| check_server(&zone, &wire));
        assert!(outcome.is_ok(), "seed {SEED:#x}, round {round}, bytes {wire:02x?}");
    }
}

//! DNS parsers under arbitrary bytes: no panic, no endless walk, and what was read is written.
//!
//! The checks run over the committed corpus and over seeded mutations of it.

mod support;

use rand::{SeedableRng, rngs::StdRng};
use std::net::SocketAddr;
use support::fuzz::{Mutations, cases};
use udpcore::dns::answer;
use udpcore::dns::authority::{Transport, respond};
use udpcore::dns::batch::{Batch, BatchConfig, Done};
use udpcore::dns::client::{Client, Config, Outcome, Via};
use udpcore::dns::compose::compose;
use udpcore::dns::frame::Deframer;
use udpcore::dns::http::{HttpError, Responses};
use udpcore::dns::pipeline::Pipeline;
use udpcore::dns::query::Query;
use udpcore::dns::zone::Zone;
use udpcore::dns::{Message, Name, RdType};

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
        lifetime_us: None,
        rtts: Vec::new(),
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

/// The same for the machine that asks for many names: each comes back once, with an answer to the
/// question it stands for.
pub fn check_batch(wire: &[u8]) {
    let config = BatchConfig {
        query: Query::new(Name::root(), RdType::A),
        servers: vec![SocketAddr::from(([192, 0, 2, 1], 53))],
        concurrency: 2,
        timeout_us: 2_000_000,
        rate: None,
        mix_case: true,
    };
    let mut batch = Batch::new(config, StdRng::seed_from_u64(1));
    for ordinal in 0..2 {
        batch.push(ordinal, format!("www{ordinal}.example.test").parse().unwrap());
    }
    let (mut now, mut sent, mut query, mut ended) = (0, 0, Vec::new(), Vec::new());
    while ended.len() < 2 {
        while let Some(lane) = batch.poll_transmit(now, &mut query) {
            let mut reply = wire.to_vec();
            // A guess of the id and, every second time, of the question.
            let take = if sent % 2 == 0 { 2 } else { query.len().min(35) }.min(reply.len());
            reply[..take].copy_from_slice(&query[..take]);
            if take > 2 {
                reply[2] |= 0x80;
            }
            batch.handle_datagram(now, lane, &reply);
            query.clear();
            sent += 1;
            assert!(sent < 100, "it goes on asking");
        }
        while let Some((ordinal, done)) = batch.poll_done() {
            if let Done::Answer { message, name } = done {
                assert!(message.questions().all(|question| Name::from(question.name) == name));
            }
            ended.push(ordinal);
        }
        let Some(deadline) = batch.next_deadline() else { break };
        now = now.max(deadline);
        batch.handle_timeout(now);
    }
    ended.sort_unstable();
    assert_eq!(ended, [0, 1]);
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

/// HTTP cut anywhere gives the same bodies, or the same refusal.
pub fn check_http(stream: &[u8]) {
    let collect = |step: usize| -> (Vec<Vec<u8>>, Option<HttpError>) {
        let (mut responses, mut out) = (Responses::default(), Vec::new());
        for piece in stream.chunks(step.max(1)) {
            responses.push(piece);
            loop {
                match responses.pop() {
                    Ok(Some(body)) => out.push(body),
                    Ok(None) => break,
                    Err(error) => return (out, Some(error)),
                }
            }
        }
        (out, None)
    };
    let (whole, pieces) = (collect(stream.len()), collect(7));
    assert_eq!(whole.0, pieces.0);
    assert_eq!(whole.1.is_some(), pieces.1.is_some());
}

/// A connection takes nothing for an answer but what fits its question.
pub fn check_pipeline(wire: &[u8]) {
    let name: Name = "www.example.test".parse().unwrap();
    let queries = vec![Query::new(name.clone(), RdType::A); 3];
    let mut pipeline = Pipeline::new(queries, 3, false, true);
    while pipeline.poll_query(&mut StdRng::seed_from_u64(1)).is_some() {
        let mut reply = wire.to_vec();
        if let Some(id) = reply.get_mut(..2) {
            id.fill(0);
        }
        if pipeline.handle_message(reply).is_err() {
            break;
        }
    }
    for message in pipeline.into_answers().into_iter().flatten() {
        assert!(message.questions().all(|question| Name::from(question.name) == name));
    }
}

#[test]
fn the_corpus_and_its_mutations() {
    let mut mutations = Mutations::of("dns_message");
    assert!(mutations.corpus().len() >= 10, "the corpus is missing");
    mutations.corpus().iter().for_each(|wire| {
        assert!(Message::parse(wire.clone()).is_ok(), "the corpus is of good messages");
        check_message(wire);
        check_client(wire);
        check_batch(wire);
    });
    let mut parsed = 0;
    for _ in 0..cases() {
        let wire = mutations.draw();
        mutations.attempt(&wire, || {
            check_message(&wire);
            check_client(&wire);
            check_batch(&wire);
            check_frames(&wire);
            check_pipeline(&wire);
        });
        parsed += u64::from(Message::parse(wire).is_ok());
    }
    // A mutator whose output is always refused would test little.
    assert!(parsed > cases() / 50, "{parsed} of {} could be parsed", cases());
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
    let mut mutations = Mutations::of("dns_message");
    let hosts = ["@", "ns", "a", "b", "x.tree", "y.wild", "sub", "z.ns.sub", "nope"];
    let types = [1, 2, 5, 6, 16, 28, 39, 43, 255];
    for round in 0..cases() {
        let host = hosts[mutations.rng().below(hosts.len() as u64) as usize];
        let name =
            format!("{}example.test", host.replace('@', "") + if host == "@" { "" } else { "." });
        let rdtype = RdType(types[mutations.rng().below(types.len() as u64) as usize]);
        let mut wire = Query::new(name.parse().unwrap(), rdtype).compose(round as u16);
        if round % 2 == 1 {
            wire = mutations.change(wire);
        }
        mutations.attempt(&wire, || check_server(&zone, &wire));
    }
}

#[test]
fn responses_in_http_and_their_mutations() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\n";
    let interim = "HTTP/1.1 100 Continue\r\n\r\n";
    let mut mutations = Mutations::of("dns_message");
    for round in 0..cases() {
        let body = mutations.draw();
        let body = &body[..body.len().min(200)];
        let mut stream = if round % 2 == 0 {
            format!("{interim}{head}Content-Length: {}\r\n\r\n", body.len()).into_bytes()
        } else {
            format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", body.len()).into_bytes()
        };
        stream.extend_from_slice(body);
        if round % 2 == 1 {
            stream.extend_from_slice(b"\r\n0\r\n\r\n");
        }
        stream = mutations.change(stream);
        mutations.attempt(&stream, || check_http(&stream));
    }
}

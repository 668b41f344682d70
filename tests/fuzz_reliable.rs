//! The parsers of the reliable formats on the corpus and on seeded mutations: nothing panics,
//! what parses composes to the same bytes, an error lies inside the datagram, and the machines
//! account for every datagram.

mod support;

use std::net::SocketAddr;

use support::fuzz::corpus_and_mutations;
use udpcore::arq::ack::{AckConfig, AckEndpoint};
use udpcore::arq::sequence::SequenceDetector;
use udpcore::flow::time::Micros;
use udpcore::wire::ack::AckDatagram;
use udpcore::wire::sequence::SequencedText;

fn check_ack(datagram: &[u8]) {
    match AckDatagram::parse(datagram) {
        Ok(parsed) => assert_eq!(parsed.compose(), datagram),
        Err(error) => assert!(error.offset <= datagram.len()),
    }
}

fn check_sequence(datagram: &[u8]) {
    match SequencedText::parse(datagram) {
        Ok(parsed) => assert_eq!(parsed.compose(), datagram),
        Err(error) => assert!(error.offset <= datagram.len()),
    }
}

fn peer(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n % 3], 1))
}

#[test]
fn ack_datagrams() {
    corpus_and_mutations("ack", check_ack);
}

#[test]
fn sequence_datagrams() {
    corpus_and_mutations("sequence", check_sequence);
}

#[test]
fn an_endpoint_accounts_for_every_datagram() {
    let mut endpoint = AckEndpoint::new(AckConfig { max_queued: 100, ..AckConfig::default() });
    let mut count = 0;
    corpus_and_mutations("ack", |datagram| {
        count += 1;
        endpoint.handle_datagram(Micros::new(count), peer(count as u8), datagram);
        if count % 5 == 0 {
            endpoint.receive();
        }
        while endpoint.poll_transmit().is_some() {}
        assert!(endpoint.queued() <= 100);
        assert_eq!(endpoint.stats().datagrams(), count);
    });
}

#[test]
fn a_detector_accounts_for_every_datagram() {
    let mut detector = SequenceDetector::new();
    let mut count = 0;
    corpus_and_mutations("sequence", |datagram| {
        count += 1;
        let _ = detector.handle_datagram(Micros::new(count), peer(count as u8), datagram);
        let stats = detector.stats();
        assert_eq!(stats.received + stats.duplicates + detector.malformed(), count);
        let peers: u64 = detector.peers().map(|(_, peer)| peer.stats().lost).sum();
        assert_eq!(peers, stats.lost);
    });
}

//! The FEC parser and the machines above it on the corpus and on seeded mutations: nothing
//! panics, what parses composes to the same bytes, memory stays accounted for.

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use support::fuzz::corpus_and_mutations;
use udpcore::fec::block::BlockCode;
use udpcore::fec::sliding_decoder::SlidingDecoder;
use udpcore::fec::transfer::TransferReceiver;
use udpcore::wire::fec::FecDatagram;
use udpcore::wire::rlc::RlcRepair;
use udpcore::wire::serial::Serial;

#[test]
fn fec_datagrams() {
    corpus_and_mutations("fec", |datagram| match FecDatagram::parse(datagram) {
        Ok(parsed) => assert_eq!(parsed.compose(), datagram),
        Err(error) => assert!(error.offset <= datagram.len()),
    });
}

#[test]
fn a_receiver_survives_anything() {
    let mut receiver = TransferReceiver::new();
    let mut count = 0;
    corpus_and_mutations("fec", |datagram| {
        count += 1;
        let from = SocketAddr::from(([10, 0, 0, (count % 5) as u8], 1));
        let now = Duration::from_millis(count);
        let _ = receiver.handle_datagram(now, from, datagram);
        if receiver.poll_timeout().is_some_and(|due| due <= now) {
            assert!(receiver.handle_timeout(now).is_some());
        }
        assert_eq!(receiver.stats().datagrams, count);
        assert!(receiver.bytes() < 1 << 20);
    });
}

#[test]
fn a_block_code_survives_any_repair_chunk() {
    let code = BlockCode::new(2, 2).unwrap();
    corpus_and_mutations("fec", |chunk| {
        for chunks in [[(0, &b"abc"[..]), (2, chunk)], [(3, chunk), (2, chunk)]] {
            if let Ok(whole) = code.decode(&chunks) {
                assert!(whole.iter().all(|part| part.len() <= chunk.len()));
            }
        }
    });
}

#[test]
fn sliding_window_repairs() {
    let mut decoder = SlidingDecoder::new(24).unwrap();
    let mut count = 0_u32;
    corpus_and_mutations("rlc", |datagram| {
        match RlcRepair::parse(datagram) {
            Ok(parsed) => assert_eq!(parsed.compose(), datagram),
            Err(error) => assert!(error.offset <= datagram.len()),
        }
        count += 1;
        if count.is_multiple_of(5) {
            decoder.handle_source(Serial::new(count / 500), datagram).unwrap();
        }
        let _ = decoder.handle_repair(datagram);
        let (known, rows) = decoder.remembered();
        assert!(known <= 24 && rows <= 24, "{known} known, {rows} rows");
    });
}

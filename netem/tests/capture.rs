//! A relay that captures: the file holds what the counters say, both sides, and every reason.

use std::net::UdpSocket;
use std::time::Duration;

use netem::DropReason;
use netem::relay::{Relay, RelayConfig, RelayError};

/// The enhanced packet blocks of a file: interface, and everything behind the fixed fields.
fn packets(file: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let mut found = Vec::new();
    let mut rest = file;
    while !rest.is_empty() {
        let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
        let (kind, length) = (word(0), word(4) as usize);
        assert_eq!(word(length - 4) as usize, length, "a block is framed by its length");
        if kind == 6 {
            found.push((word(8), rest[28..length - 4].to_vec()));
        }
        rest = &rest[length..];
    }
    found
}

fn count(packets: &[(u32, Vec<u8>)], interface: u32, text: &str) -> u64 {
    let has = |bytes: &[u8]| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    packets.iter().filter(|(side, bytes)| *side == interface && has(bytes)).count() as u64
}

#[test]
fn the_file_and_the_counters_agree() {
    let path = std::env::temp_dir().join(format!("netem-capture-{}.pcapng", std::process::id()));
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut config = RelayConfig::new("127.0.0.1:0".parse().unwrap(), server.local_addr().unwrap());
    config.up.loss = "30%".parse().unwrap();
    config.up.duplicate = "10%".parse().unwrap();
    config.down.delay = "1h".parse().unwrap();
    config.seed = Some(netem::Seed(7));
    config.pcap = Some(path.clone());
    let relay = Relay::start(config).unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    for number in 0..100u8 {
        client.send_to(&[number; 20], relay.address()).unwrap();
    }
    let mut buffer = [0; 100];
    let (_, outside) = server.recv_from(&mut buffer).unwrap();
    server.send_to(b"never arrives", outside).unwrap();
    while relay.stats().down.received == 0 || relay.stats().up.received < 100 {
        std::thread::yield_now();
    }
    let stats = relay.close();
    let capture = relay.capture_stats().unwrap();
    assert_eq!(capture.warning(), None);

    let file = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let packets = packets(&file);
    assert_eq!(packets.len() as u64, capture.captured);
    let lost = stats.up.dropped(DropReason::Loss);
    assert!(lost > 0 && stats.up.duplicated > 0, "{stats:?}");
    assert_eq!(count(&packets, 0, "drop: loss (up flow 0 packet "), lost);
    assert_eq!(count(&packets, 0, "duplicate (up flow 0 packet "), stats.up.duplicated);
    assert_eq!(count(&packets, 0, "not sent: closed (down flow 0)"), 1);
    let on_side = |side| packets.iter().filter(|(other, _)| *other == side).count() as u64;
    assert_eq!(on_side(0), stats.up.received + 1);
    assert_eq!(on_side(1), stats.up.delivered + stats.down.received);
}

#[test]
fn a_file_that_cannot_be_written_is_said_before_anything_runs() {
    let mut config =
        RelayConfig::new("127.0.0.1:0".parse().unwrap(), "127.0.0.1:9".parse().unwrap());
    config.pcap = Some("no/such/directory/x.pcapng".into());
    let error = Relay::start(config).unwrap_err();
    assert!(matches!(error, RelayError::Capture(_)));
    assert!(error.to_string().contains("no/such/directory/x.pcapng"), "{error}");
}

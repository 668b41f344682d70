//! The applications' parsers on the corpus and on seeded mutations: nothing panics, what parses
//! composes to the same, and the machines behind them stay within their limits.

mod support;

use std::time::Duration;

use support::fuzz::corpus_and_mutations;
use udpcore::apps::game_server::{PLAYERS_MAX, World};
use udpcore::apps::game_view::GameView;
use udpcore::apps::statsd::Aggregator;
use udpcore::apps::statsd_text::{graphite, prometheus};
use udpcore::apps::stream::StreamReceiver;
use udpcore::apps::video::VideoAssembler;
use udpcore::apps::voice::{Codec, Heard, VoiceFormat, VoiceReceiver};
use udpcore::flow::reassembly::ReassemblyLimits;
use udpcore::wire::dhcp::Reply;
use udpcore::wire::discovery::DiscoveryMessage;
use udpcore::wire::game::{GameMessage, PlayerId};
use udpcore::wire::multicast_video::{RepairChunk, StreamChunk};
use udpcore::wire::packet::{Protocol, capture, dissect, draw};
use udpcore::wire::rtp::RtpPacket;
use udpcore::wire::video::VideoFragment;
use udpcore::wire::{echo, statsd};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[test]
fn echoes() {
    corpus_and_mutations("echo", |datagram| {
        if let Some(number) = echo::parse_probe(datagram) {
            let digits = format!("#{number:010} ").into_bytes();
            assert!(datagram.windows(digits.len()).any(|part| part == digits));
        }
        let answer = echo::answer(datagram, echo::ECHO_PREFIX);
        assert_eq!(answer.is_some(), std::str::from_utf8(datagram).is_ok());
    });
}

#[test]
fn discovery_messages() {
    corpus_and_mutations("discovery", |datagram| {
        if let Ok(message) = DiscoveryMessage::parse(datagram) {
            let composed = message.compose().expect("what was parsed composes");
            assert_eq!(DiscoveryMessage::parse(&composed).expect("and parses"), message);
        }
    });
}

#[test]
fn dhcp_replies() {
    corpus_and_mutations("dhcp", |datagram| {
        if let Ok(reply) = Reply::parse(datagram) {
            let bytes: usize = reply.options.iter().map(|(_, value)| value.len()).sum();
            assert!(bytes <= datagram.len());
        }
    });
}

#[test]
fn game_messages() {
    let mut world: World<u8> = World::new(Duration::from_secs(5), Duration::ZERO).expect("a world");
    let mut view = GameView::new(PlayerId::Number(0), Duration::from_secs(5));
    let mut count = 0;
    corpus_and_mutations("game", |datagram| {
        if let Ok(message) = GameMessage::parse(datagram) {
            let composed = message.compose().expect("what was parsed composes");
            assert_eq!(GameMessage::parse(&composed).expect("and parses"), message);
        }
        count += 1;
        world.handle(ms(count), &(count as u8), datagram);
        view.handle(ms(count), datagram);
        assert!(world.players().count() <= PLAYERS_MAX);
        if count % 5000 == 0 {
            assert!(world.broadcast(ms(count)).iter().all(|(told, _)| told.len() <= 1200));
            view.positions(ms(count), ms(count - 100));
        }
    });
}

#[test]
fn statsd_lines() {
    let mut aggregator = Aggregator::default();
    let mut lines = 0;
    corpus_and_mutations("statsd", |datagram| {
        lines += statsd::lines(datagram).count() as u64;
        aggregator.handle(datagram);
        let stats = aggregator.stats();
        assert_eq!(stats.lines + stats.malformed + stats.other, lines);
    });
    let scraped = prometheus(&aggregator);
    assert!(scraped.lines().all(|line| line.starts_with('#') || line.contains(' ')));
    let flush = aggregator.flush(10.0);
    assert!(graphite(&flush, "stats", 0).lines().all(|line| line.split(' ').count() == 3));
}

#[test]
fn rtp_packets() {
    corpus_and_mutations("rtp", |datagram| {
        if let Ok(packet) = RtpPacket::parse(datagram) {
            let composed = packet.compose();
            assert_eq!(RtpPacket::parse(&composed).expect("what was composed parses"), packet);
        }
    });
}

#[test]
fn voice_goes_on_whatever_comes() {
    let format = VoiceFormat { codec: Codec::Ulaw, rate_hz: 16_000, frame_samples: 320 };
    let mut receiver = VoiceReceiver::new(format, ms(400), true);
    let mut count = 0;
    corpus_and_mutations("voice", |datagram| {
        count += 1;
        receiver.handle(ms(count * 20), datagram);
        if count % 50 == 0 {
            let heard = receiver.pull(ms(count * 20));
            assert!(matches!(heard, Heard::Samples(samples) if samples.len() == 320));
        }
    });
    let quality = receiver.quality();
    assert!((1.0..=4.5).contains(&quality.mos), "{quality:?}");
}

#[test]
fn video_fragments() {
    let mut assembler = VideoAssembler::new(ReassemblyLimits::default());
    let mut count = 0;
    corpus_and_mutations("video", |datagram| {
        if let Ok(fragment) = VideoFragment::parse(datagram) {
            let composed = fragment.compose();
            let is_tutorials = datagram[6..].starts_with(&[0xFF, 0xD8, 0xFF]);
            assert!(is_tutorials || composed == datagram);
        }
        count += 1;
        assembler.handle(ms(count), &(count % 3), datagram);
    });
}

#[test]
fn stream_chunks() {
    let mut stream = StreamReceiver::new(64);
    let (mut came, mut out) = (0, 0);
    corpus_and_mutations("stream", |datagram| {
        if let Ok(chunk) = StreamChunk::parse(datagram) {
            assert_eq!(chunk.compose(), datagram);
            came += chunk.data.len();
            out += stream.insert(chunk.sequence, chunk.data, false).len();
        }
        if let Ok(chunk) = RepairChunk::parse(datagram) {
            assert_eq!(chunk.compose(), datagram);
        }
    });
    out += stream.finish(None).len();
    assert!(out <= came);
}

#[test]
fn packets() {
    corpus_and_mutations("packet", |bytes| {
        for first in [Protocol::Ethernet, Protocol::Ipv4, Protocol::Ipv6] {
            let packet = dissect(bytes, first);
            let headers: Vec<u8> = packet.layers.iter().flat_map(|l| l.bytes.clone()).collect();
            assert!(bytes.starts_with(&[headers, packet.payload].concat()));
            if let Some(layer) = packet.layers.last() {
                assert!(draw(layer).ends_with('\n'));
            }
        }
    });
}

#[test]
fn captures() {
    corpus_and_mutations("capture", |bytes| {
        if let Ok((records, _)) = capture::read(bytes) {
            let held: usize = records.iter().map(|record| record.data.len()).sum();
            assert!(held <= bytes.len());
        }
    });
}

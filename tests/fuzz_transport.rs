//! The transport's parsers and machine under arbitrary bytes: no panic, bounded, and what was read
//! is written back.
//!
//! The checks run over the committed corpus and over seeded mutations of it.

mod support;

use std::net::SocketAddr;
use support::fuzz::{Mutations, cases, corpus_and_mutations};
use udpcore::transport::{
    Config, ConnectionEvent, Ecn, Endpoint, Handle, Security, SendOptions, Time,
};
use udpcore::wire::transport::{Frames, LongPacket, Params, ShortHeader, is_long, peek_dcid};

/// Reads bytes as everything they could be; what was read composes and reads the same.
pub fn check_packet(bytes: &[u8]) {
    let _ = peek_dcid(bytes);
    if is_long(bytes) {
        if let Ok(packet) = LongPacket::parse(bytes) {
            let mut again = Vec::new();
            packet.compose(&mut again, bytes.len());
            assert_eq!(LongPacket::parse(&again), Ok(packet));
        }
    } else if let Ok((header, len)) = ShortHeader::parse(bytes) {
        let mut again = Vec::new();
        header.compose(&mut again);
        assert_eq!(again, &bytes[..len]);
    }
    if let Ok(params) = Params::parse(bytes) {
        let mut again = Vec::new();
        params.compose(&mut again);
        assert_eq!(Params::parse(&again), Ok(params));
    }
    check_frames(bytes);
}

/// Reads bytes as frames; those that were read compose and read the same.
pub fn check_frames(bytes: &[u8]) {
    let mut again = Vec::new();
    let mut count = 0;
    for frame in Frames::new(bytes) {
        match frame {
            Ok(frame) => {
                frame.compose(&mut again);
                count += 1;
            }
            Err(error) => assert!(error.offset <= bytes.len(), "{error}"),
        }
    }
    // Numbers may have come in longer forms than we write: the written form is the fixed point.
    let mut third = Vec::new();
    let reread: Vec<_> = Frames::new(&again).collect();
    assert_eq!(reread.len(), count);
    reread.into_iter().for_each(|frame| frame.expect("composed").compose(&mut third));
    assert_eq!(third, again);
}

/// Gives both ends of an open plaintext connection bytes that an attacker on the path made, with
/// right checksums: the connection may end, it never panics and never holds more than it granted.
pub struct Victim {
    server: Endpoint,
    handle: Handle,
    now: Time,
    number: u32,
}

const WINDOW: u64 = 1 << 20;

impl Victim {
    /// A server with one connection.
    pub fn new() -> Self {
        let config = || Config {
            security: Security::plaintext(),
            message_len_max: 1 << 18,
            receive_window: WINDOW,
            channel_window: WINDOW,
            ..Config::default()
        };
        let (home, away) = addresses();
        let mut server = Endpoint::new(config(), true, [1; 32]).expect("valid");
        let mut client = Endpoint::new(config(), false, [2; 32]).expect("valid");
        let now = Time(0);
        client.connect(now, home);
        let mut out = Vec::new();
        for _ in 0..4 {
            while client.poll_transmit(now, 1, &mut out).is_some() {
                server.handle_datagram(now, away, Ecn::NotEct, &mut out);
                out.clear();
            }
            while server.poll_transmit(now, 1, &mut out).is_some() {
                client.handle_datagram(now, home, Ecn::NotEct, &mut out);
                out.clear();
            }
        }
        let (handle, event) = server.poll_event().expect("connected");
        assert_eq!(event, ConnectionEvent::Connected);
        Self { server, handle, now, number: 1000 }
    }

    /// One forged packet with these frames. Returns whether the connection is still open.
    pub fn attack(&mut self, frames: &[u8]) -> bool {
        let (_, away) = addresses();
        let Some(connection) = self.server.connection_mut(self.handle) else { return false };
        let _ = connection.send(self.now, vec![7; 100], SendOptions::default());
        let Some(id) = self.server.local_id(self.handle) else { return false };
        self.number += 1;
        let mut packet = vec![0x43];
        packet.extend_from_slice(&id.0.to_be_bytes());
        packet.extend_from_slice(&self.number.to_be_bytes());
        packet.extend_from_slice(frames);
        let number = u64::from(self.number).to_be_bytes();
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&number), &packet);
        packet.extend_from_slice(&checksum.to_be_bytes());
        self.server.handle_datagram(self.now, away, Ecn::NotEct, &mut packet);
        let mut out = Vec::new();
        while self.server.poll_transmit(self.now, 10, &mut out).is_some() {
            out.clear();
        }
        self.now.0 += 1000;
        self.server.handle_timeout(self.now);
        let Some(connection) = self.server.connection_mut(self.handle) else { return false };
        assert!(connection.stats().bytes_waiting <= WINDOW);
        while connection.recv(self.now, None).is_some() {}
        !connection.state().is_over()
    }
}

impl Default for Victim {
    fn default() -> Self {
        Self::new()
    }
}

fn addresses() -> (SocketAddr, SocketAddr) {
    (SocketAddr::from(([192, 0, 2, 1], 1)), SocketAddr::from(([192, 0, 2, 2], 2)))
}

#[test]
fn parsers_survive_the_corpus_and_its_mutations() {
    corpus_and_mutations("transport", check_packet);
}

#[test]
fn a_connection_survives_forged_frames() {
    let mut mutations = Mutations::of("transport");
    let mut victim = Victim::new();
    let mut ended = 0;
    for _ in 0..cases() / 5 {
        let bytes = mutations.draw();
        let mut survives = true;
        mutations.attempt(&bytes, || survives = victim.attack(&bytes[..bytes.len().min(1400)]));
        if !survives {
            victim = Victim::new();
            ended += 1;
        }
    }
    assert!(ended > 0, "some forged frames break the rules");
}

#[test]
fn an_endpoint_survives_strangers() {
    let mut mutations = Mutations::of("transport");
    let mut server = Endpoint::new(Config::default(), true, [1; 32]).expect("valid");
    let mut out = Vec::new();
    for round in 0..cases() / 2 {
        let bytes = mutations.draw();
        let now = Time(round * 100);
        let from = SocketAddr::from(([192, 0, 2, (round % 250) as u8], 1));
        mutations.attempt(&bytes, || {
            server.handle_datagram(now, from, Ecn::NotEct, &mut bytes.clone());
            while server.poll_transmit(now, 1, &mut out).is_some() {
                assert!(out.len() <= 3 * bytes.len(), "more than three times");
                out.clear();
            }
            server.handle_timeout(now);
        });
    }
    assert!(server.half_open() <= 64);
}

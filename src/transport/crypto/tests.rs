//! Handshakes agree or fail as they must; packets open once, whole, and across key updates.

use super::*;
use crate::wire::transport::{ConnectionId, PacketNumberLen, ShortFlags, ShortHeader};

fn handshake(suite: Suite, client: &Keys, server: &Keys) -> Result<[Protection; 2], CryptoError> {
    let mut a = NoiseSession::new(suite, client, true, b"p", [1; 32])?;
    let mut b = NoiseSession::new(suite, server, false, b"p", [2; 32])?;
    let (mut first, mut second) = (Vec::new(), Vec::new());
    a.write(b"hello", &mut first)?;
    assert_eq!(b.read(&first)?, b"hello");
    b.write(b"welcome", &mut second)?;
    assert_eq!(a.read(&second)?, b"welcome");
    Ok([a.protection()?, b.protection()?])
}

fn seal(protection: &mut Protection, number: u64, payload: &[u8]) -> Vec<u8> {
    let number_len = PacketNumberLen::for_number(number, number.checked_sub(1));
    let flags = ShortFlags { key_phase: protection.key_phase(), number_len };
    let mask = u32::MAX >> (32 - 8 * number_len.bytes());
    let header =
        ShortHeader { flags, dcid: ConnectionId(7), truncated_number: number as u32 & mask };
    let mut packet = vec![0xee; 3];
    header.compose(&mut packet);
    let header_len = packet.len() - 3;
    packet.extend_from_slice(payload);
    protection.seal(&mut packet, 3, header_len, number);
    packet.split_off(3)
}

fn keys() -> (Keys, Keys) {
    let own = SecretKey([9; 32]);
    let psk = Some(Keys::psk(b"a long and random secret"));
    let client = Keys { psk, own: None, pinned: Some(own.public()) };
    (client, Keys { psk, own: Some(own), pinned: None })
}

#[test]
fn all_patterns_agree() {
    let (client, server) = keys();
    for suite in [Suite::Anonymous, Suite::Secret, Suite::Pinned, Suite::PinnedSecret] {
        let [mut a, mut b] = handshake(suite, &client, &server).expect("they agree");
        for number in 0..3 {
            let mut packet = seal(&mut a, number, b"some frames");
            let opened = b.open(&mut packet, number).expect("opens");
            assert_eq!((opened.number, &packet[opened.payload]), (number, &b"some frames"[..]));
        }
    }
}

#[test]
fn another_secret_or_key_fails() {
    let (client, server) = keys();
    let wrong = Keys { psk: Some(Keys::psk(b"another")), ..server.clone() };
    assert!(handshake(Suite::Secret, &client, &wrong).is_err());
    let wrong = Keys { own: Some(SecretKey([8; 32])), ..server };
    assert!(handshake(Suite::Pinned, &client, &wrong).is_err());
}

#[test]
fn every_flipped_bit_is_noticed() {
    let (client, server) = keys();
    let [mut a, mut b] = handshake(Suite::Secret, &client, &server).expect("they agree");
    let plain = || (Protection::Checksum(Checksum), Protection::Checksum(Checksum));
    let packet = seal(&mut a, 5, b"frames");
    let plain_packet = seal(&mut plain().0, 5, b"frames");
    for bit in 0..packet.len() * 8 {
        let mut damaged = packet.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(b.open(&mut damaged, 5).is_err(), "bit {bit}");
    }
    for bit in 0..plain_packet.len() * 8 {
        let mut damaged = plain_packet.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(plain().1.open(&mut damaged, 5).is_err(), "bit {bit}");
    }
    for len in 0..packet.len() {
        assert!(b.open(&mut packet[..len].to_vec(), 5).is_err());
        let plain_len = len.min(plain_packet.len() - 1);
        assert!(plain().1.open(&mut plain_packet[..plain_len].to_vec(), 5).is_err());
    }
    assert!(b.open(&mut packet.clone(), 5).is_ok());
}

#[test]
fn keys_update_and_late_packets_still_open() {
    let (client, server) = keys();
    let [mut a, mut b] = handshake(Suite::Secret, &client, &server).expect("they agree");
    let mut late = seal(&mut a, 0, b"late one");
    let mut first = seal(&mut a, 1, b"first one");
    b.open(&mut first, 0).expect("opens");
    a.on_acked(1);
    force_update(&mut a);
    assert!(a.key_phase());
    let mut second = seal(&mut a, 2, b"second one");
    b.open(&mut second, 2).expect("opens with the next key");
    assert!(b.key_phase(), "the other side follows");
    b.open(&mut late, 3).expect("opens with the key before");
    let mut answer = seal(&mut b, 0, b"answer");
    a.open(&mut answer, 0).expect("opens");
    assert_eq!((a.key_updates(), b.key_updates()), (1, 1));
}

#[test]
fn packets_of_a_wrong_phase_do_not_open() {
    let (client, server) = keys();
    let [mut a, mut b] = handshake(Suite::Secret, &client, &server).expect("they agree");
    // The same handshake, so the same keys: a sender that misses every update.
    let [mut stale, _] = handshake(Suite::Secret, &client, &server).expect("they agree");
    b.open(&mut seal(&mut a, 0, b"first keys"), 0).expect("opens");
    a.on_acked(0);
    force_update(&mut a);
    let opened = b.open(&mut seal(&mut a, 1, b"second keys"), 1).expect("opens");
    assert!(opened.keys_updated);
    // RFC 9001 §6.4: old keys for a newer packet are an error, here one that is dropped.
    assert_eq!(b.open(&mut seal(&mut stale, 2, b"old keys"), 2), Err(CryptoError::Packet));
    assert!(b.open(&mut seal(&mut stale, 0, b"old, but in order"), 2).is_ok());
    b.drop_old_keys();
    assert_eq!(b.open(&mut seal(&mut stale, 0, b"too late"), 2), Err(CryptoError::Packet));
    assert!(b.open(&mut seal(&mut a, 3, b"goes on"), 3).is_ok_and(|opened| !opened.keys_updated));
}

#[test]
fn both_may_update_at_once_and_neither_twice_before_the_other_follows() {
    let (client, server) = keys();
    let [mut a, mut b] = handshake(Suite::Secret, &client, &server).expect("they agree");
    b.open(&mut seal(&mut a, 0, b"hello"), 0).expect("opens");
    a.open(&mut seal(&mut b, 0, b"hello"), 0).expect("opens");
    a.on_acked(0);
    b.on_acked(0);
    force_update(&mut a);
    force_update(&mut b);
    let (mut from_a, mut from_b) = (seal(&mut a, 1, b"mine"), seal(&mut b, 1, b"mine"));
    b.open(&mut from_a, 1).expect("opens");
    a.open(&mut from_b, 1).expect("opens");
    assert_eq!((a.key_updates(), b.key_updates()), (1, 1));
    force_update(&mut a);
    assert_eq!(a.key_updates(), 1, "not acknowledged under these keys");
    a.on_acked(1);
    force_update(&mut a);
    assert_eq!(a.key_updates(), 1, "the old keys are still in use");
    a.drop_old_keys();
    force_update(&mut a);
    assert_eq!(a.key_updates(), 2);
}

fn force_update(protection: &mut Protection) {
    let Protection::Aead(keys) = protection else { panic!("encrypted") };
    keys.force_update();
}

//! Tests of the cutting: lengths, numbers, flags, checksums; and that no frame panics.

use std::sync::Arc;

use super::*;
use crate::bridge::frame::{Frame, Pool};

/// A TCP frame over `ip` bytes of network header, to be cut into segments of `mss` bytes.
fn tcp_frame(is_ipv6: bool, tags: usize, payload: &[u8], mss: u16) -> Vec<u8> {
    let ip_bytes = if is_ipv6 { IPV6_BYTES } else { 20 };
    let transport = ETHERNET_BYTES + tags * VLAN_BYTES + ip_bytes;
    let mut frame = vec![NEEDS_CSUM, if is_ipv6 { GSO_TCPV6 } else { GSO_TCPV4 }];
    for value in [(transport + 20) as u16, mss, transport as u16, 16] {
        frame.extend(value.to_ne_bytes());
    }
    frame.extend([2; 12]);
    frame.extend([0x81, 0x00, 0, 5].repeat(tags));
    match is_ipv6 {
        true => {
            frame.extend([0x86, 0xDD, 0x60, 0, 0, 0, 0, 0, PROTOCOL_TCP, 64]);
            frame.extend([1; 16]);
            frame.extend([2; 16]);
        }
        false => {
            frame.extend([0x08, 0x00, 0x45, 0, 0, 0, 0xFF, 0xFF, 0x40, 0, 64, PROTOCOL_TCP]);
            frame.extend([0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        }
    }
    frame.extend([0x12, 0x34, 0, 80, 0xFF, 0xFF, 0xFF, 0xF0, 0, 0, 0, 1, 0x50]);
    frame.extend([TCP_FIN_PSH | TCP_CWR | 0x10, 0x20, 0, 0, 0, 0, 0]);
    frame.extend(payload);
    frame
}

/// A frame as if an interface had given it.
fn frame_of(bytes: &[u8]) -> Frame {
    let mut room = Pool::default().room();
    let frame = Arc::get_mut(&mut room).unwrap();
    frame.room()[..bytes.len()].copy_from_slice(bytes);
    frame.received(bytes.len(), None);
    Arc::into_inner(room).unwrap()
}

fn cut(bytes: &[u8]) -> Vec<Vec<u8>> {
    let frame = frame_of(bytes);
    let write = |part| {
        let mut out = Vec::new();
        frame.write_to(&(part..part + 1), &mut out);
        assert_eq!(out.len(), frame.size_of(&(part..part + 1)) + bytes.len().min(HEADER_BYTES));
        out
    };
    (0..frame.parts()).map(write).collect()
}

#[test]
fn a_tcp_frame_is_cut_into_what_would_be_on_the_wire() {
    let payload: Vec<u8> = (0..2500u32).map(|n| n as u8).collect();
    for (is_ipv6, tags) in [(false, 0), (true, 0), (false, 1), (true, 2)] {
        let ip = ETHERNET_BYTES + tags * VLAN_BYTES;
        let transport = ip + if is_ipv6 { 40 } else { 20 };
        let packets = cut(&tcp_frame(is_ipv6, tags, &payload, 1000));
        assert_eq!(packets.len(), 3);
        let mut joined = Vec::new();
        for (number, packet) in packets.iter().enumerate() {
            let (header, body) = packet.split_at(HEADER_BYTES);
            assert_eq!((header[0], header[1]), (NEEDS_CSUM, 0), "not to be cut again");
            let length = body.len() - ip;
            match is_ipv6 {
                true => assert_eq!(word(body, ip + 4), Some((length - 40) as u16)),
                false => {
                    assert_eq!(word(body, ip + 2), Some(length as u16));
                    assert_eq!(word(body, ip + 4), Some(0xFFFFu16.wrapping_add(number as u16)));
                    assert_eq!(folded(sum(&body[ip..ip + 20])), 0xFFFF, "a valid header checksum");
                }
            }
            let sequence =
                u32::from_be_bytes(body[transport + 4..transport + 8].try_into().unwrap());
            assert_eq!(sequence, 0xFFFF_FFF0u32.wrapping_add(1000 * number as u32));
            let flags = body[transport + 13];
            assert_eq!(flags & TCP_FIN_PSH != 0, number == 2, "FIN and PSH on the last only");
            assert_eq!(flags & TCP_CWR != 0, number == 0, "CWR on the first only");
            joined.extend_from_slice(&body[transport + 20..]);
        }
        assert_eq!(joined, payload);
    }
}

#[test]
fn udp_is_cut_with_its_own_lengths() {
    let mut frame = tcp_frame(false, 0, &[], 4);
    frame[1] = GSO_UDP_L4;
    frame.truncate(HEADER_BYTES + ETHERNET_BYTES + 20);
    frame[HEADER_BYTES + ETHERNET_BYTES + 9] = PROTOCOL_UDP;
    frame.extend([0, 1, 0, 2, 0, 0, 0, 0]);
    frame.extend(0..20u8);
    let packets = cut(&frame);
    assert_eq!(packets.len(), 5);
    for packet in packets {
        assert_eq!(word(&packet, HEADER_BYTES + ETHERNET_BYTES + 24), Some(12));
    }
}

#[test]
fn what_is_not_to_be_cut_passes_unchanged() {
    let small = tcp_frame(false, 0, &[7; 1000], 1000);
    assert_eq!(cut(&small), std::slice::from_ref(&small));
    let mut finished = tcp_frame(false, 0, &[7; 2000], 1000);
    finished[1] = 0;
    assert_eq!(cut(&finished), std::slice::from_ref(&finished));
    for bytes in [&[][..], &[0; 5], &[0; HEADER_BYTES], &[0xFF; 40]] {
        assert_eq!(cut(bytes), [bytes.to_vec()]);
    }
}

#[test]
fn a_part_of_several_segments_is_a_frame_to_be_cut_into_the_same_packets() {
    let payload: Vec<u8> = (0..5500u32).map(|n| (n / 7) as u8).collect();
    for (is_ipv6, tags) in [(false, 0), (true, 0), (false, 1)] {
        let whole = tcp_frame(is_ipv6, tags, &payload, 1000);
        let (frame, packets) = (frame_of(&whole), cut(&whole));
        assert_eq!(packets.len(), 6);
        for parts in [0..2, 1..4, 3..6, 0..6] {
            let mut out = Vec::new();
            frame.write_to(&parts, &mut out);
            assert_eq!(out[1], whole[1], "to be cut");
            assert_eq!(cut(&out)[..], packets[parts.start as usize..parts.end as usize]);
        }
    }
}

#[test]
fn a_tag_that_was_taken_off_is_put_back() {
    let payload = [7; 2500];
    let (plain, tagged) =
        (tcp_frame(false, 0, &payload, 1000), tcp_frame(false, 1, &payload, 1000));
    let mut room = Pool::default().room();
    let frame = Arc::get_mut(&mut room).unwrap();
    frame.room()[..plain.len()].copy_from_slice(&plain);
    frame.received(plain.len(), Some([0x81, 0x00, 0, 5]));
    assert!(frame.bytes() == tagged, "not as if it had never been taken off");
    assert_eq!(frame.parts(), 3);
}
